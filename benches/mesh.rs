//! The queues between shards: what a message to another shard costs both of them, and how long one takes there and back.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oicq::limits::PEER_BATCH;
use oicq::server::{Mesh, Message, Port};
use oicq::shard::Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WATCHER: u32 = 10_001;

fn message() -> Message {
    Message::Peer { to: WATCHER - 1, message: Peer::Watch { watcher: WATCHER, seen: 1 } }
}

/// Takes what is there, and tells how many it was.
fn take(port: &mut Port) -> usize {
    let mut count = 0;
    while let Some(mut batch) = port.receive(false) {
        count += batch.len();
        batch.clear();
        port.recycle(batch);
    }
    count
}

fn queues(c: &mut Criterion) {
    let mut group = c.benchmark_group("mesh");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for count in [1, PEER_BATCH] {
        let mesh = Mesh::new(2).expect("a mesh");
        let (mut here, mut there) = (Port::new(Arc::clone(&mesh), 0), Port::new(mesh, 1));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} to another shard in one turn, and taken"), |b| {
            b.iter(|| {
                (0..count).for_each(|_| here.send(1, message()));
                here.flush();
                assert_eq!(take(&mut there), count);
            });
        });
    }
    let mesh = Mesh::new(2).expect("a mesh");
    let (mut here, mut there) = (Port::new(Arc::clone(&mesh), 0), Port::new(mesh, 1));
    let over = Arc::new(AtomicBool::new(false));
    let echo = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                for _ in 0..take(&mut there) {
                    there.send(0, message());
                }
                there.flush();
                std::hint::spin_loop();
            }
        }
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("there and back, both awake", |b| {
        b.iter(|| {
            here.send(1, message());
            here.flush();
            while take(&mut here) == 0 {
                std::hint::spin_loop();
            }
        });
    });
    over.store(true, Ordering::Relaxed);
    echo.join().expect("the other shard has ended well");
    group.finish();
}

criterion_group!(benches, queues);
criterion_main!(benches);
