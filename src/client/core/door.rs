//! The client's side of the door (protocol.md 2.2): hello with back-off, retry, welcome; the key is learnt where none is
//! known.

use crate::link::{Established, Initiator, Packet};

/// The first pause before a hello is repeated; each later one is twice as long,
const FIRST_PAUSE_MS: u64 = 500;
/// up to this.
const LONGEST_PAUSE_MS: u64 = 8_000;
/// Hellos without an answer after which each is followed by a question for the key: a server with another key cannot
/// read the hello, and so says nothing to it.
const HELLOS_BEFORE_QUESTION: u32 = 3;
/// Retries that are followed at once; nothing proves them, so more than that wait for the pause.
const QUICK_RETRIES: u32 = 8;
/// Longest cookie: the server's has 16 bytes.
const COOKIE_BYTES: usize = 64;

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Door {
    number: u32,
    key: Option<[u8; 32]>,
    /// `None` while the key is being learnt.
    handshake: Option<Initiator>,
    cookie: Vec<u8>,
    hellos: u32,
    retries: u32,
    next_at: u64,
    /// A question for the key follows the hello.
    question: bool,
}

/// What a welcome brings.
#[derive(Debug)]
pub(super) enum Welcome {
    /// Nothing that is of use.
    Nothing,
    /// The server's key; nothing proves it yet.
    Key([u8; 32]),
    /// A key that is not the one that is known.
    OtherKey([u8; 32]),
    /// It stands.
    Open(Established),
    /// It does not fit: begin anew.
    Broken,
}

impl Door {
    /// Begins now.
    pub(super) fn new(now: u64, number: u32, key: Option<[u8; 32]>, ephemeral: [u8; 32]) -> Self {
        let mut door = Self {
            number,
            key: None,
            handshake: None,
            cookie: Vec::new(),
            hellos: 0,
            retries: 0,
            next_at: now,
            question: false,
        };
        door.begin(key, ephemeral);
        door
    }

    /// Begins the handshake with this key; the time of the next hello stays.
    pub(super) fn begin(&mut self, key: Option<[u8; 32]>, ephemeral: [u8; 32]) {
        // A key that Noise does not take is as good as none: the right one is asked for.
        self.handshake = key.and_then(|key| Initiator::new(self.number, &key, ephemeral).ok());
        self.key = key.filter(|_| self.handshake.is_some());
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Says hello at once: the way has changed, or the key has just been learnt.
    pub(super) fn hurry(&mut self, now: u64) {
        (self.hellos, self.next_at) = (0, now);
    }

    /// Appends a packet, if one is to go out now.
    pub(super) fn poll(&mut self, now: u64, out: &mut Vec<u8>) -> bool {
        let number = self.number;
        if std::mem::take(&mut self.question) {
            Packet::Hello { number, cookie: &self.cookie, noise: &[] }.encode(out);
            return true;
        }
        if now < self.next_at {
            return false;
        }
        let noise = self.handshake.as_ref().map_or(&[][..], Initiator::message);
        Packet::Hello { number, cookie: &self.cookie, noise }.encode(out);
        self.next_at = now + (FIRST_PAUSE_MS << self.hellos.min(10)).min(LONGEST_PAUSE_MS);
        self.hellos += 1;
        self.question = self.handshake.is_some() && self.hellos >= HELLOS_BEFORE_QUESTION;
        true
    }

    pub(super) fn deadline(&self) -> u64 {
        if self.question { 0 } else { self.next_at }
    }

    pub(super) fn retry(&mut self, now: u64, cookie: &[u8]) {
        if cookie.len() > COOKIE_BYTES || cookie == self.cookie {
            return;
        }
        self.cookie = cookie.to_vec();
        if self.retries < QUICK_RETRIES {
            self.retries += 1;
            // That hello was not lost.
            self.hellos = self.hellos.saturating_sub(1);
            self.next_at = now;
        }
    }

    pub(super) fn welcome(&mut self, noise: &[u8]) -> Welcome {
        match (<[u8; 32]>::try_from(noise), &mut self.handshake) {
            (Ok(key), None) => Welcome::Key(key),
            (Ok(key), Some(_)) if self.key == Some(key) => Welcome::Nothing,
            (Ok(key), Some(_)) => Welcome::OtherKey(key),
            (Err(_), None) => Welcome::Nothing,
            (Err(_), Some(handshake)) => handshake.finish(noise).map_or(Welcome::Broken, Welcome::Open),
        }
    }
}
