//! Signing in and out (protocol.md 1.5, 0x02 and 0x10; 1.7; 2.6), and the end of a session by silence.

use super::attempts::Attempt;
use super::endpoint::Endpoint;
use super::event::What;
use super::handshakes::random;
use super::io::{Applicant, PasswordJob, PasswordOutcome};
use super::mailbox::Delivery;
use super::monitor::Monitor;
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::shares::Room;
use super::shown::Friends;
use super::user::{Fingerprint, HIDDEN, Latest, ONLINE, Session};
use super::way::{Origin, Way};
use super::wheel::SessionKey;
use super::{Cx, Peer, Shard, sending};
use crate::limits;
use crate::link::CloseCode;
use crate::store::{Answer, Change, NewToken, Request, UserRecord};
use crate::wire::{Dialect, List, Server, User};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const SIGN_IN: u8 = 0x02;

/// Set in the ids of sessions over the link, so that no bare session has the same.
pub(super) const LINK_SESSION: u32 = 0x8000_0000;

/// "Not signed in": the answer to a refused sign-in, and to requests without a session.
pub(super) const REFUSED: Server<'static> = Server::SignedIn { ok: 0, groups: List::NONE, token: None };

/// The same over the link, where a token would follow.
const REFUSED_LINK: Server<'static> = Server::SignedIn { ok: 0, groups: List::NONE, token: Some("") };

impl Shard {
    #[allow(clippy::too_many_arguments, reason = "they are the fields of the message")]
    pub(super) fn sign_in(
        &mut self,
        cx: &mut Cx<'_>,
        from: Origin,
        me: u32,
        password: &str,
        token: &str,
        mode: u8,
        bytes: &[u8],
    ) {
        let now_ms = cx.now.mono_ms;
        if let Some(session) = self.session_mut(me).filter(|session| session.way.is(from))
            && session.latest.as_ref().is_some_and(|one| one.is_repeated_by(now_ms, bytes))
        {
            session.heard_ms = now_ms as u32;
            return self.reply_again(cx, me, bytes.len());
        }
        let request = Fingerprint::of(bytes);
        if self.attempts_of(me).iter().any(|one| one.from == from && one.request == request && !one.abandoned) {
            self.counters.repeats += 1;
            return;
        }
        let status = match mode {
            0 => ONLINE,
            1 => HIDDEN,
            _ => {
                let why = Refused::new(Code::Malformed, format!("mode {mode} does not exist: 0 normal, 1 hidden"));
                return self.sign_in_refused(cx, from, me, Some(&why));
            }
        };
        let possible = (limits::FIRST_USER..=limits::LAST_USER).contains(&me)
            && password.len() <= limits::PASSWORD_BYTES
            && token.len() <= limits::PASSWORD_BYTES;
        if !possible {
            return self.sign_in_refused(cx, from, me, Some(&Refused::wrong_password()));
        }
        let by_token = matches!(from, Origin::Link(_)) && password.is_empty() && !token.is_empty();
        let prefix = self.prefix_of(from);
        if self.too_many_attempts(me, prefix, by_token) {
            return self.sign_in_refused(cx, from, me, Some(&Refused::busy()));
        }
        if self.signs_in_too_often(now_ms, me) {
            self.sign_in_refused(cx, from, me, None);
            let why = Refused::new(Code::TooFast, "this account signs in too often: try again in a minute");
            return self.notice_to(cx, from, SIGN_IN, &why);
        }
        if !by_token && self.failures.too_many(now_ms, self.territory, me, prefix) {
            self.sign_in_refused(cx, from, me, None);
            let why = Refused::new(Code::TooFast, "too many wrong passwords: try again in a minute");
            return self.notice_to(cx, from, SIGN_IN, &why);
        }
        let id = self.next_attempt;
        self.next_attempt += 1;
        self.begin_attempt(me, Attempt::new(id, from, prefix, by_token, status, request));
        if by_token {
            let hash = Sha256::digest(token).into();
            let pending = Pending::SignInToken { number: me, attempt: id };
            if let Some(attempt) = self.attempt_mut(me, id) {
                attempt.by = Some((hash, 0));
            }
            return self.ask_store(cx, Request::Token { number: me, hash }, pending);
        }
        if !self.failures.must_wait(now_ms, me, prefix) {
            return self.check_password(cx, me, id, password.into());
        }
        match self.failures.wait(now_ms, id, me, password.into(), prefix) {
            Room::Free => {}
            Room::Replaces((number, oldest)) => self.attempt_failed(cx, number, oldest, &Refused::busy()),
            Room::Full => self.attempt_failed(cx, me, id, &Refused::busy()),
        }
    }

