//! The way in, and in again: handshake, registration, sign-in, reconnection.

use super::fake::{Fake, PASSWORD};
use super::world::{ME, World, setup};
use crate::client::{Error, Event, Recipient, Reply, Secret, Setup, Status};
use crate::link::CloseCode;
use crate::wire::User;

fn token_of(events: &[Event]) -> Option<String> {
    events.iter().rev().find_map(|event| match event {
        Event::Token { token, .. } => Some(token.clone()),
        _ => None,
    })
}

#[test]
fn a_guest_registers_and_leaves_nothing_behind() {
    let mut world = World::new();
    let (one, two) = (world.register(), world.register());
    assert!(matches!(world.answer(one), Ok(Reply::Registered(10_000))));
    assert!(matches!(world.answer(two), Ok(Reply::Registered(10_001))));
    world.pass(100);
    assert_eq!((world.fake.sessions(), world.core.deadline()), (0, None));
}

#[test]
fn a_hello_is_repeated_with_pauses_that_grow() {
    let mut world = World::new();
    world.lose = |_, _| true;
    let id = world.core.sign_in(0, ME, &Secret::Password(PASSWORD.into()), false).unwrap();
    let mut hellos = Vec::new();
    while let Some(now) = world.core.deadline().filter(|&now| now < 12_000) {
        let mut packet = Vec::new();
        while world.core.poll_packet(now, &mut packet) {}
        hellos.push(now);
        world.core.wake(now);
        assert!(packet.len() >= 256 || packet.is_empty());
    }
    hellos.dedup();
    assert_eq!(hellos.iter().filter(|&&at| at > 0).copied().collect::<Vec<_>>(), [500, 1_500, 3_500, 7_500]);
    assert_eq!(world.core.unanswered_since(), Some(0));
    world.core.wake(12_000);
    assert!(matches!(world.core.poll_reply(), Some((same, Err(Error::Timeout))) if same == id));
}

#[test]
fn a_lost_welcome_and_a_cookie_are_only_a_delay() {
    let mut world = World::new();
    world.fake.retry = true;
    world.lose = |packet, _| packet == 4;
    world.sign_in();
    assert!(world.now < 1_000, "{}", world.now);
    assert_eq!(world.fake.handshakes(), 2);
}

