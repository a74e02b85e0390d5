//! Links apart from any session: of those who have not signed in yet, of those who have just left, and of those who were
//! signed in when the server last ended and have not been heard of since (protocol.md 2.5).

use super::channel::Channel;
use super::endpoint::Endpoint;
use super::mailbox::Delivery;
use super::notice::Refused;
use super::path::Path;
use super::pending::Pending;
use super::prefix::Prefix;
use super::shares::{Place, Room};
use super::user::{HIDDEN, Session};
use super::way::{Origin, Way};
use super::wheel::SessionKey;
use super::{Cx, OFFLINE, Peer, Shard};
use crate::limits;
use crate::link::{CloseCode, Keys, Link};
use crate::store::{Answer, Change, Mail, Request, Seen, SessionRecord};

/// A link without a session.
pub(super) struct Apart {
    pub channel: Box<Channel>,
    pub role: Role,
    /// When it was last heard of. Whoever does not sign in is not heard: the time begins with the link.
    pub heard_ms: u64,
    /// Frames that came while its lists were read, and their bytes.
    held: Vec<Box<[u8]>>,
    held_bytes: usize,
    /// Messages that have come for a kept session: they wait a second for it, as they would for 0x41.
    early: Vec<Mail>,
    early_until_ms: u64,
    /// When the client was last told of the server's start.
    resumed_ms: Option<u64>,
    /// Something has been put into the mailbox since its lists were asked for.
    mail_came: bool,
    /// Its share of the links by which nobody has signed in, or of those that have ended.
    place: Option<Place>,
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

impl Apart {
    /// The prefix that its handshake was with.
    pub fn prefix(&self) -> Option<Prefix> {
        self.place.map(|place| place.prefix())
    }

    fn is_hidden(&self) -> bool {
        matches!(self.role, Role::Kept { status: HIDDEN, .. })
    }

    /// Whether as many frames wait for its lists as may wait. With the packet that makes it so, at most a window of others
    /// comes into its order.
    pub fn holds_enough(&self) -> bool {
        self.held.len() >= limits::WAKING_FRAMES || self.held_bytes >= limits::WAKING_BYTES
    }
}

impl Shard {
    /// A handshake with an address of this prefix has become a link. When there are too many it takes the place of an older
    /// one, which learns from `unknown` that it is gone; false if all those are being checked.
    pub(super) fn begin_link(&mut self, now_ms: u64, channel: Box<Channel>, prefix: Prefix) -> bool {
        match self.entering.room(prefix) {
            Room::Free => {}
            Room::Replaces(oldest) => {
                self.counters.replaced += 1;
                self.abandon_attempts(oldest.number, |one| one.from == Origin::Link(oldest));
                self.take_apart(oldest);
            }
            Room::Full => return false,
        }
        let place = self.entering.enter(channel.key(), prefix);
        self.add_apart(now_ms, channel, Role::Entering, Some(place));
        true
    }

    fn add_apart(&mut self, now_ms: u64, channel: Box<Channel>, role: Role, place: Option<Place>) {
        let key = channel.key();
        let wait = match role {
            Role::Entering => limits::ENTERING,
            Role::Kept { .. } => limits::IDLE,
            Role::Leaving { .. } => limits::FAREWELL,
        };
        self.wheel.in_a_while(now_ms, now_ms + wait.as_millis() as u64, key);
        let (held, held_bytes, early, early_until_ms, mail_came) = (Vec::new(), 0, Vec::new(), 0, false);
        let resumed_ms = None;
        let apart = Apart {
            channel,
            role,
            heard_ms: now_ms,
            held,
            held_bytes,
            early,
            early_until_ms,
            resumed_ms,
            mail_came,
            place,
        };
        self.apart.insert(key, Box::new(apart));
    }

    /// Takes a link out of those that are apart.
    pub(super) fn take_apart(&mut self, key: SessionKey) -> Option<Box<Apart>> {
        let apart = self.apart.remove(&key)?;
        if let Some(place) = apart.place {
            if apart.role == Role::Entering { self.entering.leave(place) } else { self.leaving.leave(place) }
        }
        Some(apart)
    }

