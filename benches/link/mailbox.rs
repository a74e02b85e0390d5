//! A mailbox: stored messages go out page by page over a link, and the user says of each that it has come.

use super::world::{FIRST, World};
use criterion::{BatchSize, Criterion, Throughput};
use oicq::store::Mail;
use oicq::wire::{Dialect, List, ReceivedId, Server, User};
use std::time::Duration;

/// Stored messages: some pages.
const MESSAGES: u64 = 1_000;

/// A user has signed in, and the shard has asked the store for the first page.
fn signed_in() -> World {
    let mut world = World::new(0);
    let mail = |seq| Mail {
        seq,
        flag: 2,
        kind: 0,
        from: FIRST + 1 + (seq % 20) as u32,
        id: seq,
        time_ms: 1_700_000_000_000,
        text: "0123456789".repeat(10).into(),
    };
    world.mail = (1..=MESSAGES).map(mail).collect();
    world.sign_in(FIRST);
    world
}

/// Takes all of it, as a client does: an ack within 10 ms, and 0x41 for what has come.
fn take(world: &mut World) -> u64 {
    let (mut came, mut ids) = (0, Vec::new());
    let mut quiet = 0;
    // The last 0x41 is acknowledged, too.
    while quiet < 3 {
        let asked = world.answer_mail();
        let sent = world.deliver(|frame| {
            if let Ok(Server::Message { sender, id: Some(id), .. }) = Server::decode(frame, Dialect::Link) {
                ids.push(ReceivedId { from: sender, id });
            }
        });
        came += ids.len() as u64;
        for part in ids.chunks(100) {
            world.send(0, &User::Received { me: FIRST, messages: List::new(part) });
        }
        ids.clear();
        world.pass(if sent { 1 } else { 10 });
        quiet = if asked || sent { 0 } else { quiet + 1 };
    }
    came
}

/// All of it, from the store's answers to the last ack.
pub fn mailbox(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox");
    group.throughput(Throughput::Elements(MESSAGES)).sample_size(20);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.bench_function("1,000 stored messages delivered and acknowledged", |b| {
        b.iter_batched_ref(signed_in, |world| assert_eq!(take(world), MESSAGES), BatchSize::PerIteration);
    });
    group.finish();
}
