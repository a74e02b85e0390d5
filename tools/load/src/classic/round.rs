//! One round: so many messages kept in flight between the users, each followed from its sender to its receiver.

use super::fleet::{Fleet, gone};
use crate::child::Others;
use crate::sys::{self, BATCH, Batch, Wait};
use oicq::wire::{Dialect, Server, User};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Bytes at the start of each text that say which message it is: its number and its slot, in hexadecimal.
pub const MARK_BYTES: usize = 24;
/// Where the text begins in a message of a user: header, me, to, length.
const TEXT_AT: usize = 8 + 4 + 4 + 2;
/// A message that has not come for so long is lost. On loopback a hundredth of it would do.
const LOST_AFTER: Duration = Duration::from_secs(1);
const LOOK_FOR_LOST: Duration = Duration::from_millis(100);

/// What the other side does with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It passes it on to the partner.
    Relay,
    /// It sends it back.
    Echo,
}

/// What became of the messages of a round.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages that had not arrived a second later.
    pub lost: u64,
    /// Arrivals beyond the first of the same message.
    pub doubled: u64,
    /// From the first message to the last arrival.
    pub wall: Duration,
    /// CPU time of the server in that time, if it was asked for.
    pub cpu: Option<Duration>,
    /// How long driver and server could have run and did not, because something else had their core.
    pub others: Duration,
}

impl Tally {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.delivered as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of the server's CPU for each message.
    pub fn cpu_micros(&self) -> Option<f64> {
        (self.delivered > 0).then_some(self.cpu?.as_secs_f64() * 1e6 / self.delivered as f64)
    }

    /// Share of the time for which something else had a core that driver or server needed.
    pub fn disturbance(&self) -> f64 {
        self.others.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// How much of one core the server used.
    pub fn busy(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() / self.wall.as_secs_f64())
    }
}

/// A place in the window: the message that is in flight in it.
#[derive(Clone, Copy)]
struct Slot {
    message: u64,
    sent: Instant,
    flying: bool,
}

/// The closed loop. It never sleeps, so that the server under measurement is not charged for waking it.
pub struct Loop<'a> {
    fleet: &'a Fleet,
    way: Way,
    pid: Option<u32>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    out: Vec<Batch>,
    arrived: Batch,
    next_sender: usize,
    next_message: u64,
    given_up: HashSet<u64>,
    tally: Tally,
}

impl<'a> Loop<'a> {
    /// A loop over the fleet's users with `window` messages in flight; `pid` is the process whose CPU time counts.
    pub fn new(fleet: &'a Fleet, way: Way, window: usize, pid: Option<u32>) -> Self {
        let slot_bytes = fleet.members[0].frame.len().max(2_048);
        Self {
            fleet,
            way,
            pid,
            slots: vec![Slot { message: 0, sent: Instant::now(), flying: false }; window],
            free: (0..window).collect(),
            out: fleet.lanes.iter().map(|_| Batch::new(slot_bytes)).collect(),
            arrived: Batch::new(slot_bytes),
            next_sender: 0,
            next_message: 1,
            given_up: HashSet::new(),
            tally: Tally::default(),
        }
    }

    /// Sends for so long, waits for the last messages, and tells what became of all of them.
    pub fn run(&mut self, length: Duration) -> Result<Tally, String> {
        self.tally = Tally::default();
        let (cpu_before, others) = (self.cpu()?, Others::now(self.pid));
        let start = Instant::now();
        let mut last_arrival = start;
        let mut look_at = start + LOOK_FOR_LOST;
        loop {
            let now = Instant::now();
            if self.receive()? > 0 {
                last_arrival = now;
            }
            if now >= look_at {
                self.look_for_lost(now);
                look_at = now + LOOK_FOR_LOST;
                if sys::stopping() {
                    return Err("interrupted".into());
                }
            }
            if now - start < length {
                self.fill_window(now)?;
            } else if self.free.len() == self.slots.len() {
                break;
            }
        }
        self.tally.wall = last_arrival - start;
        self.tally.cpu = self.cpu()?.zip(cpu_before).map(|(after, before)| after - before);
        self.tally.others = Others::now(self.pid).since(others);
        Ok(self.tally)
    }

    fn cpu(&self) -> Result<Option<Duration>, String> {
        let Some(pid) = self.pid else { return Ok(None) };
        sys::cpu_time(pid)
            .map(Some)
            .map_err(|error| format!("the CPU time of process {pid} cannot be read: {error}; is it still running?"))
    }

