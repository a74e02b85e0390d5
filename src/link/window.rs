//! The replay window (protocol.md 2.3): which counters have been seen, of the newest thousand.

use crate::limits::REPLAY_WINDOW;

const WORDS: usize = REPLAY_WINDOW / 64;

/// Counters seen. One bit each in a ring.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    /// One above the highest counter seen.
    next: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    pub fn new() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }

    /// Whether a packet with this counter may be new.
    #[inline]
    pub fn is_new(&self, counter: u64) -> bool {
        if counter >= self.next {
            // The last counter could not be told from "none".
            return counter != u64::MAX;
        }
        self.next - counter <= REPLAY_WINDOW as u64 && self.seen[word(counter)] & bit(counter) == 0
    }

    /// Remembers a counter that was new; whether it is the highest so far.
    #[inline]
    pub fn remember(&mut self, counter: u64) -> bool {
        let newest = counter >= self.next;
        if newest {
            if counter - self.next >= REPLAY_WINDOW as u64 {
                self.seen = [0; WORDS];
            } else {
                for passed in self.next..counter {
                    self.seen[word(passed)] &= !bit(passed);
                }
            }
            self.next = counter + 1;
        }
        self.seen[word(counter)] |= bit(counter);
        newest
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
    fn the_ends_of_the_window_are_exact() {
        let mut window = ReplayWindow::new();
        assert!(window.is_new(0) && window.remember(0) && !window.is_new(0));
        assert!(window.remember(REPLAY_WINDOW as u64 + 5));
        assert!(window.is_new(6) && !window.is_new(5), "1,024 counters below the highest are known");
        assert!(window.remember(1 << 40) && !window.is_new(1_000) && window.is_new((1 << 40) - 1_023));
        assert!(!window.is_new(u64::MAX));
    }
}
