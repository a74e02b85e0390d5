//! The world: a server, its users, the network between them, and the clock.

use super::Plan;
use super::agenda::Agenda;
use super::chance::Chance;
use super::cluster::{Cluster, End, Message};
use super::network::Line;
use super::oracle::{Figures, Oracle};
use super::person::{Person, Stream};
use crate::link::watch_nonces;
use crate::shard::Endpoint;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

/// What happens.
#[derive(Debug)]
pub enum Event {
    // To the server.
    Datagram { from: SocketAddr, bytes: Vec<u8>, proven: bool },
    StreamUp { stream: u32, bytes: Vec<u8> },
    Inside { life: u32, shard: usize, message: Message },
    StoreTurn { life: u32 },
    Maintain { life: u32 },
    Tick { life: u32, shard: usize },
    // To a client.
    Down { to: SocketAddr, bytes: Vec<u8> },
    StreamDown { stream: u32, bytes: Vec<u8> },
    Connects { nth: usize, stream: u32 },
    StreamEnds { nth: usize, stream: u32, was_open: bool },
    Wake { nth: usize },
    Act { nth: usize },
    // What goes wrong.
    Kill,
    End { life: u32, end: End },
    Start,
    Move,
    Cut,
    StreamCut,
    Restart,
    SyncFails,
    DiskFills,
    DiskHasRoom,
    Look,
}

/// A server and its users in one thread, under one seed.
pub struct World {
    pub(super) plan: Plan,
    pub(super) chance: Chance,
    pub(super) agenda: Agenda<Event>,
    pub(super) cluster: Cluster,
    pub(super) people: Vec<Person>,
    pub(super) lines: BTreeMap<u32, Line>,
    pub(super) next_stream: u32,
    pub(super) oracle: Oracle,
    pub(super) begun: bool,
    /// Nothing goes wrong any more, and programs only do what they must.
    pub(super) healed: bool,
    pub(super) starting: bool,
    pub(super) words: u64,
}

impl World {
    /// A world of this seed. Everything in it comes from the seed.
    pub fn new(seed: u64) -> Self {
        watch_nonces();
        let mut chance = Chance::new(seed);
        Self {
            plan: Plan::default(),
            cluster: Cluster::new(&mut chance),
            chance,
            agenda: Agenda::new(),
            people: Vec::new(),
            lines: BTreeMap::new(),
            next_stream: 0,
            oracle: Oracle::default(),
            begun: false,
            healed: false,
            starting: false,
            words: 0,
        }
    }

    /// The number into which everything that has happened was mixed: two runs with the same are the same.
    pub fn trace(&self) -> u64 {
        self.oracle.trace
    }

    /// How much it has seen.
    pub fn figures(&self) -> Figures {
        self.oracle.figures
    }

    /// The virtual time in ms.
    pub fn now(&self) -> u64 {
        self.agenda.now()
    }

    fn begin(&mut self) {
        self.begun = true;
        self.people = (0..self.plan.clients).map(|nth| Person::new(nth, &self.plan, &mut self.chance)).collect();
        self.cluster.start(&self.plan, &mut self.agenda);
        for nth in 0..self.people.len() {
            let at = self.chance.below(1_000);
            self.agenda.at(at, Event::Act { nth });
        }
        let plan = self.plan.clone();
        self.again(&plan.kill_every, Event::Kill);
        self.again(&plan.move_every, Event::Move);
        self.again(&plan.cut_every, Event::Cut);
        self.again(&plan.stream_cut_every, Event::StreamCut);
        self.again(&plan.restart_every, Event::Restart);
        self.again(&plan.sync_fails_every, Event::SyncFails);
        self.again(&plan.disk_full_every, Event::DiskFills);
        self.agenda.at(5_000, Event::Look);
    }

    fn again(&mut self, every: &Range<u64>, event: Event) {
        if every.end > 0 && !self.healed {
            let pause = self.chance.within(every);
            self.agenda.after(pause, event);
        }
    }

    /// Lets so much time pass.
    #[must_use]
    pub fn run_for(mut self, ms: u64) -> Self {
        self.pass(ms);
        self
    }

