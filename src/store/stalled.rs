//! Messages that could not be taken for now. Their senders send them again, and until they do, nothing newer of the same
//! sender to the same recipient is taken: it would come before them.

use crate::limits::STALLED_PAIRS;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The first message of each pair of recipient and sender that could not be taken.
#[derive(Debug)]
pub struct Stalled {
    first: BTreeMap<(u32, u32), First>,
    /// Pairs in the order in which they are forgotten.
    order: VecDeque<(u64, (u32, u32))>,
    keep_ms: u64,
    /// The latest time that it was told.
    now_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct First {
    id: u64,
    at_ms: u64,
    /// The oldest of the newer ones that wait for it.
    newer: Option<u64>,
}

impl Stalled {
    /// Remembers a pair for so long.
    pub fn new(keep: Duration) -> Self {
        let keep_ms = u64::try_from(keep.as_millis()).expect("limits.rs has short times");
        Self { first: BTreeMap::new(), order: VecDeque::new(), keep_ms, now_ms: 0 }
    }

    /// A message could not be taken.
    pub fn failed(&mut self, now_ms: u64, to: u32, from: u32, id: u64) {
        self.forget(now_ms);
        if self.first.get(&(to, from)).is_some_and(|first| first.id <= id) {
            return;
        }
        if self.order.len() >= STALLED_PAIRS {
            self.forget_oldest();
        }
        self.first.insert((to, from), First { id, at_ms: self.now_ms, newer: None });
        self.order.push_back((self.now_ms, (to, from)));
    }

    /// Whether this message must wait for an older one. The one that is waited for ends the wait by coming again. So does
    /// the oldest that waits: messages are sent again in order, and the one that is waited for would have come before it.
    #[inline]
    pub fn holds_up(&mut self, now_ms: u64, to: u32, from: u32, id: u64) -> bool {
        if self.first.is_empty() {
            return false;
        }
        self.forget(now_ms);
        let Some(first) = self.first.get_mut(&(to, from)) else { return false };
        if first.id == id || first.newer == Some(id) {
            self.first.remove(&(to, from));
            return false;
        }
        let waits = first.id < id;
        if waits {
            first.newer = Some(first.newer.map_or(id, |newer| newer.min(id)));
        }
        waits
    }

    fn forget(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        while self.order.front().is_some_and(|(at_ms, _)| self.now_ms > at_ms + self.keep_ms) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((at_ms, pair)) = self.order.pop_front()
            && self.first.get(&pair).is_some_and(|first| first.at_ms == at_ms)
        {
            self.first.remove(&pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_waits_for_what_failed_and_for_nothing_else() {
        let mut stalled = Stalled::new(Duration::from_secs(10));
        assert!(!stalled.holds_up(0, 1, 2, 5));
        stalled.failed(0, 1, 2, 5);
        stalled.failed(1, 1, 2, 6);
        assert!(stalled.holds_up(2, 1, 2, 6) && stalled.holds_up(2, 1, 2, 7));
        assert!(!stalled.holds_up(2, 1, 2, 4), "an older one may come before it");
        assert!(!stalled.holds_up(2, 2, 1, 6) && !stalled.holds_up(2, 1, 3, 6), "other pairs");
        assert!(!stalled.holds_up(3, 1, 2, 5), "it has come again");
        assert!(!stalled.holds_up(3, 1, 2, 6));
        stalled.failed(4, 1, 2, 6);
        stalled.failed(5, 1, 2, 5);
        assert!(stalled.holds_up(6, 1, 2, 6), "an older one has failed since");
        assert!(stalled.holds_up(6, 1, 2, 7) && stalled.holds_up(6, 1, 2, 7));
        assert!(!stalled.holds_up(6, 1, 2, 6), "it comes again, and the older one has not come before it");
        stalled.failed(7, 1, 2, 5);
        assert!([8, 7, 8].iter().all(|id| stalled.holds_up(7, 1, 2, *id)), "7 has not come again");
        assert!(!stalled.holds_up(7, 1, 2, 7));
    }

    #[test]
    fn it_forgets_in_time_and_holds_so_many_pairs_at_most() {
        let mut stalled = Stalled::new(Duration::from_secs(10));
        stalled.failed(0, 1, 2, 5);
        assert!(stalled.holds_up(10_000, 1, 2, 6));
        assert!(!stalled.holds_up(10_001, 1, 2, 7));
        for pair in 0..=STALLED_PAIRS as u32 {
            stalled.failed(20_000, pair, 2, 5);
        }
        assert_eq!((stalled.first.len(), stalled.order.len()), (STALLED_PAIRS, STALLED_PAIRS));
        assert!(!stalled.holds_up(20_000, 0, 2, 6) && stalled.holds_up(20_000, 1, 2, 6), "the oldest makes room");
        // One that fails again and again does not grow the order, either.
        for at in 0..3 * STALLED_PAIRS as u64 {
            assert!(!stalled.holds_up(20_001 + at / 1_000, 9, 2, 5));
            stalled.failed(20_001 + at / 1_000, 9, 2, 5);
        }
        assert!(stalled.order.len() <= STALLED_PAIRS);
    }
}
