//! Requests and their answers (protocol.md 1.5, 1.6, 3.2). The link repeats nothing to the rules and loses nothing, so an
//! answer belongs to the oldest request of its type.

use super::RequestId;
use crate::client::error::{Error, code};
use crate::client::event::{AddOutcome, Reply, Status};
use crate::client::profile::{OwnedProfile, Privacy};
use crate::limits::REQUESTS_WAITING;
use crate::link::Link;
use crate::wire::{Server, User};
use std::collections::VecDeque;

/// When a request is given up.
const GIVE_UP_MS: u64 = 30_000;
/// How long a refusal waits for the notice that explains it, which comes right behind it.
const EXPLANATION_MS: u64 = 1_000;
/// A request that has no answer counts as done when it has arrived and nobody has objected for so long.
const NO_OBJECTION_MS: u64 = 400;

/// What answers a request: the type of the frame, and what in it shows that it is not about something else.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Awaits {
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
    Blocked(u32),
    /// There is no answer; only the server's objection can come.
    Nothing,
}

impl Awaits {
    /// What answers this frame; `None` where it is no request of somebody who is signed in.
    fn of(frame: &User<'_>) -> Option<Self> {
        Some(match *frame {
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
            User::Block { other, .. } => Self::Blocked(other),
            User::Ask { .. }
            | User::Answer { .. }
            | User::Monitor { .. }
            | User::OfferFile { .. }
            | User::AnswerFile { .. } => Self::Nothing,
            User::Register { .. }
            | User::SignIn { .. }
            | User::Message { .. }
            | User::Broadcast { .. }
            | User::FileData { .. }
            | User::Received { .. }
            | User::Progress { .. } => return None,
        })
    }

    /// Whether this frame answers it, and how: `Some(None)` is a refusal. Where a refusal has no fields to compare it
    /// is taken for this request.
    fn answered_by(&self, frame: &Server<'_>) -> Option<Option<Reply>> {
        let refused = Some(None);
        let done = |reply| Some(Some(reply));
        match (self, *frame) {
            (Self::Profile(of), Server::Profile { ok: 1, number, profile, reach, details }) => {
                (*of == number).then(|| {
                    let privacy = Privacy::from_codes(reach, details);
                    Some(Reply::Profile(number, Box::new(OwnedProfile { privacy, ..profile.into() })))
                })
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
            (Self::Blocked(of), Server::Blocked { ok: 1, other, .. }) => (*of == other).then_some(Some(Reply::Done)),
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
            (Self::Profile(_), Server::Profile { .. })
            | (Self::GroupAdded(_), Server::GroupAdded { .. })
            | (Self::GroupRenamed(_), Server::GroupRenamed { .. })
            | (Self::GroupDeleted(_), Server::GroupDeleted { .. })
            | (Self::FriendDeleted(_), Server::FriendDeleted { .. })
            | (Self::FriendsMoved, Server::FriendsMoved { .. })
            | (Self::Updated, Server::Updated { .. })
            | (Self::OnlineList, Server::OnlineList { .. })
            | (Self::Blocked(_), Server::Blocked { .. })
            | (Self::Found, Server::Found { .. }) => refused,
            _ => None,
        }
    }

    /// Whether doing it twice is not the same as doing it once.
    fn counts(&self) -> bool {
        matches!(self, Self::GroupAdded(_))
    }

    /// Whether a refusal because there is no such friend or group says that it was done the first time.
    fn takes_away(&self) -> bool {
        matches!(self, Self::GroupDeleted(_) | Self::FriendDeleted(_))
    }
}

/// A request on its way, or waiting for its turn.
#[derive(Debug)]
struct Pending {
    /// `None`: the core itself asks.
    id: Option<RequestId>,
    kind: u8,
    frame: Vec<u8>,
    awaits: Awaits,
    give_up_at: u64,
    /// Its last segment in the present session.
    seq: u32,
    /// When its frame had arrived, for one that has no answer.
    arrived_at: Option<u64>,
    /// When it was refused, while the explanation has not come.
    refused_at: Option<u64>,
    /// It has gone out in an earlier session or start of the server, too.
    again: bool,
    /// Its caller has been told that no answer came; if one does, it is still this request's.
    given_up: bool,
}

/// What a request has come to.
pub(super) type Outcome = (Option<RequestId>, Result<Reply, Error>);

/// Requests on their way, and those that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: VecDeque<Pending>,
    /// One of each type at most: then a notice, which only names the type, belongs to it.
    under_way: Vec<Pending>,
}

impl Requests {
    /// Takes a request.
    pub(super) fn push(&mut self, now: u64, id: Option<RequestId>, frame: &User<'_>) -> Result<(), Error> {
        let Some(awaits) = Awaits::of(frame) else {
            return Err(Error::Invalid(format!("`{}` has a method of its own", frame.name())));
        };
        if self.waiting.len() >= REQUESTS_WAITING {
            return Err(Error::Invalid(format!("{REQUESTS_WAITING} requests wait already; wait for their answers")));
        }
        self.waiting.push_back(Pending::new(now, id, frame, awaits));
        Ok(())
    }

    /// Takes a request of the core's own, which goes out before those that wait: what the user has asked for since comes
    /// after it.
    pub(super) fn push_first(&mut self, now: u64, frame: &User<'_>) {
        if let Some(awaits) = Awaits::of(frame) {
            self.waiting.push_front(Pending::new(now, None, frame, awaits));
        }
    }

