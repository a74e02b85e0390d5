//! What operators do about mailboxes, and what no command does: begin a store where there is none, or make a new key where
//! the old one is lost.
#![cfg(feature = "server")]

use oicq::store::{Account, Answer, Change, DirStore, Mail, Request, Text};
use oicq::wire::Profile;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

mod common;

use common::{Server, oicqd};

fn run(data: &Path, arguments: &[&str]) -> Output {
    oicqd(data).args(arguments).output().expect("the program runs")
}

fn done(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{arguments:?}: {error}");
    error
}

fn directory() -> TempDir {
    let data = tempfile::tempdir().expect("a directory");
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o700)).expect("changed");
    data
}

fn open(data: &Path) -> DirStore {
    DirStore::open_dir(data, 3, &mut |_| {}).expect("it opens")
}

fn mail(from: u32, id: u64, text: &str) -> Mail {
    Mail { seq: 0, flag: 2, kind: 0, from, id, time_ms: 946_684_800_000 + id * 1_000, text: text.into() }
}

/// Three accounts; 10001 has 200 messages of a stranger, two of 10002, and a broadcast of 10002.
fn populated() -> TempDir {
    let data = directory();
    let mut store = open(data.path());
    for nickname in ["anna", "bert", "cora"] {
        let profile = Profile { nickname, ..Profile::default() };
        let account = Account::new(&profile, "none".into(), 1);
        assert!(matches!(store.ask(Request::Register(Box::new(account))), Answer::Registered(_)));
    }
    let mut changes: Vec<Change> =
        (1..=200).map(|id| Change::AddMail(10_001, mail(20_000, id, "secret words"))).collect();
    for owner in [10_000, 10_001] {
        let broadcast = Mail { text: Text::Shared("to all of you".into()), ..mail(10_002, 7, "") };
        changes.push(Change::AddMail(owner, broadcast));
    }
    changes.extend([1, 2].map(|id| Change::AddMail(10_001, mail(10_002, id, "secret, too"))));
    assert!(store.ask(Request::Commit(changes)).is_done());
    store.close().expect("nothing is wrong");
    done(data.path(), &["new-key"]);
    data
}

/// The same commands, with a running server and without.
fn operate(data: &Path) {
    let shown = done(data, &["mailbox", "show", "10001"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("mailbox of 10001: 203 messages, 2435 bytes, from 2000-01-01"), "{shown}");
    assert!(lines[1].starts_with("20000  200 messages") && lines[2].starts_with("10002  3 messages, 35"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(refused(data, &["mailbox", "show", "99999"]).contains("no account"));
    assert!(done(data, &["mailbox", "purge", "10001", "--from", "20000"]).starts_with("200 messages are deleted"));
    assert!(done(data, &["mailbox", "show", "10001"]).starts_with("mailbox of 10001: 3 messages"));
    let purged = done(data, &["account", "delete", "10002", "--purge"]);
    assert!(purged.contains("account 10002 is deleted") && purged.contains("4 messages of 10002"), "{purged}");
    assert_eq!(done(data, &["mailbox", "show", "10001"]), "the mailbox of 10001 is empty\n");
    assert_eq!(done(data, &["mailbox", "show", "10000"]), "the mailbox of 10000 is empty\n");
    assert!(done(data, &["mailbox", "purge", "10001"]).starts_with("0 messages"));
}

#[test]
fn an_operator_sees_who_fills_a_mailbox_and_empties_it() {
    let stopped = populated();
    operate(stopped.path());
    let data = populated();
    let server = Server::start(data.path(), 2);
    operate(data.path());
    drop(server);
}

/// Names, sizes and contents of all files.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable"));
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap_or_default())
        })
        .collect()
}

const COMMANDS: &[&[&str]] = &[
    &["account", "list"],
    &["account", "sessions"],
    &["account", "delete", "10000"],
    &["account", "delete", "10000", "--purge"],
    &["account", "disable", "10000"],
    &["account", "enable", "10000"],
    &["account", "signout", "10000"],
    &["mailbox", "show", "10000"],
    &["mailbox", "purge", "10000"],
    &["grant", "list"],
    &["grant", "audit"],
    &["grant", "acknowledge"],
    &["grant", "monitor", "--account", "1", "--target", "2", "--reason", "x", "--hours", "1"],
    &["grant", "revoke", "--account", "1", "--target", "2"],
    &["announce", "words"],
    &["new-key"],
    &["reload"],
    &["line"],
    &["stats"],
    &["stop"],
];

#[test]
fn no_command_begins_a_store_where_there_is_none() {
    let place = directory();
    let (empty, other) = (place.path().join("empty"), place.path().join("other"));
    fs::create_dir(&empty).expect("made");
    fs::create_dir(&other).expect("made");
    fs::write(other.join("passwd"), "root").expect("written");
    for directory in [&empty, &other] {
        let before = files(directory);
        for command in COMMANDS {
            refused(directory, command);
            assert_eq!(files(directory), before, "{command:?}");
        }
    }
    let missing = place.path().join("missing");
    for command in COMMANDS {
        refused(&missing, command);
        assert!(!missing.exists(), "{command:?}");
    }
    // Nor does a server begin one among somebody else's files.
    let before = files(&other);
    assert!(refused(&other, &["--listen", "127.0.0.1:0"]).contains("something else"));
    let add = ["account", "add", "--nickname", "anna", "--password-file"];
    let password = place.path().join("password");
    fs::write(&password, "secret\n").expect("written");
    let add: Vec<&str> = add.into_iter().chain(password.to_str()).collect();
    assert!(refused(&other, &add).contains("something else"));
    assert_eq!(files(&other), before);
    // A first account may come before the first start, and the key comes with it.
    assert_eq!(done(&empty, &add), "account 10000\n");
    let key = fs::read(empty.join("link.key")).expect("it is made");
    drop(Server::start(&empty, 1));
    assert_eq!(fs::read(empty.join("link.key")).expect("it is there"), key);
}

#[test]
fn a_key_that_is_lost_is_not_made_anew_unasked() {
    let data = populated();
    let key = data.path().join("link.key");
    let kept = fs::read(&key).expect("readable");
    fs::remove_file(&key).expect("removed");
    let error = refused(data.path(), &["--listen", "127.0.0.1:0"]);
    assert!(error.contains("link.key is missing") && error.contains("backup") && error.contains("new-key"), "{error}");
    assert!(!key.exists());
    // What needs no key works.
    assert_eq!(done(data.path(), &["account", "list"]).lines().count(), 3);
    assert!(!key.exists());
    assert!(done(data.path(), &["new-key"]).contains("every client must learn it"));
    assert_ne!(fs::read(&key).expect("made"), kept);
    assert!(refused(data.path(), &["new-key"]).contains("lock out"));
    drop(Server::start(data.path(), 1));
}
