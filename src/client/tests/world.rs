//! A client and a server with a network of 5 ms between them, under a clock of their own.

use super::fake::Fake;
use crate::client::{Core, Error, Event, OwnedProfile, Reply, RequestId, Secret, Setup};

const LATENCY_MS: u64 = 5;
pub const ME: u32 = 10_000;

pub struct World {
    pub now: u64,
    pub core: Core,
    pub fake: Fake,
    /// Arrival, whether to the server, packet.
    network: Vec<(u64, bool, Vec<u8>)>,
    /// Whether the packet of this number, to the server or from it, is lost.
    pub lose: fn(u64, bool) -> bool,
    packets: u64,
    pub replies: Vec<(RequestId, Result<Reply, Error>)>,
    pub events: Vec<Event>,
    /// Leave events where they are.
    pub busy: bool,
}

pub fn setup(key: Option<[u8; 32]>) -> Setup {
    Setup { key, seed: [5; 32], first_id: 1_000, ..Setup::default() }
}

impl World {
    pub fn with(setup: Setup) -> Self {
        Self {
            now: 0,
            core: Core::new(setup),
            fake: Fake::new(),
            network: Vec::new(),
            lose: |_, _| false,
            packets: 0,
            replies: Vec::new(),
            events: Vec::new(),
            busy: false,
        }
    }

    pub fn new() -> Self {
        Self::with(setup(Some(Fake::new().key())))
    }

    /// With somebody signed in.
    pub fn signed_in() -> Self {
        let mut world = Self::new();
        world.sign_in();
        world.events.clear();
        world
    }

    pub fn sign_in(&mut self) {
        let id = self.core.sign_in(self.now, ME, &Secret::Password(super::fake::PASSWORD.into()), false).unwrap();
        match self.answer(id) {
            Ok(Reply::SignedIn(groups)) => assert_eq!(groups[0].friends[0].nickname, "Han Meimei"),
            other => panic!("not signed in: {other:?}"),
        }
    }

    pub fn register(&mut self) -> RequestId {
        self.core.register(self.now, &OwnedProfile::new("Li Lei", "secret"), None).unwrap()
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            self.exchange();
            let due = [self.core.deadline(), self.fake.deadline(), self.network.iter().map(|one| one.0).min()];
            let next = due.into_iter().flatten().min().unwrap_or(end).max(self.now + 1);
            if next > end {
                self.now = end;
                return self.exchange();
            }
            self.now = next;
        }
    }

    /// Lets time pass until the answer is there.
    pub fn answer(&mut self, id: RequestId) -> Result<Reply, Error> {
        for _ in 0..100_000 {
            if let Some(at) = self.replies.iter().position(|(of, _)| *of == id) {
                return self.replies.remove(at).1;
            }
            self.pass(1);
        }
        panic!("no answer to {id:?} by {}: {:?}", self.now, self.core);
    }

    /// The events since the last time.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn exchange(&mut self) {
        let now = self.now;
        while let Some(at) = self.network.iter().position(|one| one.0 <= now) {
            let (_, to_server, mut packet) = self.network.remove(at);
            if to_server {
                self.fake.receive(now, &mut packet);
            } else {
                self.core.receive(now, &mut packet);
            }
        }
        self.core.wake(now);
        loop {
            let mut packet = Vec::new();
            let to_server = self.core.poll_packet(now, &mut packet);
            if !to_server {
                let Some(other) = self.fake.poll(now) else { break };
                packet = other;
            }
            self.packets += 1;
            if !(self.lose)(self.packets, to_server) {
                self.network.push((now + LATENCY_MS, to_server, packet));
            }
        }
        self.replies.extend(std::iter::from_fn(|| self.core.poll_reply()));
        if !self.busy {
            self.events.extend(std::iter::from_fn(|| self.core.poll_event(now)));
        }
    }
}