    pub(super) fn pass(&mut self, ms: u64) {
        if !self.begun {
            self.begin();
        }
        let until = self.agenda.now() + ms;
        loop {
            let next = self.agenda.next_at().map_or(until, |at| at.min(until));
            if next > self.agenda.now() {
                self.cluster.flush_all(&mut self.agenda);
                self.after_server();
            }
            let Some(event) = self.agenda.pop(until) else { return };
            self.oracle.time(self.agenda.now());
            self.happens(event);
            self.after_server();
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Datagram { from, mut bytes, proven } => {
                if self.cluster.runs() {
                    self.oracle.arrives(from, &bytes, proven);
                    self.give_packet(Endpoint::datagram(from, 0), &mut bytes);
                }
            }
            Event::StreamUp { stream, bytes } => self.stream_up_arrives(stream, bytes),
            Event::Inside { life, shard, message } if life == self.cluster.nth => {
                self.cluster.inside(&mut self.agenda, shard, message);
            }
            Event::StoreTurn { life } if life == self.cluster.nth => self.cluster.store_turn(&mut self.agenda),
            Event::Maintain { life } if life == self.cluster.nth => self.cluster.maintain(&mut self.agenda),
            Event::Tick { life, shard } if life == self.cluster.nth => self.cluster.tick(&mut self.agenda, shard),
            Event::End { life, end } if life == self.cluster.nth => self.cluster.end(&mut self.agenda, end),
            Event::Inside { .. }
            | Event::StoreTurn { .. }
            | Event::Maintain { .. }
            | Event::Tick { .. }
            | Event::End { .. } => {}
            Event::Down { to, bytes } => self.datagram_arrives(to, bytes),
            Event::StreamDown { stream, bytes } => self.stream_down_arrives(stream, bytes),
            Event::Connects { nth, stream } => self.connects(nth, stream),
            Event::StreamEnds { nth, stream, was_open } => self.stream_ends(nth, stream, was_open),
            Event::Wake { nth } => self.wakes(nth),
            Event::Act { nth } => self.act(nth),
            Event::Kill => self.kill(),
            Event::Start => self.start(),
            Event::Move => self.somebody_moves(),
            Event::Cut => self.somebody_is_cut_off(),
            Event::StreamCut => self.some_connection_breaks(),
            Event::Restart => self.somebody_restarts(),
            Event::SyncFails => {
                let times = 1 + self.chance.below(2) as u32;
                if !self.healed {
                    self.cluster.fail_syncs(times);
                    self.oracle.disk_fails = true;
                }
                self.again(&self.plan.sync_fails_every.clone(), Event::SyncFails);
            }
            Event::DiskFills => {
                if !self.healed {
                    self.cluster.fill_disk();
                    self.oracle.disk_fails = true;
                    let pause = self.chance.within(&self.plan.disk_full_for.clone());
                    self.agenda.after(pause, Event::DiskHasRoom);
                }
                self.again(&self.plan.disk_full_every.clone(), Event::DiskFills);
            }
            Event::DiskHasRoom => self.cluster.make_room(),
            Event::Look => {
                self.look();
                self.agenda.after(5_000, Event::Look);
            }
        }
    }

    /// Gives the server a packet. One that it has had before, it must not take.
    pub(super) fn give_packet(&mut self, from: Endpoint, bytes: &mut [u8]) {
        let repeat = self.oracle.is_repeat(bytes);
        let (life, before, unopened) = (self.cluster.nth, self.cluster.not_taken(), self.cluster.unopened());
        // It is opened in place.
        let sealed = bytes.to_vec();
        self.cluster.packet(&mut self.agenda, from, bytes);
        if self.cluster.unopened() > unopened {
            if !repeat {
                self.oracle.not_opened(&sealed);
            }
            return;
        }
        if repeat && life == self.cluster.nth && self.cluster.not_taken() == before {
            self.oracle.repeat_taken();
        }
    }

    /// Takes what the server has sent, and sees whether it still runs.
    fn after_server(&mut self) {
        self.take_sent();
        if !self.cluster.runs() && !self.starting {
            self.starting = true;
            self.oracle.figures.ends += 1;
            self.all_connections_break();
            let pause = self.chance.within(&self.plan.down_for.clone());
            self.agenda.after(pause, Event::Start);
        }
    }

    fn start(&mut self) {
        self.cluster.start(&self.plan, &mut self.agenda);
        self.starting = false;
        self.oracle.server_starts();
        self.look();
    }

    /// Looks into the store and at the bounds.
    pub(super) fn look(&mut self) {
        self.check_bounds();
        if let Some(store) = self.cluster.store() {
            self.oracle.look_into(store);
        }
    }

    // ---- what goes wrong

    fn kill(&mut self) {
        self.again(&self.plan.kill_every.clone(), Event::Kill);
        if self.healed || !self.cluster.runs() {
            return;
        }
        let end = match self.chance.below(10) {
            _ if self.plan.only_stops => End::Stopped,
            0 => End::Stopped,
            1..=5 if self.plan.cuts_power => End::Power,
            6..=7 if self.plan.cuts_power => return self.cluster.cut_soon(),
            _ => End::Killed,
        };
        self.cluster.end_in = Some((self.chance.below(60) as u32, end));
    }

    fn somebody(&mut self) -> usize {
        self.chance.below(self.people.len() as u64) as usize
    }

    fn somebody_moves(&mut self) {
        self.again(&self.plan.move_every.clone(), Event::Move);
        if self.healed {
            return;
        }
        let nth = self.somebody();
        self.people[nth].go(nth, &mut self.chance);
        if let Some(stream) = self.people[nth].connection() {
            self.break_connection(stream);
        }
        // Some systems say so, some do not.
        if self.chance.percent(50) {
            let time = self.people[nth].time(self.agenda.now());
            self.people[nth].core.moved(time);
            self.run_program(nth);
        }
    }

    fn somebody_is_cut_off(&mut self) {
        self.again(&self.plan.cut_every.clone(), Event::Cut);
        if !self.healed {
            let nth = self.somebody();
            self.people[nth].cut_until = self.agenda.now() + self.chance.within(&self.plan.cut_for.clone());
        }
    }

    fn some_connection_breaks(&mut self) {
        self.again(&self.plan.stream_cut_every.clone(), Event::StreamCut);
        let streams: Vec<u32> = self.lines.keys().copied().collect();
        if let Some(stream) = self.chance.pick(&streams).copied().filter(|_| !self.healed) {
            self.break_connection(stream);
        }
    }

    fn somebody_restarts(&mut self) {
        self.again(&self.plan.restart_every.clone(), Event::Restart);
        if self.healed {
            return;
        }
        let nth = self.somebody();
        if let Some(stream) = self.people[nth].connection() {
            self.close_connection(stream);
        }
        let now = self.agenda.now();
        let person = &mut self.people[nth];
        person.restart(now, &mut self.chance);
        person.try_at = now + self.chance.below(3_000);
        person.stream = Stream::None;
        self.run_program(nth);
    }
}
