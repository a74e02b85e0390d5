//! What lets somebody in without a password, and the starts of the server.

use super::*;
use std::net::{SocketAddr, SocketAddrV6};

fn until(store: &mut MemoryStore, number: u32, token: u8) -> Option<u64> {
    match store.ask(Request::Token { number, hash: [token; 32] }) {
        Answer::Token(known) => known.map(|known| known.until_ms),
        other => panic!("no answer: {other:?}"),
    }
}

fn kept(store: &mut MemoryStore, number: u32) -> Option<SessionRecord> {
    match store.ask(Request::Session(number)) {
        Answer::Session(record) => record.map(|record| *record),
        other => panic!("no answer: {other:?}"),
    }
}

fn put_token(number: u32, token: u8, until_ms: u64) -> Change {
    Change::PutToken(NewToken { number, hash: [token; 32], until_ms, session: 0, instead_of: None })
}

fn put_beside(session: SessionRecord, other: u32) -> Change {
    Change::PutSession(Box::new(session), Some(other))
}

fn put_session(number: u32, id: u32) -> Change {
    Change::PutSession(Box::new(session(number, id)), None)
}

#[test]
fn the_oldest_token_goes_first() {
    let mut store = populated();
    let tokens = crate::limits::TOKENS as u8;
    for token in 0..tokens {
        // The second one ends first.
        let until_ms = if token == 1 { 5 } else { 100 + u64::from(token) };
        assert_eq!(commit(&mut store, vec![put_token(10_000, token, until_ms)]), Answer::Done);
    }
    assert_eq!(until(&mut store, 10_000, 1), Some(5));
    // The same one again takes no place.
    assert_eq!(commit(&mut store, vec![put_token(10_000, 1, 6)]), Answer::Done);
    assert_eq!(until(&mut store, 10_000, 0), Some(100));
    assert_eq!(commit(&mut store, vec![put_token(10_000, 99, 1)]), Answer::Done);
    let left: Vec<_> = [0, 1, 2, 99].map(|token| until(&mut store, 10_000, token)).into();
    assert_eq!(left, [Some(100), None, Some(102), Some(1)]);
    assert_eq!(until(&mut store, 10_001, 0), None);
    assert_eq!(commit(&mut store, vec![put_token(77_777, 1, 6)]), Answer::Refused(Refusal::NoSuchUser));
    assert_eq!(commit(&mut store, vec![Change::DeleteTokens(10_000), Change::DeleteTokens(10_000)]), Answer::Done);
    assert_eq!(until(&mut store, 10_000, 99), None);
}

/// A token is given in this session, in place of another one.
fn give(store: &mut MemoryStore, token: u8, session: u32, instead_of: Option<u8>) {
    let instead_of = instead_of.map(|of| [of; 32]);
    let token = NewToken { number: 10_000, hash: [token; 32], until_ms: 9, session, instead_of };
    assert_eq!(commit(store, vec![Change::PutToken(token)]), Answer::Done);
}

fn good(store: &mut MemoryStore) -> Vec<u8> {
    (1..100).filter(|token| until(store, 10_000, *token).is_some()).collect()
}

#[test]
fn a_token_is_good_until_the_one_in_its_place_is_used() {
    let mut store = populated();
    give(&mut store, 1, 11, None);
    give(&mut store, 2, 12, Some(1));
    assert_eq!(good(&mut store), [1, 2], "its owner may not have got the new one");
    give(&mut store, 3, 13, Some(1));
    assert_eq!(good(&mut store), [1, 2, 3], "and so came with the old one again");
    give(&mut store, 4, 14, Some(3));
    assert_eq!(good(&mut store), [2, 3, 4]);
    give(&mut store, 5, 15, Some(4));
    assert_eq!(good(&mut store), [2, 4, 5]);
    let known = store.ask(Request::Token { number: 10_000, hash: [5; 32] });
    assert_eq!(known, Answer::Token(Some(KnownToken { until_ms: 9, session: 15 })));
}

