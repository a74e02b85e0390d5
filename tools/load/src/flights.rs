//! The messages of a round, each by its id: when it was sent, whether it has arrived, whether its sender knows. Nothing is
//! lost or doubled without being counted.

use crate::clock::SECOND;
use hdrhistogram::Histogram;
use std::collections::VecDeque;

/// Longest latency that is told apart.
const LONGEST: u64 = 100 * SECOND;

/// A histogram of nanoseconds, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, LONGEST, 3).expect("these bounds are right")
}

/// Which of consecutive numbers were seen.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// Whether it is seen for the first time.
    fn first(&mut self, at: u64) -> bool {
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    fn has(&self, at: u64) -> bool {
        self.0.get((at / 64) as usize).is_some_and(|word| word & 1 << (at % 64) != 0)
    }
}

/// When a message is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It has arrived, and its sender knows it by receipt 2.
    Known,
    /// It has arrived.
    Arrived,
    /// Its sender knows by receipt 1 that it is stored.
    Stored,
}

/// One stretch of a round.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// When it ended, in seconds from the beginning.
    pub end: f64,
    /// Messages a second that arrived in it.
    pub rate: f64,
    /// Nanoseconds to the recipient: median, 99 %, longest.
    pub latency: [u64; 3],
}

/// A round in stretches.
pub struct Stretches {
    latency: Histogram<u64>,
    length_ns: u64,
    began_ns: u64,
    start_ns: u64,
    /// Those that are over.
    pub told: Vec<Stretch>,
}

impl Stretches {
    /// None yet; each is so long.
    pub fn new(start_ns: u64, length_ns: u64) -> Self {
        Self { latency: histogram(), length_ns, began_ns: start_ns, start_ns, told: Vec::new() }
    }

    /// Something is done, after so long.
    pub fn record(&mut self, age_ns: u64) {
        self.latency.saturating_record(age_ns);
    }

    /// Ends the stretch if it is over.
    pub fn tick(&mut self, now_ns: u64) {
        if now_ns - self.began_ns < self.length_ns {
            return;
        }
        let seconds = (now_ns - self.began_ns) as f64 / SECOND as f64;
        let at = |quantile| self.latency.value_at_quantile(quantile);
        self.told.push(Stretch {
            end: (now_ns - self.start_ns) as f64 / SECOND as f64,
            rate: self.latency.len() as f64 / seconds,
            latency: [at(0.5), at(0.99), self.latency.max()],
        });
        self.latency.reset();
        self.began_ns = now_ns;
    }
}

/// Marks the time of a message whose recipient is absent.
const ABSENT: u64 = 1 << 63;

/// All messages of a round.
pub struct Flights {
    /// Id of its first message.
    base: u64,
    begun: u64,
    /// When each was to be sent, from `front` on: those before it are done.
    sent_ns: VecDeque<u64>,
    front: u64,
    arrived: Seen,
    known: Seen,
    done: Seen,
    /// Begun, and neither done nor given up.
    pub in_flight: usize,
    /// So many have arrived.
    pub arrivals: u64,
    /// Of so many the sender knows that they were delivered.
    pub receipts: u64,
    /// So many were stored first.
    pub stored: u64,
    /// So many were refused.
    pub refused: u64,
    /// Arrivals beyond the first of the same message.
    pub doubled: u64,
    done_when: Done,
    /// Nanoseconds from sending to arrival, and from sending to the last receipt.
    pub to_recipient: Histogram<u64>,
    pub to_receipt: Histogram<u64>,
    /// The same of those whose recipient was absent.
    pub to_absent: Histogram<u64>,
    /// Whose sender has heard anything of them.
    heard: Seen,
    /// The round in stretches.
    pub stretches: Stretches,
}

impl Flights {
    /// None yet; ids begin at `base`. The round is told in stretches of `stretch_ns`.
    pub fn new(base: u64, done_when: Done, start_ns: u64, stretch_ns: u64) -> Self {
        Self {
            base,
            begun: 0,
            sent_ns: VecDeque::new(),
            front: 0,
            arrived: Seen::default(),
            known: Seen::default(),
            done: Seen::default(),
            in_flight: 0,
            arrivals: 0,
            receipts: 0,
            stored: 0,
            refused: 0,
            doubled: 0,
            done_when,
            to_recipient: histogram(),
            to_receipt: histogram(),
            to_absent: histogram(),
            heard: Seen::default(),
            stretches: Stretches::new(start_ns, stretch_ns),
        }
    }

    /// A message that was to be sent at this time; gives its id.
    pub fn begin(&mut self, due_ns: u64) -> u64 {
        self.sent_ns.push_back(due_ns);
        self.in_flight += 1;
        self.begun += 1;
        self.base + self.begun - 1
    }

