//! Sessions over the link: signing in, custody of messages, and what outlives the server.

use super::linked::Linked;
use super::world::{World, profile};
use crate::limits;
use crate::link::{Packet, Side};
use crate::shard::Endpoint;
use crate::store::{Answer, Request};
use crate::wire::{List, Profile, Server, User};

fn receipt(to: u32, id: u64, state: u8, reason: u8) -> String {
    format!("{:?}", Server::Receipt { to, id, state, reason })
}

#[test]
fn a_guest_registers_and_signs_in_over_the_link() {
    World::everywhere(|world| {
        let mut guest = Linked::open(world, 0x9000_0001);
        let shown = guest.ask(world, &User::register(profile("小明", 0)));
        assert_eq!(shown, ["Registered { ok: 1, number: 10000 }"]);
        let shown = guest.ask(world, &User::register(Profile { nickname: "", ..profile("x", 0) }));
        assert!(shown[0] == "Registered { ok: 0, number: 0 }" && shown[1].contains("about: 1"), "{shown:?}");
        let mut me = Linked::open(world, 10_000);
        let shown = me.ask(world, &User::Test { me: 10_000 });
        assert_eq!(shown, ["Notice { about: 22, code: 2, text: \"sign in first\" }"]);
        let wrong = User::SignIn { me: 10_000, password: "wrong", mode: 0, token: None };
        let shown = me.ask(world, &wrong);
        assert!(shown[0].starts_with("SignedIn { ok: 0") && shown[1].contains("about: 2, code: 3"), "{shown:?}");
        let shown = me.ask(world, &super::world::sign_in(10_000));
        assert!(shown[0].starts_with("SignedIn { ok: 1") && me.token.len() == 43, "{shown:?}");
        assert_eq!(me.ask(world, &User::Test { me: 10_000 }), ["TestReply { me: 10000 }"]);
        let shown = me.ask(world, &User::Test { me: 10_001 });
        assert!(shown[0].contains("about: 22, code: 8"), "{shown:?}");
    });
}

#[test]
fn five_wrong_passwords_are_told_as_too_fast() {
    let mut world = World::new(2);
    let number = world.register("a", 0);
    let mut me = Linked::open(&mut world, number);
    for _ in 0..5 {
        me.ask(&mut world, &User::SignIn { me: number, password: "wrong", mode: 0, token: None });
    }
    let shown = me.ask(&mut world, &super::world::sign_in(number));
    assert!(shown[0].starts_with("SignedIn { ok: 0") && shown[1].contains("about: 2, code: 6"), "{shown:?}");
}

#[test]
fn a_message_to_somebody_online_touches_no_disk() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let before = world.store.disk().operations();
        a.say(world, b.number, "你好", 77);
        let shown = b.pull(world);
        let time = world.now.unix_ms;
        let want =
            Server::Message { flag: 2, sender: a.number, text: "你好", kind: 0, id: Some(77), time: Some(time) };
        assert_eq!(shown, [format!("{want:?}")]);
        assert!(a.pull(world).is_empty(), "no receipt before the application has it");
        b.has(world, a.number, 77);
        assert_eq!(a.pull(world), [receipt(b.number, 77, 2, 0)]);
        world.wait_ms(5_000);
        assert_eq!(world.store.disk().operations(), before);
        // The same again is the same message: it is not sent again, and the receipt is.
        a.say(world, b.number, "你好", 77);
        assert_eq!(a.pull(world), [receipt(b.number, 77, 2, 0)]);
        assert!(b.pull(world).is_empty());
    });
}

