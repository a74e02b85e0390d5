//! Presence: a user changes their status, and everybody who lists them sees it.

use crate::carrier::Carrier;
use crate::clock::SECOND;
use crate::crowd::Event;
use crate::flights::{Stretches, histogram};
use crate::play::{Counted, Pace, Pacer, Scene};
use hdrhistogram::Histogram;
use std::collections::VecDeque;

/// After so long a copy is lost.
const GIVE_UP: u64 = 10 * SECOND;
/// Online, and do not disturb: others see both.
const STATUSES: [u8; 2] = [3, 1];

/// A change that not everybody has seen yet.
struct Change {
    since: u64,
    missing: u32,
}

/// The scene.
pub struct Presence {
    watchers: u32,
    pace: Pace,
    pacer: Pacer,
    begun: u64,
    /// So many changes has each watcher seen.
    seen: Vec<u64>,
    /// Those from `front` on.
    open: VecDeque<Change>,
    front: u64,
    copies: u64,
    given_up: u64,
    doubled: u64,
    each: Histogram<u64>,
    last: Histogram<u64>,
    stretches: Stretches,
    told: u64,
}

impl Presence {
    /// Users 1 up to this one watch user 0.
    pub fn new(watchers: u32, pace: Pace) -> Self {
        Self {
            watchers,
            pace,
            pacer: Pacer::new(pace, 0),
            begun: 0,
            seen: vec![0; watchers as usize],
            open: VecDeque::new(),
            front: 0,
            copies: 0,
            given_up: 0,
            doubled: 0,
            each: histogram(),
            last: histogram(),
            stretches: Stretches::new(0, SECOND),
            told: 0,
        }
    }

    fn close_done(&mut self) {
        while self.open.front().is_some_and(|change| change.missing == 0) {
            self.open.pop_front();
            self.front += 1;
        }
    }
}

impl<C: Carrier> Scene<C> for Presence {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        self.pacer = Pacer::new(self.pace, now_ns);
        self.seen.fill(self.begun);
        self.front += self.open.len() as u64;
        self.open.clear();
        self.told = self.begun;
        (self.copies, self.given_up, self.doubled) = (0, 0, 0);
        self.stretches = Stretches::new(now_ns, stretch_ns);
    }

    fn due(&mut self, carrier: &mut C, now_ns: u64) -> Result<(), String> {
        while let Some(due) = self.pacer.next(now_ns, self.open.len()) {
            let status = STATUSES[(self.begun % 2) as usize];
            carrier.change(0, self.watchers, status);
            self.begun += 1;
            self.open.push_back(Change { since: due, missing: self.watchers });
        }
        Ok(())
    }

    fn event(&mut self, _: &mut C, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            Event::Status { user, friend: 0, status } => {
                let Some(seen) = user.checked_sub(1).and_then(|at| self.seen.get_mut(at as usize)) else {
                    return Ok(());
                };
                // A watcher sees the changes in their order.
                if *seen >= self.begun || status != STATUSES[(*seen % 2) as usize] {
                    self.doubled += 1;
                    return Ok(());
                }
                let which = *seen;
                *seen += 1;
                let Some(change) = which.checked_sub(self.front).and_then(|at| self.open.get_mut(at as usize)) else {
                    return Ok(());
                };
                change.missing -= 1;
                let age = now_ns.saturating_sub(change.since);
                self.copies += 1;
                self.each.saturating_record(age);
                self.stretches.record(age);
                if change.missing == 0 {
                    self.last.saturating_record(age);
                    self.close_done();
                }
            }
            Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
            Event::Ended { user, why } => return Err(format!("user {user} is signed out: {why}")),
            _ => {}
        }
        Ok(())
    }

    fn look(&mut self, _: &mut C, now_ns: u64, beginning: bool) -> Result<(), String> {
        while let Some(change) = self.open.front()
            && now_ns.saturating_sub(change.since) > GIVE_UP
        {
            self.given_up += 1;
            self.open.pop_front();
            self.front += 1;
        }
        if beginning {
            self.stretches.tick(now_ns);
        }
        Ok(())
    }

    fn in_progress(&self) -> usize {
        self.open.len()
    }

    fn done(&self) -> u64 {
        self.copies
    }

    fn finish(&mut self) -> Counted {
        let changes = self.begun - self.told;
        let begun = changes * u64::from(self.watchers);
        Counted {
            unit: "copy",
            begun,
            done: self.copies,
            lost: begun - self.copies,
            doubled: self.doubled,
            notes: vec![("changes of status", changes)],
            latencies: vec![
                ("each watcher", std::mem::replace(&mut self.each, histogram())),
                ("last watcher", std::mem::replace(&mut self.last, histogram())),
            ],
            stretches: std::mem::take(&mut self.stretches.told),
        }
    }
}
