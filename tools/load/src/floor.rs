//! The floor: the cheapest server that this system allows. It reads a batch of datagrams with one system call and sends
//! them on with another; what a real server costs beyond that is its own work.
//!
//! A message costs it what the link's protocol asks of any server, and nothing else: the message comes from A's socket and
//! goes out to B's address, B's answer comes in and goes out to A's address, each of the size that it has on the link.

use crate::carrier::Carrier;
use crate::crowd::Event;
use crate::net::{Datagrams, Net};
use crate::sys::{self, BATCH, Batch, Name, Wait};
use oicq::limits::{ACK_BYTES, DATA_HEADER_BYTES, HEADER_BYTES, SEGMENT_HEADER_BYTES, TAG_BYTES};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The largest datagram that is passed on: a message with the longest text, and room to spare.
const SLOT_BYTES: usize = 9_000;
/// Users whose addresses it knows.
const USERS: usize = 1_100_000;

/// The user with this index is where this comes from. It is sent back.
const REGISTER: u8 = 0xF0;
/// To be passed on to a user.
const MESSAGE: u8 = 0xF1;
/// The same, for the answer.
const ANSWER: u8 = 0xF2;
/// To be passed on to so many users in a row; `from` is how many.
const FAN_OUT: u8 = 0xF3;
/// What those get.
const COPY: u8 = 0xF4;
/// An ack that has nothing to ride along with: the floor drops it, and users drop those of the floor.
const ACK: u8 = 0xF5;
/// A message whose sender gets such an ack, too.
const MESSAGE_ACKED: u8 = 0xF6;
/// Kind, bytes to go out, user, user, id.
const HEAD_BYTES: usize = 1 + 2 + 4 + 4 + 8;

/// What the link adds to one frame: header, an ack that rides along, a segment, a tag.
const LINK_BYTES: usize = DATA_HEADER_BYTES + ACK_BYTES + SEGMENT_HEADER_BYTES + TAG_BYTES;
/// Frames on the link without their text (protocol.md 1.5, 1.6, 3.1, 3.2): message in, message out, 0x41, receipt, 0x10,
/// 0x15.
const MESSAGE_IN: usize = LINK_BYTES + HEADER_BYTES + 4 + 4 + 2 + 8;
const MESSAGE_OUT: usize = LINK_BYTES + HEADER_BYTES + 1 + 4 + 2 + 1 + 8 + 8;
const ANSWER_IN: usize = LINK_BYTES + HEADER_BYTES + 4 + 1 + 4 + 8;
const ANSWER_OUT: usize = LINK_BYTES + HEADER_BYTES + 4 + 8 + 1 + 1;
const STATUS_IN: usize = LINK_BYTES + HEADER_BYTES + 4 + 1;
const STATUS_OUT: usize = LINK_BYTES + HEADER_BYTES + 4 + 1;

/// A packet with an ack and nothing else.
const ACK_ALONE: usize = DATA_HEADER_BYTES + ACK_BYTES + TAG_BYTES;

/// Serves until the program is ended.
pub fn serve(listen: SocketAddr) -> Result<(), String> {
    let socket = UdpSocket::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    sys::widen_buffers(&socket);
    // So that an interrupt is seen even when nothing arrives; a wait that runs out costs nothing measurable.
    socket.set_read_timeout(Some(Duration::from_secs(1))).map_err(|error| error.to_string())?;
    println!("listening on {}", socket.local_addr().map_err(|error| error.to_string())?);
    pass_on(&socket).map_err(|error| format!("the floor ended: {error}"))
}

