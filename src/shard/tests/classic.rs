//! Classic sessions (protocol.md 1.8): binding, repeats, hints, and what is dropped.

use super::world::{World, profile, sign_in, system};
use crate::limits;
use crate::seeded::Seed;
use crate::shard::{
    Board, Classic, Counters, Endpoint, Identity, Input, Now, Outbox, PasswordOutcome, Shard, Territory,
};
use crate::wire::{List, Server, User};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

const REFUSED: Server<'static> = Server::SignedIn { ok: 0, groups: List::NONE, token: None };

fn total(world: &World, of: impl Fn(Counters) -> u64) -> u64 {
    world.shards.iter().map(|shard| of(shard.counters())).sum()
}

#[test]
fn a_repeat_gets_the_same_reply_and_is_not_done_twice() {
    World::everywhere(|world| {
        let a = world.person("a");
        let add = User::AddGroup { me: a.number, name: "g" };
        let added = Server::GroupAdded { ok: 1, group: 2, name: "g" };
        world.send(a.at, &add);
        world.send(a.at, &add);
        world.wait_ms(9_900);
        world.send(a.at, &add);
        world.expect(a.at, &[added, added, added]);
        world.wait_ms(200);
        world.send(a.at, &add);
        world.expect(a.at, &[Server::GroupAdded { ok: 1, group: 3, name: "g" }]);
        // Another request in between: the same bytes are a new request.
        world.send(a.at, &User::Test { me: a.number });
        world.send(a.at, &add);
        world.expect(a.at, &[Server::TestReply { me: a.number }, Server::GroupAdded { ok: 1, group: 4, name: "g" }]);
        assert_eq!(total(world, |counters| counters.repeats), 2);
    });
}

#[test]
fn messages_do_not_count_as_the_latest_request() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        let add = User::AddGroup { me: a.number, name: "g" };
        world.send(a.at, &add);
        world.send(a.at, &User::Message { me: a.number, to: b.number, text: "x", id: None });
        world.send(a.at, &add);
        let added = Server::GroupAdded { ok: 1, group: 2, name: "g" };
        world.expect(a.at, &[added, added]);
    });
}

#[test]
fn a_repeat_before_the_answer_waits_for_it() {
    World::everywhere(|world| {
        let a = world.person("a");
        let add = User::AddGroup { me: a.number, name: "g" };
        world.store_waits = true;
        world.send(a.at, &add);
        world.send(a.at, &add);
        world.store_waits = false;
        world.run();
        world.expect(a.at, &[Server::GroupAdded { ok: 1, group: 2, name: "g" }]);
    });
}

#[test]
fn registrations_and_sign_ins_are_repeated_too() {
    World::everywhere(|world| {
        let at = world.address();
        let register = User::register(profile("a", 0));
        world.send(at, &register);
        world.send(at, &register);
        let registered = |number| Server::Registered { ok: 1, number };
        world.expect(at, &[registered(10_000), registered(10_000)]);
        let other = world.address();
        world.send(other, &register);
        world.expect(other, &[registered(10_001)]);
        world.wait_ms(10_100);
        world.send(at, &register);
        world.expect(at, &[registered(10_002)]);

        let sender = world.person("s");
        world.send(sender.at, &User::Message { me: sender.number, to: 10_000, text: "stored", id: None });
        world.send(at, &sign_in(10_000));
        let first = world.shown(at);
        assert_eq!(first.len(), 2);
        world.send(at, &sign_in(10_000));
        assert_eq!(world.shown(at), first[..1], "the list again, the message not");
        assert_eq!(total(world, |counters| counters.sign_ins), 2);
    });
}

