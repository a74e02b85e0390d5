//! The session that stands: requests, messages and receipts, what is shown, restarts of the server.

use super::world::{ME, World, setup};
use crate::client::{Core, Error, Event, ReceiptState, Recipient, Reply, Secret, Setup, Unsent};
use crate::wire::{List, Server, User};

fn view(friend: u32) -> User<'static> {
    User::View { me: ME, friend }
}

fn message(id: u64, text: &str) -> Server<'_> {
    Server::Message { flag: 2, sender: 10_001, text, kind: 0, id: Some(id), time: Some(77) }
}

#[test]
fn a_message_is_held_until_its_receipt() {
    let mut world = World::signed_in();
    world.fake.mute = true;
    let id = world.core.message(world.now, Recipient::User(10_001), "hello").unwrap();
    world.pass(1_000);
    let held = Unsent { id, from: ME, to: Recipient::User(10_001), text: "hello".into() };
    assert_eq!(world.core.unsent(), [held]);
    for (state, told) in [(1, ReceiptState::Stored), (2, ReceiptState::Delivered)] {
        world.fake.tell(&Server::Receipt { to: 10_001, id, state, reason: 0 });
        world.pass(100);
        assert_eq!(world.take_events(), [Event::Receipt { to: 10_001, id, state: told }]);
        assert_eq!(world.core.unsent_count(), 0);
    }
    assert_eq!(world.fake.messages.len(), 1);
}

#[test]
fn a_refusal_is_a_receipt_too() {
    let mut world = World::signed_in();
    world.fake.receipts = 3;
    let id = world.core.message(world.now, Recipient::User(10_001), "hello").unwrap();
    world.pass(100);
    let state = ReceiptState::Refused { code: 16 };
    assert_eq!(world.take_events(), [Event::Receipt { to: 10_001, id, state }]);
    assert_eq!(world.core.unsent_count(), 0);
}

#[test]
fn a_broadcast_is_held_until_nothing_more_is_told() {
    let mut world = World::signed_in();
    let id = world.core.message(world.now, Recipient::Group(0), "hello all").unwrap();
    world.pass(4_000);
    assert_eq!(world.core.unsent_count(), 1);
    world.pass(2_000);
    assert_eq!(world.core.unsent_count(), 0);
    assert_eq!(world.take_events(), [Event::Receipt { to: 10_001, id, state: ReceiptState::Delivered }]);
}

/// The server could not store it: there is no receipt, and the message is sent again until there is one. What is newer
/// waits, so that the order stays; what is for others does not.
#[test]
fn a_message_that_was_not_taken_is_sent_again_in_order_and_without_a_storm() {
    let mut world = World::signed_in();
    world.fake.untaken.insert(10_001);
    let say =
        |world: &mut World, to, text| world.core.message(world.now, Recipient::User(to), text).expect("room for it");
    let (one, two) = (say(&mut world, 10_001, "one"), say(&mut world, 10_001, "two"));
    world.pass(6_000);
    let three = say(&mut world, 10_001, "three");
    let other = say(&mut world, 10_002, "other");
    world.pass(120_000);
    let sent = |world: &World| world.fake.messages.iter().map(|(_, id, _)| *id).collect::<Vec<_>>();
    assert_eq!(sent(&world)[..5], [one, two, one, other, one]);
    assert!(sent(&world).len() < 12, "no storm: {:?}", sent(&world));
    assert!(sent(&world)[2..].iter().all(|id| *id != two && *id != three), "what is newer waits");
    assert_eq!(world.core.unsent_count(), 3);
    world.fake.untaken.clear();
    world.fake.messages.clear();
    world.pass(31_000);
    assert_eq!((sent(&world), world.core.unsent_count()), (vec![one, two, three], 0));
    let four = say(&mut world, 10_001, "four");
    world.pass(100);
    assert_eq!(sent(&world).last(), Some(&four), "nothing is held up any more");
}