fn pass_on(socket: &UdpSocket) -> io::Result<()> {
    let (mut batch, mut fan) = (Batch::new(SLOT_BYTES), Batch::new(SLOT_BYTES));
    let (mut names, mut copy) = (Vec::<Name>::new(), Vec::new());
    while !sys::stopping() {
        if batch.receive(socket, Wait::ForOne)? == 0 {
            continue;
        }
        for index in 0..batch.len() {
            let Some(head) = Head::read(batch.datagram(index)) else { continue };
            match head.kind {
                REGISTER => {
                    let at = head.to as usize % USERS;
                    if at >= names.len() {
                        names.resize(at + 1, Name::NONE);
                    }
                    names[at] = batch.name(index);
                }
                ACK => batch.drop(index),
                MESSAGE | MESSAGE_ACKED | ANSWER => {
                    if head.kind == MESSAGE_ACKED {
                        copy.clear();
                        Head { kind: ACK, to: head.from, ..head }.write(ACK_ALONE, &mut copy);
                        let sender = batch.name(index);
                        let out = if batch.len() < BATCH { &mut batch } else { &mut fan };
                        out.push(&copy);
                        out.set_name(out.len() - 1, &sender);
                        if fan.len() == BATCH {
                            fan.send_to_names(socket, batch.name_bytes())?;
                        }
                    }
                    // What cannot be passed on goes back, and is found to be lost.
                    if let Some(name) = names.get(head.to as usize).filter(|name| !name.is_none()) {
                        batch.resize(index, usize::from(head.bytes).min(SLOT_BYTES));
                        batch.set_name(index, name);
                    }
                }
                FAN_OUT => {
                    let bytes = usize::from(head.bytes).min(SLOT_BYTES);
                    let watchers = names.iter().enumerate().skip(head.to as usize).take(head.from as usize);
                    copy.clear();
                    Head { kind: COPY, ..head }.write(bytes, &mut copy);
                    for (user, name) in watchers.filter(|(_, name)| !name.is_none()) {
                        copy[3..7].copy_from_slice(&(user as u32).to_le_bytes());
                        fan.push(&copy);
                        fan.set_name(fan.len() - 1, name);
                        if fan.len() == BATCH {
                            fan.send_to_names(socket, batch.name_bytes())?;
                        }
                    }
                    fan.send_to_names(socket, batch.name_bytes())?;
                }
                // A bare frame: an echo of the same datagram.
                _ => {}
            }
        }
        if fan.len() > 0 {
            fan.send_to_names(socket, batch.name_bytes())?;
        }
        batch.send_back(socket)?;
    }
    Ok(())
}

/// The beginning of each datagram.
struct Head {
    kind: u8,
    bytes: u16,
    to: u32,
    from: u32,
    id: u64,
}

impl Head {
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let long = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some(Self {
            kind: head[0],
            bytes: u16::from_le_bytes([head[1], head[2]]),
            to: long(3),
            from: long(7),
            id: u64::from(long(11)) | u64::from(long(15)) << 32,
        })
    }

    /// Appends a datagram of so many bytes.
    fn write(&self, bytes: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(self.kind);
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.to.to_le_bytes());
        out.extend_from_slice(&self.from.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.resize(start + bytes.max(HEAD_BYTES), 0);
    }
}

/// The driver's side: users that answer each message.
pub struct Bare {
    net: Net,
    text_bytes: usize,
    answers: Vec<(u32, u32, u64)>,
    acks: Acks,
    answered: Vec<u32>,
}

/// Acks beside the messages, for each of them: how many, and the part of one that is owed.
#[derive(Default, Clone, Copy)]
struct Acks {
    each: [f64; 2],
    owed: [f64; 2],
}

impl Acks {
    /// How many are due in this direction with the next message.
    fn due(&mut self, direction: usize) -> u32 {
        self.owed[direction] += self.each[direction];
        let due = self.owed[direction].floor();
        self.owed[direction] -= due;
        due as u32
    }
}

