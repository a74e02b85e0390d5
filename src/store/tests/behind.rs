//! What the index does not have yet: nobody who reads notices where a change is, and it is bounded.

use super::model::{Model, Random};
use super::*;
use crate::limits;
use crate::store::behind::{Applier, Behind, New};
use crate::store::journal::Position;
use crate::store::key::Key;

type All = BTreeMap<Key, Vec<u8>>;

fn at(offset: u64) -> Position {
    Position { generation: 1, offset }
}

/// Keys that are put once, as messages are, and keys that come and go.
fn random_changes(random: &mut Random, model: &mut All, next: &mut u64) -> Vec<(Key, New)> {
    let mut changes = BTreeMap::new();
    for _ in 0..random.below(30) {
        let user = 10_000 + random.below(4) as u32;
        let (key, first) = match random.below(4) {
            0 => (key::account(10_000 + random.below(20) as u32), false),
            1 | 2 => {
                *next += 1;
                (key::mail(user, *next), true)
            }
            // An old message, or one of these changes.
            _ => (key::mail(user, 1 + random.below(*next + 1)), false),
        };
        let goes = !first && (key.len() > 5 || random.below(3) == 0);
        if goes && !model.contains_key(&key) {
            continue;
        }
        let value = (!goes).then(|| vec![random.below(256) as u8; random.below(9) as usize]);
        match &value {
            Some(value) => model.insert(key, value.clone()),
            None => model.remove(&key),
        };
        let first = first || changes.get(&key).is_some_and(|new: &New| new.first);
        changes.insert(key, New { value: value.map(Into::into), first });
    }
    changes.into_iter().collect()
}

fn read<L: Lookup>(lookup: &L, from: &[u8], to: &[u8], down: bool, most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    if down { lookup.scan_down(from..to, visit) } else { lookup.scan(from..to, visit) }.expect("readable");
    found
}

/// A random range reads as it does in the model, either way, also when it is broken off.
fn check(random: &mut Random, behind: &Behind<MemoryIndex>, model: &All) {
    let border = |random: &mut Random| match random.below(5) {
        0 => Key::read(&[0]).expect("a key"),
        1 => Key::read(&[9]).expect("a key"),
        2 => key::account(10_000 + random.below(21) as u32),
        _ => key::mail(10_000 + random.below(5) as u32, random.below(400)),
    };
    let (from, to) = (border(random), border(random));
    let most = if random.below(2) == 0 { usize::MAX } else { 1 + random.below(12) as usize };
    let mut expected: Vec<_> = model.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect();
    expected.retain(|(key, _)| **key >= *from && **key < *to);
    let up: Vec<_> = expected.iter().take(most).cloned().collect();
    assert_eq!(read(behind, &from, &to, false, most), up);
    let down: Vec<_> = expected.into_iter().rev().take(most).collect();
    assert_eq!(read(behind, &from, &to, true, most), down);
    for key in [from, to] {
        let found = behind.get(&key).expect("readable").map(|value| value.as_ref().to_vec());
        assert_eq!(found.as_ref(), model.get(&key));
    }
}

