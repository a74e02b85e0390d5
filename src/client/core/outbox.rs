//! Messages without a receipt (protocol.md 3.3). They stay here over reconnects and restarts of the server, and go out
//! again in order with the same ids.

use crate::limits::OUTBOX_MESSAGES;
use crate::link::Link;
use crate::wire::User;
use std::collections::{BTreeMap, BTreeSet};

/// How long nothing may be told about a broadcast until it counts as done: the server stores within a second what is not
/// delivered, and nobody knows how many receipts come.
const BROADCAST_QUIET_MS: u64 = 5_000;
/// A broadcast that the server could not store for everybody is repeated after so long: by then the server says so again
/// if it still cannot.
const BROADCAST_AGAIN_MS: u64 = 65_000;
/// A message that has arrived at the server has a receipt within about a second. After so long without one it is sent
/// again: the server could not take it when it came, and says nothing about it.
const QUIET_MS: u64 = 5_000;
/// The first pause until it is sent once more; each is twice as long,
const AGAIN_MS: u64 = 2_000;
/// up to this.
const AGAIN_LONGEST_MS: u64 = 30_000;

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
    /// What the link is to be given, once or once more.
    ready: BTreeSet<u64>,
    /// Users to whom messages are on their way.
    lanes: BTreeMap<u32, Lane>,
    broadcasts: Vec<Broadcast>,
    /// Until then the server may say nothing about recipients of a broadcast for whom it could not store it.
    doubt_until: u64,
}

/// The messages on their way to one user.
#[derive(Debug, Default)]
struct Lane {
    /// Which have gone out and have no receipt, and their last segments.
    sent: BTreeMap<u64, u32>,
    /// When the oldest of them arrived at the server, as far as is known.
    arrived_at: Option<u64>,
    /// 0, or the server did not take the oldest: how long until it goes out again, alone. What is newer waits for its
    /// receipt, so that the order stays.
    pause_ms: u64,
    /// What waits.
    later: BTreeSet<u64>,
}

/// A broadcast under way.
#[derive(Debug)]
struct Broadcast {
    id: u64,
    /// Its last segment.
    seq: u32,
    /// When it is done, if nothing more is told.
    done_at: Option<u64>,
    /// It is not done then, but repeated.
    repeat: bool,
}

impl Lane {
    /// When the oldest message goes out again.
    fn due(&self) -> Option<u64> {
        Some(self.arrived_at? + if self.pause_ms == 0 { QUIET_MS } else { self.pause_ms })
    }
}

impl Outbox {
    /// With what an earlier client left. New ids are above all of those, and not below `first_id`.
    pub(super) fn new(first_id: u64, left: Vec<Unsent>) -> Self {
        let held: BTreeMap<u64, Unsent> = left.into_iter().map(|unsent| (unsent.id, unsent)).collect();
        let next_id = held.last_key_value().map_or(first_id, |(last, _)| first_id.max(last + 1));
        let ready = held.keys().copied().collect();
        Self { held, next_id, ready, lanes: BTreeMap::new(), broadcasts: Vec::new(), doubt_until: 0 }
    }

    /// Takes a message and gives its id; `None` if there is no room.
    pub(super) fn push(&mut self, from: u32, to: Recipient, text: &str) -> Option<u64> {
        let unsent = Unsent { id: self.next_id, from, to, text: text.to_owned() };
        let id = unsent.id;
        self.hold(unsent).then_some(id)
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
        if self.held.contains_key(&unsent.id) {
            return true;
        }
        match self.stalled(unsent.to) {
            Some(lane) => lane.later.insert(unsent.id),
            None => self.ready.insert(unsent.id),
        };
        self.held.insert(unsent.id, unsent);
        true
    }

    /// The lane of a recipient whose oldest message the server did not take.
    fn stalled(&mut self, to: Recipient) -> Option<&mut Lane> {
        let Recipient::User(to) = to else { return None };
        self.lanes.get_mut(&to).filter(|lane| lane.pause_ms > 0)
    }

    /// What has no receipt yet, in order.
    pub(super) fn held(&self) -> impl Iterator<Item = &Unsent> {
        self.held.values()
    }

    /// The next message of this user that is to go out.
    fn next_of(&self, me: u32) -> Option<&Unsent> {
        self.ready.iter().filter_map(|id| self.held.get(id)).find(|unsent| unsent.from == me)
    }

    /// Whether this user has a message that is to go out.
    pub(super) fn is_ready(&self, me: u32) -> bool {
        self.next_of(me).is_some()
    }

