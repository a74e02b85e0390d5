//! On the way in: a handshake and then the first frame, which registers or signs in (protocol.md 2.6). Nothing of it
//! touches the session that stands until the new one is good.

use super::RequestId;
use super::door::Door;
use super::session::Session;
use crate::client::event::{Group, Status};
use crate::link::{CloseCode, Established};
use crate::wire::{Server, User};

/// How long a refusal waits for the notice that explains it, which comes right behind it.
const EXPLANATION_MS: u64 = 1_000;

/// How long the answer to a sign-in may take: an account at which many have guessed makes a password wait for half a minute
/// (protocol.md 2.6), and then for its turn to be checked.
const ANSWER_MS: u64 = 50_000;
/// After so long without an answer the caller is told that it is the server that takes its time,
const DELAYED_MS: u64 = 3_000;
/// and so often the server is asked whether it still knows the link: one that was started anew never answers.
const TEST_EVERY_MS: u64 = 5_000;

/// What a user signs in with.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) password: Option<String>,
    pub(super) token: Option<String>,
    pub(super) status: Status,
}

/// Secrets are never shown.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?})", self.status)
    }
}

/// What for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Register; the frame.
    Register(RequestId, Vec<u8>),
    /// Sign in; by itself where nobody waits for it.
    SignIn(Option<RequestId>, Login),
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not before this.
    Pausing(u64),
    Knocking(Box<Door>),
    Inside(Box<Session>),
}

/// A registration or a sign-in under way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) purpose: Purpose,
    pub(super) phase: Phase,
    /// `None`: it goes on for ever.
    pub(super) give_up_at: Option<u64>,
    refused_at: Option<u64>,
    /// Where a sign-in waits for its answer.
    wait: Option<Wait>,
    /// The other key has been told.
    pub(super) warned: bool,
}

/// A sign-in has been said, and its answer has not come.
#[derive(Debug)]
struct Wait {
    /// When it begins anew.
    until: u64,
    /// When the caller is told that it takes its time; `None` when that has been done.
    delayed_at: Option<u64>,
    /// When the server is asked next whether it knows the link.
    test_at: u64,
}

/// What the server has said to it.
#[derive(Debug)]
pub(super) enum Verdict {
    Registered(u32),
    SignedIn { groups: Vec<Group>, token: Option<String> },
    Refused { code: u8, text: String },
}

impl Entry {
    pub(super) fn new(number: u32, purpose: Purpose, phase: Phase, give_up_at: Option<u64>) -> Self {
        Self { number, purpose, phase, give_up_at, refused_at: None, wait: None, warned: false }
    }

    /// Whether somebody waits for it.
    pub(super) fn caller(&self) -> Option<RequestId> {
        match self.purpose {
            Purpose::Register(id, _) => Some(id),
            Purpose::SignIn(id, _) => id,
        }
    }

    pub(super) fn is_register(&self) -> bool {
        matches!(self.purpose, Purpose::Register(..))
    }

    /// The handshake stands: says what it came for.
    pub(super) fn enter(&mut self, now: u64, established: &Established) {
        self.wait = (!self.is_register()).then_some(Wait {
            until: now + ANSWER_MS,
            delayed_at: self.caller().map(|_| now + DELAYED_MS),
            test_at: now + TEST_EVERY_MS,
        });
        let mut session = Box::new(Session::new(self.number, established));
        self.say(&mut session);
        self.phase = Phase::Inside(session);
    }

    fn say(&self, session: &mut Session) {
        match &self.purpose {
            Purpose::Register(_, frame) => {
                session.link.send(frame);
            }
            Purpose::SignIn(_, login) => {
                let token = login.token.as_deref();
                let password = if token.is_some() { "" } else { login.password.as_deref().unwrap_or_default() };
                let mode = u8::from(login.status == Status::Hidden);
                let token = Some(token.unwrap_or_default());
                session.send(&User::SignIn { me: self.number, password, mode, token });
            }
        }
    }

    /// The server has started anew, and knows of nothing that was said before.
    pub(super) fn say_again(&mut self) {
        let Phase::Inside(mut session) = std::mem::replace(&mut self.phase, Phase::Pausing(0)) else { return };
        session.link.take_unacknowledged();
        self.refused_at = None;
        self.say(&mut session);
        self.phase = Phase::Inside(session);
    }

