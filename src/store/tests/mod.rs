//! Tests of the store. What is random prints its seed when it fails.

mod audit;
mod behind;
mod compact;
mod crash;
mod damage;
mod directory;
mod entry;
mod fill;
mod mailbox;
mod model;
mod packed;
mod rules;
mod runner;
mod salvage;
mod shares;

use super::*;
use crate::wire::Profile;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

fn account(nickname: &str) -> Account {
    Account::of(stored_profile(nickname), "$argon2id$".into(), 7)
}

fn stored_profile(nickname: &str) -> StoredProfile {
    let profile = Profile {
        nickname,
        portrait: 1,
        sex: 1,
        age: 20,
        country: 86,
        province: 2,
        city: "深圳",
        authorization: 1,
        ..Profile::default()
    };
    StoredProfile::of(&profile, None, None)
}

fn mail(id: u64, text: &str) -> Mail {
    Mail { seq: 0, flag: 2, kind: 0, from: 10_001, id, time_ms: 5, text: text.into() }
}

fn session(number: u32, session: u32) -> SessionRecord {
    SessionRecord {
        number,
        session,
        to_server: [0xA5; 32],
        to_client: [0x5A; 32],
        status: 1,
        started_ms: 946_684_800_000,
        address: None,
    }
}

fn event(detail: &str) -> AuditEvent {
    AuditEvent {
        time_ms: 946_684_800_000,
        action: AuditAction::Grant,
        monitor: 10_000,
        target: 10_001,
        detail: detail.into(),
    }
}

fn register<D: Disk, I: Index>(store: &mut Store<D, I>, nickname: &str) -> u32 {
    match store.ask(Request::Register(Box::new(account(nickname)))) {
        Answer::Registered(number) => number,
        other => panic!("not registered: {other:?}"),
    }
}

/// Where mail was put is left out.
fn commit<D: Disk, I: Index>(store: &mut Store<D, I>, changes: Vec<Change>) -> Answer {
    match store.ask(Request::Commit(changes)) {
        Answer::Mailed(_) => Answer::Done,
        answer => answer,
    }
}

fn texts<D: Disk, I: Index>(store: &mut Store<D, I>, number: u32) -> Vec<String> {
    match store.ask(Request::Mail(number)) {
        Answer::Mail(mail) => mail.into_iter().map(|mail| mail.text.to_string()).collect(),
        other => panic!("no mail: {other:?}"),
    }
}

/// Everything that is durable.
fn dump<D: Disk, I: Index>(store: &Store<D, I>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    let range = key::everything();
    let visit = &mut |key: &[u8], value: &[u8]| {
        all.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    };
    store.behind().scan(&range.start..&range.end, visit).expect("the index can be read");
    all
}

/// A store with three users who know each other, and one message.
fn populated() -> MemoryStore {
    let mut store = MemoryStore::in_memory(1);
    populate(&mut store);
    store
}

fn populate<D: Disk, I: Index>(store: &mut Store<D, I>) {
    for nickname in ["a", "b", "c"] {
        register(store, nickname);
    }
    let changes = vec![
        Change::PutGroup(10_000, 2, "school".into()),
        Change::PutFriend { owner: 10_000, friend: 10_001, group: 2 },
        Change::PutFriend { owner: 10_001, friend: 10_000, group: 1 },
        Change::PutFriend { owner: 10_002, friend: 10_000, group: 1 },
        Change::PutAsk { target: 10_002, asker: 10_000, until_ms: 700_000_000 },
        Change::AddMail(10_001, mail(1, "hello")),
        Change::PutGrant(Grant { monitor: 10_000, target: 10_001, until_ms: 9, reason: "court order".into() }),
    ];
    assert_eq!(commit(store, changes), Answer::Done);
}
