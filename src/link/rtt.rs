//! The round trip (protocol.md 2.4): RFC 6298, from segments sent once (Karn).

/// Before the first measurement.
const FIRST_RTO_MS: u32 = 500;
const LEAST_RTO_MS: u32 = 50;
const MOST_RTO_MS: u32 = 4_000;

/// What is known about the round trip. Eighths of milliseconds, so that its integers do not drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RoundTrip {
    smoothed_8: u32,
    variation_8: u32,
    measured: bool,
    /// Expiries in a row.
    backoff: u8,
}

impl RoundTrip {
    /// A segment that was sent once took so long, less the time for which the peer held back the ack.
    pub fn measure(&mut self, millis: u64) {
        let sample_8 = u32::try_from(millis).unwrap_or(u32::MAX).min(60_000) * 8;
        if self.measured {
            let off = self.smoothed_8.abs_diff(sample_8);
            self.variation_8 = (self.variation_8 * 3 + off) / 4;
            self.smoothed_8 = (self.smoothed_8 * 7 + sample_8) / 8;
        } else {
            (self.smoothed_8, self.variation_8, self.measured) = (sample_8, sample_8 / 2, true);
        }
    }

    /// Something new was acknowledged: the way is open.
    pub fn progress(&mut self) {
        self.backoff = 0;
    }

    /// The timer has expired: the next one is twice as long.
    pub fn expired(&mut self) {
        self.backoff = (self.backoff + 1).min(8);
    }

    /// Expiries since there was progress.
    pub fn expiries(&self) -> u8 {
        self.backoff
    }

    /// How long to wait for an ack.
    pub fn timeout_ms(&self) -> u64 {
        let first = if self.measured {
            ((self.smoothed_8 + (4 * self.variation_8).max(8)) / 8).clamp(LEAST_RTO_MS, MOST_RTO_MS)
        } else {
            FIRST_RTO_MS
        };
        u64::from((first << self.backoff).min(MOST_RTO_MS))
    }

    /// The smoothed round trip, once it was measured.
    pub fn smoothed_ms(&self) -> Option<u32> {
        self.measured.then_some(self.smoothed_8 / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_rfc_6298() {
        let mut trip = RoundTrip::default();
        assert_eq!((trip.timeout_ms(), trip.smoothed_ms()), (500, None));
        trip.measure(100);
        assert_eq!((trip.timeout_ms(), trip.smoothed_ms()), (300, Some(100)));
        for _ in 0..100 {
            trip.measure(100);
        }
        assert!((100..=104).contains(&trip.timeout_ms()), "{}", trip.timeout_ms());
        trip.expired();
        trip.expired();
        assert!((400..=416).contains(&trip.timeout_ms()));
        trip.progress();
        for _ in 0..100 {
            trip.measure(0);
        }
        assert_eq!((trip.timeout_ms(), trip.smoothed_ms()), (50, Some(0)));
        for _ in 0..20 {
            trip.expired();
        }
        assert_eq!(trip.timeout_ms(), 3_200.max(MOST_RTO_MS.into()));
    }
}
