//! Links apart from any session: of those who have not signed in yet, of those who have just left, and of those who were
//! signed in when the server last ended and have not been heard of since (protocol.md 2.5).

use super::channel::{Channel, Path};
use super::endpoint::Endpoint;
use super::pending::Pending;
use super::user::{Lists, Session, User as Known};
use super::way::Way;
use super::wheel::SessionKey;
use super::{Cx, OFFLINE, Peer, Shard};
use crate::limits;
use crate::link::{CloseCode, Keys, Link, Side};
use crate::store::{Answer, Change, Request, SessionRecord};

/// A link without a session.
pub(super) struct Apart {
    pub channel: Box<Channel>,
    pub role: Role,
    /// When it was last heard of.
    pub heard_ms: u64,
    /// Frames that came while its lists were read, and their bytes.
    held: Vec<Box<[u8]>>,
    held_bytes: usize,
}

/// Why it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody has signed in by it yet.
    Entering,
    /// It was signed in before the server started.
    Kept {
        status: u8,
        /// Its first packet has come, and its lists are being read.
        waking: bool,
    },
    /// It has ended; until then its farewell is said again to whoever missed it.
    Leaving { code: CloseCode, until_ms: u64 },
}

impl Shard {
    pub(super) fn add_apart(&mut self, now_ms: u64, channel: Box<Channel>, role: Role) {
        let key = channel.key;
        let wait = match role {
            Role::Entering => limits::ENTERING_SILENCE,
            Role::Kept { .. } => limits::IDLE,
            Role::Leaving { .. } => limits::FAREWELL,
        };
        self.wheel.in_a_while(now_ms, now_ms + wait.as_millis() as u64, key);
        let apart = Apart { channel, role, heard_ms: now_ms, held: Vec::new(), held_bytes: 0 };
        self.apart.insert(key, Box::new(apart));
    }

    /// A session that the store has kept goes on. `nth` paces the acks that tell the clients so. False if it can not: then
    /// the store is to forget it.
    pub fn keep(&mut self, now: super::Now, record: &SessionRecord, nth: u64, out: &mut super::Outbox) {
        debug_assert!(self.territory.owns(record.number), "the server gives it to the owner");
        let cx = &mut Cx { now, out };
        let (number, session) = (record.number, record.session);
        let Ok(epoch) = u16::try_from(self.starts.wrapping_sub(record.born)) else {
            let change = Change::DeleteSession { number, session };
            return self.ask_store(cx, Request::Commit(vec![change]), Pending::Nothing);
        };
        let key = SessionKey { number, session };
        let keys = Keys { to_server: record.to_server, to_client: record.to_client };
        let path = record.address.map(|(address, listener)| Endpoint::datagram(address, listener));
        let link = Link::new(Side::Server, number, session, keys, epoch);
        let channel = Channel::new(key, link, Path::proven(path));
        self.kept.insert(number, session);
        self.add_apart(now.mono_ms, channel, Role::Kept { status: record.status, waking: false });
        self.counters.online += 1;
        self.counters.kept += 1;
        self.show(cx, number);
        self.wheel.soon(now.mono_ms + 1 + nth / limits::KEPT_ACKS_PER_MS, key);
    }

