//! The server: some shards and one store in one thread, with everything between them delayed, and ends of every kind.

use super::agenda::Agenda;
use super::chance::Chance;
use super::plan::Plan;
use super::world::Event;
use crate::seeded::Seed;
use crate::shard::search::Scan;
use crate::shard::{
    Board, Budgets, Classic, Control, Endpoint, Identity, Input, Now, Outbox, PasswordJob, PasswordOutcome, Peer,
    Policy, SearchJob, SearchOrder, Shard, Territory, Ticket, steer,
};
use crate::store::{AccountView, Answer, Card, MemoryIndex, OpenError, Request, SessionRecord, SimDisk, Store};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Ms since 1970 UTC at the start of a run.
pub const UNIX_MS: u64 = 946_684_800_000;
/// The server's private key.
pub const PRIVATE: [u8; 32] = [7; 32];
/// A deadline that has passed and brings nothing may be so many times in a row: more is a shard that spins.
const SPINS: u32 = 300;

/// What is on its way to a shard.
#[derive(Debug)]
pub enum Message {
    /// From another shard.
    Peer(u32, Peer),
    /// From the store.
    Stored(Ticket, Answer),
    /// From the password pool.
    Password(Ticket, PasswordOutcome),
    /// From the search thread.
    Searched(Ticket, Option<Vec<Card>>),
}

/// How the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `kill -9`: what the process had in memory is gone; what it has written is there.
    Killed,
    /// The power fails: what was not synced is gone or torn, too.
    Power,
    /// The operator stops it.
    Stopped,
}

/// A server that runs.
struct Life {
    shards: Vec<Shard>,
    outs: Vec<Outbox>,
    board: Arc<Board>,
    store: Store<SimDisk, MemoryIndex>,
    began: u64,
    /// What its clock showed then.
    mono: u64,
    waiting: Vec<((usize, Ticket), Request)>,
    store_turn: bool,
    ticks: Vec<Option<u64>>,
    spins: Vec<u32>,
    dirty: Vec<bool>,
    /// When the last message of each way between two of them arrives: they keep their order.
    ways: BTreeMap<(usize, usize), u64>,
}

/// The store, as one end of a way.
const STORE: usize = usize::MAX;

/// The server, whether it runs or not.
pub struct Cluster {
    life: Option<Life>,
    /// Counts its lives, so that what was on its way in an earlier one is dropped.
    pub nth: u32,
    disk: SimDisk,
    index: MemoryIndex,
    boot: u64,
    chance: Chance,
    /// After so many steps more it ends.
    pub end_in: Option<(u32, End)>,
    /// What was sent, to be taken by the network.
    pub sent: Vec<(Endpoint, Vec<u8>)>,
    /// Connections that were closed.
    pub closed: Vec<Endpoint>,
    /// The clock of the machine is off by so much.
    skew: u64,
    shards: u32,
}

impl Cluster {
    pub fn new(chance: &mut Chance) -> Self {
        Self {
            life: None,
            nth: 0,
            disk: SimDisk::new(chance.word()),
            index: MemoryIndex::default(),
            boot: 0,
            chance: chance.fork(),
            end_in: None,
            sent: Vec::new(),
            closed: Vec::new(),
            skew: 60_000,
            shards: 1,
        }
    }

    pub fn runs(&self) -> bool {
        self.life.is_some()
    }

    /// How many shards it has.
    pub fn shards(&self) -> &[Shard] {
        self.life.as_ref().map_or(&[], |life| &life.shards)
    }

    /// The shard of a number.
    pub fn shard_of(&self, number: u32) -> Option<&Shard> {
        let shards = self.shards();
        (!shards.is_empty()).then(|| &shards[number as usize % shards.len()])
    }

    pub fn store(&mut self) -> Option<&mut Store<SimDisk, MemoryIndex>> {
        self.life.as_mut().map(|life| &mut life.store)
    }

