//! A round of messages: closed loop, so many in flight, or open loop, so many a second whatever the server does.

use crate::carrier::Carrier;
use crate::child::{cpu_split, time_in_line};
use crate::clock::{Clock, SECOND, millis};
use crate::crowd::Event;
use crate::flights::{Flights, Stretch};
use crate::net::Datagrams;
use crate::sys;
use hdrhistogram::Histogram;
use std::time::Duration;

/// How messages are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many in flight: the next is sent when one is done.
    Window(usize),
    /// So many a second. Latency counts from the moment at which a message was to be sent: a server that stands still makes
    /// all late that were to come meanwhile, not only one.
    Rate(f64),
}

/// Who writes to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum To {
    /// Users 2i and 2i + 1 write to each other
    Partner,
    /// To anyone, each as likely as the other
    Anyone,
}

/// After so long a message is counted as lost, unless it comes later.
const GIVE_UP: u64 = 10 * SECOND;
/// The same for the floor, which sends nothing again.
const GIVE_UP_BARE: u64 = SECOND;
/// More in flight than this: a server that cannot follow at all.
const MOST_IN_FLIGHT: usize = 1_000_000;
const LOOK: u64 = SECOND / 20;

/// What the server used.
#[derive(Debug, Default, Clone, Copy)]
pub struct Used {
    /// Exact, of all its threads.
    pub cpu: Duration,
    /// Of it, in its own code and in the kernel, as the kernel estimates it.
    pub user: Duration,
    /// See `user`.
    pub system: Duration,
}

/// What became of a round.
#[derive(Debug)]
pub struct Tally {
    /// Messages that were sent.
    pub begun: u64,
    /// That arrived.
    pub arrivals: u64,
    /// Whose sender knows that they did.
    pub receipts: u64,
    /// That were stored on the way.
    pub stored: u64,
    /// That were refused.
    pub refused: u64,
    /// That did not arrive.
    pub lost: u64,
    /// Arrivals beyond the first.
    pub doubled: u64,
    /// From the first message to the end of the last.
    pub wall: Duration,
    /// What the server used, if its process is known.
    pub used: Option<Used>,
    /// How long driver and server could have run and did not, because something else had their core.
    pub in_line: Duration,
    /// Datagrams.
    pub datagrams: Datagrams,
    /// Nanoseconds from sending to arrival, and to the receipt.
    pub to_recipient: Histogram<u64>,
    /// See `to_recipient`.
    pub to_receipt: Histogram<u64>,
    /// The round in stretches.
    pub stretches: Vec<Stretch>,
}

impl Tally {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.arrivals.max(self.receipts) as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of the server's CPU for each message: in all, in its own code, in the kernel.
    pub fn micros(&self) -> Option<[f64; 3]> {
        let messages = self.arrivals.max(self.receipts);
        let used = self.used.filter(|_| messages > 0)?;
        Some([used.cpu, used.user, used.system].map(|time| time.as_secs_f64() * 1e6 / messages as f64))
    }

    /// How much of one core the server used.
    pub fn busy(&self) -> Option<f64> {
        Some(self.used?.cpu.as_secs_f64() / self.wall.as_secs_f64())
    }

    /// Share of the time for which something else had a core that driver or server needed.
    pub fn disturbance(&self) -> f64 {
        self.in_line.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// A round to be driven.
pub struct Drive<'a, C> {
    /// What carries the messages.
    pub carrier: &'a mut C,
    /// Time.
    pub clock: Clock,
    /// Users 0 to this one, exclusive.
    pub users: u32,
    /// How messages are sent.
    pub pace: Pace,
    /// Who writes to whom.
    pub to: To,
    /// Whether this is the floor.
    pub bare: bool,
    /// The server's process.
    pub pid: Option<u32>,
    /// Id of the next message: rising over all rounds.
    pub next_id: u64,
    sender: u32,
    chance: u64,
}

impl<'a, C: Carrier> Drive<'a, C> {
    /// A round with these users.
    pub fn new(carrier: &'a mut C, clock: Clock, users: u32, pace: Pace, to: To) -> Self {
        // Ids must rise over all runs: the same id is the same message.
        let millis = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as u64);
        let next_id = millis << 20;
        Self {
            carrier,
            clock,
            users,
            pace,
            to,
            bare: false,
            pid: None,
            next_id,
            sender: 0,
            chance: 0x9E37_79B9_7F4A_7C15,
        }
    }

    fn pair(&mut self) -> (u32, u32) {
        let from = self.sender;
        self.sender = (self.sender + 1) % self.users;
        let to = match self.to {
            To::Partner => from ^ 1,
            To::Anyone => {
                // xorshift: the same partners in each run.
                self.chance ^= self.chance << 13;
                self.chance ^= self.chance >> 7;
                self.chance ^= self.chance << 17;
                let other = (self.chance >> 33) as u32 % (self.users - 1);
                if other >= from { other + 1 } else { other }
            }
        };
        (from, to)
    }

