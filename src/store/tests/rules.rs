//! What each change does, and when it is refused.

use super::*;

fn user(store: &mut MemoryStore, number: u32) -> Option<UserRecord> {
    match store.ask(Request::User(number)) {
        Answer::User(user) => user.map(|user| *user),
        other => panic!("no user: {other:?}"),
    }
}

fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal)
}

#[test]
fn numbers_are_given_out_upwards_and_never_again() {
    let mut store = MemoryStore::in_memory(1);
    assert_eq!(register(&mut store, "a"), 10_000);
    assert_eq!(register(&mut store, "b"), 10_001);
    assert_eq!(commit(&mut store, vec![Change::DeleteAccount(10_001)]), Answer::Done);
    assert_eq!(store.account_count(), 1);
    let mut store = store.crash().expect("opens");
    assert_eq!(register(&mut store, "c"), 10_002);
    assert_eq!(store.account_count(), 2);
    assert_eq!(store.accounts().count().expect("readable"), 2);
}

#[test]
fn a_new_account_has_its_first_group() {
    let mut store = MemoryStore::in_memory(1);
    let number = register(&mut store, "小明");
    let user = user(&mut store, number).expect("registered");
    assert_eq!(user.account, account("小明"));
    assert_eq!(user.groups, [(1, "My Friends".into())]);
    assert!(user.friends.is_empty());
}

#[test]
fn all_numbers_can_be_given_out() {
    let mut store = MemoryStore::in_memory(1);
    store.set_next_number(crate::limits::LAST_USER);
    assert_eq!(register(&mut store, "last"), crate::limits::LAST_USER);
    let answer = store.ask(Request::Register(Box::new(account("late"))));
    assert_eq!(answer, refused(Refusal::NoNumberLeft));
}

#[test]
fn an_account_changes() {
    let mut store = populated();
    let mut changed = account("new name");
    changed.disabled = true;
    changed.password = "another".into();
    for change in [
        Change::SetDisabled(10_000, true),
        Change::PutProfile(10_000, stored_profile("other name"), Some("another".into())),
        Change::PutProfile(10_000, stored_profile("new name"), None),
    ] {
        assert_eq!(commit(&mut store, vec![change]), Answer::Done);
    }
    assert_eq!(store.ask(Request::Account(10_000)), Answer::Account(Some(Box::new(changed.clone()))));
    commit(&mut store, vec![Change::PutPassword(10_000, "third".into()), Change::SetDisabled(10_000, false)]);
    changed.password = "third".into();
    changed.disabled = false;
    assert_eq!(store.ask(Request::Account(10_000)), Answer::Account(Some(Box::new(changed))));
    assert_eq!(store.ask(Request::Account(9)), Answer::Account(None));
    assert_eq!(store.account_count(), 3);
}

#[test]
fn lists_are_read_in_order_with_cards() {
    let mut store = populated();
    commit(&mut store, vec![Change::PutFriend { owner: 10_000, friend: 10_002, group: 1 }]);
    let user = user(&mut store, 10_000).expect("there");
    assert_eq!(user.groups, [(1, "My Friends".into()), (2, "school".into())]);
    assert_eq!(user.friends, [(10_001, 2), (10_002, 1)]);
    assert_eq!(user.cards.iter().map(|card| &*card.nickname).collect::<Vec<_>>(), ["b", "c"]);
    let Answer::Cards(cards) = store.ask(Request::Cards(vec![10_002, 5, 10_000])) else { panic!("no cards") };
    assert_eq!(cards.iter().map(|card| card.number).collect::<Vec<_>>(), [10_002, 10_000]);
}

#[test]
fn friends_that_were_forgotten_in_a_deleted_group_move_to_the_first() {
    let mut store = populated();
    assert_eq!(commit(&mut store, vec![Change::DeleteGroup(10_000, 2)]), Answer::Done);
    let user = user(&mut store, 10_000).expect("there");
    assert_eq!(user.groups.len(), 1);
    assert_eq!(user.friends, [(10_001, 1)]);
}

#[test]
fn a_friend_leaves_both_lists() {
    let mut store = populated();
    let before = dump(&store);
    let (list, reverse) = (key::friends(10_000), key::watchers(10_001, 0));
    assert_eq!(before[&*list], [0, 0, 0x27, 0x11, 2]);
    assert_eq!(before[&*reverse], [0, 0, 0x27, 0x10]);
    assert_eq!(commit(&mut store, vec![Change::DeleteFriend { owner: 10_000, friend: 10_001 }]), Answer::Done);
    let after = dump(&store);
    assert!(!after.contains_key(&*list) && !after.contains_key(&*reverse), "an empty list has no key");
    // Once more changes nothing, and is no error.
    assert_eq!(commit(&mut store, vec![Change::DeleteFriend { owner: 10_000, friend: 10_001 }]), Answer::Done);
    assert_eq!(dump(&store), after);
}

