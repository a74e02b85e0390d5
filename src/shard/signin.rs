//! Signing in and out (protocol.md 1.5, 0x02 and 0x10; 1.7; 2.6), and the end of a session by silence.

use super::endpoint::Endpoint;
use super::io::{PasswordJob, PasswordOutcome};
use super::mailbox::Delivery;
use super::monitor::Monitor;
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::user::{Asker, Fingerprint, HIDDEN, Latest, Lists, ONLINE, Session, User as Known};
use super::wheel::SessionKey;
use super::{Cx, OFFLINE, Peer, Shard, sending};
use crate::limits;
use crate::store::{Answer, Card, Request, UserRecord};
use crate::wire::{Dialect, FriendEntry, GroupEntry, List, Server, User};

/// A sign-in in progress.
#[derive(Debug)]
pub(super) struct Attempt {
    id: u64,
    pub from: Endpoint,
    /// The status after it: online or hidden.
    status: u8,
    request: Fingerprint,
    /// Nobody waits for it any more.
    abandoned: bool,
    /// Frames that came after it, for the session.
    held: Vec<Box<[u8]>>,
    held_bytes: usize,
}

/// "Not signed in": the answer to a refused sign-in, and to requests without a session.
pub(super) const REFUSED: Server<'static> = Server::SignedIn { ok: 0, groups: List::NONE, token: None };

impl Shard {
    pub(super) fn sign_in(&mut self, cx: &mut Cx<'_>, from: Endpoint, me: u32, password: &str, mode: u8, bytes: &[u8]) {
        let now_ms = cx.now.mono_ms;
        if let Some(session) = self.session_mut(me).filter(|session| session.endpoint == from)
            && session.latest.as_ref().is_some_and(|one| one.is_repeated_by(now_ms, bytes))
        {
            session.heard_ms = now_ms;
            return self.reply_again(cx, me, bytes.len());
        }
        let attempts = self.attempts.get(&me).map_or(&[][..], Vec::as_slice);
        let request = Fingerprint::of(bytes);
        if attempts.iter().any(|one| one.from == from && one.request == request && !one.abandoned) {
            self.counters.repeats += 1;
            return;
        }
        let status = match mode {
            0 => ONLINE,
            1 => HIDDEN,
            _ => return self.sign_in_refused(cx, from),
        };
        let possible = (limits::FIRST_USER..=limits::LAST_USER).contains(&me)
            && password.len() <= limits::PASSWORD_BYTES
            && attempts.len() < limits::SIGN_IN_ATTEMPTS
            && self.pending.len() < limits::QUESTIONS;
        if !possible {
            return self.sign_in_refused(cx, from);
        }
        if self.failures.count(now_ms, &me) >= limits::SIGN_IN_FAILURES {
            self.sign_in_refused(cx, from);
            if from.is_loopback() || from.connection().is_some() {
                // An address that may be forged gets no more bytes than it sent.
                cx.send(from, &sending::words("too many wrong passwords: try again in a minute"));
            }
            return;
        }
        let id = self.next_attempt;
        self.next_attempt += 1;
        let attempt = Attempt { id, from, status, request, abandoned: false, held: Vec::new(), held_bytes: 0 };
        self.attempts.entry(me).or_default().push(attempt);
        let pending = Pending::SignInAccount { number: me, attempt: id, password: password.into() };
        self.ask_store(cx, Request::Account(me), pending);
    }

    /// Keeps a frame for the session that its sender is signing in to: on a stream it follows the sign-in at once.
    /// False if nobody signs in from there.
    pub(super) fn hold_frame(&mut self, me: u32, from: Endpoint, bytes: &[u8]) -> bool {
        let attempts = self.attempts.get_mut(&me).map_or(&mut [][..], Vec::as_mut_slice);
        let Some(attempt) = attempts.iter_mut().rfind(|one| one.from == from && !one.abandoned) else { return false };
        attempt.held_bytes += bytes.len();
        if attempt.held.len() < limits::HELD_FRAMES && attempt.held_bytes <= limits::HELD_BYTES {
            attempt.held.push(bytes.into());
        }
        true
    }

    fn sign_in_refused(&mut self, cx: &mut Cx<'_>, from: Endpoint) {
        self.counters.sign_ins_refused += 1;
        cx.send(from, &REFUSED);
    }

    /// Ends an attempt.
    fn take_attempt(&mut self, number: u32, id: u64) -> Option<Attempt> {
        let attempts = self.attempts.get_mut(&number)?;
        let at = attempts.iter().position(|one| one.id == id)?;
        let attempt = attempts.swap_remove(at);
        if attempts.is_empty() {
            self.attempts.remove(&number);
        }
        Some(attempt)
    }

