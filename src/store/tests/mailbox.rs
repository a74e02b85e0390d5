//! Mailboxes: a message is in one once, its place is told, and exactly what was named is deleted.

use super::model::Random;
use super::*;

const FULL: usize = crate::limits::MAILBOX_MESSAGES + crate::limits::MAILBOX_RESERVE;

fn places(store: &mut MemoryStore, changes: Vec<Change>) -> Vec<u64> {
    match store.ask(Request::Commit(changes)) {
        Answer::Mailed(places) => places,
        other => panic!("not mailed: {other:?}"),
    }
}

fn page(store: &mut MemoryStore, request: Request) -> Vec<Mail> {
    match store.ask(request) {
        Answer::Mail(page) => page,
        other => panic!("no mail: {other:?}"),
    }
}

fn from(from: u32, id: u64) -> Change {
    Change::AddMail(10_000, Mail { from, ..mail(id, "x") })
}

#[test]
fn the_same_message_is_added_once() {
    let mut store = populated();
    let first = places(&mut store, vec![from(1, 7), from(1, 9), from(2, 7), from(1, 7)]);
    assert_eq!(first[3], first[0]);
    assert_eq!(places(&mut store, vec![from(1, 9), from(1, 7), from(2, 7)]), [first[1], first[0], first[2]]);
    assert_eq!(texts(&mut store, 10_000).len(), 3);
    // Smaller than another, but new.
    let late = places(&mut store, vec![from(1, 8)]);
    assert!(late[0] > first[2]);
    assert_eq!(places(&mut store, vec![from(1, 8)]), late);
    // In another mailbox it is another one.
    let elsewhere = Change::AddMail(10_002, Mail { from: 1, ..mail(7, "x") });
    assert!(places(&mut store, vec![elsewhere])[0] > late[0]);
    let mut store = store.crash().expect("opens");
    assert_eq!(places(&mut store, vec![from(1, 7), from(1, 8)]), [first[0], late[0]]);
}

#[test]
fn without_an_id_and_from_the_system_each_is_new() {
    let mut store = populated();
    let system = || Change::AddMail(10_000, Mail { flag: 1, kind: 3, from: 1, ..mail(7, "x") });
    let all = places(&mut store, vec![from(1, 0), from(1, 0), system(), system(), from(1, 7)]);
    assert!(all.is_sorted_by(|a, b| a < b));
    assert_eq!(texts(&mut store, 10_000).len(), 5);
}

#[test]
fn a_message_that_was_deleted_can_come_again() {
    let mut store = populated();
    let first = places(&mut store, vec![from(1, 7), from(1, 8), from(1, 9)]);
    assert_eq!(commit(&mut store, vec![Change::DeleteMailAt(10_000, vec![first[2], 5_000, first[2]])]), Answer::Done);
    assert!(places(&mut store, vec![from(1, 9)])[0] > first[2]);
    let all = Change::DeleteMail(10_000, u64::MAX);
    let again = places(&mut store, vec![all, from(1, 8)]);
    assert!(again[0] > first[2]);
    assert_eq!(places(&mut store, vec![from(1, 8)]), again);
}

#[test]
fn what_was_refused_or_failed_was_not_added() {
    let mut store = populated();
    let nobody = Change::AddMail(99_999, mail(1, "x"));
    let refused = commit(&mut store, vec![from(1, 7), from(1, 7), nobody.clone()]);
    assert_eq!(refused, Answer::Refused(Refusal::NoSuchUser));
    let first = places(&mut store, vec![from(1, 7)]);
    store.disk().fail_syncs(1);
    assert_eq!(commit(&mut store, vec![from(1, 8)]), Answer::Failed);
    let second = places(&mut store, vec![from(1, 8)]);
    assert_eq!(texts(&mut store, 10_000).len(), 2);
    let refused = commit(&mut store, vec![Change::DeleteMailAt(10_000, first.clone()), nobody]);
    assert_eq!(refused, Answer::Refused(Refusal::NoSuchUser));
    assert_eq!(places(&mut store, vec![from(1, 7), from(1, 8)]), [first[0], second[0]]);
}

