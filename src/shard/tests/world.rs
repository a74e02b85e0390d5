//! A server in one thread: some shards, one store, a virtual clock, and what each address has received.

use crate::limits;
use crate::seeded::Seed;
use crate::shard::search::Scan;
use crate::shard::{
    Board, Budgets, Classic, Control, Counters, Endpoint, Identity, Input, Now, Outbox, PasswordJob, PasswordOutcome,
    Peer, Policy, SearchJob, SearchOrder, Shard, Territory, Ticket, steer,
};
use crate::store::{AccountView, Answer, Change, MemoryIndex, Request, SimDisk, Store};
use crate::wire::{Dialect, Profile, Server, User};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Something on its way to a shard.
enum Event {
    Peer(u32, Peer),
    Stored(Ticket, Answer),
    Password(Ticket, PasswordOutcome),
    Search(SearchJob),
    Flushed(Endpoint, u32),
}

pub struct World {
    pub shards: Vec<Shard>,
    pub store: Store<SimDisk, MemoryIndex>,
    board: Arc<Board>,
    pub now: Now,
    /// While set, nothing is asked of the store: requests wait.
    pub store_waits: bool,
    /// While set, no connection takes what is sent to it.
    pub readers_wait: bool,
    held: Vec<(usize, Event)>,
    /// While set, searches run on.
    pub searches_wait: bool,
    pub searches: Vec<(usize, SearchJob)>,
    /// While set, the password pool answers nothing.
    pub passwords_wait: bool,
    pub passwords: Vec<(usize, Ticket, PasswordOutcome)>,
    /// How many jobs the password pool has had.
    pub checks: usize,
    /// How many requests the store has had.
    pub asked: usize,
    waiting: Vec<((usize, Ticket), Request)>,
    events: VecDeque<(usize, Event)>,
    received: BTreeMap<String, Vec<Vec<u8>>>,
    next_port: u16,
    starts: u8,
    pub closed: Vec<Endpoint>,
    /// Connections that are not read.
    pub stalled: BTreeSet<String>,
}

/// A registered user and where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    pub number: u32,
    pub at: Endpoint,
}

/// The least profile: a name, and who may add this user.
pub fn profile(nickname: &str, authorization: u8) -> Profile<'_> {
    Profile {
        nickname,
        portrait: 7,
        password: "secret",
        sex: 1,
        age: 20,
        country: 86,
        province: 11,
        city: "深圳",
        authorization,
        ..Profile::default()
    }
}

impl World {
    pub fn new(shards: u32) -> Self {
        Self::taking(shards, Classic::Loopback)
    }

    /// One that takes bare frames from there.
    pub fn taking(shards: u32, classic: Classic) -> Self {
        let board = Arc::new(Board::new(Seed::new([8; 32])));
        let shard = |index| Shard::new(Territory { index, shards }, Arc::clone(&board), classic, &Identity::EXAMPLE);
        let mut store = Store::in_memory(1);
        store.guard_audit([3; 32], 0).expect("it works");
        Self {
            shards: (0..shards).map(shard).collect(),
            store,
            board,
            now: Now { mono_ms: 1_000_000, unix_ms: 1_700_000_000_000 },
            store_waits: false,
            readers_wait: false,
            searches_wait: false,
            searches: Vec::new(),
            passwords_wait: false,
            passwords: Vec::new(),
            checks: 0,
            asked: 0,
            held: Vec::new(),
            waiting: Vec::new(),
            events: VecDeque::new(),
            received: BTreeMap::new(),
            next_port: 40_000,
            starts: 0,
            closed: Vec::new(),
            stalled: BTreeSet::new(),
        }
    }

    /// Runs a story with one, two and three shards: it must go the same way.
    pub fn everywhere(story: impl Fn(&mut World)) {
        for shards in 1..=3 {
            story(&mut World::new(shards));
        }
    }

    /// `kill -9`, and a start with so many shards: what is in memory is gone, what was synced is there.
    pub fn restarted(self, shards: u32) -> Self {
        let mut world = Self { store: self.store.crash().expect("it opens"), ..Self::new(shards) };
        (world.now, world.next_port) = (self.now, self.next_port);
        let mut salt = Identity::EXAMPLE.salt;
        salt[0] = self.starts + 1;
        world.starts = self.starts + 1;
        let identity = Identity { salt, ..Identity::EXAMPLE };
        let shard =
            |index| Shard::new(Territory { index, shards }, Arc::clone(&world.board), Classic::Loopback, &identity);
        world.shards = (0..shards).map(shard).collect();
        let mut kept = Vec::new();
        world.store.sessions(&mut |record| kept.push(record)).expect("it works");
        for (nth, record) in kept.iter().enumerate() {
            let owner = world.owner(record.number);
            let mut out = Outbox::default();
            world.shards[owner].keep(world.now, record, nth as u64, &mut out);
            world.take_out(owner, &mut out);
        }
        world.run();
        world
    }

    /// What all shards together have counted.
    pub fn counters(&self) -> Counters {
        let mut all = Counters::default();
        for counters in self.shards.iter().map(Shard::counters) {
            all.online += counters.online;
            all.moved += counters.moved;
            all.replayed += counters.replayed;
            all.resumed += counters.resumed;
            all.gone += counters.gone;
        }
        all
    }

