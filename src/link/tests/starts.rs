//! Starts of the server (protocol.md 2.5), from both ends: what proposes one, what enters one, and what changes nothing.

use super::pair::{End, frame};
use crate::limits::{KNOWN_STARTS, RESUME_BYTES, TEST_BYTES};
use crate::link::{Arrival, Dropped, Link, Packet, Resumed, Side, Start};
use std::collections::BTreeSet;

/// The server's end after a start that has drawn this salt.
fn kept(salt: u8) -> End {
    End::of(Link::kept(10_001, 7, super::pair::KEYS, [salt; 16]))
}

fn client() -> End {
    End::new(Side::Client)
}

fn resume(server: &End) -> Vec<u8> {
    let mut packet = Vec::new();
    assert!(server.link.write_resume(&mut packet));
    assert_eq!(packet.len(), RESUME_BYTES);
    packet
}

fn counter(packet: &[u8]) -> u64 {
    let Ok(Packet::Data { counter, .. }) = Packet::decode(packet, Side::Client) else { panic!("no data: {packet:?}") };
    counter
}

/// The server has started: tells it, and lets the client enter. What the client has sent on the way is given back.
fn go_through(client: &mut End, server: &mut End, now: u64) -> (Vec<u8>, Result<Arrival, Dropped>) {
    assert_eq!(client.link.resume(now, &resume(server)), Resumed::Proposed);
    let answer = client.packet(now).expect("an answer");
    server.take(now, &answer).expect("under the keys of the start");
    server.link.want_ack();
    let first = server.packet(now).expect("the first packet of the start");
    (answer, client.take(now, &first))
}

#[test]
fn a_start_is_proposed_answered_and_entered() {
    let (mut client, mut server) = (client(), End::new(Side::Server));
    client.link.send(&frame(0, 100));
    let old = client.packet(0).expect("a packet");
    server.take(0, &old).expect("taken");
    server.link.send(&frame(1, 100));
    let late = server.packet(0).expect("a packet");
    // The server is killed, and begins again with the kept keys. It knows no counter of the client's.
    let mut server = kept(1);
    client.link.send(&frame(2, 100));
    client.link.send(&frame(3, 3_000));
    let queued = client.link.queued_bytes();
    let mut packets = client.packets(1);
    packets.push(old);
    for packet in &packets {
        assert_eq!(server.take(1, packet), Err(Dropped::Forged));
    }
    assert_eq!(client.link.resume(1, &resume(&server)), Resumed::Proposed);
    let answer = client.packet(1).expect("an answer");
    assert_eq!((answer.len(), counter(&answer)), (TEST_BYTES, 0), "an ack and a test, counted from 0 again");
    assert_eq!(client.link.queued_bytes(), queued, "the start is not entered yet");
    assert!(server.take(1, &answer).expect("genuine").newest);
    assert_eq!(server.got, [[0x81, 0x0A, 0x01, 0x16, 0, 0, 0, 4, 0, 0, 0x27, 0x11]], "a connection test");
    server.link.want_ack();
    let first = server.packet(1).expect("an ack");
    assert_eq!(client.take(1, &first).expect("genuine").start, Start::New);
    let frames = client.link.take_unacknowledged();
    assert_eq!(frames, [frame(0, 100), frame(2, 100), frame(3, 3_000)], "nothing was acknowledged");
    for frame in &frames {
        client.link.send(frame);
    }
    for packet in client.packets(2) {
        assert_eq!(server.take(2, &packet).expect("genuine").start, Start::Same);
    }
    assert_eq!(server.got[1..], frames);
    assert!(client.take(2, &late).is_err(), "what was under way from the old server does nothing");
    assert!(client.got.is_empty());
}

#[test]
fn a_resume_alone_changes_nothing_however_often_it_comes() {
    let (mut client, mut server, clone) = (client(), End::new(Side::Server), kept(9));
    let mut answers = BTreeSet::new();
    for second in 0..50 {
        let now = second * 1_000;
        for _ in 0..10 {
            assert_eq!(client.link.resume(now, &resume(&clone)), Resumed::Proposed);
        }
        client.link.send(&frame(second as usize, 40));
        for packet in client.packets(now) {
            if server.take(now, &packet).is_err() {
                assert!(answers.insert(counter(&packet)), "a counter is used twice");
            }
        }
        server.link.send(&frame(second as usize, 60));
        for packet in server.packets(now) {
            assert_eq!(client.take(now, &packet).expect("the link goes on").start, Start::Same);
        }
    }
    assert_eq!((client.got.len(), server.got.len()), (50, 50));
    assert_eq!(answers, (0..50).collect(), "one answer a second");
}

