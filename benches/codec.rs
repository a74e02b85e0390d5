//! Decoding and encoding frames: a chat message, and the largest list.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oicq::wire::{Dialect, FriendEntry, GroupEntry, List, Server, User};
use std::hint::black_box;

/// A message of 100 bytes of text, half of it Chinese.
fn chat_text() -> String {
    let text = "你好, how are you? 今天晚上一起去看电影吧, at eight o'clock in front of the cinema? 好的再见 :)";
    text.chars()
        .cycle()
        .scan(0, |bytes, char| {
            *bytes += char.len_utf8();
            (*bytes <= 100).then_some(char)
        })
        .collect()
}

fn codec(c: &mut Criterion) {
    let text = chat_text();
    let message = User::Message { me: 10_001, to: 10_002, text: &text, id: None };
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode a chat message", |b| {
        b.iter(|| User::decode(black_box(&bytes), Dialect::Classic).expect("a good frame"));
    });
    let mut buffer = Vec::with_capacity(1024);
    group.bench_function("encode a chat message", |b| {
        b.iter(|| {
            buffer.clear();
            let frame = Server::Message { flag: 2, sender: 10_001, text: &text, kind: 0, id: None, time: None };
            black_box(&frame).encode(&mut buffer);
            black_box(buffer.len())
        });
    });
    let friends: Vec<FriendEntry<'_>> =
        (0..700).map(|at| FriendEntry { number: 10_000 + at, portrait: 1, status: 1, nickname: "小红" }).collect();
    let groups: Vec<GroupEntry<'_>> =
        friends.chunks(175).map(|part| GroupEntry { name: "同事", group: 1, friends: List::new(part) }).collect();
    let list = Server::SignedIn { ok: 1, groups: List::new(&groups), token: None };
    let mut bytes = Vec::new();
    list.encode(&mut bytes);
    group.bench_function("decode a list of 700 friends", |b| {
        b.iter(|| Server::decode(black_box(&bytes), Dialect::Classic).expect("a good frame"));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