    fn attempt_failed(&mut self, cx: &mut Cx<'_>, number: u32, id: u64) {
        let Some(attempt) = self.take_attempt(number, id) else { return };
        if !attempt.abandoned {
            self.sign_in_refused(cx, attempt.from);
        }
    }

    /// Nobody waits for these attempts any more. They keep their places until their checks are done: whoever gives up
    /// and tries again must not fill the password pool.
    fn abandon_attempts(&mut self, number: u32, which: impl Fn(&Attempt) -> bool) {
        for attempt in self.attempts.get_mut(&number).into_iter().flatten().filter(|one| which(one)) {
            attempt.abandoned = true;
            attempt.held = Vec::new();
        }
    }

    pub(super) fn sign_in_account(
        &mut self,
        cx: &mut Cx<'_>,
        number: u32,
        attempt: u64,
        password: Box<str>,
        answer: Answer,
    ) {
        match answer {
            Answer::Account(Some(account)) if !account.disabled => {
                let job = PasswordJob::Check { password, hash: account.password };
                self.ask_password(cx, job, Pending::SignInCheck { number, attempt });
            }
            _ => self.attempt_failed(cx, number, attempt),
        }
    }

    pub(super) fn sign_in_checked(&mut self, cx: &mut Cx<'_>, number: u32, attempt: u64, outcome: &PasswordOutcome) {
        match outcome {
            PasswordOutcome::Good => {
                self.ask_store(cx, Request::User(number), Pending::SignInLists { number, attempt });
            }
            PasswordOutcome::Wrong => {
                self.failures.add(cx.now.mono_ms, number);
                self.attempt_failed(cx, number, attempt);
            }
            PasswordOutcome::Busy | PasswordOutcome::Hashed(_) => self.attempt_failed(cx, number, attempt),
        }
    }

    pub(super) fn sign_in_lists(&mut self, cx: &mut Cx<'_>, number: u32, attempt: u64, answer: Answer) {
        // The operator may have shut the account while the password was checked.
        let Answer::User(Some(record)) = answer else { return self.attempt_failed(cx, number, attempt) };
        if record.account.disabled {
            return self.attempt_failed(cx, number, attempt);
        }
        let Some(mut attempt) = self.take_attempt(number, attempt).filter(|one| !one.abandoned) else { return };
        // Checks end in any order: an older sign-in must not end the session of a newer one.
        self.abandon_attempts(number, |one| one.id < attempt.id);
        let (from, held) = (attempt.from, std::mem::take(&mut attempt.held));
        self.begin_session(cx, number, &attempt, &record);
        for bytes in held {
            if let Ok(request) = User::decode(&bytes, Dialect::Classic) {
                self.session_frame(cx, from, &request, &bytes);
            }
        }
    }

    fn begin_session(&mut self, cx: &mut Cx<'_>, number: u32, attempt: &Attempt, record: &UserRecord) {
        if let Some(older) = self.session(number).map(|session| session.endpoint) {
            if older != attempt.from {
                cx.send(older, &sending::words("signed in from another place: this session has ended"));
            }
            self.drop_session(cx, number, "replaced by a new sign-in");
        }
        // Lists that are in memory follow every change; the record may be older than the last of them.
        let user = self.users.entry(number).or_insert_with(|| Box::new(Known::new(Lists::of(record))));
        let id = self.next_session;
        self.next_session = self.next_session.wrapping_add(1);
        let (reply, shown) = cx.send_list(attempt.from, &user.lists, &record.cards, &self.board);
        let now_ms = cx.now.mono_ms;
        user.session = Some(Session {
            id,
            endpoint: attempt.from,
            status: attempt.status,
            heard_ms: now_ms,
            delivery: Delivery::new(),
            serial: 0,
            latest: Some(Box::new(Latest {
                request: attempt.request,
                at_ms: now_ms,
                serial: 0,
                reply: cx.out.frame(&reply).to_vec(),
                repeated_ms: now_ms,
            })),
            searching: false,
            transfers: None,
            monitor: Monitor::default(),
        });
        self.counters.sign_ins += 1;
        self.counters.online += 1;
        let key = SessionKey { number, session: id };
        self.wheel.in_a_while(now_ms, now_ms + limits::IDLE.as_millis() as u64, key);
        self.wheel.soon(now_ms + limits::REPEAT.as_millis() as u64 + 1, key);
        for (friend, seen) in shown {
            self.peer(cx, friend, Peer::Watch { watcher: number, seen });
        }
        self.show(cx, number);
        self.fetch_mail(cx, key);
    }

