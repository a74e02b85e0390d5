//! Power cuts at every operation of the disk: what was answered is there, what was not is there whole or not at all.

use super::model::{Model, Random, random_request};
use super::*;

/// Asks for a random group, and says what the store may hold afterwards: before it, and after it. `None` in the second
/// place if something was answered as failed.
fn random_group(store: &mut MemoryStore, before: &Model, random: &mut Random, id: &mut u64) -> (Model, bool) {
    let mut after = before.clone();
    let mut expected = Vec::new();
    let mut group = Vec::new();
    let mut added = Vec::new();
    for at in 0..1 + random.below(6) {
        let request = random_request(random, id);
        expected.push(match &request {
            Request::Register(account) => Answer::Registered(after.register(account.profile().nickname)),
            Request::Commit(changes) => after.commit(changes).map_or_else(Answer::Refused, |()| Answer::Done),
            _ => unreachable!("only these are made at random"),
        });
        added.push(match &request {
            Request::Commit(changes) => changes.iter().filter(|change| matches!(change, Change::AddMail(..))).count(),
            _ => 0,
        });
        group.push((at, request));
    }
    let mut answers = Vec::new();
    store.process(&mut group, &mut answers);
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    if answers.contains(&Answer::Failed) {
        assert!(answers.iter().all(|answer| *answer == Answer::Failed), "a part of a group failed: {answers:?}");
        return (after, false);
    }
    for ((answer, expected), added) in answers.into_iter().zip(expected).zip(added) {
        match answer {
            Answer::Mailed(places) => assert_eq!((places.len(), Answer::Done), (added, expected)),
            answer => assert_eq!(answer, expected),
        }
    }
    (after, true)
}

/// Runs until the power fails, then checks what is left; over and over.
fn run(seed: u64) {
    let mut random = Random(seed);
    let mut store = MemoryStore::in_memory(seed);
    let mut model = Model::default();
    let mut id = 0;
    for _ in 0..12 {
        if random.below(2) == 0 {
            store.behind().by_hand();
        }
        let cut = store.disk().operations() + 1 + random.below(60);
        store.disk().cut_at(Some(cut));
        let mut unanswered = None;
        for _ in 0..40 {
            let (after, done) = random_group(&mut store, &model, &mut random, &mut id);
            if !done {
                unanswered = Some(after);
                break;
            }
            model = after;
            match random.below(8) {
                0 => drop(store.compact()),
                1 => drop(store.maintain()),
                _ => _ = store.behind().step(),
            }
        }
        store = reopen(store, &mut random);
        let found = Model::of(&store);
        if unanswered.as_ref() == Some(&found) {
            model = found;
        }
        assert_eq!(Model::of(&store), model);
    }
}

/// Crashes, sometimes again while the store opens.
fn reopen(store: MemoryStore, random: &mut Random) -> MemoryStore {
    let disk = store.disk().clone();
    drop(store);
    loop {
        disk.crash();
        if random.below(2) == 0 {
            disk.cut_at(Some(disk.operations() + 1 + random.below(12)));
        }
        let boot = disk.boot_id();
        match Store::open(disk.clone(), MemoryIndex::default(), &boot, random.below(u64::MAX), &mut |_| {}) {
            Ok(store) => return store,
            Err(OpenError::Io { .. }) => {}
            Err(error) => panic!("a power cut is no damage: {error}"),
        }
    }
}

#[test]
fn what_was_answered_survives_and_a_commit_is_all_or_nothing() {
    for seed in 0..150 {
        let run = std::panic::catch_unwind(|| run(seed));
        assert!(run.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_first_start_can_be_cut_anywhere() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        disk.cut_at(Some(1 + seed % 14));
        drop(Store::open(disk.clone(), MemoryIndex::default(), "sim-0", seed, &mut |_| {}));
        disk.crash();
        let boot = disk.boot_id();
        let store = Store::open(disk, MemoryIndex::default(), &boot, seed + 1, &mut |_| {});
        let mut store = store.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(register(&mut store, "first"), 10_000);
    }
}

#[test]
fn a_killed_process_loses_nothing_and_its_index_is_used() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let disk = SimDisk::new(seed);
        let index = MemoryIndex::default();
        let mut model = Model::default();
        let mut id = 0;
        for life in 0..6 {
            // The same boot: the index is what it was, and at times ahead of what is known of it.
            let mut store =
                Store::open(disk.clone(), index.clone(), "same boot", life, &mut |_| {}).expect("nothing is wrong");
            assert_eq!(Model::of(&store), model, "seed {seed}");
            store.behind().by_hand();
            for _ in 0..random.below(20) {
                model = random_group(&mut store, &model, &mut random, &mut id).0;
                match random.below(12) {
                    0..=3 => store.maintain().expect("nothing is wrong"),
                    4 => store.compact().expect("nothing is wrong"),
                    _ => _ = store.behind().step(),
                }
            }
            if random.below(3) == 0 {
                store.close().expect("nothing is wrong");
            }
        }
    }
}

#[test]
fn a_torn_end_is_cut_off() {
    let mut store = populated();
    let whole = dump(&store);
    let mut disk = store.disk().clone();
    commit(&mut store, vec![Change::AddMail(10_000, mail(8, "torn"))]);
    drop(store);
    let name = journal::name(1);
    let size = disk.size(&name).expect("readable").expect("there");
    disk.truncate(&name, size - 3).expect("can be cut");
    let store = Store::open(disk.clone(), MemoryIndex::default(), "next", 2, &mut |_| {}).expect("opens");
    assert_eq!(Model::of(&store).mail.get(&10_000), None);
    assert_eq!(dump(&store), whole);
    assert!(disk.size(&name).expect("readable").expect("there") < size - 3);
}