    /// A packet of the present epoch has come from a kept session: its lists are read, and it is a session again.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Some(apart) = self.apart.get_mut(&key) else { return };
        if let Role::Kept { waking: waking @ false, .. } = &mut apart.role {
            *waking = true;
            self.ask_store(cx, Request::User(key.number), Pending::Wake(key));
        }
    }

    /// Keeps a frame until the lists are read. False if there are too many.
    pub(super) fn hold_for_wake(&mut self, key: SessionKey, bytes: &[u8]) -> bool {
        let Some(apart) = self.apart.get_mut(&key) else { return true };
        apart.held_bytes += bytes.len();
        if apart.held.len() >= limits::WAKING_FRAMES || apart.held_bytes > limits::WAKING_BYTES {
            return false;
        }
        apart.held.push(bytes.into());
        true
    }

    /// The lists of a kept session are there.
    pub(super) fn awake(&mut self, cx: &mut Cx<'_>, key: SessionKey, answer: Answer) {
        let Some(apart) = self.apart.get_mut(&key) else { return };
        let Role::Kept { status, waking } = &mut apart.role else { return };
        let status = *status;
        let record = match answer {
            Answer::User(Some(record)) if !record.account.disabled => record,
            Answer::User(_) => return self.end_apart(cx, key, CloseCode::Operator, "this account is shut"),
            // The store will be asked again with the next packet.
            _ => {
                *waking = false;
                return;
            }
        };
        let Some(apart) = self.apart.remove(&key) else { return };
        self.kept.remove(&key.number);
        self.counters.kept -= 1;
        self.counters.resumed += 1;
        let user = self.users.entry(key.number).or_insert_with(|| Box::new(Known::new(Lists::of(&record))));
        user.session = Some(Session::new(key.session, Way::Link(apart.channel), status, cx.now.mono_ms));
        let friends = user.lists.friends.clone();
        self.wheel.in_a_while(cx.now.mono_ms, cx.now.mono_ms + limits::IDLE.as_millis() as u64, key);
        // Pushes may have been lost: every friend's status is told anew (protocol.md 2.5).
        for (friend, _) in friends {
            self.peer(cx, friend, Peer::Watch { watcher: key.number, seen: super::presence::NEVER_TOLD });
        }
        self.show(cx, key.number);
        self.fetch_mail(cx, key);
        for bytes in apart.held {
            self.session_link_frame(cx, key, &bytes);
        }
    }

    /// Ends a link that is apart: a kept session is offline with it.
    pub(super) fn end_apart(&mut self, cx: &mut Cx<'_>, key: SessionKey, code: CloseCode, reason: &str) {
        let Some(apart) = self.apart.remove(&key) else { return };
        self.abandon_attempts(key.number, |one| one.from == super::way::Origin::Link(key));
        if let Role::Kept { .. } = apart.role {
            self.kept.remove(&key.number);
            self.counters.kept -= 1;
            self.counters.online -= 1;
            self.forget_session(cx, key);
            self.show(cx, key.number);
        }
        self.leave(cx, apart.channel, code, reason);
    }

    /// Says farewell, and stays for whoever misses it.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, mut channel: Box<Channel>, code: CloseCode, reason: &str) {
        channel.close(cx, code, reason);
        self.linger(cx, channel, code);
    }

    /// Stays without a farewell until all that was sent has arrived: an answer to a sign-out must not be lost.
    pub(super) fn linger(&mut self, cx: &mut Cx<'_>, channel: Box<Channel>, code: CloseCode) {
        if self.apart.len() >= limits::APART {
            // A farewell that is lost is told by `unknown` just as well.
            self.last_words(cx, channel);
            return;
        }
        let until_ms = cx.now.mono_ms + limits::FAREWELL.as_millis() as u64;
        self.add_apart(cx.now.mono_ms, channel, Role::Leaving { code, until_ms });
    }

    fn last_words(&mut self, cx: &mut Cx<'_>, mut channel: Box<Channel>) {
        channel.flush(cx.now.mono_ms, &mut self.ciphers, &mut self.wheel, cx.out);
    }

    /// Something came from a link that has ended, or its answer to a sign-out has arrived.
    pub(super) fn say_farewell(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Some(apart) = self.apart.get_mut(&key) else { return };
        let Role::Leaving { code, .. } = apart.role else { return };
        if apart.channel.link.is_closed() || apart.channel.link.queued_bytes() == 0 {
            apart.channel.close(cx, code, "");
        } else {
            apart.channel.touch(cx);
        }
    }

    /// Whether a link that is apart has been silent for too long. If not, it is looked at again when it could be.
    pub(super) fn check_apart(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        let Some(apart) = self.apart.get_mut(&key) else { return };
        let until_ms = match apart.role {
            Role::Leaving { until_ms, .. } => until_ms,
            Role::Kept { .. } => apart.heard_ms + limits::IDLE.as_millis() as u64,
            Role::Entering => apart.heard_ms + limits::ENTERING_SILENCE.as_millis() as u64,
        };
        if until_ms > now_ms {
            return self.wheel.in_a_while(now_ms, until_ms, key);
        }
        match apart.role {
            Role::Leaving { .. } => drop(self.apart.remove(&key)),
            Role::Kept { .. } => {
                self.counters.timed_out += 1;
                self.end_apart(cx, key, CloseCode::Idle, "nothing was heard");
            }
            Role::Entering => self.end_apart(cx, key, CloseCode::Idle, "nobody has signed in"),
        }
    }

    /// The session of this number is kept in the store no more.
    pub(super) fn forget_session(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let change = Change::DeleteSession { number: key.number, session: key.session };
        self.ask_store(cx, Request::Commit(vec![change]), Pending::Nothing);
    }

    /// The status of a user of this shard, whether in memory or kept.
    pub(super) fn own_status(&self, number: u32) -> u8 {
        if let Some(session) = self.session(number) {
            return session.status;
        }
        let kept = self.kept.get(&number).and_then(|session| self.apart.get(&SessionKey { number, session: *session }));
        match kept.map(|apart| apart.role) {
            Some(Role::Kept { status, .. }) => status,
            _ => OFFLINE,
        }
    }
}
