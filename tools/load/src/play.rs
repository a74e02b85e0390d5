//! A round: a scene begins what is due and follows it to its end, while what the server uses for it is measured.

use crate::carrier::Carrier;
use crate::child::{Others, cpu_split};
use crate::clock::{Clock, SECOND, millis};
use crate::crowd::Event;
use crate::flights::Stretch;
use crate::net::Datagrams;
use crate::sys;
use hdrhistogram::Histogram;
use std::time::Duration;

/// How things are begun.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many in progress: the next begins when one is done.
    Window(usize),
    /// So many a second. Latency counts from the moment at which each was to begin: a server that stands still makes all
    /// late that were to come meanwhile, not only one.
    Rate(f64),
}

/// More in progress than this: a server that cannot follow at all.
const MOST_IN_PROGRESS: usize = 1_000_000;
const LOOK: u64 = SECOND / 20;
/// So long after the last beginning everything is at its end, or counted as lost.
const LAST: u64 = 40 * SECOND;

/// When the next thing begins.
pub struct Pacer {
    pace: Pace,
    start_ns: u64,
    begun: u64,
}

impl Pacer {
    /// Begins now.
    pub fn new(pace: Pace, start_ns: u64) -> Self {
        Self { pace, start_ns, begun: 0 }
    }

    /// When the next was to begin, if that is now or was before; then it must begin.
    pub fn next(&mut self, now_ns: u64, in_progress: usize) -> Option<u64> {
        let due = match self.pace {
            Pace::Window(window) => (in_progress < window).then_some(now_ns)?,
            Pace::Rate(rate) => {
                let due = self.start_ns + (self.begun as f64 / rate * SECOND as f64) as u64;
                (due <= now_ns && in_progress < MOST_IN_PROGRESS).then_some(due)?
            }
        };
        self.begun += 1;
        Some(due)
    }
}

/// What is done in a round.
pub trait Scene<C> {
    /// A new round begins; it is told in stretches of so many nanoseconds.
    fn start(&mut self, now_ns: u64, stretch_ns: u64);
    /// Begins what is due.
    fn due(&mut self, carrier: &mut C, now_ns: u64) -> Result<(), String>;
    /// Something has happened.
    fn event(&mut self, carrier: &mut C, event: Event, now_ns: u64) -> Result<(), String>;
    /// A few times a second: waits no longer for what has been on its way for too long.
    fn look(&mut self, carrier: &mut C, now_ns: u64, beginning: bool) -> Result<(), String>;
    /// How much is in progress.
    fn in_progress(&self) -> usize;
    /// How much is done.
    fn done(&self) -> u64;
    /// What came of it.
    fn finish(&mut self) -> Counted;
}

/// What came of a round.
pub struct Counted {
    /// What was done, of which there is one for each of `done`.
    pub unit: &'static str,
    /// How many were begun.
    pub begun: u64,
    /// How many came to their end.
    pub done: u64,
    /// How many did not.
    pub lost: u64,
    /// How many came to it more than once.
    pub doubled: u64,
    /// What else was counted.
    pub notes: Vec<(&'static str, u64)>,
    /// Nanoseconds, the most important first.
    pub latencies: Vec<(&'static str, Histogram<u64>)>,
    /// The round in stretches.
    pub stretches: Vec<Stretch>,
}

/// What the server used.
#[derive(Debug, Default, Clone, Copy)]
pub struct Used {
    /// Exact, of all its threads.
    pub cpu: Duration,
    /// Of it, in its own code, as the kernel estimates it.
    pub user: Duration,
    /// The same in the kernel.
    pub system: Duration,
}

/// A turn of the driver that takes longer than this is felt by those who wait.
const SLOW_TURN: u64 = SECOND / 200;

/// How the driver itself kept up.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// Share of the time in which nothing had arrived.
    pub idle: f64,
    /// Share of the time in turns of more than 5 ms: what arrived meanwhile has waited for the driver.
    pub slow: f64,
}

/// Adds up the turns of the driver.
struct Turns {
    last_ns: u64,
    idle_ns: u64,
    slow_ns: u64,
}

impl Turns {
    fn add(&mut self, now_ns: u64, arrived: usize) {
        let took = now_ns - std::mem::replace(&mut self.last_ns, now_ns);
        if took > SLOW_TURN {
            self.slow_ns += took;
        } else if arrived == 0 {
            self.idle_ns += took;
        }
    }

