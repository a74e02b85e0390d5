//! The event log: what the rules leave in their outbox becomes lines of the log, written by a thread of its own.
//!
//! A shard never waits for whoever reads the log, and nobody can fill a disk through it: of one kind and from one address
//! prefix a shard passes on a few lines at once and then one a second, and all together are bounded, too. How many were
//! left out is told with the next line, or when it has become quiet.

use crate::limits::{
    EVENT_BURST, EVENT_QUEUE, EVENT_SOURCES, EVENTS_BURST_IN_ALL, EVENTS_IN_ALL_PER_SECOND, EVENTS_PER_SECOND,
};
use crate::shard::{Event, Prefix, What};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

/// What the filter of the log calls these lines.
pub const TARGET: &str = "oicq::event";
/// How often what was left out is told of those who have become quiet.
const SWEEP_MS: u64 = 10_000;

/// An event on its way to the log, or a wish to have written all before it.
enum Line {
    Event(Event, u64),
    Flush(Sender<()>),
}

/// Where shards hand in events.
#[derive(Clone)]
pub struct EventLog(Sender<Line>);

impl EventLog {
    /// Starts the thread that writes them.
    pub fn spawn() -> io::Result<Self> {
        let (sender, receiver) = bounded(EVENT_QUEUE);
        std::thread::Builder::new().name("events".into()).spawn(move || write(&receiver))?;
        Ok(Self(sender))
    }

    /// Waits until all that was handed in is written, at most so long.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = bounded(1);
        if self.0.send_timeout(Line::Flush(done), patience).is_ok() {
            let _ = written.recv_timeout(patience);
        }
    }
}

/// Events of a shard on their way to the log.
pub struct Events {
    log: EventLog,
    sieve: Sieve,
    swept_ms: u64,
}

impl Events {
    /// For a shard.
    pub fn new(log: EventLog) -> Self {
        Self { log, sieve: Sieve::default(), swept_ms: 0 }
    }

    /// Takes out what a shard wants to have told.
    pub fn take(&mut self, now_ms: u64, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            if let Some(left_out) = self.sieve.passes(now_ms, &event)
                && self.log.0.try_send(Line::Event(event, left_out)).is_err()
            {
                // The log is slower than the events: that is told with the next one.
                self.sieve.put_back(&event, left_out + 1);
            }
        }
    }

    /// Now and then: tells what was left out of those who have become quiet, and forgets them.
    pub fn sweep(&mut self, now_ms: u64) {
        if now_ms >= self.swept_ms + SWEEP_MS {
            self.swept_ms = now_ms;
            for (event, left_out) in self.sieve.sweep(now_ms) {
                // It was left out already: that its number is not told is no great loss.
                let _ = self.log.0.try_send(Line::Event(event, left_out));
            }
        }
    }
}

/// Lets a few events of each kind and prefix pass, and counts the others.
#[derive(Default)]
struct Sieve {
    // The prefix is a stranger's choice: std's map has a seeded hash.
    sources: HashMap<(What, Option<Prefix>), Source>,
    /// Left out because there was no room for their source.
    homeless: u64,
}

struct Source {
    bucket: Bucket,
    left_out: u64,
    /// The last one that was left out.
    last: Event,
}

impl Sieve {
    fn passes(&mut self, now_ms: u64, event: &Event) -> Option<u64> {
        let key = key(event);
        if self.sources.len() >= EVENT_SOURCES && !self.sources.contains_key(&key) {
            // Whoever spreads over so many prefixes is told of by the others.
            self.homeless += 1;
            return None;
        }
        let source = self.sources.entry(key).or_insert_with(|| Source {
            bucket: Bucket::full(now_ms, EVENT_BURST),
            left_out: 0,
            last: *event,
        });
        if source.bucket.take(now_ms, EVENT_BURST, EVENTS_PER_SECOND) {
            return Some(std::mem::take(&mut source.left_out) + std::mem::take(&mut self.homeless));
        }
        source.left_out += 1;
        source.last = *event;
        None
    }

    fn put_back(&mut self, event: &Event, count: u64) {
        if let Some(source) = self.sources.get_mut(&key(event)) {
            source.left_out += count;
            source.last = *event;
        }
    }

    /// Forgets whoever has been quiet for so long that it makes no difference.
    fn sweep(&mut self, now_ms: u64) -> Vec<(Event, u64)> {
        let mut told = Vec::new();
        self.sources.retain(|_, source| {
            let quiet = source.bucket.is_full(now_ms, EVENT_BURST, EVENTS_PER_SECOND);
            if quiet && source.left_out > 0 {
                told.push((source.last, source.left_out - 1));
            }
            !quiet
        });
        told
    }
}

