//! Two ends of a link over a network that drops, doubles, delays and changes what passes.

use crate::limits::{ACK_BYTES, CHALLENGE_PACKET_BYTES, DATAGRAM_BYTES, FRAME_BYTES, TEST_BYTES, UNACKNOWLEDGED};
use crate::link::{Arrival, Ciphers, CloseCode, Dropped, Frames, Keys, Link, Side};
use proptest::prelude::*;

pub const KEYS: Keys = Keys { to_server: [1; 32], to_client: [2; 32] };

/// One end, and what was handed up there.
pub struct End {
    pub link: Link,
    frames: Frames,
    ciphers: Ciphers,
    pub got: Vec<Vec<u8>>,
}

impl End {
    pub fn new(side: Side) -> Self {
        Self::of(Link::new(side, 10_001, 7, KEYS))
    }

    pub fn of(link: Link) -> Self {
        Self { link, frames: Frames::default(), ciphers: Ciphers::new(2), got: Vec::new() }
    }

    pub fn take(&mut self, now: u64, packet: &[u8]) -> Result<Arrival, Dropped> {
        let arrival = self.link.receive(now, &mut packet.to_vec(), &mut self.ciphers, &mut self.frames);
        self.got.extend(self.frames.iter().map(|frame| frame.bytes.to_vec()));
        self.frames.clear();
        arrival
    }

    pub fn packet(&mut self, now: u64) -> Option<Vec<u8>> {
        let mut packet = Vec::new();
        let any = self.link.poll(now, &mut self.ciphers, &mut packet);
        assert!(packet.len() <= DATAGRAM_BYTES);
        any.then_some(packet)
    }

    pub fn packets(&mut self, now: u64) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.packet(now)).collect()
    }
}

/// Both ends, and what is on its way: when it arrives, whether at the server, and the packet.
struct Pair {
    ends: [End; 2],
    way: Vec<(u64, usize, Vec<u8>)>,
    now: u64,
    chance: u64,
    loss: u64,
    delay: u64,
}

impl Pair {
    fn new(seed: u64, loss: u64, delay: u64) -> Self {
        let ends = [End::new(Side::Client), End::new(Side::Server)];
        Self { ends, way: Vec::new(), now: 0, chance: seed, loss, delay }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % below.max(1)
    }

    /// Lets one end send what it has now.
    fn flush(&mut self, from: usize) {
        for packet in self.ends[from].packets(self.now) {
            let fate = self.random(100);
            if fate < self.loss {
                continue;
            }
            let copies = if fate > 97 { 2 } else { 1 };
            for _ in 0..copies {
                let at = self.now + self.delay + self.random(self.delay + 1);
                self.way.push((at, 1 - from, packet.clone()));
            }
            if fate == 97 {
                let mut changed = packet.clone();
                let at = self.random(changed.len() as u64) as usize;
                changed[at] ^= 1 << self.random(8);
                self.way.push((self.now, 1 - from, changed));
            }
        }
    }

    /// One millisecond.
    fn step(&mut self) {
        self.now += 1;
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.way).into_iter().partition(|one| one.0 <= now);
        self.way = later;
        for (_, to, packet) in due {
            let _ = self.ends[to].take(now, &packet);
        }
        self.flush(0);
        self.flush(1);
    }

    fn run(&mut self, most: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now + most;
        while !done(self) {
            assert!(self.now < end, "not done after {most} ms: {:?}", self.ends.each_ref().map(|end| end.got.len()));
            self.step();
        }
    }
}

pub fn frame(at: usize, length: usize) -> Vec<u8> {
    (0..length.max(4)).map(|byte| (at * 31 + byte) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the network does, each frame arrives once, whole, in order, in both directions.
    #[test]
    fn everything_arrives_once_and_in_order(
        seed in any::<u64>(), loss in 0_u64..40, delay in 0_u64..60,
        lengths in proptest::collection::vec(prop_oneof![4 => 1_usize..300, 1 => 1_000_usize..9_000], 1..120),
    ) {
        let mut pair = Pair::new(seed, loss, delay);
        let sent: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(at, length)| frame(at, *length)).collect();
        for chunk in sent.chunks(5) {
            for from in 0..2 {
                for frame in chunk {
                    pair.ends[from].link.send(frame);
                }
                pair.flush(from);
            }
            pair.step();
        }
        pair.run(600_000, |pair| pair.ends.iter().all(|end| end.link.queued_bytes() == 0));
        for end in &pair.ends {
            prop_assert!(end.got == sent, "{} of {} arrived", end.got.len(), sent.len());
            prop_assert!(!end.link.is_waiting());
        }
    }
}