/// Somebody repeats an old resume all the time: the genuine one has its turn all the same.
#[test]
fn replayed_proposals_keep_no_answer_from_the_genuine_one() {
    let (mut client, clone, mut server) = (client(), kept(9), kept(1));
    client.link.resume(0, &resume(&clone));
    client.packet(0).expect("an answer");
    client.link.resume(10, &resume(&clone));
    client.link.resume(20, &resume(&server));
    let mut answered = false;
    for second in 1..4 {
        client.link.resume(second * 1_000 - 1, &resume(&clone));
        let answer = client.packet(second * 1_000).expect("an answer");
        answered |= server.take(second * 1_000, &answer).is_ok();
    }
    assert!(answered);
}

/// A cloned server with an address that the client uses draws it away. It comes back to the genuine server only by a new
/// hello: nobody knows which segments that has had.
#[test]
fn a_start_that_was_left_is_not_entered_again() {
    let (mut client, mut genuine, mut clone) = (client(), kept(1), kept(9));
    assert_eq!(go_through(&mut client, &mut genuine, 0).1.expect("genuine").start, Start::New);
    client.link.send(&frame(1, 30));
    let used: Vec<u64> = client.packets(0).iter().map(|packet| counter(packet)).collect();
    genuine.link.send(&frame(2, 30));
    let unseen = genuine.packet(0).expect("a packet");
    genuine.link.send(&frame(3, 30));
    let seen = genuine.packet(0).expect("a packet");
    client.take(0, &seen).expect("taken");
    assert_eq!(go_through(&mut client, &mut clone, 2_000).1.expect("it has the keys").start, Start::New);
    // The genuine one says that it is there. The counters under its keys go on where they were.
    assert_eq!(client.link.resume(4_000, &resume(&genuine)), Resumed::Proposed);
    let answer = client.packet(4_000).expect("an answer");
    assert!(counter(&answer) > *used.last().expect("some"));
    genuine.take(4_000, &answer).expect("its window is as it was");
    // What it has sent long ago proves nothing, seen or not.
    assert!(client.take(4_000, &seen).is_err() && client.take(4_000, &unseen).is_err());
    genuine.link.want_ack();
    let now = genuine.packet(4_000).expect("a packet");
    assert_eq!(client.take(4_000, &now).expect("genuine").start, Start::Left);
    assert_eq!(client.take(4_001, &now), Err(Dropped::Forged), "once");
}

#[test]
fn more_starts_than_a_client_remembers_need_a_new_hello() {
    let mut client = client();
    let mut now = 0;
    let mut counters = BTreeSet::new();
    for salt in 1..KNOWN_STARTS as u8 {
        let mut server = kept(salt);
        let (answer, entered) = go_through(&mut client, &mut server, now);
        assert!(counters.insert((salt, counter(&answer))));
        assert_eq!(entered.expect("genuine").start, Start::New);
        now += 1_000;
    }
    assert_eq!(client.link.resume(now, &resume(&kept(200))), Resumed::TooMany);
    // Those that it knows go on from where they were.
    assert_eq!(client.link.resume(now, &resume(&kept(3))), Resumed::Proposed);
    let answer = client.packet(now).expect("an answer");
    assert!(counters.insert((3, counter(&answer))));
}

#[test]
fn a_proposal_is_forgotten_after_a_while_and_its_counters_are_not() {
    let (mut client, mut clone) = (client(), kept(9));
    client.link.resume(0, &resume(&clone));
    let first = client.packet(0).expect("an answer");
    clone.take(0, &first).expect("genuine");
    clone.link.want_ack();
    let late = clone.packet(0).expect("a packet");
    assert_eq!(client.take(60_000, &late), Err(Dropped::Forged));
    client.link.resume(60_000, &resume(&clone));
    let second = client.packet(60_000).expect("an answer");
    assert_eq!((counter(&first), counter(&second)), (0, 1));
}

#[test]
fn only_a_kept_link_tells_of_a_start() {
    let mut packet = Vec::new();
    let mut server = Link::new(Side::Server, 10_001, 7, super::pair::KEYS);
    assert!(!server.write_resume(&mut packet) && packet.is_empty());
    server.forget_base();
    assert!(!server.write_resume(&mut packet) && server.base_keys().is_none());
    let mut server = Link::kept(10_001, 7, super::pair::KEYS, [1; 16]);
    server.forget_base();
    assert!(server.write_resume(&mut packet) && server.base_keys() == Some(super::pair::KEYS));
}
