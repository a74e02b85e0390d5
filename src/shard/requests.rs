//! A bare frame comes in (protocol.md 1.8): whether it is taken, whether it is a repeat, and which rule it is for.

use super::budget::{self, Kind};
use super::endpoint::Endpoint;
use super::files::Which;
use super::mailbox::Delivery;
use super::notice::Refused;
use super::profiles::Privacy;
use super::registration::SignUp;
use super::user::{Asker, Fingerprint, Latest};
use super::waiting::Fate;
use super::way::Origin;
use super::wheel::SessionKey;
use super::{Classic, Cx, OFFLINE, Shard};
use crate::limits;
use crate::wire::{Dialect, Server, User};

impl Shard {
    pub(super) fn frame(&mut self, cx: &mut Cx<'_>, from: Endpoint, bytes: &[u8]) {
        let taken = match self.classic {
            Classic::Off => false,
            Classic::Loopback => from.is_loopback(),
            Classic::Any => true,
        };
        if !taken {
            self.counters.classic_refused += 1;
            return close_stream(cx, from);
        }
        let Ok(request) = User::decode(bytes, Dialect::Classic) else {
            self.counters.malformed += 1;
            return close_stream(cx, from);
        };
        let number = sender(&request);
        if matches!(request, User::Register { .. } | User::SignIn { .. })
            && (self.is_barred(cx, from) || self.refuse_banned(cx, Origin::Bare(from), number))
        {
            return;
        }
        match request {
            User::Register { profile, reach, details, invite } => {
                self.register(
                    cx,
                    Origin::Bare(from),
                    &SignUp { profile, reach, details, invite: invite.unwrap_or_default() },
                    bytes,
                );
            }
            User::SignIn { me, password, mode, .. } => {
                self.sign_in(cx, Origin::Bare(from), me, password, "", mode, bytes);
            }
            _ => self.session_frame(cx, from, &request, bytes),
        }
    }

    /// A request other than 0x01 and 0x02: only in a session, only from where it signed in.
    pub(super) fn session_frame(&mut self, cx: &mut Cx<'_>, from: Endpoint, request: &User<'_>, bytes: &[u8]) {
        let me = sender(request);
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.users.get_mut(&me).and_then(|user| user.session.as_mut()) else {
            return self.without_session(cx, from, me, request, bytes);
        };
        if !session.way.is(Origin::Bare(from)) {
            if !self.hold_frame(me, Origin::Bare(from), bytes) {
                self.counters.foreign += 1;
            }
            return;
        }
        session.heard_ms = now_ms as u32;
        let key = SessionKey { number: me, session: session.id };
        if matches!(session.delivery, Delivery::Waiting) {
            // It goes on from where it signed in, so somebody is there (protocol.md 1.8).
            self.fetch_mail(cx, key);
            return self.session_frame(cx, from, request, bytes);
        }
        let relayed = matches!(request, User::Message { .. } | User::Broadcast { .. } | User::FileData { .. });
        let repeated = !relayed && session.latest.as_ref().is_some_and(|one| one.is_repeated_by(now_ms, bytes));
        let cost = if repeated { (Kind::Read, 1) } else { budget::cost(request) };
        if self.spend_on_bare(cx, from, key, cost, bytes) == Fate::Handled {
            self.paid_frame(cx, request, bytes);
        }
    }

    /// A frame that has waited for its budget.
    pub(super) fn bare_frame_again(&mut self, cx: &mut Cx<'_>, bytes: &[u8]) {
        if let Ok(request) = User::decode(bytes, Dialect::Classic) {
            self.paid_frame(cx, &request, bytes);
        }
    }

    fn paid_frame(&mut self, cx: &mut Cx<'_>, request: &User<'_>, bytes: &[u8]) {
        let me = sender(request);
        let now_ms = cx.now.mono_ms;
        let open = self.pending.len() < limits::QUESTIONS;
        let Some(session) = self.session_mut(me) else { return };
        let id = session.id;
        match *request {
            User::Message { to, text, .. } => return self.message(cx, me, to, text, None),
            User::Broadcast { group, text, .. } => return self.broadcast(cx, me, group, text, None),
            User::FileData { friend, data, .. } => {
                return self.file_data(cx, me, Which { peer: friend, offer: None }, data.0);
            }
            _ => {}
        }
        if session.latest.as_ref().is_some_and(|latest| latest.is_repeated_by(now_ms, bytes)) {
            return self.reply_again(cx, me, bytes.len());
        }
        session.serial = session.serial.wrapping_add(1);
        let serial = session.serial;
        let fingerprint = Fingerprint::of(bytes);
        let latest = Latest { request: fingerprint, at_ms: now_ms, serial, reply: Vec::new(), repeated_ms: 0 };
        session.latest = Some(Box::new(latest));
        let asker = Asker { number: me, session: id, serial, request: request.kind(), subject: subject(request) };
        if !open {
            return self.refuse(cx, asker, &Refused::busy());
        }
        self.request(cx, asker, request);
    }

