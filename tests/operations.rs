//! The program as its operator meets it: start, commands, mistakes, and the end.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "it waits for real processes")]

use std::fs;
use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

mod common;

use common::{Server, oicqd, said};

/// Ends a server as the system would, and checks that it ends well.
fn end(mut server: Server) {
    server.signal("TERM");
    let status = server.process.wait().expect("it ends");
    assert!(status.success(), "{status}: {}", said(&mut server.process));
    let mut rest = String::new();
    server.out.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("syncing"), "{rest}");
}

/// Runs a command that must end well, and gives back what it printed.
fn done(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a command that must be refused, and gives back its one line.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    oicqd(data).env("OICQD_PASSWORD", "secret").args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn it_serves_both_transports_and_ends_when_told() {
    let data = directory();
    let server = Server::start(data.path(), 2);
    assert!(server.banner.contains("shards 2") && server.banner.contains("accounts 0"), "{}", server.banner);
    let client = UdpSocket::bind("127.0.0.1:0").expect("bound");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    // A connection test of somebody who is not signed in: the answer is 0x02 with ok 0.
    client.send_to(&[0x81, 0x0A, 0x01, 0x16, 0, 0, 0, 4, 0, 0, 0x27, 0x10], server.address).expect("sent");
    let mut frame = [0; 64];
    let (length, _) = client.recv_from(&mut frame).expect("an answer");
    assert_eq!(frame[..length], [0x81, 0x01, 0x0A, 0x02, 0, 0, 0, 2, 0, 0]);
    // What is no frame ends a connection.
    let mut stream = TcpStream::connect(server.address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n").expect("sent");
    assert_eq!(stream.read(&mut frame).expect("an end"), 0);
    end(server);
}

#[test]
fn an_interrupt_ends_it_as_well() {
    let data = directory();
    let mut server = Server::start(data.path(), 1);
    server.signal("INT");
    assert!(server.process.wait().expect("it ends").success());
}

#[test]
fn a_port_in_use_is_told_in_one_line() {
    let (data, other) = (directory(), directory());
    let server = Server::start(data.path(), 1);
    let port = server.address.to_string();
    let error = refused(other.path(), &["--listen", &port]);
    assert!(error.contains(&port) && error.contains("--listen"), "{error}");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("bound");
    refused(other.path(), &["--listen", &taken.local_addr().expect("bound").to_string()]);
    end(server);
}

#[test]
fn a_directory_that_cannot_be_used_is_told_in_one_line() {
    let data = directory();
    let file = data.path().join("file");
    fs::write(&file, b"not a directory").expect("written");
    let error = refused(&file, &["--listen", "127.0.0.1:0"]);
    assert!(error.contains("--data"), "{error}");
    let server = Server::start(data.path(), 1);
    let error = refused(data.path(), &["--listen", "127.0.0.1:0"]);
    assert!(error.contains("in use"), "{error}");
    end(server);
}

#[test]
fn bad_arguments_end_with_status_2() {
    let data = directory();
    for bad in [
        &["--shards", "0"][..],
        &["--shards", "65"],
        &["--listen", "nowhere"],
        &["--classic", "x"],
        &["--nope"],
        &["fly"],
        &["account", "add"],
        &["grant", "monitor", "--account", "x"],
    ] {
        let error = refused(data.path(), bad);
        assert!(error.starts_with("oicqd: ") && error.contains("see --help"), "{error}");
    }
    refused(data.path(), &["--log", "a=b=c"]);
    refused(data.path(), &["--listen", "127.0.0.1:7", "--listen", "127.0.0.1:7"]);
}

#[test]
fn accounts_are_kept_with_a_server_and_without() {
    let data = directory();
    assert_eq!(done(data.path(), &["account", "add", "--nickname", "Ann"]), "account 10000\n");
    let server = Server::start(data.path(), 2);
    assert!(server.banner.contains("accounts 1"), "{}", server.banner);
    assert_eq!(done(data.path(), &["account", "add", "--nickname", "Bob"]), "account 10001\n");
    done(data.path(), &["account", "disable", "10001"]);
    assert_eq!(done(data.path(), &["account", "list"]), "10000  Ann\n10001  Bob  (disabled)\n");
    done(data.path(), &["account", "enable", "10001"]);
    done(data.path(), &["account", "passwd", "10001"]);
    done(data.path(), &["account", "delete", "10000"]);
    let error = refused(data.path(), &["account", "disable", "10000"]);
    assert!(error.contains("10000"), "{error}");
    end(server);
    assert_eq!(done(data.path(), &["account", "list"]), "10001  Bob\n");
    refused(&data.path().join("elsewhere"), &["account", "list"]);
}

#[test]
fn grants_stand_in_the_audit_log() {
    let data = directory();
    for name in ["Ann", "Bob"] {
        done(data.path(), &["account", "add", "--nickname", name]);
    }
    let monitor =
        ["grant", "monitor", "--account", "10000", "--target", "10001", "--reason", "a court", "--hours", "2"];
    let told = done(data.path(), &monitor);
    assert!(told.contains("end to end"), "{told}");
    let server = Server::start(data.path(), 1);
    done(data.path(), &["grant", "revoke", "--account", "10000", "--target", "10001"]);
    refused(data.path(), &["grant", "revoke", "--account", "10000", "--target", "10001"]);
    done(data.path(), &monitor);
    let list = done(data.path(), &["grant", "list"]);
    assert!(list.starts_with("10000 monitors 10001 until") && list.contains("a court"), "{list}");
    let audit = done(data.path(), &["grant", "audit"]);
    assert!(audit.contains("a court") && audit.contains("whole: 3 lines"), "{audit}");
    end(server);
    let log = data.path().join("audit.log");
    let changed = fs::read_to_string(&log).expect("text").replacen("a court", "nothing", 1);
    fs::write(&log, changed).expect("written");
    let output = run(data.path(), &["grant", "audit"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_figures_are_for_people_and_for_programs() {
    let data = directory();
    refused(data.path(), &["stats"]);
    refused(data.path(), &["announce", "hello"]);
    let server = Server::start(data.path(), 3);
    let socket = fs::metadata(data.path().join("control.sock")).expect("the control socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert!(done(data.path(), &["stats"]).contains("wrong_shard"));
    let figures: serde_json::Value =
        serde_json::from_str(&done(data.path(), &["stats", "--json"])).expect("sound JSON");
    assert_eq!(figures["shards"].as_array().map(Vec::len), Some(3));
    assert_eq!(figures["total"]["online"], 0);
    done(data.path(), &["announce", "hello"]);
    end(server);
    refused(data.path(), &["stats"]);
}