impl Bare {
    /// So many users over these sockets, whose addresses the floor knows when this returns.
    pub fn new(net: Net, users: usize, text_bytes: usize) -> Result<Self, String> {
        net.aim()?;
        let (acks, answers, answered) = (Acks::default(), Vec::new(), Vec::new());
        let mut bare = Self { net, text_bytes, answers, acks, answered };
        let end = Instant::now() + Duration::from_secs(30);
        let mut waiting: Vec<u32> = (0..users as u32).rev().collect();
        let mut known = vec![false; users];
        while !waiting.is_empty() {
            if Instant::now() > end || sys::stopping() {
                return Err("the floor does not answer".into());
            }
            // A few at a time: its socket holds only so many.
            let now: Vec<u32> = waiting.split_off(waiting.len().saturating_sub(BATCH));
            for &user in &now {
                bare.queue(REGISTER, user, 0, 0, HEAD_BYTES, HEAD_BYTES, user);
            }
            // It may be starting still.
            if bare.net.flush().is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
            let mut missing = now.len();
            let patience = Instant::now() + Duration::from_millis(200);
            while missing > 0 && Instant::now() < patience {
                let heard = bare.net.receive(10, |_, bytes| {
                    let known = Head::read(bytes).and_then(|head| known.get_mut(head.to as usize));
                    missing -= usize::from(known.is_some_and(|known| !std::mem::replace(known, true)));
                });
                if heard.is_err() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            waiting.extend(now.iter().filter(|user| !known[**user as usize]));
        }
        bare.net.counted = Datagrams::default();
        Ok(bare)
    }

    /// From now on so many acks go beside each message, to the floor and from it: from it one at most, as of a server none
    /// of whose acks ride along.
    pub fn set_acks(&mut self, [to_floor, from_floor]: [f64; 2]) {
        self.acks = Acks { each: [to_floor.max(0.0), from_floor.clamp(0.0, 1.0)], ..Acks::default() };
    }

    #[allow(clippy::too_many_arguments, reason = "they are the fields of the datagram")]
    fn queue(&mut self, kind: u8, to: u32, from: u32, id: u64, bytes: usize, bytes_out: usize, user: u32) {
        let socket = user as usize % self.net.sockets();
        let head = Head { kind, bytes: bytes_out as u16, to, from, id };
        self.net.queue(socket, |out| {
            head.write(bytes, out);
            true
        });
    }
}

impl Carrier for Bare {
    fn begin(&mut self) -> Result<(), String> {
        self.net.aim()
    }

    fn send(&mut self, from: u32, to: u32, id: u64) {
        let text = self.text_bytes;
        let kind = if self.acks.due(1) > 0 { MESSAGE_ACKED } else { MESSAGE };
        self.queue(kind, to, from, id, MESSAGE_IN + text, MESSAGE_OUT + text, from);
    }

    fn change(&mut self, user: u32, watchers: u32, status: u8) {
        self.queue(FAN_OUT, user + 1, watchers, status.into(), STATUS_IN, STATUS_OUT, user);
    }

    fn turn(&mut self, _now_ms: u64, wait: i32, events: &mut Vec<Event>) -> Result<usize, String> {
        let mut answers = std::mem::take(&mut self.answers);
        let mut answered = std::mem::take(&mut self.answered);
        let count = self.net.receive(wait, |_, bytes| {
            let Some(Head { kind, to, from, id, .. }) = Head::read(bytes) else { return };
            match kind {
                MESSAGE | MESSAGE_ACKED => {
                    answers.push((to, from, id));
                    events.push(Event::Message { user: to, id });
                }
                ANSWER => {
                    answered.push(to);
                    events.push(Event::Receipt { user: to, id, state: 2 });
                }
                COPY => events.push(Event::Status { user: to, friend: 0, status: id as u8 }),
                FAN_OUT => events.push(Event::StatusSet { user: to }),
                _ => {}
            }
        })?;
        for (user, to, id) in answers.drain(..) {
            self.queue(ANSWER, to, user, id, ANSWER_IN, ANSWER_OUT, user);
        }
        self.answers = answers;
        for user in answered.drain(..) {
            for _ in 0..self.acks.due(0) {
                self.queue(ACK, user, user, 0, ACK_ALONE, ACK_ALONE, user);
            }
        }
        self.answered = answered;
        Ok(count)
    }

