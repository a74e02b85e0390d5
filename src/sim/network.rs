//! The network: datagrams that are lost, repeated, delayed, damaged and sent again by strangers, and connections that
//! keep the order and break.

use super::person::Stream;
use super::world::{Event, World};
use crate::client::Way;
use crate::shard::Endpoint;
use std::net::SocketAddr;

/// A connection that stands.
#[derive(Debug)]
pub struct Line {
    nth: usize,
    /// When the last packet of each direction arrives.
    up: u64,
    down: u64,
}

/// How long something takes that is late.
const LATE_MS: u64 = 3_000;

impl World {
    /// How a datagram fares: when its copies arrive, and what of them.
    fn fares(&mut self, bytes: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        let (plan, chance) = (&self.plan, &mut self.chance);
        if chance.percent(plan.loss) {
            return Vec::new();
        }
        let copies = if chance.percent(plan.repeat) { 2 } else { 1 };
        let mut arrivals = Vec::with_capacity(copies);
        for _ in 0..copies {
            let mut delay = chance.within(&plan.delay).max(1);
            if chance.percent(plan.late) {
                delay += chance.below(LATE_MS);
            }
            let mut bytes = bytes.clone();
            if chance.percent(plan.corrupt) {
                let at = chance.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << chance.below(8);
            }
            arrivals.push((delay, bytes));
        }
        arrivals
    }

    /// A client sends a packet by the way that its carrier has chosen.
    pub(super) fn send(&mut self, nth: usize, bytes: Vec<u8>) {
        match (self.people[nth].carrier.way(), self.people[nth].stream) {
            (Way::Udp, _) => self.send_datagram(nth, bytes),
            (Way::Tcp, Stream::Open(stream)) => self.stream_up(stream, bytes),
            (Way::Tcp, _) => {}
        }
    }

    pub(super) fn send_datagram(&mut self, nth: usize, bytes: Vec<u8>) {
        let now = self.agenda.now();
        let person = &self.people[nth];
        if person.udp_blocked || person.cut_until > now {
            return;
        }
        let (from, proven) = (person.address, person.heard_here);
        if self.chance.percent(self.plan.spoof) {
            let stranger = SocketAddr::from(([203, 0, 113, nth as u8], 1_000 + self.chance.below(8) as u16));
            let delay = self.chance.within(&self.plan.delay);
            self.agenda.after(delay, Event::Datagram { from: stranger, bytes: bytes.clone(), proven: false });
        }
        for (delay, bytes) in self.fares(bytes) {
            self.agenda.after(delay, Event::Datagram { from, bytes, proven });
        }
    }

    /// Takes what the server has sent.
    pub(super) fn take_sent(&mut self) {
        for (to, bytes) in std::mem::take(&mut self.cluster.sent) {
            let address = to.listener().map(|_| to.address());
            self.oracle.leaves(address, &bytes);
            match (to.connection(), address) {
                (Some(stream), _) => self.stream_down(stream, bytes),
                (None, Some(to)) => {
                    for (delay, bytes) in self.fares(bytes) {
                        self.agenda.after(delay, Event::Down { to, bytes });
                    }
                }
                (None, None) => {}
            }
        }
        for endpoint in std::mem::take(&mut self.cluster.closed) {
            if let Some(stream) = endpoint.connection() {
                self.break_connection(stream);
            }
        }
    }

    /// A datagram is where it was sent to; somebody may be there.
    pub(super) fn datagram_arrives(&mut self, to: SocketAddr, mut bytes: Vec<u8>) {
        let now = self.agenda.now();
        let there =
            |person: &super::person::Person| person.address == to && !person.udp_blocked && person.cut_until <= now;
        let Some(nth) = self.people.iter().position(there) else { return };
        self.people[nth].heard_here = true;
        self.client_takes(nth, Way::Udp, &mut bytes);
    }