fn key(event: &Event) -> (What, Option<Prefix>) {
    (event.what, event.from.map(|from| from.prefix()))
}

/// A token bucket, in thousandths.
struct Bucket {
    tokens: u64,
    at_ms: u64,
}

impl Bucket {
    fn full(now_ms: u64, burst: u64) -> Self {
        Self { tokens: burst * 1_000, at_ms: now_ms }
    }

    fn fill(&mut self, now_ms: u64, burst: u64, per_second: u64) {
        self.tokens = burst.saturating_mul(1_000).min(self.tokens + now_ms.saturating_sub(self.at_ms) * per_second);
        self.at_ms = now_ms;
    }

    fn take(&mut self, now_ms: u64, burst: u64, per_second: u64) -> bool {
        self.fill(now_ms, burst, per_second);
        let there = self.tokens >= 1_000;
        self.tokens -= if there { 1_000 } else { 0 };
        there
    }

    fn is_full(&mut self, now_ms: u64, burst: u64, per_second: u64) -> bool {
        self.fill(now_ms, burst, per_second);
        self.tokens == burst * 1_000
    }
}

/// Writes lines until the process ends.
fn write(lines: &Receiver<Line>) {
    let began = Instant::now();
    let (mut bucket, mut left_out) = (Bucket::full(0, EVENTS_BURST_IN_ALL), 0);
    for line in lines {
        match line {
            Line::Event(event, before) => {
                left_out += before;
                let now_ms = began.elapsed().as_millis() as u64;
                if bucket.take(now_ms, EVENTS_BURST_IN_ALL, EVENTS_IN_ALL_PER_SECOND) {
                    tell(&event, std::mem::take(&mut left_out));
                } else {
                    left_out += 1;
                }
            }
            // Whoever wanted to know may have given up.
            Line::Flush(done) => drop(done.send(())),
        }
    }
}

fn tell(event: &Event, left_out: u64) {
    let detail = Some(event.what.detail()).filter(|detail| !detail.is_empty());
    tracing::info!(
        target: TARGET,
        number = Some(event.number).filter(|number| *number != 0),
        address = event.from.map(|from| tracing::field::display(from.address())),
        detail,
        left_out = Some(left_out).filter(|count| *count > 0),
        "{}",
        event.what.name(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Endpoint;

    fn event(what: What, address: &str) -> Event {
        Event { what, number: 10_000, from: Some(Endpoint::datagram(address.parse().expect("an address"), 0)) }
    }

    #[test]
    fn a_flood_of_one_kind_from_one_prefix_leaves_the_others_their_lines() {
        let mut sieve = Sieve::default();
        let flood = event(What::SignInRefused("why"), "192.0.2.1:5");
        let passed = (0..100_000).filter(|_| sieve.passes(0, &flood).is_some()).count() as u64;
        assert_eq!(passed, EVENT_BURST);
        for other in [event(What::SignedUp, "192.0.2.1:5"), event(What::SignInRefused("why"), "192.0.2.2:5")] {
            assert_eq!(sieve.passes(0, &other), Some(0));
        }
        // The same machine by another port is the same prefix; a second later it has one line, which tells of the rest.
        let again = event(What::SignInRefused("why"), "192.0.2.1:6");
        assert_eq!(sieve.passes(1_000, &again), Some(100_000 - EVENT_BURST));
        assert_eq!(sieve.passes(1_000, &again), None);
        let quiet_ms = 1_000 * (2 + EVENT_BURST / EVENTS_PER_SECOND);
        assert_eq!(sieve.sweep(quiet_ms), [(again, 0)], "it was one, which is told itself");
        assert!(sieve.sources.is_empty(), "nothing is kept of those who are quiet");
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_addresses_come() {
        let mut sieve = Sieve::default();
        for at in 0..2 * EVENT_SOURCES as u32 {
            let address = std::net::SocketAddr::new(std::net::Ipv4Addr::from_bits(at).into(), 7);
            let event = Event { what: What::SignedUp, number: 0, from: Some(Endpoint::datagram(address, 0)) };
            sieve.passes(0, &event);
        }
        assert_eq!((sieve.sources.len(), sieve.homeless), (EVENT_SOURCES, EVENT_SOURCES as u64));
    }
}
