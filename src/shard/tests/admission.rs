//! Who is let in: registration modes, invites, approval, and bans.

use super::linked::Linked;
use super::world::{World, profile, sign_in};
use crate::shard::{Bans, Control, Endpoint, Policy, RegistrationMode};
use crate::store::{Answer, Ban, Banned, Change, Invite, Request};
use crate::wire::{Server, User};
use std::sync::Arc;

fn set(world: &mut World, registration: RegistrationMode) {
    world.control(&Control::Policy(Arc::new(Policy { registration, ..Policy::default() })));
}

fn invite(world: &mut World, code: &str, uses: u32, until_ms: u64) {
    let hash = Invite::hash_of(code).expect("a code");
    let invite = Invite { hash, made_ms: 0, until_ms, uses, used: 0, last: 0, note: "".into() };
    assert_eq!(world.store.ask(Request::Commit(vec![Change::PutInvite(invite)])), Answer::Done);
}

fn registration<'a>(nickname: &'a str, invite: &'a str) -> User<'a> {
    User::Register { profile: profile(nickname, 0), reach: Some(0), details: Some(1), invite: Some(invite) }
}

/// Registers over the link as a guest, and gives back what comes of it.
fn asked(world: &mut World, guest: u32, invite: &str) -> Vec<String> {
    Linked::open(world, 0x9000_0000 + guest).ask(world, &registration("a", invite))
}

fn ban(world: &mut World, who: &[Banned], until_ms: u64) {
    let ban = |who: &Banned| Ban { who: *who, since_ms: 0, until_ms, reason: "spam".into() };
    world.control(&Control::Bans(Arc::new(Bans::of(who.iter().map(ban).collect()))));
}

const CODE: &str = "0123-4567-89AB-CDEF";

#[test]
fn closed_means_closed_over_the_link_and_in_bare_frames() {
    World::everywhere(|world| {
        set(world, RegistrationMode::Closed);
        let shown = asked(world, 1, CODE);
        let notice = Server::Notice { about: 1, code: 18, text: "registration is closed" };
        assert_eq!(shown, ["Registered { ok: 0, number: 0 }".to_owned(), format!("{notice:?}")]);
        let at = world.address();
        world.send(at, &User::register(profile("a", 0)));
        world.expect_refused(at, Some(Server::Registered { ok: 0, number: 0 }), "registration is closed");
        assert_eq!(world.store.account_count(), 0);
        set(world, RegistrationMode::Open);
        assert_eq!(asked(world, 2, ""), ["Registered { ok: 1, number: 10000 }"]);
    });
}

#[test]
fn an_invite_is_good_for_as_many_accounts_as_it_says() {
    World::everywhere(|world| {
        set(world, RegistrationMode::Invite);
        invite(world, CODE, 2, u64::MAX);
        let at = world.address();
        world.send(at, &User::register(profile("a", 0)));
        world.expect_refused(at, Some(Server::Registered { ok: 0, number: 0 }), "an invite code is needed");
        for (code, words) in
            [("", "an invite code is needed"), ("no code", "not good"), ("ZZZZ-ZZZZ-ZZZZ-ZZZZ", "not good")]
        {
            let shown = asked(world, 1, code);
            assert!(shown[0] == "Registered { ok: 0, number: 0 }" && shown[1].contains("code: 18"), "{shown:?}");
            assert!(shown[1].contains(words), "{code}: {shown:?}");
        }
        let checks = world.checks;
        assert_eq!(asked(world, 2, CODE), ["Registered { ok: 1, number: 10000 }"]);
        assert_eq!(asked(world, 3, "0123456789abcdef"), ["Registered { ok: 1, number: 10001 }"]);
        assert_eq!(world.checks, checks + 2);
        assert!(asked(world, 4, CODE)[1].contains("this invite code is not good"));
        assert_eq!(world.checks, checks + 2, "a code that is not good costs no computation of a password");
        let invites = world.store.accounts().invites().expect("readable");
        assert_eq!(invites.iter().map(|one| (one.used, one.last)).collect::<Vec<_>>(), [(2, 10_001)]);
    });
}

