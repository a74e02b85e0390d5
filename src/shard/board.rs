//! The board: one byte a number, the visible status of every user.
//!
//! It is the one thing that shards share, and with it who was told lately to sign in. Each writes the bytes of its own
//! users only; anyone reads. So "who is online" and the status in a friend list cost no message between shards, and
//! answers are in strict order of number.

use super::endpoint::Endpoint;
use crate::limits::{FIRST_USER, LAST_USER, SIGN_IN_HINT, SIGN_IN_HINTS};
use crate::seeded::Seed;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The visible status of somebody who is offline or hidden (protocol.md 1.4).
pub const OFFLINE: u8 = 4;

/// Numbers in a chunk: small enough that a page through a sparse stretch reads little.
const CHUNK: usize = 1 << 14;

/// Visible statuses by number. Numbers are dense, so chunks of them come to be as they are needed: one byte a user.
pub struct Board {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    /// Who was told lately to sign in, and when: see [`Board::may_hint`].
    hints: Box<[AtomicU64]>,
    /// Which place that is for an address.
    seed: Seed,
}

struct Chunk {
    /// How many bytes of it are not zero, so that an empty stretch is passed over at once.
    shown: AtomicU32,
    /// 0 where nobody is visible: the memory of a fresh chunk is untouched.
    status: Box<[AtomicU8; CHUNK]>,
}

impl Board {
    /// Nobody is online.
    pub fn new(seed: Seed) -> Self {
        let chunks = (LAST_USER as usize + 1) / CHUNK;
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            hints: (0..SIGN_IN_HINTS).map(|_| AtomicU64::new(0)).collect(),
            seed,
        }
    }

    /// Sets the visible status of a user; hidden is told as offline by the caller.
    pub fn set(&self, number: u32, status: u8) {
        let stored = if status == OFFLINE { 0 } else { status };
        let Some(slot) = self.chunks.get(number as usize / CHUNK) else { return };
        if stored == 0 && slot.get().is_none() {
            return;
        }
        let chunk = slot.get_or_init(|| {
            let zeroed = std::iter::repeat_with(|| AtomicU8::new(0)).take(CHUNK).collect::<Vec<_>>().into_boxed_slice();
            let status: Box<[AtomicU8; CHUNK]> =
                zeroed.try_into().unwrap_or_else(|_| unreachable!("it has CHUNK entries"));
            Box::new(Chunk { shown: AtomicU32::new(0), status })
        });
        let before = chunk.status[number as usize % CHUNK].swap(stored, Relaxed);
        match (before != 0, stored != 0) {
            (false, true) => drop(chunk.shown.fetch_add(1, Relaxed)),
            (true, false) => drop(chunk.shown.fetch_sub(1, Relaxed)),
            _ => {}
        }
    }

    /// Whether this address may be told to sign in: at most once a second a prefix, whichever shards its numbers belong to
    /// (protocol.md 1.8); on this machine itself each port counts apart. A place holds the latest that fell on it, so the
    /// memory is fixed; of two that share one and take turns, neither is held back.
    pub fn may_hint(&self, address: Endpoint, now_ms: u64) -> bool {
        const TIME_BITS: u32 = 40;
        let prefix = address.prefix();
        let hash = if prefix.is_loopback() { self.seed.hash(address) } else { self.seed.hash(prefix) };
        let place = &self.hints[hash as usize % self.hints.len()];
        let (tag, time) = (hash >> TIME_BITS, (now_ms + 1) & ((1 << TIME_BITS) - 1));
        let seen = place.load(Relaxed);
        let lately = time < (seen & ((1 << TIME_BITS) - 1)) + SIGN_IN_HINT.as_millis() as u64;
        let same = seen >> TIME_BITS == tag && seen != 0;
        // Of two shards that are asked at once, one is let.
        !(same && lately) && place.compare_exchange(seen, tag << TIME_BITS | time, Relaxed, Relaxed).is_ok()
    }

    /// The visible status of a number: 1, 3, or 4 for everybody else.
    pub fn get(&self, number: u32) -> u8 {
        let chunk = self.chunks.get(number as usize / CHUNK).and_then(OnceLock::get);
        match chunk.map_or(0, |chunk| chunk.status[number as usize % CHUNK].load(Relaxed)) {
            0 => OFFLINE,
            status => status,
        }
    }

    /// The first `count` visible users beyond `start`, itself left out: upwards in rising order, or downwards in falling
    /// order (protocol.md 1.7). Those of whom `shown` says no are passed over.
    pub fn beyond(&self, start: u32, count: usize, upwards: bool, shown: impl Fn(u32) -> bool) -> Vec<u32> {
        let shown = |number: &u32| shown(*number);
        if upwards {
            self.visible((start.saturating_add(1)).max(FIRST_USER)..=LAST_USER).filter(shown).take(count).collect()
        } else {
            let Some(highest) = start.checked_sub(1) else { return Vec::new() };
            self.visible_down(highest.min(LAST_USER)).filter(shown).take(count).collect()
        }
    }

    fn visible(&self, range: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = u32> {
        let (first, last) = (*range.start(), *range.end());
        self.occupied(first as usize / CHUNK..self.chunks.len()).flat_map(move |(base, chunk)| {
            let from = (first as usize).saturating_sub(base).min(CHUNK);
            let to = (last as usize + 1).saturating_sub(base).min(CHUNK);
            (from..to).filter(|at| chunk.status[*at].load(Relaxed) != 0).map(move |at| (base + at) as u32)
        })
    }

    fn visible_down(&self, highest: u32) -> impl Iterator<Item = u32> {
        self.occupied(0..highest as usize / CHUNK + 1).rev().flat_map(move |(base, chunk)| {
            let to = (highest as usize + 1).saturating_sub(base).min(CHUNK);
            (0..to).rev().filter(|at| chunk.status[*at].load(Relaxed) != 0).map(move |at| (base + at) as u32)
        })
    }

    fn occupied(&self, chunks: std::ops::Range<usize>) -> impl DoubleEndedIterator<Item = (usize, &Chunk)> {
        let first = chunks.start;
        let chunks = &self.chunks[chunks.start.min(self.chunks.len())..chunks.end.min(self.chunks.len())];
        chunks.iter().enumerate().filter_map(move |(at, slot)| {
            let chunk = slot.get().filter(|chunk| chunk.shown.load(Relaxed) > 0)?;
            Some(((first + at) * CHUNK, &**chunk))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_in_strict_order_of_number() {
        let board = Board::new(Seed::new([1; 32]));
        let online = [10_000, 10_001, 65_535, 65_536, 200_000, LAST_USER];
        for (at, number) in online.iter().enumerate() {
            board.set(*number, if at % 2 == 0 { 1 } else { 3 });
        }
        assert_eq!(board.beyond(0, 255, true, |_| true), online);
        assert_eq!(board.beyond(10_000, 2, true, |_| true), online[1..3]);
        assert_eq!(board.beyond(LAST_USER, 5, true, |_| true), [0; 0]);
        assert_eq!(board.beyond(u32::MAX, 2, false, |_| true), [LAST_USER, 200_000]);
        assert_eq!(board.beyond(65_536, 255, false, |_| true), [65_535, 10_001, 10_000]);
        assert_eq!(board.beyond(10_000, 5, false, |_| true), [0; 0]);
        assert_eq!(board.beyond(0, 5, false, |_| true), [0; 0]);
        board.set(65_535, OFFLINE);
        assert_eq!((board.get(65_535), board.get(65_536), board.get(5), board.get(u32::MAX)), (4, 3, 4, 4));
        assert_eq!(board.beyond(10_001, 1, true, |_| true), [65_536]);
    }
}
