//! Messages without a receipt (protocol.md 3.3). They stay here over reconnects and restarts of the server, and go out
//! again in order with the same ids.

use crate::limits::OUTBOX_MESSAGES;
use crate::link::Link;
use crate::wire::User;
use std::collections::BTreeMap;

/// How long nothing may be told about a broadcast until it counts as done: the server stores within a second what is not
/// delivered, and nobody knows how many receipts come.
const BROADCAST_QUIET_MS: u64 = 5_000;

/// To whom a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// One user.
    User(u32),
    /// Every friend in a group; 0 is all groups.
    Group(u8),
}

/// A message without a receipt. A program that must not lose any keeps these on disk and gives them to the next client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Its id.
    pub id: u64,
    /// The user who says it.
    pub from: u32,
    /// To whom.
    pub to: Recipient,
    /// What.
    pub text: String,
}

impl Unsent {
    /// As it goes into a frame.
    pub(super) fn as_wire(&self) -> User<'_> {
        let (me, text, id) = (self.from, self.text.as_str(), Some(self.id));
        match self.to {
            Recipient::User(to) => User::Message { me, to, text, id },
            Recipient::Group(group) => User::Broadcast { me, group: group.into(), text, id },
        }
    }
}

/// Messages without a receipt, by their ids and so in order.
#[derive(Debug)]
pub(super) struct Outbox {
    held: BTreeMap<u64, Unsent>,
    next_id: u64,
    /// The first that the link has not been given.
    unsent: u64,
    /// Broadcasts under way: id, the last segment, and when they are done if nothing more is told.
    broadcasts: Vec<(u64, u32, Option<u64>)>,
}

impl Outbox {
    /// With what an earlier client left. New ids are above all of those, and not below `first_id`.
    pub(super) fn new(first_id: u64, left: Vec<Unsent>) -> Self {
        let held: BTreeMap<u64, Unsent> = left.into_iter().map(|unsent| (unsent.id, unsent)).collect();
        let next_id = held.last_key_value().map_or(first_id, |(last, _)| first_id.max(last + 1));
        Self { held, next_id, unsent: 0, broadcasts: Vec::new() }
    }

    /// Takes a message and gives its id; `None` if there is no room.
    pub(super) fn push(&mut self, from: u32, to: Recipient, text: &str) -> Option<u64> {
        if self.held.len() >= OUTBOX_MESSAGES {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.held.insert(id, Unsent { id, from, to, text: text.to_owned() });
        Some(id)
    }

    /// The id of the next message.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Takes a message that has its id already; tells whether there is room.
    pub(super) fn hold(&mut self, unsent: Unsent) -> bool {
        if self.held.len() >= OUTBOX_MESSAGES {
            return false;
        }
        self.next_id = self.next_id.max(unsent.id + 1);
        // What is sent a second time because of that has its old id: the server drops it.
        self.unsent = self.unsent.min(unsent.id);
        self.held.entry(unsent.id).or_insert(unsent);
        true
    }

    /// What has no receipt yet, in order.
    pub(super) fn held(&self) -> impl Iterator<Item = &Unsent> {
        self.held.values()
    }

    /// Whether this user has a message that is to go out.
    pub(super) fn is_ready(&self, me: u32) -> bool {
        self.held.range(self.unsent..).any(|(_, unsent)| unsent.from == me)
    }

    /// Gives the next message of this user to `send`, which gives back its last segment; tells whether there was one.
    pub(super) fn send_next(&mut self, me: u32, send: impl FnOnce(&User<'_>) -> u32) -> bool {
        let Some(next) = self.held.range(self.unsent..).map(|(_, unsent)| unsent).find(|unsent| unsent.from == me)
        else {
            // What is left is another user's.
            self.unsent = self.next_id;
            return false;
        };
        let (id, seq) = (next.id, send(&next.as_wire()));
        self.unsent = id + 1;
        if matches!(next.to, Recipient::Group(_)) {
            self.broadcasts.push((id, seq, None));
        }
        true
    }

    /// Everything is to be sent again: there is a new session, or the server has started anew.
    pub(super) fn reopen(&mut self) {
        self.unsent = 0;
        self.broadcasts.clear();
    }

    /// Takes a receipt, whatever it says: the server answers for the message from now on.
    pub(super) fn receipt(&mut self, now: u64, id: u64) {
        match self.held.get(&id).map(|unsent| unsent.to) {
            Some(Recipient::User(_)) => drop(self.held.remove(&id)),
            Some(Recipient::Group(_)) => {
                let under_way = self.broadcasts.iter_mut().find(|(of, ..)| *of == id);
                under_way.into_iter().for_each(|(.., done_at)| *done_at = Some(now + BROADCAST_QUIET_MS));
            }
            None => {}
        }
    }

    /// Lets go of the broadcasts about which all has been told.
    pub(super) fn settle(&mut self, now: u64, link: &Link) {
        let held = &mut self.held;
        self.broadcasts.retain_mut(|(id, seq, done_at)| {
            if done_at.is_none() && link.has_arrived(*seq) {
                *done_at = Some(now + BROADCAST_QUIET_MS);
            }
            let done = done_at.is_some_and(|at| now >= at);
            if done {
                held.remove(id);
            }
            !done
        });
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.broadcasts.iter().filter_map(|(.., done_at)| *done_at).min()
    }
}