#[test]
fn a_quiet_network_needs_one_packet_a_frame_and_acks_ride() {
    let mut pair = Pair::new(1, 0, 0);
    for at in 0..100 {
        pair.ends[0].link.send(&frame(at, 100));
        let packets = pair.ends[0].packets(pair.now);
        assert_eq!(packets.len(), 1, "the ack of the last answer rides with it");
        pair.ends[1].take(pair.now, &packets[0]).expect("taken");
        pair.ends[1].link.send(&frame(at, 50));
        let answer = pair.ends[1].packets(pair.now);
        assert_eq!(answer.len(), 1);
        pair.ends[0].take(pair.now, &answer[0]).expect("taken");
        pair.now += 3;
    }
    // The last answer is acknowledged alone, ten milliseconds later.
    let due = pair.ends[0].link.deadline().expect("an ack is due");
    assert_eq!(due, pair.now - 3 + 10);
    assert!(pair.ends[0].packets(due - 1).is_empty());
    let ack = pair.ends[0].packets(due);
    assert_eq!(ack.len(), 1);
    pair.ends[1].take(due, &ack[0]).expect("taken");
    assert_eq!(pair.ends[1].link.deadline(), None, "an idle link waits for nothing");
    assert_eq!(pair.ends[0].link.deadline(), None);
}

#[test]
fn every_second_segment_and_every_gap_is_acknowledged_at_once() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    let mut packets = Vec::new();
    for at in 0..4 {
        client.link.send(&frame(at, 1_000));
        packets.extend(client.packets(0));
    }
    server.take(5, &packets[0]).expect("taken");
    assert!(server.packets(5).is_empty());
    server.take(6, &packets[1]).expect("taken");
    assert_eq!(server.packets(6).len(), 1, "the second segment");
    server.take(7, &packets[3]).expect("taken");
    assert_eq!(server.packets(7).len(), 1, "a gap");
    assert_eq!(server.got.len(), 2);
    server.take(8, &packets[2]).expect("taken");
    assert_eq!(server.packets(8).len(), 1, "the gap is closed");
    assert_eq!(server.got.len(), 4);
}

#[test]
fn three_later_segments_say_that_one_is_lost() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    for at in 0..5 {
        client.link.send(&frame(at, 1_000));
    }
    let packets = client.packets(0);
    assert_eq!(packets.len(), 5);
    for packet in &packets[1..] {
        server.take(1, packet).expect("taken");
        for ack in server.packets(1) {
            client.take(1, &ack).expect("taken");
        }
    }
    let again = client.packets(1);
    assert_eq!(again.len(), 1, "at once, long before any timeout");
    server.take(2, &again[0]).expect("taken");
    assert_eq!(server.got.len(), 5);
}

#[test]
fn replayed_and_changed_packets_do_nothing() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    client.link.send(&frame(0, 100));
    let packet = client.packet(0).expect("a packet");
    for at in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 1;
        assert!(server.take(0, &changed).is_err(), "byte {at}");
    }
    for length in 0..packet.len() {
        assert!(server.take(0, &packet[..length]).is_err());
    }
    assert!(server.got.is_empty());
    assert!(server.take(0, &packet).expect("it was not spent").newest);
    assert_eq!(server.take(0, &packet), Err(Dropped::Seen));
    assert_eq!(client.take(0, &packet), Err(Dropped::NotMine), "a packet cannot be turned around");
    assert_eq!(server.got.len(), 1);
    // An older packet that comes late is taken, and does not move the session.
    client.link.send_loose(b"first");
    let first = client.packet(0).expect("a packet");
    client.link.send_loose(b"second");
    let second = client.packet(0).expect("a packet");
    assert!(server.take(0, &second).expect("taken").newest);
    assert!(!server.take(0, &first).expect("taken").newest);
}

#[test]
fn a_link_without_answer_dies() {
    let mut client = End::new(Side::Client);
    client.link.send(&frame(0, 100));
    let (mut now, mut sent) = (0, 0);
    while !client.link.is_dead(now) {
        sent += client.packets(now).len();
        now = client.link.deadline().expect("it tries again").max(now + 1);
    }
    assert_eq!(u128::from(now), UNACKNOWLEDGED.as_millis());
    assert!((8..=16).contains(&sent), "each pause is twice as long, four seconds at most: {sent}");
}

#[test]
fn the_largest_frame_fits_and_a_larger_one_ends_the_link() {
    let mut pair = Pair::new(3, 10, 5);
    let largest = frame(9, FRAME_BYTES);
    pair.ends[0].link.send(&largest);
    pair.run(60_000, |pair| !pair.ends[1].got.is_empty());
    assert_eq!(pair.ends[1].got[0], largest);
    let mut pair = Pair::new(3, 0, 1);
    pair.ends[0].link.send(&frame(9, 2 * FRAME_BYTES));
    let mut outcome = Ok(());
    for _ in 0..200 {
        pair.now += 1;
        for packet in pair.ends[0].packets(pair.now) {
            outcome = outcome.and(pair.ends[1].take(pair.now, &packet).map(drop));
        }
        for packet in pair.ends[1].packets(pair.now) {
            let _ = pair.ends[0].take(pair.now, &packet);
        }
    }
    assert_eq!(outcome, Err(Dropped::Malformed));
}