/// Nobody knows how many receipts a broadcast gets. If the server says that something could not be stored, it is repeated.
#[test]
fn a_broadcast_that_was_not_taken_everywhere_is_repeated() {
    let mut world = World::signed_in();
    let count = |world: &World| world.fake.count("Broadcast");
    world.core.message(world.now, Recipient::Group(0), "hello all").unwrap();
    world.pass(100);
    world.fake.tell(&Server::Notice { about: 0x03, code: 10, text: "it cannot be stored" });
    world.pass(60_000);
    assert_eq!((count(&world), world.core.unsent_count()), (1, 1));
    world.pass(6_000);
    assert_eq!(count(&world), 2);
    world.pass(6_000);
    assert_eq!((count(&world), world.core.unsent_count()), (2, 0), "it is taken now");
}

#[test]
fn what_has_no_receipt_outlives_the_program() {
    let mut world = World::signed_in();
    world.fake.mute = true;
    world.core.message(world.now, Recipient::User(10_001), "one").unwrap();
    world.core.message(world.now, Recipient::User(10_001), "two").unwrap();
    let left = world.core.unsent();
    let mut later = World::with(Setup { outbox: left.clone(), first_id: 5, ..setup(Some(world.fake.key())) });
    later.sign_in();
    let three = later.core.message(later.now, Recipient::User(10_001), "three").unwrap();
    later.pass(1_000);
    let ids: Vec<u64> = later.fake.messages.iter().map(|(_, id, _)| *id).collect();
    assert_eq!(ids, [left[0].id, left[1].id, three]);
    assert!(three > left[1].id);
}

#[test]
fn a_message_is_shown_once_and_acknowledged_each_time() {
    let mut world = World::signed_in();
    world.fake.tell(&message(1, "hi"));
    world.fake.tell(&message(1, "hi"));
    world.pass(100);
    let shown = Event::Message { from: 10_001, text: "hi".into(), id: 1, time: 77 };
    assert_eq!(world.take_events(), [shown]);
    assert_eq!(world.fake.count("Received"), 1, "told together");
    world.fake.tell(&message(1, "hi"));
    world.pass(100);
    assert_eq!((world.take_events().len(), world.fake.count("Received")), (0, 2));

    let mut later = World::with(Setup { seen: world.core.seen(), ..setup(Some(world.fake.key())) });
    later.sign_in();
    later.take_events();
    later.fake.tell(&message(1, "hi"));
    later.pass(100);
    assert_eq!((later.take_events().len(), later.fake.count("Received")), (0, 1));
}

#[test]
fn what_the_application_has_not_taken_is_not_acknowledged() {
    let mut world = World::signed_in();
    world.busy = true;
    (1..=300).for_each(|id| world.fake.tell(&message(id, "hi")));
    world.fake.tell(&message(1, "hi"));
    world.pass(1_000);
    assert_eq!(world.fake.count("Received"), 0);
    world.busy = false;
    world.pass(100);
    assert_eq!((world.take_events().len(), world.fake.count("Received")), (300, 2), "255 ids at a time");
    world.core.ignore_events();
    world.fake.tell(&message(301, "hi"));
    world.pass(100);
    assert_eq!((world.take_events().len(), world.fake.count("Received")), (0, 2));
}

#[test]
fn refusals_come_with_their_notice() {
    let mut world = World::signed_in();
    let id = world.core.request(world.now, &view(404)).unwrap();
    assert!(matches!(world.answer(id), Err(Error::Refused { code: 4, text }) if text == "there is no user 404"));
    let id = world.core.request(world.now, &User::Ask { me: ME, friend: 404, reason: "me" }).unwrap();
    assert!(matches!(world.answer(id), Err(Error::Refused { code: 4, .. })));
    let asked = world.now;
    let id = world.core.request(asked, &User::Ask { me: ME, friend: 10_001, reason: "me" }).unwrap();
    assert!(matches!(world.answer(id), Ok(Reply::Done)));
    assert!((400..500).contains(&(world.now - asked)), "done when nobody has objected");
    let id = world.core.request(world.now, &User::Block { me: ME, other: 10_001, on: 1 }).unwrap();
    assert!(matches!(world.answer(id), Ok(Reply::Done)));
    assert!(world.take_events().is_empty());
}

