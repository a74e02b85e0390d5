//! Files on their way (protocol.md 3.1, offer; 3.2, progress): how far a sender may go, and what the receiver tells.

use crate::limits::FILE_AHEAD_BYTES;
use std::collections::BTreeMap;

/// How many bytes arrive before the sender is told, well below how far it may be ahead.
const TELL_EVERY: u32 = FILE_AHEAD_BYTES / 8;

/// With whom, and the number that its sender gave the offer.
pub(super) type Key = (u32, u32);

#[derive(Debug, Default)]
pub(super) struct Transfers {
    outgoing: BTreeMap<Key, Outgoing>,
    /// Sizes of what others offer.
    offers: BTreeMap<Key, u32>,
    incoming: BTreeMap<Key, Incoming>,
}

#[derive(Debug, Default)]
struct Outgoing {
    size: u32,
    sent: u32,
    confirmed: u32,
}

#[derive(Debug)]
struct Incoming {
    size: u32,
    received: u32,
    told: u32,
}

impl Transfers {
    /// A file is offered.
    pub(super) fn offer(&mut self, key: Key, size: u32) {
        self.outgoing.insert(key, Outgoing { size, ..Outgoing::default() });
    }

    /// Somebody offers a file.
    pub(super) fn offered(&mut self, key: Key, size: u32) {
        self.offers.insert(key, size);
    }

    /// An offer of somebody is answered.
    pub(super) fn answer(&mut self, key: Key, allow: bool) {
        let Some(size) = self.offers.remove(&key).filter(|_| allow) else { return };
        self.incoming.insert(key, Incoming { size, received: 0, told: 0 });
    }

    /// Bytes that may be sent now; `None` if nothing is being sent.
    pub(super) fn room(&self, key: Key) -> Option<u32> {
        let outgoing = self.outgoing.get(&key)?;
        let ahead = outgoing.sent.saturating_sub(outgoing.confirmed);
        Some(FILE_AHEAD_BYTES.saturating_sub(ahead).min(outgoing.size - outgoing.sent))
    }

    /// Bytes that the other side has.
    pub(super) fn confirmed(&self, key: Key) -> Option<u32> {
        self.outgoing.get(&key).map(|outgoing| outgoing.confirmed)
    }

    pub(super) fn sent(&mut self, key: Key, bytes: u32) {
        if let Some(outgoing) = self.outgoing.get_mut(&key) {
            outgoing.sent += bytes;
        }
    }

    /// The other side says how much it has.
    pub(super) fn progress(&mut self, key: Key, received: u32) {
        if let Some(outgoing) = self.outgoing.get_mut(&key) {
            outgoing.confirmed = outgoing.confirmed.max(received.min(outgoing.sent));
        }
    }

    /// A piece is the application's; gives what to tell the sender.
    pub(super) fn arrived(&mut self, key: Key, bytes: usize) -> Option<u32> {
        let incoming = self.incoming.get_mut(&key)?;
        incoming.received = incoming.received.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let done = incoming.received >= incoming.size;
        if !done && incoming.received - incoming.told < TELL_EVERY {
            return None;
        }
        incoming.told = incoming.received;
        let told = incoming.told;
        if done {
            self.incoming.remove(&key);
        }
        Some(told)
    }

    /// Nothing more of it is taken.
    pub(super) fn stop(&mut self, key: Key) {
        self.incoming.remove(&key);
    }

    /// The server knows no such transfer; it does not say which, so it must be the only one.
    pub(super) fn refused(&mut self) {
        if self.outgoing.len() == 1 {
            self.outgoing.clear();
        }
    }

    /// Nothing more of it is sent.
    pub(super) fn finish(&mut self, key: Key) {
        self.outgoing.remove(&key);
    }

    /// The session is over, and with it all transfers.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
