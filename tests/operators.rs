//! What an operator does to a running server, against the real program: configuration, registration, bans, the log.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "it waits for real processes")]

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

mod common;

use common::{Server, oicqd, said};

/// How long something may take on a busy machine before a test says that it never happened.
const PATIENCE: Duration = Duration::from_secs(20);

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    oicqd(data).env("OICQD_PASSWORD", "secret").args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

/// Runs a command that must end well, and gives back what it printed.
#[track_caller]
fn done(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a command that must be refused, and gives back its one line.
#[track_caller]
fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// Waits until something holds.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_control_socket_is_there_before_the_port() {
    for shards in [1, 2, 3].into_iter().cycle().take(10) {
        let data = directory();
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
        let mut process = oicqd(data.path())
            .args(["--listen", &free.to_string(), "--shards", &shards.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(free).is_err() {
            assert!(Instant::now() < end, "{}", said(&mut process));
        }
        let output = run(data.path(), &["account", "add", "--nickname", "Ann"]);
        let _ = process.kill();
        let _ = process.wait();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_configuration_is_checked_line_by_line() {
    let data = directory();
    let file = data.path().join("oicqd.toml");
    let name = file.to_str().expect("text");
    fs::write(&file, done(data.path(), &["config", "defaults"])).expect("written");
    assert!(done(data.path(), &["config", "check", name]).contains("good"));
    fs::write(&file, "[registration]\nmode = \"opne\"\n").expect("written");
    let wrong = refused(data.path(), &["config", "check", name]);
    assert!(wrong.contains("oicqd.toml:2:") && wrong.contains("open, invite, approve or closed"), "{wrong}");
    let wrong = refused(data.path(), &["--config", name, "--listen", "127.0.0.1:0"]);
    assert!(wrong.contains("oicqd.toml:2:"), "{wrong}");
    refused(data.path(), &["config", "check", "/nowhere"]);
    refused(data.path(), &["--config", "/nowhere", "--listen", "127.0.0.1:0"]);
    refused(data.path(), &["--register", "sometimes"]);
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_told() {
    let (data, etc) = (directory(), directory());
    refused(data.path(), &["reload"]);
    let server = Server::start(data.path(), 1);
    assert!(refused(data.path(), &["reload"]).contains("--config"));
    drop(server);
    let file = etc.path().join("oicqd.toml");
    let name = file.to_str().expect("text");
    fs::write(&file, "[log]\nfilter = \"info\"\n").expect("written");
    let log = etc.path().join("log");
    let server = Server::start_logging(data.path(), &["--config", name], &log);
    let text = || fs::read_to_string(&log).expect("text");
    done(data.path(), &["reload"]);
    fs::write(&file, "[log]\nfilter = 7\n").expect("written");
    let wrong = refused(data.path(), &["reload"]);
    assert!(wrong.contains("oicqd.toml:2:") && wrong.contains("nothing was changed"), "{wrong}");
    server.signal("HUP");
    until("the mistake is logged", || text().contains("oicqd.toml:2:"));
    fs::write(&file, "[log]\nfilter = \"debug\"\n").expect("written");
    server.signal("HUP");
    until("the reload is logged", || text().contains("is in force"));
    // It runs on, and ends well.
    done(data.path(), &["stop"]);
}

/// Two people, one of whom may monitor the other, and an audit log of three lines.
fn audited(data: &Path) -> [&'static str; 10] {
    for name in ["Ann", "Bob"] {
        done(data, &["account", "add", "--nickname", name]);
    }
    let monitor =
        ["grant", "monitor", "--account", "10000", "--target", "10001", "--reason", "a court", "--hours", "2"];
    done(data, &monitor);
    done(data, &["grant", "revoke", "--account", "10000", "--target", "10001"]);
    done(data, &monitor);
    monitor
}

#[test]
fn a_changed_audit_log_is_told_with_its_line_whoever_looks() {
    type Attack = fn(&str) -> Option<String>;
    let attacks: [(&str, Attack, &str); 4] = [
        ("cut", |log| log.lines().next().map(|line| format!("{line}\n")), "line 2 (at byte"),
        ("taken out", |log| Some(log.lines().step_by(2).map(|line| format!("{line}\n")).collect()), "line 2 (at byte"),
        ("rewritten", |log| Some(log.replacen("a court", "a count", 1)), "line 1 (at byte 0)"),
        ("deleted", |_| None, "lines 1 to 3 are missing"),
    ];
    for (name, attack, words) in attacks {
        let data = directory();
        audited(data.path());
        let whole = done(data.path(), &["grant", "audit"]);
        assert!(whole.contains("whole: 3 lines, none changed"), "{whole}");
        let path = data.path().join("audit.log");
        match attack(&fs::read_to_string(&path).expect("text")) {
            Some(log) => fs::write(&path, log).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let told = refused(data.path(), &["grant", "audit"]);
        assert!(told.contains(words), "{name}: {told}");
        // Accounts are none of its business.
        assert!(done(data.path(), &["account", "list"]).contains("10001"));
    }
}

#[test]
fn a_server_starts_beside_a_broken_audit_log_and_nobody_monitors() {
    let (data, etc) = (directory(), directory());
    let monitor = audited(data.path());
    let path = data.path().join("audit.log");
    let end = done(data.path(), &["grant", "audit"]).trim().rsplit(' ').next().expect("an end").to_owned();
    done(data.path(), &["grant", "audit", "--expect", &end]);
    let changed = fs::read_to_string(&path).expect("text").replacen("a court", "a count", 1);
    fs::write(&path, &changed).expect("written");
    let log = etc.path().join("log");
    let server = Server::start_logging(data.path(), &[], &log);
    assert!(server.banner.contains("THE AUDIT LOG WAS BROKEN"), "{}", server.banner);
    let said = fs::read_to_string(&log).expect("text");
    assert!(said.contains("ERROR") && said.contains("line 1"), "{said}");
    let aside = fs::read_dir(data.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
    let aside = aside.filter(|path| path.to_string_lossy().contains("audit-broken-")).collect::<Vec<_>>();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(fs::read_to_string(&aside[0]).expect("text"), changed);
    let told = refused(data.path(), &["grant", "audit"]);
    assert!(told.contains("acknowledge") && told.contains("line 1"), "{told}");
    assert!(refused(data.path(), &monitor).contains("acknowledge"));
    drop(server);
    let server = Server::start_logging(data.path(), &[], &log);
    assert!(server.banner.contains("acknowledge"), "{}", server.banner);
    assert!(done(data.path(), &["grant", "acknowledge"]).contains("audit-broken-"));
    refused(data.path(), &["grant", "acknowledge"]);
    done(data.path(), &monitor);
    assert!(done(data.path(), &["grant", "audit"]).contains("whole: 3 lines"));
    let told = refused(data.path(), &["grant", "audit", "--expect", &end]);
    assert!(told.contains("another one"), "{told}");
    drop(server);
    let server = Server::start_logging(data.path(), &[], &log);
    assert!(!server.banner.contains("AUDIT"), "{}", server.banner);
}