#[test]
fn requests_of_different_types_do_not_wait_for_each_other() {
    let mut world = World::signed_in();
    world.fake.mute = true;
    let one = world.core.request(world.now, &view(10_001)).unwrap();
    let test = world.core.request(world.now, &User::Test { me: ME }).unwrap();
    let two = world.core.request(world.now, &view(10_002)).unwrap();
    assert!(matches!(world.answer(test), Ok(Reply::Done)));
    assert_eq!(world.fake.count("View"), 1);
    assert!(matches!(world.answer(one), Err(Error::Timeout)));
    assert!(matches!(world.answer(two), Err(Error::Timeout)));
    assert_eq!(world.fake.count("View"), 1, "the second would take the answer of the first");
}

#[test]
fn after_a_restart_what_is_not_answered_is_sent_again_in_order() {
    let mut world = World::signed_in();
    world.fake.mute = true;
    let acknowledged = world.core.message(world.now, Recipient::User(10_001), "one").unwrap();
    let delete = world.core.request(world.now, &User::DeleteGroup { me: ME, group: 2 }).unwrap();
    let add = world.core.request(world.now, &User::AddGroup { me: ME, name: "Work" }).unwrap();
    world.pass(1_000);
    world.lose = |_, _| true;
    let lost = world.core.message(world.now, Recipient::User(10_001), "two").unwrap();
    world.pass(100);
    world.fake.restart();
    world.fake.mute = false;
    world.lose = |_, _| false;
    let fresh = world.core.message(world.now, Recipient::User(10_001), "three").unwrap();
    world.fake.messages.clear();
    assert!(matches!(world.answer(add), Err(Error::Unknown)), "it may have been done");
    assert!(matches!(world.answer(delete), Ok(Reply::Done)), "there is no such group: it was done the first time");
    world.pass(5_000);
    let ids: Vec<u64> = world.fake.messages.iter().map(|(_, id, _)| *id).collect();
    assert_eq!(ids, [acknowledged, lost, fresh]);
    assert_eq!((world.fake.handshakes(), world.fake.count("SignIn")), (1, 1));
    assert_eq!((world.fake.count("AddGroup"), world.core.unsent_count()), (1, 0));
}

#[test]
fn a_request_that_the_server_never_had_is_asked_after_its_restart() {
    let mut world = World::signed_in();
    world.lose = |_, _| true;
    let add = world.core.request(world.now, &User::AddGroup { me: ME, name: "Work" }).unwrap();
    world.pass(10);
    world.lose = |_, _| false;
    world.fake.restart();
    assert!(matches!(world.answer(add), Ok(Reply::Group(2, _))));
}

#[test]
fn the_connection_is_tested_and_silence_is_told_once() {
    let mut world = World::signed_in();
    world.pass(61_000);
    assert_eq!(world.fake.count("Test"), 2);
    world.lose = |_, _| true;
    world.pass(100_000);
    assert_eq!(world.take_events(), [Event::Silent]);
    assert!(world.core.unanswered_since().is_some());
    world.lose = |_, _| false;
    world.pass(30_000);
    assert_eq!(world.take_events(), [Event::Heard]);
    assert_eq!((world.core.unanswered_since(), world.fake.count("SignIn")), (None, 1));
}

#[test]
fn a_file_keeps_to_what_the_receiver_has() {
    let mut world = World::signed_in();
    let offer = User::OfferFile { me: ME, friend: 10_001, name: "a", size: 300_000, offer: Some(7) };
    world.core.request(world.now, &offer).unwrap();
    let mut sent = 0;
    for _ in 0..100 {
        world.pass(20);
        let room = world.core.file_room(10_001, 7).unwrap().min(10_000) as usize;
        if room > 0 {
            world.core.piece(world.now, 10_001, 7, &vec![1; room]).unwrap();
            sent += room;
        }
    }
    assert_eq!(sent, 262_144);
    world.fake.tell(&Server::Progress { peer: 10_001, received: 262_144, offer: Some(7) });
    world.pass(100);
    assert_eq!(world.core.file_room(10_001, 7), Some(300_000 - 262_144));
    assert_eq!(world.core.file_confirmed(10_001, 7), Some(262_144));
}