#[test]
fn a_second_without_the_application_puts_it_into_the_mailbox() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        a.say(world, b.number, "one", 1);
        a.say(world, b.number, "two", 2);
        assert_eq!(b.pull(world).len(), 2);
        world.wait_ms(900);
        assert!(a.pull(world).is_empty());
        world.wait_ms(200);
        assert_eq!(a.pull(world), [receipt(b.number, 1, 1, 0), receipt(b.number, 2, 1, 0)]);
        let Answer::Mail(mail) = world.store.ask(Request::Mail(b.number)) else { panic!("mail") };
        assert_eq!(mail.len(), 2);
        // The application says it late: the mailbox forgets it, and the sender learns.
        b.has(world, a.number, 1);
        assert_eq!(a.pull(world), [receipt(b.number, 1, 2, 0)]);
        a.say(world, b.number, "two", 2);
        assert_eq!(a.pull(world), [receipt(b.number, 2, 1, 0)], "the receipt was lost, say");
        // At the next sign-in the other one comes again, and nothing else.
        let mut again = Linked::open(world, b.number);
        let shown = again.ask(world, &super::world::sign_in(b.number));
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[1].contains("text: \"two\"") && shown[1].contains("id: Some(2)"), "{shown:?}");
        again.has(world, a.number, 2);
        assert_eq!(a.pull(world), [receipt(b.number, 2, 2, 0)]);
        assert_eq!(world.store.ask(Request::Mail(b.number)), Answer::Mail(vec![]));
    });
}

#[test]
fn what_a_lost_session_has_not_acknowledged_comes_first_in_the_next() {
    World::everywhere(|world| {
        let (mut a, b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        for id in 1..=3 {
            a.say(world, b.number, &format!("m{id}"), id);
        }
        let mut again = Linked::open(world, b.number);
        again.send(world, &super::world::sign_in(b.number));
        a.say(world, b.number, "m4", 4);
        let shown = again.pull(world);
        let texts: Vec<_> = shown.iter().filter(|frame| frame.contains("flag: 2")).collect();
        assert_eq!(texts.len(), 4, "{shown:?}");
        assert!((1..=4).zip(&texts).all(|(id, frame)| frame.contains(&format!("\"m{id}\""))), "{texts:?}");
        let receipts = a.pull(world);
        assert_eq!(receipts.len(), 3, "the fourth went straight out: {receipts:?}");
    });
}

#[test]
fn a_full_mailbox_comes_in_order_as_fast_as_it_is_acknowledged() {
    let mut world = World::new(2);
    world.budgets(crate::shard::Budgets::UNLIMITED);
    let (mut a, b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
    let mut b = b;
    assert_eq!(b.ask(&mut world, &User::SetStatus { me: b.number, status: 4 }).len(), 1);
    const ALL: u64 = crate::limits::MAILBOX_FRIEND as u64;
    world.list(b.number, a.number);
    for id in 1..=ALL {
        a.say(&mut world, b.number, &format!("{id}"), id);
        if id % 20 == 0 {
            a.pull(&mut world);
        }
    }
    let mut again = Linked::open(&mut world, b.number);
    again.send(&mut world, &super::world::sign_in(b.number));
    let mut next = 1;
    for _ in 0..500 {
        for frame in again.pull(&mut world).iter().filter(|frame| frame.contains("flag: 2")) {
            assert!(frame.contains(&format!("id: Some({next})")), "{frame} is not {next}");
            again.has(&mut world, a.number, next);
            next += 1;
        }
        world.wait_ms(20);
        again.push(&mut world);
    }
    assert_eq!(next, ALL + 1);
    assert_eq!(world.store.ask(Request::Mail(b.number)), Answer::Mail(vec![]));
    // And from now on straight, in order.
    a.say(&mut world, b.number, "new", ALL + 1);
    assert_eq!(again.pull(&mut world).iter().filter(|frame| frame.contains("\"new\"")).count(), 1);
}

#[test]
fn what_cannot_be_delivered_gets_a_receipt_that_says_so() {
    World::everywhere(|world| {
        let mut a = Linked::person(world, "a");
        let long = "x".repeat(limits::TEXT_BYTES + 1);
        for (id, (to, text, reason)) in [
            (a.number, "me", 8),
            (a.number + 5, "x", 4),
            (77, "x", 15),
            (0x8000_0001, "x", 4),
            (a.number + 5, "", 1),
            (a.number + 5, &long, 7),
        ]
        .into_iter()
        .enumerate()
        {
            a.say(world, to, text, id as u64);
            assert_eq!(a.pull(world), [receipt(to, id as u64, 3, reason)], "{to} {reason}");
        }
        let shown = a.ask(world, &User::Broadcast { me: a.number, group: 9, text: "x", id: Some(50) });
        assert!(shown[0].contains("about: 4, code: 12"), "{shown:?}");
    });
}

#[test]
fn who_is_blocked_is_refused_online_and_offline() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let block = |me, other, on| User::Block { me, other, on };
        assert_eq!(
            b.ask(world, &block(b.number, a.number, 1)),
            [format!("Blocked {{ ok: 1, other: {}, on: 1 }}", a.number)]
        );
        a.say(world, b.number, "x", 1);
        assert_eq!(a.pull(world), [receipt(b.number, 1, 3, 5)]);
        b.ask(world, &User::SetStatus { me: b.number, status: 4 });
        a.say(world, b.number, "x", 2);
        assert_eq!(a.pull(world), [receipt(b.number, 2, 3, 5)]);
        let mut b = Linked::sign_in(world, b.number);
        a.say(world, b.number, "x", 3);
        assert_eq!(a.pull(world), [receipt(b.number, 3, 3, 5)]);
        assert_eq!(b.ask(world, &block(b.number, a.number, 0)).len(), 1);
        a.say(world, b.number, "x", 4);
        assert_eq!(b.pull(world).len(), 1);
        let shown = b.ask(world, &block(b.number, b.number, 1));
        assert!(shown[0].starts_with("Blocked { ok: 0") && shown[1].contains("code: 8"), "{shown:?}");
    });
}