    /// 0x10: another status, or the end of the session.
    pub(super) fn set_status(&mut self, cx: &mut Cx<'_>, asker: Asker, status: u8) {
        if status == OFFLINE {
            self.reply(cx, asker, &Server::StatusSet { me: asker.number, status });
            if let Some(from) = self.session(asker.number).map(|session| session.endpoint) {
                self.signed_out.insert(cx.now.mono_ms, (asker.number, from), ());
            }
            return self.end_session(cx, asker.number);
        }
        if !(ONLINE..OFFLINE).contains(&status) {
            let why = format!("status {status} does not exist: 1 online, 2 hidden, 3 do not disturb, 4 offline");
            return self.refuse(cx, asker, &Refused::new(Code::Malformed, why));
        }
        if let Some(session) = self.session_mut(asker.number) {
            session.status = status;
        }
        self.reply(cx, asker, &Server::StatusSet { me: asker.number, status });
        self.show(cx, asker.number);
    }

    /// Ends a session: friends are told, transfers and monitoring stop, the memory is given back.
    pub(super) fn end_session(&mut self, cx: &mut Cx<'_>, number: u32) {
        self.drop_session(cx, number, "signed out");
        self.show(cx, number);
        self.forget_if_idle(number);
    }

    /// The part of it that a new session of the same user does not undo at once.
    fn drop_session(&mut self, cx: &mut Cx<'_>, number: u32, why: &str) {
        let Some(session) = self.users.get_mut(&number).and_then(|user| user.session.take()) else { return };
        self.counters.online -= 1;
        self.unwatch_friends(cx, number);
        self.end_transfers(cx, number, session.transfers);
        self.stop_monitoring(cx, number, session.monitor.running(), why);
    }

    /// Gives back the memory of a user for whom nothing goes on.
    pub(super) fn forget_if_idle(&mut self, number: u32) {
        if self.users.get(&number).is_some_and(|user| !user.is_needed()) {
            self.users.remove(&number);
        }
    }

    /// The operator ends a session.
    pub(super) fn expel(&mut self, cx: &mut Cx<'_>, number: u32, text: &str) {
        if !self.territory.owns(number) {
            return;
        }
        for attempt in self.attempts.get(&number).into_iter().flatten().filter(|one| !one.abandoned) {
            cx.send(attempt.from, &REFUSED);
        }
        self.abandon_attempts(number, |_| true);
        if let Some(session) = self.session(number) {
            cx.send(session.endpoint, &sending::words(text));
            self.end_session(cx, number);
        }
    }

    /// A connection has ended, and with it the session that signed in by it.
    pub(super) fn stream_closed(&mut self, cx: &mut Cx<'_>, from: Endpoint, number: u32) {
        self.abandon_attempts(number, |one| one.from == from);
        if self.session(number).is_some_and(|session| session.endpoint == from) {
            self.end_session(cx, number);
        }
    }

    /// Whether a session has been silent for too long. If not, it is looked at again when it could be.
    pub(super) fn check_silence(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        self.forget_latest(now_ms, key);
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else { return };
        let due_ms = session.heard_ms + limits::IDLE.as_millis() as u64;
        if due_ms > now_ms {
            return self.wheel.in_a_while(now_ms, due_ms, key);
        }
        self.counters.timed_out += 1;
        self.end_session(cx, key.number);
    }
}

impl Cx<'_> {
    /// Answers a good sign-in: groups with their friends, each as the board shows them now (0x02). Gives back which status
    /// was shown of whom.
    fn send_list(
        &mut self,
        to: Endpoint,
        lists: &Lists,
        cards: &[Card],
        board: &super::Board,
    ) -> (super::Send, Vec<(u32, u8)>) {
        let shown: Vec<(u32, u8)> = lists.friends.iter().map(|(number, _)| (*number, board.get(*number))).collect();
        let mut by_group: Vec<(u8, FriendEntry<'_>)> = Vec::with_capacity(shown.len());
        for ((number, status), (_, group)) in shown.iter().zip(&lists.friends) {
            // A friend whose account is gone has no card.
            let Ok(at) = cards.binary_search_by_key(number, |card| card.number) else { continue };
            let Card { portrait, nickname, .. } = &cards[at];
            let entry = FriendEntry { number: *number, portrait: *portrait as u8, status: *status, nickname };
            by_group.push((*group, entry));
        }
        by_group.sort_by_key(|(group, entry)| (*group, entry.number));
        let entries: Vec<FriendEntry<'_>> = by_group.iter().map(|(_, entry)| *entry).collect();
        let groups: Vec<GroupEntry<'_>> = lists
            .groups
            .iter()
            .map(|(group, name)| {
                let from = by_group.partition_point(|(at, _)| at < group);
                let to = by_group.partition_point(|(at, _)| at <= group);
                GroupEntry { name, group: *group, friends: List::new(&entries[from..to]) }
            })
            .collect();
        (self.send(to, &Server::SignedIn { ok: 1, groups: List::new(&groups), token: None }), shown)
    }
}
