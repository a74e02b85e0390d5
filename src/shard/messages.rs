//! Messages (protocol.md 1.5, 0x03 and 0x04; 1.7): to one user, to a group of friends, and the words of the system.

use super::notice::{Code, Refused};
use super::pending::Pending;
use super::sending::{SYSTEM, USER};
use super::{Cx, Peer, Shard};
use crate::limits;
use crate::store::{Answer, Change, Mail, Request};
use crate::wire::Server;
use std::sync::Arc;

/// Kinds of a system message (protocol.md 1.6, 0x03).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Words = 0,
    Added = 1,
    Asks = 2,
    Agreed = 3,
    Refused = 4,
    MonitoredCopy = 16,
}

/// A system message that is being stored for a user who is offline.
#[derive(Debug)]
pub(super) struct Tell {
    pub to: u32,
    pub from: u32,
}

const MESSAGE: u8 = 0x03;
const BROADCAST: u8 = 0x04;

impl Shard {
    /// 0x03: there is no reply; what cannot be done is told in words.
    pub(super) fn message(&mut self, cx: &mut Cx<'_>, me: u32, to: u32, text: &str) {
        if let Err(why) = check_text(text).and_then(|()| check_recipient(me, to)) {
            return self.notice(cx, me, MESSAGE, &why);
        }
        self.counters.messages += 1;
        self.copy_to_monitors(cx, me, me, text);
        self.pass_on(cx, me, to, text, || text.into());
    }

    /// 0x04: to every friend in a group, or to all friends.
    pub(super) fn broadcast(&mut self, cx: &mut Cx<'_>, me: u32, group: u32, text: &str) {
        if let Err(why) = check_text(text) {
            return self.notice(cx, me, BROADCAST, &why);
        }
        let Some(lists) = self.users.get(&me).map(|user| &user.lists) else { return };
        let one = u8::try_from(group).ok().filter(|group| lists.has_group(*group));
        if group != 0 && one.is_none() {
            let why = Refused::new(Code::NoSuchEntry, format!("there is no group {group}"));
            return self.notice(cx, me, BROADCAST, &why);
        }
        let shared: Arc<str> = text.into();
        for (friend, _) in self.friends_of(me).into_iter().filter(|(_, of)| one.is_none_or(|one| one == *of)) {
            self.counters.messages += 1;
            self.copy_to_monitors(cx, me, me, text);
            self.pass_on(cx, me, friend, text, || Arc::clone(&shared));
        }
    }

    fn pass_on(&mut self, cx: &mut Cx<'_>, me: u32, to: u32, text: &str, shared: impl FnOnce() -> Arc<str>) {
        if self.territory.owns(to) {
            self.deliver(cx, me, to, 0, text);
        } else {
            cx.out.peers.push((to, Peer::Message { from: me, id: 0, text: shared() }));
        }
    }

    /// A message for a user of this shard: at once if online, else into the mailbox.
    pub(super) fn deliver(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, id: u64, text: &str) {
        self.copy_to_monitors(cx, to, from, text);
        let frame = Server::Message { flag: USER, sender: from, text, kind: 0, id: None, time: None };
        if self.send_live(cx, to, &frame) {
            self.counters.delivered += 1;
            return;
        }
        if self.pending.len() >= limits::QUESTIONS {
            return self.notice(cx, from, MESSAGE, &Refused::busy());
        }
        let time_ms = cx.now.unix_ms;
        let mail = Mail { seq: 0, flag: USER, kind: 0, from, id, time_ms, text: text.into() };
        self.add_mail(cx, to, vec![Change::AddMail(to, mail)], Pending::Message { from, to });
    }

    /// Sends a frame to a user who is online and has had every stored message; false if it must be stored.
    fn send_live(&mut self, cx: &mut Cx<'_>, to: u32, frame: &Server<'_>) -> bool {
        let Some(session) = self.session(to).filter(|session| session.delivery.is_live()) else { return false };
        cx.send(session.endpoint, frame);
        true
    }

    /// Commits changes that put something into the mailbox of `to`. A delivery in progress will look again.
    pub(super) fn add_mail(&mut self, cx: &mut Cx<'_>, to: u32, changes: Vec<Change>, pending: Pending) {
        if let Some(session) = self.session_mut(to) {
            session.delivery.more_has_come();
        }
        self.ask_store(cx, Request::Commit(changes), pending);
    }

    pub(super) fn message_stored(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, answer: &Answer) {
        let why = match answer {
            Answer::Done | Answer::Mailed(_) => {
                self.counters.stored += 1;
                return;
            }
            Answer::Refused(refusal) => Refused::from(*refusal),
            _ => Refused::storage(),
        };
        let text = format!("your message to {to} was not taken: {}", why.text);
        self.notice(cx, from, MESSAGE, &Refused { text, ..why });
    }

    /// A system message for a user of this shard: at once if online, else into the mailbox.
    pub(super) fn tell(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, kind: Kind, text: &str) {
        let frame = Server::Message { flag: SYSTEM, sender: from, text, kind: kind as u8, id: None, time: None };
        if !self.send_live(cx, to, &frame) {
            let mail = system_mail(cx, from, kind, text);
            self.add_mail(cx, to, vec![Change::AddMail(to, mail)], Pending::Tell(Tell { to, from }));
        }
    }

    pub(super) fn told(&mut self, cx: &mut Cx<'_>, tell: Tell, answer: &Answer) {
        let why = match answer {
            Answer::Refused(refusal) => Refused::from(*refusal),
            Answer::Failed => Refused::storage(),
            _ => return,
        };
        let text = format!("{} could not be told: {}", tell.to, why.text);
        self.notice(cx, tell.from, 0, &Refused { text, ..why });
    }
}

/// A system message as it is stored.
pub(super) fn system_mail(cx: &Cx<'_>, from: u32, kind: Kind, text: &str) -> Mail {
    Mail { seq: 0, flag: SYSTEM, kind: kind as u8, from, id: 0, time_ms: cx.now.unix_ms, text: text.into() }
}

fn check_text(text: &str) -> Result<(), Refused> {
    match text.len() {
        0 => Err(Refused::new(Code::Malformed, "a message must not be empty")),
        1..=limits::TEXT_BYTES => Ok(()),
        n => {
            let why = format!("a message has at most {} bytes; this one has {n}", limits::TEXT_BYTES);
            Err(Refused::new(Code::TooLarge, why))
        }
    }
}

fn check_recipient(me: u32, to: u32) -> Result<(), Refused> {
    match to {
        _ if to == me => Err(Refused::new(Code::NotPermitted, "a message to yourself is not passed on")),
        1..limits::FIRST_USER => Err(Refused::new(Code::NoSuchProgram, format!("there is no program {to}"))),
        limits::FIRST_USER..=limits::LAST_USER => Ok(()),
        _ => Err(Refused::no_such_user(to)),
    }
}