#[test]
fn who_has_proven_nothing_is_given_little_room() {
    let mut pair = Pair::new(3, 0, 1);
    pair.ends[1].link.narrow();
    pair.ends[0].link.send(&frame(1, 2_300));
    pair.run(1_000, |pair| pair.ends[1].got.len() == 1);
    pair.ends[0].link.send(&frame(2, 3_000));
    let packets = pair.ends[0].packets(pair.now);
    let outcomes: Vec<_> = packets.iter().map(|packet| pair.ends[1].take(pair.now, packet).map(drop)).collect();
    assert!(outcomes.contains(&Err(Dropped::Malformed)), "{outcomes:?}");
    let mut pair = Pair::new(3, 0, 1);
    pair.ends[1].link.narrow();
    pair.ends[1].link.widen();
    pair.ends[0].link.send(&frame(2, 50_000));
    pair.run(5_000, |pair| pair.ends[1].got.len() == 1);
}

/// An ack that is said again tells how long ago its newest segment came, or the peer takes the loss of the first for a long
/// round trip.
#[test]
fn an_ack_said_again_does_not_lengthen_the_round_trip() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    client.link.send(&frame(0, 100));
    let first = client.packet(0).expect("a packet");
    server.take(2, &first).expect("taken");
    server.packet(12).expect("an ack, which is lost");
    client.link.send(&frame(1, 100));
    let second = client.packet(20).expect("a packet");
    server.take(3_000, &second).expect("taken");
    let ack = server.packet(3_010).expect("an ack");
    client.take(3_012, &ack).expect("taken");
    let trip = client.link.round_trip_ms().expect("measured");
    assert!(trip >= 2_900, "the second was under way for so long: {trip}");
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    client.link.send(&frame(0, 100));
    let first = client.packet(0).expect("a packet");
    server.take(2, &first).expect("taken");
    server.packet(12).expect("an ack, which is lost");
    server.link.want_ack();
    let ack = server.packet(3_000).expect("the same ack, for another reason");
    client.take(3_002, &ack).expect("taken");
    assert_eq!(client.link.round_trip_ms(), Some(4));
}

#[test]
fn a_close_is_the_last_packet() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    server.link.close(CloseCode::Replaced, "signed in elsewhere");
    // Something has come from the peer meanwhile, and is answered with a farewell without words.
    server.link.close(CloseCode::Replaced, "");
    let packet = server.packet(0).expect("the farewell");
    let close = client.take(0, &packet).expect("taken").close.expect("closed");
    assert_eq!((close.code, close.reason.as_str()), (1, "signed in elsewhere"));
    assert!(client.link.is_closed() && server.link.is_closed());
    client.link.send(&frame(0, 10));
    assert!(client.packet(0).is_none() && server.packet(0).is_none());
}

/// What an address has not paid for is not sent there, not even words.
#[test]
fn a_close_fits_the_room_that_there_is() {
    for room in CHALLENGE_PACKET_BYTES..200 {
        let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
        server.link.close(CloseCode::Replaced, "在别处登录 signed in from another place");
        server.link.want_ack();
        let mut packet = Vec::new();
        server.link.poll_unproven(0, room, 7, &mut server.ciphers, &mut packet);
        assert!(packet.len() <= room, "{} of {room}", packet.len());
        let arrival = client.take(0, &packet).expect("taken");
        if let Some(close) = arrival.close {
            assert_eq!(close.code, 1);
            assert!("在别处登录 signed in from another place".starts_with(&close.reason));
        }
        assert!(!client.link.is_closed() || room >= CHALLENGE_PACKET_BYTES + 4);
        assert!(client.link.is_closed() || room < CHALLENGE_PACKET_BYTES + ACK_BYTES + 4);
    }
}

#[test]
fn a_challenge_is_answered_until_no_more_come() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    let challenge = |server: &mut End| {
        let mut packet = Vec::new();
        server.link.poll_unproven(0, 100, 7, &mut server.ciphers, &mut packet);
        packet
    };
    let first = challenge(&mut server);
    assert_eq!(first.len(), CHALLENGE_PACKET_BYTES);
    client.take(0, &first).expect("taken");
    // The first answer is lost.
    assert_eq!(client.packet(0).map(|packet| packet.len()), Some(CHALLENGE_PACKET_BYTES));
    assert!(client.packet(100).is_none() && client.link.deadline() == Some(500));
    let again = client.packet(500).expect("said again");
    assert_eq!(server.take(500, &again).expect("taken").response, Some(7));
    server.link.want_ack();
    let ack = server.packet(500).expect("it says that it has it");
    client.take(501, &ack).expect("taken");
    assert_eq!((client.link.deadline(), client.packet(10_000)), (None, None));
}

/// A test is padded, so that its answer fits beside a challenge; nothing else is.
#[test]
fn a_lone_connection_test_is_padded() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    client.link.send_loose(&frame(0, 12));
    assert_eq!(client.packet(0).map(|packet| packet.len()), Some(TEST_BYTES));
    client.link.send_loose(&frame(0, 12));
    client.link.send(&frame(0, 10));
    assert!(client.packet(0).is_some_and(|packet| packet.len() < TEST_BYTES));
    server.link.send_loose(&frame(0, 12));
    assert!(server.packet(0).is_some_and(|packet| packet.len() < TEST_BYTES));
}