    /// How many packets it has not taken.
    pub fn not_taken(&self) -> u64 {
        let refused = |shard: &Shard| {
            let counters = shard.counters();
            counters.replayed + counters.unknown + counters.forged + counters.malformed
        };
        self.shards().iter().map(refused).sum()
    }

    /// How many packets it has left unopened.
    pub fn unopened(&self) -> u64 {
        self.shards().iter().map(|shard| shard.counters().unopened).sum()
    }

    pub fn board(&self) -> Option<&Board> {
        self.life.as_ref().map(|life| &*life.board)
    }

    /// What waits for the store.
    pub fn store_backlog(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.waiting.len())
    }

    /// Starts it. The power may fail meanwhile, and it starts again.
    pub fn start(&mut self, plan: &Plan, agenda: &mut Agenda<Event>) {
        self.no_more_faults();
        let mut store = loop {
            if plan.cuts_power && self.chance.percent(15) {
                self.disk.cut_at(Some(self.disk.operations() + 1 + self.chance.below(12)));
            }
            let boot = format!("boot-{}", self.boot);
            let seed = self.chance.word();
            let opened = Store::open(self.disk.clone(), self.index.clone(), &boot, seed, &mut |_| {});
            let started = match opened {
                Ok(store) => Some(store),
                Err(OpenError::Io { .. }) if self.disk.is_off() => None,
                Err(error) => panic!("a store that was not damaged cannot be opened: {error}"),
            };
            match started {
                Some(started) if !self.disk.is_off() => break started,
                _ => {
                    assert!(self.disk.is_off(), "a start fails without a reason");
                    self.lose_power();
                }
            }
        };
        self.disk.cut_at(None);
        if plan.reshards || self.nth == 0 {
            self.shards = if plan.reshards { 1 + self.chance.below(4) as u32 } else { plan.shards };
        }
        // The clock of the machine may have been set.
        self.skew = 60_000 + self.chance.below(4_000);
        // Some servers run for weeks.
        let mono = if self.chance.percent(20) { u64::from(u32::MAX) - self.chance.below(60_000) } else { 0 };
        self.nth += 1;
        let shards = self.shards;
        let board = Arc::new(Board::new(Seed::new(self.chance.key())));
        let salt = *self.chance.key().first_chunk().expect("32 bytes");
        let identity = |chance: &mut Chance| Identity {
            private: PRIVATE,
            seed: chance.key(),
            salt,
            always_retry: plan.always_retry,
        };
        let mut kept: Vec<Vec<SessionRecord>> = (0..shards).map(|_| Vec::new()).collect();
        store.sessions(&mut |record| kept[(record.number % shards) as usize].push(record)).expect("memory can be read");
        let count = shards as usize;
        store.take_fault();
        let mut life = Life {
            shards: (0..shards)
                .map(|index| {
                    let identity = identity(&mut self.chance);
                    Shard::new(Territory { index, shards }, Arc::clone(&board), Classic::Off, &identity)
                        .under(policy(plan.budgets), Arc::default())
                })
                .collect(),
            outs: (0..count).map(|_| Outbox::default()).collect(),
            board,
            store,
            began: agenda.now(),
            mono,
            waiting: Vec::new(),
            store_turn: false,
            ticks: vec![None; count],
            spins: vec![0; count],
            dirty: vec![false; count],
            ways: BTreeMap::new(),
        };
        let now = now(&life, agenda.now(), self.skew);
        for (shard, records) in kept.into_iter().enumerate() {
            for (nth, record) in records.iter().enumerate() {
                life.shards[shard].keep(now, record, nth as u64, &mut life.outs[shard]);
            }
        }
        self.life = Some(life);
        for shard in 0..count {
            self.route(agenda, shard);
            self.flush(agenda, shard);
        }
        agenda.after(1_000, Event::Maintain { life: self.nth });
    }

    fn lose_power(&mut self) {
        self.disk.crash();
        self.index = MemoryIndex::default();
        self.boot += 1;
    }

    /// It ends, and nothing of it is left but what the disk has.
    pub fn end(&mut self, agenda: &mut Agenda<Event>, end: End) {
        if end == End::Stopped {
            self.stop(agenda);
        }
        let Some(life) = self.life.take() else { return };
        self.end_in = None;
        self.nth += 1;
        let off = self.disk.is_off();
        self.disk.fail_syncs(0);
        self.disk.set_room(None);
        match end {
            End::Stopped if !off => drop(life.store.close()),
            _ => drop(life.store),
        }
        if end == End::Power || off || self.disk.is_off() {
            self.lose_power();
        }
        self.disk.cut_at(None);
    }

    /// Nothing more is taken from outside; what was taken comes to the store.
    fn stop(&mut self, agenda: &mut Agenda<Event>) {
        let mut messages = VecDeque::new();
        for shard in 0..self.shards().len() {
            self.give(agenda, shard, Input::Stop);
            self.flush(agenda, shard);
        }
        loop {
            // What is on its way between threads arrives, with what comes of it.
            loop {
                agenda.take(|event| match event {
                    Event::Inside { life, shard, message } if life == self.nth => {
                        messages.push_back((shard, message));
                        None
                    }
                    other => Some(other),
                });
                let Some((shard, message)) = messages.pop_front() else { break };
                self.inside(agenda, shard, message);
                self.flush(agenda, shard);
            }
            let Some(life) = &mut self.life else { return };
            if life.waiting.is_empty() || self.disk.is_off() {
                return;
            }
            let mut answers = Vec::new();
            life.store.process(&mut life.waiting, &mut answers);
            if self.disk.is_off() {
                return;
            }
            messages
                .extend(answers.into_iter().map(|((shard, ticket), answer)| (shard, Message::Stored(ticket, answer))));
        }
    }

    /// The power fails during one of the next writes.
    pub fn cut_soon(&mut self) {
        let at = self.disk.operations() + 1 + self.chance.below(10);
        self.disk.cut_at(Some(at));
    }

    /// The next syncs fail.
    pub fn fail_syncs(&mut self, times: u32) {
        self.disk.fail_syncs(times);
    }

    /// The disk is nearly full.
    pub fn fill_disk(&mut self) {
        self.disk.set_room(Some(self.chance.below(600)));
    }

    /// It has room again.
    pub fn make_room(&mut self) {
        self.disk.set_room(None);
    }

    /// The operator changes what an account may do.
    pub fn set_budgets(&mut self, agenda: &mut Agenda<Event>, budgets: Budgets) {
        for shard in 0..self.shards().len() {
            self.give(agenda, shard, Input::Control(Control::Policy(policy(budgets))));
        }
    }

    /// The disk works from now on.
    pub fn no_more_faults(&mut self) {
        self.disk.fail_syncs(0);
        self.disk.set_room(None);
        self.disk.cut_at(None);
    }

    /// A packet arrives from outside.
    pub fn packet(&mut self, agenda: &mut Agenda<Event>, from: Endpoint, bytes: &mut [u8]) {
        let Some(life) = &self.life else { return };
        let count = life.shards.len();
        let shard = steer(bytes).map_or(0, |number| number as usize % count);
        self.give(agenda, shard, Input::of(from, bytes));
    }

    /// Something arrives from inside.
    pub fn inside(&mut self, agenda: &mut Agenda<Event>, shard: usize, message: Message) {
        let input = match message {
            Message::Peer(to, message) => Input::Peer { to, message },
            Message::Stored(ticket, answer) => Input::Stored { ticket, answer },
            Message::Password(ticket, outcome) => Input::Password { ticket, outcome },
            Message::Searched(ticket, found) => Input::Searched { ticket, found },
        };
        self.give(agenda, shard, input);
    }

    /// A shard is told the time, if that is still due.
    pub fn tick(&mut self, agenda: &mut Agenda<Event>, shard: usize) {
        let Some(life) = &mut self.life else { return };
        let mono = agenda.now() - life.began + life.mono;
        if life.ticks[shard].is_none_or(|at| at > agenda.now()) {
            return;
        }
        life.ticks[shard] = None;
        if life.shards[shard].deadline().is_some_and(|at| at <= mono) {
            self.give(agenda, shard, Input::Tick);
            self.flush(agenda, shard);
            let Some(life) = &mut self.life else { return };
            let spins = life.shards[shard].deadline().is_some_and(|at| at <= mono);
            life.spins[shard] = if spins { life.spins[shard] + 1 } else { 0 };
            assert!(life.spins[shard] < SPINS, "shard {shard} spins: its deadline passes and nothing comes of it");
        }
        self.set_tick(agenda, shard);
    }

    fn give(&mut self, agenda: &mut Agenda<Event>, shard: usize, input: Input<'_>) {
        let Some(life) = &mut self.life else { return };
        let now = now(life, agenda.now(), self.skew);
        life.shards[shard].handle(now, input, &mut life.outs[shard]);
        life.dirty[shard] = true;
        self.route(agenda, shard);
        if self.count_down(agenda) {
            return;
        }
        if self.chance.percent(50) {
            self.flush(agenda, shard);
        }
    }

    /// Whether it has just ended.
    fn count_down(&mut self, agenda: &mut Agenda<Event>) -> bool {
        match &mut self.end_in {
            Some((0, end)) => {
                let end = *end;
                self.end_in = None;
                if end == End::Stopped {
                    agenda.after(0, Event::End { life: self.nth, end });
                    return false;
                }
                // At this very step: what was to go out does not.
                self.end(agenda, end);
                true
            }
            Some((steps, _)) => {
                *steps -= 1;
                false
            }
            None => false,
        }
    }

    /// Hands on what a shard has for others.
    fn route(&mut self, agenda: &mut Agenda<Event>, shard: usize) {
        let nth = self.nth;
        let Some(life) = &mut self.life else { return };
        let count = life.shards.len();
        let out = &mut life.outs[shard];
        for (to, message) in out.peers.drain(..) {
            let owner = to as usize % count;
            assert!(owner != shard, "a message for the own shard needs no queue");
            let at = agenda.now() + self.chance.below(3);
            let last = life.ways.entry((shard, owner)).or_default();
            *last = at.max(*last);
            agenda.at(*last, Event::Inside { life: nth, shard: owner, message: Message::Peer(to, message) });
        }
        life.waiting.extend(out.store.drain(..).map(|(ticket, request)| ((shard, ticket), request)));
        for (ticket, _, job) in out.passwords.drain(..) {
            let outcome = match job {
                _ if self.chance.mille(3) => PasswordOutcome::Busy,
                PasswordJob::Hash { password } => PasswordOutcome::Hashed(hash(&password)),
                PasswordJob::Check { password, hash: kept } if hash(&password) == kept => PasswordOutcome::Good,
                PasswordJob::Check { .. } => PasswordOutcome::Wrong,
            };
            let message = Message::Password(ticket, outcome);
            agenda.after(5 + self.chance.below(60), Event::Inside { life: nth, shard, message });
        }
        for order in out.searches.drain(..) {
            // One that is cancelled may have ended already: the answer that is on its way is nobody's.
            let SearchOrder::Begin(job) = order else { continue };
            let found = search(&life.store, &life.board, &job);
            let message = Message::Searched(job.ticket, found);
            agenda.after(1 + self.chance.below(10), Event::Inside { life: nth, shard, message });
        }
        if !life.waiting.is_empty() && !std::mem::replace(&mut life.store_turn, true) {
            agenda.after(self.chance.below(12), Event::StoreTurn { life: nth });
        }
    }

    /// The store takes what waits.
    pub fn store_turn(&mut self, agenda: &mut Agenda<Event>) {
        let nth = self.nth;
        let Some(life) = &mut self.life else { return };
        life.store_turn = false;
        // Not always all of it.
        let most = if self.chance.percent(20) { 1 + self.chance.below(4) as usize } else { usize::MAX };
        let mut group: Vec<_> = life.waiting.drain(..life.waiting.len().min(most)).collect();
        let mut answers = Vec::with_capacity(group.len());
        life.store.process(&mut group, &mut answers);
        if self.disk.is_off() {
            return self.end(agenda, End::Power);
        }
        if self.count_down(agenda) {
            return;
        }
        let Some(life) = &mut self.life else { return };
        let at = agenda.now() + self.chance.below(4);
        for ((shard, ticket), answer) in answers {
            let last = life.ways.entry((STORE, shard)).or_default();
            *last = at.max(*last);
            agenda.at(*last, Event::Inside { life: nth, shard, message: Message::Stored(ticket, answer) });
        }
        if !life.waiting.is_empty() {
            life.store_turn = true;
            agenda.after(self.chance.below(12), Event::StoreTurn { life: nth });
        }
    }

    /// The store looks after itself.
    pub fn maintain(&mut self, agenda: &mut Agenda<Event>) {
        let nth = self.nth;
        let Some(life) = &mut self.life else { return };
        let _ = life.store.maintain();
        if self.chance.percent(4) {
            let _ = life.store.compact();
        }
        if self.disk.is_off() {
            return self.end(agenda, End::Power);
        }
        agenda.after(1_000, Event::Maintain { life: nth });
    }

    /// Sends what a shard has to send.
    fn flush(&mut self, agenda: &mut Agenda<Event>, shard: usize) {
        let Some(life) = &mut self.life else { return };
        let now = now(life, agenda.now(), self.skew);
        life.dirty[shard] = false;
        life.shards[shard].flush(now, &mut life.outs[shard]);
        self.route(agenda, shard);
        let Some(life) = &mut self.life else { return };
        let out = &mut life.outs[shard];
        self.sent.extend(out.sends.iter().map(|send| (send.to, out.frame(send).to_vec())));
        self.closed.append(&mut out.closes);
        out.clear();
        self.set_tick(agenda, shard);
    }

    /// Before time goes on every shard sends what it has.
    pub fn flush_all(&mut self, agenda: &mut Agenda<Event>) {
        for shard in 0..self.shards().len() {
            if self.life.as_ref().is_some_and(|life| life.dirty[shard]) {
                self.flush(agenda, shard);
            }
        }
    }

    fn set_tick(&mut self, agenda: &mut Agenda<Event>, shard: usize) {
        let Some(life) = &mut self.life else { return };
        let Some(due) = life.shards[shard].deadline() else { return };
        let at = (due + life.began).saturating_sub(life.mono).max(agenda.now() + 1);
        if life.ticks[shard].is_none_or(|set| at < set) {
            life.ticks[shard] = Some(at);
            agenda.at(at, Event::Tick { life: self.nth, shard });
        }
    }
}

fn now(life: &Life, now: u64, skew: u64) -> Now {
    Now { mono_ms: now - life.began + life.mono, unix_ms: UNIX_MS + now + skew }
}

fn policy(budgets: Budgets) -> Arc<Policy> {
    Arc::new(Policy { budgets, ..Policy::default() })
}

fn hash(password: &str) -> Box<str> {
    format!("hash of {password}").into()
}

fn search(store: &Store<SimDisk, MemoryIndex>, board: &Board, job: &SearchJob) -> Option<Vec<Card>> {
    let mut scan = Scan::of(job.query.clone(), job.viewer.clone());
    let visit = &mut |number: u32, bytes: &[u8]| {
        let account = AccountView::decode(bytes).expect("our own record");
        scan.offer(number, &account, board.get(number))
    };
    let accounts = store.accounts();
    let read = if job.query.descending() { accounts.scan_down(u32::MAX, visit) } else { accounts.scan(0, visit) };
    read.ok()?;
    Some(scan.finish())
}
