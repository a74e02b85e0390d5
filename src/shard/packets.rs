//! A packet of the link comes in (protocol.md 2): whose it is, where the peer is now, and which frames it brings.

use super::apart::Role;
use super::channel::Channel;
use super::endpoint::Endpoint;
use super::files::Which;
use super::notice::{Code, Refused};
use super::path::Heard;
use super::registration::SignUp;
use super::requests::{sender, subject};
use super::user::{Asker, Session};
use super::waiting::Fate;
use super::way::{Origin, Way, find};
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::link::{Arrival, CloseCode, Dropped, Packet, Side};
use crate::store::{Change, Request};
use crate::wire::{Dialect, Fault, Server, User, WireError, word_at_eight};
use rand_chacha::rand_core::Rng;

impl Shard {
    /// A whole packet: a datagram, or what was cut from a stream.
    pub(super) fn packet(&mut self, cx: &mut Cx<'_>, from: Endpoint, bytes: &mut [u8]) {
        match Packet::decode(bytes, Side::Client) {
            Ok(Packet::Hello { number, cookie, noise }) => self.hello(cx, from, number, cookie, noise),
            Ok(Packet::Data { number, session, .. }) => self.data(cx, from, SessionKey { number, session }, bytes),
            // Of every version the number is where it is of ours, and a hello is longer than its answer.
            Err(WireError { fault: Fault::Version, .. }) => {
                let number = word_at_eight(bytes).unwrap_or_default();
                self.unknown_session(cx, from, SessionKey { number, session: 0 });
            }
            _ => {
                self.counters.malformed += 1;
                super::requests::close_stream(cx, from);
            }
        }
    }

