//! A link as a shard keeps it: where the peer is, what waits to go out, and when to look at it again.

use super::Cx;
use super::custody::Custody;
use super::endpoint::Endpoint;
use super::io::{Outbox, Send};
use super::wheel::{SessionKey, Wheel};
use crate::limits::DATAGRAM_BYTES;
use crate::link::{Ciphers, CloseCode, Link};
use crate::wire::Server;
use std::hint::black_box;
use std::net::SocketAddr;

/// The least that a path must take before it is worth sending anything: a packet with an ack alone.
const LEAST_BYTES: usize = 64;
/// How long to wait before a path that takes nothing is looked at again.
const BLOCKED_MS: u64 = 250;

/// A link and what belongs to it.
pub(super) struct Channel {
    pub link: Link,
    pub path: Path,
    /// Messages that this user was sent and has not acknowledged; none while the link rests.
    pub custody: Option<Box<Custody>>,
    /// The latest message of the mailbox that was sent in this session.
    pub mail_sent: u64,
    /// When a timer is set for it; 0 while none is.
    timer_ms: u64,
    /// When its address was last written to the store, in seconds of the shard's clock.
    pub saved_secs: u32,
    /// When it began, in minutes of the shard's clock; before that clock began if the server has started since.
    born_mins: u16,
    /// It has another one since.
    pub unsaved: bool,
    touched: bool,
}

/// Where the peer is, and how much may be sent there.
#[derive(Debug)]
pub(super) struct Path {
    /// `None` after a restart, until the peer is heard of.
    pub endpoint: Option<Endpoint>,
    /// An address that has not shown that it receives what is sent there gets no more bytes than have come from it.
    credit: u32,
    used: bool,
}

/// The credit of an address that needs none.
const PROVEN: u32 = u32::MAX;

impl Path {
    /// A path whose peer has received something there: it was in the handshake.
    pub fn proven(endpoint: Option<Endpoint>) -> Self {
        Self { endpoint, credit: PROVEN, used: false }
    }

    /// A path whose peer has been heard of there and may not be there: nothing is sent before its packet is counted.
    pub fn unproven(endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), credit: 0, used: false }
    }

    /// Where the peer can be reached after a restart: an address that has proven nothing is not kept.
    pub fn proven_address(&self) -> Option<(SocketAddr, u16)> {
        let endpoint = self.endpoint.filter(|_| self.credit == PROVEN)?;
        Some((endpoint.address(), endpoint.listener()?))
    }

    /// A genuine packet, the newest so far, came from here; whether that is somewhere else than before.
    pub fn heard(&mut self, from: Endpoint, bytes: usize) -> bool {
        if self.endpoint == Some(from) {
            // Something was sent here, and the peer goes on from here: it is there. Only who has the keys could pretend that.
            self.credit = if self.used { PROVEN } else { self.credit.saturating_add(bytes as u32) };
            return false;
        }
        // Another port of the same machine, a connection, and this machine itself need no proof.
        let same_ip = self.endpoint.is_some_and(|before| before.ip() == from.ip()) && self.credit == PROVEN;
        let proven = same_ip || from.connection().is_some() || from.is_loopback();
        *self = Self { endpoint: Some(from), credit: if proven { PROVEN } else { bytes as u32 }, used: false };
        true
    }

    /// How many bytes may be sent there now.
    fn room(&self) -> usize {
        (self.credit as usize).min(DATAGRAM_BYTES)
    }

    fn sent(&mut self, bytes: usize) {
        self.used = true;
        if self.credit != PROVEN {
            self.credit = self.credit.saturating_sub(bytes as u32);
        }
    }
}

impl Channel {
    /// A link that is so old.
    pub fn new(link: Link, path: Path, now_ms: u64, age_mins: u16) -> Box<Self> {
        Box::new(Self {
            link,
            path,
            custody: None,
            mail_sent: 0,
            timer_ms: 0,
            saved_secs: 0,
            born_mins: minutes(now_ms).wrapping_sub(age_mins),
            unsaved: false,
            touched: false,
        })
    }

    /// How old it is, in minutes.
    pub fn age_mins(&self, now_ms: u64) -> u16 {
        minutes(now_ms).wrapping_sub(self.born_mins)
    }

