//! Bases: written while changes go on, and cut off at every step.

use super::model::Model;
use super::*;

#[test]
fn a_base_replaces_the_journal_before_it() {
    let mut store = populated();
    for _ in 0..3 {
        store.compact().expect("nothing is wrong");
        commit(&mut store, vec![Change::AddMail(10_000, mail(2, "later"))]);
    }
    let whole = dump(&store);
    let mut names = store.disk().list().expect("readable");
    names.retain(|name| name.starts_with("journal") || name.starts_with("base"));
    assert_eq!(names, ["base-0000000004", "journal-0000000004"]);
    assert_eq!(dump(&store.crash().expect("opens")), whole);
}

#[test]
fn changes_go_on_while_a_base_is_written() {
    let mut store = populated();
    let long = "x".repeat(8_000);
    for id in 0..40 {
        commit(&mut store, vec![Change::AddMail(10_000 + id as u32 % 3, mail(id, &long))]);
    }
    let compaction = store.begin_compaction().expect("nothing is wrong");
    let mut blocks = 0;
    let written = compaction.run(&mut || {
        let number = 10_000 + blocks % 3;
        assert_eq!(commit(&mut store, vec![Change::DeleteMail(number, u64::MAX)]), Answer::Done);
        let add = Change::AddMail(10_002 - blocks % 3, mail(1_000 + u64::from(blocks), "new"));
        assert_eq!(commit(&mut store, vec![add, Change::DeleteFriend { owner: 10_000, friend: 10_001 }]), Answer::Done);
        blocks += 1;
        ControlFlow::Continue(())
    });
    assert!(blocks > 2);
    store.finish_compaction(written).expect("nothing is wrong");
    let (whole, model) = (dump(&store), Model::of(&store));
    let store = store.crash().expect("opens");
    assert_eq!(dump(&store), whole);
    assert_eq!(Model::of(&store), model);
}

#[test]
fn a_base_can_be_broken_off() {
    let mut store = populated();
    let changes = (0..20).map(|id| Change::AddMail(10_000, mail(id, &"x".repeat(8_000)))).collect();
    commit(&mut store, changes);
    let written = store.begin_compaction().expect("nothing is wrong").run(&mut || ControlFlow::Break(()));
    assert!(store.finish_compaction(written).is_err());
    assert!(!store.disk().list().expect("readable").contains(&"base.tmp".to_owned()));
    let whole = dump(&store);
    assert_eq!(dump(&store.crash().expect("opens")), whole);
}

#[test]
fn a_base_of_an_index_that_was_made_anew_meanwhile_is_not_taken() {
    let mut store = populated();
    let compaction = store.begin_compaction().expect("nothing is wrong");
    let written = compaction.run(&mut || ControlFlow::Continue(()));
    store.index().break_down();
    assert_eq!(store.ask(Request::User(10_000)), Answer::Failed);
    store.maintain().expect("mended");
    assert!(store.finish_compaction(written).is_err());
    let whole = dump(&store);
    assert_eq!(dump(&store.crash().expect("opens")), whole);
}

#[test]
fn a_base_is_cut_off_at_every_step() {
    for step in 1..40 {
        for seed in 0..8 {
            let mut store = MemoryStore::in_memory(seed);
            populate(&mut store);
            store.compact().expect("nothing is wrong");
            commit(&mut store, vec![Change::AddMail(10_000, mail(2, "second"))]);
            let whole = dump(&store);
            store.disk().cut_at(Some(store.disk().operations() + step));
            let _ = store.compact();
            let store = store.crash().unwrap_or_else(|error| panic!("step {step}, seed {seed}: {error}"));
            assert_eq!(dump(&store), whole, "step {step}, seed {seed}");
        }
    }
}
