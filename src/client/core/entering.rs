//! Registrations, sign-ins and reconnections: from the door to a session that stands, or to a reason why not.

use super::door::{Door, Welcome};
use super::entry::{Entry, Phase, Purpose, Verdict, farewell};
use super::live::Live;
use super::{Core, ENTER_WITHIN_MS, Identity, KNOCK_WITHIN_MS};
use crate::client::error::{Error, code};
use crate::client::event::{Event, Reply, Status};
use crate::link::CloseCode;
use crate::wire::User;

/// How long a reconnection waits that the server has refused for the moment: long enough for its limits to let go.
const PAUSE_MS: u64 = 15_000;
/// How long after a session that was closed for a fault the next is begun.
const FAULT_PAUSE_MS: u64 = 1_000;

impl Core {
    /// Begins a handshake. A sign-in takes the place of one that is under way.
    pub(super) fn knock(&mut self, now: u64, number: u32, purpose: Purpose) {
        let door = self.door(now, number);
        self.begin(now, number, purpose, Phase::Knocking(door));
    }

    fn begin(&mut self, now: u64, number: u32, purpose: Purpose, phase: Phase) {
        let is_sign_in = matches!(purpose, Purpose::SignIn(..));
        if let Some(at) = self.entries.iter().position(|entry| is_sign_in && !entry.is_register()) {
            let id = self.entries.remove(at).caller();
            let error = Error::Invalid("another sign-in has taken the place of this one".into());
            self.replies.extend(id.map(|id| (id, Err(error))));
        }
        let waited_for = !matches!(purpose, Purpose::SignIn(None, _));
        let give_up_at = waited_for.then_some(now + KNOCK_WITHIN_MS);
        self.entries.push(Entry::new(number, purpose, phase, give_up_at));
    }

    fn door(&mut self, now: u64, number: u32) -> Box<Door> {
        Box::new(Door::new(now, number, self.key.map(|(key, _)| key), self.chance.key()))
    }

    /// A door at which the first hello waits a moment: what sent us back proves nothing, and must not make us hurry.
    pub(super) fn door_soon(&mut self, now: u64, number: u32) -> Box<Door> {
        self.door(now + FAULT_PAUSE_MS, number)
    }

    /// The session is gone, or the server says so: signs in again by itself.
    pub(super) fn reconnect(&mut self, now: u64) {
        self.reconnect_at(now, None);
    }

    pub(super) fn reconnect_at(&mut self, now: u64, pause: Option<u64>) {
        if self.entries.iter().any(|entry| !entry.is_register()) {
            return;
        }
        let Some(me) = &self.me else { return };
        let (number, login) = (me.number, me.login.clone());
        if login.token.is_none() && login.password.is_none() {
            return self.end("the connection has ended, and there is nothing to sign in with");
        }
        match pause {
            None => self.knock(now, number, Purpose::SignIn(None, login)),
            Some(until) => self.begin(now, number, Purpose::SignIn(None, login), Phase::Pausing(until)),
        }
    }

    /// The session has ended, and only a new sign-in opens another.
    pub(super) fn end(&mut self, reason: &str) {
        self.live = None;
        self.transfers.clear();
        if self.me.take().is_none() {
            return;
        }
        self.entries.retain(|entry| entry.caller().is_some());
        let ended = self.requests.end();
        self.finish_all(ended);
        self.happen(Event::SignInAgain { reason: reason.to_owned() });
    }

    /// The server has closed the session that stands (protocol.md 2.3).
    pub(super) fn closed(&mut self, now: u64, code: u8, reason: &str) {
        let words = |otherwise: &str| if reason.is_empty() { otherwise.to_owned() } else { reason.to_owned() };
        match code {
            _ if code == CloseCode::SignedOut as u8 => match self.requests.signed_out() {
                Some(outcome) => self.finish(outcome),
                None => self.end(&words("signed out")),
            },
            _ if code == CloseCode::Replaced as u8 => self.end(&words("signed in elsewhere")),
            _ if code == CloseCode::Operator as u8 => self.end(&words("ended by the operator")),
            // Keys outlive the server: its next start speaks first (protocol.md 2.5).
            _ if code == CloseCode::ServerStops as u8 => {}
            _ if code == CloseCode::Idle as u8 => {
                self.live = None;
                self.reconnect(now);
            }
            _ => {
                self.live = None;
                self.reconnect_at(now, Some(now + FAULT_PAUSE_MS));
            }
        }
    }

