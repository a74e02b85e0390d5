//! Durable messages a second: each group is synced to a real disk before the next is begun, while a thread brings the
//! groups before it into the index.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oicq::store::{Account, Answer, Change, DirStore, Mail, Request};
use oicq::wire::Profile;
use std::time::Duration;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Users whose mailboxes the messages go to in turn.
const USERS: u32 = 5_000;
const FIRST: u32 = oicq::limits::FIRST_USER;

fn account() -> Account {
    let profile = Profile { nickname: "bench", ..Profile::default() };
    Account::new(&profile, "none".into(), 0)
}

/// Messages of 100 bytes for many users; each mailbox is emptied now and then, so that none is ever full.
struct Load {
    store: DirStore,
    sent: u64,
    group: Vec<((), Request)>,
    answers: Vec<((), Answer)>,
}

impl Load {
    fn new(store: DirStore) -> Self {
        let mut load = Self { store, sent: 0, group: Vec::new(), answers: Vec::new() };
        load.group.extend((0..USERS).map(|_| ((), Request::Register(Box::new(account())))));
        load.store.process(&mut load.group, &mut load.answers);
        load.answers.clear();
        load
    }

    fn send(&mut self, messages: usize) {
        for _ in 0..messages {
            let number = FIRST + (self.sent % u64::from(USERS)) as u32;
            let text = "0123456789".repeat(10).into();
            let mail = Mail { seq: 0, flag: 2, kind: 0, from: FIRST, id: self.sent, time_ms: 0, text };
            let mut changes = vec![Change::AddMail(number, mail)];
            if self.sent / u64::from(USERS) % 100 == 99 {
                changes.insert(0, Change::DeleteMail(number, u64::MAX));
            }
            self.group.push(((), Request::Commit(changes)));
            self.sent += 1;
        }
        self.store.process(&mut self.group, &mut self.answers);
        assert!(self.answers.drain(..).all(|(_, answer)| answer.is_done()));
    }
}

fn durable_messages(criterion: &mut Criterion) {
    let home = tempfile::tempdir_in(".").expect("a directory on a real disk");
    let store = DirStore::open_dir(home.path(), 1, &mut |_| {}).expect("opens");
    let mut load = Load::new(store);
    // Otherwise the first rounds only fill memory.
    while load.store.waits() == 0 && load.sent < 1_000_000 {
        load.send(1_024);
    }
    let mut group = criterion.benchmark_group("durable messages");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for size in [1, 16, 64, 256, 1_024] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| bencher.iter(|| load.send(size)));
        load.store.maintain().expect("nothing is wrong");
    }
    group.finish();
}

criterion_group!(benches, durable_messages);
criterion_main!(benches);