    /// The link of somebody who has signed in by it.
    pub(super) fn take_entering(&mut self, key: SessionKey) -> Option<Box<Channel>> {
        self.apart.get(&key).filter(|apart| apart.role == Role::Entering)?;
        Some(self.take_apart(key)?.channel)
    }

    /// While a sign-in is being checked its link does not give way to newer ones.
    pub(super) fn spare_link(&mut self, key: SessionKey, spare: bool) {
        let Some(apart) = self.apart.get_mut(&key).filter(|apart| apart.role == Role::Entering) else { return };
        let Some(place) = &mut apart.place else { return };
        if spare { self.entering.spare(place) } else { self.entering.unspare(key, place) }
    }

    /// The kept session of a user of this shard, if there is one.
    fn kept_session(&mut self, number: u32) -> Option<(SessionKey, &mut Apart)> {
        let key = SessionKey { number, session: *self.kept.get(&number)? };
        Some((key, self.apart.get_mut(&key)?))
    }

    /// A message for a kept session waits until that is awake, a second at most. Gives it back if there is none, or too
    /// many wait.
    pub(super) fn keep_early(&mut self, cx: &mut Cx<'_>, to: u32, mail: Mail) -> Result<(), Mail> {
        let now_ms = cx.now.mono_ms;
        let Some((key, apart)) = self.kept_session(to) else { return Err(mail) };
        if apart.mail_came || apart.early.len() >= limits::EARLY_MESSAGES || apart.is_hidden() {
            return Err(mail);
        }
        if apart.early.is_empty() {
            apart.early_until_ms = now_ms + limits::CUSTODY_TIME.as_millis() as u64;
            let due_ms = apart.early_until_ms;
            self.wheel.soon(due_ms, key);
        }
        if let Some((_, apart)) = self.kept_session(to) {
            apart.early.push(mail);
        }
        // It may have missed that the server has started anew.
        self.tell_start(cx, key);
        Ok(())
    }

    /// Tells a kept session that the server has started anew, at most once a second (protocol.md 2.5). Nothing about the
    /// session changes by it.
    pub(super) fn tell_start(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        let Some(apart) = self.apart.get_mut(&key) else { return };
        let asleep = matches!(apart.role, Role::Kept { waking: false, .. });
        let soon = apart.resumed_ms.is_some_and(|at| now_ms < at + limits::RESUME_PAUSE.as_millis() as u64);
        let Some(to) = apart.channel.path.endpoint().filter(|_| asleep && !soon) else { return };
        apart.resumed_ms = Some(now_ms);
        self.counters.resumes += 1;
        cx.send_resume(to, &apart.channel.link);
    }

    /// Whether this message waits for a kept session already.
    pub(super) fn is_early(&mut self, to: u32, from: u32, id: u64) -> bool {
        self.kept_session(to).is_some_and(|(_, apart)| apart.early.iter().any(|one| one.from == from && one.id == id))
    }

    /// Messages that have waited long enough go into the mailbox.
    pub(super) fn store_early(&mut self, cx: &mut Cx<'_>, key: SessionKey, before_ms: u64) {
        let Some(apart) = self.apart.get_mut(&key).filter(|apart| apart.early_until_ms <= before_ms) else { return };
        let early = std::mem::take(&mut apart.early);
        self.store_mails(cx, key.number, early);
    }

    /// The messages that wait for a kept session wait no more.
    pub(super) fn take_early(&mut self, number: u32) -> Vec<Mail> {
        self.kept_session(number).map(|(_, apart)| std::mem::take(&mut apart.early)).unwrap_or_default()
    }

    pub(super) fn store_mails(&mut self, cx: &mut Cx<'_>, number: u32, mails: Vec<Mail>) {
        for mail in mails {
            let pending = Pending::Message { from: mail.from, to: number, id: mail.message_id() };
            self.add_mail(cx, number, vec![Change::AddMail(number, mail)], pending);
        }
    }

    /// Something is put into the mailbox of somebody whose lists are being read: those do not know of it.
    pub(super) fn mail_comes(&mut self, number: u32) {
        if !self.attempts.is_empty() {
            self.attempts.get_mut(&number).into_iter().flatten().for_each(|one| one.mail_came = true);
        }
        if let Some((_, apart)) = self.kept_session(number) {
            apart.mail_came = true;
        }
    }

