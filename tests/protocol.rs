//! The protocol as a client meets it: a real server, real sockets, over UDP and TCP, with one, two and three shards.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "a real server needs real time")]

mod common;

use common::{Person, Server, Transport, Wire, everywhere, profile, register, show};
use oicq::wire::{Blob, List, Move, User};
use std::time::Duration;

/// Long enough for what should not come to have come.
const QUIET: Duration = Duration::from_millis(150);

#[test]
fn two_people_meet_and_talk() {
    everywhere(|server, transport| {
        let (mut a, mut b) = (Person::new(server, transport, "小明", 0), Person::new(server, transport, "小红", 1));
        let (me, other) = (a.number, b.number);
        assert_eq!(
            a.ask(&User::AddFriend { me, friend: other }),
            format!("AddResult {{ result: 2, friend: {other} }}")
        );
        a.wire.send(&User::Ask { me, friend: other, reason: "同学" });
        assert!(b.wire.next().contains(&format!("flag: 1, sender: {me}, text: \"同学\", kind: 2")));
        b.wire.send(&User::Answer { me: other, friend: me, agree: 1 });
        assert!(a.wire.next().contains("kind: 3"));
        assert!(a.wire.next().starts_with(&format!("NewFriend {{ friend: {other}, nickname: \"小红\"")));
        a.say(other, "你好");
        assert!(b.wire.next().contains(&format!("flag: 2, sender: {me}, text: \"你好\"")));
        for (status, told) in [(3, 3), (2, 4), (1, 1), (4, 4)] {
            let set = b.ask(&User::SetStatus { me: other, status });
            assert_eq!(set, format!("StatusSet {{ me: {other}, status: {status} }}"));
            assert_eq!(a.wire.next(), format!("FriendStatus {{ friend: {other}, status: {told} }}"));
        }
        a.say(other, "one");
        a.say(other, "two");
        let again = a.ask(&User::Test { me });
        assert_eq!(again, format!("TestReply {{ me: {me} }}"));
        let mut b = Person::sign_in(server, transport, other);
        assert!(b.wire.next().contains("\"one\"") && b.wire.next().contains("\"two\""));
        assert!(a.wire.next().contains("status: 1"));
        assert_eq!(b.wire.next_within(QUIET).map(|bytes| show(&bytes)), None);
    });
}

#[test]
fn lists_groups_and_profiles() {
    everywhere(|server, transport| {
        let mut a = Person::new(server, transport, "a", 0);
        let (me, friend) = (a.number, register(server, transport, "friend", 0));
        assert!(a.ask(&User::AddFriend { me, friend }).contains("result: 1"));
        assert!(a.wire.next().starts_with("NewFriend"));
        assert!(a.ask(&User::AddGroup { me, name: "同事" }).contains("ok: 1, group: 2, name: \"同事\""));
        let moves = [Move { friend, group: 2 }];
        assert!(a.ask(&User::MoveFriends { me, moves: List::new(&moves) }).contains("ok: 1"));
        let list = Person::sign_in(server, transport, me).list;
        assert!(list.contains(&format!("group: 2, friends: [FriendEntry {{ number: {friend}, portrait: 7, status: 4")));
        let mut a = Person::sign_in(server, transport, me);
        assert!(a.ask(&User::DeleteGroup { me, group: 2 }).contains("ok: 1"));
        assert!(a.ask(&User::View { me, friend }).contains("nickname: \"friend\""));
        let mut changed = profile("b", 2);
        changed.password = "";
        assert!(a.ask(&User::update(me, changed)).contains("ok: 1"));
        assert!(a.ask(&User::Search { me, sql: "nickname = 'B' AND 状态 = 1" }).contains(&format!("number: {me}")));
        let online = a.ask(&User::Online { me, start: me - 1, count: 1, direction: 2 });
        assert!(online.contains(&format!("number: {me}")), "{online}");
        assert!(a.ask(&User::DeleteFriend { me, friend }).contains("ok: 1"));
    });
}

#[test]
fn a_file_is_passed_on_whole() {
    everywhere(|server, transport| {
        let (mut a, mut b) = (Person::new(server, transport, "a", 0), Person::new(server, transport, "b", 0));
        let (me, other) = (a.number, b.number);
        let file: Vec<u8> = (0..40_000u32).map(|at| (at * 7) as u8).collect();
        a.wire.send(&User::OfferFile { me, friend: other, name: "照片.jpg", size: file.len() as u32, offer: None });
        assert!(b.wire.next().contains("name: \"照片.jpg\", size: 40000"));
        b.wire.send(&User::AnswerFile { me: other, friend: me, allow: 1, offer: None });
        assert!(a.wire.next().contains("allow: 1"));
        for part in file.chunks(10_000) {
            a.wire.send(&User::FileData { me, friend: other, data: Blob(part), offer: None });
            let want = format!("FileData {{ sender: {me}, data: {:?}, offer: None }}", Blob(part));
            assert_eq!(b.wire.next(), want);
        }
        a.wire.send(&User::FileData { me, friend: other, data: Blob(b"more"), offer: None });
        assert!(a.wire.next().contains("or it is complete"));
    });
}