    /// Sends for so long, waits for the last messages, and tells what became of all of them. `progress` hears now and then
    /// how many have arrived.
    pub fn run(&mut self, length: Duration, progress: &mut dyn FnMut(u64)) -> Result<Tally, String> {
        self.carrier.begin()?;
        let mut events = Vec::new();
        let (used, in_line, datagrams) = (self.used()?, self.in_line(), self.carrier.datagrams());
        let (start, length) = (self.clock.ns(), length.as_nanos() as u64);
        let mut flights = Flights::new(self.next_id, true, 2, start, (length / 100).max(SECOND / 10));
        let give_up = if self.bare { GIVE_UP_BARE } else { GIVE_UP };
        let mut look = start + LOOK;
        let mut end = start;
        loop {
            let now_ms = millis(self.clock.ns());
            let count = self.carrier.turn(now_ms, 0, &mut events)?;
            let now = self.clock.ns();
            if count > 0 {
                end = now;
            }
            for event in events.drain(..) {
                match event {
                    Event::Message { id, .. } => flights.arrive(id, now),
                    Event::Receipt { id, state, .. } => flights.receipt(id, state, now),
                    Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
                    Event::Ended { user, why } => return Err(format!("user {user} is signed out: {why}")),
                    _ => {}
                }
            }
            if now - start < length {
                self.send_due(&mut flights, now, start);
            } else if flights.in_flight == 0 {
                break;
            }
            self.carrier.flush(now_ms)?;
            if now >= look {
                look = now + LOOK;
                flights.give_up(now, give_up);
                if now - start < length {
                    flights.tick(now);
                }
                progress(flights.arrivals);
                if sys::stopping() {
                    return Err("interrupted".into());
                }
            }
        }
        self.next_id += flights.begun();
        let used = used.zip(self.used()?).map(|(before, after)| Used {
            cpu: after.cpu.saturating_sub(before.cpu),
            user: after.user.saturating_sub(before.user),
            system: after.system.saturating_sub(before.system),
        });
        let tally = Tally {
            begun: flights.begun(),
            arrivals: flights.arrivals,
            receipts: flights.receipts,
            stored: flights.stored,
            refused: flights.refused,
            lost: flights.lost(),
            doubled: flights.doubled,
            wall: Duration::from_nanos(end - start),
            used: used.map(Used::shared),
            in_line: self.in_line().saturating_sub(in_line),
            datagrams: self.carrier.datagrams().since(datagrams),
            to_recipient: flights.to_recipient,
            to_receipt: flights.to_receipt,
            stretches: flights.stretches,
        };
        // The acks of the last messages are no part of it, but the server must not send them again in the next.
        self.rest(Duration::from_millis(30))?;
        Ok(tally)
    }

    /// Takes and answers what comes, and begins nothing.
    pub fn rest(&mut self, length: Duration) -> Result<(), String> {
        let end = self.clock.ns() + length.as_nanos() as u64;
        let mut events = Vec::new();
        while self.clock.ns() < end {
            let now_ms = millis(self.clock.ns());
            self.carrier.turn(now_ms, 1, &mut events)?;
            self.carrier.flush(now_ms)?;
            events.clear();
        }
        Ok(())
    }

    fn send_due(&mut self, flights: &mut Flights, now: u64, start: u64) {
        match self.pace {
            Pace::Window(window) => {
                while flights.in_flight < window {
                    let (from, to) = self.pair();
                    let id = flights.begin(now);
                    self.carrier.send(from, to, id);
                }
            }
            Pace::Rate(rate) => loop {
                let due = start + (flights.begun() as f64 / rate * SECOND as f64) as u64;
                if due > now || flights.in_flight >= MOST_IN_FLIGHT {
                    break;
                }
                let (from, to) = self.pair();
                let id = flights.begin(due);
                self.carrier.send(from, to, id);
            },
        }
    }

    fn used(&self) -> Result<Option<Used>, String> {
        let Some(pid) = self.pid else { return Ok(None) };
        let cpu = sys::cpu_time(pid).map_err(|error| format!("process {pid} is not there: {error}"))?;
        let (user, system) = cpu_split(pid).unwrap_or_default();
        Ok(Some(Used { cpu, user, system }))
    }

    fn in_line(&self) -> Duration {
        let own = time_in_line(std::process::id()).unwrap_or_default();
        own + self.pid.and_then(time_in_line).unwrap_or_default()
    }
}

impl Used {
    /// The exact time, shared as the kernel's ticks say.
    fn shared(self) -> Self {
        let ticks = (self.user + self.system).as_secs_f64();
        let share = if ticks > 0.0 { self.user.as_secs_f64() / ticks } else { 0.0 };
        let user = self.cpu.mul_f64(share.clamp(0.0, 1.0));
        Self { user, system: self.cpu.saturating_sub(user), ..self }
    }
}
