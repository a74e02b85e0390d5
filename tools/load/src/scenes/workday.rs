//! A working day: people write to each other, a few of them to very many; they change their status, go away and come back,
//! and say that they are still there.

use super::Dice;
use super::messages::{Messages, To};
use crate::carrier::{Carrier, Linked};
use crate::clock::{SECOND, millis};
use crate::crowd::{Event, OFFLINE};
use crate::flights::{Done, histogram};
use crate::play::{Counted, Pace, Pacer, Scene};
use hdrhistogram::Histogram;
use oicq::wire::User as Said;
use std::collections::HashSet;

/// Of a hundred things that people do, so many are changes of status, and so many going away; the others are messages.
const CHANGES: u32 = 5;
const LEAVES: u32 = 3;
/// So long they stay away.
const AWAY: u64 = SECOND;
/// After so long a message that was to come is lost.
const GIVE_UP: u64 = 35 * SECOND;

/// Where a user is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Leaving,
    Away { until: u64 },
    Entering { since: u64 },
}

/// The scene.
pub struct Workday {
    users: u32,
    pace: Pace,
    pacer: Pacer,
    messages: Messages,
    places: Vec<Place>,
    /// Messages of each user without any receipt: with those nobody goes away.
    open: Vec<u32>,
    /// When the change of status that each waits for was to begin, or 0.
    changing: Vec<u64>,
    /// Messages that came to somebody who was leaving: that they arrived may not have been told, and then they come again;
    /// a client drops them.
    unproven: HashSet<u64>,
    again: u64,
    /// Those who are leaving, away or entering.
    absent: Vec<u32>,
    dice: Dice,
    begun: u64,
    done: u64,
    changes: u64,
    pushes: u64,
    sign_ins: u64,
    change: Histogram<u64>,
    sign_in: Histogram<u64>,
}

impl Workday {
    /// Of so many users.
    pub fn new(users: u32, pace: Pace, seed: u64) -> Self {
        Self {
            users,
            pace,
            pacer: Pacer::new(pace, 0),
            messages: Messages::new(0..users, 0..users, To::Popular, pace, Done::Arrived, seed),
            places: vec![Place::Here; users as usize],
            open: vec![0; users as usize],
            changing: vec![0; users as usize],
            unproven: HashSet::new(),
            again: 0,
            absent: Vec::new(),
            dice: Dice::new(seed),
            begun: 0,
            done: 0,
            changes: 0,
            pushes: 0,
            sign_ins: 0,
            change: histogram(),
            sign_in: histogram(),
        }
    }

    fn message(&mut self, carrier: &mut Linked<'_>, due: u64) {
        // Somebody is always there: those who leave are few.
        for _ in 0..self.users {
            let (from, to) = self.messages.pair();
            if self.places[from as usize] == Place::Here {
                let flights = &mut self.messages.flights;
                let here = self.places[to as usize] == Place::Here;
                let id = if here { flights.begin(due) } else { flights.begin_to_absent(due) };
                self.open[from as usize] += 1;
                return carrier.send(from, to, id);
            }
        }
    }

    fn left(&mut self, user: u32, now_ns: u64) {
        if self.places[user as usize] == Place::Leaving {
            self.places[user as usize] = Place::Away { until: now_ns + AWAY };
        }
    }

    /// Lets those come back who were away for long enough.
    fn come_back(&mut self, carrier: &mut Linked<'_>, now_ns: u64) -> Result<(), String> {
        for at in 0..self.absent.len() {
            let user = self.absent[at];
            if let Place::Away { until } = self.places[user as usize]
                && until <= now_ns
            {
                self.places[user as usize] = Place::Entering { since: now_ns };
                carrier.crowd.enter(millis(now_ns), user)?;
            }
        }
        let places = &self.places;
        self.absent.retain(|user| places[*user as usize] != Place::Here);
        Ok(())
    }
}

