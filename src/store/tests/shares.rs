//! Shares of a mailbox, names in a long one, and texts that are kept once.

use super::model::Random;
use super::*;
use crate::limits::{MAILBOX_FRIEND, MAILBOX_STRANGER, MAILBOX_STRANGERS};

const OWNER: u32 = 10_000;
const FULL: Answer = Answer::Refused(Refusal::MailboxFull);

fn from(sender: u32, id: u64) -> Change {
    Change::AddMail(OWNER, Mail { from: sender, ..mail(id, "x") })
}

/// A sender's messages with ids from 1 on, one commit each, until one is refused; how many were taken.
fn fill(store: &mut MemoryStore, sender: u32, most: u32) -> u32 {
    (0..most).find(|taken| commit(store, vec![from(sender, u64::from(*taken) + 1)]) == FULL).unwrap_or(most)
}

fn check(store: &MemoryStore) {
    assert_eq!(store.check_mail().expect("readable"), [""; 0]);
}

fn store_with(accounts: u32) -> MemoryStore {
    let mut store = MemoryStore::in_memory(1);
    (0..accounts).for_each(|_| _ = register(&mut store, "somebody"));
    store
}

#[test]
fn a_stranger_fills_no_more_than_a_share_and_nobody_else_is_refused() {
    let mut store = store_with(2);
    assert_eq!(commit(&mut store, vec![Change::PutFriend { owner: OWNER, friend: 10_001, group: 1 }]), Answer::Done);
    let stranger = 20_000;
    assert_eq!(fill(&mut store, stranger, 300), MAILBOX_STRANGER);
    // What is there already is answered as before.
    assert_eq!(commit(&mut store, vec![from(stranger, 7)]), Answer::Done);
    // "Has added you" is caused by the same stranger; how often somebody asks, and answers, is bounded elsewhere.
    for (kind, answer) in [(1, FULL), (2, Answer::Done), (3, Answer::Done)] {
        let told = Change::AddMail(OWNER, Mail { flag: 1, kind, from: stranger, ..mail(0, "told") });
        assert_eq!(commit(&mut store, vec![told]), answer);
    }
    // Other strangers have their own shares, until all of them together have theirs.
    let others = MAILBOX_STRANGERS / MAILBOX_STRANGER;
    for other in 1..others {
        assert_eq!(fill(&mut store, stranger + other, 300), MAILBOX_STRANGER);
    }
    assert_eq!(fill(&mut store, stranger + others, 300), 0);
    assert_eq!(fill(&mut store, 10_001, 3_000), MAILBOX_FRIEND);
    check(&store);
    // All of it is known after a restart, too.
    let mut store = store.crash().expect("opens");
    for sender in [stranger, stranger + others, 10_001] {
        assert_eq!(commit(&mut store, vec![from(sender, 9_999)]), FULL);
    }
    check(&store);
}

#[test]
fn who_is_listed_has_a_friends_share_and_who_is_no_more_a_strangers() {
    let mut store = store_with(3);
    assert_eq!(fill(&mut store, 10_001, 300), MAILBOX_STRANGER);
    let listed = |friend| Change::PutFriend { owner: OWNER, friend, group: 1 };
    assert_eq!(commit(&mut store, vec![listed(10_001)]), Answer::Done);
    assert_eq!(commit(&mut store, (0..1_000).map(|id| from(10_001, 1_000 + id)).collect()), Answer::Done);
    check(&store);
    // The others are not shut out by what somebody has left who was listed once.
    assert_eq!(commit(&mut store, vec![Change::DeleteFriend { owner: OWNER, friend: 10_001 }]), Answer::Done);
    check(&store);
    assert_eq!(commit(&mut store, vec![from(10_001, 5_000)]), FULL);
    assert_eq!(fill(&mut store, 10_002, 300), MAILBOX_STRANGER);
    // The place of what was deleted is free again.
    let Answer::Mail(page) = store.ask(Request::Mail(OWNER)) else { panic!("no mail") };
    let places = page.iter().filter(|mail| mail.from == 10_001).map(|mail| mail.seq).collect();
    assert_eq!(commit(&mut store, vec![Change::DeleteMailAt(OWNER, places)]), Answer::Done);
    check(&store);
    assert_eq!(commit(&mut store, vec![from(10_001, 5_000)]), FULL, "1,200 were there, and a page of them went");
    assert_eq!(commit(&mut store, vec![Change::DeleteMail(OWNER, u64::MAX)]), Answer::Done);
    check(&store);
    assert_eq!(fill(&mut store, 10_001, 300), MAILBOX_STRANGER);
}

