//! Registration (protocol.md 1.5, 0x01): a profile in, the next free number out.

use super::endpoint::Endpoint;
use super::event::What;
use super::io::{PasswordJob, PasswordOutcome};
use super::notice::Refused;
use super::pending::Pending;
use super::prefix::Prefix;
use super::user::Fingerprint;
use super::way::Origin;
use super::{Cx, Shard};
use crate::limits;
use crate::store::{Account, Answer, Request, StoredProfile};
use crate::wire::{Profile, ProfileFault, Server, check_privacy};

const REGISTER: u8 = 0x01;

/// A registration of the last seconds: a repeat gets the same answer and is not done again (protocol.md 1.8).
#[derive(Debug)]
pub(super) struct Registration {
    request: Fingerprint,
    /// What was answered, once it was.
    number: Option<u32>,
}

/// What somebody registers with.
pub(super) struct SignUp<'a> {
    pub profile: Profile<'a>,
    /// See [`Account::reach`].
    pub reach: Option<u8>,
    /// See [`Account::details`].
    pub details: Option<u8>,
}

impl SignUp<'_> {
    fn check(&self) -> Result<(), ProfileFault> {
        self.profile.check_new()?;
        check_privacy(self.reach, self.details)
    }

    fn stored(&self) -> StoredProfile {
        StoredProfile::of(&self.profile, self.reach, self.details)
    }
}

/// A registration in progress.
#[derive(Debug)]
pub(super) struct Registering {
    origin: Origin,
    /// Where that was when it was asked.
    from: Endpoint,
    request: Fingerprint,
    profile: StoredProfile,
}

impl Shard {
    pub(super) fn register(&mut self, cx: &mut Cx<'_>, origin: Origin, asked: &SignUp<'_>, bytes: &[u8]) {
        let (now_ms, request) = (cx.now.mono_ms, Fingerprint::of(bytes));
        let Some(from) = self.address_of(origin) else { return };
        let bare = matches!(origin, Origin::Bare(_));
        let earlier = self.registrations.get(now_ms, &from).filter(|earlier| bare && earlier.request == request);
        if let Some(earlier) = earlier {
            self.counters.repeats += 1;
            if let Some(number) = earlier.number {
                self.send_number(cx, origin, number);
            }
            return;
        }
        let taken =
            asked.check().is_ok() && self.pending.len() < limits::QUESTIONS && self.may_register(now_ms, from.prefix());
        if !taken {
            // Nobody is signed in here: in bare frames the answer must not be longer than what was asked.
            self.send_number(cx, origin, 0);
            let why = asked.check().map_or_else(Refused::from, |()| Refused::too_fast());
            cx.event(What::SignUpRefused(why.code.detail()), 0, Some(from));
            if !bare {
                self.notice_to(cx, origin, REGISTER, &why);
            }
            return;
        }
        if bare {
            self.registrations.insert(now_ms, from, Registration { request, number: None });
        }
        self.registrations_by_prefix.add(now_ms, from.prefix());
        *self.registering.entry(from.prefix()).or_default() += 1;
        let registering = Registering { origin, from, request, profile: asked.stored() };
        let job = PasswordJob::Hash { password: asked.profile.password.into() };
        self.ask_password(cx, from.prefix(), job, Pending::RegisterHash(registering));
    }

    /// The budget of a prefix (protocol.md 2.6), of which each shard has its part; this machine itself has none.
    fn may_register(&self, now_ms: u64, prefix: Prefix) -> bool {
        let budget = (limits::REGISTRATIONS_PER_MINUTE / self.territory.shards).max(1);
        let in_progress = self.registering.get(&prefix).copied().unwrap_or(0);
        prefix.is_loopback()
            || (in_progress < limits::REGISTRATIONS_AT_ONCE
                && !self.registrations_by_prefix.is_over(now_ms, prefix, budget))
    }

    pub(super) fn register_hashed(&mut self, cx: &mut Cx<'_>, registering: Registering, outcome: PasswordOutcome) {
        let PasswordOutcome::Hashed(hash) = outcome else {
            return self.answer_registration(cx, &registering, 0);
        };
        let account = Box::new(Account::of(registering.profile.clone(), hash, cx.now.unix_ms));
        self.ask_store(cx, Request::Register(account), Pending::Register(registering));
    }

    pub(super) fn registered(&mut self, cx: &mut Cx<'_>, registering: Registering, answer: &Answer) {
        let number = if let Answer::Registered(number) = *answer { number } else { 0 };
        self.counters.registered += u64::from(number != 0);
        if number != 0 {
            cx.event(What::SignedUp, number, Some(registering.from));
        }
        self.answer_registration(cx, &registering, number);
    }

    fn answer_registration(&mut self, cx: &mut Cx<'_>, registering: &Registering, number: u32) {
        self.send_number(cx, registering.origin, number);
        if number == 0 && matches!(registering.origin, Origin::Link(_)) {
            self.notice_to(cx, registering.origin, REGISTER, &Refused::busy());
        }
        let prefix = registering.from.prefix();
        if let Some(left) = self.registering.get_mut(&prefix) {
            *left -= 1;
            if *left == 0 {
                self.registering.remove(&prefix);
            }
        }
        let same = |one: &&mut Registration| one.request == registering.request;
        if let Some(one) = self.registrations.get_mut(cx.now.mono_ms, &registering.from).filter(same) {
            one.number = Some(number);
        }
    }

    /// Answers with a number, 0 where it was not done.
    fn send_number(&mut self, cx: &mut Cx<'_>, to: Origin, number: u32) {
        self.send_to(cx, to, &Server::Registered { ok: u8::from(number != 0), number });
    }
}