    /// A session that the store has kept goes on. `nth` paces the resumes that tell the clients so. Of two of one number,
    /// which a crash in the middle of a sign-in leaves, the newer goes on.
    pub fn keep(&mut self, now: super::Now, record: &SessionRecord, nth: u64, out: &mut super::Outbox) {
        debug_assert!(self.territory.owns(record.number), "the server gives it to the owner");
        let cx = &mut Cx { now, out };
        let (number, session) = (record.number, record.session);
        let key = SessionKey { number, session };
        let age_mins = now.unix_ms.saturating_sub(record.started_ms) / 60_000;
        let age_mins = age_mins.min(limits::SESSION_AGE.as_secs() / 60) as u16;
        if let Some((other, apart)) = self.kept_session(number) {
            if apart.channel.age_mins(now.mono_ms) < age_mins {
                return self.forget_session(cx, key);
            }
            self.apart.remove(&other);
            self.forget_session(cx, other);
            self.counters.online -= 1;
            self.counters.kept -= 1;
        }
        let keys = Keys { to_server: record.to_server, to_client: record.to_client };
        let path = record.address.map(|(address, listener)| Endpoint::datagram(address, listener));
        let link = Link::kept(number, session, keys, self.salt);
        let channel = Channel::new(link, Path::proven(path), now.mono_ms, age_mins);
        self.kept.insert(number, session);
        self.add_apart(now.mono_ms, channel, Role::Kept { status: record.status, waking: false }, None);
        self.counters.online += 1;
        self.counters.kept += 1;
        self.show(cx, number);
        self.wheel.soon(now.mono_ms + 1 + nth / limits::KEPT_ACKS_PER_MS, key);
    }

    /// A packet of the present start has come from a kept session: its lists are read, and it is a session again.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Some(apart) = self.apart.get_mut(&key) else { return };
        if let Role::Kept { waking: waking @ false, .. } = &mut apart.role {
            *waking = true;
            apart.mail_came = false;
            self.ask_store(cx, Request::User(key.number), Pending::Wake(key));
        }
    }

    /// Keeps a frame until the lists are read.
    pub(super) fn hold_for_wake(&mut self, key: SessionKey, bytes: &[u8]) {
        if let Some(apart) = self.apart.get_mut(&key) {
            apart.held_bytes += bytes.len();
            apart.held.push(bytes.into());
        }
    }

    /// The lists of a kept session are there.
    pub(super) fn awake(&mut self, cx: &mut Cx<'_>, key: SessionKey, answer: Answer) {
        let Some(apart) = self.apart.get_mut(&key) else { return };
        let from = apart.channel.path.endpoint();
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
        if self.end_if_banned(cx, key, from) {
            return;
        }
        let Some(apart) = self.take_apart(key) else { return };
        self.kept.remove(&key.number);
        self.counters.kept -= 1;
        self.counters.resumed += 1;
        let user = self.meet(key.number, &record);
        user.session = Some(Session::new(key.session, Way::Link(apart.channel), status, cx.now.mono_ms));
        let friends: Vec<(u32, u8)> = user.lists.friends.iter().collect();
        // Pushes may have been lost: every friend's status is told anew (protocol.md 2.5).
        for (friend, _) in friends {
            let blocked = self.is_blocked_by(key.number, friend);
            if blocked && let Some(session) = self.session_mut(key.number) {
                session.way.send(cx, &crate::wire::Server::FriendStatus { friend, status: OFFLINE });
            }
            let seen = if blocked { OFFLINE } else { super::presence::NEVER_TOLD };
            self.peer(cx, friend, Peer::Watch { watcher: key.number, seen });
        }
        self.set_limits(key.number, &record.account.limits);
        self.show(cx, key.number);
        if record.has_mail && status != HIDDEN {
            self.forget_given(cx, key.number);
        }
        if record.has_mail || apart.mail_came {
            self.store_mails(cx, key.number, apart.early);
            self.fetch_mail(cx, key);
        } else {
            self.send_early(cx, key, apart.early);
        }
        for bytes in apart.held {
            self.link_frame(cx, key, &bytes);
        }
    }

