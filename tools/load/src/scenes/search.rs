//! Searches that no index helps, alone or while people write to each other.

use super::messages::Messages;
use crate::carrier::Linked;
use crate::clock::SECOND;
use crate::crowd::Event;
use crate::flights::{Stretches, histogram};
use crate::play::{Counted, Pace, Pacer, Scene};
use hdrhistogram::Histogram;
use oicq::wire::User as Said;

/// The search of the account that the first user belongs to: all accounts are read, and none but a few fit.
pub const QUERY: &str = "introduction LIKE '%nobody%' OR nickname LIKE '%load 77_77%' AND age > 20";

/// Its message type.
const SEARCH: u8 = 0x0B;

/// The scene.
pub struct Search {
    query: String,
    users: u32,
    pace: Pace,
    pacer: Pacer,
    /// When the search of each user was to begin; 0 if it has none: one has one at a time.
    since: Vec<u64>,
    next: u32,
    in_progress: usize,
    begun: u64,
    done: u64,
    found: u64,
    refused: u64,
    latency: Histogram<u64>,
    stretches: Stretches,
    beside: Option<Messages>,
}

impl Search {
    /// These users search in turn. `beside` goes on meanwhile.
    pub fn new(query: String, users: u32, pace: Pace, beside: Option<Messages>) -> Self {
        Self {
            query,
            users,
            pace,
            pacer: Pacer::new(pace, 0),
            since: vec![0; users as usize],
            next: 0,
            in_progress: 0,
            begun: 0,
            done: 0,
            found: 0,
            refused: 0,
            latency: histogram(),
            stretches: Stretches::new(0, SECOND),
            beside,
        }
    }

    fn end(&mut self, user: u32, now_ns: u64) -> bool {
        let since = self.since.get_mut(user as usize).map(std::mem::take).unwrap_or_default();
        if since > 0 {
            self.in_progress -= 1;
            self.latency.saturating_record(now_ns - since);
            self.stretches.record(now_ns - since);
        }
        since > 0
    }
}

impl<'a> Scene<Linked<'a>> for Search {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        self.pacer = Pacer::new(self.pace, now_ns);
        (self.begun, self.done, self.found, self.refused) = (0, 0, 0, 0);
        self.stretches = Stretches::new(now_ns, stretch_ns);
        if let Some(beside) = &mut self.beside {
            Scene::<Linked<'a>>::start(beside, now_ns, stretch_ns);
        }
    }

    fn due(&mut self, carrier: &mut Linked<'a>, now_ns: u64) -> Result<(), String> {
        if let Some(beside) = &mut self.beside {
            beside.due(carrier, now_ns)?;
        }
        while self.since[self.next as usize] == 0
            && let Some(due) = self.pacer.next(now_ns, self.in_progress)
        {
            let me = carrier.crowd.number(self.next);
            carrier.crowd.say(self.next, &Said::Search { me, sql: &self.query });
            self.since[self.next as usize] = due.max(1);
            self.next = (self.next + 1) % self.users;
            self.in_progress += 1;
            self.begun += 1;
        }
        Ok(())
    }

    fn event(&mut self, carrier: &mut Linked<'a>, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            Event::Found { user, count } => {
                if self.end(user, now_ns) {
                    self.done += 1;
                    self.found += u64::from(count);
                }
            }
            Event::Notice { user, about: SEARCH, text } if text.contains("busy") => {
                self.end(user, now_ns);
                self.refused += 1;
            }
            other => {
                if let Some(beside) = &mut self.beside {
                    return beside.event(carrier, other, now_ns);
                }
                match other {
                    Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
                    Event::Ended { user, why } => return Err(format!("user {user} is signed out: {why}")),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn look(&mut self, carrier: &mut Linked<'a>, now_ns: u64, beginning: bool) -> Result<(), String> {
        if let Some(beside) = &mut self.beside {
            beside.look(carrier, now_ns, beginning)?;
        }
        if beginning {
            self.stretches.tick(now_ns);
        }
        Ok(())
    }

    fn in_progress(&self) -> usize {
        self.in_progress + self.beside.as_ref().map_or(0, |beside| beside.flights.in_flight)
    }

    fn done(&self) -> u64 {
        self.done
    }

    fn finish(&mut self) -> Counted {
        let mut counted = Counted {
            unit: "search",
            begun: self.begun,
            done: self.done,
            lost: self.begun - self.done - self.refused,
            doubled: 0,
            notes: vec![("people found", self.found), ("refused as busy", self.refused)],
            latencies: vec![("search", std::mem::replace(&mut self.latency, histogram()))],
            stretches: std::mem::take(&mut self.stretches.told),
        };
        if let Some(beside) = &mut self.beside {
            let messages = Scene::<Linked<'a>>::finish(beside);
            counted.notes.push(("messages meanwhile", messages.done));
            counted.lost += messages.lost;
            counted.doubled += messages.doubled;
            counted
                .latencies
                .extend(messages.latencies.into_iter().take(1).map(|(_, times)| ("message meanwhile", times)));
        }
        counted
    }
}