#[test]
fn two_registrations_at_once_do_not_share_a_code() {
    let mut world = World::new(2);
    set(&mut world, RegistrationMode::Invite);
    invite(&mut world, CODE, 1, u64::MAX);
    // Both find the code good, and then wait for their password.
    world.passwords_wait = true;
    let mut guests = [1, 2].map(|guest| Linked::open(&mut world, 0x9000_0000 + guest));
    for guest in &mut guests {
        guest.send(&mut world, &registration("a", CODE));
    }
    world.passwords_wait = false;
    world.run();
    let shown = guests.map(|mut guest| guest.pull(&mut world).concat());
    assert_eq!(shown.iter().filter(|shown| shown.contains("ok: 1")).count(), 1, "{shown:?}");
    assert_eq!(shown.iter().filter(|shown| shown.contains("this invite code is not good")).count(), 1, "{shown:?}");
}

#[test]
fn whoever_guesses_codes_is_soon_told_to_wait() {
    for code in ["no code at all", "ZZZZ-ZZZZ-ZZZZ-ZZZZ"] {
        let mut world = World::new(1);
        set(&mut world, RegistrationMode::Invite);
        invite(&mut world, CODE, 1, u64::MAX);
        let mut guest = Linked::open_at(&mut world, 0x9000_0001, far(7));
        let codes: Vec<bool> =
            (0..80).map(|_| guest.ask(&mut world, &registration("a", code)).concat().contains("code: 18")).collect();
        let guesses = codes.iter().filter(|told| **told).count();
        assert_eq!(guesses, crate::limits::REGISTRATIONS_PER_MINUTE as usize, "{code}");
        let shown = guest.ask(&mut world, &registration("a", CODE)).concat();
        assert!(shown.contains("code: 6"), "{shown}");
        // Others are let in.
        assert!(asked(&mut world, 2, CODE)[0].contains("ok: 1"));
    }
}

#[test]
fn an_invite_ends_in_time() {
    let mut world = World::new(1);
    set(&mut world, RegistrationMode::Invite);
    let until_ms = world.now.unix_ms + 1_000;
    invite(&mut world, CODE, 9, until_ms);
    assert!(asked(&mut world, 1, CODE)[0].contains("ok: 1"));
    world.wait_ms(1_000);
    assert!(asked(&mut world, 2, CODE)[1].contains("not good"));
}

#[test]
fn whoever_waits_for_approval_cannot_sign_in_and_is_told_so() {
    World::everywhere(|world| {
        set(world, RegistrationMode::Approve);
        assert_eq!(asked(world, 1, ""), ["Registered { ok: 1, number: 10000 }"]);
        let mut me = Linked::open(world, 10_000);
        let shown = me.ask(world, &User::SignIn { me: 10_000, password: "wrong", mode: 0, token: None });
        assert!(shown[1].contains("about: 2, code: 3"), "only the owner is told: {shown:?}");
        let shown = me.ask(world, &sign_in(10_000));
        assert!(shown[0].starts_with("SignedIn { ok: 0") && shown[1].contains("about: 2, code: 18"), "{shown:?}");
        assert!(shown[1].contains("approval"), "{shown:?}");
        let at = world.address();
        world.send(at, &sign_in(10_000));
        assert!(world.shown(at).concat().contains("approval"));
        assert_eq!(world.store.ask(Request::Commit(vec![Change::Approve(10_000)])), Answer::Done);
        assert!(me.ask(world, &sign_in(10_000))[0].starts_with("SignedIn { ok: 1"));
    });
}

#[test]
fn a_banned_account_is_told_the_words_and_the_end_and_is_in_again_afterwards() {
    World::everywhere(|world| {
        let (mut me, other) = (Linked::person(world, "a"), world.person("b"));
        let until_ms = world.now.unix_ms + 60_000;
        let token = me.token.clone();
        ban(world, &[Banned::Account(me.number), Banned::Account(other.number)], until_ms);
        let shown = me.pull(world).concat();
        assert!(shown.contains("code: 19") && shown.contains("spam"), "{shown}");
        let close = me.closed.as_ref().expect("it has ended");
        assert!(close.code == 5 && close.reason.contains("banned until 2023-11-14 22:1"), "{close:?}");
        assert!(world.shown(other.at).concat().contains("spam"));
        // Whoever does not have the password is told nothing.
        let mut again = Linked::open(world, me.number);
        let shown = again.ask(world, &User::SignIn { me: me.number, password: "wrong", mode: 0, token: None });
        assert!(shown[1].contains("code: 3") && !shown[1].contains("spam"), "{shown:?}");
        for way in [sign_in(me.number), User::SignIn { me: me.number, password: "", mode: 0, token: Some(&token) }] {
            let shown = again.ask(world, &way);
            assert!(shown[1].contains("about: 2, code: 19") && shown[1].contains("spam"), "{shown:?}");
        }
        world.wait_ms(60_000);
        let mut again = Linked::open(world, me.number);
        assert!(again.ask(world, &sign_in(me.number))[0].starts_with("SignedIn { ok: 1"));
    });
}

