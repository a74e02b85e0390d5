//! Chance from one seed: a run with the same seed is the same run.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;

/// A stream of keys. What was handed out cannot be found again from what is left.
pub(super) struct Chance([u8; 32]);

impl Chance {
    /// From a seed that nobody else knows.
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The next 32 bytes.
    pub(super) fn key(&mut self) -> [u8; 32] {
        let hash = |way: u8| -> [u8; 32] {
            let bytes = [&self.0[..], &[way]].concat();
            digest(&SHA256, &bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
        };
        let (next, key) = (hash(0), hash(1));
        self.0 = next;
        key
    }

    /// The next word.
    pub(super) fn word(&mut self) -> u32 {
        let key = self.key();
        u32::from_be_bytes([key[0], key[1], key[2], key[3]])
    }
}

/// Never shown.
impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}
