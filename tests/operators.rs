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
use oicq::client::{Client, Connect, Error, Event, Events, OwnedProfile, Status};

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

/// A client of this server that has registered and signed in.
fn linked(line: &str, nickname: &str) -> (Client, Events, u32) {
    let (client, events) = Client::connect(Connect::new(line.trim().parse().expect("a line"))).expect("sockets");
    let number = client.register(&OwnedProfile::new(nickname, "secret")).expect("registered");
    client.sign_in(number, "secret", false).expect("signed in");
    (client, events, number)
}

fn wait_for<T>(events: &Events, wanted: impl Fn(Event) -> Option<T>) -> T {
    std::iter::from_fn(|| events.recv_timeout(PATIENCE)).find_map(wanted).expect("it happens")
}

#[test]
fn registration_follows_the_flag_and_the_file() {
    let (data, etc) = (directory(), directory());
    let file = etc.path().join("oicqd.toml");
    let name = file.to_str().expect("text");
    fs::write(&file, "[registration]\nmode = \"closed\"\n").expect("written");
    let server = Server::start_logging(data.path(), &["--config", name], &etc.path().join("log"));
    let line = done(data.path(), &["line"]);
    let (client, _events) = Client::connect(Connect::new(line.trim().parse().expect("a line"))).expect("sockets");
    let register = || client.register(&OwnedProfile::new("Ann", "secret"));
    let refused_with = |code: u8, words: &str| {
        let error = register().expect_err("refused");
        let told = matches!(&error, Error::Refused { code: found, text, .. } if *found == code && text.contains(words));
        assert!(told, "{error:?}");
    };
    refused_with(18, "registration is closed");
    fs::write(&file, "[registration]\nmode = \"invite\"\n").expect("written");
    done(data.path(), &["reload"]);
    refused_with(18, "an invite code is needed");
    fs::write(&file, "[registration]\nmode = \"approve\"\n").expect("written");
    server.signal("HUP");
    until("the mode is another one", || register().is_ok());
    let error = client.sign_in(10_000, "secret", false).expect_err("it waits");
    assert!(matches!(&error, Error::Refused { code: 18, .. }), "{error:?}");
    let waiting = done(data.path(), &["account", "list", "--pending"]);
    assert_eq!(waiting, "10000  Ann  (waits for approval)\n");
    done(data.path(), &["account", "approve", "10000"]);
    refused(data.path(), &["account", "approve", "10000"]);
    refused(data.path(), &["account", "approve", "77777"]);
    client.sign_in(10_000, "secret", false).expect("approved");
    drop(server);
    // The flag goes before the file.
    let server = Server::start_logging(data.path(), &["--config", name, "--register", "open"], &etc.path().join("log"));
    let line = done(data.path(), &["line"]);
    drop(linked(&line, "Bob"));
    drop(server);
}

#[test]
fn invites_are_made_listed_and_taken_back() {
    let data = directory();
    done(data.path(), &["account", "add", "--nickname", "Ann"]);
    for running in [false, true] {
        let server = running.then(|| Server::start(data.path(), 1));
        let code = done(data.path(), &["invite", "add", "--uses", "3", "--for", "7d", "--note", "for the office"]);
        assert_eq!((code.trim().len(), code.matches('-').count()), (19, 3), "{code}");
        let list = done(data.path(), &["invite", "list"]);
        let line = list.lines().find(|line| !line.contains("good no more")).expect("it is listed");
        assert!(
            line.contains("used 0 of 3") && line.contains("for the office") && !line.contains(code.trim()),
            "{line}"
        );
        let parsed: serde_json::Value =
            serde_json::from_str(done(data.path(), &["invite", "list", "--json"]).trim()).expect("sound JSON");
        assert_eq!((&parsed["uses"], &parsed["good"]), (&3.into(), &true.into()));
        done(data.path(), &["invite", "revoke", &code.trim().to_lowercase()]);
        refused(data.path(), &["invite", "revoke", code.trim()]);
        assert_eq!(done(data.path(), &["invite", "list"]), "");
        drop(server);
    }
    refused(data.path(), &["invite", "add", "--uses", "0"]);
    refused(data.path(), &["invite", "add", "--for", "soon"]);
}

