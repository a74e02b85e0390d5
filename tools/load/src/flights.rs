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
    /// Whether a message is done only when its sender knows.
    with_receipts: bool,
    /// A receipt of this state is the last one.
    last_state: u8,
    /// Nanoseconds from sending to arrival, and from sending to the last receipt.
    pub to_recipient: Histogram<u64>,
    pub to_receipt: Histogram<u64>,
    stretch: Histogram<u64>,
    stretch_ns: u64,
    stretch_began: u64,
    start_ns: u64,
    /// The round in stretches.
    pub stretches: Vec<Stretch>,
}

impl Flights {
    /// None yet; ids begin at `base`. The round is told in stretches of `stretch_ns`.
    pub fn new(base: u64, with_receipts: bool, last_state: u8, start_ns: u64, stretch_ns: u64) -> Self {
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
            with_receipts,
            last_state,
            to_recipient: histogram(),
            to_receipt: histogram(),
            stretch: histogram(),
            stretch_ns,
            stretch_began: start_ns,
            start_ns,
            stretches: Vec::new(),
        }
    }

    /// A message that was to be sent at this time; gives its id.
    pub fn begin(&mut self, due_ns: u64) -> u64 {
        self.sent_ns.push_back(due_ns);
        self.in_flight += 1;
        self.begun += 1;
        self.base + self.begun - 1
    }

    /// How many were begun.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// How many have not come to anybody: neither arrived nor, where storing them is all that was asked, stored.
    pub fn lost(&self) -> u64 {
        match self.last_state {
            1 => self.begun - self.receipts,
            _ => self.begun - self.arrivals,
        }
    }

    fn age(&self, at: u64, now_ns: u64) -> Option<u64> {
        self.sent_ns.get(at.checked_sub(self.front)? as usize).map(|sent| now_ns.saturating_sub(*sent))
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
        if let Some(age) = self.age(at, now_ns) {
            self.to_recipient.saturating_record(age);
            self.stretch.saturating_record(age);
        }
        if !self.with_receipts || self.known.has(at) {
            self.finish(at);
        }
    }

    /// A receipt has come to the sender.
    pub fn receipt(&mut self, id: u64, state: u8, now_ns: u64) {
        let Some(at) = self.place(id) else { return };
        match state {
            1 => self.stored += 1,
            3 => self.refused += 1,
            _ => {}
        }
        if state == 3 {
            self.finish(at);
        }
        if state != self.last_state || !self.known.first(at) {
            return;
        }
        self.receipts += 1;
        if let Some(age) = self.age(at, now_ns) {
            self.to_receipt.saturating_record(age);
            if state == 1 {
                self.stretch.saturating_record(age);
            }
        }
        if state == 1 || self.arrived.has(at) {
            self.finish(at);
        }
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
            && now_ns.saturating_sub(*sent) > after_ns
        {
            self.finish(self.front);
        }
    }

    /// Ends stretches that are over.
    pub fn tick(&mut self, now_ns: u64) {
        if now_ns - self.stretch_began < self.stretch_ns {
            return;
        }
        let seconds = (now_ns - self.stretch_began) as f64 / SECOND as f64;
        let at = |quantile| self.stretch.value_at_quantile(quantile);
        self.stretches.push(Stretch {
            end: (now_ns - self.start_ns) as f64 / SECOND as f64,
            rate: self.stretch.len() as f64 / seconds,
            latency: [at(0.5), at(0.99), self.stretch.max()],
        });
        self.stretch.reset();
        self.stretch_began = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_counted_once() {
        let mut flights = Flights::new(100, true, 2, 0, SECOND);
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
        flights.tick(6 * SECOND);
        assert_eq!((flights.stretches.len(), flights.to_receipt.len()), (1, 2));
    }
}