/// An address of another machine.
fn far(last: u8) -> Endpoint {
    Endpoint::datagram(([192, 0, 2, last], 5_000 + u16::from(last)).into(), 0)
}

#[test]
fn a_banned_network_is_kept_out_and_its_sessions_end() {
    World::everywhere(|world| {
        let numbers = [world.register("a", 0), world.register("b", 0)];
        let mut inside = Linked::open_at(world, numbers[0], far(7));
        assert!(inside.ask(world, &sign_in(numbers[0]))[0].starts_with("SignedIn { ok: 1"));
        let mut outside = Linked::sign_in(world, numbers[1]);
        ban(world, &[Banned::Network("192.0.2.0/24".parse().expect("a network"))], u64::MAX);
        world.wait_ms(1);
        inside.pull(world);
        assert!(inside.closed.as_ref().is_some_and(|close| close.reason.contains("banned for good: spam")));
        assert_eq!(outside.ask(world, &User::Test { me: numbers[1] }).len(), 1, "it goes on");
        // Now and then somebody is told why, and is not let in all the same.
        world.wait_ms(2_000);
        let mut again = Linked::open_at(world, numbers[0], far(8));
        let shown = again.ask(world, &sign_in(numbers[0]));
        assert!(shown[1].contains("about: 2, code: 19"), "{shown:?}");
        let mut guest = Linked::open_at(world, 0x9000_0009, far(8));
        let shown = guest.ask(world, &registration("a", ""));
        assert!(shown[1].contains("about: 1, code: 19"), "{shown:?}");
    });
}

#[test]
fn a_flood_from_a_banned_network_is_hardly_answered_and_never_with_more() {
    let mut world = World::new(1);
    ban(&mut world, &[Banned::Network("192.0.2.7".parse().expect("an address"))], u64::MAX);
    let begun = crate::link::Initiator::new(10_000, &crate::link::public_key(&[7; 32]), [5; 32]).expect("begun");
    let mut packet = Vec::new();
    crate::link::Packet::Hello { number: 10_000, cookie: &[], noise: begun.message() }.encode(&mut packet);
    for _ in 0..1_000 {
        world.send_bytes(far(7), &packet);
    }
    let answers = world.take(far(7));
    assert!(answers.len() <= crate::limits::BANNED_ANSWERS as usize, "{}", answers.len());
    assert!(answers.iter().all(|answer| answer.len() <= packet.len()));
}

#[test]
fn a_session_does_not_move_into_a_banned_network() {
    let mut world = World::new(1);
    let mut me = Linked::person(&mut world, "a");
    ban(&mut world, &[Banned::Network("192.0.2.0/24".parse().expect("a network"))], u64::MAX);
    let home = me.at;
    // Somebody between sends the user's packet from a banned address: that must not end the session.
    me.at = far(7);
    me.send(&mut world, &User::Test { me: me.number });
    assert!(world.take(far(7)).is_empty());
    me.at = home;
    assert!(!me.ask(&mut world, &User::Test { me: me.number }).is_empty());
}

#[test]
fn a_kept_session_of_somebody_who_was_banned_meanwhile_does_not_wake() {
    let mut world = World::new(2);
    let mut me = Linked::person(&mut world, "a");
    let mut world = world.restarted(1);
    ban(&mut world, &[Banned::Account(me.number)], u64::MAX);
    me.push(&mut world);
    me.pull(&mut world);
    let mut again = Linked::open(&mut world, me.number);
    let shown = again.ask(&mut world, &sign_in(me.number));
    assert!(shown[1].contains("code: 19"), "{shown:?}");
}
