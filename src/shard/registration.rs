//! Registration (protocol.md 1.5, 0x01): a profile in, the next free number out.

use super::endpoint::Endpoint;
use super::event::What;
use super::io::{Applicant, PasswordJob, PasswordOutcome};
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::prefix::Prefix;
use super::user::Fingerprint;
use super::way::Origin;
use super::{Cx, RegistrationMode, Shard};
use crate::limits;
use crate::store::{Account, Answer, Invite, Refusal, Request, StoredProfile};
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
    /// The code of an invite, or nothing.
    pub invite: &'a str,
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
    /// The hash of the invite, where one is needed.
    invite: Option<[u8; 32]>,
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
        let guesses = self.policy.registration == RegistrationMode::Invite && !asked.invite.trim().is_empty();
        if guesses && !self.may_register(now_ms, from.prefix()) {
            // Codes that are not good count like registrations that are.
            return self.refuse_registration(cx, origin, &Refused::too_fast());
        }
        let invite = match self.admit(asked) {
            Ok(invite) => invite,
            Err(why) => {
                if guesses {
                    self.registrations_by_prefix.add(now_ms, from.prefix());
                }
                return self.refuse_registration(cx, origin, &why);
            }
        };
        let taken =
            asked.check().is_ok() && self.pending.len() < limits::QUESTIONS && self.may_register(now_ms, from.prefix());
        if !taken {
            let why = asked.check().map_or_else(Refused::from, |()| Refused::too_fast());
            return self.refuse_registration(cx, origin, &why);
        }
        if bare {
            self.registrations.insert(now_ms, from, Registration { request, number: None });
        }
        self.registrations_by_prefix.add(now_ms, from.prefix());
        *self.registering.entry(from.prefix()).or_default() += 1;
        let registering = Registering { origin, from, request, profile: asked.stored(), invite };
        let password = asked.profile.password.into();
        match invite {
            // Whoever guesses codes costs no computation of a password.
            Some(hash) => {
                let invite = Request::Invite { hash, now_ms: cx.now.unix_ms };
                self.ask_store(cx, invite, Pending::RegisterInvite(registering, password));
            }
            None => self.hash_password(cx, registering, password),
        }
    }

    /// Whether registration is open to this person: with an invite, where one is needed.
    fn admit(&self, asked: &SignUp<'_>) -> Result<Option<[u8; 32]>, Refused> {
        let refused = |words: &str| Refused::new(Code::NotOpen, words);
        match self.policy.registration {
            RegistrationMode::Open | RegistrationMode::Approve => Ok(None),
            RegistrationMode::Closed => Err(refused("registration is closed")),
            RegistrationMode::Invite if asked.invite.trim().is_empty() => Err(refused("an invite code is needed")),
            RegistrationMode::Invite => match Invite::hash_of(asked.invite) {
                Some(hash) => Ok(Some(hash)),
                None => Err(refused("this invite code is not good")),
            },
        }
    }

    /// Tells that a registration is not done.
    pub(super) fn refuse_registration(&mut self, cx: &mut Cx<'_>, origin: Origin, why: &Refused) {
        // Nobody is signed in here: in bare frames the answer must not be longer than what was asked.
        self.send_number(cx, origin, 0);
        cx.event(What::SignUpRefused(why.code.detail()), 0, self.address_of(origin));
        // Words about the profile were never told in bare frames; that nobody is let in must be.
        if matches!(origin, Origin::Link(_)) || matches!(why.code, Code::NotOpen | Code::Banned) {
            self.notice_to(cx, origin, REGISTER, why);
        }
    }

    fn hash_password(&mut self, cx: &mut Cx<'_>, registering: Registering, password: Box<str>) {
        let who = Applicant { prefix: registering.from.prefix(), known: false };
        self.ask_password(cx, who, PasswordJob::Hash { password }, Pending::RegisterHash(registering));
    }

    /// Whether the code of somebody who registers is good.
    pub(super) fn register_invite(
        &mut self,
        cx: &mut Cx<'_>,
        registering: Registering,
        password: Box<str>,
        answer: &Answer,
    ) {
        match answer {
            Answer::Until(Some(_)) => self.hash_password(cx, registering, password),
            Answer::Until(None) => self.registration_failed(cx, &registering, &Refused::from(Refusal::BadInvite)),
            _ => self.registration_failed(cx, &registering, &Refused::busy()),
        }
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
            return self.registration_failed(cx, &registering, &Refused::busy());
        };
        let mut account = Box::new(Account::of(registering.profile.clone(), hash, cx.now.unix_ms));
        account.pending = self.policy.registration == RegistrationMode::Approve;
        let request = match registering.invite {
            Some(invite) => Request::RegisterInvited(account, invite),
            None => Request::Register(account),
        };
        self.ask_store(cx, request, Pending::Register(registering));
    }

    pub(super) fn registered(&mut self, cx: &mut Cx<'_>, registering: Registering, answer: &Answer) {
        match *answer {
            Answer::Registered(number) => {
                self.counters.registered += 1;
                cx.event(What::SignedUp, number, Some(registering.from));
                self.send_number(cx, registering.origin, number);
                self.registration_over(cx, &registering, number);
            }
            // Somebody else has used the code up meanwhile.
            Answer::Refused(why @ Refusal::BadInvite) => {
                self.registration_failed(cx, &registering, &Refused::from(why));
            }
            _ => self.registration_failed(cx, &registering, &Refused::busy()),
        }
    }

    fn registration_failed(&mut self, cx: &mut Cx<'_>, registering: &Registering, why: &Refused) {
        self.refuse_registration(cx, registering.origin, why);
        self.registration_over(cx, registering, 0);
    }

    /// It is not in progress any more; a repeat gets the same answer.
    fn registration_over(&mut self, cx: &Cx<'_>, registering: &Registering, number: u32) {
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
