//! What strangers can do to others: floods of handshakes, links and passwords, and what time tells them.

use super::linked::Linked;
use super::world::{World, sign_in};
use crate::limits;
use crate::shard::Endpoint;
use crate::store::{Change, Request};
use crate::wire::User;
use std::net::{IpAddr, Ipv4Addr};

fn at(ip: impl Into<IpAddr>, port: u16) -> Endpoint {
    Endpoint::datagram((ip.into(), port).into(), 0)
}

/// An address outside this machine.
fn outside(nth: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0A00_0000 + nth)
}

fn wrong(me: u32, password: &str) -> User<'_> {
    User::SignIn { me, password, mode: 0, token: None }
}

fn links(world: &World) -> usize {
    world.shards.iter().map(|shard| shard.census().apart).sum()
}

#[test]
fn finished_handshakes_of_one_address_shut_out_nobody() {
    let mut world = World::new(1);
    let number = world.register("a", 0);
    let share = limits::ENTERING_LINKS / limits::PREFIX_SHARE as usize;
    for port in 0..2 * share as u16 {
        let mut link = Linked::open_at(&mut world, 0x9000_0000 + u32::from(port), at(outside(1), 1_000 + port));
        link.ask(&mut world, &User::Test { me: link.number });
    }
    assert_eq!(links(&world), share, "its own prefix gives way to itself");
    // Somebody behind the same address gets in, and so does everybody else.
    for ip in [outside(1), outside(2)] {
        let mut friend = Linked::open_at(&mut world, number, at(ip, 60_000));
        let shown = friend.ask(&mut world, &sign_in(number));
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
    }
}

#[test]
fn a_full_table_of_links_lets_the_next_one_in_on_loopback_too() {
    let mut world = World::new(1);
    let number = world.register("a", 0);
    let here = |port: u32| at([127, 0, 0, 1], 1_000 + port as u16);
    for nth in 0..limits::ENTERING_LINKS as u32 + 50 {
        let mut link = Linked::open_at(&mut world, 0x9000_0000 + nth, here(nth % 50_000));
        link.ask(&mut world, &User::Test { me: link.number });
    }
    assert_eq!(links(&world), limits::ENTERING_LINKS);
    // The check takes a while, in which the flood goes on.
    for ip in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let mut friend = Linked::open_at(&mut world, number, at(ip, 999));
        world.passwords_wait = true;
        friend.ask(&mut world, &sign_in(number));
        for nth in 0..100 {
            let mut link = Linked::open_at(&mut world, 0xA000_0000 + nth, here(nth));
            link.ask(&mut world, &User::Test { me: link.number });
        }
        world.passwords_wait = false;
        world.run();
        let shown = friend.pull(&mut world);
        assert!(shown.iter().any(|frame| frame.starts_with("SignedIn { ok: 1")), "{shown:?}");
    }
}

#[test]
fn wrong_passwords_bar_neither_a_token_nor_the_right_password_from_elsewhere() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        let mut owner = Linked::open_at(world, number, at(outside(1), 1));
        owner.ask(world, &sign_in(number));
        let token = owner.token.clone();
        for nth in 0..50 {
            let from = at(outside(2), 2_000 + nth);
            let mut guesser = Linked::open_at(world, number, from);
            let shown = guesser.ask(world, &wrong(number, &format!("guess {nth}")));
            assert!(shown[0].starts_with("SignedIn { ok: 0"), "{shown:?}");
        }
        let checked = world.checks;
        assert!(
            checked <= 2 + limits::SIGN_IN_FAILURES as usize,
            "{checked} checks, of a registration and a sign-in too"
        );
        let behind = Linked::open_at(world, number, at(outside(2), 9)).ask(world, &sign_in(number));
        assert!(behind.iter().any(|frame| frame.contains("code: 6")), "the guesser's own prefix: {behind:?}");
        for ip in [outside(1), outside(3)] {
            let shown = Linked::open_at(world, number, at(ip, 9)).ask(world, &sign_in(number));
            assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
        }
        let by_token = User::SignIn { me: number, password: "", mode: 0, token: Some(&token) };
        let shown = Linked::open_at(world, number, at(outside(2), 10)).ask(world, &by_token);
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "a token is good from there, too: {shown:?}");
    });
}