impl<'a> Scene<Linked<'a>> for Workday {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        Scene::<Linked<'a>>::start(&mut self.messages, now_ns, stretch_ns);
        self.pacer = Pacer::new(self.pace, now_ns);
        self.open.fill(0);
        (self.begun, self.done, self.changes, self.pushes, self.sign_ins) = (0, 0, 0, 0, 0);
    }

    fn due(&mut self, carrier: &mut Linked<'a>, now_ns: u64) -> Result<(), String> {
        while let Some(due) = self.pacer.next(now_ns, self.messages.flights.in_flight) {
            let (dice, user) = (self.dice.below(100), self.dice.below(self.users));
            let at = user as usize;
            let here = self.places[at] == Place::Here;
            if dice < CHANGES && here && self.changing[at] == 0 {
                self.changing[at] = due.max(1);
                self.begun += 1;
                carrier.change(user, 0, [1, 3][(dice % 2) as usize]);
            } else if dice >= 100 - LEAVES && here && self.open[at] == 0 && self.changing[at] == 0 {
                self.places[at] = Place::Leaving;
                self.absent.push(user);
                self.begun += 1;
                let me = carrier.crowd.number(user);
                carrier.crowd.say(user, &Said::SetStatus { me, status: OFFLINE });
            } else {
                self.message(carrier, due);
            }
        }
        Ok(())
    }

    fn event(&mut self, carrier: &mut Linked<'a>, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            Event::Receipt { user, id, state } => {
                if self.messages.flights.receipt(id, state, now_ns) {
                    let open = &mut self.open[user as usize];
                    *open = open.saturating_sub(1);
                }
            }
            Event::Status { .. } => self.pushes += 1,
            Event::StatusSet { user } => {
                let since = std::mem::take(&mut self.changing[user as usize]);
                if since > 0 {
                    self.changes += 1;
                    self.done += 1;
                    self.change.saturating_record(now_ns - since);
                }
            }
            Event::SignedIn { user, .. } => {
                if let Place::Entering { since } = self.places[user as usize] {
                    self.places[user as usize] = Place::Here;
                    self.sign_ins += 1;
                    self.done += 1;
                    self.sign_in.saturating_record(now_ns - since);
                }
            }
            Event::Message { user, id } => {
                if self.unproven.remove(&id) {
                    self.again += 1;
                } else {
                    self.messages.flights.arrive(id, now_ns);
                    if self.places[user as usize] == Place::Leaving {
                        self.unproven.insert(id);
                    }
                }
            }
            Event::Ended { user, .. } if self.places[user as usize] == Place::Leaving => self.left(user, now_ns),
            other => return self.messages.event(carrier, other, now_ns),
        }
        Ok(())
    }

    fn look(&mut self, carrier: &mut Linked<'a>, now_ns: u64, beginning: bool) -> Result<(), String> {
        self.messages.flights.give_up(now_ns, GIVE_UP);
        if beginning {
            self.messages.flights.stretches.tick(now_ns);
        }
        self.come_back(carrier, now_ns)
    }

    fn in_progress(&self) -> usize {
        self.messages.flights.in_flight + (self.begun - self.done) as usize
    }

    fn done(&self) -> u64 {
        self.messages.flights.arrivals + self.done
    }

    fn finish(&mut self) -> Counted {
        let mut messages = Scene::<Linked<'a>>::finish(&mut self.messages);
        let to_absent = std::mem::replace(&mut self.messages.flights.to_absent, histogram());
        messages.latencies.extend([
            ("to the absent", to_absent),
            ("change of status", std::mem::replace(&mut self.change, histogram())),
            ("sign-in", std::mem::replace(&mut self.sign_in, histogram())),
        ]);
        messages.notes.extend([
            ("messages", messages.done),
            ("changes of status", self.changes),
            ("copies of them", self.pushes),
            ("sign-ins", self.sign_ins),
            ("came again after a sign-out", std::mem::take(&mut self.again)),
        ]);
        Counted {
            unit: "thing done",
            begun: messages.begun + self.begun,
            done: messages.done + self.done,
            lost: messages.lost + self.begun - self.done,
            ..messages
        }
    }
}