    /// Gives the next request that may go out to the link; tells whether there was one. They go in order: one whose type
    /// is under way holds up those behind it.
    pub(super) fn send_next(&mut self, link: &mut Link) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        if self.under_way.iter().any(|pending| pending.kind == next.kind) {
            return false;
        }
        let Some(mut next) = self.waiting.pop_front() else { return false };
        next.seq = link.send(&next.frame);
        self.under_way.push(next);
        true
    }

    /// Takes a frame; the outcome if it ends a request, and whether it was meant for one.
    pub(super) fn take(&mut self, now: u64, frame: &Server<'_>) -> (bool, Option<Outcome>) {
        if let Server::Notice { about, code, text } = *frame {
            let Some(at) = self.under_way.iter().position(|pending| pending.kind == about) else {
                return (false, None);
            };
            return (true, Some(self.under_way.remove(at).refused(code, text)));
        }
        for (at, pending) in self.under_way.iter_mut().enumerate().filter(|(_, one)| one.refused_at.is_none()) {
            match pending.awaits.answered_by(frame) {
                None => {}
                Some(None) => {
                    pending.refused_at = Some(now);
                    return (true, None);
                }
                Some(Some(reply)) => {
                    let pending = self.under_way.remove(at);
                    return (true, (!pending.given_up).then_some((pending.id, Ok(reply))));
                }
            }
        }
        (false, None)
    }

    /// Ends what the clock ends, one at a time.
    pub(super) fn due(&mut self, now: u64, link: Option<&Link>) -> Option<Outcome> {
        for pending in self.under_way.iter_mut().filter(|one| one.awaits == Awaits::Nothing) {
            if pending.arrived_at.is_none() && link.is_some_and(|link| link.has_arrived(pending.seq)) {
                pending.arrived_at = Some(now);
            }
        }
        if let Some(at) = self.under_way.iter().position(|one| one.settles_at().is_some_and(|at| now >= at)) {
            let pending = self.under_way.remove(at);
            return Some(match pending.refused_at {
                Some(_) => pending.refused(0, ""),
                None => (pending.id, Ok(Reply::Done)),
            });
        }
        if let Some(at) = self.waiting.iter().position(|one| one.is_late(now)) {
            let pending = self.waiting.remove(at)?;
            let error = if pending.again && pending.awaits.counts() { Error::Unknown } else { Error::Timeout };
            return Some((pending.id, Err(error)));
        }
        let late = self.under_way.iter_mut().find(|one| !one.given_up && one.is_late(now))?;
        late.given_up = true;
        let error = if late.awaits.counts() { Error::Unknown } else { Error::Timeout };
        Some((late.id, Err(error)))
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let open = self.under_way.iter().filter(|one| !one.given_up).chain(&self.waiting);
        let give_ups = open.filter(|one| one.id.is_some()).map(|one| one.give_up_at);
        give_ups.chain(self.under_way.iter().filter_map(Pending::settles_at)).min()
    }

    /// There is a new session or a new start of the server, or there will be: what has no answer is asked again, in order, before what waits.
    /// What must not be done twice ends, unless it has surely not been taken; `untaken` says that of a request.
    pub(super) fn reopen(&mut self, untaken: impl Fn(&[u8]) -> bool) -> Vec<Outcome> {
        let mut unknown = Vec::new();
        for mut pending in std::mem::take(&mut self.under_way).into_iter().rev() {
            if pending.given_up {
                continue;
            }
            if pending.awaits.counts() && !untaken(&pending.frame) {
                unknown.push((pending.id, Err(Error::Unknown)));
                continue;
            }
            (pending.arrived_at, pending.refused_at, pending.again) = (None, None, true);
            self.waiting.push_front(pending);
        }
        unknown
    }

    /// The server has closed the session because this user has signed out: that is an answer, too.
    pub(super) fn signed_out(&mut self) -> Option<Outcome> {
        let offline = Awaits::Status(Status::Offline.code());
        let at = self.under_way.iter().position(|pending| pending.awaits == offline)?;
        Some((self.under_way.remove(at).id, Ok(Reply::Status(Status::Offline))))
    }

    /// Whether a request can go out now.
    pub(super) fn is_ready(&self) -> bool {
        self.waiting.front().is_some_and(|next| self.under_way.iter().all(|pending| pending.kind != next.kind))
    }

    /// Nobody is signed in any more.
    pub(super) fn end(&mut self) -> Vec<Outcome> {
        let all = std::mem::take(&mut self.under_way).into_iter().chain(std::mem::take(&mut self.waiting));
        all.filter(|pending| !pending.given_up).map(|pending| (pending.id, Err(Error::NotSignedIn))).collect()
    }
}

impl Pending {
    fn new(now: u64, id: Option<RequestId>, frame: &User<'_>, awaits: Awaits) -> Self {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        Self {
            id,
            kind: frame.kind(),
            frame: bytes,
            awaits,
            give_up_at: now + GIVE_UP_MS,
            seq: 0,
            arrived_at: None,
            refused_at: None,
            again: false,
            given_up: false,
        }
    }

    fn refused(self, code: u8, text: &str) -> Outcome {
        let result = if self.again && self.awaits.takes_away() && code == code::NO_FRIEND {
            Ok(Reply::Done)
        } else {
            Err(Error::Refused { code, text: text.to_owned() })
        };
        (self.id.filter(|_| !self.given_up), result)
    }

    /// Whether its caller has waited long enough. What the core itself asks is asked until it is answered: nobody else
    /// would ask again.
    fn is_late(&self, now: u64) -> bool {
        self.id.is_some() && now >= self.give_up_at
    }

    fn settles_at(&self) -> Option<u64> {
        let objection = self.arrived_at.map(|at| at + NO_OBJECTION_MS);
        self.refused_at.map(|at| at + EXPLANATION_MS).or(objection)
    }
}