#[test]
fn guesses_from_many_prefixes_make_new_prefixes_wait_and_nobody_else() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        let home = outside(1);
        Linked::open_at(world, number, at(home, 1)).ask(world, &sign_in(number));
        for nth in 0..limits::ATTACK_FAILURES {
            Linked::open_at(world, number, at(outside(100 + nth), 1)).ask(world, &wrong(number, "guess"));
        }
        let shown = Linked::open_at(world, number, at(home, 2)).ask(world, &sign_in(number));
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "the owner's prefix is known: {shown:?}");
        // From elsewhere the right password waits, also behind a flood of guesses.
        let mut away = Linked::open_at(world, number, at(outside(2), 1));
        assert_eq!(away.ask(world, &sign_in(number)), [""; 0]);
        for nth in 0..400 {
            let mut guesser = Linked::open_at(world, number, at(outside(10_000 + nth % 1_000), 1 + nth as u16));
            guesser.ask(world, &wrong(number, &format!("guess {nth}")));
        }
        let before = world.checks;
        world.wait_ms(29_000);
        assert_eq!((away.pull(world), world.checks), (Vec::new(), before));
        world.wait_ms(1_100);
        let shown = away.pull(world);
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
        // Later that prefix is known, and the hour ends.
        let shown = Linked::open_at(world, number, at(outside(2), 3)).ask(world, &sign_in(number));
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
        world.wait_ms(3_601_000);
        let shown = Linked::open_at(world, number, at(outside(3), 1)).ask(world, &sign_in(number));
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
    });
}

#[test]
fn checks_in_progress_are_counted_by_account_and_prefix() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        world.passwords_wait = true;
        let before = world.checks;
        for nth in 0..30 {
            let mut guesser = Linked::open_at(world, number, at(outside(1), 1 + nth));
            guesser.ask(world, &wrong(number, "guess"));
        }
        assert_eq!(world.checks - before, limits::SIGN_IN_ATTEMPTS);
        let mut owner = Linked::open_at(world, number, at(outside(2), 1));
        owner.ask(world, &sign_in(number));
        assert_eq!(world.checks - before, limits::SIGN_IN_ATTEMPTS + 1, "nobody else waits for that");
        world.passwords_wait = false;
        world.run();
        assert!(owner.pull(world)[0].starts_with("SignedIn { ok: 1"));
    });
}

/// The time of an answer tells nothing where the same work is done for it.
#[test]
fn a_refusal_takes_the_same_work_whether_the_account_exists_or_not() {
    World::everywhere(|world| {
        let (number, shut) = (world.register("a", 0), world.register("b", 0));
        world.store.ask(Request::Commit(vec![Change::SetDisabled(shut, true)]));
        for (nth, me) in [number, shut, 2_000_000, limits::LAST_USER].into_iter().enumerate() {
            let (before, stored) = (world.checks, world.asked);
            let mut stranger = Linked::open_at(world, me, at(outside(nth as u32), 1));
            let shown = stranger.ask(world, &wrong(me, "guess"));
            let words = "Notice { about: 2, code: 3, text: \"wrong number or password\" }";
            assert_eq!((shown.len(), shown[1].as_str()), (2, words), "{me}: {shown:?}");
            assert_eq!((world.checks - before, world.asked - stored), (1, 1), "{me}");
            let unknown = User::SignIn { me, password: "", mode: 0, token: Some("x") };
            let shown = stranger.ask(world, &unknown);
            assert_eq!((world.checks - before, world.asked - stored, shown.len()), (1, 2, 2), "{me}: {shown:?}");
        }
    });
}