#[test]
fn bans_outlive_the_server_and_end_by_themselves() {
    let data = directory();
    let server = Server::start(data.path(), 2);
    let line = done(data.path(), &["line"]);
    let (client, events, number) = linked(&line, "Ann");
    let who = number.to_string();
    let ban = ["ban", "account", &who, "--reason", "three complaints"];
    let told = done(data.path(), &[&ban[..], &["--for", "1h"]].concat());
    assert!(told.contains("banned until") && told.contains("three complaints"), "{told}");
    let words =
        wait_for(&events, |event| if let Event::SignInAgain { reason, .. } = event { Some(reason) } else { None });
    assert!(format!("{words:?}").contains("three complaints"), "{words:?}");
    let refused_in_words = || {
        let error = client.sign_in(number, "secret", false).expect_err("banned");
        assert!(
            matches!(&error, Error::Refused { code: 19, text, .. } if text.contains("three complaints")),
            "{error:?}"
        );
    };
    refused_in_words();
    let address = server.address.to_string();
    drop(server);
    let server = Server::start_at(data.path(), 1, &address);
    refused_in_words();
    let list = done(data.path(), &["ban", "list"]);
    assert!(list.starts_with(&format!("{number}  since ")) && list.contains(": three complaints"), "{list}");
    done(data.path(), &["ban", "lift", &who]);
    refused(data.path(), &["ban", "lift", &who]);
    client.sign_in(number, "secret", false).expect("it is lifted");
    done(data.path(), &[&ban[..], &["--for", "1s"]].concat());
    until("it ends by itself", || client.sign_in(number, "secret", false).is_ok());
    drop(server);
}

#[test]
fn networks_are_banned_but_not_by_mistake() {
    let data = directory();
    let server = Server::start(data.path(), 2);
    let line = done(data.path(), &["line"]);
    let (client, events, number) = linked(&line, "Ann");
    for network in ["127.0.0.0/8", "::/0", "0.0.0.0/0", "127.0.0.1/32"] {
        let told = refused(data.path(), &["ban", "net", network, "--reason", "x", "--forever"]);
        assert!(told.contains("--force"), "{told}");
    }
    assert!(refused(data.path(), &["ban", "address", "::1", "--reason", "x", "--forever"]).contains("--force"));
    refused(data.path(), &["ban", "account", "77777", "--reason", "x", "--forever"]);
    for reason in [" ", "a\nb", "a\u{1b}[31m", "a\u{9b}b"] {
        refused(data.path(), &["ban", "account", "10000", "--reason", reason, "--forever"]);
        refused(data.path(), &["invite", "add", "--note", &format!("{reason}\t")]);
    }
    done(data.path(), &["ban", "address", "::ffff:192.0.2.7", "--reason", "x", "--forever"]);
    assert!(done(data.path(), &["ban", "list"]).starts_with("192.0.2.7  since"));
    client.test().expect("it is somebody else");
    done(data.path(), &["ban", "net", "127.0.0.0/8", "--reason", "a test", "--for", "1h", "--force"]);
    wait_for(&events, |event| matches!(event, Event::SignInAgain { .. }).then_some(()));
    let error = client.sign_in(number, "secret", false).expect_err("banned");
    assert!(matches!(&error, Error::Refused { code: 19, text, .. } if text.contains("a test")), "{error:?}");
    let json = done(data.path(), &["ban", "list", "--json"]);
    let networks: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("sound")["network"].clone())
        .collect();
    assert_eq!(networks, ["127.0.0.0/8", "192.0.2.7"]);
    drop(server);
    done(data.path(), &["ban", "lift", "127.0.0.0/8"]);
}

