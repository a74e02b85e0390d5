//! A server at rest: everybody is signed in and does nothing, but says every 30 s that they are still there.

use crate::carrier::Linked;
use crate::clock::{SECOND, millis};
use crate::crowd::Event;
use crate::flights::{Stretches, histogram};
use crate::play::{Counted, Scene};
use hdrhistogram::Histogram;

/// So long an answer is waited for at the end.
const GIVE_UP: u64 = 5 * SECOND;

/// One user.
#[derive(Clone, Copy, Default)]
struct One {
    /// When it has said that it is there, if it waits for the answer; else 0.
    since: u64,
    /// Whether it has said so, and whether it was ever answered.
    asked: bool,
    answered: bool,
    ended: bool,
}

/// The scene.
pub struct Idle {
    users: Vec<One>,
    /// Their keep-alives are spread over the time.
    spread: bool,
    asked: u64,
    answered: u64,
    waiting: usize,
    /// When the round was over, once it is.
    over_ns: Option<u64>,
    gave_up: bool,
    latency: Histogram<u64>,
    stretches: Stretches,
}

impl Idle {
    /// Of so many users.
    pub fn new(users: u32) -> Self {
        Self {
            users: vec![One::default(); users as usize],
            spread: false,
            asked: 0,
            answered: 0,
            waiting: 0,
            over_ns: None,
            gave_up: false,
            latency: histogram(),
            stretches: Stretches::new(0, SECOND),
        }
    }
}

impl Scene<Linked<'_>> for Idle {
    fn start(&mut self, now_ns: u64, stretch_ns: u64) {
        self.users.fill(One::default());
        (self.asked, self.answered, self.waiting) = (0, 0, 0);
        (self.over_ns, self.gave_up) = (None, false);
        self.latency.reset();
        self.stretches = Stretches::new(now_ns, stretch_ns);
    }

    fn due(&mut self, carrier: &mut Linked<'_>, now_ns: u64) -> Result<(), String> {
        if !std::mem::replace(&mut self.spread, true) {
            carrier.crowd.spread(millis(now_ns));
        }
        Ok(())
    }

    fn event(&mut self, _: &mut Linked<'_>, event: Event, now_ns: u64) -> Result<(), String> {
        match event {
            // They go on after the round, too.
            Event::Asked { user } if self.over_ns.is_none() => {
                let one = &mut self.users[user as usize];
                self.waiting += usize::from(one.since == 0);
                (one.since, one.asked) = (now_ns, true);
                self.asked += 1;
            }
            Event::Answered { user } => {
                let one = &mut self.users[user as usize];
                let since = std::mem::take(&mut one.since);
                if since > 0 {
                    one.answered = true;
                    self.waiting -= 1;
                    self.answered += 1;
                    self.latency.saturating_record(now_ns - since);
                    self.stretches.record(now_ns - since);
                }
            }
            // Who is left is counted at the end: it is what the scene is to find out.
            Event::Ended { user, .. } => {
                self.waiting -= usize::from(std::mem::take(&mut self.users[user as usize].since) > 0);
            }
            Event::Notice { text, .. } => return Err(format!("the server says: {text}")),
            _ => {}
        }
        Ok(())
    }

    fn look(&mut self, carrier: &mut Linked<'_>, now_ns: u64, beginning: bool) -> Result<(), String> {
        if beginning {
            self.stretches.tick(now_ns);
        } else {
            let over = *self.over_ns.get_or_insert(now_ns);
            self.gave_up = now_ns - over > GIVE_UP;
            for (user, one) in self.users.iter_mut().enumerate() {
                one.ended = !carrier.crowd.is_in(user as u32);
            }
        }
        Ok(())
    }

    fn in_progress(&self) -> usize {
        // The last question is told in the first look after the round.
        if self.gave_up { 0 } else { self.waiting + usize::from(self.over_ns.is_none()) }
    }

    fn done(&self) -> u64 {
        self.answered
    }

    fn finish(&mut self) -> Counted {
        let lost = |one: &&One| one.ended || one.asked && !one.answered;
        Counted {
            unit: "keep-alive",
            begun: self.asked,
            done: self.answered,
            lost: self.users.iter().filter(lost).count() as u64,
            doubled: 0,
            notes: vec![
                ("keep-alives without an answer", self.asked - self.answered),
                ("sessions that ended", self.users.iter().filter(|one| one.ended).count() as u64),
            ],
            latencies: vec![("answer", std::mem::replace(&mut self.latency, histogram()))],
            stretches: std::mem::take(&mut self.stretches.told),
        }
    }
}