#[test]
fn frames_from_elsewhere_are_dropped_and_strangers_told_to_sign_in() {
    World::everywhere(|world| {
        let a = world.person("a");
        let thief = world.address();
        world.send(thief, &User::SetStatus { me: a.number, status: 4 });
        world.expect(thief, &[]);
        assert_eq!(total(world, |counters| counters.foreign), 1);
        world.sign_out(a);
        for _ in 0..5 {
            world.send(thief, &User::Test { me: a.number });
        }
        world.expect(thief, &[REFUSED]);
        world.wait_ms(1_100);
        world.send(thief, &User::Message { me: a.number, to: a.number + 1, text: "x", id: None });
        world.expect(thief, &[REFUSED]);
        assert_eq!(total(world, |counters| counters.unsigned), 6);
    });
}

#[test]
fn rubbish_is_dropped_on_udp_and_ends_a_connection() {
    World::everywhere(|world| {
        let a = world.person("a");
        for bytes in [&b""[..], b"x", b"\x81\x0a\x01\x16\0\0\0\x09abcdefgh", b"\x82\x0a\x01\x03\0\0\0\x04aaaa"] {
            world.send_bytes(a.at, bytes);
        }
        world.expect(a.at, &[]);
        assert_eq!(total(world, |counters| counters.malformed), 4);
        assert!(world.closed.is_empty());
        let stream = Endpoint::stream(a.at.address(), 9);
        world.send(stream, &sign_in(a.number));
        world.send_bytes(stream, b"\x81\x0a\x01\x3f\0\0\0\x04aaaa");
        assert_eq!(world.closed, [stream]);
        world.stream_closed(stream, a.number);
        assert_eq!(total(world, |counters| counters.online), 0);
    });
}

#[test]
fn bare_frames_are_taken_from_where_the_operator_allows() {
    let outside = Endpoint::datagram(([192, 0, 2, 7], 9).into(), 0);
    let inside = Endpoint::datagram(([127, 0, 0, 1], 9).into(), 0);
    let mut bytes = Vec::new();
    User::Test { me: 10_000 }.encode(&mut bytes);
    for (classic, from, taken) in [
        (Classic::Off, inside, false),
        (Classic::Loopback, inside, true),
        (Classic::Loopback, outside, false),
        (Classic::Any, outside, true),
    ] {
        let mut shard =
            Shard::new(Territory::ALL, Arc::new(Board::new(Seed::new([8; 32]))), classic, &Identity::EXAMPLE);
        let mut out = Outbox::default();
        shard.handle(Now::default(), Input::Frame { from, bytes: &bytes }, &mut out);
        assert_eq!((out.sends.len() == 1, shard.counters().classic_refused == 0), (taken, taken));
    }
}

/// How many registrations of these addresses, one each, come as far as the password pool. `answered`: each is over before the
/// next begins.
fn registrations(addresses: impl Iterator<Item = IpAddr>, answered: bool) -> usize {
    let board = Arc::new(Board::new(Seed::new([8; 32])));
    let mut shard = Shard::new(Territory::ALL, board, Classic::Any, &Identity::EXAMPLE);
    let now = Now { mono_ms: 5_000, unix_ms: 0 };
    let mut bytes = Vec::new();
    User::register(profile("a", 0)).encode(&mut bytes);
    let mut hashed = 0;
    for (nth, ip) in addresses.enumerate() {
        let mut out = Outbox::default();
        let from = Endpoint::datagram((ip, 1_000 + nth as u16).into(), 0);
        shard.handle(now, Input::Frame { from, bytes: &bytes }, &mut out);
        hashed += out.passwords.len();
        for (ticket, ..) in std::mem::take(&mut out.passwords).into_iter().filter(|_| answered) {
            shard.handle(now, Input::Password { ticket, outcome: PasswordOutcome::Busy }, &mut out);
        }
    }
    hashed
}