    /// What the clock asks of entries.
    pub(super) fn advance_entries(&mut self, now: u64) {
        self.next_registration(now);
        let mut at = 0;
        while at < self.entries.len() {
            let entry = &mut self.entries[at];
            let dead = matches!(&entry.phase, Phase::Inside(session) if session.link.is_dead(now));
            if entry.give_up_at.is_some_and(|end| now >= end) || (dead && entry.is_register()) {
                self.give_up(now, at);
                continue;
            }
            if entry.is_refused(now) {
                self.refused(now, at, 0, String::new());
                continue;
            }
            entry.test(now);
            if entry.is_delayed(now) {
                let number = entry.number;
                self.happen(Event::SignInDelayed { number });
            }
            let entry = &self.entries[at];
            if dead || entry.is_unanswered(now) || matches!(entry.phase, Phase::Pausing(until) if now >= until) {
                let number = entry.number;
                let door = self.door(now, number);
                self.entries[at].knock(door);
            }
            at += 1;
        }
    }

    fn next_registration(&mut self, now: u64) {
        while self.registrations.front().is_some_and(|(.., give_up_at)| now >= *give_up_at) {
            let late = self.registrations.pop_front();
            self.replies.extend(late.map(|(id, ..)| (id, Err(Error::Timeout))));
        }
        if self.entries.iter().any(Entry::is_register) {
            return;
        }
        if let Some((id, frame, _)) = self.registrations.pop_front() {
            let number = self.guest();
            self.knock(now, number, Purpose::Register(id, frame));
        }
    }

    /// No answer comes. Whether a registration was done that had gone out, nobody knows.
    fn give_up(&mut self, now: u64, at: usize) {
        let entry = self.entries.remove(at);
        let sent = matches!(entry.phase, Phase::Inside(_));
        let error = if entry.is_register() && sent { Error::Unknown } else { Error::Timeout };
        self.replies.extend(entry.caller().map(|id| (id, Err(error))));
        self.dismiss(now, entry);
        self.next_registration(now);
        // A session that ended meanwhile waited for what came of this.
        if self.live.is_none() {
            self.reconnect(now);
        }
    }

    fn dismiss(&mut self, now: u64, entry: Entry) {
        let last = entry.into_session().and_then(|session| farewell(session, now, &mut self.ciphers));
        self.packets.extend(last);
    }

    /// A welcome for an entry at the door.
    pub(super) fn welcomed(&mut self, now: u64, at: usize, noise: &[u8]) {
        let ephemeral = self.chance.key();
        let entry = &mut self.entries[at];
        let Phase::Knocking(door) = &mut entry.phase else { return };
        match door.welcome(noise) {
            Welcome::Nothing => {}
            // The one that was given is none that a handshake can begin with.
            Welcome::Key(shown) if self.key.is_some_and(|(key, _)| key != shown) => {
                self.other_key(at, shown, ephemeral);
            }
            Welcome::Key(key) => {
                let (key, _) = *self.key.get_or_insert((key, false));
                door.begin(Some(key), ephemeral);
                door.hurry(now);
            }
            Welcome::OtherKey(shown) => self.other_key(at, shown, ephemeral),
            Welcome::Broken => door.begin(self.key.map(|(key, _)| key), ephemeral),
            Welcome::Open(established) => {
                entry.enter(now, &established);
                entry.give_up_at = entry.give_up_at.map(|_| now + ENTER_WITHIN_MS);
                if let Some((key, proven @ false)) = &mut self.key {
                    *proven = true;
                    let key = *key;
                    self.happen(Event::ServerKey { key });
                }
            }
        }
    }

