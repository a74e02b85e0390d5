//! Registration (protocol.md 1.5, 0x01): a profile in, the next free number out.

use super::endpoint::Endpoint;
use super::io::{PasswordJob, PasswordOutcome};
use super::pending::Pending;
use super::{Cx, Shard};
use crate::limits;
use crate::store::{Account, Answer, Request};
use crate::wire::{Dialect, Profile, Server, User};

/// A registration of the last seconds: a repeat gets the same answer and is not done again (protocol.md 1.8).
#[derive(Debug)]
pub(super) struct Registration {
    request: Box<[u8]>,
    /// What was answered, once it was.
    number: Option<u32>,
}

/// A registration in progress.
#[derive(Debug)]
pub(super) struct Registering {
    from: Endpoint,
    request: Box<[u8]>,
}

impl Shard {
    pub(super) fn register(&mut self, cx: &mut Cx<'_>, from: Endpoint, profile: &Profile<'_>, bytes: &[u8]) {
        let now_ms = cx.now.mono_ms;
        if let Some(earlier) = self.registrations.get(now_ms, &from).filter(|earlier| *earlier.request == *bytes) {
            self.counters.repeats += 1;
            if let Some(number) = earlier.number {
                send_number(cx, from, number);
            }
            return;
        }
        let remembered = Registration { request: bytes.into(), number: None };
        let taken = profile.check().is_ok()
            && self.pending.len() < limits::QUESTIONS
            && self.may_register(now_ms, from)
            && self.registrations.insert(now_ms, from, remembered);
        if !taken {
            // Nobody is signed in here: the answer must not be longer than what was asked, so it has no words.
            return send_number(cx, from, 0);
        }
        let job = PasswordJob::Hash { password: profile.password.into() };
        self.ask_password(cx, job, Pending::RegisterHash(Registering { from, request: bytes.into() }));
    }

    /// The budget of an address (protocol.md 2.6); this machine itself has none.
    fn may_register(&mut self, now_ms: u64, from: Endpoint) -> bool {
        from.is_loopback()
            || (self.registrations_by_ip.count(now_ms, &from.ip()) < limits::REGISTRATIONS_PER_MINUTE
                && self.registrations_by_ip.add(now_ms, from.ip()))
    }

    pub(super) fn register_hashed(&mut self, cx: &mut Cx<'_>, registering: Registering, outcome: PasswordOutcome) {
        let PasswordOutcome::Hashed(hash) = outcome else {
            return self.answer_registration(cx, &registering, 0);
        };
        let Ok(User::Register { profile }) = User::decode(&registering.request, Dialect::Classic) else {
            unreachable!("decoded before")
        };
        let account = Box::new(Account::new(&profile, hash, cx.now.unix_ms));
        self.ask_store(cx, Request::Register(account), Pending::Register(registering));
    }

    pub(super) fn registered(&mut self, cx: &mut Cx<'_>, registering: Registering, answer: &Answer) {
        let number = if let Answer::Registered(number) = *answer { number } else { 0 };
        self.counters.registered += u64::from(number != 0);
        self.answer_registration(cx, &registering, number);
    }

    fn answer_registration(&mut self, cx: &mut Cx<'_>, registering: &Registering, number: u32) {
        send_number(cx, registering.from, number);
        let same = |one: &&mut Registration| one.request == registering.request;
        if let Some(one) = self.registrations.get_mut(cx.now.mono_ms, &registering.from).filter(same) {
            one.number = Some(number);
        }
    }
}

/// Answers with a number, 0 where it was not done.
fn send_number(cx: &mut Cx<'_>, to: Endpoint, number: u32) {
    cx.send(to, &Server::Registered { ok: u8::from(number != 0), number });
}
