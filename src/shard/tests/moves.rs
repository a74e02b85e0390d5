//! Sessions that move, and addresses that have yet to prove themselves (protocol.md 2.3).

use super::linked::Linked;
use super::world::World;
use crate::limits;
use crate::link::{Ciphers, Link, Side};
use crate::shard::{Classic, Endpoint};
use crate::store::{Answer, Request};
use crate::wire::User;

fn far(port: u16) -> Endpoint {
    Endpoint::datagram(([192, 0, 2, 7], port).into(), 0)
}

/// The types of a packet's records, and the nonce of its challenge if it has one.
fn records(link: &Link, packet: &[u8]) -> (Vec<u8>, Option<u64>) {
    let plain = link.peek_for_test(packet).expect("a packet for this link");
    let (mut rest, mut types, mut nonce) = (&plain[..], Vec::new(), None);
    while let Some(kind) = rest.first().copied() {
        types.push(kind);
        let short = |at: usize| at + 2 + usize::from(u16::from_be_bytes([rest[at], rest[at + 1]]));
        let length = match kind {
            0x01 => limits::ACK_BYTES,
            0x02 => short(6),
            0x03 => short(1),
            0x04 => short(2),
            0x05 => {
                nonce = Some(u64::from_be_bytes(rest[1..9].try_into().expect("eight bytes")));
                limits::NONCE_BYTES
            }
            _ => panic!("a record of type {kind}"),
        };
        rest = &rest[length..];
    }
    (types, nonce)
}

/// A packet with a response alone.
fn response(of: &mut Linked, world: &World, nonce: u64) -> Vec<u8> {
    let mut plain = vec![0x06];
    plain.extend_from_slice(&nonce.to_be_bytes());
    let mut packet = Vec::new();
    of.link.seal_for_test(Side::Client, &plain, &mut Ciphers::new(1), &mut packet);
    // Its counter is used.
    of.link.want_ack();
    of.packets(world);
    packet
}

fn sizes(packets: &[Vec<u8>]) -> usize {
    packets.iter().map(Vec::len).sum()
}

#[test]
fn every_packet_to_an_address_carries_its_challenge_until_it_is_answered() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let home = b.at;
        b.at = far(9);
        let (mut came, mut went, mut nonces) = (0, 0, Vec::new());
        for id in 1..=20 {
            let mut test = Vec::new();
            User::Test { me: b.number }.encode(&mut test);
            b.link.send_loose(&test);
            b.link.want_ack();
            let packets = b.packets(world);
            came += sizes(&packets);
            packets.iter().for_each(|packet| world.send_bytes(b.at, packet));
            a.say(world, b.number, &"x".repeat(1_000), id);
            world.wait_ms(300);
            let answers = world.take(b.at);
            assert!(!answers.is_empty(), "a padded test has room for its answer");
            went += sizes(&answers);
            for packet in &answers {
                let (types, nonce) = records(&b.link, packet);
                assert!(!types.contains(&0x02), "no segment: {types:?}");
                nonces.push(nonce.expect("a challenge in each"));
            }
        }
        nonces.dedup();
        assert!(nonces.len() == 1 && went <= came, "{nonces:?}, {went} for {came}");
        assert_eq!(world.take(home).len(), 0, "nor does anything go to where it was");
        // A wrong answer, and the right one from elsewhere, prove nothing.
        for (at, nonce) in [(b.at, nonces[0] ^ 1), (far(10), nonces[0])] {
            let packet = response(&mut b, world, nonce);
            world.send_bytes(at, &packet);
            assert!(world.take(at).iter().all(|packet| records(&b.link, packet).1.is_some()));
        }
        let packet = response(&mut b, world, nonces[0]);
        world.send_bytes(b.at, &packet);
        // The session was moved to the other address meanwhile: its challenge is another one now.
        let answers = world.take(b.at);
        let (_, nonce) = records(&b.link, &answers[0]);
        assert_ne!(nonce, Some(nonces[0]));
        let packet = response(&mut b, world, nonce.expect("a challenge"));
        world.send_bytes(b.at, &packet);
        let answers = world.take(b.at);
        assert!(answers.iter().all(|packet| records(&b.link, packet).1.is_none()), "proven");
        assert!(sizes(&answers) > packet.len(), "what has waited comes");
    });
}