    /// The mailbox is empty, and what came lately goes straight out.
    fn send_early(&mut self, cx: &mut Cx<'_>, key: SessionKey, early: Vec<Mail>) {
        if let Some(session) = self.session_mut(key.number) {
            session.delivery = Delivery::Live;
        }
        for mail in early {
            if mail.flag == super::sending::USER && self.refuses(key.number, mail.from) {
                self.not_taken(cx, mail.from, key.number, mail.message_id(), &Refused::blocked());
            } else if let Some(session) = self.session_mut(key.number) {
                session.send_mail(cx, mail, None);
            }
        }
    }

    /// Ends a link that is apart: a kept session is offline with it.
    pub(super) fn end_apart(&mut self, cx: &mut Cx<'_>, key: SessionKey, code: CloseCode, reason: &str) {
        let Some(apart) = self.take_apart(key) else { return };
        if let Role::Leaving { .. } = apart.role {
            // It has said farewell, or nothing reaches it: it must not begin to leave anew.
            return;
        }
        self.abandon_attempts(key.number, |one| one.from == Origin::Link(key));
        if let Role::Kept { .. } = apart.role {
            self.kept.remove(&key.number);
            self.counters.kept -= 1;
            self.counters.online -= 1;
            self.forget_session(cx, key);
            let silence_ms = cx.now.mono_ms.saturating_sub(apart.heard_ms);
            self.write_seen(cx, key.number, silence_ms, apart.channel.path.endpoint());
            self.store_mails(cx, key.number, apart.early);
            // The session that takes its place shows itself.
            if code != CloseCode::Replaced {
                self.show(cx, key.number);
            }
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
        // What is nowhere is counted with nobody.
        let prefix = channel.path.home().map_or(Prefix::NOWHERE, |at| at.prefix());
        if let Room::Replaces(oldest) = self.leaving.room(prefix) {
            // A farewell that is lost is told by `unknown` just as well.
            self.take_apart(oldest);
        }
        let place = Some(self.leaving.enter(channel.key(), prefix));
        let until_ms = cx.now.mono_ms + limits::FAREWELL.as_millis() as u64;
        self.add_apart(cx.now.mono_ms, channel, Role::Leaving { code, until_ms }, place);
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
        let Some(apart) = self.apart.get(&key) else { return };
        let until_ms = match apart.role {
            Role::Leaving { until_ms, .. } => until_ms,
            Role::Kept { .. } => apart.heard_ms + limits::IDLE.as_millis() as u64,
            Role::Entering if self.is_checked(key) => now_ms + 1_000,
            Role::Entering => apart.heard_ms + limits::ENTERING.as_millis() as u64,
        };
        if until_ms > now_ms {
            return self.wheel.in_a_while(now_ms, until_ms, key);
        }
        match apart.role {
            Role::Leaving { .. } => drop(self.take_apart(key)),
            Role::Kept { .. } => {
                self.counters.timed_out += 1;
                self.end_apart(cx, key, CloseCode::Idle, "nothing was heard");
            }
            Role::Entering => self.end_apart(cx, key, CloseCode::Idle, "nobody has signed in"),
        }
    }

    /// The store holds a session that is not to be, unless it is one already.
    pub(super) fn unkeep_session(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        if !self.linked_session(key) {
            self.forget_session(cx, key);
        }
    }

    /// What the store keeps of a link that is about to carry a session.
    pub(super) fn session_record(&mut self, cx: &Cx<'_>, key: SessionKey, status: u8) -> Option<SessionRecord> {
        let channel = self.channel(key)?;
        let (keys, address) = (channel.link.base_keys()?, channel.path.proven_address());
        channel.unsaved = address.is_none();
        Some(SessionRecord {
            number: key.number,
            session: key.session,
            to_server: keys.to_server,
            to_client: keys.to_client,
            status,
            started_ms: cx.now.unix_ms,
            address,
        })
    }

    /// When and where a user was last here is written once, when a session ends.
    pub(super) fn write_seen(&mut self, cx: &mut Cx<'_>, number: u32, silence_ms: u64, at: Option<Endpoint>) {
        let at_ms = cx.now.unix_ms.saturating_sub(silence_ms);
        let seen = Seen { at_ms, address: at.map(|at| at.address()) };
        self.ask_store(cx, Request::Commit(vec![Change::PutSeen(number, seen)]), Pending::Nothing);
    }

    /// This session is kept in the store no more.
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