    /// Gives the next message of this user to `send`, which gives back its last segment; tells whether there was one.
    pub(super) fn send_next(&mut self, me: u32, send: impl FnOnce(&User<'_>) -> u32) -> bool {
        let Some(next) = self.next_of(me) else { return false };
        let (id, to, seq) = (next.id, next.to, send(&next.as_wire()));
        self.ready.remove(&id);
        match to {
            Recipient::User(to) => drop(self.lanes.entry(to).or_default().sent.insert(id, seq)),
            Recipient::Group(_) => self.broadcasts.push(Broadcast { id, seq, done_at: None, repeat: false }),
        }
        true
    }

    /// Everything is to be sent again: there is a new session, or the server has started anew.
    pub(super) fn reopen(&mut self) {
        self.ready = self.held.keys().copied().collect();
        self.lanes.clear();
        self.broadcasts.clear();
        self.doubt_until = 0;
    }

    /// Takes a receipt, whatever it says: the server answers for the message from now on.
    pub(super) fn receipt(&mut self, now: u64, id: u64) {
        match self.held.get(&id).map(|unsent| unsent.to) {
            Some(Recipient::User(to)) => {
                self.held.remove(&id);
                self.ready.remove(&id);
                self.lane_receipt(to, id);
            }
            Some(Recipient::Group(_)) => {
                let under_way = self.broadcasts.iter_mut().find(|one| one.id == id && !one.repeat);
                under_way.into_iter().for_each(|one| one.done_at = Some(now + BROADCAST_QUIET_MS));
            }
            None => {}
        }
    }

    fn lane_receipt(&mut self, to: u32, id: u64) {
        let Some(lane) = self.lanes.get_mut(&to) else { return };
        let oldest = lane.sent.first_key_value().is_some_and(|(first, _)| *first == id);
        lane.sent.remove(&id);
        lane.later.remove(&id);
        if oldest && lane.pause_ms > 0 {
            // The server takes messages for this user again: all that waits follows, in order.
            self.ready.extend(lane.sent.keys());
            self.ready.append(&mut lane.later);
            lane.sent.clear();
        }
        if oldest {
            (lane.pause_ms, lane.arrived_at) = (0, None);
        }
        if lane.sent.is_empty() && lane.later.is_empty() {
            self.lanes.remove(&to);
        }
    }

    /// The server says that it could not take some message.
    pub(super) fn doubt(&mut self, now: u64) {
        self.doubt_until = now + BROADCAST_AGAIN_MS;
    }

    /// Lets go of the broadcasts about which all has been told, and sends again what the server did not take.
    pub(super) fn settle(&mut self, now: u64, link: &Link) {
        self.settle_broadcasts(now, link);
        let Self { held, ready, lanes, .. } = self;
        for (to, lane) in lanes {
            let Some((oldest, seq)) = lane.sent.first_key_value() else { continue };
            if ready.contains(oldest) {
                continue;
            }
            if lane.arrived_at.is_none() && link.has_arrived(*seq) {
                lane.arrived_at = Some(now);
            }
            if lane.due().is_none_or(|due| now < due) {
                continue;
            }
            if lane.pause_ms == 0 {
                let same = |id: &u64| held.get(id).is_some_and(|unsent| unsent.to == Recipient::User(*to));
                lane.later = ready.iter().copied().filter(same).collect();
                ready.retain(|id| !lane.later.contains(id));
            }
            lane.pause_ms = (lane.pause_ms * 2).clamp(AGAIN_MS, AGAIN_LONGEST_MS);
            lane.arrived_at = None;
            ready.insert(*oldest);
        }
    }

    fn settle_broadcasts(&mut self, now: u64, link: &Link) {
        let Self { held, ready, doubt_until, .. } = self;
        self.broadcasts.retain_mut(|one| {
            if one.done_at.is_none() && link.has_arrived(one.seq) {
                one.done_at = Some(now + BROADCAST_QUIET_MS);
            }
            if one.done_at.is_none_or(|at| now < at) {
                return true;
            }
            if !one.repeat && now < *doubt_until {
                (one.done_at, one.repeat) = (Some(*doubt_until), true);
                return true;
            }
            if one.repeat {
                ready.insert(one.id);
            } else {
                held.remove(&one.id);
            }
            false
        });
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let broadcasts = self.broadcasts.iter().filter_map(|one| one.done_at);
        broadcasts.chain(self.lanes.values().filter_map(Lane::due)).min()
    }
}
