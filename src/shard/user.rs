//! A user whom the shard has in memory: the lists, and the session while there is one.

use super::changes::Op;
use super::files::Transfers;
use super::friend_list::Friends;
use super::mailbox::Delivery;
use super::monitor::Monitor;
use super::waiting::Meter;
use super::way::Way;
use crate::limits::{FIRST_GROUP, REPEAT};
use crate::store::{Change, UserRecord, reach};
use crate::wire::{List, Server};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A user who is online, or for whom a change is in progress. Users who are neither are only in the store.
#[derive(Debug)]
pub(super) struct User {
    pub lists: Lists,
    pub session: Option<Session>,
    /// A change waits for the store: the next ones wait for it, so that each is decided on what is durable.
    pub changing: bool,
    /// Takes messages and files only from those on the list (`reach`, protocol.md 3.1).
    pub reached_by_listed: bool,
    pub waiting: Option<Box<Waiting>>,
}

impl User {
    pub fn new(record: &UserRecord) -> Self {
        let reached_by_listed = record.account.reach == reach::LISTED;
        Self { lists: Lists::of(record), session: None, changing: false, reached_by_listed, waiting: None }
    }

    /// Whether this user takes nothing from `other`.
    #[inline]
    pub fn refuses(&self, other: u32) -> bool {
        self.lists.blocks.has(other) || (self.reached_by_listed && !self.lists.has_friend(other))
    }

    /// Follows a change that the store has made.
    pub fn apply(&mut self, change: &Change) {
        if let Change::PutProfile(_, profile, _) = change
            && let Some(reach) = profile.reach()
        {
            self.reached_by_listed = reach == reach::LISTED;
        }
        self.lists.apply(change);
    }

    /// Whether anything still needs it in memory.
    pub fn is_needed(&self) -> bool {
        self.session.is_some() || self.changing || self.waiting.is_some()
    }
}

/// Changes that wait: apart, because most users have none.
#[derive(Debug, Default)]
pub(super) struct Waiting(pub VecDeque<Op>);

/// Groups and friends, as they are in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lists {
    /// Which groups there are. Their names are in the store alone: only a sign-in shows them.
    pub groups: Groups,
    pub friends: Friends,
    /// Whose messages are refused.
    pub blocks: Blocks,
}

/// The numbers of somebody's groups: one bit each, and memory for the high ones only where there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Groups {
    low: u64,
    high: Option<Box<[u64; 3]>>,
}

impl Groups {
    pub fn has(&self, group: u8) -> bool {
        let word = match (group / 64, &self.high) {
            (0, _) => self.low,
            (_, None) => 0,
            (word, Some(high)) => high[usize::from(word) - 1],
        };
        word >> (group % 64) & 1 == 1
    }

    pub fn len(&self) -> usize {
        let high = self.high.iter().flat_map(|high| high.iter());
        high.chain([&self.low]).map(|word| word.count_ones() as usize).sum()
    }

    fn set(&mut self, group: u8, there: bool) {
        let word = match group / 64 {
            0 => &mut self.low,
            word => &mut self.high.get_or_insert_default()[usize::from(word) - 1],
        };
        let bit = 1 << (group % 64);
        *word = if there { *word | bit } else { *word & !bit };
    }
}

/// Whom somebody blocks, and by whom they are blocked. Most have neither, and no memory for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Blocks(Option<Box<BothWays>>);

/// Both in order of number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct BothWays {
    blocked: Vec<u32>,
    by: Vec<u32>,
}

impl Blocks {
    fn of(blocked: &[u32], by: &[u32]) -> Self {
        let some = !blocked.is_empty() || !by.is_empty();
        Self(some.then(|| Box::new(BothWays { blocked: blocked.to_vec(), by: by.to_vec() })))
    }

    fn blocked(&self) -> &[u32] {
        self.0.as_ref().map_or(&[], |both| &both.blocked)
    }

    /// By whom.
    pub fn by(&self) -> &[u32] {
        self.0.as_ref().map_or(&[], |both| &both.by)
    }

    pub fn has(&self, number: u32) -> bool {
        self.blocked().binary_search(&number).is_ok()
    }

    /// Whether this one blocks the owner.
    pub fn is_by(&self, number: u32) -> bool {
        self.by().binary_search(&number).is_ok()
    }

    pub fn len(&self) -> usize {
        self.blocked().len()
    }

    fn set(&mut self, number: u32, on: bool) {
        let mut both = self.0.take().unwrap_or_default();
        put(&mut both.blocked, number, on);
        *self = Self::of(&both.blocked, &both.by);
    }

    /// Somebody blocks the owner, or does so no more. True if that is news.
    pub fn set_by(&mut self, number: u32, on: bool) -> bool {
        let mut both = self.0.take().unwrap_or_default();
        let news = put(&mut both.by, number, on);
        *self = Self::of(&both.blocked, &both.by);
        news
    }
}

/// Puts a number into a list that is in order, or takes it out. True if it was not so before.
fn put(numbers: &mut Vec<u32>, number: u32, on: bool) -> bool {
    match (numbers.binary_search(&number), on) {
        (Err(at), true) => numbers.insert(at, number),
        (Ok(at), false) => drop(numbers.remove(at)),
        _ => return false,
    }
    true
}

impl Lists {
    pub fn of(record: &UserRecord) -> Self {
        let mut groups = Groups::default();
        record.groups.iter().for_each(|(group, _)| groups.set(*group, true));
        Self { groups, friends: Friends::of(&record.friends), blocks: Blocks::of(&record.blocks, &record.blockers) }
    }

    pub fn has_friend(&self, number: u32) -> bool {
        self.friends.has(number)
    }