    fn shares(&self, start_ns: u64) -> Driver {
        let all = (self.last_ns - start_ns).max(1) as f64;
        Driver { idle: self.idle_ns as f64 / all, slow: self.slow_ns as f64 / all }
    }
}

/// A round that is over.
pub struct Tally {
    /// What came of it.
    pub counted: Counted,
    /// From the first beginning to the last end.
    pub wall: Duration,
    /// What the server used, if its process is known.
    pub used: Option<Used>,
    /// How long driver and server could have run and did not, because something else had their core.
    pub others: Duration,
    /// Datagrams.
    pub datagrams: Datagrams,
    /// How the driver itself kept up, if that was looked at.
    pub driver: Option<Driver>,
}

/// Less of it than this is left to chance.
const FEW: f64 = 0.05;

impl Tally {
    /// How many a second.
    pub fn rate(&self) -> f64 {
        self.counted.done as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// Microseconds of the server's CPU for each: in all, in its own code, in the kernel.
    pub fn micros(&self) -> Option<[f64; 3]> {
        let used = self.used.filter(|_| self.counted.done > 0)?;
        Some([used.cpu, used.user, used.system].map(|time| time.as_secs_f64() * 1e6 / self.counted.done as f64))
    }

    /// How much of one core the server used.
    pub fn busy(&self) -> Option<f64> {
        Some(self.used?.cpu.as_secs_f64() / self.wall.as_secs_f64())
    }

    /// Datagrams for each in excess of two, to the server and from it: acks that had nothing to ride along with.
    pub fn acks(&self) -> [f64; 2] {
        let each = self.counted.done.max(1) as f64;
        [self.datagrams.to_server, self.datagrams.from_server].map(|count| {
            let excess = count as f64 / each - 2.0;
            if excess >= FEW { excess } else { 0.0 }
        })
    }

    /// Why the driver is to blame for what was measured, if it is. `open` is whether it kept to a rate.
    pub fn driver_fault(&self, open: bool) -> Option<&'static str> {
        let driver = self.driver?;
        if driver.slow > 0.01 {
            return Some("the driver itself could not follow: what arrived has waited for it");
        }
        let waited = self.busy().is_some_and(|busy| busy < 0.9) && driver.idle < 0.02;
        (waited && !open).then_some("the driver was the slower one: the server could have done more")
    }

