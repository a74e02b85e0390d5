//! The operator ends sessions.

use super::apart::Role;
use super::notice::{Code, Refused};
use super::way::Way;
use super::wheel::SessionKey;
use super::{Cx, Shard, sending};
use crate::link::CloseCode;

impl Shard {
    /// The operator ends a session.
    pub(super) fn expel(&mut self, cx: &mut Cx<'_>, number: u32, text: &str) {
        if self.territory.owns(number) {
            self.expel_for(cx, number, &Refused::new(Code::NotPermitted, text));
        }
    }

    /// Ends the session of a user of this shard, and refuses whoever is signing in to that number.
    pub(super) fn expel_for(&mut self, cx: &mut Cx<'_>, number: u32, why: &Refused) {
        let text = &*why.text;
        self.refuse_attempts(cx, number, why);
        if let Some(session) = self.kept.get(&number).copied() {
            self.end_apart(cx, SessionKey { number, session }, CloseCode::Operator, text);
        }
        if let Some(session) = self.session_mut(number) {
            match &mut session.way {
                Way::Bare(endpoint) => drop(cx.send(**endpoint, &sending::words(text))),
                // In the last packet, before the farewell: it is not sent again, and the farewell has the same words.
                Way::Link(channel) => channel.send_loose(cx, &why.notice(0)),
            }
            self.end_session_with(cx, number, CloseCode::Operator, text);
        }
    }

    /// The operator ends all sessions with the server.
    pub(super) fn expel_all(&mut self, cx: &mut Cx<'_>) {
        const WHY: &str = "the server stops";
        let mut online: Vec<u32> =
            self.users.keys().copied().filter(|number| self.session(*number).is_some()).collect();
        online.sort_unstable();
        for number in online {
            if let Some(endpoint) = self.session(number).and_then(|session| session.way.bare()) {
                cx.send(endpoint, &sending::words(WHY));
            }
            self.end_session_with(cx, number, CloseCode::ServerStops, WHY);
        }
        let mut apart: Vec<SessionKey> = self.apart.keys().copied().collect();
        apart.sort_unstable();
        for key in apart {
            if self.apart.get(&key).is_some_and(|apart| !matches!(apart.role, Role::Leaving { .. })) {
                self.end_apart(cx, key, CloseCode::ServerStops, WHY);
            }
        }
    }
}
