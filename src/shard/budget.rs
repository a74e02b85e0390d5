//! Budgets of an account (protocol.md 1.7): token buckets, in integers, with the time as an argument.

use super::policy::{Budgets, Rate};
use crate::limits;
use crate::wire::User;

/// What a frame is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something for other people.
    Message,
    /// A request that writes.
    Write,
    /// A request that only reads.
    Read,
    /// Bytes of a file.
    FileByte,
}

/// What a frame costs, before it is known what comes of it. What costs nothing waits all the same while there is a debt.
pub(super) fn cost(request: &User<'_>) -> (Kind, u32) {
    match *request {
        // A broadcast costs one for each recipient: the others are charged when they are known.
        User::Message { .. } | User::Broadcast { .. } | User::OfferFile { .. } | User::AnswerFile { .. } => {
            (Kind::Message, 1)
        }
        // A new password is hashed, and one that is given is checked.
        User::Update { ref profile, .. } if !profile.password.is_empty() => (Kind::Write, limits::PASSWORD_WRITES),
        User::Register { .. } | User::SignIn { .. } => (Kind::Write, limits::PASSWORD_WRITES),
        User::AddGroup { .. }
        | User::RenameGroup { .. }
        | User::DeleteGroup { .. }
        | User::MoveFriends { .. }
        | User::AddFriend { .. }
        | User::Ask { .. }
        | User::DeleteFriend { .. }
        | User::SetStatus { .. }
        | User::Monitor { .. }
        | User::Update { .. }
        | User::Answer { .. }
        | User::Block { .. } => (Kind::Write, 1),
        User::Online { count, .. } => (Kind::Read, 1 + u32::from(count) / limits::CARDS_A_READ),
        User::View { .. } | User::Search { .. } | User::Test { .. } => (Kind::Read, 1),
        User::FileData { data, .. } => (Kind::FileByte, (data.0.len() as u32).max(limits::FILE_PIECE_LEAST)),
        User::Progress { .. } => (Kind::FileByte, limits::FILE_PROGRESS_BYTES),
        // Each message that was sent is confirmed once, which is free. What was not sent is charged when that is known.
        User::Received { .. } => (Kind::Read, 0),
    }
}

/// A token bucket, kept as the time at which it is full again: nothing has to be done while time passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bucket {
    full_at_us: u64,
}

impl Bucket {
    /// Takes so many tokens, all of them, if there is one; the bucket can be in debt after that. None are taken if it is not
    /// in debt. Otherwise: when there is
    /// one, in ms.
    fn take(&mut self, now_ms: u64, rate: Rate, tokens: u32) -> Result<(), u64> {
        if rate.is_unlimited() {
            return Ok(());
        }
        let (now_us, burst_us) = (now_ms * 1_000, rate.micros(rate.burst));
        let first_at_us = (self.full_at_us + rate.micros(tokens.min(1))).saturating_sub(burst_us);
        if first_at_us > now_us {
            return Err(first_at_us.div_ceil(1_000));
        }
        self.charge(now_us, rate, tokens);
        Ok(())
    }

    fn charge(&mut self, now_us: u64, rate: Rate, tokens: u32) {
        if !rate.is_unlimited() {
            self.full_at_us = self.full_at_us.max(now_us) + rate.micros(tokens);
        }
    }
}

/// What an account has used of its budgets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    messages: Bucket,
    writes: Bucket,
    reads: Bucket,
    file_bytes: Bucket,
}

impl Spent {
    fn bucket(&mut self, kind: Kind) -> &mut Bucket {
        match kind {
            Kind::Message => &mut self.messages,
            Kind::Write => &mut self.writes,
            Kind::Read => &mut self.reads,
            Kind::FileByte => &mut self.file_bytes,
        }
    }

    /// Spends this if the budget is not used up; otherwise: when it is not any more, in ms.
    #[inline]
    pub fn take(&mut self, now_ms: u64, budgets: &Budgets, kind: Kind, tokens: u32) -> Result<(), u64> {
        self.bucket(kind).take(now_ms, budgets.rate(kind), tokens)
    }

    /// Spends this in any case: it was done already. What comes next may have to wait for it.
    pub fn charge(&mut self, now_ms: u64, budgets: &Budgets, kind: Kind, tokens: u32) {
        self.bucket(kind).charge(now_ms * 1_000, budgets.rate(kind), tokens);
    }

    /// From when on nothing of it matters any more, in ms.
    pub fn over_ms(&self) -> u64 {
        let Self { messages, writes, reads, file_bytes } = self;
        [messages, writes, reads, file_bytes]
            .map(|bucket| bucket.full_at_us)
            .into_iter()
            .max()
            .unwrap_or(0)
            .div_ceil(1_000)
    }

    /// Whether the account has written so much more than it may that it must not even sign in.
    pub fn bars_sign_in(&self, now_ms: u64, budgets: &Budgets) -> bool {
        let rate = budgets.rate(Kind::Write);
        let most_us = rate.micros(rate.burst) + limits::SIGN_IN_DEBT.as_micros() as u64;
        !rate.is_unlimited() && self.writes.full_at_us > now_ms * 1_000 + most_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 20, burst: 200 };

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut bucket = Bucket::default();
        let now = 1_000_000;
        assert!((0..200).all(|_| bucket.take(now, RATE, 1).is_ok()));
        assert_eq!(bucket.take(now, RATE, 1), Err(now + 50));
        assert!(bucket.take(now + 49, RATE, 1).is_err() && bucket.take(now + 50, RATE, 1).is_ok());
        let taken = (0..60_000).filter(|ms| bucket.take(now + 50 + ms, RATE, 1).is_ok()).count();
        assert_eq!(taken, 1_199);
        assert!((0..200).all(|_| bucket.take(now + 100_000, RATE, 1).is_ok()), "full again, and not fuller");
        assert!(bucket.take(now + 100_000, RATE, 1).is_err());
    }

    #[test]
    fn what_is_large_is_taken_whole_and_leaves_a_debt() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(0, RATE, 199).is_ok() && bucket.take(0, RATE, 700).is_ok());
        assert_eq!(bucket.take(0, RATE, 1), Err(35_000), "700 of them take so long, and one is in it");
        assert!(bucket.take(35_000, RATE, 1).is_ok());
        bucket.charge(35_000_000, RATE, 20);
        assert_eq!(bucket.take(35_000, RATE, 1), Err(36_050));
    }

    #[test]
    fn a_rate_without_a_bound_and_a_rate_that_is_odd() {
        let mut bucket = Bucket::default();
        assert!((0..1_000_000).all(|_| bucket.take(0, Rate::UNLIMITED, u32::MAX).is_ok()));
        assert_eq!(bucket, Bucket::default());
        let odd = Rate { per_second: 3, burst: 1 };
        let taken = (0..600_000).filter(|ms| bucket.take(*ms, odd, 1).is_ok()).count();
        assert!((1_795..=1_800).contains(&taken), "{taken}");
        let fast = Rate { per_second: u32::MAX, burst: u32::MAX };
        assert!((0..1_000).all(|_| bucket.take(700_000, fast, 60_000).is_ok()));
    }
}