    fn fill_window(&mut self, now: Instant) -> Result<(), String> {
        let fleet = self.fleet;
        while let Some(index) = self.free.pop() {
            let member = &fleet.members[self.next_sender];
            self.next_sender = (self.next_sender + 1) % fleet.members.len();
            let out = &mut self.out[member.lane];
            write_mark(out.push(&member.frame), self.next_message, index);
            self.slots[index] = Slot { message: self.next_message, sent: now, flying: true };
            self.next_message += 1;
            if out.len() == BATCH {
                out.send(&fleet.lanes[member.lane]).map_err(|error| gone(&error))?;
            }
        }
        for (out, lane) in self.out.iter_mut().zip(&fleet.lanes) {
            if out.len() > 0 {
                out.send(lane).map_err(|error| gone(&error))?;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<usize, String> {
        let mut count = 0;
        let fleet = self.fleet;
        for lane in &fleet.lanes {
            count += self.arrived.receive(lane, Wait::Never).map_err(|error| gone(&error))?;
            for index in 0..self.arrived.len() {
                let Some((message, slot)) = read_mark(self.arrived.datagram(index), self.way)? else { continue };
                match self.slots.get_mut(slot) {
                    Some(place) if place.flying && place.message == message => {
                        place.flying = false;
                        self.free.push(slot);
                        self.tally.delivered += 1;
                    }
                    // Given up too early: it was late, not lost.
                    Some(_) if self.given_up.remove(&message) => {
                        self.tally.lost = self.tally.lost.saturating_sub(1);
                        self.tally.delivered += 1;
                    }
                    _ => self.tally.doubled += 1,
                }
            }
        }
        Ok(count)
    }

    fn look_for_lost(&mut self, now: Instant) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.flying && now - slot.sent > LOST_AFTER {
                slot.flying = false;
                self.free.push(index);
                self.given_up.insert(slot.message);
                self.tally.lost += 1;
            }
        }
    }
}

fn write_mark(frame: &mut [u8], message: u64, slot: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mark = (u128::from(message) << 32) | slot as u128;
    for (index, digit) in frame[TEXT_AT..TEXT_AT + MARK_BYTES].iter_mut().enumerate() {
        *digit = DIGITS[(mark >> (4 * (MARK_BYTES - 1 - index))) as usize & 15];
    }
}

/// Which message a datagram brings. `None` for what is no message of a user; an error where the server says that it
/// will not pass messages on.
fn read_mark(bytes: &[u8], way: Way) -> Result<Option<(u64, usize)>, String> {
    let text = match way {
        Way::Echo => match User::decode(bytes, Dialect::Classic) {
            Ok(User::Message { text, .. }) => text,
            _ => return Ok(None),
        },
        Way::Relay => match Server::decode(bytes, Dialect::Classic) {
            Ok(Server::Message { flag: 2, text, .. }) => text,
            Ok(Server::Message { text, .. }) => return Err(format!("the server says: {text}")),
            Ok(Server::SignedIn { ok: 0, .. }) => return Err("the server has signed a user out".into()),
            _ => return Ok(None),
        },
    };
    let Some(mark) = text.get(..MARK_BYTES).and_then(|mark| u128::from_str_radix(mark, 16).ok()) else {
        return Ok(None);
    };
    Ok(Some(((mark >> 32) as u64, (mark & 0xFFFF_FFFF) as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_where_the_text_begins() {
        let text = "x".repeat(40);
        let mut frame = Vec::new();
        User::Message { me: 10_000, to: 10_001, text: &text, id: None }.encode(&mut frame);
        write_mark(&mut frame, 0x1234_5678_9ABC_DEF0, 77);
        assert_eq!(read_mark(&frame, Way::Echo), Ok(Some((0x1234_5678_9ABC_DEF0, 77))));
        let mut passed_on = Vec::new();
        let User::Message { text, .. } = User::decode(&frame, Dialect::Classic).unwrap() else { panic!("a message") };
        Server::Message { flag: 2, sender: 10_000, text, kind: 0, id: None, time: None }.encode(&mut passed_on);
        assert_eq!(read_mark(&passed_on, Way::Relay), Ok(Some((0x1234_5678_9ABC_DEF0, 77))));
    }

    #[test]
    fn a_refusal_ends_the_round() {
        let mut frame = Vec::new();
        Server::Message { flag: 1, sender: 0, text: "too fast", kind: 0, id: None, time: None }.encode(&mut frame);
        assert_eq!(read_mark(&frame, Way::Relay), Err("the server says: too fast".into()));
    }
}