    fn data(&mut self, cx: &mut Cx<'_>, from: Endpoint, key: SessionKey, packet: &mut [u8]) {
        if !self.apart.is_empty() && self.holds_enough(key) {
            // Unopened, so it is not acknowledged, and comes again when there is room.
            self.counters.unopened += 1;
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        let length = packet.len();
        match self.open(cx, key, from, packet, &mut frames) {
            Some(Ok(arrival)) => self.arrived(cx, from, key, length, arrival, &frames),
            Some(Err(Dropped::Malformed)) => {
                self.counters.malformed += 1;
                self.end_link(cx, key, CloseCode::ProtocolError, "a packet could not be read");
            }
            Some(Err(Dropped::Seen)) => {
                self.counters.replayed += 1;
                self.answer_unread(cx, from, key, packet);
            }
            Some(Err(Dropped::Forged | Dropped::NotMine)) => {
                self.counters.forged += 1;
                self.answer_unread(cx, from, key, packet);
            }
            None => self.unknown_session(cx, from, key),
        }
        frames.clear();
        self.frames = frames;
    }

    /// Whether the frames of this link that wait for the store are as many as may wait.
    fn holds_enough(&self, key: SessionKey) -> bool {
        match self.apart.get(&key) {
            Some(apart) if apart.role == Role::Entering => self.attempt_holds_enough(key),
            Some(apart) => apart.holds_enough(),
            None => false,
        }
    }

    /// Opens a packet with the link that it is for; `None` if there is none.
    fn open(
        &mut self,
        cx: &Cx<'_>,
        key: SessionKey,
        from: Endpoint,
        packet: &mut [u8],
        frames: &mut crate::link::Frames,
    ) -> Option<Result<Arrival, Dropped>> {
        let now_ms = cx.now.mono_ms;
        if let Some(channel) = find(&mut self.users, &mut self.apart, key) {
            Some(channel.link.receive(now_ms, packet, &mut self.ciphers, frames))
        } else if let Some((mut channel, prefix)) = self.handshakes.complete(now_ms, key, from) {
            // The first valid packet makes a session of the handshake.
            let opened = channel.link.receive(now_ms, packet, &mut self.ciphers, frames);
            if opened.is_ok() && self.begin_link(now_ms, channel, prefix) {
                self.handshakes.completed(key);
                self.counters.handshakes += 1;
                Some(opened)
            } else {
                frames.clear();
                Some(Err(opened.err().unwrap_or(Dropped::NotMine)))
            }
        } else {
            None
        }
    }

    /// A genuine packet has come.
    fn arrived(
        &mut self,
        cx: &mut Cx<'_>,
        from: Endpoint,
        key: SessionKey,
        length: usize,
        arrival: Arrival,
        frames: &crate::link::Frames,
    ) {
        let now_ms = cx.now.mono_ms;
        let session = self.users.get_mut(&key.number).and_then(|user| user.session.as_mut());
        let (live, channel) = match session.filter(|session| session.id == key.session) {
            Some(Session { way: Way::Link(channel), heard_ms, .. }) => {
                *heard_ms = now_ms as u32;
                (true, channel)
            }
            _ => match self.apart.get_mut(&key) {
                Some(apart) => (false, &mut apart.channel),
                None => return,
            },
        };
        channel.touch(cx);
        if channel.path.endpoint() != Some(from) && self.bans.of_address(from.ip(), cx.now.unix_ms).is_some() {
            // The session does not move there: somebody between could have sent a copy of a packet from a banned address.
            return;
        }
        let first = channel.path.endpoint().is_none();
        let chance = &mut self.handshakes.chance;
        let heard =
            if arrival.newest { channel.path.heard(now_ms, from, length, || chance.next_u64()) } else { Heard::There };
        if heard != Heard::There {
            channel.link.path_changed(now_ms);
            channel.link.confine(heard == Heard::Nowhere);
            self.counters.moved += u64::from(!first);
        }
        let proven = arrival.response.is_some_and(|nonce| channel.path.answered(from, nonce));
        if proven {
            channel.link.confine(false);
            // A packet without a challenge says so.
            channel.link.want_ack();
        }
        channel.unsaved |= proven || heard == Heard::Elsewhere;
        if channel.unsaved {
            self.save_address(cx, key);
        }
        if let Some(close) = arrival.close {
            let code = if close.code == CloseCode::SignedOut as u8 { CloseCode::SignedOut } else { CloseCode::Idle };
            return self.end_link(cx, key, code, "closed by the user's program");
        }
        if live {
            for frame in frames.iter() {
                if frame.loose { self.loose_frame(cx, key, frame.bytes) } else { self.link_frame(cx, key, frame.bytes) }
            }
            if arrival.progress || proven || heard == Heard::Elsewhere {
                self.link_progress(cx, key);
            }
            return;
        }
        let Some(apart) = self.apart.get_mut(&key) else { return };
        if apart.role != Role::Entering {
            apart.heard_ms = now_ms;
        }
        match apart.role {
            Role::Entering => {
                for frame in frames.iter().filter(|frame| !frame.loose) {
                    self.link_frame(cx, key, frame.bytes);
                }
            }
            Role::Kept { .. } => {
                self.wake(cx, key);
                for frame in frames.iter().filter(|frame| !frame.loose) {
                    self.link_frame(cx, key, frame.bytes);
                }
                for frame in frames.iter().filter(|frame| frame.loose) {
                    self.loose_frame(cx, key, frame.bytes);
                }
            }
            Role::Leaving { .. } => self.say_farewell(cx, key),
        }
    }

    /// A data packet was not sealed for this start of the server. If the session was kept over it, the peer may not know of
    /// it yet: it is told, where the packet came from, and nothing about the session changes (protocol.md 2.5).
    fn answer_unread(&mut self, cx: &mut Cx<'_>, from: Endpoint, key: SessionKey, packet: &[u8]) {
        let kept = |channel: &mut Channel| channel.link.is_kept();
        if packet.len() < limits::RESUME_BYTES
            || !find(&mut self.users, &mut self.apart, key).is_some_and(kept)
            || !self.may_answer(cx.now.mono_ms, from)
        {
            return;
        }
        if let Some(channel) = find(&mut self.users, &mut self.apart, key)
            && cx.send_resume(from, &channel.link)
        {
            self.counters.resumes += 1;
        }
    }

    /// Tells the store where the peer is, now and then, so that a restarted server knows where to knock.
    fn save_address(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_secs = (cx.now.mono_ms / 1_000) as u32;
        if !self.linked_session(key) {
            return;
        }
        let Some(channel) = self.channel(key) else { return };
        let due = u64::from(now_secs.wrapping_sub(channel.saved_secs)) >= limits::SAVE_ADDRESS.as_secs();
        let Some(address) = channel.path.proven_address().filter(|_| due) else { return };
        (channel.saved_secs, channel.unsaved) = (now_secs, false);
        let (number, session) = (key.number, key.session);
        let change = Change::SetSessionAddress { number, session, address: Some(address) };
        self.ask_store(cx, Request::Commit(vec![change]), super::pending::Pending::Nothing);
    }

    /// Whether this link carries a session.
    pub(super) fn linked_session(&self, key: SessionKey) -> bool {
        self.session(key.number).is_some_and(|session| session.id == key.session && session.way.link().is_some())
    }

    /// Ends a link, and the session that it carries.
    pub(super) fn end_link(&mut self, cx: &mut Cx<'_>, key: SessionKey, code: CloseCode, reason: &str) {
        if self.linked_session(key) {
            self.end_session_with(cx, key.number, code, reason);
        } else {
            self.end_apart(cx, key, code, reason);
        }
    }

    /// A frame that came outside the order: a connection test.
    fn loose_frame(&mut self, cx: &mut Cx<'_>, key: SessionKey, bytes: &[u8]) {
        if let Ok(User::Test { me }) = User::decode(bytes, Dialect::Link)
            && me == key.number
            && let Some(channel) = self.channel(key)
        {
            channel.send_loose(cx, &Server::TestReply { me });
        }
    }

    /// A frame in its order.
    pub(super) fn link_frame(&mut self, cx: &mut Cx<'_>, key: SessionKey, bytes: &[u8]) {
        if self.linked_session(key) {
            return self.session_link_frame(cx, key, bytes);
        }
        match self.apart.get(&key).map(|apart| apart.role) {
            Some(Role::Entering) => self.first_frame(cx, key, bytes),
            Some(Role::Kept { .. }) => self.hold_for_wake(key, bytes),
            _ => {}
        }
    }

    /// Nothing but a registration or a sign-in is taken before a session (protocol.md 2.6).
    fn first_frame(&mut self, cx: &mut Cx<'_>, key: SessionKey, bytes: &[u8]) {
        let origin = Origin::Link(key);
        let request = match User::decode(bytes, Dialect::Link) {
            Ok(request) => request,
            Err(error) => return self.unreadable(cx, key, bytes, error),
        };
        let number = if matches!(request, User::Register { .. }) { 0 } else { key.number };
        if matches!(request, User::Register { .. } | User::SignIn { .. }) && self.refuse_banned(cx, origin, number) {
            return;
        }
        match request {
            User::Register { profile, reach, details, invite } if key.number >= limits::FIRST_GUEST => {
                self.register(
                    cx,
                    origin,
                    &SignUp { profile, reach, details, invite: invite.unwrap_or_default() },
                    bytes,
                );
            }
            User::SignIn { me, password, mode, token } if me == key.number => {
                self.sign_in(cx, origin, me, password, token.unwrap_or(""), mode, bytes);
            }
            User::SignIn { .. } => self.sign_in_refused(cx, origin, key.number, Some(&Refused::not_your_number())),
            User::Register { .. } => {
                self.send_to(cx, origin, &Server::Registered { ok: 0, number: 0 });
                let why = Refused::new(Code::NotPermitted, "a new user registers with a guest number");
                self.notice_to(cx, origin, request.kind(), &why);
            }
            _ if self.hold_frame(key.number, origin, bytes) => {}
            _ => self.notice_to(cx, origin, request.kind(), &Refused::new(Code::NotSignedIn, "sign in first")),
        }
    }

    /// A frame of somebody who is signed in.
    fn session_link_frame(&mut self, cx: &mut Cx<'_>, key: SessionKey, bytes: &[u8]) {
        let request = User::decode(bytes, Dialect::Link);
        if self.spend_on_link(cx, key, &request, bytes) == Fate::Handled {
            self.paid_link_frame(cx, key, request, bytes);
        }
    }

    /// A frame that has waited for its budget.
    pub(super) fn link_frame_again(&mut self, cx: &mut Cx<'_>, key: SessionKey, bytes: &[u8]) {
        self.paid_link_frame(cx, key, User::decode(bytes, Dialect::Link), bytes);
    }

    fn paid_link_frame(
        &mut self,
        cx: &mut Cx<'_>,
        key: SessionKey,
        request: Result<User<'_>, WireError>,
        bytes: &[u8],
    ) {
        let request = match request {
            Ok(request) => request,
            Err(error) => return self.unreadable(cx, key, bytes, error),
        };
        let (me, origin) = (key.number, Origin::Link(key));
        if !matches!(request, User::Register { .. }) && sender(&request) != me {
            self.counters.foreign += 1;
            return self.refuse_foreign(cx, key, &request);
        }
        match request {
            User::Message { to, text, id, .. } => return self.message(cx, me, to, text, id),
            User::Broadcast { group, text, id, .. } => return self.broadcast(cx, me, group, text, id),
            User::FileData { friend, data, offer, .. } => {
                return self.file_data(cx, me, Which { peer: friend, offer }, data.0);
            }
            User::Received { messages, .. } => return self.received(cx, key, messages),
            User::Progress { peer, received, offer, .. } => {
                return self.progress(cx, me, Which { peer, offer }, received);
            }
            User::SignIn { password, mode, token, .. } => {
                return self.sign_in(cx, origin, me, password, token.unwrap_or(""), mode, bytes);
            }
            User::Register { .. } => {
                self.send_to(cx, origin, &Server::Registered { ok: 0, number: 0 });
                let why = Refused::new(Code::NotPermitted, "you are registered and signed in");
                return self.notice_to(cx, origin, request.kind(), &why);
            }
            _ => {}
        }
        let open = self.pending.len() < limits::QUESTIONS;
        let Some(session) = self.session_mut(me).filter(|session| session.id == key.session) else { return };
        session.serial = session.serial.wrapping_add(1);
        let asker = Asker {
            number: me,
            session: key.session,
            serial: session.serial,
            request: request.kind(),
            subject: subject(&request),
        };
        if open { self.request(cx, asker, &request) } else { self.refuse(cx, asker, &Refused::busy()) }
    }

    /// A frame in the name of somebody else.
    fn refuse_foreign(&mut self, cx: &mut Cx<'_>, key: SessionKey, request: &User<'_>) {
        let why = Refused::not_your_number();
        match request {
            User::SignIn { .. } => self.sign_in_refused(cx, Origin::Link(key), key.number, Some(&why)),
            // It is no request of this session's: it has no reply, and no receipt.
            _ => self.notice_to(cx, Origin::Link(key), request.kind(), &why),
        }
    }

    /// A frame that is none, or of a type that does not exist.
    fn unreadable(&mut self, cx: &mut Cx<'_>, key: SessionKey, bytes: &[u8], error: WireError) {
        self.counters.malformed += 1;
        let code = if error.fault == Fault::UnknownType { Code::UnknownType } else { Code::Malformed };
        let about = bytes.get(3).copied().unwrap_or(0);
        self.notice_to(cx, Origin::Link(key), about, &Refused::new(code, error.to_string()));
    }

    /// Something that was sent has arrived.
    fn link_progress(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        self.system_mail_arrived(cx, key);
        self.more_mail(cx, key);
    }

    /// The timer of a link has run.
    pub(super) fn link_timer(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        let live = self.linked_session(key);
        let asleep = |role| matches!(role, Role::Kept { waking: false, .. });
        let kept = !live && self.apart.get(&key).is_some_and(|apart| asleep(apart.role));
        let Some(channel) = find(&mut self.users, &mut self.apart, key) else { return };
        if !channel.timer_ran(now_ms, &mut self.wheel) && live {
            return;
        }
        if kept && channel.path.endpoint().is_some() && !channel.link.is_waiting() {
            if self.pending.len() >= limits::KEPT_ACKS_QUESTIONS {
                self.wheel.soon(now_ms + limits::KEPT_ACKS_PAUSE.as_millis() as u64, key);
                return self.store_early(cx, key, now_ms);
            }
            // The server has started: the client need not wait for its next connection test to learn of it.
            self.tell_start(cx, key);
        }
        let Some(channel) = find(&mut self.users, &mut self.apart, key) else { return };
        channel.touch(cx);
        if channel.link.is_dead(now_ms) {
            self.counters.gone += 1;
            return self.end_link(cx, key, CloseCode::Idle, "nothing is acknowledged");
        }
        if live {
            self.store_overdue(cx, key);
        } else {
            self.store_early(cx, key, now_ms);
        }
    }

    /// Sends what all links that were touched have to send.
    pub fn flush(&mut self, now: super::Now, out: &mut super::Outbox) {
        while let Some(key) = out.touched.pop() {
            let Some(channel) = find(&mut self.users, &mut self.apart, key) else { continue };
            channel.flush(now.mono_ms, &mut self.ciphers, &mut self.wheel, out);
            let queued = channel.link.queued_bytes();
            let entering = queued > limits::ENTERING_BACKLOG_BYTES
                && self.apart.get(&key).is_some_and(|apart| apart.role == Role::Entering);
            if queued > limits::LINK_BACKLOG_BYTES || entering {
                self.counters.gone += 1;
                self.end_link(&mut Cx { now, out }, key, CloseCode::Idle, "too slow to follow");
            }
        }
    }
}
