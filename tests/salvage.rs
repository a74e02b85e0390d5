//! A damaged journal under the real program: noticed while the index is good, and recovered when it is not.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "it waits for a real process")]

mod common;

use common::{Server, oicqd, said};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tempfile::TempDir;

fn run(data: &Path, arguments: &[&str]) -> Output {
    oicqd(data).args(arguments).output().expect("the program runs")
}

fn done(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Four accounts, each in a frame of its own, and one damaged byte in that of the second.
fn damaged() -> TempDir {
    let data = tempfile::tempdir().expect("a directory");
    fs::set_permissions(data.path(), Permissions::from_mode(0o700)).expect("changed");
    let password = data.path().join(".password");
    fs::write(&password, "secret\n").expect("written");
    for nickname in ["anna", "bert", "cora", "dora"] {
        let file = password.to_str().expect("text");
        done(data.path(), &["account", "add", "--nickname", nickname, "--password-file", file]);
    }
    let journal = data.path().join("journal-0000000001");
    let bytes = fs::read(&journal).expect("readable");
    let at = bytes.windows(4).position(|window| window == b"bert").expect("it is there");
    let file = OpenOptions::new().write(true).open(&journal).expect("it can be written");
    file.write_all_at(b"B", at as u64).expect("written");
    data
}

#[test]
fn damage_is_noticed_while_the_index_is_good_and_nothing_is_lost() {
    let data = damaged();
    let mut server = Server::start(data.path(), 1);
    let base = data.path().join("base-0000000002");
    for _ in 0..200 {
        if base.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let figures = done(data.path(), &["stats", "--json"]);
    assert!(figures.contains("\"store_damages\":1"), "{figures}");
    assert_eq!(done(data.path(), &["account", "list"]).lines().count(), 4);
    server.signal("TERM");
    assert!(server.process.wait().expect("it ends").success());
    let words = said(&mut server.process);
    assert!(words.contains("journal-0000000001") && words.contains("nothing is lost"), "{words}");
    // It is healed: the index can be made anew.
    fs::remove_dir_all(data.path().join("index")).expect("it is there");
    assert_eq!(done(data.path(), &["account", "list"]).lines().count(), 4);
}

#[test]
fn what_is_whole_is_recovered_and_what_is_not_is_told() {
    let data = damaged();
    fs::remove_dir_all(data.path().join("index")).expect("it is there");
    let refused = run(data.path(), &["--listen", "127.0.0.1:0"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && words.contains("oicqd salvage"), "{words}");
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("new");
    let told = done(data.path(), &["salvage", "--out", out.to_str().expect("text")]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("lost: journal-0000000001 at byte ") && lines[0].contains("account 10001"), "{told}");
    assert!(lines[1].contains("3 accounts"), "{told}");
    let list = done(&out, &["account", "list"]);
    assert_eq!(list.lines().map(|line| &line[..5]).collect::<Vec<_>>(), ["10000", "10002", "10003"]);
    let server = Server::start(&out, 1);
    assert_eq!(fs::read(out.join("link.key")).expect("copied"), fs::read(data.path().join("link.key")).expect("there"));
    drop(server);
    let again = run(data.path(), &["salvage", "--out", out.to_str().expect("text")]);
    assert_eq!(again.status.code(), Some(2), "it is not empty");
}
