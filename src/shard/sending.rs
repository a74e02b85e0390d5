//! Frames to users: replies, notices, and the words of the server.

use super::endpoint::Endpoint;
use super::io::Send;
use super::messages::{Kind, MESSAGE};
use super::notice::{Code, Refused};
use super::user::{Asker, Session};
use super::way::{Origin, Way};
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::wire::Server;

/// Bytes of an answer that is worth a timer of its own to be freed.
const LONG_REPLY: usize = 512;
/// Between two repetitions of a long answer to an address that may be forged.
const LONG_REPEAT_MS: u64 = 1_000;

/// 0x03 from the system, and from a user (protocol.md 1.6).
pub(super) const SYSTEM: u8 = 1;
pub(super) const USER: u8 = 2;

impl Cx<'_> {
    /// Sends a frame.
    pub fn send(&mut self, to: Endpoint, frame: &Server<'_>) -> Send {
        let start = self.out.bytes.len();
        frame.encode(&mut self.out.bytes);
        let send = Send { to, start: start as u32, length: (self.out.bytes.len() - start) as u32 };
        self.out.sends.push(send);
        send
    }

    /// Sends frames that are encoded already, one after the other.
    pub fn send_encoded(&mut self, to: Endpoint, mut frames: &[u8]) {
        while let Some(length) = crate::wire::stream_frame_bytes(frames).expect("our own frames") {
            let (frame, rest) = frames.split_at(length);
            let start = self.out.bytes.len() as u32;
            self.out.bytes.extend_from_slice(frame);
            self.out.sends.push(Send { to, start, length: length as u32 });
            frames = rest;
        }
    }
}

impl Shard {
    pub(super) fn session(&self, number: u32) -> Option<&Session> {
        self.users.get(&number)?.session.as_ref()
    }

    pub(super) fn session_mut(&mut self, number: u32) -> Option<&mut Session> {
        self.users.get_mut(&number)?.session.as_mut()
    }

    /// The session that asked, if it still is there.
    pub(super) fn asking(&mut self, asker: Asker) -> Option<&mut Session> {
        self.session_mut(asker.number).filter(|session| session.id == asker.session)
    }

    /// Answers a request, and keeps the answer for a repeat while that request is the latest.
    pub(super) fn reply(&mut self, cx: &mut Cx<'_>, asker: Asker, frame: &Server<'_>) {
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.asking(asker) else { return };
        let endpoint = match &mut session.way {
            Way::Bare(endpoint) => **endpoint,
            Way::Link(channel) => {
                channel.send(cx, frame);
                return;
            }
        };
        let send = cx.send(endpoint, frame);
        let Some(latest) = session.latest.as_mut().filter(|latest| latest.serial == asker.serial) else { return };
        latest.reply.extend_from_slice(cx.out.frame(&send));
        if latest.reply.len() > LONG_REPLY {
            // A long answer is not kept longer than it can be asked for again.
            let key = SessionKey { number: asker.number, session: asker.session };
            self.wheel.soon(now_ms + limits::REPEAT.as_millis() as u64 + 1, key);
        }
    }

    /// Gives a repeat its answer again. Over UDP from elsewhere a long one goes out once a second at most: the sender's
    /// address may be forged.
    pub(super) fn reply_again(&mut self, cx: &mut Cx<'_>, number: u32, bytes: usize) {
        self.counters.repeats += 1;
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.session_mut(number) else { return };
        let Some(endpoint) = session.way.bare() else { return };
        let proven = endpoint.is_loopback() || endpoint.connection().is_some();
        let Some(latest) = &mut session.latest else { return };
        if proven || latest.reply.len() <= bytes || now_ms >= latest.repeated_ms + LONG_REPEAT_MS {
            latest.repeated_ms = now_ms;
            cx.send_encoded(endpoint, &latest.reply);
        }
    }

    /// Frees the answer to a request that can be repeated no more.
    pub(super) fn forget_latest(&mut self, now_ms: u64, key: SessionKey) {
        let session = self.session_mut(key.number).filter(|session| session.id == key.session);
        if let Some(session) = session
            && session.latest.as_ref().is_some_and(|latest| latest.is_over(now_ms))
        {
            session.latest = None;
        }
    }

    /// Tells that a request was not done: its reply with ok 0, if it has one, then the reason.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, asker: Asker, why: &Refused) {
        self.counters.refused += 1;
        if let Some(frame) = asker.failed() {
            self.reply(cx, asker, &frame);
        }
        if self.asking(asker).is_some_and(|session| session.way.link().is_some()) {
            return self.reply(cx, asker, &why.notice(asker.request));
        }
        self.reply(cx, asker, &words(&why.text));
    }

    /// Tells where a request came from, signed in or not, that it was not done. An address that may be forged is told
    /// nothing: it gets no more bytes than it has sent.
    pub(super) fn notice_to(&mut self, cx: &mut Cx<'_>, origin: Origin, about: u8, why: &Refused) {
        match origin {
            Origin::Link(_) => self.send_to(cx, origin, &why.notice(about)),
            Origin::Bare(from) if from.is_loopback() || from.connection().is_some() => {
                cx.send(from, &words(&why.text));
            }
            Origin::Bare(_) => {}
        }
    }

    /// Tells a user of this shard, if online, that something asked for earlier was not done.
    pub(super) fn notice_words(&mut self, cx: &mut Cx<'_>, to: u32, about: u8, code: u8, text: &str) {
        let transient = code == Code::Busy as u8 || code == Code::StorageFailed as u8;
        if about == MESSAGE && transient && !self.may_say_not_now(cx.now.mono_ms, to) {
            return;
        }
        let Some(session) = self.session_mut(to) else { return };
        match &mut session.way {
            // A classic session gets the words alone (protocol.md 1.8).
            Way::Bare(endpoint) => drop(cx.send(**endpoint, &words(text))),
            Way::Link(channel) => {
                channel.send(cx, &Server::Notice { about, code, text });
            }
        }
        self.counters.refused += 1;
    }

    /// The same for a user of any shard.
    pub(super) fn notice(&mut self, cx: &mut Cx<'_>, to: u32, about: u8, why: &Refused) {
        if self.territory.owns(to) {
            self.notice_words(cx, to, about, why.code as u8, &why.text);
        } else {
            let notice = super::Peer::Notice { about, code: why.code as u8, text: why.text.as_str().into() };
            cx.out.peers.push((to, notice));
        }
    }

    /// Words of the server to everyone online here.
    pub(super) fn announce(&mut self, cx: &mut Cx<'_>, text: &str) {
        let mut first = None;
        for session in self.users.values_mut().filter_map(|user| user.session.as_mut()) {
            session.way.send_copy(cx, &mut first, &words(text));
            self.counters.announced += 1;
        }
    }
}

impl Refused {
    /// As the link tells it (protocol.md 3.2).
    pub fn notice(&self, about: u8) -> Server<'_> {
        Server::Notice { about, code: self.code as u8, text: &self.text }
    }
}

/// Words of the server itself.
pub(super) fn words(text: &str) -> Server<'_> {
    Server::Message { flag: SYSTEM, sender: 0, text, kind: Kind::Words as u8, id: None, time: None }
}