#[test]
fn reads_see_one_map_wherever_a_change_is() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let index = MemoryIndex::default();
        let behind = Behind::new(index.clone(), at(0));
        behind.by_hand();
        let (mut model, mut next) = (All::new(), 0);
        // What the index must have once it is said to have this much of the journal.
        let mut history: BTreeMap<u64, All> = BTreeMap::from([(0, All::new())]);
        let mut changed: BTreeMap<Key, u64> = BTreeMap::new();
        for round in 1..120 {
            let changes = random_changes(&mut random, &mut model, &mut next);
            changed.extend(changes.iter().map(|(key, _)| (*key, round)));
            behind.take(changes, at(round));
            history.insert(round, model.clone());
            match random.below(6) {
                0 => behind.freeze(at(round)),
                1..=4 => (0..random.below(8)).for_each(|_| _ = behind.step()),
                _ => {}
            }
            check(&mut random, &behind, &model);
            // A start from here on would do all later changes again, and only those.
            let applied = behind.applied().offset;
            let then = &history[&applied];
            let all = read(&index, &[0], &[0xFF], false, usize::MAX);
            let all: All = all.into_iter().map(|(key, value)| (Key::read(&key).expect("a key"), value)).collect();
            for key in then.keys().chain(all.keys()) {
                assert!(
                    then.get(key) == all.get(key) || changed[key] > applied,
                    "seed {seed}, round {round}: {key:?} is not what it was, and does not change later"
                );
            }
        }
        behind.drain(at(1_000));
        assert_eq!(behind.applied(), at(1_000));
        let all: Vec<_> = model.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect();
        assert_eq!(read(&index, &[0], &[0xFF], false, usize::MAX), all, "seed {seed}");
    }
}

/// Puts that are new, and later their deletions.
fn messages(value: Option<&[u8]>) -> Vec<(Key, New)> {
    (1..=20).map(|seq| (key::mail(10_000, seq), New { value: value.map(Into::into), first: value.is_some() })).collect()
}

#[test]
fn what_comes_and_goes_in_memory_never_reaches_the_index() {
    let index = MemoryIndex::default();
    let behind = Behind::new(index.clone(), at(0));
    behind.by_hand();
    behind.take(messages(Some(b"x")), at(1));
    behind.take(messages(None), at(2));
    // The index would fail, but nobody asks it.
    index.break_down();
    behind.freeze(at(2));
    assert_eq!((behind.step(), behind.applied()), (false, at(2)));
    index.reopen().expect("works");
    // Half of them are applied when they go.
    behind.take(messages(Some(b"x")), at(3));
    behind.freeze(at(3));
    behind.step();
    behind.step();
    behind.take(messages(None), at(4));
    while behind.step() {
        assert_eq!(read(&index, &[0], &[0xFF], false, usize::MAX).len(), 6);
        assert!(read(&behind, &[0], &[0xFF], false, usize::MAX).is_empty());
    }
    behind.drain(at(4));
    assert!(read(&index, &[0], &[0xFF], false, usize::MAX).is_empty());
}

/// Changes that take so many bytes.
fn large(round: u32, bytes: usize) -> Vec<(Key, New)> {
    let new = New { value: Some(vec![0; 8_000].into()), first: true };
    (0..(bytes / 8_000) as u64).map(|seq| (key::mail(round, seq), new.clone())).collect()
}

#[test]
fn memory_is_bounded_and_the_writer_waits() {
    const GROUP: usize = 1024 * 1024;
    for threaded in [false, true] {
        let index = MemoryIndex::default();
        let behind = Behind::new(index.clone(), at(0));
        let applier = threaded.then(|| Applier::spawn(&behind).expect("a thread"));
        let rounds = (3 * limits::BEHIND_BYTES / GROUP) as u32;
        for round in 1..=rounds {
            behind.wait_for_room(at(u64::from(round) - 1));
            assert!(behind.bytes() < limits::BEHIND_BYTES);
            behind.take(large(round, GROUP), at(round.into()));
            assert!(behind.bytes() < limits::BEHIND_BYTES + 2 * GROUP);
        }
        // A thread may have been fast enough.
        assert!(threaded || behind.waits() > 0);
        behind.drain(at(rounds.into()));
        drop(applier);
        let all = read(&index, &[0], &[0xFF], false, usize::MAX).len();
        assert_eq!(all, rounds as usize * (GROUP / 8_000));
    }
}

#[test]
fn a_writer_does_not_wait_for_an_index_that_has_failed() {
    for threaded in [false, true] {
        let index = MemoryIndex::default();
        let behind = Behind::new(index.clone(), at(0));
        let _applier = threaded.then(|| Applier::spawn(&behind).expect("a thread"));
        index.break_down();
        behind.take(large(1, limits::BEHIND_BYTES + 100_000), at(1));
        behind.wait_for_room(at(1));
        assert!(behind.failure().is_some());
        assert_eq!(behind.applied(), at(0));
    }
}

