//! The connection test (protocol.md 1.7): each 30 s, loose, and again soon where no answer comes.

/// How often the connection is tested.
const EVERY_MS: u64 = 30_000;
/// Pauses after a test without an answer; then it is as often as always.
const PAUSES_MS: [u64; 3] = [2_500, 2_500, 5_000];
/// Tests without an answer after which the server counts as silent.
const SILENT_AFTER: u32 = 2;

/// When to test, and what is known of the other side.
#[derive(Debug)]
pub(super) struct Pulse {
    next_at: u64,
    /// When the test was sent that nothing has come after.
    asked_at: Option<u64>,
    misses: u32,
    silent: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beat {
    /// The server has become silent.
    pub(super) silent: bool,
}

impl Pulse {
    /// Everything is well now.
    pub(super) fn new(now: u64) -> Self {
        Self { next_at: now + EVERY_MS, asked_at: None, misses: 0, silent: false }
    }

    /// A test is to be sent now.
    pub(super) fn due(&mut self, now: u64) -> Option<Beat> {
        if now < self.next_at {
            return None;
        }
        if self.asked_at.is_some() {
            self.misses += 1;
        }
        self.asked_at = Some(now);
        self.next_at = now + PAUSES_MS.get(self.misses as usize).copied().unwrap_or(EVERY_MS);
        let silent = self.misses >= SILENT_AFTER && !std::mem::replace(&mut self.silent, self.misses >= SILENT_AFTER);
        Some(Beat { silent })
    }

    /// Something has come; tells whether the server was silent before.
    pub(super) fn heard(&mut self) -> bool {
        if let Some(at) = self.asked_at.take() {
            self.next_at = at + EVERY_MS;
        }
        self.misses = 0;
        std::mem::take(&mut self.silent)
    }

    /// Tests at once: the way has changed.
    pub(super) fn hurry(&mut self, now: u64) {
        (self.next_at, self.asked_at) = (now, None);
    }

    /// Whether an answer is awaited.
    pub(super) fn waits(&self) -> bool {
        self.asked_at.is_some()
    }

    pub(super) fn deadline(&self) -> u64 {
        self.next_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_repeated_soon_and_then_rarely() {
        let mut pulse = Pulse::new(0);
        let mut beats = Vec::new();
        for now in 0..100_000 {
            if let Some(beat) = pulse.due(now) {
                beats.push((now, beat.silent));
            }
        }
        assert_eq!(
            beats,
            [(30_000, false), (32_500, false), (35_000, true), (40_000, false), (70_000, false)],
            "told once that it is silent"
        );
        assert!(pulse.heard() && !pulse.heard());
        assert_eq!(pulse.deadline(), 100_000);
    }
}