    /// Share of the time for which something else had a core that driver or server needed.
    pub fn disturbance(&self) -> f64 {
        self.others.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// Plays scenes.
#[derive(Clone, Copy)]
pub struct Player {
    /// Time.
    pub clock: Clock,
    /// The server's process.
    pub pid: Option<u32>,
}

impl Player {
    /// Lets a scene begin things for so long, waits for the last of them, and tells what came of all. `progress` hears now
    /// and then how many are done.
    pub fn play<C: Carrier, S: Scene<C>>(
        &self,
        carrier: &mut C,
        scene: &mut S,
        length: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Tally, String> {
        carrier.begin()?;
        let mut events = Vec::new();
        let (used, others, datagrams) = (self.used()?, Others::now(self.pid), carrier.datagrams());
        let (start, length) = (self.clock.ns(), length.as_nanos() as u64);
        scene.start(start, (length / 100).max(SECOND / 10));
        let mut look = start + LOOK;
        let mut turns = Turns { last_ns: start, idle_ns: 0, slow_ns: 0 };
        let (mut end, mut done) = (start, 0);
        loop {
            let now_ms = millis(self.clock.ns());
            let arrived = carrier.turn(now_ms, 0, &mut events)?;
            let now = self.clock.ns();
            turns.add(now, arrived);
            for event in events.drain(..) {
                scene.event(carrier, event, now)?;
            }
            if scene.done() > done {
                (end, done) = (now, scene.done());
            }
            let beginning = now - start < length;
            if beginning {
                scene.due(carrier, now)?;
            } else if scene.in_progress() == 0 || now - start > length + LAST {
                break;
            }
            carrier.flush(now_ms)?;
            if now >= look {
                look = now + LOOK;
                scene.look(carrier, now, beginning)?;
                progress(done);
                if sys::stopping() {
                    return Err("interrupted".into());
                }
            }
        }
        let used = used.zip(self.used()?).map(|(before, after)| Used {
            cpu: after.cpu.saturating_sub(before.cpu),
            user: after.user.saturating_sub(before.user),
            system: after.system.saturating_sub(before.system),
        });
        let tally = Tally {
            counted: scene.finish(),
            wall: Duration::from_nanos((end - start).max(1)),
            used: used.map(Used::shared),
            others: Others::now(self.pid).since(others),
            datagrams: carrier.datagrams().since(datagrams),
            driver: Some(turns.shares(start)),
        };
        // The acks of the last messages are no part of it, but the server must not send them again in the next.
        self.rest(carrier, Duration::from_millis(30))?;
        Ok(tally)
    }

    /// Takes and answers what comes, and begins nothing.
    pub fn rest<C: Carrier>(&self, carrier: &mut C, length: Duration) -> Result<(), String> {
        carrier.begin()?;
        let end = self.clock.ns() + length.as_nanos() as u64;
        let mut events = Vec::new();
        while self.clock.ns() < end {
            let now_ms = millis(self.clock.ns());
            carrier.turn(now_ms, 1, &mut events)?;
            carrier.flush(now_ms)?;
            events.clear();
        }
        Ok(())
    }

    /// What the server's process has used until now.
    pub fn used(&self) -> Result<Option<Used>, String> {
        let Some(pid) = self.pid else { return Ok(None) };
        let cpu = sys::cpu_time(pid).map_err(|error| format!("process {pid} is not there: {error}"))?;
        let (user, system) = cpu_split(pid).unwrap_or_default();
        Ok(Some(Used { cpu, user, system }))
    }
}

impl Used {
    /// The exact time, shared as the kernel's ticks say.
    pub fn shared(self) -> Self {
        let ticks = (self.user + self.system).as_secs_f64();
        let share = if ticks > 0.0 { self.user.as_secs_f64() / ticks } else { 0.0 };
        let user = self.cpu.mul_f64(share.clamp(0.0, 1.0));
        Self { user, system: self.cpu.saturating_sub(user), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_is_late_says_so() {
        let mut turns = Turns { last_ns: 1_000, idle_ns: 0, slow_ns: 0 };
        turns.add(1_001_000, 0);
        turns.add(2_001_000, 3);
        turns.add(2_001_000 + 2 * SLOW_TURN, 0);
        let driver = turns.shares(1_000);
        assert!((driver.idle - 1.0 / 12.0).abs() < 1e-9 && (driver.slow - 10.0 / 12.0).abs() < 1e-9, "{driver:?}");
    }

    #[test]
    fn a_pacer_keeps_a_window_or_a_rate() {
        let mut window = Pacer::new(Pace::Window(2), 0);
        assert_eq!((window.next(7, 0), window.next(7, 1), window.next(7, 2)), (Some(7), Some(7), None));
        let mut rate = Pacer::new(Pace::Rate(1_000.0), 500);
        let due: Vec<u64> = std::iter::from_fn(|| rate.next(3_000_500, 0)).collect();
        assert_eq!(due, [500, 1_000_500, 2_000_500, 3_000_500], "none is left out by one who looks late");
    }
}