    /// The server shows another key than the one that we have.
    fn other_key(&mut self, at: usize, shown: [u8; 32], ephemeral: [u8; 32]) {
        let entry = &mut self.entries[at];
        match (self.key, entry.caller()) {
            // What was learnt a moment ago and is proven by nothing can have been anybody's.
            (None | Some((_, false)), _) => {
                self.key = Some((shown, false));
                if let Phase::Knocking(door) = &mut entry.phase {
                    door.begin(Some(shown), ephemeral);
                }
            }
            (Some((pinned, true)), Some(id)) => {
                self.entries.remove(at);
                self.replies.push_back((id, Err(Error::KeyChanged { pinned, shown })));
            }
            (Some((_, true)), None) if !entry.warned => {
                entry.warned = true;
                self.happen(Event::KeyChanged { shown });
            }
            (Some((_, true)), None) => {}
        }
    }

    /// The server has answered an entry.
    pub(super) fn judged(&mut self, now: u64, at: usize, verdict: Verdict) {
        match verdict {
            Verdict::Refused { code, text } => self.refused(now, at, code, text),
            Verdict::Registered(number) => {
                let entry = self.entries.remove(at);
                self.replies.extend(entry.caller().map(|id| (id, Ok(Reply::Registered(number)))));
                self.dismiss(now, entry);
                self.next_registration(now);
            }
            Verdict::SignedIn { groups, token } => {
                let mut entry = self.entries.remove(at);
                let purpose = std::mem::replace(&mut entry.purpose, Purpose::SignIn(None, NOBODY));
                let (number, session) = (entry.number, entry.into_session());
                if let (Purpose::SignIn(id, mut login), Some(session)) = (purpose, session) {
                    login.token = token.or(login.token);
                    if !self.keep_password {
                        login.password = None;
                    }
                    self.replace(now, Live::new(now, session));
                    if let Some(token) = login.token.clone() {
                        self.happen(Event::Token { number, token });
                    }
                    if login.status == Status::Busy {
                        let status = Status::Busy.code();
                        self.requests.push_first(now, &User::SetStatus { me: number, status });
                    }
                    self.me = Some(Identity { number, login });
                    match id {
                        Some(id) => self.replies.push_back((id, Ok(Reply::SignedIn(groups)))),
                        None => self.happen(Event::Restored { groups }),
                    }
                }
            }
        }
    }

    /// The new session takes the place of the old one.
    fn replace(&mut self, now: u64, mut live: Live) {
        let number = live.session.number;
        let same = self.number().is_none_or(|before| before == number);
        match self.live.take() {
            // The server has ended it by this sign-in.
            Some(old) if old.session.number == number => live.received = old.received,
            Some(old) => self.packets.extend(farewell(old.session, now, &mut self.ciphers)),
            None => {}
        }
        let ended = if same { self.requests.reopen(|_| false) } else { self.requests.end() };
        self.seen.belong_to(number);
        self.outbox.reopen();
        self.transfers.clear();
        self.live = Some(live);
        self.unanswered_since = None;
        self.finish_all(ended);
    }

    fn refused(&mut self, now: u64, at: usize, code: u8, text: String) {
        let later = [code::TOO_FAST, code::BUSY, code::STORAGE].contains(&code);
        if !later && self.entries[at].try_password() {
            return;
        }
        let mut entry = self.entries.remove(at);
        if let Some(id) = entry.caller() {
            self.replies.push_back((id, Err(Error::Refused { code, text })));
            self.dismiss(now, entry);
            self.next_registration(now);
            if self.live.is_none() {
                self.reconnect(now);
            }
            return;
        }
        if later {
            let purpose = std::mem::replace(&mut entry.purpose, Purpose::SignIn(None, NOBODY));
            let number = entry.number;
            self.dismiss(now, entry);
            return self.begin(now, number, purpose, Phase::Pausing(now + PAUSE_MS));
        }
        self.dismiss(now, entry);
        self.end(if text.is_empty() { "the sign-in was refused" } else { &text });
    }
}

/// In place of what was taken out.
const NOBODY: super::Login = super::Login { password: None, token: None, status: Status::Offline };