/// In any order, in one commit and in many, with blocks that are split, emptied and begun again.
#[test]
fn many_can_list_one_user() {
    let mut store = MemoryStore::in_memory(1);
    (0..40).for_each(|at| _ = register(&mut store, &format!("n{at}")));
    // All but 10000, each once: 7 and 40 have no common divisor.
    let owners: Vec<u32> = (1..40).map(|at| 10_000 + at * 7 % 40).collect();
    let listed = |store: &MemoryStore| {
        assert_eq!(store.check_lists().expect("can be read"), [""; 0]);
        dump(store).keys().filter(|key| key[0] == key::watchers(0, 0)[0]).count()
    };
    let put = |owner: &u32| Change::PutFriend { owner: *owner, friend: 10_000, group: 1 };
    let delete = |owner: &u32| Change::DeleteFriend { owner: *owner, friend: 10_000 };
    assert_eq!(commit(&mut store, owners[..20].iter().map(put).collect()), Answer::Done);
    owners[20..].iter().for_each(|owner| assert_eq!(commit(&mut store, vec![put(owner)]), Answer::Done));
    assert!(listed(&store) > 39 / plan::friends::BLOCK);
    // The lowest go first, so that somebody comes before all blocks that are left.
    for owner in 10_001..10_020 {
        assert_eq!(commit(&mut store, vec![delete(&owner)]), Answer::Done);
    }
    assert!(listed(&store) <= 20);
    assert_eq!(commit(&mut store, vec![put(&10_001), put(&10_019), put(&10_001)]), Answer::Done);
    listed(&store);
    assert_eq!(commit(&mut store, vec![Change::DeleteAccount(10_000)]), Answer::Done);
    assert_eq!(listed(&store), 0);
    assert!(user(&mut store, 10_030).expect("there").friends.is_empty());
}

#[test]
fn nothing_is_done_for_a_user_who_is_not_there() {
    let mut store = populated();
    let before = dump(&store);
    let ghost = 77_777;
    for change in [
        Change::PutProfile(ghost, stored_profile("x"), None),
        Change::PutPassword(ghost, "x".into()),
        Change::SetDisabled(ghost, true),
        Change::PutGroup(ghost, 2, "x".into()),
        Change::PutFriend { owner: ghost, friend: 10_000, group: 1 },
        Change::PutFriend { owner: 10_000, friend: ghost, group: 1 },
        Change::PutAsk { target: ghost, asker: 10_000, until_ms: 1 },
        Change::PutAsk { target: 10_000, asker: ghost, until_ms: 1 },
        Change::AddMail(ghost, mail(1, "x")),
        Change::PutBlock { owner: ghost, other: 10_000 },
        Change::PutBlock { owner: 10_000, other: ghost },
        Change::PutGrant(Grant { monitor: ghost, target: 10_000, until_ms: 1, reason: "x".into() }),
        Change::PutGrant(Grant { monitor: 10_000, target: ghost, until_ms: 1, reason: "x".into() }),
        Change::DeleteAccount(ghost),
    ] {
        // The good change before it is not done either.
        let good = Change::AddMail(10_000, mail(2, "good"));
        assert_eq!(commit(&mut store, vec![good, change]), refused(Refusal::NoSuchUser));
    }
    assert_eq!(dump(&store), before);
}

#[test]
fn a_request_for_authorization_is_open_until_it_is_answered() {
    let mut store = populated();
    let asked = Request::Asked { target: 10_002, asker: 10_000 };
    assert_eq!(store.ask(asked.clone()), Answer::Until(Some(700_000_000)));
    assert_eq!(commit(&mut store, vec![Change::DeleteAsk { target: 10_002, asker: 10_000 }]), Answer::Done);
    assert_eq!(store.ask(asked), Answer::Until(None));
}

#[test]
fn open_requests_are_bounded_and_ended_ones_do_not_count() {
    let mut store = MemoryStore::in_memory(1);
    let target = register(&mut store, "popular");
    let week = crate::limits::ASK_OPEN.as_millis() as u64;
    for _ in 0..crate::limits::ASKS_OPEN {
        let asker = register(&mut store, "fan");
        let ask = Change::PutAsk { target, asker, until_ms: week + 10 };
        assert_eq!(commit(&mut store, vec![ask]), Answer::Done);
    }
    let late = register(&mut store, "late");
    let ask = |until_ms| vec![Change::PutAsk { target, asker: late, until_ms }];
    assert_eq!(commit(&mut store, ask(week + 20)), refused(Refusal::TooManyAsks));
    // Whoever waits already may ask again.
    let again = Change::PutAsk { target, asker: late - 1, until_ms: week + 20 };
    assert_eq!(commit(&mut store, vec![again]), Answer::Done);
    // A week later the others have ended.
    assert_eq!(commit(&mut store, ask(2 * week + 15)), Answer::Done);
    let Answer::Until(None) = store.ask(Request::Asked { target, asker: target + 1 }) else { panic!("still open") };
    assert!(!dump(&store).contains_key(&*key::asked(target + 1, target)));
}

