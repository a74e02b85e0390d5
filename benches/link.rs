//! The link: its handshake, a packet sealed and opened, and a whole message through the rules of one shard with all that
//! belongs to it: the message in and out, the recipient's 0x41 in, the receipt out.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oicq::link::{Ciphers, Frames, Initiator, Keys, Link, Offer, Packet, Side, StaticKey, public_key, respond};
use oicq::shard::{Board, Classic, Endpoint, Identity, Input, Now, Outbox, PasswordOutcome, Shard, Territory};
use oicq::store::{Account, Answer, Request, UserRecord};
use oicq::wire::{List, Profile, ReceivedId, User};
use std::hint::black_box;
use std::sync::Arc;

const FIRST: u32 = 10_000;

fn encoded(frame: &User<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// A user's end of a link with a shard that is driven by hand.
struct Client {
    number: u32,
    at: Endpoint,
    link: Link,
}

/// One shard, its users, and the time.
struct World {
    shard: Shard,
    out: Outbox,
    clients: Vec<Client>,
    ciphers: Ciphers,
    frames: Frames,
    now: Now,
    packet: Vec<u8>,
}

impl World {
    fn new(users: u32) -> Self {
        let shard = Shard::new(Territory::ALL, Arc::new(Board::default()), Classic::Off, &Identity::EXAMPLE);
        let mut world = Self {
            shard,
            out: Outbox::default(),
            clients: Vec::new(),
            ciphers: Ciphers::new(2 * users as usize),
            frames: Frames::default(),
            now: Now { mono_ms: 1_000_000, unix_ms: 1_700_000_000_000 },
            packet: Vec::new(),
        };
        (0..users).for_each(|at| world.sign_in(FIRST + at));
        world
    }

    fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input, &mut self.out);
        self.shard.flush(self.now, &mut self.out);
    }

    fn sign_in(&mut self, number: u32) {
        let [_, b, c, d] = number.to_be_bytes();
        let at = Endpoint::datagram(([127, b, c, d], 10_000).into(), 0);
        let key = public_key(&Identity::EXAMPLE.private);
        let mut initiator = Initiator::new(number, &key, [5; 32]).expect("begun");
        let mut hello = Vec::new();
        Packet::Hello { number, cookie: &[], noise: initiator.message() }.encode(&mut hello);
        self.input(Input::Packet { from: at, bytes: &mut hello });
        let welcome = self.out.frame(&self.out.sends[0]).to_vec();
        let Ok(Packet::Welcome { noise, .. }) = Packet::decode(&welcome, Side::Server) else { panic!("a welcome") };
        let established = initiator.finish(noise).expect("the server's key");
        let link = Link::new(Side::Client, number, established.offer.session, established.keys, 0);
        self.out.clear();
        self.clients.push(Client { number, at, link });
        let me = self.clients.len() - 1;
        self.send(me, &User::SignIn { me: number, password: "secret", mode: 0, token: None });
        self.answer_all();
        self.deliver();
    }

    /// Answers for the store and the password pool.
    fn answer_all(&mut self) {
        let account = Account::new(&Profile { nickname: "小明", ..Profile::default() }, "hash".into(), 0);
        loop {
            let (passwords, store) = (std::mem::take(&mut self.out.passwords), std::mem::take(&mut self.out.store));
            if passwords.is_empty() && store.is_empty() {
                return;
            }
            for (ticket, _) in passwords {
                self.input(Input::Password { ticket, outcome: PasswordOutcome::Good });
            }
            for (ticket, request) in store {
                let answer = match request {
                    Request::Account(_) => Answer::Account(Some(Box::new(account.clone()))),
                    Request::User(_) => Answer::User(Some(Box::new(UserRecord {
                        account: account.clone(),
                        groups: vec![(1, "My Friends".into())],
                        friends: Vec::new(),
                        blocks: Vec::new(),
                        has_mail: false,
                        cards: Vec::new(),
                    }))),
                    _ => Answer::Done,
                };
                self.input(Input::Stored { ticket, answer });
            }
        }
    }

    fn send(&mut self, from: usize, frame: &User<'_>) {
        self.clients[from].link.send(&encoded(frame));
        self.push(from);
    }

    /// What a client has to send goes to the shard.
    fn push(&mut self, from: usize) {
        let mut packet = std::mem::take(&mut self.packet);
        loop {
            packet.clear();
            let client = &mut self.clients[from];
            if !client.link.poll(self.now.mono_ms, &mut self.ciphers, &mut packet) {
                break;
            }
            let from = client.at;
            self.input(Input::Packet { from, bytes: &mut packet });
        }
        self.packet = packet;
    }

    /// What the shard has sent goes to the clients.
    fn deliver(&mut self) {
        let (bytes, sends) = (std::mem::take(&mut self.out.bytes), std::mem::take(&mut self.out.sends));
        for send in &sends {
            let mut packet = bytes[send.start as usize..][..send.length as usize].to_vec();
            let Some(client) = self.clients.iter_mut().find(|client| client.at == send.to) else { continue };
            client.link.receive(self.now.mono_ms, &mut packet, &mut self.ciphers, &mut self.frames).expect("ours");
            self.frames.clear();
        }
        self.out.clear();
    }
}

/// One message with 0x41 and receipt. The time of the clients' ends is in it, too: about half.
fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("link");
    group.throughput(Throughput::Elements(1));
    let mut world = World::new(2);
    let text = "x".repeat(100);
    let mut id = 0;
    group.bench_function("message, 0x41 and receipt through one shard, both clients included", |b| {
        b.iter(|| {
            id += 1;
            let (me, to) = (world.clients[0].number, world.clients[1].number);
            world.send(0, &User::Message { me, to, text: &text, id: Some(id) });
            world.deliver();
            let ids = [ReceivedId { from: me, id }];
            world.send(1, &User::Received { me: to, messages: List::new(&ids) });
            world.deliver();
        });
    });
    group.finish();
}

fn packets(c: &mut Criterion) {
    let keys = Keys { to_server: [1; 32], to_client: [2; 32] };
    let mut ciphers = Ciphers::new(4);
    let frame = encoded(&User::Message { me: FIRST, to: FIRST + 1, text: &"x".repeat(100), id: Some(7) });
    c.bench_function("link/one frame sent, sealed, opened and acknowledged", |b| {
        let mut client = Link::new(Side::Client, FIRST, 7, keys, 0);
        let mut server = Link::new(Side::Server, FIRST, 7, keys, 0);
        let (mut frames, mut packet, mut now) = (Frames::default(), Vec::new(), 0);
        b.iter(|| {
            packet.clear();
            client.send(&frame);
            assert!(client.poll(now, &mut ciphers, &mut packet));
            server.receive(now, &mut packet, &mut ciphers, &mut frames).expect("ours");
            frames.clear();
            now += 10;
            packet.clear();
            assert!(server.poll(now, &mut ciphers, &mut packet));
            client.receive(now, &mut packet, &mut ciphers, &mut frames).expect("ours");
        });
    });
}

fn handshakes(c: &mut Criterion) {
    let key = StaticKey::new([7; 32]);
    let message = Initiator::new(FIRST, &key.public, [5; 32]).expect("begun").message().to_vec();
    let offer = Offer { session: 1, idle_secs: 90, largest_datagram: 1_232 };
    c.bench_function("link/the server's side of a handshake", |b| {
        b.iter(|| respond(&key, FIRST, black_box(&message), [9; 32], offer).expect("answered"));
    });
}

criterion_group!(benches, packets, messages, handshakes);
criterion_main!(benches);
