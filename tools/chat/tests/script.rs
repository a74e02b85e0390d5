//! The program as a script uses it: lines in, lines out, and a status that says whether all could be done.

mod server;

use oicq::client::{ServerLine, fingerprint};
use server::TestServer;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(profile: &Path, arguments: &[&str], script: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_oicq"))
        .arg("--profile")
        .arg(profile)
        .args(arguments)
        .env_remove("OICQ_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Refused arguments end the program before it reads.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_script_talks_and_ends_well() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let address = server.address.to_string();
    let script = "sign in 10000\nright\nlist\nto 10001\ngood morning\ninto the void\nblock 10001\n";
    let output = run(profile.path(), &["--server", &address], script);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains("signed in as 10000: 1 friends, 1 of them here\n"), "{said}");
    assert!(said.contains("    10001      online   韩梅梅\n"), "{said}");
    assert!(said.contains(" 韩梅梅 (10001) (1970-01-01 "), "an old message has its time: {said}");
    assert!(said.contains("): 你好\u{fffd}[2J\n"), "shown, not obeyed: {said}");
    let stored = said.find(" ✓ stored for 韩梅梅 (10001): good morning\n").expect(&said);
    let delivered = said.find(" ✓✓ delivered to 韩梅梅 (10001): good morning\n").expect(&said);
    assert!(stored < delivered);
    assert!(
        said.contains(" ✗ refused (no room in their mailbox for more from you) 韩梅梅 (10001): into the void\n"),
        "{said}"
    );
    assert!(said.contains("nothing is taken from 韩梅梅 (10001)\n"), "{said}");
}

#[test]
fn the_key_is_told_once_and_kept_and_the_token_signs_in() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let address = server.address.to_string();
    let told = format!("the key of {address}, kept from now on: {}\n", fingerprint(&server.key()));
    let output = run(profile.path(), &["--server", &address], "sign in 10000\nright\n");
    assert!(text(&output.stdout).contains(&told), "{}", text(&output.stdout));
    let output = run(profile.path(), &["--server", &address, "--token", "--number", "10000"], "list\n");
    let said = text(&output.stdout);
    assert!(output.status.success() && !said.contains(&told), "{said}{}", text(&output.stderr));
    assert!(said.starts_with("signed in as 10000"), "{said}");
}

#[test]
fn a_changed_key_is_refused_loudly() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let address = server.address.to_string();
    assert!(run(profile.path(), &["--server", &address], "sign in 10000\nright\n").status.success());
    let old = fingerprint(&server.key());
    server.change_key();
    let output = run(profile.path(), &["--server", &address], "sign in 10000\nright\n");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    let new = fingerprint(&server.key());
    let start = format!("! THE KEY OF {address} HAS CHANGED. It shows {new}; the one that was kept is {old}. ");
    assert!(said.starts_with(&start), "{said}");

    let (host, port) = (server.address.ip().to_string(), server.address.port());
    let line = ServerLine { host, port, key: Some(server.key()) }.to_string();
    let output = run(profile.path(), &["--server", &line], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("If its operator says that the key is new, remove "));
    let fresh = tempfile::tempdir().unwrap();
    let output = run(fresh.path(), &["--server", &line], "sign in 10000\nright\n");
    assert!(output.status.success() && !text(&output.stdout).contains("the key of"), "nothing to learn");
}

#[test]
fn what_could_not_be_done_shows_in_the_status() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let address = server.address.to_string();
    let output = run(profile.path(), &["--server", &address], "sign in 10000\nwrong\nsay 10001 hi\n");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("! 10000 was not signed in: wrong number or password\n"), "{said}");
    assert!(said.ends_with("! sign in first: sign in NUMBER, or sign up for a number\n"), "{said}");
}

#[test]
fn wrong_arguments_are_refused_in_one_line() {
    let profile = tempfile::tempdir().unwrap();
    let output = run(profile.path(), &["--number", "9"], "");
    assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(2), 1));
}