    /// The token was not good: once more with the password, if there is one.
    pub(super) fn try_password(&mut self) -> bool {
        let Purpose::SignIn(_, login) = &mut self.purpose else { return false };
        if login.token.is_none() || login.password.is_none() {
            return false;
        }
        login.token = None;
        self.refused_at = None;
        let Phase::Inside(mut session) = std::mem::replace(&mut self.phase, Phase::Pausing(0)) else { return false };
        self.say(&mut session);
        self.phase = Phase::Inside(session);
        true
    }

    /// Begins anew at the door.
    pub(super) fn knock(&mut self, door: Box<Door>) {
        (self.refused_at, self.wait) = (None, None);
        self.phase = Phase::Knocking(door);
    }

    /// Takes a frame.
    pub(super) fn take(&mut self, now: u64, frame: &Server<'_>) -> Option<Verdict> {
        let asked = if self.is_register() { 0x01 } else { 0x02 };
        match (*frame, &self.purpose) {
            (Server::Registered { ok: 1, number }, Purpose::Register(..)) => Some(Verdict::Registered(number)),
            (Server::SignedIn { ok: 1, groups, token }, Purpose::SignIn(..)) => Some(Verdict::SignedIn {
                groups: groups.iter().map(Into::into).collect(),
                token: token.filter(|token| !token.is_empty()).map(str::to_owned),
            }),
            (Server::Registered { .. }, Purpose::Register(..)) | (Server::SignedIn { .. }, Purpose::SignIn(..)) => {
                self.refused_at.get_or_insert(now);
                None
            }
            (Server::Notice { about, code, text }, _) if about == asked => {
                Some(Verdict::Refused { code, text: text.to_owned() })
            }
            _ => None,
        }
    }

    /// No answer has come, and none will.
    pub(super) fn is_unanswered(&self, now: u64) -> bool {
        self.waiting().is_some_and(|wait| now >= wait.until)
    }

    /// The wait for an answer, unless it has been refused and only the words are missing.
    fn waiting(&self) -> Option<&Wait> {
        self.wait.as_ref().filter(|_| self.refused_at.is_none() && matches!(self.phase, Phase::Inside(_)))
    }

    /// Asks whether the server still knows the link, if it is time to.
    pub(super) fn test(&mut self, now: u64) {
        if self.waiting().is_none_or(|wait| now < wait.test_at) {
            return;
        }
        if let (Some(wait), Phase::Inside(session)) = (&mut self.wait, &mut self.phase) {
            wait.test_at = now + TEST_EVERY_MS;
            session.send_loose(&User::Test { me: self.number });
        }
    }

    /// Whether its caller is to be told now that the server takes its time: once.
    pub(super) fn is_delayed(&mut self, now: u64) -> bool {
        let due = self.waiting().and_then(|wait| wait.delayed_at).is_some_and(|at| now >= at);
        if due && let Some(wait) = &mut self.wait {
            wait.delayed_at = None;
        }
        due
    }

    /// The explanation of a refusal has not come.
    pub(super) fn is_refused(&self, now: u64) -> bool {
        self.refused_at.is_some_and(|at| now >= at + EXPLANATION_MS)
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let phase = match &self.phase {
            Phase::Pausing(until) => Some(*until),
            Phase::Knocking(door) => Some(door.deadline()),
            Phase::Inside(session) => session.link.deadline(),
        };
        let refused = self.refused_at.map(|at| at + EXPLANATION_MS);
        let wait = self.waiting().map(|wait| wait.delayed_at.unwrap_or(u64::MAX).min(wait.test_at).min(wait.until));
        [phase, refused, self.give_up_at, wait].into_iter().flatten().min()
    }

    /// The session, to go on with or to be closed.
    pub(super) fn into_session(self) -> Option<Session> {
        match self.phase {
            Phase::Inside(session) => Some(*session),
            Phase::Pausing(_) | Phase::Knocking(_) => None,
        }
    }
}

/// The last packet of a session that is not needed any more.
pub(super) fn farewell(mut session: Session, now: u64, ciphers: &mut crate::link::Ciphers) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    session.link.close(CloseCode::SignedOut, "");
    session.link.poll(now, ciphers, &mut packet).then_some(packet)
}
