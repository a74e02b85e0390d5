//! A request that waits for its answer: when to repeat it, and which frame answers it (protocol.md 1.5, 1.6, 1.8).

use super::core::{RequestId, Transport};
use super::error::Error;
use super::event::{AddOutcome, Reply, Status};
use crate::wire::{Server, User};

/// The first pause before a repetition; each later one is twice as long.
const FIRST_PAUSE_MS: u64 = 1_000;
/// When a request is given up. The server knows a repeat for as long (`limits::REPEAT`).
const GIVE_UP_MS: u64 = crate::limits::REPEAT.as_millis() as u64;
/// A request that has no answer is repeated once after this, against loss,
const UNANSWERED_REPEAT_MS: u64 = 200;
/// and counts as done after this if the server has not objected.
const UNANSWERED_DONE_MS: u64 = 400;
/// How long a refusal waits for the words that explain it, which may come just after it.
const EXPLANATION_MS: u64 = 150;

/// A request on its way, or waiting for its turn.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: RequestId,
    pub(super) frame: Vec<u8>,
    pub(super) awaits: Awaits,
    /// The server's words that came while it was on its way.
    pub(super) explanation: Vec<String>,
    sent_at: u64,
    repeat_at: Option<u64>,
    pause: u64,
    refused_at: Option<u64>,
}

/// What answers a request: the type of the frame, and what in it shows that it is not the answer to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Awaits {
    Registered,
    SignedIn,
    Profile(u32),
    GroupAdded(String),
    GroupRenamed(u8),
    GroupDeleted(u8),
    FriendsMoved,
    OnlineList,
    Found,
    AddResult(u32),
    FriendDeleted(u32),
    Status(u8),
    Updated,
    Test,
    /// 1999 gave it no answer; only the server's objection can come.
    Nothing,
}

impl Awaits {
    /// What answers this frame; `None` where it is no request: 0x03, 0x04 and 0x15 are never repeated.
    pub(super) fn of(frame: &User<'_>) -> Option<Self> {
        Some(match *frame {
            User::Register { .. } => Self::Registered,
            User::SignIn { .. } => Self::SignedIn,
            User::View { friend, .. } => Self::Profile(friend),
            User::AddGroup { name, .. } => Self::GroupAdded(name.to_owned()),
            User::RenameGroup { group, .. } => Self::GroupRenamed(group),
            User::DeleteGroup { group, .. } => Self::GroupDeleted(group),
            User::MoveFriends { .. } => Self::FriendsMoved,
            User::Online { .. } => Self::OnlineList,
            User::Search { .. } => Self::Found,
            User::AddFriend { friend, .. } => Self::AddResult(friend),
            User::DeleteFriend { friend, .. } => Self::FriendDeleted(friend),
            User::SetStatus { status, .. } => Self::Status(status),
            User::Update { .. } => Self::Updated,
            User::Test { .. } => Self::Test,
            User::Ask { .. }
            | User::Answer { .. }
            | User::Monitor { .. }
            | User::OfferFile { .. }
            | User::AnswerFile { .. } => Self::Nothing,
            User::Message { .. }
            | User::Broadcast { .. }
            | User::FileData { .. }
            | User::Received { .. }
            | User::Block { .. }
            | User::Progress { .. } => return None,
        })
    }

