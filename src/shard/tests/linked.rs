//! A user's program over the link, for tests of the rules: no retransmission timers of its own, every packet by hand.

use super::world::World;
use crate::link::{Ciphers, Close, Frames, Initiator, Link, Packet, Resumed, Side, Start, public_key};
use crate::shard::{Endpoint, Identity};
use crate::wire::{Dialect, List, ReceivedId, Server, User};

/// One end of a link, at an address.
pub struct Linked {
    pub number: u32,
    pub at: Endpoint,
    pub link: Link,
    ciphers: Ciphers,
    frames: Frames,
    pub closed: Option<Close>,
    /// The latest token.
    pub token: String,
    /// Starts of the server that it has entered.
    pub starts: usize,
    /// Resumes that have come.
    pub resumes: usize,
}

impl Linked {
    /// A handshake for this number.
    pub fn open(world: &mut World, number: u32) -> Self {
        let at = world.address();
        Self::open_at(world, number, at)
    }

    pub fn open_at(world: &mut World, number: u32, at: Endpoint) -> Self {
        let key = public_key(&Identity::EXAMPLE.private);
        let mut initiator = Initiator::new(number, &key, [5; 32]).expect("begun");
        let mut hello = Vec::new();
        Packet::Hello { number, cookie: &[], noise: initiator.message() }.encode(&mut hello);
        world.send_bytes(at, &hello);
        let mut answers = world.take(at);
        if let Some(Ok(Packet::Retry { cookie, .. })) = answers.first().map(|one| Packet::decode(one, Side::Server)) {
            hello.clear();
            Packet::Hello { number, cookie, noise: initiator.message() }.encode(&mut hello);
            world.send_bytes(at, &hello);
            answers = world.take(at);
        }
        assert_eq!(answers.len(), 1, "a welcome");
        assert!(answers[0].len() <= hello.len());
        let Ok(Packet::Welcome { noise, .. }) = Packet::decode(&answers[0], Side::Server) else {
            panic!("no welcome: {answers:?}")
        };
        let established = initiator.finish(noise).expect("the server's key");
        let link = Link::new(Side::Client, number, established.offer.session, established.keys);
        let (ciphers, frames) = (Ciphers::new(4), Frames::default());
        Self { number, at, link, ciphers, frames, closed: None, token: String::new(), starts: 0, resumes: 0 }
    }

    /// Registers and signs in; keeps nothing of the answers.
    pub fn person(world: &mut World, nickname: &str) -> Self {
        let number = world.register(nickname, 0);
        Self::sign_in(world, number)
    }

    pub fn sign_in(world: &mut World, number: u32) -> Self {
        let mut me = Self::open(world, number);
        let shown = me.ask(world, &super::world::sign_in(number));
        assert!(shown.iter().any(|frame| frame.starts_with("SignedIn { ok: 1")), "{shown:?}");
        me
    }

    /// Sends a frame in its order.
    pub fn send(&mut self, world: &mut World, frame: &User<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.link.send(&bytes);
        self.push(world);
    }

    /// Sends a frame, and gives back what comes of it in words.
    pub fn ask(&mut self, world: &mut World, frame: &User<'_>) -> Vec<String> {
        self.send(world, frame);
        self.pull(world)
    }

    pub fn say(&mut self, world: &mut World, to: u32, text: &str, id: u64) {
        self.send(world, &User::Message { me: self.number, to, text, id: Some(id) });
    }

    /// 0x41.
    pub fn has(&mut self, world: &mut World, from: u32, id: u64) {
        let ids = [ReceivedId { from, id }];
        self.send(world, &User::Received { me: self.number, messages: List::new(&ids) });
    }

    /// Whatever the link has to send goes to the server.
    pub fn push(&mut self, world: &mut World) {
        for packet in self.packets(world) {
            world.send_bytes(self.at, &packet);
        }
    }

    pub fn packets(&mut self, world: &World) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        loop {
            let mut packet = Vec::new();
            if !self.link.poll(world.now.mono_ms, &mut self.ciphers, &mut packet) {
                return packets;
            }
            packets.push(packet);
        }
    }

    /// What has come, in words; acks go back at once.
    pub fn pull(&mut self, world: &mut World) -> Vec<String> {
        let mut shown = Vec::new();
        loop {
            let packets = world.take(self.at);
            if packets.is_empty() {
                return shown;
            }
            for packet in packets {
                shown.extend(self.take(world, packet));
            }
            self.push(world);
        }
    }

    fn take(&mut self, world: &World, mut packet: Vec<u8>) -> Vec<String> {
        let Ok(arrival) = self.link.receive(world.now.mono_ms, &mut packet, &mut self.ciphers, &mut self.frames) else {
            if self.link.resume(world.now.mono_ms, &packet) == Resumed::Proposed {
                self.resumes += 1;
                return Vec::new();
            }
            return match Packet::decode(&packet, Side::Server) {
                Ok(other @ (Packet::Unknown { .. } | Packet::Retry { .. })) => vec![format!("{other:?}")],
                _ => Vec::new(),
            };
        };
        if arrival.start == Start::New {
            self.starts += 1;
            for frame in self.link.take_unacknowledged() {
                self.link.send(&frame);
            }
        }
        self.closed = arrival.close.or(self.closed.take());
        let frames: Vec<Vec<u8>> = self.frames.iter().map(|frame| frame.bytes.to_vec()).collect();
        self.frames.clear();
        let show = |bytes: &Vec<u8>| {
            let frame = Server::decode(bytes, Dialect::Link).expect("our own frame");
            if let Server::SignedIn { token: Some(token), .. } = frame {
                self.token = token.to_owned();
            }
            format!("{frame:?}")
        };
        frames.iter().map(show).collect()
    }
}
