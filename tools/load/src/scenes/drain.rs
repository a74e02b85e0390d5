//! Delivery of mailboxes: users sign in and get what was stored for them. It is also the proof that a message with
//! receipt 1 was not lost.

use crate::carrier::Linked;
use crate::clock::{SECOND, millis};
use crate::crowd::Event;
use crate::flights::{Done, Flights, histogram};
use crate::play::{Counted, Scene};
use std::ops::Range;

/// Sign-ins in progress at once.
const AT_ONCE: u32 = 128;
/// Nothing comes for so long: there is no more.
const SILENCE: u64 = 10 * SECOND;

/// The scene.
pub struct Drain {
    users: Range<u32>,
    /// Ids of the messages that were stored for them.
    ids: Range<u64>,
    next: u32,
    signed_in: u32,
    flights: Flights,
    heard_ns: u64,
    over: bool,
}

impl Drain {
    /// These users sign in, and have so many messages.
    pub fn new(users: Range<u32>, ids: Range<u64>) -> Self {
        let flights = Flights::new(ids.start, Done::Arrived, 0, SECOND);
        Self { next: users.start, users, ids, signed_in: 0, flights, heard_ns: 0, over: false }
    }
}

impl Scene<Linked<'_>> for Drain {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        self.flights = Flights::new(self.ids.start, Done::Arrived, now_ns, stretch_ns);
        for _ in self.ids.clone() {
            self.flights.begin(now_ns);
        }
        self.heard_ns = now_ns;
    }

    fn due(&mut self, carrier: &mut Linked<'_>, now_ns: u64) -> Result<(), String> {
        while self.next < self.users.end && self.next - self.users.start - self.signed_in < AT_ONCE {
            carrier.crowd.enter(millis(now_ns), self.next)?;
            self.next += 1;
        }
        Ok(())
    }

    fn event(&mut self, carrier: &mut Linked<'_>, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            Event::SignedIn { .. } => self.signed_in += 1,
            Event::Message { id, .. } => self.flights.arrive(id, now_ns),
            Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
            Event::Ended { user, why } => return Err(format!("user {user} is signed out: {why}")),
            _ => return Ok(()),
        }
        self.heard_ns = now_ns;
        self.due(carrier, now_ns)
    }

    fn look(&mut self, _: &mut Linked<'_>, now_ns: u64, _: bool) -> Result<(), String> {
        self.flights.stretches.tick(now_ns);
        self.over = now_ns - self.heard_ns > SILENCE;
        Ok(())
    }

    fn in_progress(&self) -> usize {
        let signing_in = (self.users.end - self.users.start - self.signed_in) as usize;
        if self.over { 0 } else { self.flights.in_flight + signing_in }
    }

    fn done(&self) -> u64 {
        self.flights.arrivals
    }

    fn finish(&mut self) -> Counted {
        Counted {
            unit: "message",
            begun: self.flights.begun(),
            done: self.flights.arrivals,
            lost: self.flights.lost(),
            doubled: self.flights.doubled,
            notes: vec![("users signed in", self.signed_in.into())],
            latencies: vec![("from the first sign-in", std::mem::replace(&mut self.flights.to_recipient, histogram()))],
            stretches: std::mem::take(&mut self.flights.stretches.told),
        }
    }
}
