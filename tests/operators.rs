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
