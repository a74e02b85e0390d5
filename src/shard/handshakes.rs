//! Handshakes (protocol.md 2.2), and the budgets of those who have proven nothing yet.

use super::channel::Channel;
use super::endpoint::Endpoint;
use super::io::{Outbox, Send};
use super::path::Path;
use super::prefix::Prefix;
use super::recent::PrefixCounts;
use super::shares::{Place, Room, Shares};
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::link::{Cookies, Keys, Link, Offer, Packet, Salt, Side, StaticKey, respond};
use crate::seeded::{Seed, SeededMap};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::VecDeque;

/// What a shard needs to make links.
pub struct Identity {
    /// The server's static X25519 key.
    pub private: [u8; 32],
    /// Random; everything random in the shard comes from it.
    pub seed: [u8; 32],
    /// What this start of the server has drawn, the same for all shards (protocol.md 2.5). It is stored nowhere.
    pub salt: Salt,
    /// Every hello is answered with a cookie first (`--retry always`).
    pub always_retry: bool,
}

impl Identity {
    /// One for tests and benches, the same each time.
    pub const EXAMPLE: Self = Self { private: [7; 32], seed: [9; 32], salt: [5; 16], always_retry: false };
}

/// A handshake in progress.
struct Handshake {
    keys: Keys,
    from: Endpoint,
    until_ms: u64,
    place: Place,
}

/// Handshakes in progress, and what limits them.
pub(super) struct Handshakes {
    key: StaticKey,
    always_retry: bool,
    pub chance: ChaCha20Rng,
    cookies: Cookies,
    table: SeededMap<SessionKey, Handshake>,
    /// In the order in which they end.
    order: VecDeque<(u64, SessionKey)>,
    /// Which prefixes they are of.
    shares: Shares<SessionKey>,
    /// How often a prefix was told that there is no such session.
    unknown: PrefixCounts,
}

impl Handshakes {
    /// `chance` is what the rest of the shard's randomness comes from.
    pub fn new(identity: &Identity, mut chance: ChaCha20Rng, seed: &Seed) -> Self {
        let secrets = [random(&mut chance), random(&mut chance)];
        Self {
            key: StaticKey::new(identity.private),
            always_retry: identity.always_retry,
            cookies: Cookies::new(0, secrets),
            chance,
            table: seed.map(),
            order: VecDeque::new(),
            shares: Shares::new(limits::HANDSHAKES),
            unknown: PrefixCounts::new(limits::UNKNOWN_WINDOW, limits::UNKNOWN_PREFIXES, seed),
        }
    }

    /// Ends those that have taken too long, and renews what has an age.
    fn forget(&mut self, now_ms: u64) {
        while let Some((_, key)) = self.order.front().copied().filter(|(until_ms, _)| *until_ms <= now_ms) {
            self.order.pop_front();
            self.remove(key);
        }
        while self.cookies.is_due(now_ms) {
            let secret = random(&mut self.chance);
            self.cookies.renew(now_ms, secret);
        }
    }

    fn remove(&mut self, key: SessionKey) -> Option<Handshake> {
        let handshake = self.table.remove(&key)?;
        self.shares.leave(handshake.place);
        Some(handshake)
    }

    fn insert(&mut self, now_ms: u64, key: SessionKey, keys: Keys, from: Endpoint) {
        let until_ms = now_ms + limits::HANDSHAKE.as_millis() as u64;
        let place = self.shares.enter(key, from.prefix());
        self.table.insert(key, Handshake { keys, from, until_ms, place });
        self.order.push_back((until_ms, key));
        // What has been replaced or completed is in the order still.
        if self.order.len() > 2 * limits::HANDSHAKES {
            self.order.retain(|(_, key)| self.table.contains_key(key));
        }
    }

    /// How many are in progress.
    #[cfg(any(test, feature = "sim"))]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// When there is something to forget.
    pub fn deadline(&self) -> Option<u64> {
        self.order.front().map(|(until_ms, _)| *until_ms).into_iter().chain(self.unknown.deadline()).min()
    }

    pub fn tick(&mut self, now_ms: u64) {
        self.forget(now_ms);
        self.unknown.forget(now_ms);
    }

    /// The link of a handshake that this packet may complete, and the prefix of the address that has read the welcome.
    pub fn complete(&mut self, now_ms: u64, key: SessionKey, from: Endpoint) -> Option<(Box<Channel>, Prefix)> {
        let handshake = self.table.get(&key).filter(|one| one.until_ms > now_ms)?;
        let mut link = Link::new(Side::Server, key.number, key.session, handshake.keys);
        link.narrow();
        // Whoever has the keys has read the welcome, which went to the address of the hello. Its first packet can come from
        // elsewhere: somebody between may have sent a copy of it.
        let there = handshake.from == from || from.connection().is_some();
        let path = if there { Path::proven(Some(from)) } else { Path::unknown() };
        Some((Channel::new(link, path, now_ms, 0), handshake.from.prefix()))
    }

