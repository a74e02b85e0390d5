//! A client's answer to a challenge (protocol.md 2.3): it proves that what is sent to an address arrives there.

use crate::limits::RESPONSES;

/// The first pause between two answers; each is twice as long as the one before.
const PAUSE_MS: u64 = 500;

/// A challenge that is being answered. The answer can be lost, so it is said again until a packet comes that challenges no
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    nonce: u64,
    due_ms: u64,
    pause_ms: u64,
    left: u8,
}

impl Proof {
    /// An answer to this challenge, at once.
    pub fn new(now_ms: u64, nonce: u64) -> Self {
        Self { nonce, due_ms: now_ms, pause_ms: PAUSE_MS, left: RESPONSES }
    }

    /// When the next answer is due, if there is to be one.
    pub fn due(&self) -> Option<u64> {
        (self.left > 0).then_some(self.due_ms)
    }

    /// The answer, if it is to go out now.
    pub fn take(&mut self, now_ms: u64) -> Option<u64> {
        self.due().filter(|due| *due <= now_ms)?;
        self.left -= 1;
        self.due_ms = now_ms + self.pause_ms;
        self.pause_ms *= 2;
        Some(self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_said_again_a_few_times() {
        let mut proof = Proof::new(1_000, 7);
        let mut said = Vec::new();
        while let Some(due) = proof.due() {
            assert_eq!(proof.take(due - 1), None);
            assert_eq!(proof.take(due), Some(7));
            said.push(due);
        }
        assert_eq!(said, [1_000, 1_500, 2_500, 4_500, 8_500]);
    }
}