#[test]
fn bare_frames_and_the_link_meet() {
    World::everywhere(|world| {
        let (bare, mut linked) = (world.person("bare"), Linked::person(world, "linked"));
        world.send(bare.at, &User::Message { me: bare.number, to: linked.number, text: "hi", id: None });
        let shown = linked.pull(world);
        assert!(shown[0].contains("text: \"hi\"") && shown[0].contains("id: Some("), "{shown:?}");
        linked.say(world, bare.number, "ho", 5);
        assert_eq!(linked.pull(world), [receipt(bare.number, 5, 2, 0)], "sent is delivered there");
        world.expect(bare.at, &[super::world::message(linked.number, "ho")]);
        linked.say(world, bare.number, "ho", 5);
        world.expect(bare.at, &[]);
        world.wait_ms(1_500);
        assert!(matches!(world.store.ask(Request::Mail(linked.number)), Answer::Mail(mail) if mail.len() == 1));
    });
}

#[test]
fn a_status_reaches_friends_over_the_link() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let shown = a.ask(world, &User::AddFriend { me: a.number, friend: b.number });
        assert!(shown[0].contains("AddResult { result: 1"), "{shown:?}");
        assert!(b.pull(world)[0].contains("kind: 1"), "b is told");
        b.ask(world, &User::SetStatus { me: b.number, status: 3 });
        let friend = b.number;
        let told = |status| format!("{:?}", Server::FriendStatus { friend, status });
        assert_eq!(a.pull(world), [told(3)]);
        b.ask(world, &User::SetStatus { me: b.number, status: 2 });
        assert_eq!(a.pull(world), [told(4)], "hidden is told as offline");
        b.ask(world, &User::SetStatus { me: b.number, status: 1 });
        b.ask(world, &User::SetStatus { me: b.number, status: 4 });
        assert_eq!(a.pull(world), [told(1), told(4)]);
        assert_eq!(b.closed, None, "the farewell waits until the answer has arrived");
        world.wait_ms(10);
        b.push(world);
        b.pull(world);
        assert_eq!(b.closed.as_ref().map(|close| close.code), Some(0));
    });
}

#[test]
fn a_session_moves_with_its_packets_and_not_with_old_ones() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let old = b.at;
        b.at = world.address();
        b.send(world, &User::Test { me: b.number });
        assert_eq!(b.pull(world).len(), 1, "the answer comes to the new address");
        a.say(world, b.number, "x", 1);
        assert_eq!(b.pull(world).len(), 1);
        assert!(world.take(old).is_empty());
        // An older packet that comes late from the old address does not move it back.
        b.send(world, &User::Test { me: b.number });
        let stream = Endpoint::stream(b.at.address(), 7);
        b.pull(world);
        let mut packets = Vec::new();
        for status in [3, 1] {
            let mut bytes = Vec::new();
            User::SetStatus { me: b.number, status }.encode(&mut bytes);
            b.link.send(&bytes);
            packets.extend(b.packets(world));
        }
        world.send_bytes(stream, &packets[1]);
        world.send_bytes(b.at, &packets[0]);
        b.at = stream;
        let shown = b.pull(world);
        assert_eq!(shown.len(), 2, "to the connection: {shown:?} {:?}", world.take(old));
        let counters = world.counters();
        assert_eq!((counters.moved, counters.replayed), (2, 0));
        world.send_bytes(old, &packets[0]);
        assert_eq!(world.counters().replayed, 1, "a replayed packet does nothing");
    });
}