#[test]
fn a_message_that_is_there_is_done_in_a_full_mailbox_too() {
    let mut store = populated();
    let first = places(&mut store, vec![from(1, 7)]);
    // No sender fills it alone: the system's own words do.
    let words = || Change::AddMail(10_000, Mail { flag: 1, kind: 0, from: 0, ..mail(0, "x") });
    assert_eq!(commit(&mut store, (0..FULL - 1).map(|_| words()).collect()), Answer::Done);
    assert_eq!(places(&mut store, vec![from(1, 7)]), first);
    assert_eq!(commit(&mut store, vec![from(1, 8)]), Answer::Refused(Refusal::MailboxFull));
}

#[test]
fn a_page_begins_after_a_place() {
    let mut store = populated();
    let all = places(&mut store, (1..=600).map(|id| from(1 + id as u32 % 5, id)).collect());
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let page = page(&mut store, Request::MailAfter(10_000, after));
        let Some(last) = page.last() else { break };
        assert!(page.len() <= crate::limits::MAILBOX_PAGE);
        after = last.seq;
        found.extend(page.iter().map(|mail| mail.seq));
    }
    assert_eq!(found, all);
    assert_eq!(page(&mut store, Request::MailAfter(10_000, u64::MAX)), []);
    assert_eq!(page(&mut store, Request::MailAfter(10_000, 0)), page(&mut store, Request::Mail(10_000)));
}

/// A mailbox as a list, and random changes for both; more senders than the writer remembers.
fn random_mailbox(seed: u64) {
    let mut random = Random(seed);
    let mut store = populated();
    let mut model: Vec<(u64, u32, u64)> = Vec::new();
    for _ in 0..150 {
        let (mut next, mut expected, mut changes) = (model.clone(), Vec::new(), Vec::new());
        for _ in 0..1 + random.below(5) {
            let any = |random: &mut Random| match next.len() as u64 {
                0 => 3,
                length => next[random.below(length) as usize].0,
            };
            match random.below(12) {
                0 if random.below(4) == 0 => {
                    changes.push(Change::DeleteMail(10_000, u64::MAX));
                    next.clear();
                }
                0 => {
                    let through = any(&mut random);
                    changes.push(Change::DeleteMail(10_000, through));
                    // What was added by this commit has no place yet.
                    next.retain(|(seq, ..)| *seq > through);
                }
                1..=2 => {
                    let gone: Vec<u64> = (0..3).map(|_| any(&mut random)).filter(|seq| *seq != u64::MAX).collect();
                    next.retain(|(seq, ..)| !gone.contains(seq));
                    changes.push(Change::DeleteMailAt(10_000, gone));
                }
                _ => {
                    let (sender, id) = (random.below(24) as u32, 1 + random.below(30));
                    changes.push(from(sender, id));
                    let there = next.iter().find(|entry| (entry.1, entry.2) == (sender, id)).map(|entry| entry.0);
                    // A new message stands at the end until its place is known.
                    next.extend(there.is_none().then_some((u64::MAX, sender, id)));
                    expected.push((sender, id, there.filter(|seq| *seq != u64::MAX)));
                }
            }
        }
        match random.below(10) {
            0 => changes.push(Change::AddMail(99_999, mail(1, "x"))),
            1 => store.disk().fail_syncs(1),
            2 => drop(store.maintain()),
            3 => store = store.crash().expect("opens"),
            _ => {}
        }
        let answer = store.ask(Request::Commit(changes));
        store.disk().fail_syncs(0);
        match answer {
            Answer::Refused(_) | Answer::Failed => {}
            answer => {
                let places = if let Answer::Mailed(places) = answer { places } else { Vec::new() };
                assert_eq!(places.len(), expected.len());
                let mut latest = BTreeMap::new();
                for (place, (sender, id, there)) in places.into_iter().zip(expected) {
                    assert_eq!(there.unwrap_or(place), place, "seed {seed}");
                    latest.insert((sender, id), place);
                }
                for entry in next.iter_mut().filter(|entry| entry.0 == u64::MAX) {
                    entry.0 = latest[&(entry.1, entry.2)];
                }
                next.sort_unstable();
                model = next;
            }
        }
        let found = page(&mut store, Request::Mail(10_000));
        let found: Vec<_> = found.iter().map(|mail| (mail.seq, mail.from, mail.id)).collect();
        assert_eq!(found, model[..model.len().min(found.len())], "seed {seed}");
        assert!(model.len() == found.len() || found.len() == crate::limits::MAILBOX_PAGE, "seed {seed}");
    }
}

