//! Messages from user to user, each followed to its recipient and back.

use super::Dice;
use crate::carrier::Carrier;
use crate::clock::SECOND;
use crate::crowd::Event;
use crate::flights::{Done, Flights};
use crate::play::{Counted, Pace, Pacer, Scene};
use std::ops::Range;

/// Who writes to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum To {
    /// Users 2i and 2i + 1 write to each other
    Partner,
    /// To anyone, each as likely as the other
    Anyone,
    /// To anyone, but to a few far more often
    Popular,
}

/// After so long a message is counted as lost, unless it comes later.
const GIVE_UP: u64 = 30 * SECOND;
/// The same for the floor, which sends nothing again.
const GIVE_UP_BARE: u64 = SECOND;

/// The first id of a round that begins now.
fn first_id() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as u64) << 20
}

/// The scene.
pub struct Messages {
    /// Who sends, in turns.
    senders: Range<u32>,
    /// Who gets them, unless they are partners.
    recipients: Range<u32>,
    to: To,
    pace: Pace,
    pacer: Pacer,
    /// All messages of the round.
    pub flights: Flights,
    done_when: Done,
    /// So many in a round at most.
    pub most: u64,
    /// So many two partners write in turns before others do; each waits for the receipt of the last.
    pub talk: u32,
    /// How many more are to follow each message of the round, if they talk.
    follow: Vec<u32>,
    /// Who answers next, and how many more are to follow.
    answers: Vec<(u32, u32)>,
    give_up: u64,
    next_id: u64,
    sender: u32,
    recipient: u32,
    dice: Dice,
}

impl Messages {
    /// Between these users.
    pub fn between(users: u32, to: To, pace: Pace, seed: u64) -> Self {
        Self::new(0..users, 0..users, to, pace, Done::Known, seed)
    }

    /// The same over the floor.
    pub fn bare(users: u32, to: To, pace: Pace, seed: u64) -> Self {
        Self { give_up: GIVE_UP_BARE, ..Self::between(users, to, pace, seed) }
    }

    /// From some users to others, each of them in turn.
    pub fn new(senders: Range<u32>, recipients: Range<u32>, to: To, pace: Pace, done_when: Done, seed: u64) -> Self {
        let next_id = first_id();
        Self {
            sender: senders.start,
            recipient: recipients.start,
            senders,
            recipients,
            to,
            pace,
            pacer: Pacer::new(pace, 0),
            flights: Flights::new(next_id, done_when, 0, SECOND),
            done_when,
            most: u64::MAX,
            talk: 1,
            follow: Vec::new(),
            answers: Vec::new(),
            give_up: GIVE_UP,
            next_id,
            dice: Dice::new(seed),
        }
    }

    /// The next two.
    pub fn pair(&mut self) -> (u32, u32) {
        let from = self.sender;
        self.sender = if from + 1 == self.senders.end { self.senders.start } else { from + 1 };
        if self.senders != self.recipients {
            let to = self.recipient;
            self.recipient = if to + 1 == self.recipients.end { self.recipients.start } else { to + 1 };
            return (from, to);
        }
        let others = self.senders.end - 1;
        let to = match self.to {
            To::Partner => return (from, from ^ 1),
            To::Anyone => self.dice.below(others),
            To::Popular => self.dice.skewed(others),
        };
        (from, if to >= from { to + 1 } else { to })
    }
}

impl<C: Carrier> Scene<C> for Messages {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        // Rising over all scenes and runs: the same id is the same message.
        self.next_id = first_id().max(self.next_id + self.flights.begun());
        self.pacer = Pacer::new(self.pace, now_ns);
        self.follow.clear();
        self.answers.clear();
        self.flights = Flights::new(self.next_id, self.done_when, now_ns, stretch_ns);
    }

    fn due(&mut self, carrier: &mut C, now_ns: u64) -> Result<(), String> {
        while self.flights.begun() < self.most
            && let Some(due) = self.pacer.next(now_ns, self.flights.in_flight)
        {
            let ((from, to), follow) = match self.answers.pop() {
                Some((from, follow)) => ((from, from ^ 1), follow),
                None => (self.pair(), self.talk - 1),
            };
            let id = self.flights.begin(due);
            if self.talk > 1 {
                self.follow.push(follow);
            }
            carrier.send(from, to, id);
        }
        Ok(())
    }

    fn event(&mut self, _: &mut C, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            Event::Message { id, .. } => self.flights.arrive(id, now_ns),
            Event::Receipt { user, id, state } => {
                let open = self.flights.in_flight;
                self.flights.receipt(id, state, now_ns);
                let done = self.flights.in_flight < open;
                let at = id.saturating_sub(self.next_id) as usize;
                if let Some(&follow @ 1..) = self.follow.get(at).filter(|_| done) {
                    self.answers.push((user ^ 1, follow - 1));
                }
            }
            Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
            Event::Ended { user, why } => return Err(format!("user {user} is signed out: {why}")),
            _ => {}
        }
        Ok(())
    }

    fn look(&mut self, _: &mut C, now_ns: u64, beginning: bool) -> Result<(), String> {
        self.flights.give_up(now_ns, self.give_up);
        if beginning {
            self.flights.stretches.tick(now_ns);
        }
        Ok(())
    }

    fn in_progress(&self) -> usize {
        self.flights.in_flight
    }

    fn done(&self) -> u64 {
        self.flights.finished()
    }

    fn finish(&mut self) -> Counted {
        let flights = &mut self.flights;
        let recipient = ("recipient", std::mem::replace(&mut flights.to_recipient, crate::flights::histogram()));
        let receipt = ("receipt", std::mem::replace(&mut flights.to_receipt, crate::flights::histogram()));
        let latencies = match self.done_when {
            Done::Stored => vec![receipt],
            Done::Arrived => vec![recipient],
            Done::Known => vec![recipient, receipt],
        };
        Counted {
            unit: "message",
            begun: flights.begun(),
            done: flights.finished(),
            lost: flights.lost(),
            doubled: flights.doubled,
            notes: vec![("stored on the way", flights.stored), ("refused", flights.refused)],
            latencies,
            stretches: std::mem::take(&mut flights.stretches.told),
        }
    }
}
