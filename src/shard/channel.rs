//! A link as a shard keeps it: where the peer is, what waits to go out, and when to look at it again.

use super::Cx;
use super::custody::Custody;
use super::io::{Outbox, Send};
use super::path::Path;
use super::wheel::{SessionKey, Wheel};
use crate::limits::CHALLENGE_PACKET_BYTES;
use crate::link::{Ciphers, CloseCode, Link};
use crate::wire::Server;
use std::hint::black_box;

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
        if self.path.gives_up(now_ms) {
            self.link.path_changed(now_ms);
            self.link.confine(false);
        }
        let mut start = out.bytes.len();
        if self.path.is_proven() {
            while self.link.poll(now_ms, ciphers, &mut out.bytes) {
                self.send_packet(start, out);
                start = out.bytes.len();
            }
        } else {
            self.challenge(now_ms, ciphers, out);
        }
        self.set_timer(now_ms, wheel);
    }

    /// One packet to an address that has yet to prove itself, if there is something to say and enough has come from there.
    #[cold]
    fn challenge(&mut self, now_ms: u64, ciphers: &mut Ciphers, out: &mut Outbox) {
        let Some((nonce, room, due)) = self.path.challenge() else { return };
        if room < CHALLENGE_PACKET_BYTES || !(due || self.link.has_answer(now_ms)) {
            return;
        }
        let start = out.bytes.len();
        self.link.poll_unproven(now_ms, room, nonce, ciphers, &mut out.bytes);
        self.path.challenged(out.bytes.len() - start);
        self.send_packet(start, out);
    }

    /// Hands over the packet that begins here.
    fn send_packet(&self, start: usize, out: &mut Outbox) {
        match self.path.endpoint() {
            Some(to) => out.sends.push(Send { to, start: start as u32, length: (out.bytes.len() - start) as u32 }),
            // It is as good as lost, and will be sent again.
            None => out.bytes.truncate(start),
        }
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
        // What is to go out now and has not gone waits for the address to prove itself.
        let blocked = due == 0 || !self.path.is_proven();
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
        black_box((self.path.is_proven(), self.timer_ms, self.saved_secs));
    }
}

/// The lower half of the clock's minutes: it turns around after 45 days, and no session becomes that old.
fn minutes(now_ms: u64) -> u16 {
    (now_ms / 60_000) as u16
}