#[test]
fn mail_comes_in_order_and_goes_up_to_a_place() {
    let mut store = populated();
    let two = vec![Change::AddMail(10_001, mail(2, "two")), Change::AddMail(10_001, mail(3, "three"))];
    assert_eq!(commit(&mut store, two), Answer::Done);
    let Answer::Mail(page) = store.ask(Request::Mail(10_001)) else { panic!("no mail") };
    assert_eq!(page.iter().map(|mail| mail.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(page.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(commit(&mut store, vec![Change::DeleteMail(10_001, page[1].seq)]), Answer::Done);
    assert_eq!(texts(&mut store, 10_001), ["three"]);
    assert_eq!(commit(&mut store, vec![Change::DeleteMail(10_001, u64::MAX)]), Answer::Done);
    assert!(texts(&mut store, 10_001).is_empty());
}

#[test]
fn places_in_mailboxes_rise_across_restarts() {
    let mut store = populated();
    let mut last = 0;
    for round in 0..4 {
        commit(&mut store, vec![Change::AddMail(10_001, mail(10 + round, "x"))]);
        let Answer::Mail(page) = store.ask(Request::Mail(10_001)) else { panic!("no mail") };
        let seq = page.last().expect("just added").seq;
        assert!(seq > last);
        last = seq;
        store = store.crash().expect("opens");
    }
}

#[test]
fn a_page_of_mail_is_bounded() {
    let mut store = populated();
    let long = "x".repeat(8_000);
    let text = |id| if id < 20 { &*long } else { "short" };
    let changes = (0..300)
        .map(|id| Change::AddMail(10_000, Mail { from: 10_001 + id as u32 % 2, ..mail(id, text(id)) }))
        .collect();
    assert_eq!(commit(&mut store, changes), Answer::Done);
    let first = texts(&mut store, 10_000).len();
    assert_eq!(first, crate::limits::MAILBOX_PAGE_BYTES / 8_026);
    let Answer::Mail(page) = store.ask(Request::Mail(10_000)) else { panic!("no mail") };
    let through = page.last().expect("a page").seq;
    commit(&mut store, vec![Change::DeleteMail(10_000, through)]);
    assert_eq!(texts(&mut store, 10_000).len(), crate::limits::MAILBOX_PAGE);
}

#[test]
fn a_full_mailbox_still_takes_what_the_system_tells() {
    let mut store = populated();
    let full = crate::limits::MAILBOX_MESSAGES as u64;
    for friend in 10_001..10_006 {
        register(&mut store, "friend");
        assert_eq!(commit(&mut store, vec![Change::PutFriend { owner: 10_000, friend, group: 1 }]), Answer::Done);
    }
    let from = |id| 10_001 + (id % 5) as u32;
    let changes = (0..full - 1).map(|id| Change::AddMail(10_000, Mail { from: from(id), ..mail(id, "x") })).collect();
    assert_eq!(commit(&mut store, changes), Answer::Done);
    let user = || Change::AddMail(10_000, Mail { from: from(full - 1), ..mail(0, "user") });
    // All or none: the first of these two would fit.
    assert_eq!(commit(&mut store, vec![user(), user()]), refused(Refusal::MailboxFull));
    assert_eq!(commit(&mut store, vec![user()]), Answer::Done);
    // The length is counted anew after a restart.
    let mut store = store.crash().expect("opens");
    assert_eq!(commit(&mut store, vec![user()]), refused(Refusal::MailboxFull));
    let system = || Change::AddMail(10_000, Mail { flag: 1, kind: 2, ..mail(1, "system") });
    let reserve = (0..crate::limits::MAILBOX_RESERVE).map(|_| system()).collect();
    assert_eq!(commit(&mut store, reserve), Answer::Done);
    assert_eq!(commit(&mut store, vec![system()]), refused(Refusal::MailboxFull));
    assert_eq!(commit(&mut store, vec![Change::DeleteMail(10_000, u64::MAX), user()]), Answer::Done);
}

#[test]
fn grants_come_and_go() {
    let mut store = populated();
    let grant = Grant { monitor: 10_000, target: 10_001, until_ms: 9, reason: "court order".into() };
    let asked = Request::Grant { monitor: 10_000, target: 10_001 };
    assert_eq!(store.ask(asked.clone()), Answer::Grant(Some(grant.clone())));
    assert_eq!(store.grants().expect("readable"), std::slice::from_ref(&grant));
    assert_eq!(store.accounts().grants().expect("readable"), [grant]);
    assert_eq!(commit(&mut store, vec![Change::DeleteGrant { monitor: 10_000, target: 10_001 }]), Answer::Done);
    assert_eq!(store.ask(asked), Answer::Grant(None));
}

#[test]
fn a_deleted_account_leaves_nothing_behind() {
    let mut store = populated();
    let more = vec![
        Change::PutAsk { target: 10_000, asker: 10_001, until_ms: 800_000_000 },
        Change::PutGrant(Grant { monitor: 10_002, target: 10_000, until_ms: 9, reason: "x".into() }),
        Change::PutBlock { owner: 10_000, other: 10_002 },
        Change::PutBlock { owner: 10_001, other: 10_000 },
        Change::PutToken(NewToken { number: 10_000, hash: [1; 32], until_ms: 9, session: 0, instead_of: None }),
        Change::PutSession(Box::new(session(10_000, 1)), None),
        Change::AddMail(10_000, mail(4, "x")),
    ];
    assert_eq!(commit(&mut store, more), Answer::Done);
    assert_eq!(commit(&mut store, vec![Change::DeleteAccount(10_000)]), Answer::Done);
    let number = 10_000_u32.to_be_bytes();
    let left: Vec<_> = dump(&store).into_keys().filter(|key| key.windows(4).any(|part| part == number)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(commit(&mut store, vec![Change::AddMail(10_000, mail(5, "x"))]), refused(Refusal::NoSuchUser));
    assert_eq!(texts(&mut store, 10_001), ["hello"]);
}

#[test]
fn a_read_sees_what_its_group_asked_for_before_it() {
    let mut store = populated();
    let mut group = vec![
        (1, Request::Commit(vec![Change::AddMail(10_000, mail(9, "first"))])),
        (2, Request::Mail(10_000)),
        (3, Request::Commit(vec![Change::DeleteAccount(1)])),
        (4, Request::Register(Box::new(account("d")))),
    ];
    let mut answers = Vec::new();
    store.process(&mut group, &mut answers);
    assert_eq!(answers.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(matches!(&answers[0].1, Answer::Mailed(places) if places.len() == 1));
    assert!(matches!(&answers[1].1, Answer::Mail(page) if page.len() == 1));
    assert_eq!(answers[2].1, refused(Refusal::NoSuchUser));
    assert_eq!(answers[3].1, Answer::Registered(10_003));
}

#[test]
fn a_group_without_changes_touches_no_disk() {
    let mut store = populated();
    let before = store.disk().operations();
    store.ask(Request::User(10_000));
    commit(&mut store, vec![Change::DeleteMail(10_000, 5)]);
    assert_eq!(store.disk().operations(), before);
}

#[test]
fn accounts_are_scanned_both_ways() {
    let store = populated();
    let mut seen = Vec::new();
    let up = &mut |number, bytes: &[u8]| {
        seen.push((number, AccountView::decode(bytes).expect("a record").profile.nickname.to_owned()));
        ControlFlow::Continue(())
    };
    store.accounts().scan(10_001, up).expect("readable");
    assert_eq!(seen, [(10_001, "b".to_owned()), (10_002, "c".to_owned())]);
    let mut first = None;
    let down = &mut |number, _: &[u8]| {
        first = Some(number);
        ControlFlow::Break(())
    };
    store.accounts().scan_down(10_002, down).expect("readable");
    assert_eq!(first, Some(10_001));
}

#[test]
fn messages_whose_deletion_was_not_done_are_still_there() {
    let mut store = populated();
    let add = |id, text| Change::AddMail(10_001, mail(id, text));
    let nobody = Change::AddMail(99_999, mail(9, "to nobody"));
    let all = Change::DeleteMail(10_001, u64::MAX);
    let refused = commit(&mut store, vec![all.clone(), add(2, "never"), nobody]);
    assert_eq!(refused, Answer::Refused(Refusal::NoSuchUser));
    assert_eq!(texts(&mut store, 10_001), ["hello"]);
    store.disk().fail_syncs(1);
    assert_eq!(commit(&mut store, vec![all.clone()]), Answer::Failed);
    assert_eq!(texts(&mut store, 10_001), ["hello"]);
    assert_eq!(commit(&mut store, vec![add(3, "gone too"), all.clone(), add(4, "second")]), Answer::Done);
    assert_eq!(texts(&mut store, 10_001), ["second"]);
    store.maintain().expect("nothing is wrong");
    commit(&mut store, vec![all, add(5, "third")]);
    assert_eq!(texts(&mut store, 10_001), ["third"]);
}