    pub fn has_group(&self, group: u8) -> bool {
        self.groups.has(group)
    }

    /// How many friends are in a group.
    pub fn size(&self, group: u8) -> usize {
        self.friends.iter().filter(|(_, of)| *of == group).count()
    }

    /// The smallest free number of a group (protocol.md 1.5, 0x06).
    pub fn free_group(&self) -> Option<u8> {
        (FIRST_GROUP + 1..=u8::MAX).find(|group| !self.has_group(*group))
    }

    /// Follows a change that the store has made.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutGroup(_, group, _) => self.groups.set(*group, true),
            Change::DeleteGroup(_, group) => self.groups.set(*group, false),
            Change::PutFriend { friend, group, .. } => self.friends.put(*friend, *group),
            Change::DeleteFriend { friend, .. } => self.friends.remove(*friend),
            Change::PutBlock { other, .. } => self.blocks.set(*other, true),
            Change::DeleteBlock { other, .. } => self.blocks.set(*other, false),
            Change::PutProfile(..)
            | Change::PutPassword(..)
            | Change::SetDisabled(..)
            | Change::SetLimits(..)
            | Change::PutAsk { .. }
            | Change::DeleteAsk { .. }
            | Change::AddMail(..)
            | Change::DeleteMail(..)
            | Change::DeleteMailAt(..)
            | Change::GiveMail(..)
            | Change::GiveMailAt(..)
            | Change::DeleteGiven(_)
            | Change::PutToken(_)
            | Change::EndTokens { .. }
            | Change::KeepOnly { .. }
            | Change::DeleteTokens(_)
            | Change::PutSession(..)
            | Change::DeleteSession { .. }
            | Change::SetSessionAddress { .. }
            | Change::SetSessionStatus { .. }
            | Change::PutGrant(_)
            | Change::DeleteGrant { .. }
            | Change::DeleteAccount(_)
            | Change::Approve(_)
            | Change::PutInvite(_)
            | Change::DeleteInvite(_)
            | Change::PutBan(_)
            | Change::LiftBan(_)
            | Change::PutSeen(..)
            | Change::AcknowledgeAudit => {}
        }
    }
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// Tells it from an earlier session of the same user. Over the link it is the link's.
    pub id: u32,
    pub way: Way,
    /// 1 online, 2 hidden, 3 do not disturb.
    pub status: u8,
    /// When the last packet came: the lower half of the clock's milliseconds, which turns around after seven weeks.
    pub heard_ms: u32,
    pub delivery: Delivery,
    /// Counts requests, so that a late answer finds its own.
    pub serial: u32,
    pub latest: Option<Box<Latest>>,
    /// How much it does, while that matters.
    pub meter: Option<Box<Meter>>,
    pub transfers: Option<Box<Transfers>>,
    pub monitor: Option<Box<Monitor>>,
}

impl Session {
    /// A session that has just begun.
    pub fn new(id: u32, way: Way, status: u8, now_ms: u64) -> Self {
        Self {
            id,
            way,
            status,
            heard_ms: now_ms as u32,
            delivery: Delivery::new(),
            serial: 0,
            latest: None,
            meter: None,
            transfers: None,
            monitor: None,
        }
    }
}

/// The status that others are told: hidden is told as offline.
pub(super) fn visible(status: u8) -> u8 {
    if status == HIDDEN { super::OFFLINE } else { status }
}

pub(super) const ONLINE: u8 = 1;
pub(super) const HIDDEN: u8 = 2;

/// The latest request of a session and what it was answered: a repeat gets the same (protocol.md 1.8).
#[derive(Debug)]
pub(super) struct Latest {
    pub request: Fingerprint,
    pub at_ms: u64,
    pub serial: u32,
    /// The frames of the answer, one after the other.
    pub reply: Vec<u8>,
    /// When it was last given to a repeat.
    pub repeated_ms: u64,
}

impl Latest {
    pub fn is_repeated_by(&self, now_ms: u64, bytes: &[u8]) -> bool {
        !self.is_over(now_ms) && self.request == Fingerprint::of(bytes)
    }

    /// Whether the time in which it can be repeated has passed.
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms > self.at_ms + REPEAT.as_millis() as u64
    }
}

/// Who asked for what, and by which request of which session: a late answer goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    pub number: u32,
    pub session: u32,
    pub serial: u32,
    /// The type of the request.
    pub request: u8,
    /// Whom it is about; 0 where it is about nobody.
    pub subject: u32,
}

impl Asker {
    /// The reply that says "not done", for the requests that have one. Its other fields are zero or empty.
    pub fn failed(&self) -> Option<Server<'static>> {
        Some(match self.request {
            0x05 => Server::Profile { ok: 0, number: 0, profile: Default::default(), reach: None, details: None },
            0x06 => Server::GroupAdded { ok: 0, group: 0, name: "" },
            0x07 => Server::GroupRenamed { ok: 0, group: 0, name: "" },
            0x08 => Server::GroupDeleted { ok: 0, group: 0 },
            0x09 => Server::FriendsMoved { ok: 0 },
            0x0A => Server::OnlineList { ok: 0, users: List::NONE },
            0x0B => Server::Found { ok: 0, users: List::NONE },
            0x0C => Server::AddResult { result: 0, friend: self.subject },
            0x0E => Server::FriendDeleted { ok: 0, friend: 0 },
            0x12 => Server::Updated { ok: 0 },
            0x44 => Server::Blocked { ok: 0, other: 0, on: 0 },
            _ => return None,
        })
    }
}

/// Stands for the bytes of a request, so that a repeat is known and nobody's bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    length: usize,
    hash: u64,
}

impl Fingerprint {
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self { length: bytes.len(), hash: hasher.finish() }
    }
}
