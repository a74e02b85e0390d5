//! A packed index is like a plain one, whatever is put into it and however it is read.

use super::index::{Packed, Visit};
use super::model::{Model, Random, random_request};
use super::*;
use std::ops::Range;

/// Keys of all sorts: in blocks, with something after the number, and in none.
fn random_key(random: &mut Random) -> key::Key {
    let number = [0, 1, 10_000, u32::MAX - 1][random.below(4) as usize].wrapping_add(random.below(2) as u32);
    match random.below(6) {
        0 => key::account(number),
        1 => key::group(number, random.below(3) as u8),
        2 => key::watchers(number, random.below(3) as u32),
        3 => key::session(number, random.below(2) as u32),
        4 => key::mail(number, random.below(3)),
        _ => key::counters(),
    }
}

type Seen = Vec<(Vec<u8>, Vec<u8>)>;

/// What a scan shows, up to so many keys.
fn seen(most: usize, scan: impl FnOnce(Visit<'_>) -> std::io::Result<()>) -> Seen {
    let mut seen = Vec::new();
    scan(&mut |key, value| {
        seen.push((key.to_vec(), value.to_vec()));
        if seen.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .expect("nothing is wrong");
    seen
}

fn random_range(random: &mut Random) -> Range<key::Key> {
    match random.below(4) {
        0 => key::everything(),
        1 => key::watchers_of(10_000 + random.below(2) as u32),
        2 => key::accounts_from(random.below(3) as u32),
        _ => {
            let (a, b) = (random_key(random), random_key(random));
            a.min(b)..a.max(b)
        }
    }
}

#[test]
fn a_packed_index_is_like_a_plain_one() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (plain, below) = (MemoryIndex::default(), MemoryIndex::default());
        let packed = Packed::new(below.clone());
        for _ in 0..80 {
            let changes: BTreeMap<key::Key, Option<Vec<u8>>> = (0..1 + random.below(6))
                .map(|_| {
                    let length = [0, 5, 23, 24, 60][random.below(5) as usize];
                    let value = (random.below(3) > 0).then(|| vec![random.below(256) as u8; length]);
                    (random_key(&mut random), value)
                })
                .collect();
            let ops: Vec<Op<'_>> = changes.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
            plain.apply(&ops).expect("memory");
            packed.apply(&ops).expect("memory");
            let key = random_key(&mut random);
            let value = |found: Option<&[u8]>| found.map(<[u8]>::to_vec);
            let found = packed.get(&key).expect("memory");
            assert_eq!(
                value(found.as_ref().map(AsRef::as_ref)),
                value(plain.get(&key).expect("memory").as_deref()),
                "seed {seed}"
            );
            let range = random_range(&mut random);
            let range = &range.start[..]..&range.end[..];
            let most = [1, 3, usize::MAX][random.below(3) as usize];
            let (up, down) = (range.clone(), range.clone());
            assert_eq!(
                seen(most, |visit| packed.scan(up, visit)),
                seen(most, |visit| plain.scan(range.clone(), visit)),
                "seed {seed}"
            );
            assert_eq!(
                seen(most, |visit| packed.scan_down(down, visit)),
                seen(most, |visit| plain.scan_down(range, visit)),
                "seed {seed}"
            );
        }
        // Nothing is left over below once all is gone.
        let everything = key::everything();
        let all = seen(usize::MAX, |visit| packed.scan(&everything.start..&everything.end, visit));
        let ops: Vec<Op<'_>> = all.iter().map(|(key, _)| (&**key, None)).collect();
        packed.apply(&ops).expect("memory");
        assert!(seen(usize::MAX, |visit| below.scan(&[][..]..&[0xFF; 20][..], visit)).is_empty());
    }
}

#[test]
fn a_store_with_a_packed_index_is_like_the_model() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let disk = SimDisk::new(seed);
        let index = Packed::new(MemoryIndex::default());
        let mut store = Store::open(disk, index, "boot", seed, &mut |_| {}).expect("opens");
        let (mut model, mut id) = (Model::default(), 0);
        for _ in 0..150 {
            let request = random_request(&mut random, &mut id);
            match &request {
                Request::Register(account) => drop(model.register(account.profile().nickname)),
                Request::Commit(changes) => drop(model.commit(changes)),
                _ => {}
            }
            assert_ne!(store.ask(request), Answer::Failed);
            if random.below(3) == 0 {
                store.maintain().expect("nothing is wrong");
            }
            if random.below(20) == 0 {
                store.compact().expect("nothing is wrong");
            }
            assert_eq!(Model::of(&store), model, "seed {seed}");
        }
        // Another index is made from base and journal.
        let disk = store.disk().clone();
        drop(store);
        disk.crash();
        let boot = disk.boot_id();
        let again =
            Store::open(disk, Packed::new(MemoryIndex::default()), &boot, seed + 1, &mut |_| {}).expect("opens");
        assert_eq!(Model::of(&again), model, "seed {seed}");
    }
}

#[test]
fn a_block_that_is_malformed_is_damage() {
    let below = MemoryIndex::default();
    let packed = Packed::new(below.clone());
    packed.apply(&[(&key::account(10_000), Some(b"value"))]).expect("memory");
    let all = seen(1, |visit| below.scan(&[][..]..&[0xFF; 20][..], visit));
    for cut in 1..all[0].1.len() {
        below.apply(&[(&all[0].0, Some(&all[0].1[..cut]))]).expect("memory");
        let error = packed.get(&key::account(10_000)).map(drop).expect_err("cut");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let range = key::accounts_from(0);
        let scanned = packed.scan(&range.start..&range.end, &mut |_, _| ControlFlow::Continue(()));
        assert_eq!(scanned.expect_err("cut").kind(), std::io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_value_that_moves_is_always_found() {
    let packed = Packed::new(MemoryIndex::default());
    let (key, beside) = (key::account(10_000), key::account(10_001));
    packed.apply(&[(&key, Some(&[1; 5])), (&beside, Some(&[2; 5]))]).expect("memory");
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..5_000 {
                let value = [1; 60];
                let length = if round % 2 == 0 { 60 } else { 5 };
                packed.apply(&[(&key, Some(&value[..length]))]).expect("memory");
            }
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(packed.get(&key).expect("memory").is_some_and(|value| value.as_ref()[0] == 1));
            let range = key::accounts_from(0);
            assert_eq!(seen(9, |visit| packed.scan(&range.start..&range.end, visit)).len(), 2);
            assert_eq!(seen(9, |visit| packed.scan_down(&range.start..&range.end, visit)).len(), 2);
        }
    });
}