    /// A fresh UDP address on this machine.
    pub fn address(&mut self) -> Endpoint {
        self.next_port += 1;
        Endpoint::datagram(([127, 0, 0, 1], self.next_port).into(), 0)
    }

    fn owner(&self, number: u32) -> usize {
        number as usize % self.shards.len()
    }

    /// Sends a frame and lets everything happen that comes of it.
    pub fn send(&mut self, from: Endpoint, frame: &User<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.send_bytes(from, &bytes);
    }

    pub fn send_bytes(&mut self, from: Endpoint, bytes: &[u8]) {
        let shard = steer(bytes).map_or(0, |number| self.owner(number));
        self.input(shard, Input::of(from, &mut bytes.to_vec()));
        self.run();
    }

    pub fn control(&mut self, control: &Control) {
        for shard in 0..self.shards.len() {
            self.input(shard, Input::Control(control.clone()));
        }
        self.run();
    }

    /// From now on everybody may do so much.
    pub fn budgets(&mut self, budgets: Budgets) {
        let policy = Policy { budgets, ..Policy::default() };
        self.control(&Control::Policy(Arc::new(policy)));
    }

    pub fn stream_closed(&mut self, from: Endpoint, number: u32) {
        self.input(self.owner(number), Input::StreamClosed { from, number });
        self.run();
    }

    fn input(&mut self, shard: usize, input: Input<'_>) {
        let mut out = Outbox::default();
        self.shards[shard].handle(self.now, input, &mut out);
        self.take_out(shard, &mut out);
    }

    /// Does what an outbox says.
    fn take_out(&mut self, shard: usize, out: &mut Outbox) {
        self.shards[shard].flush(self.now, out);
        for send in &out.sends {
            let frame = out.frame(send).to_vec();
            self.received.entry(format!("{:?}", send.to)).or_default().push(frame);
        }
        self.closed.append(&mut out.closes);
        for (at, stalled) in out.stalls.drain(..) {
            let at = format!("{at:?}");
            if stalled {
                self.stalled.insert(at)
            } else {
                self.stalled.remove(&at)
            };
        }
        for (from, number) in out.flushes.drain(..) {
            let event = Event::Flushed(from, number);
            if self.readers_wait { self.held.push((shard, event)) } else { self.events.push_back((shard, event)) }
        }
        for (to, message) in out.peers.drain(..) {
            assert!(self.owner(to) != shard, "a message for the own shard needs no queue");
            self.events.push_back((self.owner(to), Event::Peer(to, message)));
        }
        self.waiting.extend(out.store.drain(..).map(|(ticket, request)| ((shard, ticket), request)));
        for (ticket, _, job) in out.passwords.drain(..) {
            self.checks += 1;
            let outcome = match job {
                PasswordJob::Hash { password } => PasswordOutcome::Hashed(format!("hash of {password}").into()),
                PasswordJob::Check { password, hash } if *hash == format!("hash of {password}") => {
                    PasswordOutcome::Good
                }
                PasswordJob::Check { .. } => PasswordOutcome::Wrong,
            };
            self.passwords.push((shard, ticket, outcome));
        }
        for order in out.searches.drain(..) {
            match order {
                SearchOrder::Begin(job) if self.searches_wait => self.searches.push((shard, job)),
                SearchOrder::Begin(job) => self.events.push_back((shard, Event::Search(job))),
                SearchOrder::Cancel(ticket) => {
                    self.searches.retain(|(of, job)| (*of, job.ticket) != (shard, ticket));
                }
            }
        }
    }

    /// Until nothing is on its way any more.
    pub fn run(&mut self) {
        if !self.readers_wait {
            self.events.extend(self.held.drain(..));
        }
        if !self.searches_wait {
            self.events.extend(self.searches.drain(..).map(|(shard, job)| (shard, Event::Search(job))));
        }
        loop {
            if !self.passwords_wait {
                let answered = self.passwords.drain(..);
                self.events.extend(answered.map(|(shard, ticket, outcome)| (shard, Event::Password(ticket, outcome))));
            }
            while let Some((shard, event)) = self.events.pop_front() {
                match event {
                    Event::Peer(to, message) => self.input(shard, Input::Peer { to, message }),
                    Event::Stored(ticket, answer) => self.input(shard, Input::Stored { ticket, answer }),
                    Event::Password(ticket, outcome) => self.input(shard, Input::Password { ticket, outcome }),
                    Event::Flushed(from, number) => self.input(shard, Input::Flushed { from, number }),
                    Event::Search(job) => {
                        let found = Some(self.search(&job));
                        self.input(shard, Input::Searched { ticket: job.ticket, found });
                    }
                }
            }
            if !self.passwords.is_empty() && !self.passwords_wait {
                continue;
            }
            if self.waiting.is_empty() || self.store_waits {
                return;
            }
            let mut answers = Vec::new();
            self.asked += self.waiting.len();
            self.store.process(&mut self.waiting, &mut answers);
            let stored = |((shard, ticket), answer)| (shard, Event::Stored(ticket, answer));
            self.events.extend(answers.into_iter().map(stored));
        }
    }