#[test]
fn an_address_that_has_proven_nothing_gets_no_more_than_it_sent() {
    let mut world = World::new(1);
    let (mut a, mut b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
    let far = Endpoint::datagram("10.1.2.3:4000".parse().expect("an address"), 0);
    for id in 1..=9 {
        a.say(&mut world, b.number, &"x".repeat(1_000), id);
    }
    world.take(b.at);
    // The first packet from there brings little: the messages that wait must not all go out.
    b.at = far;
    b.link.want_ack();
    let packets = b.packets(&world);
    let sent: usize = packets.iter().map(Vec::len).sum();
    for packet in packets {
        world.send_bytes(far, &packet);
    }
    for _ in 0..50 {
        world.wait_ms(100);
    }
    let got: usize = world.take(far).iter().map(Vec::len).sum();
    assert!(got <= sent, "{got} for {sent}");
    // It goes on from there, so it is there.
    for _ in 0..40 {
        b.send(&mut world, &User::Test { me: b.number });
        b.pull(&mut world);
        world.wait_ms(500);
    }
    assert_eq!(b.pull(&mut world).len(), 0);
    assert_eq!(b.link.queued_bytes(), 0);
}

#[test]
fn a_kept_session_goes_on_over_a_start_and_nobody_signs_in() {
    for shards in 1..=3 {
        let mut world = World::new(shards);
        let (mut a, mut b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
        a.ask(&mut world, &User::AddFriend { me: a.number, friend: b.number });
        b.pull(&mut world);
        b.ask(&mut world, &User::SetStatus { me: b.number, status: 3 });
        a.pull(&mut world);
        a.say(&mut world, b.number, "before", 1);
        b.pull(&mut world);
        world = world.restarted(4 - shards);
        // Each is told, paced, without asking.
        world.wait_ms(50);
        let mut shown = a.pull(&mut world);
        assert_eq!((a.resumes, a.starts), (1, 1));
        shown.extend(a.ask(&mut world, &User::Test { me: a.number }));
        let status = format!("{:?}", Server::FriendStatus { friend: b.number, status: 3 });
        assert!(shown.contains(&status), "the friend's status is told anew, and is what it was: {shown:?}");
        assert!(shown.contains(&"TestReply { me: 10000 }".to_owned()), "{shown:?}");
        // What had no receipt is sent again. The other side has not woken yet: it waits for it.
        a.say(&mut world, b.number, "before", 1);
        a.say(&mut world, b.number, "before", 1);
        assert!(a.pull(&mut world).is_empty());
        // A packet of before the start gets a resume, and moves nothing.
        let at = b.at;
        b.at = world.address();
        b.send(&mut world, &User::Test { me: b.number });
        let answers = world.take(b.at);
        assert_eq!(answers.len(), 1);
        assert_eq!((answers[0][3], answers[0].len()), (6, 48));
        b.at = at;
        let mut shown = b.pull(&mut world);
        assert_eq!(b.starts, 1, "{shown:?}");
        shown.extend(b.ask(&mut world, &User::Test { me: b.number }));
        assert!(shown.iter().any(|frame| frame.contains("\"before\"")), "{shown:?}");
        b.has(&mut world, a.number, 1);
        assert_eq!(a.pull(&mut world), [receipt(b.number, 1, 2, 0)]);
        assert_eq!(world.counters().resumed, 2);
    }
}

#[test]
fn a_kept_session_that_never_comes_back_is_offline_after_its_time() {
    let mut world = World::new(2);
    let (mut a, b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
    a.ask(&mut world, &User::AddFriend { me: a.number, friend: b.number });
    world = world.restarted(1);
    world.wait_ms(10);
    let online = |status| format!("{:?}", Server::FriendStatus { friend: b.number, status });
    assert!(a.pull(&mut world).contains(&online(1)));
    let mut shown = Vec::new();
    a.say(&mut world, b.number, "are you there?", 7);
    world.wait_ms(1_100);
    assert!(a.pull(&mut world).contains(&receipt(b.number, 7, 1, 0)), "stored after a second");
    for _ in 0..100 {
        world.wait_ms(1_000);
        shown.extend(a.ask(&mut world, &User::Test { me: a.number }));
    }
    assert!(shown.contains(&online(4)));
    assert_eq!(world.store.ask(Request::Session(b.number)), Answer::Session(None));
    let mut late = b;
    let shown = late.ask(&mut world, &User::Test { me: late.number });
    assert!(late.closed.is_some() || shown.iter().any(|frame| frame.starts_with("Unknown")), "{shown:?}");
}

#[test]
fn silence_and_a_peer_that_acknowledges_nothing_end_a_session() {
    let mut world = World::new(1);
    let (mut a, b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
    a.say(&mut world, b.number, "x", 1);
    for _ in 0..40 {
        world.wait_ms(1_000);
        a.pull(&mut world);
        a.send(&mut world, &User::Test { me: a.number });
    }
    assert_eq!(world.counters().gone, 1, "a segment unacknowledged for 32 s");
    assert!(matches!(world.store.ask(Request::Mail(b.number)), Answer::Mail(mail) if mail.len() == 1));
    for _ in 0..100 {
        world.wait_ms(1_000);
    }
    assert_eq!(world.counters().online, 0);
}

#[test]
fn lost_sessions_are_told_so_ten_times_a_second() {
    let mut world = World::new(1);
    let at = world.address();
    let mut packet = Vec::new();
    Packet::Data { number: 10_000, session: 5, counter: 1 }.encode(&mut packet);
    packet.extend_from_slice(&[0; 20]);
    let length = packet.len() as u32 - 8;
    packet[4..8].copy_from_slice(&length.to_be_bytes());
    for _ in 0..30 {
        world.send_bytes(at, &packet);
    }
    let told = world.take(at);
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(|one| one.len() <= packet.len()));
    assert_eq!(Packet::decode(&told[0], Side::Server), Ok(Packet::Unknown { number: 10_000, session: 5 }));
    world.wait_ms(1_100);
    world.send_bytes(at, &packet);
    assert_eq!(world.take(at).len(), 1);
}

#[test]
fn a_flood_of_hellos_is_bounded_and_whoever_proves_an_address_gets_in() {
    let mut world = World::new(1);
    let key = crate::link::public_key(&crate::shard::Identity::EXAMPLE.private);
    let number = world.register("a", 0);
    let noise = crate::link::Initiator::new(number, &key, [5; 32]).expect("begun").message().to_vec();
    let mut hello = Vec::new();
    Packet::Hello { number, cookie: &[], noise: &noise }.encode(&mut hello);
    let (mut welcomes, mut retries) = (0, 0);
    for at in 0..6_000_u32 {
        let from = Endpoint::datagram(([10, (at >> 16) as u8, (at >> 8) as u8, at as u8], 99).into(), 0);
        world.send_bytes(from, &hello);
        for answer in world.take(from) {
            assert!(answer.len() <= hello.len());
            match Packet::decode(&answer, Side::Server) {
                Ok(Packet::Welcome { .. }) => welcomes += 1,
                Ok(Packet::Retry { .. }) => retries += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((welcomes, retries), (limits::HANDSHAKES / 2, 6_000 - limits::HANDSHAKES / 2));
    // A real client answers the retry.
    let at = world.address();
    world.send_bytes(at, &hello);
    let answer = world.take(at).remove(0);
    let Ok(Packet::Retry { cookie, .. }) = Packet::decode(&answer, Side::Server) else { panic!("a retry") };
    let elsewhere = world.address();
    let mut proven = Vec::new();
    Packet::Hello { number, cookie, noise: &noise }.encode(&mut proven);
    world.send_bytes(elsewhere, &proven);
    assert!(matches!(Packet::decode(&world.take(elsewhere)[0], Side::Server), Ok(Packet::Retry { .. })), "not its own");
    world.send_bytes(at, &proven);
    assert!(matches!(Packet::decode(&world.take(at)[0], Side::Server), Ok(Packet::Welcome { .. })));
    // The others give way after their time.
    world.wait_ms(6_000);
    let from = world.address();
    world.send_bytes(from, &hello);
    assert!(matches!(Packet::decode(&world.take(from)[0], Side::Server), Ok(Packet::Welcome { .. })));
}

#[test]
fn a_broadcast_gets_a_receipt_for_each_recipient() {
    World::everywhere(|world| {
        let mut a = Linked::person(world, "a");
        let mut friends: Vec<Linked> = (0..3).map(|at| Linked::person(world, &format!("f{at}"))).collect();
        for friend in &mut friends {
            a.ask(world, &User::AddFriend { me: a.number, friend: friend.number });
            friend.pull(world);
        }
        let last = friends.pop().expect("three");
        let mut last = last;
        last.ask(world, &User::SetStatus { me: last.number, status: 4 });
        a.pull(world);
        a.send(world, &User::Broadcast { me: a.number, group: 0, text: "all", id: Some(9) });
        for friend in &mut friends {
            assert_eq!(friend.pull(world).len(), 1);
            friend.has(world, a.number, 9);
        }
        let mut receipts = a.pull(world);
        receipts.sort();
        let mut want = vec![receipt(last.number, 9, 1, 0)];
        want.extend(friends.iter().map(|friend| receipt(friend.number, 9, 2, 0)));
        want.sort();
        assert_eq!(receipts, want);
    });
}

#[test]
fn nonsense_over_the_link_is_told_and_nothing_is_lost() {
    let mut world = World::new(1);
    let mut a = Linked::person(&mut world, "a");
    let mut send = |bytes: &[u8], world: &mut World| {
        a.link.send(bytes);
        a.push(world);
        a.pull(world)
    };
    assert!(send(&[0x81, 0x0A, 0x01, 0x77, 0, 0, 0, 0], &mut world)[0].contains("about: 119, code: 14"));
    assert!(send(&[0x81, 0x0A, 0x01, 0x05, 0, 0, 0, 2, 1, 2], &mut world)[0].contains("about: 5, code: 1"));
    assert!(send(&[1, 2, 3], &mut world)[0].contains("code: 1"));
    let ids = [];
    let empty = User::Received { me: 10_000, messages: List::new(&ids) };
    let mut bytes = Vec::new();
    empty.encode(&mut bytes);
    User::Test { me: 10_000 }.encode(&mut bytes);
    assert!(send(&bytes, &mut world)[0].contains("code: 1"), "two frames in one");
}

#[test]
fn the_smallest_and_the_largest_ids_are_as_good_as_others() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let ids = [1, 5, 1 << 62, (1 << 63) - 1];
        for id in ids {
            for _ in 0..2 {
                a.say(world, b.number, "x", id);
            }
            let shown = b.pull(world);
            assert!(shown.len() == 1 && shown[0].contains(&format!("id: Some({id})")), "{shown:?}");
            b.has(world, a.number, id);
            assert_eq!(a.pull(world), [receipt(b.number, id, 2, 0)]);
        }
        b.ask(world, &User::SetStatus { me: b.number, status: 4 });
        for id in ids.map(|id| id ^ 2) {
            for _ in 0..2 {
                a.say(world, b.number, "x", id);
                assert_eq!(a.pull(world), [receipt(b.number, id, 1, 0)]);
            }
        }
        let shown = Linked::open(world, b.number).ask(world, &super::world::sign_in(b.number));
        assert_eq!(shown.iter().filter(|frame| frame.starts_with("Message")).count(), 4, "{shown:?}");
    });
}

/// What a session over the link costs while nothing goes on, but for its friends (12 bytes each: the entry, and its place
/// among the watchers).
#[test]
fn an_idle_session_is_small() {
    let sizes = crate::shard::sizes();
    let sum: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
    for (what, bytes) in &sizes {
        println!("{bytes:>5}  {what}");
    }
    println!("{sum:>5}  in all");
    assert!(sum <= 420, "{sum} bytes");
}