#[test]
fn random_mailboxes_are_as_a_list_would_be() {
    (0..60).for_each(random_mailbox);
}

#[test]
fn who_is_blocked_reaches_nobody() {
    let mut store = populated();
    let block = Change::PutBlock { owner: 10_000, other: 10_001 };
    // The mailbox is remembered before there is a block.
    let first = places(&mut store, vec![from(10_001, 1)]);
    assert_eq!(commit(&mut store, vec![block.clone(), block]), Answer::Done);
    let system = |kind| Change::AddMail(10_000, Mail { flag: 1, kind, ..mail(0, "x") });
    let ask = Change::PutAsk { target: 10_000, asker: 10_001, until_ms: 700_000_000 };
    let blocked = Answer::Refused(Refusal::Blocked);
    for _ in 0..2 {
        for change in [from(10_001, 2), from(10_001, 0), system(1), system(2), ask.clone()] {
            assert_eq!(commit(&mut store, vec![change]), blocked);
        }
        for change in [from(10_002, 1), system(0), system(3), system(4)] {
            assert_eq!(commit(&mut store, vec![change]), Answer::Done);
        }
        // It was stored before.
        assert_eq!(places(&mut store, vec![from(10_001, 1)]), first);
        store = store.crash().expect("opens");
    }
    let Answer::User(Some(user)) = store.ask(Request::User(10_000)) else { panic!("no user") };
    assert_eq!(user.blocks, [10_001]);
    let open = Change::DeleteBlock { owner: 10_000, other: 10_001 };
    assert_eq!(commit(&mut store, vec![open.clone(), from(10_001, 3), open, ask]), Answer::Done);
    assert!(!dump(&store).contains_key(&*key::blocker(10_001, 10_000)));
}

#[test]
fn a_block_that_was_not_done_holds_nobody_up() {
    let mut store = populated();
    let block = Change::PutBlock { owner: 10_000, other: 10_001 };
    let nobody = Change::PutBlock { owner: 10_000, other: 99_999 };
    assert_eq!(commit(&mut store, vec![from(10_001, 1)]), Answer::Done);
    assert_eq!(commit(&mut store, vec![block.clone(), nobody]), Answer::Refused(Refusal::NoSuchUser));
    store.disk().fail_syncs(1);
    assert_eq!(commit(&mut store, vec![block]), Answer::Failed);
    assert_eq!(commit(&mut store, vec![from(10_001, 2)]), Answer::Done);
}

#[test]
fn blocks_are_bounded() {
    let mut store = MemoryStore::in_memory(1);
    let owner = register(&mut store, "owner");
    let others: Vec<u32> = (0..=crate::limits::BLOCKS).map(|_| register(&mut store, "other")).collect();
    let block = |other| Change::PutBlock { owner, other };
    let (last, rest) = others.split_last().expect("some");
    assert_eq!(commit(&mut store, rest.iter().copied().map(block).collect()), Answer::Done);
    assert_eq!(commit(&mut store, vec![block(*last)]), Answer::Refused(Refusal::TooManyBlocks));
    assert_eq!(commit(&mut store, vec![block(rest[0])]), Answer::Done);
    let gone = Change::DeleteBlock { owner, other: rest[0] };
    assert_eq!(commit(&mut store, vec![gone, block(*last)]), Answer::Done);
}
