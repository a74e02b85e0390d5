//! The link: its handshake, a packet sealed and opened, and a whole message through the rules of one shard with all that
//! belongs to it: the message in and out, the recipient's 0x41 in, the receipt out.

mod mailbox;
mod world;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oicq::link::{Ciphers, Frames, Initiator, Keys, Link, Offer, Side, StaticKey, respond};
use oicq::wire::{List, ReceivedId, User};
use std::hint::black_box;
use world::{FIRST, World, encoded};

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
            world.deliver(|_| {});
            let ids = [ReceivedId { from: me, id }];
            world.send(1, &User::Received { me: to, messages: List::new(&ids) });
            world.deliver(|_| {});
        });
    });
    group.finish();
}

fn packets(c: &mut Criterion) {
    let keys = Keys { to_server: [1; 32], to_client: [2; 32] };
    let mut ciphers = Ciphers::new(4);
    let frame = encoded(&User::Message { me: FIRST, to: FIRST + 1, text: &"x".repeat(100), id: Some(7) });
    c.bench_function("link/one frame sent, sealed, opened and acknowledged", |b| {
        let mut client = Link::new(Side::Client, FIRST, 7, keys);
        let mut server = Link::new(Side::Server, FIRST, 7, keys);
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

criterion_group!(benches, packets, messages, handshakes, mailbox::mailbox);
criterion_main!(benches);
