//! Timers of the shard: one coarse wheel for the silence of sessions, one heap for the few that are due soon.

use crate::limits::IDLE;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A session, as timers name it: a later session of the same user has another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionKey {
    pub number: u32,
    pub session: u32,
}

/// A session whose timer has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// From [`Wheel::in_a_while`].
    Slow(SessionKey),
    /// From [`Wheel::soon`].
    Soon(SessionKey),
}

const TICK_MS: u64 = 1_000;
/// One turn is longer than a session may be silent, so that a slot never mixes two turns.
const SLOTS: usize = 128;
const _: () = assert!((SLOTS as u64 - 2) * TICK_MS > IDLE.as_millis() as u64);

/// A session has one entry in the wheel however often it is heard of: when the entry is due, the session says whether
/// it really was silent, and goes back in if it was not.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<SessionKey>>,
    /// Everything before this tick was given out.
    next_tick: u64,
    entries: usize,
    soon: BinaryHeap<Reverse<(u64, SessionKey)>>,
}

impl Wheel {
    pub fn new() -> Self {
        Self { slots: vec![Vec::new(); SLOTS], next_tick: 0, entries: 0, soon: BinaryHeap::new() }
    }

    /// Wakes the session some time in the second after `due_ms`.
    pub fn in_a_while(&mut self, now_ms: u64, due_ms: u64, key: SessionKey) {
        let first = (now_ms / TICK_MS).max(self.next_tick);
        if self.entries == 0 {
            self.next_tick = first;
        }
        // After a long stall `first` can lie beyond the turn that is still to be given out: then the entry is due with it.
        let tick = due_ms.div_ceil(TICK_MS).max(first).min(self.next_tick + SLOTS as u64 - 1);
        self.slots[tick as usize % SLOTS].push(key);
        self.entries += 1;
    }

    /// Wakes the session at `due_ms`.
    pub fn soon(&mut self, due_ms: u64, key: SessionKey) {
        self.soon.push(Reverse((due_ms, key)));
    }

    /// Moves every session that is due into `due`.
    pub fn take_due(&mut self, now_ms: u64, due: &mut VecDeque<Due>) {
        while let Some(Reverse((_, key))) = self.soon.peek().copied().filter(|Reverse((at, _))| *at <= now_ms) {
            self.soon.pop();
            due.push_back(Due::Soon(key));
        }
        let now_tick = now_ms / TICK_MS;
        while self.entries > 0 && self.next_tick <= now_tick {
            let slot = &mut self.slots[self.next_tick as usize % SLOTS];
            self.entries -= slot.len();
            due.extend(slot.drain(..).map(Due::Slow));
            self.next_tick += 1;
        }
        self.next_tick = self.next_tick.max(now_tick);
    }

    /// When something may be due next.
    pub fn deadline(&self) -> Option<u64> {
        let soon = self.soon.peek().map(|Reverse((at, _))| *at);
        let slow = (self.entries > 0).then_some(self.next_tick * TICK_MS);
        match (soon, slow) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_due_once_and_never_early() {
        let mut wheel = Wheel::new();
        let key = |number| SessionKey { number, session: 0 };
        let mut now = 5_000_000;
        wheel.in_a_while(now, now + 90_000, key(1));
        wheel.in_a_while(now, now + 500, key(2));
        wheel.soon(now + 10, key(3));
        let mut seen = Vec::new();
        while seen.len() < 3 {
            now = wheel.deadline().expect("something is left").max(now + 1);
            let mut due = VecDeque::new();
            wheel.take_due(now, &mut due);
            seen.extend(due.into_iter().map(|one| match one {
                Due::Slow(key) | Due::Soon(key) => (key.number, now - 5_000_000),
            }));
        }
        assert_eq!(seen, [(3, 10), (2, 1_000), (1, 90_000)]);
        assert_eq!(wheel.deadline(), None);
        wheel.in_a_while(now + 10_000_000, now + 10_000_000, key(4));
        let mut due = VecDeque::new();
        wheel.take_due(now + 10_001_000, &mut due);
        assert_eq!(due, [Due::Slow(key(4))], "a long rest does not lose an entry");
        now += 10_001_000;
        wheel.in_a_while(now, now + 90_000, key(5));
        // The whole process was stopped for an hour, and an input comes before the tick.
        now += 3_600_000;
        wheel.in_a_while(now, now + 90_000, key(6));
        due.clear();
        wheel.take_due(now, &mut due);
        assert_eq!(due, [Due::Slow(key(5)), Due::Slow(key(6))], "both are looked at, and what is early goes back in");
    }
}