#[test]
fn an_account_is_shown_and_an_announcement_counts_its_readers() {
    let data = directory();
    let server = Server::start(data.path(), 2);
    let line = done(data.path(), &["line"]);
    let (client, events, number) = linked(&line, "Ann");
    let (_other, _others_events, _) = linked(&line, "Bob");
    let who = number.to_string();
    let shown = done(data.path(), &["account", "show", &who]);
    for words in
        ["Ann", "signed in        over the link since ", "from 127.0.0.1:", "tokens           1", "banned           no"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(done(data.path(), &["announce", "tea"]), "announced to 2 people online\n");
    client.set_status(Status::Offline).expect("signed out");
    until("it is written", || done(data.path(), &["account", "show", &who]).contains("signed in        no"));
    drop(server);
    let shown: serde_json::Value =
        serde_json::from_str(&done(data.path(), &["account", "show", &who, "--json"])).expect("sound JSON");
    assert_eq!((&shown["signed_in"], &shown["number"]), (&false.into(), &number.into()));
    assert!(shown["last_seen_at"].as_str().is_some_and(|at| at.starts_with("127.0.0.1:")), "{shown}");
    assert!(shown["last_seen_ms"].as_u64() >= shown["registered_ms"].as_u64(), "{shown}");
    refused(data.path(), &["account", "show", "77777"]);
    drop(events);
}

#[test]
fn the_log_says_who_did_what_and_never_what_is_secret() {
    let (data, etc) = (directory(), directory());
    let log = etc.path().join("log");
    let server = Server::start_logging(data.path(), &["--log", "info"], &log);
    let line = done(data.path(), &["line"]);
    let (client, events, number) = linked(&line, "Ann");
    let token = wait_for(&events, |event| if let Event::Token { token, .. } = event { Some(token) } else { None });
    let _ = client.message(number, "a text for nobody else");
    let (wrong, _) = Client::connect(Connect::new(line.trim().parse().expect("a line"))).expect("sockets");
    wrong.sign_in(number, "a wrong guess", false).expect_err("wrong");
    done(data.path(), &["announce", "words to everyone"]);
    let code = done(data.path(), &["invite", "add"]);
    done(data.path(), &["account", "passwd", &number.to_string()]);
    wait_for(&events, |event| matches!(event, Event::SignInAgain { .. }).then_some(()));
    done(data.path(), &["stop"]);
    drop(server);
    let said = fs::read_to_string(&log).expect("text");
    let user = fs::metadata(&log).expect("there");
    let user = format!("user={}", std::os::unix::fs::MetadataExt::uid(&user));
    let line_with = |words: &[&str]| {
        assert!(said.lines().any(|line| words.iter().all(|word| line.contains(word))), "{words:?}\n{said}");
    };
    let who = format!("number={number}");
    line_with(&["sign-up", &who, "address=127.0.0.1:"]);
    line_with(&["sign-in number", &who, "address=127.0.0.1:"]);
    line_with(&["sign-in refused", &who, "address=127.0.0.1:", "wrong"]);
    line_with(&["sign-out", &who, "ended by the operator"]);
    line_with(&["operator", "order=\"password\"", &format!("about=\"{number}\""), &user]);
    line_with(&["operator", "order=\"announce\""]);
    for secret in ["secret", "a wrong guess", "a text for nobody", "words to everyone", "$argon2", &token, code.trim()]
    {
        assert!(!said.contains(secret), "{secret} is in the log:\n{said}");
    }
}

#[test]
fn the_log_can_be_json() {
    let (data, etc) = (directory(), directory());
    let log = etc.path().join("log");
    let server = Server::start_logging(data.path(), &["--log", "info", "--log-format", "json"], &log);
    let line = done(data.path(), &["line"]);
    let (client, events, number) = linked(&line, "Ann \"quoted\"");
    done(data.path(), &["stop"]);
    drop((server, client, events));
    let said = fs::read_to_string(&log).expect("text");
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let sign_up = lines.iter().find(|line| line["message"] == "sign-up").expect("it is logged");
    assert_eq!(
        (&sign_up["level"], &sign_up["number"], &sign_up["target"]),
        (&"INFO".into(), &number.into(), &"oicq::event".into())
    );
    assert!(sign_up["address"].as_str().is_some_and(|at| at.starts_with("127.0.0.1:")), "{sign_up}");
}
