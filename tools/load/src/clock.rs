//! The clock of a measurement: time since it began.

use std::time::Instant;

/// Nanoseconds since some moment before the measurement.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// One that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    pub fn ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// Milliseconds, as the link counts.
pub fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