#[test]
fn rubbish_harms_nobody() {
    everywhere(|server, transport| {
        let mut a = Person::new(server, transport, "a", 0);
        let mut rubbish = Wire::open(server, transport);
        for bytes in [&b"\x81\x0a\x01\x3f\0\0\0\x04aaaa"[..], b"\x82\x0a\x01\x03\0\0\0\x08aaaabbbb"] {
            rubbish.send_bytes(bytes);
            if transport == Transport::Tcp {
                let Wire::Tcp(stream, _) = &mut rubbish else { unreachable!("it is TCP") };
                let mut byte = [0];
                let ended = std::io::Read::read(stream, &mut byte);
                assert!(matches!(ended, Ok(0) | Err(_)), "the connection is closed: {ended:?}");
                rubbish = Wire::open(server, transport);
            }
        }
        assert_eq!(a.ask(&User::Test { me: a.number }), format!("TestReply {{ me: {} }}", a.number));
    });
}

#[test]
fn a_stream_may_come_in_any_pieces() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(data.path(), 2);
    let mut a = Person::new(server.address, Transport::Tcp, "a", 0);
    let me = a.number;
    let mut bytes = Vec::new();
    for _ in 0..3 {
        User::AddGroup { me, name: "g" }.encode(&mut bytes);
        User::Test { me }.encode(&mut bytes);
    }
    for byte in &bytes {
        a.wire.send_bytes(&[*byte]);
    }
    a.wire.send_bytes(&bytes);
    // A group is answered when it is synced, a test at once: each kind comes in its own order.
    let answers: Vec<String> = (0..12).map(|_| a.wire.next()).collect();
    let (tests, groups): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.starts_with("TestReply"));
    assert_eq!(tests.len(), 6);
    let want = (2..8).map(|group| format!("GroupAdded {{ ok: 1, group: {group}, name: \"g\" }}"));
    assert_eq!(groups, want.collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

/// Twelve megabytes of stored messages for somebody who does not read for a while: all come, in order.
#[test]
fn a_slow_reader_loses_nothing_of_a_long_mailbox() {
    // What two strangers can say at once: within their budgets, and within their shares of the mailbox.
    const MESSAGES: usize = 380;
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(data.path(), 2);
    let recipient = register(server.address, Transport::Udp, "r", 0);
    for shard in 0..2 {
        let mut sender = Person::new(server.address, Transport::Tcp, "s", 0);
        let text = "x".repeat(7_990);
        for at in shard * MESSAGES / 2..(shard + 1) * MESSAGES / 2 {
            sender.say(recipient, &format!("{at:05} {text}"));
        }
        // A profile is read after everything that was asked of the store before.
        assert!(sender.ask(&User::View { me: sender.number, friend: recipient }).contains("ok: 1"));
    }
    let mut recipient = Person::sign_in(server.address, Transport::Tcp, recipient);
    std::thread::sleep(Duration::from_millis(700));
    let mut next = [0, MESSAGES / 2];
    for _ in 0..MESSAGES {
        let frame = recipient.wire.next();
        let want = next.iter_mut().find(|at| frame.contains(&format!("text: \"{at:05} ")));
        *want.unwrap_or_else(|| panic!("out of order: {}", &frame[..80])) += 1;
    }
}

#[test]
fn a_closed_connection_is_the_end_of_its_session() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(data.path(), 3);
    let mut a = Person::new(server.address, Transport::Udp, "a", 0);
    let b = Person::new(server.address, Transport::Tcp, "b", 0);
    assert!(a.ask(&User::AddFriend { me: a.number, friend: b.number }).contains("result: 1"));
    assert!(a.wire.next().contains("status: 1"));
    let number = b.number;
    drop(b);
    assert_eq!(a.wire.next(), format!("FriendStatus {{ friend: {number}, status: 4 }}"));
}

#[test]
fn it_speaks_ipv6() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_at(data.path(), 2, "[::1]:0");
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut a, mut b) =
            (Person::new(server.address, transport, "a", 0), Person::new(server.address, transport, "b", 0));
        a.say(b.number, "over IPv6");
        assert!(b.wire.next().contains("over IPv6"));
        assert!(a.ask(&User::Test { me: a.number }).starts_with("TestReply"));
    }
}