#[test]
fn the_last_proven_address_stays_proven() {
    World::everywhere(|world| {
        let mut a = Linked::person(world, "a");
        let home = a.at;
        a.at = far(9);
        a.send(world, &User::Test { me: a.number });
        assert!(world.take(a.at).iter().all(|packet| records(&a.link, packet).1.is_some()));
        a.at = home;
        a.send(world, &User::Test { me: a.number });
        let answers = world.take(home);
        assert!(!answers.is_empty() && answers.iter().all(|packet| records(&a.link, packet).1.is_none()));
    });
}

#[test]
fn stored_mail_waits_for_the_proof() {
    World::everywhere(|world| {
        let (mut a, b) = (Linked::person(world, "a"), world.register("b", 0));
        for id in 1..=5 {
            a.say(world, b, &"x".repeat(1_000), id);
        }
        a.pull(world);
        // Somebody between sends a copy of the first packet from elsewhere, before it: the session begins there.
        let mut link = Linked::open(world, b);
        let mut bytes = Vec::new();
        super::world::sign_in(b).encode(&mut bytes);
        link.link.send(&bytes);
        let packets = link.packets(world);
        packets.iter().for_each(|packet| world.send_bytes(far(9), packet));
        world.wait_ms(2_000);
        let got = world.take(far(9));
        assert!(sizes(&got) <= sizes(&packets), "{} for {}", sizes(&got), sizes(&packets));
        assert!(matches!(world.store.ask(Request::Mail(b)), Answer::Mail(mail) if mail.len() == 5));
        // Its owner goes on, and is asked once.
        link.send(world, &User::Test { me: b });
        let shown = link.pull(world);
        assert_eq!(shown.iter().filter(|frame| frame.starts_with("Message")).count(), 5, "{shown:?}");
    });
}

/// Somebody between sends a copy of the newest packet from elsewhere, and first: that holds up its owner for a second.
#[test]
fn a_stolen_packet_holds_up_its_owner_for_a_second() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        b.link.want_ack();
        for packet in b.packets(world) {
            world.send_bytes(far(9), &packet);
        }
        a.say(world, b.number, "x", 1);
        assert_eq!(b.pull(world), [""; 0]);
        world.wait_ms(1_500);
        let shown = b.pull(world);
        assert!(shown.iter().any(|frame| frame.starts_with("Message")), "{shown:?}");
    });
}

/// The time of protocol.md 2.4 begins anew: a phone that was away for half a minute is not signed out when it is back.
#[test]
fn what_is_not_acknowledged_has_its_time_anew_after_a_move() {
    let mut world = World::new(1);
    let (mut a, mut b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
    a.say(&mut world, b.number, "x", 1);
    world.wait_ms(1_500);
    a.pull(&mut world);
    world.wait_ms(limits::UNACKNOWLEDGED.as_millis() as u64 - 2_500);
    world.take(b.at);
    b.at = far(9);
    b.send(&mut world, &User::Test { me: b.number });
    world.wait_ms(2_000);
    assert_eq!(world.counters().gone, 0);
    let shown = b.pull(&mut world);
    assert!(shown.iter().any(|frame| frame.starts_with("Message")), "{shown:?}");
}

/// Bare frames prove nothing; the least that can be asked is that somebody goes on from there.
#[test]
fn stored_mail_waits_for_a_second_bare_datagram_from_outside() {
    for (from, waits) in [(far(9), true), (Endpoint::datagram(([127, 0, 0, 1], 9).into(), 0), false)] {
        let mut world = World::taking(1, Classic::Any);
        let (number, friend) = (world.register("a", 0), world.person("b"));
        world.send(friend.at, &User::Message { me: friend.number, to: number, text: "hi", id: None });
        world.send(from, &super::world::sign_in(number));
        let shown = world.shown(from);
        assert_eq!(shown.iter().any(|frame| frame.contains("\"hi\"")), !waits, "{shown:?}");
        world.send(from, &super::world::sign_in(number));
        assert!(!world.shown(from).iter().any(|frame| frame.contains("\"hi\"")), "a repeat is no second request");
        world.send(from, &User::Test { me: number });
        let shown = world.shown(from);
        assert_eq!(shown.iter().any(|frame| frame.contains("\"hi\"")), waits, "{shown:?}");
    }
}
