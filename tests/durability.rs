//! `kill -9`, and other numbers of shards: what was answered is there afterwards, and lists agree with reverse lists.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "a real server needs real time")]

mod common;

use common::{Person, Server, Transport, register};
use oicq::wire::User;
use std::time::Duration;

/// Changes are answered, the server is killed at once, and starts again with another number of shards.
#[test]
fn what_was_answered_survives_kill_9() {
    let data = tempfile::tempdir().expect("a directory");
    let (mut people, mut groups) = (Vec::new(), 0);
    for round in 0..6 {
        let server = Server::start(data.path(), 1 + round % 3);
        assert!(server.banner.contains(&format!("accounts {}", people.len())), "{}", server.banner);
        let number = register(server.address, Transport::Udp, &format!("p{round}"), 0);
        assert_eq!(number, 10_000 + people.len() as u32, "no number is given twice, none is left out");
        let mut new = Person::sign_in(server.address, Transport::Udp, number);
        for friend in &people {
            assert!(new.ask(&User::AddFriend { me: number, friend: *friend }).contains("result: 1"));
            assert!(new.wire.next().starts_with("NewFriend"));
        }
        people.push(number);
        let mut first = Person::sign_in(server.address, Transport::Tcp, people[0]);
        for name in 0..groups {
            assert!(first.list.contains(&format!("name: \"g{name}\"")), "{}", first.list);
        }
        let added = first.ask(&User::AddGroup { me: people[0], name: &format!("g{groups}") });
        groups += usize::from(added.starts_with("GroupAdded { ok: 1"));
        server.kill();
    }
    let server = Server::start(data.path(), 2);
    let mut all: Vec<Person> =
        people.iter().map(|number| Person::sign_in(server.address, Transport::Udp, *number)).collect();
    for (at, person) in all.iter().enumerate() {
        for friend in &people[..at] {
            assert!(person.list.contains(&format!("FriendEntry {{ number: {friend},")), "{}", person.list);
        }
    }
    // Everyone lists those before them: so exactly those after the first are told of its status.
    let me = people[0];
    all[0].wire.send(&User::SetStatus { me, status: 3 });
    for person in &mut all[1..] {
        person.wire.until(&format!("FriendStatus {{ friend: {me}, status: 3"));
    }
}

#[test]
fn stored_messages_survive_kill_9_in_their_order() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(data.path(), 2);
    let sender = register(server.address, Transport::Udp, "sender", 0);
    let recipient = register(server.address, Transport::Udp, "recipient", 0);
    for round in 0..4 {
        let mut sender = Person::sign_in(server.address, Transport::Tcp, sender);
        for at in 0..25 {
            sender.say(recipient, &format!("message {}", round * 25 + at));
        }
        // The connection test says that they were taken; that they are stored is not told in a bare frame.
        assert!(sender.ask(&User::Test { me: sender.number }).starts_with("TestReply"));
        std::thread::sleep(Duration::from_millis(500));
        server.kill();
        server = Server::start(data.path(), 1 + round % 3);
    }
    let mut recipient = Person::sign_in(server.address, Transport::Tcp, recipient);
    for at in 0..100 {
        let frame = recipient.wire.next();
        assert!(frame.contains(&format!("text: \"message {at}\"")), "{frame} is not message {at}");
    }
}