#[test]
fn tokens_end_with_their_session_and_with_their_time() {
    let mut store = populated();
    for (token, session, instead_of) in [(1, 11, None), (2, 12, Some(1)), (3, 12, Some(1)), (4, 13, None)] {
        give(&mut store, token, session, instead_of);
    }
    commit(&mut store, vec![Change::EndTokens { number: 10_000, session: 12 }]);
    assert_eq!(good(&mut store), [4], "nor is the one good that its session was begun with");
    give(&mut store, 5, 14, None);
    commit(&mut store, vec![put_session(10_000, 13), put_beside(session(10_000, 14), 13)]);
    commit(&mut store, vec![Change::KeepOnly { number: 10_000, session: 14 }]);
    assert_eq!((good(&mut store), kept(&mut store, 10_000).map(|kept| kept.session)), (vec![5], Some(14)));
    commit(&mut store, vec![Change::EndTokens { number: 10_000, session: 14 }]);
    assert!(good(&mut store).is_empty());
    let month = crate::limits::TOKEN.as_millis() as u64;
    give(&mut store, 6, 15, None);
    commit(&mut store, vec![put_token(10_000, 7, month + 8)]);
    assert_eq!(good(&mut store), [6, 7]);
    commit(&mut store, vec![put_token(10_000, 8, month + 9)]);
    assert_eq!(good(&mut store), [7, 8], "one that has ended is forgotten");
}

/// Tokens of an account as older servers wrote them.
#[test]
fn tokens_of_an_older_record_are_good() {
    let mut store = populated();
    let mut draft = draft::Draft::default();
    draft.put(key::tokens(10_000), [&7_u64.to_be_bytes()[..], &[1; 32], &8_u64.to_be_bytes(), &[2; 32]].concat());
    store.behind().take(draft.into_changes(), journal::Position::start_of(1));
    assert_eq!(good(&mut store), [1, 2]);
    give(&mut store, 3, 5, Some(1));
    assert_eq!(good(&mut store), [1, 2, 3]);
}

#[test]
fn a_password_or_a_shut_account_ends_what_was_let_in() {
    let profile = |password| Change::PutProfile(10_000, stored_profile("x"), password);
    for (change, token, session) in [
        (profile(None), true, true),
        (profile(Some("new".into())), true, true),
        (Change::PutPassword(10_000, "new".into()), false, false),
        (Change::SetDisabled(10_000, true), false, false),
        (Change::SetDisabled(10_000, false), true, true),
        (Change::DeleteAccount(10_000), false, false),
    ] {
        let mut store = populated();
        commit(&mut store, vec![put_token(10_000, 1, 6), put_session(10_000, 4), put_session(10_001, 5)]);
        assert_eq!(commit(&mut store, vec![change.clone()]), Answer::Done);
        assert_eq!(until(&mut store, 10_000, 1).is_some(), token, "{change:?}");
        assert_eq!(kept(&mut store, 10_000).is_some(), session, "{change:?}");
        assert!(kept(&mut store, 10_001).is_some());
    }
}

#[test]
fn a_session_changes_only_if_it_is_there() {
    let mut store = populated();
    let address: SocketAddr = ([127, 0, 0, 1], 4_000).into();
    assert_eq!(commit(&mut store, vec![put_session(10_000, 1), put_beside(session(10_000, 2), 1)]), Answer::Done);
    let all = |store: &mut MemoryStore| {
        let mut all = Vec::new();
        store.sessions(&mut |record| all.push(record)).expect("readable");
        all
    };
    for session in [2, 3] {
        let changes = vec![
            Change::SetSessionStatus { number: 10_000, session, status: 2 },
            Change::SetSessionAddress { number: 10_000, session, address: Some((address, 1)) },
        ];
        assert_eq!(commit(&mut store, changes), Answer::Done);
        let changed = SessionRecord { status: 2, address: Some((address, 1)), ..super::session(10_000, 2) };
        assert_eq!(all(&mut store), [super::session(10_000, 1), changed]);
    }
    let before = store.disk().operations();
    commit(&mut store, vec![Change::SetSessionStatus { number: 10_000, session: 2, status: 2 }]);
    commit(&mut store, vec![Change::DeleteSession { number: 10_000, session: 3 }]);
    assert_eq!(store.disk().operations(), before, "nothing has changed");
    assert_eq!(commit(&mut store, vec![Change::DeleteSession { number: 10_000, session: 2 }]), Answer::Done);
    assert_eq!(kept(&mut store, 10_000), Some(super::session(10_000, 1)));
    assert_eq!(commit(&mut store, vec![Change::DeleteSession { number: 10_000, session: 1 }]), Answer::Done);
    assert_eq!(kept(&mut store, 10_000), None);
    assert_eq!(commit(&mut store, vec![put_session(77_777, 1)]), Answer::Refused(Refusal::NoSuchUser));
}