#[test]
fn a_search_sees_what_was_answered_before_it() {
    let mut store = MemoryStore::in_memory(1);
    store.behind().by_hand();
    let accounts = store.accounts();
    let (mut random, mut names) = (Random(1), Vec::new());
    for round in 0..300 {
        let nickname = format!("name {round}");
        if names.is_empty() || random.below(3) == 0 {
            register(&mut store, &nickname);
            names.push(nickname);
        } else {
            let at = random.below(names.len() as u64) as usize;
            commit(&mut store, vec![Change::PutProfile(10_000 + at as u32, stored_profile(&nickname), None)]);
            names[at] = nickname;
        }
        match random.below(10) {
            0 => store.maintain().expect("nothing is wrong"),
            1..=7 => _ = store.behind().step(),
            _ => {}
        }
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let name = |record: &[u8]| Account::decode(record).expect("an account").profile().nickname.to_owned();
        let visit = &mut |_, record: &[u8]| {
            up.push(name(record));
            ControlFlow::Continue(())
        };
        accounts.scan(0, visit).expect("readable");
        let visit = &mut |_, record: &[u8]| {
            down.push(name(record));
            ControlFlow::Continue(())
        };
        accounts.scan_down(u32::MAX, visit).expect("readable");
        down.reverse();
        assert_eq!((&up, &down), (&names, &names), "round {round}");
        assert_eq!(accounts.count().expect("readable") as usize, names.len());
    }
}

#[test]
fn an_index_that_fails_within_a_table_is_mended() {
    for steps in 0..6 {
        let mut store = populated();
        store.maintain().expect("nothing is wrong");
        store.behind().by_hand();
        let changes = (1..=12).map(|id| Change::AddMail(10_000, mail(id, "x"))).collect();
        assert_eq!(commit(&mut store, changes), Answer::Done);
        store.maintain().expect("nothing is wrong");
        (0..steps).for_each(|_| _ = store.behind().step());
        commit(&mut store, vec![Change::AddMail(10_000, mail(13, "later"))]);
        let whole = dump(&store);
        store.index().break_down();
        assert!(!store.behind().step());
        if steps < 5 {
            // It is the next group that is told.
            assert_eq!(store.ask(Request::Asked { target: 10_000, asker: 10_001 }), Answer::Failed);
            assert!(store.take_fault().is_some());
        }
        store.index().reopen().expect("works");
        store.maintain().expect("mended");
        assert_eq!(dump(&store), whole, "after {steps} steps");
        assert_eq!(commit(&mut store, vec![Change::DeleteMail(10_000, u64::MAX)]), Answer::Done);
        assert_eq!(Model::of(&store.crash().expect("opens")).mail.get(&10_000), None);
    }
}

#[test]
fn nobody_reads_an_index_that_is_being_made_anew() {
    let behind = Behind::new(MemoryIndex::default(), at(0));
    let key = key::account(10_000);
    behind.take([(key, New { value: Some([1].as_slice().into()), first: false })], at(1));
    behind.drain(at(1));
    assert!(behind.get(&key).expect("readable").is_some());
    behind.begin_mending();
    assert!(behind.get(&key).is_err());
    // A scan that began before finds out, too.
    assert!(behind.scan(&key::everything().start..&key::everything().end, &mut |_, _| panic!("shown")).is_err());
    behind.inner().reset().expect("works");
    behind.restart(at(0));
    assert!(behind.get(&key).expect("readable").is_none());
    let mut seen = 0;
    let scanned = behind.scan(&key::everything().start..&key::everything().end, &mut |_, _| {
        seen += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((scanned.is_ok(), seen), (true, 0));
}