    /// Whose it is, and which.
    pub fn key(&self) -> SessionKey {
        SessionKey { number: self.link.number(), session: self.link.session() }
    }

    /// Queues a frame for the peer, and gives its place for [`Link::has_arrived`].
    pub fn send(&mut self, cx: &mut Cx<'_>, frame: &Server<'_>) -> u32 {
        let mut bytes = std::mem::take(&mut cx.out.scratch);
        bytes.clear();
        frame.encode(&mut bytes);
        let place = self.send_encoded(cx, &bytes);
        cx.out.scratch = bytes;
        place
    }

    /// The same with a frame that is encoded already.
    pub fn send_encoded(&mut self, cx: &mut Cx<'_>, frame: &[u8]) -> u32 {
        self.touch(cx);
        self.link.send(frame)
    }

    /// Sends a frame once, outside the order.
    pub fn send_loose(&mut self, cx: &mut Cx<'_>, frame: &Server<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.touch(cx);
        self.link.send_loose(&bytes);
    }

    /// Says farewell.
    pub fn close(&mut self, cx: &mut Cx<'_>, code: CloseCode, reason: &str) {
        self.touch(cx);
        self.link.close(code, reason);
    }

    /// It is looked at when all inputs of this turn are handled.
    #[inline]
    pub fn touch(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.touched, true) {
            cx.out.touched.push(self.key());
        }
    }

    /// Sends what is to go out now, and sets the timer for what comes later.
    pub fn flush(&mut self, now_ms: u64, ciphers: &mut Ciphers, wheel: &mut Wheel, out: &mut Outbox) {
        self.touched = false;
        loop {
            let (start, room) = (out.bytes.len(), self.path.room());
            if room < LEAST_BYTES || !self.link.poll_within(now_ms, room, ciphers, &mut out.bytes) {
                break;
            }
            match self.path.endpoint {
                Some(to) => {
                    let length = out.bytes.len() - start;
                    self.path.sent(length);
                    out.sends.push(Send { to, start: start as u32, length: length as u32 });
                }
                // It is as good as lost, and will be sent again.
                None => out.bytes.truncate(start),
            }
        }
        self.set_timer(now_ms, wheel);
    }

    fn deadline(&self) -> Option<u64> {
        let custody = self.custody.as_ref().and_then(|custody| custody.deadline());
        [self.link.deadline(), custody].into_iter().flatten().min()
    }

    fn set_timer(&mut self, now_ms: u64, wheel: &mut Wheel) {
        let Some(due) = self.deadline() else {
            if self.timer_ms == 0 {
                self.rest();
            }
            return;
        };
        // What is to go out now and has not gone is too long for what the path takes.
        let blocked = due == 0 || self.path.room() < LEAST_BYTES;
        let due = due.max(now_ms + if blocked { BLOCKED_MS } else { 1 });
        if self.timer_ms == 0 || due < self.timer_ms {
            self.timer_ms = due;
            wheel.soon(due, self.key());
        }
    }

    /// Nothing goes on, and nothing has for as long as the last timer ran: memory for it is given back. Not sooner, so that
    /// a link in use need not ask for it with each message.
    fn rest(&mut self) {
        self.link.rest();
        if self.custody.as_ref().is_some_and(|custody| custody.is_empty()) {
            self.custody = None;
        }
    }

    /// Its timer has run. False if it was for nothing, and the next one is set.
    pub fn timer_ran(&mut self, now_ms: u64, wheel: &mut Wheel) -> bool {
        if self.timer_ms <= now_ms {
            self.timer_ms = 0;
        }
        if self.touched || self.deadline().is_some_and(|due| due <= now_ms) {
            return true;
        }
        self.set_timer(now_ms, wheel);
        false
    }

    /// Reads a little of each part: see [`expect`](super::Shard::expect).
    pub fn expect(&self) {
        self.link.expect();
        black_box((self.path.credit, self.timer_ms, self.saved_secs));
    }
}

/// The lower half of the clock's minutes: it turns around after 45 days, and no session becomes that old.
fn minutes(now_ms: u64) -> u16 {
    (now_ms / 60_000) as u16
}