    /// Whether this frame answers it, and how: `Some(None)` is a refusal. Where a refusal has no fields to compare it
    /// is taken for this request.
    fn answered_by(&self, frame: &Server<'_>) -> Option<Option<Reply>> {
        let refused = Some(None);
        let done = |reply| Some(Some(reply));
        match (self, *frame) {
            (Self::Registered, Server::Registered { ok: 1, number }) => done(Reply::Registered(number)),
            (Self::SignedIn, Server::SignedIn { ok: 1, groups, .. }) => {
                done(Reply::SignedIn(groups.iter().map(Into::into).collect()))
            }
            (Self::Profile(of), Server::Profile { ok: 1, number, profile }) => {
                (*of == number).then(|| Some(Reply::Profile(number, Box::new(profile.into()))))
            }
            (Self::GroupAdded(of), Server::GroupAdded { ok: 1, group, name }) => {
                (of == name).then(|| Some(Reply::Group(group, name.to_owned())))
            }
            (Self::GroupRenamed(of), Server::GroupRenamed { ok: 1, group, name }) => {
                (*of == group).then(|| Some(Reply::Group(group, name.to_owned())))
            }
            (Self::GroupDeleted(of), Server::GroupDeleted { ok: 1, group }) => {
                (*of == group).then_some(Some(Reply::Done))
            }
            (Self::FriendDeleted(of), Server::FriendDeleted { ok: 1, friend }) => {
                (*of == friend).then_some(Some(Reply::Done))
            }
            (Self::FriendsMoved, Server::FriendsMoved { ok: 1 }) | (Self::Updated, Server::Updated { ok: 1 }) => {
                done(Reply::Done)
            }
            (Self::OnlineList, Server::OnlineList { ok: 1, users }) | (Self::Found, Server::Found { ok: 1, users }) => {
                done(Reply::People(users.iter().map(Into::into).collect()))
            }
            (Self::AddResult(of), Server::AddResult { result, friend }) => {
                (*of == friend).then(|| AddOutcome::from_code(result).map(|outcome| Reply::Added(friend, outcome)))
            }
            // A refused change is answered with the status as it was.
            (Self::Status(of), Server::StatusSet { status, .. }) => {
                Some((*of == status).then(|| Reply::Status(Status::from_code(status))))
            }
            (Self::Test, Server::TestReply { .. }) => done(Reply::Done),
            (Self::Registered, Server::Registered { .. })
            | (Self::SignedIn, Server::SignedIn { .. })
            | (Self::Profile(_), Server::Profile { .. })
            | (Self::GroupAdded(_), Server::GroupAdded { .. })
            | (Self::GroupRenamed(_), Server::GroupRenamed { .. })
            | (Self::GroupDeleted(_), Server::GroupDeleted { .. })
            | (Self::FriendDeleted(_), Server::FriendDeleted { .. })
            | (Self::FriendsMoved, Server::FriendsMoved { .. })
            | (Self::Updated, Server::Updated { .. })
            | (Self::OnlineList, Server::OnlineList { .. })
            | (Self::Found, Server::Found { .. }) => refused,
            _ => None,
        }
    }
}

/// What the clock asks of a request.
pub(super) enum Due {
    Nothing,
    Repeat,
    Finish(Result<Reply, Error>),
}

impl Pending {
    pub(super) fn new(id: RequestId, frame: Vec<u8>, awaits: Awaits) -> Self {
        Self { id, frame, awaits, explanation: Vec::new(), sent_at: 0, repeat_at: None, pause: 0, refused_at: None }
    }

    /// It is being sent for the first time.
    pub(super) fn start(&mut self, now: u64, transport: Transport) {
        self.sent_at = now;
        self.pause = if self.awaits == Awaits::Nothing { UNANSWERED_REPEAT_MS } else { FIRST_PAUSE_MS };
        self.repeat_at = (transport == Transport::Udp).then_some(now + self.pause);
    }

    /// Takes a frame; the result if it ends the request now, and whether the frame was meant for it.
    pub(super) fn take(&mut self, now: u64, frame: &Server<'_>) -> (bool, Option<Result<Reply, Error>>) {
        if let Server::Message { flag: 1, sender: 0, kind: 0, text, .. } = *frame {
            self.explanation.push(text.to_owned());
            let ends = self.refused_at.is_some() || self.awaits == Awaits::Nothing;
            return (true, ends.then(|| Err(self.refusal())));
        }
        match self.awaits.answered_by(frame) {
            None => (false, None),
            Some(Some(reply)) => (true, Some(Ok(reply))),
            Some(None) if !self.explanation.is_empty() => (true, Some(Err(self.refusal()))),
            Some(None) => {
                self.refused_at.get_or_insert(now);
                self.repeat_at = None;
                (true, None)
            }
        }
    }

    pub(super) fn due(&mut self, now: u64) -> Due {
        if now >= self.ends_at() {
            return Due::Finish(match self.awaits {
                Awaits::Nothing => Ok(Reply::Done),
                _ if self.refused_at.is_some() || !self.explanation.is_empty() => Err(self.refusal()),
                _ => Err(Error::Timeout),
            });
        }
        if self.repeat_at.is_none_or(|at| now < at) {
            return Due::Nothing;
        }
        self.pause *= 2;
        self.repeat_at = (self.awaits != Awaits::Nothing).then_some(now + self.pause);
        Due::Repeat
    }

    pub(super) fn deadline(&self) -> u64 {
        self.repeat_at.map_or(self.ends_at(), |at| at.min(self.ends_at()))
    }

    fn ends_at(&self) -> u64 {
        match (self.refused_at, &self.awaits) {
            (Some(at), _) => at + EXPLANATION_MS,
            (None, Awaits::Nothing) => self.sent_at + UNANSWERED_DONE_MS,
            (None, _) => self.sent_at + GIVE_UP_MS,
        }
    }

    fn refusal(&mut self) -> Error {
        Error::Refused { text: std::mem::take(&mut self.explanation).join("; ") }
    }
}