    /// It was completed.
    pub fn completed(&mut self, key: SessionKey) {
        self.remove(key);
    }
}

/// Random bytes.
pub(super) fn random<const N: usize>(chance: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    chance.fill_bytes(&mut bytes);
    bytes
}

impl Shard {
    /// A hello: the address learns the server's key, gets a cookie, or gets a welcome; never more bytes than it has sent.
    pub(super) fn hello(&mut self, cx: &mut Cx<'_>, from: Endpoint, number: u32, cookie: &[u8], noise: &[u8]) {
        let now_ms = cx.now.mono_ms;
        self.counters.hellos += 1;
        if self.is_barred(cx, from) {
            return;
        }
        self.handshakes.forget(now_ms);
        let user = (limits::FIRST_USER..=limits::LAST_USER).contains(&number) || number >= limits::FIRST_GUEST;
        if !user {
            self.counters.malformed += 1;
            return;
        }
        if noise.is_empty() {
            let noise = self.handshakes.key.public;
            return send_packet(cx.out, from, &Packet::Welcome { number, noise: &noise });
        }
        let prefix = from.prefix();
        let pressed = self.handshakes.always_retry || self.handshakes.shares.is_crowded(prefix);
        // The other end of a connection is where it says.
        if pressed && from.connection().is_none() && !self.handshakes.cookies.check(from.address(), number, cookie) {
            self.counters.retries += 1;
            let cookie = self.handshakes.cookies.make(from.address(), number);
            return send_packet(cx.out, from, &Packet::Retry { number, cookie: &cookie });
        }
        let key = loop {
            let session = self.handshakes.chance.next_u32() | super::signin::LINK_SESSION;
            let key = SessionKey { number, session };
            if !self.handshakes.table.contains_key(&key) && self.channel(key).is_none() {
                break key;
            }
        };
        let offer = Offer {
            session: key.session,
            idle_secs: limits::IDLE.as_secs() as u16,
            largest_datagram: limits::DATAGRAM_BYTES as u16,
        };
        let ephemeral = random(&mut self.handshakes.chance);
        match respond(&self.handshakes.key, number, noise, ephemeral, offer) {
            Ok((noise, keys)) => {
                // One that is replaced says hello again.
                if let Room::Replaces(oldest) = self.handshakes.shares.room(prefix) {
                    self.counters.replaced += 1;
                    self.handshakes.remove(oldest);
                }
                self.handshakes.insert(now_ms, key, keys, from);
                send_packet(cx.out, from, &Packet::Welcome { number, noise: &noise });
            }
            Err(_) => self.counters.forged += 1,
        }
    }

    /// There is no such session.
    pub(super) fn unknown_session(&mut self, cx: &mut Cx<'_>, from: Endpoint, key: SessionKey) {
        self.counters.unknown += 1;
        if self.may_answer(cx.now.mono_ms, from) {
            send_packet(cx.out, from, &Packet::Unknown { number: key.number, session: key.session });
        }
    }

    /// Whether this address may be told now that its packets cannot be read: one prefix is, ten times a second at most
    /// (protocol.md 2.2, 2.5).
    pub(super) fn may_answer(&mut self, now_ms: u64, from: Endpoint) -> bool {
        let (unknown, prefix) = (&mut self.handshakes.unknown, from.prefix());
        // Each shard has its part of the budget.
        let budget = (limits::UNKNOWN_PER_WINDOW / self.territory.shards).max(1);
        let may = !unknown.is_over(now_ms, prefix, budget);
        if may {
            unknown.add(now_ms, prefix);
        }
        may
    }
}

impl Cx<'_> {
    /// Tells the client of a kept link that the server has started anew.
    pub(super) fn send_resume(&mut self, to: Endpoint, link: &Link) -> bool {
        let start = self.out.bytes.len();
        let kept = link.write_resume(&mut self.out.bytes);
        if kept {
            let length = (self.out.bytes.len() - start) as u32;
            self.out.sends.push(Send { to, start: start as u32, length });
        }
        kept
    }
}

fn send_packet(out: &mut Outbox, to: Endpoint, packet: &Packet<'_>) {
    let start = out.bytes.len();
    packet.encode(&mut out.bytes);
    out.sends.push(Send { to, start: start as u32, length: (out.bytes.len() - start) as u32 });
}