    fn client_takes(&mut self, nth: usize, way: Way, bytes: &mut [u8]) {
        let person = &mut self.people[nth];
        let time = person.time(self.agenda.now());
        if person.core.receive(time, bytes) {
            person.carrier.heard(time, way);
        }
        self.run_program(nth);
    }

    // ---- connections

    /// A client wants a connection.
    pub(super) fn connect(&mut self, nth: usize) {
        self.next_stream += 1;
        let stream = self.next_stream;
        self.people[nth].stream = Stream::Connecting(stream);
        let delay = self.chance.within(&self.plan.delay) * 2 + 1;
        self.agenda.after(delay, Event::Connects { nth, stream });
    }

    pub(super) fn connects(&mut self, nth: usize, stream: u32) {
        if self.people[nth].stream != Stream::Connecting(stream) {
            return;
        }
        let now = self.agenda.now();
        let cut = self.people[nth].cut_until > now;
        if cut || !self.cluster.runs() {
            let pause = if cut { 3_000 } else { 1 };
            return self.agenda.after(pause, Event::StreamEnds { nth, stream, was_open: false });
        }
        self.lines.insert(stream, Line { nth, up: now, down: now });
        let person = &mut self.people[nth];
        person.stream = Stream::Open(stream);
        person.carrier.connected(person.time(now));
        self.run_program(nth);
    }

    fn stream_up(&mut self, stream: u32, bytes: Vec<u8>) {
        let delay = self.chance.within(&self.plan.delay).max(1);
        let Some(line) = self.lines.get_mut(&stream) else { return };
        let at = (self.agenda.now() + delay).max(self.people[line.nth].cut_until);
        line.up = line.up.max(at);
        self.agenda.at(line.up, Event::StreamUp { stream, bytes });
    }

    fn stream_down(&mut self, stream: u32, bytes: Vec<u8>) {
        let delay = self.chance.within(&self.plan.delay).max(1);
        let Some(line) = self.lines.get_mut(&stream) else { return };
        let at = (self.agenda.now() + delay).max(self.people[line.nth].cut_until);
        line.down = line.down.max(at);
        self.agenda.at(line.down, Event::StreamDown { stream, bytes });
    }

    pub(super) fn stream_up_arrives(&mut self, stream: u32, mut bytes: Vec<u8>) {
        let Some(line) = self.lines.get(&stream) else { return };
        let address = self.people[line.nth].address;
        let from = Endpoint::stream(address, stream);
        if self.cluster.runs() {
            self.give_packet(from, &mut bytes);
        }
    }

    pub(super) fn stream_down_arrives(&mut self, stream: u32, mut bytes: Vec<u8>) {
        let Some(line) = self.lines.get(&stream) else { return };
        let nth = line.nth;
        if self.people[nth].stream == Stream::Open(stream) {
            self.client_takes(nth, Way::Tcp, &mut bytes);
        }
    }

    /// A client has closed its connection.
    pub(super) fn close_connection(&mut self, stream: u32) {
        self.lines.remove(&stream);
    }

    /// A connection breaks: what is on its way is lost, and the client learns of it.
    pub(super) fn break_connection(&mut self, stream: u32) {
        if let Some(line) = self.lines.remove(&stream) {
            let delay = self.chance.below(2_000);
            self.agenda.after(delay, Event::StreamEnds { nth: line.nth, stream, was_open: true });
        }
    }

    /// The server has ended.
    pub(super) fn all_connections_break(&mut self) {
        let streams: Vec<u32> = self.lines.keys().copied().collect();
        streams.into_iter().for_each(|stream| self.break_connection(stream));
    }

    pub(super) fn stream_ends(&mut self, nth: usize, stream: u32, was_open: bool) {
        let expected = if was_open { Stream::Open(stream) } else { Stream::Connecting(stream) };
        let person = &mut self.people[nth];
        if person.stream != expected {
            return;
        }
        person.stream = Stream::None;
        person.carrier.disconnected(person.time(self.agenda.now()));
        self.run_program(nth);
    }
}