    pub(super) fn request(&mut self, cx: &mut Cx<'_>, asker: Asker, request: &User<'_>) {
        match *request {
            User::View { friend, .. } => self.view(cx, asker, friend),
            User::AddGroup { name, .. } => self.add_group(cx, asker, name),
            User::RenameGroup { group, name, .. } => self.rename_group(cx, asker, group, name),
            User::DeleteGroup { group, .. } => self.delete_group(cx, asker, group),
            User::MoveFriends { moves, .. } => self.move_friends(cx, asker, moves),
            User::Online { start, count, direction, .. } => self.online(cx, asker, start, count, direction),
            User::Search { sql, .. } => self.search(cx, asker, sql),
            User::AddFriend { friend, .. } => self.add_friend(cx, asker, friend),
            User::Ask { friend, reason, .. } => self.ask(cx, asker, friend, reason),
            User::DeleteFriend { friend, .. } => self.delete_friend(cx, asker, friend),
            User::SetStatus { status, .. } => self.set_status(cx, asker, status),
            User::Monitor { target, .. } => self.monitor(cx, asker, target),
            User::Update { profile, reach, details, old_password, .. } => {
                let privacy = Privacy { reach, details };
                self.update(cx, asker, &profile, privacy, old_password);
            }
            User::OfferFile { friend, name, size, offer, .. } => {
                self.offer_file(cx, asker, Which { peer: friend, offer }, name, size);
            }
            User::AnswerFile { friend, allow, offer, .. } => {
                self.answer_file(cx, asker, Which { peer: friend, offer }, allow);
            }
            User::Test { me } => self.reply(cx, asker, &Server::TestReply { me }),
            User::Answer { friend, agree, .. } => self.answer(cx, asker, friend, agree),
            User::Block { other, on, .. } => self.block(cx, asker, other, on),
            User::Register { .. }
            | User::SignIn { .. }
            | User::Message { .. }
            | User::Broadcast { .. }
            | User::FileData { .. }
            | User::Received { .. }
            | User::Progress { .. } => unreachable!("handled before, or refused by the decoder in a bare frame"),
        }
    }

    /// No session: sign in again, said at most once a second to one address (protocol.md 1.8).
    fn without_session(&mut self, cx: &mut Cx<'_>, from: Endpoint, me: u32, request: &User<'_>, bytes: &[u8]) {
        if self.hold_frame(me, Origin::Bare(from), bytes) {
            return;
        }
        if matches!(request, User::SetStatus { status: OFFLINE, .. })
            && self.signed_out.get(cx.now.mono_ms, &(me, from)).is_some()
        {
            // The answer to the sign-out was lost, and this is its repeat.
            self.counters.repeats += 1;
            cx.send(from, &Server::StatusSet { me, status: OFFLINE });
            return;
        }
        self.counters.unsigned += 1;
        if self.board.may_hint(from, cx.now.mono_ms) {
            cx.send(from, &super::signin::REFUSED);
        }
    }
}

/// A malformed frame on TCP ends the connection: nothing says where the next frame begins (protocol.md 1.8).
pub(super) fn close_stream(cx: &mut Cx<'_>, from: Endpoint) {
    if from.connection().is_some() {
        cx.out.closes.push(from);
    }
}

/// The number that a request says it is from.
pub(super) fn sender(request: &User<'_>) -> u32 {
    match *request {
        User::Register { .. } => 0,
        User::SignIn { me, .. }
        | User::Message { me, .. }
        | User::Broadcast { me, .. }
        | User::View { me, .. }
        | User::AddGroup { me, .. }
        | User::RenameGroup { me, .. }
        | User::DeleteGroup { me, .. }
        | User::MoveFriends { me, .. }
        | User::Online { me, .. }
        | User::Search { me, .. }
        | User::AddFriend { me, .. }
        | User::Ask { me, .. }
        | User::DeleteFriend { me, .. }
        | User::SetStatus { me, .. }
        | User::Monitor { me, .. }
        | User::Update { me, .. }
        | User::OfferFile { me, .. }
        | User::AnswerFile { me, .. }
        | User::FileData { me, .. }
        | User::Test { me }
        | User::Answer { me, .. }
        | User::Received { me, .. }
        | User::Block { me, .. }
        | User::Progress { me, .. } => me,
    }
}

/// Whom a request is about, where its refusal names them.
pub(super) fn subject(request: &User<'_>) -> u32 {
    if let User::AddFriend { friend, .. } = *request { friend } else { 0 }
}
