//! Data directories of earlier versions, kept in `tests/fixtures`: each must open, and lose nothing but the sessions of
//! links. A change of a format comes with a fixture of the format before it.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "it waits for real processes")]

use oicq::store::{Answer, Change, DirStore, Mail, Request, UserRecord};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

mod common;

use common::{Server, oicqd};

/// A directory of format 2, unpacked; see tests/fixtures/make-data.sh for what was done in it.
fn unpack(name: &str) -> TempDir {
    let data = tempfile::tempdir().expect("a directory");
    let archive = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let status = Command::new("tar").arg("-C").arg(data.path()).arg("-xzf").arg(archive).status();
    assert!(status.expect("tar exists").success());
    data
}

fn open(data: &Path) -> DirStore {
    DirStore::open_dir(data, 7, &mut |_| {}).expect("a directory of an earlier version opens")
}

fn user(store: &mut DirStore, number: u32) -> UserRecord {
    match store.ask(Request::User(number)) {
        Answer::User(Some(user)) => *user,
        other => panic!("no account {number}: {other:?}"),
    }
}

/// Flag, kind, sender and text of all that is stored for somebody.
fn mail(store: &mut DirStore, number: u32) -> Vec<(u8, u8, u32, String)> {
    match store.ask(Request::Mail(number)) {
        Answer::Mail(mail) => {
            mail.into_iter().map(|Mail { flag, kind, from, text, .. }| (flag, kind, from, text.to_string())).collect()
        }
        other => panic!("no mail of {number}: {other:?}"),
    }
}

fn friends(user: &UserRecord) -> Vec<(u32, u8)> {
    user.friends.clone()
}

/// What must be there in both directories; `killed`: what was done after the clean stop, too.
fn check(data: &Path, killed: bool) {
    let mut store = open(data);
    assert_eq!(store.account_count(), if killed { 5 } else { 6 });
    let anna = user(&mut store, 10_000);
    let profile = anna.account.profile();
    assert_eq!((profile.nickname, profile.city, anna.account.authorization), ("anna", "深圳", 0));
    assert!(anna.account.password.starts_with("$argon2id$"));
    let groups: Vec<(u8, &str)> = anna.groups.iter().map(|(group, name)| (*group, &**name)).collect();
    assert_eq!(groups, [(1, "My Friends"), (2, "同学"), (3, "office")]);
    assert_eq!(anna.blocks, [10_005]);
    assert!(!anna.has_mail);
    let bert = user(&mut store, 10_001);
    assert_eq!((bert.account.profile().nickname, friends(&bert)), ("伯特", vec![(10_000, 1)]));
    assert_eq!(bert.blocks, if killed { vec![] } else { vec![10_004] });
    assert_eq!(user(&mut store, 10_002).account.authorization, 1);
    let asked = store.ask(Request::Asked { target: 10_002, asker: 10_001 });
    assert!(matches!(asked, Answer::Until(Some(_))), "{asked:?}");
    let cora = mail(&mut store, 10_002);
    assert_eq!(cora[0], (1, 2, 10_001, "伯特 here, please".to_owned()));
    let broadcast = "to all my friends, while they are away";
    if killed {
        assert_eq!(friends(&anna), [(10_001, 2), (10_003, 3)]);
        assert!(matches!(store.ask(Request::Account(10_004)), Answer::Account(None)));
        assert_eq!(cora[1..], [(2, 0, 10_001, "after the stop".to_owned())]);
        assert_eq!(mail(&mut store, 10_001), []);
    } else {
        assert_eq!(friends(&anna), [(10_001, 2), (10_003, 3), (10_004, 1)]);
        assert!(user(&mut store, 10_004).account.disabled);
        assert_eq!(cora.len(), 1);
        let bert = mail(&mut store, 10_001);
        assert!(bert.contains(&(2, 0, 10_000, "你好, stored for 伯特".to_owned())), "{bert:?}");
        assert!(bert.contains(&(2, 0, 10_000, broadcast.to_owned())), "{bert:?}");
        assert!(bert.contains(&(2, 0, 10_005, "a word of somebody who is not listed".to_owned())), "{bert:?}");
        assert!(mail(&mut store, 10_004).contains(&(2, 0, 10_000, broadcast.to_owned())));
    }
    let token = fs::read_to_string(data.join("token-10003")).expect("readable");
    let hash: [u8; 32] = Sha256::digest(token.trim()).into();
    assert!(matches!(store.ask(Request::Token { number: 10_003, hash }), Answer::Token(Some(_))));
    let grants: Vec<(u32, u32, String)> = store
        .grants()
        .expect("readable")
        .into_iter()
        .map(|grant| (grant.monitor, grant.target, grant.reason.to_string()))
        .collect();
    assert_eq!(grants, [(10_003, 10_001, "court order 1/99".to_owned())]);
    assert_eq!(store.audit_head().seq, 3);
    // It goes on: numbers are not used again, and what is added now is there at the next opening.
    let more = Mail { seq: 0, flag: 2, kind: 0, from: 10_003, id: 9, time_ms: 1, text: "and on".into() };
    assert!(store.ask(Request::Commit(vec![Change::AddMail(10_000, more)])).is_done());
    store.close().expect("nothing is wrong");
    let mut store = open(data);
    assert_eq!(mail(&mut store, 10_000), [(2, 0, 10_003, "and on".to_owned())]);
    assert_eq!(store.ask(Request::Register(Box::new(anna.account))), Answer::Registered(10_006));
}

#[test]
fn a_directory_that_was_stopped_loses_nothing() {
    check(unpack("data-stopped.tar.gz").path(), false);
}

#[test]
fn a_directory_that_was_killed_loses_nothing() {
    check(unpack("data-killed.tar.gz").path(), true);
}

/// The journal alone is enough.
#[test]
fn a_directory_without_an_index_loses_nothing() {
    for (name, killed) in [("data-stopped.tar.gz", false), ("data-killed.tar.gz", true)] {
        let data = unpack(name);
        fs::remove_dir_all(data.path().join("index")).expect("it is there");
        check(data.path(), killed);
    }
}

#[test]
fn the_server_starts_on_each_and_its_operator_finds_all() {
    for (name, accounts) in [("data-stopped.tar.gz", 6), ("data-killed.tar.gz", 5)] {
        let data = unpack(name);
        let key = fs::read_to_string(data.path().join("link.key")).expect("readable");
        let server = Server::start(data.path(), 2);
        assert!(server.banner.contains(&format!("accounts {accounts}")), "{}", server.banner);
        assert_eq!(fs::read_to_string(data.path().join("link.key")).expect("readable"), key);
        for arguments in [&["account", "list"][..], &["account", "sessions"], &["grant", "list"], &["grant", "audit"]] {
            let output = oicqd(data.path()).args(arguments).output().expect("it runs");
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