    /// The same to a recipient who is absent: it may take as long as they stay away.
    pub fn begin_to_absent(&mut self, due_ns: u64) -> u64 {
        self.begin(due_ns | ABSENT)
    }

    /// The ids of those that were begun.
    pub fn ids(&self) -> std::ops::Range<u64> {
        self.base..self.base + self.begun
    }

    /// How many were begun.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// How many have come to where they should: to their recipient or, where that is all that was asked, onto the disk.
    pub fn finished(&self) -> u64 {
        if self.done_when == Done::Stored { self.receipts } else { self.arrivals }
    }

    /// How many have not.
    pub fn lost(&self) -> u64 {
        self.begun - self.finished()
    }

    /// How long it has been on its way, and whether its recipient was absent.
    fn age(&self, at: u64, now_ns: u64) -> Option<(u64, bool)> {
        let sent = *self.sent_ns.get(at.checked_sub(self.front)? as usize)?;
        Some((now_ns.saturating_sub(sent & !ABSENT), sent & ABSENT != 0))
    }

    fn place(&self, id: u64) -> Option<u64> {
        // What is left of an earlier round is not counted in this one.
        id.checked_sub(self.base).filter(|at| *at < self.begun)
    }

    /// A message has come to its recipient.
    pub fn arrive(&mut self, id: u64, now_ns: u64) {
        let Some(at) = self.place(id) else { return };
        if !self.arrived.first(at) {
            self.doubled += 1;
            return;
        }
        self.arrivals += 1;
        match self.age(at, now_ns) {
            Some((age, true)) => self.to_absent.saturating_record(age),
            Some((age, false)) => {
                self.to_recipient.saturating_record(age);
                self.stretches.record(age);
            }
            None => {}
        }
        if self.done_when == Done::Arrived || self.done_when == Done::Known && self.known.has(at) {
            self.finish(at);
        }
    }

    /// A receipt has come to the sender; tells whether it is the first of this message.
    pub fn receipt(&mut self, id: u64, state: u8, now_ns: u64) -> bool {
        let Some(at) = self.place(id) else { return false };
        let first = self.heard.first(at);
        match state {
            1 => self.stored += 1,
            3 => self.refused += 1,
            _ => {}
        }
        if state == 3 {
            self.finish(at);
        }
        let stored = self.done_when == Done::Stored;
        let last = if stored { 1 } else { 2 };
        if state != last || !self.known.first(at) {
            return first;
        }
        self.receipts += 1;
        if let Some((age, _)) = self.age(at, now_ns) {
            self.to_receipt.saturating_record(age);
            if stored {
                self.stretches.record(age);
            }
        }
        if stored || self.done_when == Done::Known && self.arrived.has(at) {
            self.finish(at);
        }
        first
    }

    fn finish(&mut self, at: u64) {
        if self.done.first(at) {
            self.in_flight -= 1;
        }
        while self.front < self.begun && self.done.has(self.front) {
            self.front += 1;
            self.sent_ns.pop_front();
        }
    }

    /// Waits no longer for messages that were sent so long ago; late ones still count when they come.
    pub fn give_up(&mut self, now_ns: u64, after_ns: u64) {
        while let Some(sent) = self.sent_ns.front()
            && now_ns.saturating_sub(*sent & !ABSENT) > after_ns
        {
            self.finish(self.front);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_counted_once() {
        let mut flights = Flights::new(100, Done::Known, 0, SECOND);
        let ids: Vec<u64> = (0..4).map(|at| flights.begin(at * 1_000)).collect();
        assert_eq!((ids[0], flights.in_flight), (100, 4));
        flights.arrive(101, 10_000);
        flights.arrive(101, 11_000);
        assert_eq!((flights.arrivals, flights.doubled, flights.in_flight), (1, 1, 4));
        flights.receipt(101, 1, 12_000);
        flights.receipt(101, 2, 13_000);
        flights.receipt(101, 2, 14_000);
        assert_eq!((flights.stored, flights.receipts, flights.in_flight), (1, 1, 3));
        flights.receipt(100, 2, 15_000);
        assert_eq!(flights.in_flight, 3, "it has not arrived");
        flights.arrive(100, 16_000);
        flights.arrive(99, 16_000);
        flights.arrive(104, 16_000);
        assert_eq!((flights.in_flight, flights.front, flights.lost()), (2, 2, 2));
        flights.give_up(5 * SECOND, SECOND);
        assert_eq!((flights.in_flight, flights.lost()), (0, 2));
        flights.arrive(102, 6 * SECOND);
        assert_eq!((flights.in_flight, flights.lost(), flights.doubled), (0, 1, 1));
        flights.stretches.tick(6 * SECOND);
        assert_eq!((flights.stretches.told.len(), flights.to_receipt.len()), (1, 2));
    }
}
