//! Files on their way (protocol.md 3.2, progress): how far a sender may go, and what the receiver tells.

use crate::limits::FILE_AHEAD_BYTES;
use std::collections::BTreeMap;

/// How many bytes arrive before the sender is told, well below how far it may be ahead.
const TELL_EVERY: u32 = FILE_AHEAD_BYTES / 8;

#[derive(Debug, Default)]
pub(super) struct Transfers {
    outgoing: BTreeMap<u32, Outgoing>,
    /// Sizes of what others offer.
    offers: BTreeMap<u32, u32>,
    incoming: BTreeMap<u32, Incoming>,
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
    /// A file is offered to `peer`.
    pub(super) fn offer(&mut self, peer: u32, size: u32) {
        self.outgoing.insert(peer, Outgoing { size, ..Outgoing::default() });
    }

    /// `peer` offers a file.
    pub(super) fn offered(&mut self, peer: u32, size: u32) {
        self.offers.insert(peer, size);
    }

    /// The offer of `peer` is answered.
    pub(super) fn answer(&mut self, peer: u32, allow: bool) {
        let Some(size) = self.offers.remove(&peer).filter(|_| allow) else { return };
        self.incoming.insert(peer, Incoming { size, received: 0, told: 0 });
    }

    /// Bytes that may be sent to `peer` now; `None` if nothing is being sent there.
    pub(super) fn room(&self, peer: u32) -> Option<u32> {
        let outgoing = self.outgoing.get(&peer)?;
        let ahead = outgoing.sent.saturating_sub(outgoing.confirmed);
        Some(FILE_AHEAD_BYTES.saturating_sub(ahead).min(outgoing.size - outgoing.sent))
    }

    /// Bytes that `peer` has.
    pub(super) fn confirmed(&self, peer: u32) -> Option<u32> {
        self.outgoing.get(&peer).map(|outgoing| outgoing.confirmed)
    }

    pub(super) fn sent(&mut self, peer: u32, bytes: u32) {
        if let Some(outgoing) = self.outgoing.get_mut(&peer) {
            outgoing.sent += bytes;
        }
    }

    /// `peer` says how much it has.
    pub(super) fn progress(&mut self, peer: u32, received: u32) {
        if let Some(outgoing) = self.outgoing.get_mut(&peer) {
            outgoing.confirmed = outgoing.confirmed.max(received.min(outgoing.sent));
        }
    }

    /// A piece from `peer` is the application's; gives what to tell the sender.
    pub(super) fn arrived(&mut self, peer: u32, bytes: usize) -> Option<u32> {
        let incoming = self.incoming.get_mut(&peer)?;
        incoming.received = incoming.received.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let done = incoming.received >= incoming.size;
        if !done && incoming.received - incoming.told < TELL_EVERY {
            return None;
        }
        incoming.told = incoming.received;
        let told = incoming.told;
        if done {
            self.incoming.remove(&peer);
        }
        Some(told)
    }

    /// Nothing more of `peer` is taken.
    pub(super) fn stop(&mut self, peer: u32) {
        self.incoming.remove(&peer);
    }

    /// The server knows no such transfer; it does not say which, so it must be the only one.
    pub(super) fn refused(&mut self) {
        if self.outgoing.len() == 1 {
            self.outgoing.clear();
        }
    }

    /// Nothing more goes to `peer`.
    pub(super) fn finish(&mut self, peer: u32) {
        self.outgoing.remove(&peer);
    }

    /// The session is over, and with it all transfers.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
