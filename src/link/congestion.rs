//! Congestion control (protocol.md 2.4), after RFC 9002 section 7, in segments.

use crate::limits::SEGMENTS_IN_FLIGHT;

const FIRST: u8 = 10;
/// RFC 9002 has two full datagrams; these are segments, most of them far smaller, and of fewer than four in flight a lost
/// one is never followed by three.
const LEAST: u8 = 4;

/// How many segments may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Congestion {
    window: u8,
    threshold: u8,
    /// Segments acknowledged since the window last grew beyond the threshold.
    credit: u8,
    /// Losses of packets before this one belong to the round trip that was answered already. The lower half of its counter:
    /// packets that are compared are never two thousand million apart.
    recovery: u32,
}

impl Congestion {
    pub fn new() -> Self {
        Self { window: FIRST, threshold: u8::MAX, credit: 0, recovery: 0 }
    }

    pub fn window(&self) -> usize {
        usize::from(self.window)
    }

    fn in_recovery(&self, counter: u64) -> bool {
        (counter as u32).wrapping_sub(self.recovery) as i32 <= -1
    }

    /// So many segments were acknowledged, the latest of them sent with packet `counter`, while the window was full or not.
    pub fn acknowledged(&mut self, segments: usize, counter: u64, full: bool) {
        const MOST: u8 = SEGMENTS_IN_FLIGHT as u8;
        if !full || self.in_recovery(counter) {
            return;
        }
        for _ in 0..segments {
            if self.window < self.threshold {
                self.window = (self.window + 1).min(MOST);
            } else {
                self.credit += 1;
                if self.credit >= self.window {
                    self.credit = 0;
                    self.window = (self.window + 1).min(MOST);
                }
            }
        }
    }

    /// A segment that went out with packet `counter` was lost; `next` is the next packet to go out. Once a round trip the
    /// window is halved.
    pub fn lost(&mut self, counter: u64, next: u64) {
        if !self.in_recovery(counter) {
            self.recovery = next as u32;
            self.window = (self.window / 2).max(LEAST);
            self.threshold = self.window;
            self.credit = 0;
        }
    }

    /// The way is another one, of which nothing is known; what goes out from packet `next` on takes it.
    pub fn restart(&mut self, next: u64) {
        *self = Self { recovery: next as u32, ..Self::new() };
    }

    /// Nothing gets through for several timeouts in a row: begin anew.
    pub fn collapse(&mut self) {
        self.window = LEAST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_fast_then_slowly_and_halves_once_a_round_trip() {
        let mut window = Congestion::new();
        window.acknowledged(10, 9, true);
        assert_eq!(window.window(), 20);
        window.acknowledged(10, 19, false);
        assert_eq!(window.window(), 20, "a window that is not used does not grow");
        window.lost(20, 40);
        window.lost(21, 41);
        assert_eq!(window.window(), 10);
        window.acknowledged(5, 30, true);
        assert_eq!(window.window(), 10, "still what was sent before the loss");
        window.acknowledged(10, 45, true);
        assert_eq!(window.window(), 11);
        window.lost(40, 50);
        assert_eq!(window.window(), 5);
        window.collapse();
        window.acknowledged(200, 60, true);
        assert!((5..=64).contains(&window.window()));
        for _ in 0..100_000 {
            window.acknowledged(64, 60, true);
        }
        assert_eq!(window.window(), 64);
    }
}