    fn flush(&mut self, _now_ms: u64) -> Result<(), String> {
        self.net.flush()
    }

    fn datagrams(&self) -> Datagrams {
        self.net.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_link() {
        use oicq::link::{Ciphers, Keys, Link, Side};
        use oicq::wire::{List, ReceivedId, Server, User};
        let text = "x".repeat(100);
        let mut frames = [Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        User::Message { me: 1, to: 2, text: &text, id: Some(1) }.encode(&mut frames[0]);
        Server::Message { flag: 2, sender: 1, text: &text, kind: 0, id: Some(1), time: Some(1) }.encode(&mut frames[1]);
        User::Received { me: 2, messages: List::new(&[ReceivedId { from: 1, id: 1 }]) }.encode(&mut frames[2]);
        Server::Receipt { to: 2, id: 1, state: 2, reason: 0 }.encode(&mut frames[3]);
        User::SetStatus { me: 1, status: 1 }.encode(&mut frames[4]);
        Server::FriendStatus { friend: 1, status: 1 }.encode(&mut frames[5]);
        let sizes = [MESSAGE_IN + 100, MESSAGE_OUT + 100, ANSWER_IN, ANSWER_OUT, STATUS_IN, STATUS_OUT];
        let keys = Keys { to_server: [1; 32], to_client: [2; 32] };
        for (frame, size) in frames.iter().zip(sizes) {
            let (mut link, mut packet) = (Link::new(Side::Client, 1, 1, keys), Vec::new());
            link.want_ack();
            link.send(frame);
            assert!(link.poll(0, &mut Ciphers::new(2), &mut packet));
            assert_eq!(packet.len(), size);
        }
        let (mut link, mut packet) = (Link::new(Side::Client, 1, 1, keys), Vec::new());
        link.want_ack();
        assert!(link.poll(0, &mut Ciphers::new(2), &mut packet));
        assert_eq!(packet.len(), ACK_ALONE);
    }

    #[test]
    fn a_message_and_its_answer_take_the_whole_way() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || pass_on(&socket));
        let mut bare = Bare::new(Net::connect(address, 3).unwrap(), 5, 100).unwrap();
        bare.send(4, 1, 77);
        bare.flush(0).unwrap();
        let mut events = Vec::new();
        while !events.contains(&Event::Receipt { user: 4, id: 77, state: 2 }) {
            bare.turn(0, 1_000, &mut events).unwrap();
            bare.flush(0).unwrap();
        }
        assert!(events.contains(&Event::Message { user: 1, id: 77 }));
        assert_eq!((bare.datagrams().to_server, bare.datagrams().from_server), (2, 2));
        bare.change(1, 3, 78);
        bare.flush(0).unwrap();
        events.clear();
        while events.len() < 4 {
            bare.turn(0, 1_000, &mut events).unwrap();
        }
        let mut who: Vec<u32> = events
            .iter()
            .map(|event| match event {
                Event::Status { user, status: 78, .. } => *user,
                Event::StatusSet { .. } => 99,
                other => panic!("{other:?}"),
            })
            .collect();
        who.sort_unstable();
        assert_eq!(who, [2, 3, 4, 99]);
    }

    #[test]
    fn as_many_acks_go_beside_the_messages_as_were_asked_for() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || pass_on(&socket));
        let mut bare = Bare::new(Net::connect(address, 2).unwrap(), 2, 100).unwrap();
        bare.set_acks([1.5, 0.25]);
        let mut events = Vec::new();
        for id in 0..100 {
            bare.send(0, 1, id);
            bare.flush(0).unwrap();
            while !events.contains(&Event::Receipt { user: 0, id, state: 2 }) {
                bare.turn(0, 1_000, &mut events).unwrap();
                bare.flush(0).unwrap();
            }
            events.clear();
        }
        // The last ack may be on its way still.
        bare.turn(0, 50, &mut events).unwrap();
        assert_eq!((bare.datagrams().to_server, bare.datagrams().from_server), (350, 225));
    }
}