    /// Answers a search of this user with nobody.
    pub fn answer_search(&mut self, number: u32, ticket: Ticket) {
        self.input(self.owner(number), Input::Searched { ticket, found: Some(Vec::new()) });
        self.run();
    }

    fn search(&self, job: &SearchJob) -> Vec<crate::store::Card> {
        let mut scan = Scan::of(job.query.clone(), job.viewer.clone());
        let board = &self.board;
        let visit = &mut |number: u32, bytes: &[u8]| {
            let account = AccountView::decode(bytes).expect("our own record");
            scan.offer(number, &account, board.get(number))
        };
        if job.query.descending() {
            self.store.accounts().scan_down(u32::MAX, visit).expect("memory");
        } else {
            self.store.accounts().scan(0, visit).expect("memory");
        }
        scan.finish()
    }

    /// Lets time pass, with ticks where the shards want them.
    pub fn wait_ms(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        loop {
            let next = self.shards.iter().filter_map(Shard::deadline).min().unwrap_or(end);
            let step = next.clamp(self.now.mono_ms + 1, end.max(self.now.mono_ms + 1));
            self.now.unix_ms += step - self.now.mono_ms;
            self.now.mono_ms = step;
            for shard in 0..self.shards.len() {
                self.input(shard, Input::Tick);
            }
            self.run();
            if self.now.mono_ms >= end {
                return;
            }
        }
    }

    /// What an address has received since it was last asked.
    pub fn take(&mut self, at: Endpoint) -> Vec<Vec<u8>> {
        self.received.remove(&format!("{at:?}")).unwrap_or_default()
    }

    /// The same in words, for comparisons.
    pub fn shown(&mut self, at: Endpoint) -> Vec<String> {
        self.take(at).iter().map(|bytes| show(&Server::decode(bytes, Dialect::Link).expect("our own frame"))).collect()
    }

    /// Asserts that an address has received exactly this.
    #[track_caller]
    pub fn expect(&mut self, at: Endpoint, frames: &[Server<'_>]) {
        assert_eq!(self.shown(at), frames.iter().map(show).collect::<Vec<_>>());
    }

    /// Asserts that an address has received this, then a notice with these words in it.
    #[track_caller]
    pub fn expect_refused(&mut self, at: Endpoint, frame: Option<Server<'_>>, words: &str) {
        let mut shown = self.shown(at);
        let last = shown.pop().unwrap_or_default();
        assert!(last.starts_with("Message { flag: 1, sender: 0,") && last.contains(words), "{last}");
        assert_eq!(shown, frame.iter().map(show).collect::<Vec<_>>());
    }

    pub fn register(&mut self, nickname: &str, authorization: u8) -> u32 {
        let at = self.address();
        self.send(at, &User::register(profile(nickname, authorization)));
        let frames = self.take(at);
        match Server::decode(&frames[0], Dialect::Classic) {
            Ok(Server::Registered { ok: 1, number }) => number,
            other => panic!("{other:?}"),
        }
    }

    pub fn sign_in(&mut self, number: u32) -> Person {
        let at = self.address();
        self.send(at, &sign_in(number));
        Person { number, at }
    }

    /// A new user who is online and has read the answer to the sign-in.
    pub fn person(&mut self, nickname: &str) -> Person {
        self.person_who(nickname, 0)
    }

    pub fn person_who(&mut self, nickname: &str, authorization: u8) -> Person {
        let number = self.register(nickname, authorization);
        let person = self.sign_in(number);
        assert_eq!(self.take(person.at).len(), 1);
        person
    }

    pub fn sign_out(&mut self, person: Person) {
        self.send(person.at, &User::SetStatus { me: person.number, status: 4 });
        self.take(person.at);
    }

    /// `person` adds `friend`, and neither keeps the frames that come of it.
    /// `owner` lists `friend` in the store, so that a friend's share of the mailbox is free.
    pub fn list(&mut self, owner: u32, friend: u32) {
        let change = Change::PutFriend { owner, friend, group: limits::FIRST_GROUP };
        assert!(self.store.ask(Request::Commit(vec![change])).is_done());
    }

    pub fn befriend(&mut self, person: Person, friend: Person) {
        self.send(person.at, &User::AddFriend { me: person.number, friend: friend.number });
        let shown = self.shown(person.at);
        assert!(shown.first().is_some_and(|first| first.contains("result: 1")), "{shown:?}");
        self.take(friend.at);
    }
}

pub fn sign_in(me: u32) -> User<'static> {
    User::SignIn { me, password: "secret", mode: 0, token: None }
}

fn show(frame: &Server<'_>) -> String {
    format!("{frame:?}")
}

/// A message as its recipient gets it.
pub fn message(sender: u32, text: &str) -> Server<'_> {
    Server::Message { flag: 2, sender, text, kind: 0, id: None, time: None }
}

/// A system message.
pub fn system(sender: u32, kind: u8, text: &str) -> Server<'_> {
    Server::Message { flag: 1, sender, text, kind, id: None, time: None }
}
