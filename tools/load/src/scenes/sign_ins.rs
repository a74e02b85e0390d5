//! Sign-ins: a handshake, a token, and the friend list back. Users sign in again and again, each time as a client does that
//! was started anew; their older sessions end by it.

use crate::carrier::Linked;
use crate::clock::SECOND;
use crate::crowd::Event;
use crate::flights::{Stretches, histogram};
use crate::play::{Counted, Pace, Pacer, Scene};
use hdrhistogram::Histogram;

/// The scene.
pub struct SignIns {
    users: u32,
    pace: Pace,
    pacer: Pacer,
    next: u32,
    /// When each that is signing in was to begin; 0 for the others.
    since: Vec<u64>,
    in_progress: usize,
    begun: u64,
    done: u64,
    friends: u64,
    latency: Histogram<u64>,
    stretches: Stretches,
}

impl SignIns {
    /// Of these users in turn.
    pub fn new(users: u32, pace: Pace) -> Self {
        Self {
            users,
            pace,
            pacer: Pacer::new(pace, 0),
            next: 0,
            since: vec![0; users as usize],
            in_progress: 0,
            begun: 0,
            done: 0,
            friends: 0,
            latency: histogram(),
            stretches: Stretches::new(0, SECOND),
        }
    }
}

impl Scene<Linked<'_>> for SignIns {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        self.pacer = Pacer::new(self.pace, now_ns);
        (self.begun, self.done, self.friends) = (0, 0, 0);
        self.latency.reset();
        self.stretches = Stretches::new(now_ns, stretch_ns);
    }

    fn due(&mut self, carrier: &mut Linked<'_>, now_ns: u64) -> Result<(), String> {
        // Nobody signs in twice at once.
        while self.since[self.next as usize] == 0
            && let Some(due) = self.pacer.next(now_ns, self.in_progress)
        {
            carrier.crowd.enter(crate::clock::millis(now_ns), self.next)?;
            self.since[self.next as usize] = due.max(1);
            self.next = (self.next + 1) % self.users;
            self.in_progress += 1;
            self.begun += 1;
        }
        Ok(())
    }

    fn event(&mut self, _: &mut Linked<'_>, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            Event::SignedIn { user, friends } => {
                let since = std::mem::take(&mut self.since[user as usize]);
                if since > 0 {
                    self.in_progress -= 1;
                    self.done += 1;
                    self.friends += u64::from(friends);
                    self.latency.saturating_record(now_ns - since);
                    self.stretches.record(now_ns - since);
                }
            }
            Event::Ended { user, why } => return Err(format!("user {user} cannot sign in: {why}")),
            Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
            _ => {}
        }
        Ok(())
    }

    fn look(&mut self, _: &mut Linked<'_>, now_ns: u64, beginning: bool) -> Result<(), String> {
        if beginning {
            self.stretches.tick(now_ns);
        }
        Ok(())
    }

    fn in_progress(&self) -> usize {
        self.in_progress
    }

    fn done(&self) -> u64 {
        self.done
    }

    fn finish(&mut self) -> Counted {
        let friends = self.friends.checked_div(self.done).unwrap_or_default();
        Counted {
            unit: "sign-in",
            begun: self.begun,
            done: self.done,
            lost: self.begun - self.done,
            doubled: 0,
            notes: vec![("friends in a list, on average", friends)],
            latencies: vec![("sign-in", std::mem::replace(&mut self.latency, histogram()))],
            stretches: std::mem::take(&mut self.stretches.told),
        }
    }
}