/// 10001 has offered 50,000 bytes, and they are to come.
fn taking_a_file() -> World {
    let mut world = World::signed_in();
    world.fake.tell(&Server::FileOffered { sender: 10_001, name: "a", size: 50_000, offer: Some(8) });
    world.pass(100);
    world.core.request(world.now, &User::AnswerFile { me: ME, friend: 10_001, allow: 1, offer: Some(8) }).unwrap();
    world
}

#[test]
fn whoever_cannot_keep_a_file_does_not_say_that_it_has_come() {
    let mut world = taking_a_file();
    world.fake.tell(&Server::FileData { sender: 10_001, data: crate::wire::Blob(&[1; 40_000]), offer: Some(8) });
    world.pass(100);
    world.core.stop_file(10_001, 8);
    world.fake.tell(&Server::FileData { sender: 10_001, data: crate::wire::Blob(&[1; 10_000]), offer: Some(8) });
    world.pass(1_000);
    assert_eq!(world.fake.count("Progress { me: 10000, peer: 10001, received: 40000, offer: Some(8) }"), 1);
    assert_eq!(world.fake.count("Progress"), 1);
}

#[test]
fn whoever_takes_a_file_says_how_much_has_come() {
    let mut world = taking_a_file();
    for _ in 0..5 {
        world.fake.tell(&Server::FileData { sender: 10_001, data: crate::wire::Blob(&[1; 10_000]), offer: Some(8) });
    }
    world.pass(1_000);
    assert_eq!(world.fake.count("Progress { me: 10000, peer: 10001, received: 40000, offer: Some(8) }"), 1);
    assert_eq!(world.fake.count("Progress { me: 10000, peer: 10001, received: 50000, offer: Some(8) }"), 1);
    assert_eq!(world.fake.count("Progress"), 2);
}

#[test]
fn what_the_server_would_refuse_is_not_sent() {
    let mut world = World::signed_in();
    let long = "x".repeat(8_001);
    let core = &mut world.core;
    for (to, text) in [(10_001, ""), (10_001, &long[..]), (ME, "hi")] {
        assert!(matches!(core.message(0, Recipient::User(to), text), Err(Error::Invalid(_))), "{to}");
    }
    for frame in [
        User::AddGroup { me: ME, name: &long },
        User::Search { me: ME, sql: &long },
        User::MoveFriends { me: ME, moves: List::new(&[]) },
        User::register(Default::default()),
    ] {
        assert!(matches!(core.request(0, &frame), Err(Error::Invalid(_))), "{frame:?}");
    }
    assert!(matches!(core.sign_in(0, 9_999, &Secret::Token("t".into()), false), Err(Error::Invalid(_))));
    let mut stranger = Core::new(Setup::default());
    assert!(matches!(stranger.request(0, &User::Test { me: ME }), Err(Error::NotSignedIn)));
    assert!(stranger.deadline().is_none());
}

#[test]
fn no_bytes_break_it() {
    let mut world = World::signed_in();
    for length in 0..300 {
        for lead in [0x81, 0x82, 0] {
            let mut bytes: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            bytes.splice(0..length.min(4), [lead, 1, 0x0a, (length % 7) as u8].into_iter().take(length));
            world.core.receive(world.now, &mut bytes);
        }
    }
    let id = world.core.request(world.now, &view(10_001)).unwrap();
    assert!(matches!(world.answer(id), Ok(Reply::Profile(..))));
}

/// A program that ends leaves its token good: it only says farewell, again and again where that is lost.
#[test]
fn a_program_leaves_and_comes_again_with_its_token() {
    let mut world = World::signed_in();
    let id = world.core.leave(world.now).unwrap();
    assert_eq!(world.core.number(), None);
    assert!(matches!(world.answer(id), Ok(Reply::Done)));
    assert_eq!((world.fake.sessions(), world.fake.count("SetStatus")), (0, 0));
    assert!(world.core.leave(world.now).is_err(), "once");
    // Nobody answers: it is said a few times, and then it is enough.
    let mut world = World::signed_in();
    world.lose = |_, _| true;
    let (id, began) = (world.core.leave(world.now).unwrap(), world.now);
    assert!(matches!(world.answer(id), Ok(Reply::Done)));
    assert!((1_000..2_000).contains(&(world.now - began)));
}
