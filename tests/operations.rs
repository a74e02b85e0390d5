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
use oicq::client::{Client, Connect, Error, Event, Events, OwnedProfile, ServerLine};

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
    fs::remove_file(&file).expect("removed");
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

/// A client of this server that has registered and signed in, and its token.
fn linked(line: &str) -> (Client, Events, u32, String) {
    let (client, events) = Client::connect(Connect::new(line.parse().expect("a line"))).expect("sockets");
    let number = client.register(&OwnedProfile::new("Ann", "secret")).expect("registered");
    client.sign_in(number, "secret", false).expect("signed in");
    let token = wait_for(&events, |event| if let Event::Token { token, .. } = event { Some(token) } else { None });
    (client, events, number, token)
}

fn wait_for<T>(events: &Events, wanted: impl Fn(Event) -> Option<T>) -> T {
    std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(20))).find_map(wanted).expect("it happens")
}

#[test]
fn clients_are_given_one_line_and_it_stays_the_same() {
    let data = directory();
    refused(data.path(), &["line"]);
    let server = Server::start(data.path(), 1);
    let line = done(data.path(), &["line"]);
    assert!(server.banner.contains(line.trim()), "{} {line}", server.banner);
    let (host, key) = line.trim().split_once("/?key=").expect("a key");
    assert_eq!(host, format!("oicq://{}", server.address));
    let file = fs::metadata(data.path().join("link.key")).expect("the key is kept");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    end(server);
    let server = Server::start(data.path(), 2);
    assert!(done(data.path(), &["line"]).contains(key), "clients know it by this key");
    end(server);
    fs::write(data.path().join("link.key"), "rubbish").expect("written");
    let error = refused(data.path(), &["--listen", "127.0.0.1:0"]);
    assert!(error.contains("link.key"), "{error}");
}

#[test]
fn sessions_are_listed_and_ended_with_their_tokens() {
    let data = directory();
    let server = Server::start(data.path(), 2);
    let line = done(data.path(), &["line"]);
    let (client, events, number, token) = linked(line.trim());
    let all = done(data.path(), &["account", "sessions"]);
    assert!(
        all.starts_with(&format!("{number}  since ")) && all.contains("127.0.0.1:") && all.contains("online"),
        "{all}"
    );
    assert_eq!(done(data.path(), &["account", "sessions", &number.to_string()]), all);
    refused(data.path(), &["account", "sessions", "77777"]);
    done(data.path(), &["account", "signout", &number.to_string()]);
    wait_for(&events, |event| matches!(event, Event::SignInAgain { .. }).then_some(()));
    assert_eq!(done(data.path(), &["account", "sessions"]), "");
    assert!(matches!(client.sign_in_with_token(number, &token, false), Err(Error::Refused { code: 3, .. })));
    client.sign_in(number, "secret", false).expect("the password is as it was");
    end(server);
    // Also without a server: the session would go on with its next start.
    assert!(done(data.path(), &["account", "sessions"]).starts_with(&number.to_string()));
    done(data.path(), &["account", "signout", &number.to_string()]);
    assert_eq!(done(data.path(), &["account", "sessions"]), "");
}

#[test]
fn sessions_end_with_the_server_only_if_the_operator_says_so() {
    let data = directory();
    refused(data.path(), &["stop"]);
    let mut server = Server::start(data.path(), 2);
    let address = server.address.to_string();
    let line = done(data.path(), &["line"]);
    let (client, events, number, _) = linked(line.trim());
    done(data.path(), &["stop"]);
    assert!(server.process.wait().expect("it ends").success());
    let mut server = Server::start_at(data.path(), 1, &address);
    client.test().expect("the session goes on");
    let figures: serde_json::Value =
        serde_json::from_str(&done(data.path(), &["stats", "--json"])).expect("sound JSON");
    assert_eq!((&figures["total"]["resumed"], &figures["total"]["sign_ins"]), (&1.into(), &0.into()));
    done(data.path(), &["stop", "--end-sessions"]);
    assert!(server.process.wait().expect("it ends").success());
    assert_eq!(done(data.path(), &["account", "sessions"]), "");
    drop((client, events, number));
}

#[test]
fn a_client_with_another_key_says_nothing() {
    let data = directory();
    let server = Server::start(data.path(), 1);
    let wrong: ServerLine = format!("oicq://{}/?key={}", server.address, "A".repeat(43)).parse().expect("a line");
    let (client, _events) = Client::connect(Connect::new(wrong)).expect("sockets");
    let error = client.sign_in(10_000, "secret", false).expect_err("another server");
    assert!(matches!(error, Error::KeyChanged { .. }), "{error}");
    end(server);
}