#[test]
fn many_senders_come_and_go_and_what_is_counted_is_right() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut store = store_with(6);
        let mut kept = BTreeMap::new();
        for step in 0..300 {
            let (sender, id) = (10_001 + random.below(5) as u32, 1 + random.below(60));
            match random.below(10) {
                0..=5 => {
                    let Answer::Mailed(places) = store.ask(Request::Commit(vec![from(sender, id)])) else {
                        panic!("seed {seed}: not taken")
                    };
                    assert_eq!(*kept.entry((sender, id)).or_insert(places[0]), places[0], "seed {seed}, step {step}");
                }
                6..=7 => {
                    let some = kept.iter().filter(|_| random.below(4) == 0).map(|(name, place)| (*name, *place));
                    let (names, places): (Vec<_>, Vec<u64>) = some.unzip();
                    names.iter().for_each(|name| _ = kept.remove(name));
                    assert_eq!(commit(&mut store, vec![Change::DeleteMailAt(OWNER, places)]), Answer::Done);
                }
                8 => {
                    let change = if random.below(2) == 0 {
                        Change::PutFriend { owner: OWNER, friend: sender, group: 1 }
                    } else {
                        Change::DeleteFriend { owner: OWNER, friend: sender }
                    };
                    assert_eq!(commit(&mut store, vec![change]), Answer::Done);
                }
                _ if random.below(3) == 0 => store = store.crash().expect("opens"),
                // A commit that is refused changes nothing.
                _ => {
                    let changes = vec![from(sender, 1_000), Change::DeleteMail(OWNER, u64::MAX), from(20_000, 1)];
                    let nobody = Change::PutGroup(9_999, 1, "x".into());
                    let refused = commit(&mut store, [changes, vec![nobody]].concat());
                    assert_eq!(refused, Answer::Refused(Refusal::NoSuchUser));
                }
            }
            assert_eq!(store.check_mail().expect("readable"), [""; 0], "seed {seed}, step {step}");
            assert_eq!(texts(&mut store, OWNER).len(), kept.len(), "seed {seed}, step {step}");
        }
    }
}

fn broadcast(to: u32, id: u64, text: &str) -> Change {
    Change::AddMail(to, Mail { from: 9, text: Text::Shared(text.into()), ..mail(id, "") })
}

#[test]
fn the_text_of_a_broadcast_is_stored_once() {
    let mut store = store_with(200);
    let text = "word ".repeat(1_000);
    let before = store.disk().size(&journal::name(1)).expect("readable").expect("there");
    // In several groups, as the shards of the recipients ask for it.
    for recipients in (10_000..10_200).collect::<Vec<u32>>().chunks(50) {
        let changes = recipients.iter().map(|to| broadcast(*to, 3, &text)).collect();
        assert_eq!(commit(&mut store, changes), Answer::Done);
    }
    let after = store.disk().size(&journal::name(1)).expect("readable").expect("there");
    assert!(after - before < 2 * text.len() as u64 + 200 * 100, "{} bytes of journal", after - before);
    let of_all: usize = dump(&store).values().map(Vec::len).sum();
    assert!(of_all < 2 * text.len() + 200 * 200, "{of_all} bytes in all");
    check(&store);
    store.compact().expect("nothing is wrong");
    let mut store = store.crash().expect("opens");
    for to in 10_000..10_200 {
        assert_eq!(texts(&mut store, to), [&*text]);
        assert_eq!(commit(&mut store, vec![broadcast(to, 3, &text)]), Answer::Done, "it is there already");
    }
    check(&store);
    // It stays until the last of them is gone.
    for to in 10_000..10_199 {
        assert_eq!(commit(&mut store, vec![Change::DeleteMail(to, u64::MAX)]), Answer::Done);
    }
    assert_eq!(texts(&mut store, 10_199), [&*text]);
    assert_eq!(commit(&mut store, vec![Change::DeleteAccount(10_199)]), Answer::Done);
    check(&store);
    assert!(dump(&store).values().all(|value| value.len() < 500), "the text is still there");
}

#[test]
fn one_id_for_two_texts_gives_each_recipient_the_right_one() {
    let mut store = store_with(3);
    let changes = vec![broadcast(10_000, 3, "one"), broadcast(10_001, 3, "another"), broadcast(10_002, 3, "one")];
    assert_eq!(commit(&mut store, changes), Answer::Done);
    let mut store = store.crash().expect("opens");
    let all: Vec<_> = (10_000..10_003).map(|number| texts(&mut store, number)).collect();
    assert_eq!(all, [["one"], ["another"], ["one"]]);
    check(&store);
}

#[test]
fn a_directory_of_format_2_gets_names_and_shares_at_its_first_opening() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut store = store_with(4);
        let changes = |number| (1..60).map(move |id| Change::AddMail(number, Mail { from: 10_001, ..mail(id, "x") }));
        assert_eq!(commit(&mut store, changes(OWNER).chain(changes(10_002)).collect()), Answer::Done);
        // As it was before: none of that was kept.
        let counts: Vec<Vec<u8>> =
            dump(&store).into_keys().filter(|key| matches!(key::what(key), key::What::Count(_))).collect();
        let mut disk = store.disk().clone();
        store.forget_keys(&counts);
        let refused = store.check_mail().expect("readable");
        assert_eq!(refused.len(), 2, "{refused:?}");
        drop(store);
        disk.replace("format", b"oicq store 2\n", true).expect("can be written");
        // The power may fail in the middle of it.
        let mut store = loop {
            disk.crash();
            if random.below(3) > 0 {
                disk.cut_at(Some(disk.operations() + 1 + random.below(25)));
            }
            let boot = disk.boot_id();
            match Store::open(disk.clone(), MemoryIndex::default(), &boot, seed, &mut |_| {}) {
                Ok(store) => break store,
                Err(OpenError::Io { .. }) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
        };
        disk.cut_at(None);
        check(&store);
        assert_eq!(
            commit(&mut store, vec![Change::AddMail(OWNER, Mail { from: 10_001, ..mail(7, "x") })]),
            Answer::Done
        );
        assert_eq!(store.mailbox(OWNER).expect("readable").len(), 59, "seed {seed}: it was there");
        assert_eq!(disk.read("format", 0, 64).expect("readable"), b"oicq store 3\n");
    }
}
