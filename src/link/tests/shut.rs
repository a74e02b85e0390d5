//! A peer that takes nothing new for a while: window 0 (protocol.md 2.4).

use crate::limits::{SEGMENTS_IN_FLIGHT, UNACKNOWLEDGED};
use crate::link::{Ciphers, Frames, Keys, Link, Side};

const KEYS: Keys = Keys { to_server: [1; 32], to_client: [2; 32] };
const DELAY_MS: u64 = 10;

/// Both ends, a millisecond at a time.
struct Pair {
    client: Link,
    server: Link,
    ciphers: Ciphers,
    now: u64,
    /// When it arrives, whether at the server, the packet.
    way: Vec<(u64, bool, Vec<u8>)>,
    /// Frames that the server has taken.
    got: usize,
    sent: usize,
}

impl Pair {
    fn new() -> Self {
        let link = |side| Link::new(side, 10_001, 7, KEYS);
        let (client, server) = (link(Side::Client), link(Side::Server));
        Self { client, server, ciphers: Ciphers::new(4), now: 0, way: Vec::new(), got: 0, sent: 0 }
    }

    fn send(&mut self, frames: usize) {
        (0..frames).for_each(|_| _ = self.client.send(&[9; 1_000]));
    }

    /// Lets time pass; `lose` says which packets to the client are lost.
    fn pass(&mut self, ms: u64, lose: impl Fn(u64) -> bool) {
        for _ in 0..ms {
            self.now += 1;
            let (due, rest) = std::mem::take(&mut self.way).into_iter().partition(|(at, ..)| *at <= self.now);
            self.way = rest;
            for (_, up, mut packet) in due {
                let mut frames = Frames::default();
                let end = if up { &mut self.server } else { &mut self.client };
                end.receive(self.now, &mut packet, &mut self.ciphers, &mut frames).expect("a good packet");
                self.got += frames.iter().count();
            }
            for up in [true, false] {
                let end = if up { &mut self.client } else { &mut self.server };
                let mut packet = Vec::new();
                while end.poll(self.now, &mut self.ciphers, &mut packet) {
                    self.sent += usize::from(up);
                    if up || !lose(self.now) {
                        self.way.push((self.now + DELAY_MS, up, packet.clone()));
                    }
                    packet.clear();
                }
            }
            assert!(!self.client.is_dead(self.now) && !self.server.is_dead(self.now));
        }
    }
}

#[test]
fn a_shut_window_holds_the_peer_up_and_costs_it_nothing() {
    let mut pair = Pair::new();
    pair.send(40);
    pair.pass(1_000, |_| false);
    assert_eq!(pair.got, 40, "and the round trip is known");
    pair.send(200);
    pair.pass(5, |_| false);
    pair.server.shut_window();
    pair.pass(1_000, |_| false);
    let under_way = pair.got - 40;
    assert!((1..=SEGMENTS_IN_FLIGHT).contains(&under_way), "what was under way is taken: {under_way}");
    let before = pair.sent;
    // Far longer than a link without an answer lasts.
    let long = 4 * UNACKNOWLEDGED.as_millis() as u64;
    pair.pass(long, |_| false);
    assert_eq!(pair.got - 40, under_way);
    let probes = pair.sent - before;
    assert!((20..=60).contains(&probes), "one each time that the timer has run: {probes}");
    assert!(!pair.client.is_waiting(), "each is answered");
    pair.server.open_window();
    // Congestion has nothing to do with it: what waits goes out in a few round trips.
    pair.pass(12 * DELAY_MS, |_| false);
    assert_eq!(pair.got, 240);
    assert!(!pair.client.is_waiting() && pair.client.queued_bytes() == 0);
}

#[test]
fn a_lost_opening_is_found_by_the_next_probe() {
    let mut pair = Pair::new();
    pair.server.shut_window();
    pair.send(SEGMENTS_IN_FLIGHT + 20);
    pair.pass(20_000, |_| false);
    assert_eq!(pair.got, SEGMENTS_IN_FLIGHT, "as if it had been open: the peer did not know");
    pair.server.open_window();
    let opened = pair.now;
    pair.pass(4_500, |now| now < opened + 5);
    assert_eq!(pair.got, SEGMENTS_IN_FLIGHT + 20);
}

/// What a peer sends all the same is not taken, and nothing is kept of it.
#[test]
fn beyond_the_window_nothing_is_kept() {
    let mut pair = Pair::new();
    pair.server.shut_window();
    let (mut plain, mut packet, mut frames) = (Vec::new(), Vec::new(), Frames::default());
    for seq in 0..120_u32 {
        // A segment record: seq, flags, S-bytes.
        plain.push(2);
        plain.extend(seq.to_be_bytes());
        plain.extend([1, 0, 1, 9]);
    }
    pair.client.seal_for_test(Side::Client, &plain, &mut pair.ciphers, &mut packet);
    pair.server.receive(0, &mut packet, &mut pair.ciphers, &mut frames).expect("a good packet");
    assert_eq!(frames.iter().count(), SEGMENTS_IN_FLIGHT);
}
