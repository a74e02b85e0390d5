//! The rules alone, without I/O: messages from sender to recipient, and a status told to a thousand friends.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use oicq::seeded::Seed;
use oicq::shard::{Board, Classic, Endpoint, Identity, Input, Now, Outbox, PasswordOutcome, Peer, Shard, Territory};
use oicq::store::{Account, Answer, Card, Request, UserRecord};
use oicq::wire::{Dialect, User};
use std::sync::Arc;

const NOW: Now = Now { mono_ms: 1_000_000, unix_ms: 1_700_000_000_000 };
const FIRST: u32 = 10_000;

fn address(number: u32) -> Endpoint {
    let [a, b, c, d] = number.to_be_bytes();
    Endpoint::datagram(([127, b, c, d], 10_000 + u16::from(a)).into(), 0)
}

fn encoded(frame: &User<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// Signs a user in, answering for the store and the password pool. The user lists `friends`.
fn sign_in(shard: &mut Shard, number: u32, friends: &[u32]) {
    let record = hex_profile();
    let User::Register { profile, .. } = User::decode(&record, Dialect::Classic).expect("the first vector") else {
        panic!("the first vector registers")
    };
    let account = Account::new(&profile, "hash".into(), 0);
    let mut out = Outbox::default();
    let bytes = encoded(&User::SignIn { me: number, password: "secret", mode: 0, token: None });
    shard.handle(NOW, Input::Frame { from: address(number), bytes: &bytes }, &mut out);
    loop {
        let passwords = std::mem::take(&mut out.passwords);
        let store = std::mem::take(&mut out.store);
        if passwords.is_empty() && store.is_empty() {
            return;
        }
        for (ticket, ..) in passwords {
            shard.handle(NOW, Input::Password { ticket, outcome: PasswordOutcome::Good }, &mut out);
        }
        for (ticket, request) in store {
            let answer = match request {
                Request::Account(_) => Answer::Account(Some(Box::new(account.clone()))),
                Request::User(_) => Answer::User(Some(Box::new(lists(&account, friends)))),
                Request::Mail(_) => Answer::Mail(Vec::new()),
                other => panic!("a sign-in does not ask {other:?}"),
            };
            shard.handle(NOW, Input::Stored { ticket, answer }, &mut out);
        }
    }
}

fn lists(account: &Account, friends: &[u32]) -> UserRecord {
    let card = |number: &u32| Card {
        number: *number,
        nickname: "小红".into(),
        portrait: 1,
        province: 11,
        city: "深圳".into(),
        authorization: 0,
    };
    UserRecord {
        account: account.clone(),
        groups: vec![(1, "My Friends".into())],
        friends: friends.iter().map(|friend| (*friend, 1)).collect(),
        blocks: Vec::new(),
        blockers: Vec::new(),
        has_mail: false,
        cards: friends.iter().map(card).collect(),
    }
}

fn hex_profile() -> Vec<u8> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../tests/vectors/frames.json")).expect("the vectors are JSON");
    let hex = vectors["frames"][0]["hex"].as_str().expect("hex").to_owned();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn shard_with(users: u32) -> Shard {
    let mut shard =
        Shard::new(Territory::ALL, Arc::new(Board::new(Seed::new([8; 32]))), Classic::Loopback, &Identity::EXAMPLE);
    for number in FIRST..FIRST + users {
        sign_in(&mut shard, number, &[]);
    }
    shard
}

/// One message through the rules of one shard, from the sender's datagram to the recipient's.
fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements(1));
    for users in [1_000, 100_000] {
        let mut shard = shard_with(users);
        let text = "x".repeat(100);
        // Pairs far apart, in an order that the cache cannot guess.
        let frames: Vec<(Endpoint, Vec<u8>)> = (0..users.min(4_096))
            .map(|at| {
                let me = FIRST + (at.wrapping_mul(2_654_435_761)) % users;
                let to = FIRST + (me - FIRST + users / 2) % users;
                (address(me), encoded(&User::Message { me, to, text: &text, id: None }))
            })
            .collect();
        let (mut out, mut at) = (Outbox::default(), 0);
        group.bench_function(format!("a message among {users} users"), |b| {
            b.iter(|| {
                at = (at + 1) % frames.len();
                let (from, bytes) = &frames[at];
                shard.handle(NOW, Input::Frame { from: *from, bytes }, &mut out);
                assert_eq!(out.sends.len(), 1);
                out.clear();
            });
        });
    }
    group.finish();
}

/// A status change, told to a thousand online users who list that person, on this shard and on another.
fn presence(c: &mut Criterion) {
    let mut group = c.benchmark_group("presence");
    group.throughput(Throughput::Elements(1_000));
    let mut shard = shard_with(1);
    for watcher in FIRST + 1..=FIRST + 1_000 {
        sign_in(&mut shard, watcher, &[FIRST]);
    }
    let (mut out, mut status) = (Outbox::default(), 1);
    group.bench_function("a status to 1,000 friends of the same shard", |b| {
        b.iter(|| {
            status = 4 - status;
            let bytes = encoded(&User::SetStatus { me: FIRST, status });
            shard.handle(NOW, Input::Frame { from: address(FIRST), bytes: &bytes }, &mut out);
            assert_eq!(out.sends.len(), 1_001);
            out.clear();
        });
    });
    let remote = || {
        let mut shard = Shard::new(
            Territory { index: 0, shards: 2 },
            Arc::new(Board::new(Seed::new([8; 32]))),
            Classic::Loopback,
            &Identity::EXAMPLE,
        );
        sign_in(&mut shard, FIRST, &[]);
        for watcher in 0..1_000 {
            let message = Peer::Watch { watcher: FIRST + 1 + 2 * watcher, seen: 1 };
            shard.handle(NOW, Input::Peer { to: FIRST, message }, &mut Outbox::default());
        }
        shard
    };
    group.bench_function("a status to 1,000 friends of another shard", |b| {
        let bytes = encoded(&User::SetStatus { me: FIRST, status: 3 });
        b.iter_batched_ref(
            || (remote(), Outbox::default()),
            |(shard, out)| shard.handle(NOW, Input::Frame { from: address(FIRST), bytes: &bytes }, out),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, messages, presence);
criterion_main!(benches);