#[test]
fn everything_survives_the_loss_of_three_packets_in_ten() {
    let mut world = World::new();
    world.lose = |packet, _| (packet.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) < 5;
    world.sign_in();
    for n in 0..40 {
        world.core.message(world.now, Recipient::User(10_001), &format!("{n}")).unwrap();
    }
    world.pass(60_000);
    let texts: Vec<String> = world.fake.messages.iter().map(|(.., text)| text.clone()).collect();
    assert_eq!(texts, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(world.core.unsent_count(), 0);
}

#[test]
fn a_key_is_learnt_proven_and_told() {
    let mut world = World::with(setup(None));
    world.sign_in();
    let key = world.fake.key();
    assert_eq!(world.events[0], Event::ServerKey { key });
    assert_eq!(world.core.server_key(), Some(key));
}

#[test]
fn another_key_is_an_error_and_nothing_is_said() {
    let mut world = World::with(setup(Some([8; 32])));
    let id = world.core.sign_in(0, ME, &Secret::Password(PASSWORD.into()), false).unwrap();
    let answer = world.answer(id);
    let shown = world.fake.key();
    assert!(matches!(answer, Err(Error::KeyChanged { pinned, shown: other }) if pinned == [8; 32] && other == shown));
    assert!(world.fake.log.is_empty() && world.now < 5_000);
}

#[test]
fn a_wrong_password_is_refused_with_its_reason() {
    let mut world = World::new();
    let id = world.core.sign_in(0, ME, &Secret::Password("wrong".into()), false).unwrap();
    assert!(matches!(world.answer(id), Err(Error::Refused { code: 3, text }) if text == "no"));
    assert_eq!(world.core.number(), None);
    world.pass(1_000);
    assert_eq!((world.fake.sessions(), world.core.deadline()), (0, None));
}

#[test]
fn a_sign_in_that_the_server_lets_wait_is_told_and_gets_in() {
    let mut world = World::new();
    world.fake.sign_in_takes = 35_000;
    world.sign_in();
    assert_eq!(world.events[0], Event::SignInDelayed { number: ME });
    assert_eq!((world.fake.count("SignIn"), world.fake.handshakes()), (1, 1), "it is said once: {:?}", world.fake.log);
    let delayed = world.events.iter().filter(|event| matches!(event, Event::SignInDelayed { .. }));
    assert_eq!(delayed.count(), 1);
}

#[test]
fn a_server_that_was_started_anew_while_a_sign_in_waited_is_noticed() {
    let mut world = World::new();
    world.fake.sign_in_takes = 35_000;
    let id = world.core.sign_in(0, ME, &Secret::Password(PASSWORD.into()), false).unwrap();
    world.pass(4_000);
    world.fake.forget_sessions();
    world.fake.sign_in_takes = 0;
    world.pass(3_000);
    assert_eq!(world.fake.count("SignIn"), 2);
    assert!(matches!(world.answer(id), Ok(Reply::SignedIn(_))));
}

#[test]
fn a_token_signs_in_without_the_password() {
    let mut world = World::new();
    world.sign_in();
    let token = token_of(&world.events).unwrap();
    let mut later = World::new();
    later.fake = world.fake;
    let id = later.core.sign_in(0, ME, &Secret::Token(token.clone()), true).unwrap();
    assert!(matches!(later.answer(id), Ok(Reply::SignedIn(_))));
    let last = later.fake.log.last().unwrap();
    assert!(last.contains("password: \"\", mode: 1") && last.contains(&token), "{last}");
}

#[test]
fn a_session_that_is_unknown_is_opened_anew_by_the_token() {
    let mut world = World::signed_in();
    world.core.request(world.now, &User::SetStatus { me: ME, status: Status::Busy.code() }).unwrap();
    world.pass(1_000);
    world.fake.forget_sessions();
    let id = world.core.message(world.now, Recipient::User(10_001), "still there?").unwrap();
    let view = world.core.request(world.now, &User::View { me: ME, friend: 10_001 }).unwrap();
    assert!(matches!(world.answer(view), Ok(Reply::Profile(10_001, _))));
    world.pass(1_000);
    assert_eq!(world.fake.messages, [(10_001, id, "still there?".to_owned())]);
    assert!(world.events.iter().any(|event| matches!(event, Event::Restored { .. })), "{:?}", world.events);
    assert_eq!(world.fake.count("SetStatus { me: 10000, status: 3 }"), 2, "the status is as it was");
    assert!(world.fake.count("SignIn { me: 10000, password: \"\"") == 1);
}

#[test]
fn a_lie_about_the_session_changes_nothing() {
    let mut world = World::signed_in();
    let mut lie = Vec::new();
    crate::link::Packet::Unknown { number: ME, session: 100 }.encode(&mut lie);
    let before = world.fake.handshakes();
    world.core.receive(world.now, &mut lie);
    world.pass(5_000);
    world.core.request(world.now, &User::View { me: ME, friend: 10_001 }).unwrap();
    world.pass(1_000);
    assert!(world.fake.handshakes() <= before + 1);
    assert_eq!(world.fake.count("SignIn"), 1, "no new sign-in: {:?}", world.fake.log);
}

#[test]
fn a_way_that_is_cut_for_long_is_found_again() {
    let mut world = World::signed_in();
    world.lose = |_, _| true;
    world.core.message(world.now, Recipient::User(10_001), "hello").unwrap();
    world.pass(60_000);
    assert_eq!(world.core.number(), Some(ME));
    world.lose = |_, _| false;
    world.pass(20_000);
    assert_eq!(world.fake.messages.len(), 1);
    assert_eq!(world.core.unsent_count(), 0);
}

#[test]
fn without_a_good_token_or_password_one_must_sign_in_again() {
    let mut world = World::signed_in();
    let view = world.core.request(world.now, &User::View { me: ME, friend: 10_001 }).unwrap();
    world.fake.forget_sessions();
    world.fake.forget_tokens();
    assert!(matches!(world.answer(view), Err(Error::NotSignedIn)));
    assert!(matches!(&world.events[..], [Event::SignInAgain { reason }] if reason == "no"), "{:?}", world.events);

    let key = Some(Fake::new().key());
    let mut world = World::with(Setup { keep_password: true, ..setup(key) });
    world.sign_in();
    world.fake.forget_sessions();
    world.fake.forget_tokens();
    let view = world.core.request(world.now, &User::View { me: ME, friend: 10_001 }).unwrap();
    assert!(matches!(world.answer(view), Ok(Reply::Profile(..))));
}

#[test]
fn a_server_that_is_too_busy_is_asked_again_later() {
    let mut world = World::signed_in();
    world.fake.forget_sessions();
    world.fake.refuse = Some(9);
    world.core.message(world.now, Recipient::User(10_001), "hello").unwrap();
    world.pass(10_000);
    world.fake.refuse = None;
    world.pass(20_000);
    assert_eq!(world.fake.messages.len(), 1);
}

#[test]
fn a_close_means_what_its_code_says() {
    for (code, again) in [(CloseCode::Replaced, true), (CloseCode::Operator, true), (CloseCode::Idle, false)] {
        let mut world = World::signed_in();
        world.fake.close(code);
        world.pass(3_000);
        assert_eq!(world.core.number().is_none(), again, "{code:?}");
        assert_eq!(world.fake.count("SignIn"), if again { 1 } else { 2 });
    }
    let mut world = World::signed_in();
    world.fake.close(CloseCode::ServerStops);
    world.pass(1_000);
    world.fake.restart();
    world.core.message(world.now, Recipient::User(10_001), "back?").unwrap();
    world.pass(5_000);
    assert_eq!((world.fake.messages.len(), world.fake.handshakes()), (1, 1), "the session goes on");
}

#[test]
fn signing_out_ends_it() {
    let mut world = World::signed_in();
    let id = world.core.request(world.now, &User::SetStatus { me: ME, status: 4 }).unwrap();
    assert!(matches!(world.answer(id), Ok(Reply::Status(Status::Offline))));
    assert!(matches!(world.core.request(world.now, &User::Test { me: ME }), Err(Error::NotSignedIn)));
    assert!(world.take_events().is_empty());
}