#[test]
fn registrations_are_counted_by_prefix() {
    let network =
        |bits: u128, step: u32| (0..400).map(move |at| IpAddr::from(Ipv6Addr::from_bits(bits + (at << step))));
    let v4 = |same: bool| (0..40_u8).map(move |at| IpAddr::from([192, 0, 2, if same { 7 } else { at }]));
    let (most, at_once) = (limits::REGISTRATIONS_PER_MINUTE as usize, limits::REGISTRATIONS_AT_ONCE as usize);
    assert_eq!((registrations(v4(true), true), registrations(v4(true), false)), (most, at_once), "one address");
    assert_eq!(registrations(v4(false), true), 40, "each address has its own");
    let base = 0x2001_0db8_0001 << 80;
    assert_eq!(registrations(network(base, 0), true), most, "the addresses of one /64");
    assert_eq!(registrations(network(base, 64), true), 4 * most, "the networks of one /48");
    assert_eq!(registrations((0..100).map(|_| [127, 0, 0, 1].into()), true), 100, "this machine is many users");
}

/// Wrong passwords from one place must not keep the right one from another waiting for long, nor fill the pool.
#[test]
fn few_sign_ins_of_one_number_are_in_progress_at_once() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        world.store_waits = true;
        let at = world.address();
        for guess in 0..100 {
            let password = format!("guess {guess}");
            world.send(at, &User::SignIn { me: number, password: &password, mode: 0, token: None });
        }
        world.store_waits = false;
        world.run();
        assert_eq!(world.take(at).len(), 100, "every one is refused, 96 of them unchecked");
        world.wait_ms(61_000);
        let good = world.address();
        world.send(good, &sign_in(number));
        assert!(world.shown(good)[0].contains("ok: 1"));
    });
}

/// On a stream the first requests may follow the sign-in at once: they wait for it.
#[test]
fn requests_behind_a_sign_in_are_done_after_it() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        let at = world.address();
        world.store_waits = true;
        world.send(at, &sign_in(number));
        world.send(at, &User::AddGroup { me: number, name: "g" });
        world.send(at, &User::Test { me: number });
        world.expect(at, &[]);
        world.store_waits = false;
        world.run();
        let shown = world.shown(at);
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
        assert_eq!(shown[1..], ["TestReply { me: 10000 }", "GroupAdded { ok: 1, group: 2, name: \"g\" }"]);
    });
}

#[test]
fn five_wrong_passwords_are_enough_for_a_minute() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        for _ in 0..5 {
            let at = world.address();
            world.send(at, &User::SignIn { me: number, password: "wrong", mode: 0, token: None });
            world.expect(at, &[REFUSED]);
        }
        let at = world.address();
        world.send(at, &sign_in(number));
        world.expect(at, &[REFUSED, system(0, 0, "too many wrong passwords: try again in a minute")]);
        world.wait_ms(61_000);
        world.send(at, &sign_in(number));
        assert!(world.shown(at)[0].contains("ok: 1"));
    });
}

/// Checks of passwords may end in any order: the newest sign-in is the one that stays.
#[test]
fn an_older_sign_in_does_not_end_a_newer_session() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        let (older, newer) = (world.address(), world.address());
        world.passwords_wait = true;
        world.send(older, &sign_in(number));
        world.send(newer, &sign_in(number));
        world.passwords_wait = false;
        world.passwords.reverse();
        world.run();
        assert!(world.shown(newer)[0].contains("ok: 1"));
        world.send(newer, &User::Test { me: number });
        world.expect(newer, &[Server::TestReply { me: number }]);
    });
}

#[test]
fn a_repeated_sign_out_is_answered_again() {
    World::everywhere(|world| {
        let a = world.person("a");
        let out = User::SetStatus { me: a.number, status: 4 };
        world.send(a.at, &out);
        world.send(a.at, &out);
        let gone = Server::StatusSet { me: a.number, status: 4 };
        world.expect(a.at, &[gone, gone]);
        let other = world.address();
        world.send(other, &out);
        world.expect(other, &[REFUSED]);
    });
}

#[test]
fn an_address_is_told_to_sign_in_once_a_second_whatever_its_numbers() {
    World::everywhere(|world| {
        let at = world.address();
        for number in 20_000..20_010 {
            world.send(at, &User::Test { me: number });
        }
        world.expect(at, &[REFUSED]);
        world.wait_ms(1_000);
        world.send(at, &User::Test { me: 20_001 });
        world.expect(at, &[REFUSED]);
    });
}
