//! Full and failing disks: what was done stays, the rest is answered as failed, and it goes on when there is room.

use super::model::{Model, Random, random_request};
use super::*;

fn add(id: u64) -> Request {
    Request::Commit(vec![Change::AddMail(10_000, mail(id, "some text that takes room"))])
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    for room in 0..220 {
        let mut store = populated();
        let before = dump(&store);
        store.disk().set_room(Some(room));
        let mut group = vec![((), add(1)), ((), Request::Register(Box::new(account("x")))), ((), add(2))];
        let mut answers = Vec::new();
        store.process(&mut group, &mut answers);
        assert!(answers.iter().all(|(_, answer)| *answer == Answer::Failed), "room {room}");
        assert_eq!(store.take_fault().expect("it failed").kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(dump(&store), before);
        assert_eq!(texts(&mut store, 10_001), ["hello"]);
        store.disk().set_room(None);
        assert!(store.ask(add(1)).is_done());
        assert_eq!(register(&mut store, "y"), 10_003);
        let found = Model::of(&store.crash().expect("opens"));
        assert_eq!(found.mail[&10_000], [1]);
    }
}

#[test]
fn a_failed_sync_is_not_believed() {
    let mut store = populated();
    store.disk().fail_syncs(1);
    assert_eq!(store.ask(add(1)), Answer::Failed);
    assert!(store.ask(add(1)).is_done());
    assert_eq!(Model::of(&store.crash().expect("opens")).mail[&10_000], [1]);
}

/// What was asked for behind a message that failed must not overtake it, though the disk works again.
#[test]
fn a_newer_message_waits_for_an_older_one_that_failed() {
    let from = |sender, id| Request::Commit(vec![Change::AddMail(10_000, Mail { from: sender, ..mail(id, "text") })]);
    let mut store = populated();
    store.disk().fail_syncs(1);
    let mut group = vec![((), from(10_001, 5)), ((), from(10_001, 6))];
    let mut answers = Vec::new();
    store.process(&mut group, &mut answers);
    assert!(answers.iter().all(|(_, answer)| *answer == Answer::Failed));
    assert_eq!(store.ask(from(10_001, 7)), Answer::Failed);
    assert!(store.ask(from(10_002, 6)).is_done(), "another sender is not held up");
    assert!(store.ask(from(10_001, 4)).is_done(), "nor is what is older");
    group = vec![((), from(10_001, 5)), ((), from(10_001, 6)), ((), from(10_001, 7))];
    answers.clear();
    store.process(&mut group, &mut answers);
    assert!(answers.iter().all(|(_, answer)| answer.is_done()), "{answers:?}");
    assert_eq!(Model::of(&store.crash().expect("opens")).mail[&10_000], [6, 4, 5, 6, 7]);
}

#[test]
fn everything_fails_until_the_journal_is_mended() {
    let mut store = populated();
    store.disk().fail_syncs(1);
    store.disk().fail_truncates(3);
    for _ in 1..=3 {
        assert_eq!(store.ask(add(1)), Answer::Failed);
    }
    // Reading goes on.
    assert_eq!(texts(&mut store, 10_001), ["hello"]);
    assert!(store.ask(add(1)).is_done());
    assert_eq!(Model::of(&store.crash().expect("opens")).mail[&10_000], [1]);
}

#[test]
fn what_is_durable_is_done_even_if_the_index_fails() {
    let mut store = populated();
    store.maintain().expect("nothing is wrong");
    assert!(store.ask(add(1)).is_done());
    store.index().break_down();
    assert_eq!(store.ask(Request::Mail(10_000)), Answer::Failed);
    assert_eq!(store.ask(add(2)), Answer::Failed);
    assert!(store.take_fault().is_some());
    store.maintain().expect("mended");
    assert!(store.ask(add(2)).is_done());
    assert_eq!(Model::of(&store).mail[&10_000], [1, 2]);
    assert_eq!(Model::of(&store.crash().expect("opens")).mail[&10_000], [1, 2]);
}

#[test]
fn a_base_without_room_leaves_all_as_it_was() {
    for room in [0, 10, 40, 100, 200] {
        let mut store = populated();
        let before = dump(&store);
        store.disk().set_room(Some(room));
        assert!(store.compact().is_err());
        store.disk().set_room(None);
        assert!(store.ask(add(1)).is_done());
        store.compact().expect("there is room");
        let after = dump(&store.crash().expect("opens"));
        assert!(before.keys().all(|key| after.contains_key(key)));
    }
}

#[test]
fn random_failures_never_show() {
    for seed in 0..80 {
        let mut random = Random(seed);
        let mut store = MemoryStore::in_memory(seed);
        let mut model = Model::default();
        let mut id = 0;
        for _ in 0..60 {
            match random.below(6) {
                0 => store.disk().set_room(Some(random.below(300))),
                1 => store.disk().fail_syncs(random.below(3) as u32),
                2 => store.disk().fail_truncates(random.below(3) as u32),
                3 => store.disk().set_room(None),
                4 => drop(store.compact()),
                _ => drop(store.maintain()),
            }
            let request = random_request(&mut random, &mut id);
            let mut after = model.clone();
            match &request {
                Request::Register(account) => drop(after.register(account.profile().nickname)),
                Request::Commit(changes) => drop(after.commit(changes)),
                _ => {}
            }
            if store.ask(request) != Answer::Failed {
                model = after;
            }
            assert_eq!(Model::of(&store), model, "seed {seed}");
        }
        store.disk().set_room(None);
        store.disk().fail_truncates(0);
        store.disk().fail_syncs(0);
        store.maintain().expect("all works again");
        assert_eq!(Model::of(&store.crash().expect("opens")), model, "seed {seed}");
    }
}
