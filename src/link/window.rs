//! The replay window (protocol.md 2.3): which counters have been seen, of the newest thousand.
//!
//! Nearly always all but the newest few have been, and then a word is enough. Only a link that waits for a packet from
//! further back has the whole window.

use crate::limits::REPLAY_WINDOW;

const WORDS: usize = REPLAY_WINDOW / 64;

/// Counters seen.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    /// One above the highest counter seen.
    next: u64,
    /// The newest 64: bit i is `next - 1 - i`. What lies before them has been seen, unless `ring` knows better.
    recent: u64,
    /// One bit for each counter, while some before the newest 64 have not been seen.
    ring: Option<Box<Ring>>,
}

#[derive(Debug, Clone)]
struct Ring([u64; WORDS]);

impl ReplayWindow {
    pub fn new() -> Self {
        Self { next: 0, recent: u64::MAX, ring: None }
    }

    /// One above the highest counter seen.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether a packet with this counter may be new.
    #[inline]
    pub fn is_new(&self, counter: u64) -> bool {
        if counter >= self.next {
            // The last counter could not be told from "none".
            return counter != u64::MAX;
        }
        let back = self.next - 1 - counter;
        match &self.ring {
            None => back < 64 && self.recent >> back & 1 == 0,
            Some(ring) => back < REPLAY_WINDOW as u64 && !ring.has(counter),
        }
    }

    /// Remembers a counter that was new; whether it is the highest so far.
    #[inline]
    pub fn remember(&mut self, counter: u64) -> bool {
        let newest = counter >= self.next;
        if let Some(ring) = &mut self.ring {
            ring.remember(self.next, counter);
            if newest {
                let turned = self.next / 64 != (counter + 1) / 64;
                self.next = counter + 1;
                if turned {
                    self.leave_ring();
                }
            }
        } else if newest {
            let passed = counter - self.next;
            // What leaves the newest 64, and has not been seen, is what the ring is for.
            if passed >= 64 || !self.recent >> (63 - passed) != 0 {
                self.enter_ring();
                return self.remember(counter);
            }
            self.recent = self.recent << passed << 1 | 1;
            self.next = counter + 1;
        } else {
            self.recent |= 1 << (self.next - 1 - counter);
        }
        newest
    }

    #[cold]
    fn enter_ring(&mut self) {
        let mut ring = Ring([u64::MAX; WORDS]);
        for back in (0..64.min(self.next)).filter(|back| self.recent >> back & 1 == 0) {
            ring.clear(self.next - 1 - back);
        }
        self.ring = Some(Box::new(ring));
    }

    /// The ring is needed no more when all before the newest 64 have been seen.
    #[cold]
    fn leave_ring(&mut self) {
        let Some(ring) = &self.ring else { return };
        let first = self.next.saturating_sub(REPLAY_WINDOW as u64);
        if (first..self.next.saturating_sub(64)).all(|counter| ring.has(counter)) {
            let seen = |back: u64| self.next <= back || ring.has(self.next - 1 - back);
            self.recent = (0..64).filter(|back| seen(*back)).fold(0, |bits, back| bits | 1 << back);
            self.ring = None;
        }
    }
}

impl Ring {
    fn has(&self, counter: u64) -> bool {
        self.0[word(counter)] & bit(counter) != 0
    }

    fn clear(&mut self, counter: u64) {
        self.0[word(counter)] &= !bit(counter);
    }

    /// `next` is one above the highest so far.
    fn remember(&mut self, next: u64, counter: u64) {
        if counter >= next {
            if counter - next >= REPLAY_WINDOW as u64 {
                self.0 = [0; WORDS];
            } else {
                (next..counter).for_each(|passed| self.clear(passed));
            }
        }
        self.0[word(counter)] |= bit(counter);
    }
}

fn word(counter: u64) -> usize {
    (counter / 64) as usize % WORDS
}

fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// The window says what a set that never forgets would say, for all that is young enough.
        #[test]
        fn it_agrees_with_a_set(steps in proptest::collection::vec((0_u64..3_000, any::<bool>()), 1..400)) {
            let (mut window, mut seen, mut top) = (ReplayWindow::new(), BTreeSet::new(), 0_u64);
            for (step, forward) in steps {
                let counter = if forward { top + step % 1_500 } else { top.saturating_sub(step) };
                let old = top > counter && top - counter > REPLAY_WINDOW as u64;
                let new = !old && !seen.contains(&counter);
                prop_assert_eq!(window.is_new(counter), new);
                if new {
                    prop_assert_eq!(window.remember(counter), counter >= top);
                    seen.insert(counter);
                    top = top.max(counter + 1);
                }
            }
        }
    }

    #[test]
    fn it_is_small_while_nothing_is_missing() {
        let mut window = ReplayWindow::new();
        for counter in 0..10_000 {
            // Two change places now and then.
            window.remember(if counter % 10 < 2 { counter ^ 1 } else { counter });
            assert!(window.ring.is_none());
        }
        window.remember(10_100);
        assert!(window.ring.is_some() && window.is_new(10_099) && !window.is_new(9_999));
        for counter in 10_000..10_100 {
            assert!(window.is_new(counter));
            window.remember(counter);
        }
        for counter in 10_101..10_300 {
            window.remember(counter);
        }
        assert!(window.ring.is_none(), "what was missing has come");
        assert!(!window.is_new(10_050) && !window.is_new(10_299) && window.is_new(10_300));
    }

    #[test]
    fn the_ends_of_the_window_are_exact() {
        let mut window = ReplayWindow::new();
        assert!(window.is_new(0) && window.remember(0) && !window.is_new(0));
        assert!(window.remember(REPLAY_WINDOW as u64 + 5));
        assert!(window.is_new(6) && !window.is_new(5), "1,024 counters below the highest are known");
        assert!(window.remember(1 << 40) && !window.is_new(1_000) && window.is_new((1 << 40) - 1_023));
        assert!(!window.is_new(u64::MAX));
    }
}
