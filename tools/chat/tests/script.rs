//! The program as a script uses it: lines in, lines out, and a status that says whether all could be done.

use oicq::wire::{Dialect, FriendEntry, GroupEntry, List, Server, User};
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};

/// A server of a few lines: one user with one friend, who answers everything with something to obey.
fn serve() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_535];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let mut reply = Vec::new();
            match User::decode(&buffer[..count], Dialect::Classic).expect("the program sends frames") {
                User::SignIn { password, .. } => {
                    let friends = [FriendEntry { number: 10_001, portrait: 0, status: 1, nickname: "韩梅梅" }];
                    let groups = [GroupEntry { name: "My Friends", group: 1, friends: List::new(&friends) }];
                    let ok = u8::from(password == "right");
                    let groups = if ok == 1 { List::new(&groups) } else { List::new(&[]) };
                    Server::SignedIn { ok, groups, token: None }.encode(&mut reply);
                }
                User::Message { to, .. } => {
                    let text = "你好\x1b[2J";
                    Server::Message { flag: 2, sender: to, text, kind: 0, id: None, time: None }.encode(&mut reply);
                }
                User::SetStatus { me, status } => Server::StatusSet { me, status }.encode(&mut reply),
                User::Test { me } => Server::TestReply { me }.encode(&mut reply),
                other => panic!("the test makes no such request: {other:?}"),
            }
            socket.send_to(&reply, from).unwrap();
        }
    });
    address
}

fn run(arguments: &[&str], script: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_oicq"))
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
    let server = serve().to_string();
    let output = run(&["--server", &server], "sign in 10000\nright\nlist\nto 10001\ngood morning\n");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.starts_with("signed in as 10000: 1 friends, 1 of them here\n"), "{said}");
    assert!(said.contains("    10001      online   韩梅梅\n"), "{said}");
    assert!(said.contains(" 韩梅梅 (10001): 你好\u{fffd}[2J\n"), "shown, not obeyed: {said}");
}

#[test]
fn what_could_not_be_done_shows_in_the_status() {
    let server = serve().to_string();
    let output = run(&["--server", &server], "sign in 10000\nwrong\nsay 10001 hi\n");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("! 10000 was not signed in: wrong number or password"), "{said}");
    assert!(said.ends_with("! sign in first: sign in NUMBER, or sign up for a number\n"), "{said}");
}

#[test]
fn wrong_arguments_are_refused_in_one_line() {
    let output = run(&["--number", "9"], "");
    assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(2), 1));
}