/// While a sign-in takes the place of a session both are there; the newer one counts.
#[test]
fn of_two_sessions_the_newer_is_told() {
    let mut store = populated();
    let of = |id, started_ms| SessionRecord { started_ms, ..session(10_000, id) };
    commit(&mut store, vec![put_session(10_000, 5)]);
    commit(&mut store, vec![put_beside(of(9, 50), 5)]);
    assert_eq!(kept(&mut store, 10_000), Some(session(10_000, 5)));
    commit(&mut store, vec![put_beside(of(1, u64::MAX), 5)]);
    assert_eq!(kept(&mut store, 10_000), Some(of(1, u64::MAX)));
    commit(&mut store, vec![Change::DeleteSession { number: 10_000, session: 1 }]);
    assert_eq!(kept(&mut store, 10_000), Some(session(10_000, 5)), "9 was neither begun nor deleted");
    commit(&mut store, vec![Change::SetDisabled(10_000, true)]);
    assert_eq!(kept(&mut store, 10_000), None);
}

#[test]
fn a_session_is_read_as_it_was_written_and_its_keys_are_not_shown() {
    let v6 = SocketAddrV6::new("fe80::1".parse().expect("an address"), 9, 7, 3);
    for address in [None, Some((([1, 2, 3, 4], 65_535).into(), u16::MAX)), Some((SocketAddr::V6(v6), 1))] {
        let record = SessionRecord { address, ..session(10_000, 8) };
        let bytes = record.encode();
        assert!(bytes.len() <= 112);
        assert_eq!(SessionRecord::decode(10_000, 8, &bytes), Some(record.clone()));
        assert_eq!(SessionRecord::decode(10_000, 8, &bytes[..bytes.len() - 1]), None);
        assert_eq!(SessionRecord::decode(10_000, 8, &[&bytes[..], &[0]].concat()), None);
        let shown = format!("{:?}", Change::PutSession(Box::new(record), None));
        assert!(!shown.contains("165") && !shown.contains("90, 90"), "{shown}");
    }
}

#[test]
fn all_sessions_are_visited_in_order() {
    let mut store = populated();
    commit(&mut store, vec![put_session(10_002, 1), put_session(10_000, 2)]);
    store.maintain().expect("nothing is wrong");
    commit(&mut store, vec![put_session(10_001, 3), Change::DeleteSession { number: 10_002, session: 1 }]);
    let mut seen = Vec::new();
    store.sessions(&mut |record| seen.push(record)).expect("readable");
    assert_eq!(seen, [session(10_000, 2), session(10_001, 3)]);
}

#[test]
fn sessions_and_tokens_survive_a_power_cut() {
    for seed in 0..60 {
        let mut store = MemoryStore::in_memory(seed);
        populate(&mut store);
        store.disk().cut_at(Some(store.disk().operations() + 1 + seed % 20));
        let mut done = 0;
        while commit(&mut store, vec![put_session(10_000, done + 1), put_token(10_000, 1, u64::from(done + 1))])
            == Answer::Done
        {
            done += 1;
            let _ = store.maintain();
        }
        let mut store = store.crash().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let session = kept(&mut store, 10_000).map_or(0, |record| record.session);
        // What was not answered may be there, but whole.
        assert!(session == done || session == done + 1, "seed {seed}");
        assert_eq!(until(&mut store, 10_000, 1).unwrap_or(0), u64::from(session), "seed {seed}");
    }
}

#[test]
fn a_directory_from_before_there_were_sessions_opens() {
    let store = populated();
    // Nothing here has a key that was not there then and is read, nor longer counters.
    assert!(dump(&store).iter().all(|(key, _)| key[0] <= 9 || key[0] == 19));
    assert_eq!(dump(&store)[&*key::counters()].len(), ledger::Counters::default().encode().len());
    let mut store = store.crash().expect("opens");
    assert_eq!((kept(&mut store, 10_000), until(&mut store, 10_000, 1)), (None, None));
    let Answer::User(Some(user)) = store.ask(Request::User(10_000)) else { panic!("no user") };
    assert!(user.blocks.is_empty());
    store.sessions(&mut |record| panic!("there is none: {record:?}")).expect("readable");
    assert_eq!(texts(&mut store, 10_001), ["hello"]);
}