    /// Passwords that had to wait because their account is being attacked are checked now.
    pub(super) fn check_waiting(&mut self, cx: &mut Cx<'_>) {
        while let Some((number, attempt, password)) = self.failures.due(cx.now.mono_ms) {
            if self.attempt(number, attempt).is_some_and(|one| one.abandoned) {
                self.take_attempt(number, attempt);
            } else {
                self.check_password(cx, number, attempt, password);
            }
        }
    }

    fn check_password(&mut self, cx: &mut Cx<'_>, number: u32, attempt: u64, password: Box<str>) {
        let pending = Pending::SignInAccount { number, attempt, password };
        self.ask_store(cx, Request::Account(number), pending);
    }

    /// A sign-in to this number is not done.
    pub(super) fn sign_in_refused(&mut self, cx: &mut Cx<'_>, from: Origin, me: u32, why: Option<&Refused>) {
        self.counters.sign_ins_refused += 1;
        let detail = why.map_or("too many failures", |why| why.code.detail());
        cx.event(What::SignInRefused(detail), me, self.address_of(from));
        match from {
            Origin::Bare(to) => {
                cx.send(to, &REFUSED);
                if let Some(why) = why.filter(|why| matches!(why.code, Code::NotOpen | Code::Banned)) {
                    self.notice_to(cx, from, SIGN_IN, why);
                }
            }
            Origin::Link(_) => {
                self.send_to(cx, from, &REFUSED_LINK);
                if let Some(why) = why {
                    self.notice_to(cx, from, SIGN_IN, why);
                }
            }
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
        let Some(prefix) = self.attempt(number, attempt).map(|one| one.prefix) else { return };
        let hash = match answer {
            Answer::Account(Some(account)) if !account.disabled => {
                if let Some(attempt) = self.attempt_mut(number, attempt) {
                    attempt.pending = account.pending;
                }
                account.password
            }
            // Nobody learns from the time that it takes that there is no such account, or that it is shut.
            Answer::Account(_) => PasswordJob::NOBODY.into(),
            _ => return self.attempt_failed(cx, number, attempt, &Refused::storage()),
        };
        let job = PasswordJob::Check { password, hash };
        let who = Applicant { prefix, known: self.failures.is_known(number, prefix) };
        self.ask_password(cx, who, job, Pending::SignInCheck { number, attempt });
    }

    pub(super) fn sign_in_checked(&mut self, cx: &mut Cx<'_>, number: u32, attempt: u64, outcome: &PasswordOutcome) {
        match outcome {
            PasswordOutcome::Good => self.sign_in_proven(cx, number, attempt),
            PasswordOutcome::Wrong => {
                if let Some(from) = self.attempt(number, attempt).map(|one| one.prefix) {
                    self.failures.count(cx.now.mono_ms, number, from);
                }
                self.attempt_failed(cx, number, attempt, &Refused::wrong_password());
            }
            PasswordOutcome::Busy | PasswordOutcome::Hashed(_) => {
                self.attempt_failed(cx, number, attempt, &Refused::busy());
            }
        }
    }

    pub(super) fn sign_in_token(&mut self, cx: &mut Cx<'_>, number: u32, attempt: u64, answer: &Answer) {
        match answer {
            Answer::Token(Some(token)) if token.until_ms > cx.now.unix_ms => {
                if let Some((_, session)) = self.attempt_mut(number, attempt).and_then(|attempt| attempt.by.as_mut()) {
                    *session = token.session;
                }
                self.sign_in_proven(cx, number, attempt);
            }
            Answer::Token(_) => {
                let why = Refused::new(Code::WrongPassword, "this token is good no more: sign in with the password");
                self.attempt_failed(cx, number, attempt, &why);
            }
            _ => self.attempt_failed(cx, number, attempt, &Refused::storage()),
        }
    }

    /// Password or token was right. Over the link there is a new token, and the session is kept: both are on disk before
    /// the answer goes out. The lists are read after that, so nothing comes between them and the session.
    fn sign_in_proven(&mut self, cx: &mut Cx<'_>, number: u32, id: u64) {
        let Some(attempt) = self.attempt(number, id) else { return };
        let (from, status, prefix, by) = (attempt.from, attempt.status, attempt.prefix, attempt.by);
        if attempt.abandoned {
            self.take_attempt(number, id);
            return;
        }
        if attempt.pending {
            let why = Refused::new(Code::NotOpen, "this account waits for the operator's approval");
            return self.attempt_failed(cx, number, id, &why);
        }
        let at = self.address_of(from);
        if let Some(why) = self.ban_of(cx, number, at) {
            return self.attempt_failed(cx, number, id, &why);
        }
        self.failures.signed_in(number, prefix);
        if let Origin::Link(key) = from {
            if let Some(channel) = self.channel(key) {
                // What follows the sign-in may be as large as anything.
                channel.link.widen();
            }
            if let Some(attempt) = self.attempt_mut(number, id) {
                attempt.proven = true;
            }
            let token = URL_SAFE_NO_PAD.encode(random::<32>(&mut self.handshakes.chance));
            let present = self.session(number).map(|session| session.id);
            let present = present.or_else(|| self.kept.get(&number).copied());
            let kept = if self.linked_session(key) {
                Change::SetSessionStatus { number, session: key.session, status }
            } else {
                match self.session_record(cx, key, status) {
                    Some(record) => Change::PutSession(Box::new(record), present),
                    None => return self.attempt_failed(cx, number, id, &Refused::wrong_password()),
                }
            };
            let hash = Sha256::digest(&token).into();
            let until_ms = cx.now.unix_ms + limits::TOKEN.as_millis() as u64;
            let instead_of = by.map(|(hash, _)| hash);
            let token_record = NewToken { number, hash, until_ms, session: key.session, instead_of };
            let changes = vec![Change::PutToken(token_record), kept];
            if let Some(attempt) = self.attempt_mut(number, id) {
                attempt.token = token.into();
            }
            self.ask_store(cx, Request::Commit(changes), Pending::SignInKept { number, attempt: id });
        }
        self.ask_store(cx, Request::User(number), Pending::SignInLists { number, attempt: id });
    }

    /// Token and session are on disk, or could not be written: then there is no session.
    pub(super) fn sign_in_kept(&mut self, cx: &mut Cx<'_>, number: u32, attempt: u64, answer: &Answer) {
        if !answer.is_done() {
            self.attempt_failed(cx, number, attempt, &Refused::storage());
        }
    }

    pub(super) fn sign_in_lists(&mut self, cx: &mut Cx<'_>, number: u32, id: u64, answer: Answer) {
        let from = self.attempt(number, id).map(|one| one.from);
        // The operator may have shut the account while the password was checked, and then the session must not be kept.
        let record = match answer {
            Answer::User(Some(record)) if !record.account.disabled => record,
            Answer::Failed => {
                if let Some(Origin::Link(key)) = from {
                    self.unkeep_session(cx, key);
                }
                return self.attempt_failed(cx, number, id, &Refused::storage());
            }
            _ => {
                if let Some(Origin::Link(key)) = from {
                    self.unkeep_session(cx, key);
                    let change = Change::DeleteTokens(number);
                    self.ask_store(cx, Request::Commit(vec![change]), Pending::Nothing);
                }
                return self.attempt_failed(cx, number, id, &Refused::wrong_password());
            }
        };
        let Some(mut attempt) = self.take_attempt(number, id).filter(|one| !one.abandoned) else {
            if let Some(Origin::Link(key)) = from {
                self.unkeep_session(cx, key);
            }
            return;
        };
        // Checks end in any order: an older sign-in must not end the session of a newer one.
        self.abandon_attempts(number, |one| one.id < attempt.id);
        let held = std::mem::take(&mut attempt.held);
        if !self.begin_session(cx, number, &attempt, &record) {
            return;
        }
        for bytes in held {
            match attempt.from {
                Origin::Bare(from) => {
                    if let Ok(request) = User::decode(&bytes, Dialect::Classic) {
                        self.session_frame(cx, from, &request, &bytes);
                    }
                }
                Origin::Link(key) => self.link_frame(cx, key, &bytes),
            }
        }
    }

    /// Ends what there was, and begins the session. False if the link that asked for it is gone.
    fn begin_session(&mut self, cx: &mut Cx<'_>, number: u32, attempt: &Attempt, record: &UserRecord) -> bool {
        let now_ms = cx.now.mono_ms;
        let again = self.session(number).is_some_and(|session| session.way.is(attempt.from));
        if again && let Origin::Link(key) = attempt.from {
            // The answer to the first sign-in by this link was lost with a restart, say: the session stays, with its lists.
            let mut was_hidden = false;
            if let Some(session) = self.session_mut(number) {
                was_hidden = session.is_hidden();
                session.status = attempt.status;
            }
            self.answer_sign_in(cx, number, attempt, record);
            self.turned(cx, number, was_hidden);
            self.show(cx, number);
            self.deliver_again(cx, key);
            return true;
        }
        let (id, way) = match attempt.from {
            Origin::Bare(endpoint) => {
                self.next_session = (self.next_session + 1) & !LINK_SESSION;
                (self.next_session, Way::Bare(Box::new(endpoint)))
            }
            Origin::Link(key) => match self.take_entering(key) {
                Some(mut channel) => {
                    // The store has them.
                    channel.link.forget_base();
                    (key.session, Way::Link(channel))
                }
                None => {
                    self.unkeep_session(cx, key);
                    return false;
                }
            },
        };
        let replaced = self.replace_older(cx, number, attempt);
        // Lists that are in memory follow every change; the record may be older than the last of them.
        let user = self.meet(number, record);
        user.session = Some(Session::new(id, way, attempt.status, now_ms));
        self.counters.sign_ins += 1;
        cx.event(What::SignedIn, number, self.seat(number));
        self.counters.online += 1;
        let key = SessionKey { number, session: id };
        if matches!(attempt.from, Origin::Bare(_)) {
            // A link has been in the wheel since it was one.
            self.wheel.in_a_while(now_ms, now_ms + limits::IDLE.as_millis() as u64, key);
        }
        let shown = self.answer_sign_in(cx, number, attempt, record);
        for (friend, seen) in shown {
            self.peer(cx, friend, Peer::Watch { watcher: number, seen });
        }
        let told = self.show(cx, number);
        self.charge_sign_in(cx, number, limits::SIGN_IN_WRITES, told);
        self.set_limits(number, &record.account.limits);
        if (record.has_mail || replaced) && attempt.status != HIDDEN {
            self.forget_given(cx, number);
        }
        let unproven = matches!(attempt.from, Origin::Bare(at) if at.connection().is_none() && !at.is_loopback());
        if (record.has_mail || attempt.mail_came || replaced) && unproven {
            if let Some(session) = self.session_mut(number) {
                session.delivery = Delivery::Waiting;
            }
        } else if record.has_mail || attempt.mail_came || replaced {
            self.fetch_mail(cx, key);
        } else if let Some(session) = self.session_mut(number) {
            // Nothing waits, so what comes from now on goes straight out.
            session.delivery = Delivery::Live;
        }
        true
    }

    /// Whatever session there was of this number is over. True if there was one.
    fn replace_older(&mut self, cx: &mut Cx<'_>, number: u32, attempt: &Attempt) -> bool {
        const WHY: &str = "signed in from another place: this session has ended";
        if let Some(session) = self.kept.get(&number).copied() {
            self.end_apart(cx, SessionKey { number, session }, CloseCode::Replaced, WHY);
            return true;
        }
        let Some(session) = self.session_mut(number) else { return false };
        match &mut session.way {
            Way::Bare(older) if !matches!(attempt.from, Origin::Bare(from) if from == **older) => {
                let older = **older;
                cx.send(older, &sending::words(WHY));
            }
            _ => {}
        }
        self.drop_session(cx, number, "replaced by a new sign-in", CloseCode::Replaced, WHY);
        true
    }

    /// Answers a good sign-in with the lists, and gives back which status was shown of whom.
    fn answer_sign_in(
        &mut self,
        cx: &mut Cx<'_>,
        number: u32,
        attempt: &Attempt,
        record: &UserRecord,
    ) -> Vec<(u32, u8)> {
        let now_ms = cx.now.mono_ms;
        let Some(user) = self.users.get_mut(&number) else { return Vec::new() };
        let Some(session) = &mut user.session else { return Vec::new() };
        let friends = Friends::of(&user.lists, &record.cards, &self.board);
        let bare = session.way.bare();
        let token = bare.is_none().then_some(&*attempt.token);
        let groups = friends.groups(&record.groups);
        let frame = Server::SignedIn { ok: 1, groups: List::new(&groups), token };
        let Some(endpoint) = bare else {
            session.way.send(cx, &frame);
            return friends.shown;
        };
        let reply = cx.send(endpoint, &frame);
        session.latest = Some(Box::new(Latest {
            request: attempt.request,
            at_ms: now_ms,
            serial: 0,
            reply: cx.out.frame(&reply).to_vec(),
            repeated_ms: now_ms,
        }));
        let key = SessionKey { number, session: session.id };
        self.wheel.soon(now_ms + limits::REPEAT.as_millis() as u64 + 1, key);
        friends.shown
    }

    /// Ends a session: friends are told, transfers and monitoring stop, the memory is given back.
    pub(super) fn end_session(&mut self, cx: &mut Cx<'_>, number: u32) {
        self.end_session_with(cx, number, CloseCode::Idle, "");
    }

    /// The same, with what a link is told.
    pub(super) fn end_session_with(&mut self, cx: &mut Cx<'_>, number: u32, code: CloseCode, reason: &str) {
        self.drop_session(cx, number, "signed out", code, reason);
        let told = self.show(cx, number);
        self.charge_sign_in(cx, number, 0, told);
        self.forget_if_idle(number);
    }

    /// The part of it that a new session of the same user does not undo at once.
    fn drop_session(&mut self, cx: &mut Cx<'_>, number: u32, why: &str, code: CloseCode, reason: &str) {
        let seat = self.seat(number);
        let Some(session) = self.users.get_mut(&number).and_then(|user| user.session.take()) else { return };
        cx.event(What::SignedOut(ending(code)), number, seat);
        let silence_ms = (cx.now.mono_ms as u32).wrapping_sub(session.heard_ms);
        self.write_seen(cx, number, u64::from(silence_ms), seat);
        self.counters.online -= 1;
        self.unwatch_friends(cx, number);
        self.cancel_search(cx, number);
        self.end_transfers(cx, number, session.transfers);
        self.stop_monitoring(cx, number, session.monitor.as_deref().and_then(Monitor::running), why);
        self.keep_debts(cx, number, session.meter, &session.way);
        if let Way::Link(mut channel) = session.way {
            let custody = channel.custody.take();
            self.store_custody(cx, number, custody);
            self.forget_session(cx, channel.key());
            // The answer to a sign-out, and what came before it, must arrive first.
            if code == CloseCode::SignedOut && channel.link.queued_bytes() > 0 {
                self.linger(cx, channel, code);
            } else {
                self.leave(cx, channel, code, reason);
            }
        }
    }

    /// A connection has ended, and with it the session that signed in by it.
    pub(super) fn stream_closed(&mut self, cx: &mut Cx<'_>, from: Endpoint, number: u32) {
        let from = Origin::Bare(from);
        self.abandon_attempts(number, |one| one.from == from);
        if self.session(number).is_some_and(|session| session.way.is(from)) {
            self.end_session(cx, number);
        }
    }

    /// Whether a session has been silent for too long. If not, it is looked at again when it could be.
    pub(super) fn check_silence(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        self.forget_latest(now_ms, key);
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else {
            return self.check_apart(cx, key);
        };
        if session.is_stalled() {
            session.heard_ms = now_ms as u32;
        }
        let silence_ms = (now_ms as u32).wrapping_sub(session.heard_ms);
        let due_ms = now_ms - u64::from(silence_ms) + limits::IDLE.as_millis() as u64;
        if due_ms > now_ms {
            self.rest_meter(now_ms, key.number);
            return self.wheel.in_a_while(now_ms, due_ms, key);
        }
        self.counters.timed_out += 1;
        self.end_session(cx, key.number);
    }
}

/// How a session ended, for the log.
fn ending(code: CloseCode) -> &'static str {
    match code {
        CloseCode::SignedOut => "signed out",
        CloseCode::Replaced => "signed in from another place",
        CloseCode::Idle => "not heard of",
        CloseCode::ServerStops => "the server stops",
        CloseCode::ProtocolError => "broke the protocol",
        CloseCode::Operator => "ended by the operator",
        CloseCode::Rekeyed => "goes on with fresh keys",
    }
}

impl Refused {
    /// Nobody learns which of the two it was.
    pub fn wrong_password() -> Self {
        Self::new(Code::WrongPassword, "wrong number or password")
    }
}
