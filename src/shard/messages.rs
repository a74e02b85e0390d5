//! Messages (protocol.md 1.5, 0x03 and 0x04; 1.7): to one user, to a group of friends, and the words of the system.

use super::budget;
use super::custody::{MessageId, Receipt};
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::sending::{SYSTEM, USER};
use super::way::Way;
use super::{Cx, Peer, Shard};
use crate::limits;
use crate::store::{Answer, Change, Mail, Refusal, Request, Text};
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

pub(super) const MESSAGE: u8 = 0x03;
const BROADCAST: u8 = 0x04;

/// A message on its way: whose, which, since when.
#[derive(Debug, Clone, Copy)]
struct Letter {
    from: u32,
    id: MessageId,
    time_ms: u64,
}

impl Shard {
    /// 0x03: there is no reply. What becomes of it is told by a receipt where it has an id, else in words.
    pub(super) fn message(&mut self, cx: &mut Cx<'_>, me: u32, to: u32, text: &str, id: Option<u64>) {
        if let Err(why) = check_text(text).and_then(|()| check_recipient(me, to)).and_then(|()| check_id(id)) {
            return match id {
                Some(id) => self.refused_message(cx, me, to, MessageId::chosen(id), why.code as u8),
                None => self.notice(cx, me, MESSAGE, &why),
            };
        }
        self.counters.messages += 1;
        self.copy_to_monitors(cx, me, me, text);
        let letter = self.letter(cx, me, id);
        self.pass_on(cx, letter, to, text.into());
    }

    /// 0x04: to every friend in a group, or to all friends.
    pub(super) fn broadcast(&mut self, cx: &mut Cx<'_>, me: u32, group: u32, text: &str, id: Option<u64>) {
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
        let refused = check_id(id).err();
        let letter = self.letter(cx, me, id);
        let mut recipients = self.friends_of(me);
        recipients.retain(|(_, of)| one.is_none_or(|one| one == *of));
        // One was paid. It is taken whole, and what it costs beyond the budget is a debt.
        self.charge(cx, me, budget::Kind::Message, (recipients.len() as u32).saturating_sub(1));
        for (friend, _) in recipients {
            if let Some(why) = &refused {
                self.refused_message(cx, me, friend, letter.id, why.code as u8);
                continue;
            }
            self.counters.messages += 1;
            self.copy_to_monitors(cx, me, me, text);
            self.pass_on(cx, letter, friend, Text::Shared(Arc::clone(&shared)));
        }
    }

    fn letter(&mut self, cx: &Cx<'_>, from: u32, id: Option<u64>) -> Letter {
        let id = id.map_or_else(|| self.own_id(cx), MessageId::chosen);
        Letter { from, id, time_ms: cx.now.unix_ms }
    }

    fn pass_on(&mut self, cx: &mut Cx<'_>, letter: Letter, to: u32, text: Text) {
        let Letter { from, id, time_ms } = letter;
        if self.territory.owns(to) {
            self.deliver(cx, from, to, id, time_ms, text);
        } else {
            cx.out.peers.push((to, Peer::Message { from, id, time_ms, text }));
        }
    }

    /// A message for a user of this shard: at once if online, else into the mailbox.
    pub(super) fn deliver(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, id: MessageId, time_ms: u64, text: Text) {
        if !id.own && self.seen_before(cx, from, to, id) {
            return;
        }
        if self.refuses(to, from) {
            return self.not_taken(cx, from, to, id, &Refused::blocked());
        }
        if !id.own && self.stalled.holds_up(cx.now.mono_ms, to, from, id.value) {
            // An older one is to come again, and this one after it.
            return;
        }
        self.copy_to_monitors(cx, to, from, &text);
        let mut mail = Mail { seq: 0, flag: USER, kind: id.kind(), from, id: id.value, time_ms, text };
        let stopped = self.stopped;
        if let Some(session) = self.session_mut(to) {
            if session.takes_mail() && !stopped {
                match &mut session.way {
                    Way::Bare(endpoint) => drop(cx.send(**endpoint, &mail.frame(false))),
                    Way::Link(_) => return session.send_mail(cx, mail, None),
                }
                self.counters.delivered += 1;
                if !id.own {
                    // In a bare frame nothing could prove more: sent is delivered (protocol.md 1.8).
                    self.delivered.insert((to, from, id.value));
                    self.receipt(cx, from, to, id, Receipt::Delivered, 0);
                }
                return;
            }
            self.store_before_newer(cx, to);
        }
        self.mark_quiet(to, &mut mail);
        let mail = match self.keep_early(cx, to, mail) {
            Ok(()) => return,
            Err(mail) => mail,
        };
        if self.pending.len() >= limits::QUESTIONS {
            return self.not_now(cx, from, to, id, &Refused::busy());
        }
        self.add_mail(cx, to, vec![Change::AddMail(to, mail)], Pending::Message { from, to, id });
    }

    /// Commits changes that put something into the mailbox of `to`. A delivery in progress will look again.
    pub(super) fn add_mail(&mut self, cx: &mut Cx<'_>, to: u32, changes: Vec<Change>, pending: Pending) {
        if let Some(session) = self.session_mut(to) {
            session.delivery.more_has_come();
        }
        // What waits for a kept session came before it.
        let early = self.take_early(to);
        self.store_mails(cx, to, early);
        self.mail_comes(to);
        let mail = changes.iter().any(|change| matches!(change, Change::AddMail(..)));
        self.ask_store(cx, Request::Commit(changes), pending);
        if mail {
            self.fetch_hidden(cx, to);
        }
    }

    pub(super) fn message_stored(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, id: MessageId, answer: &Answer) {
        match answer {
            Answer::Done | Answer::Mailed(_) => {
                self.counters.stored += 1;
                self.receipt(cx, from, to, id, Receipt::Stored, 0);
            }
            Answer::Refused(refusal) => self.not_taken(cx, from, to, id, &Refused::from(*refusal)),
            _ => self.not_now(cx, from, to, id, &Refused::storage()),
        }
    }

    /// A message could not be taken for now: there is no receipt, and its sender's program sends it again. Until then
    /// nothing newer is taken. A bare frame is not sent again; its sender is told in words.
    fn not_now(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, id: MessageId, why: &Refused) {
        if id.own {
            return self.not_taken(cx, from, to, id, why);
        }
        self.stalled.failed(cx.now.mono_ms, to, from, id.value);
        let text = "messages wait for the server, which cannot take them now; they will be sent again";
        self.notice(cx, from, MESSAGE, &Refused::new(why.code, text));
    }

    /// A message will not be delivered, and its sender learns why.
    pub(super) fn not_taken(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, id: MessageId, why: &Refused) {
        if !id.own {
            return self.refused_message(cx, from, to, id, why.code as u8);
        }
        let text = format!("your message to {to} was not taken: {}", why.text);
        self.notice(cx, from, MESSAGE, &Refused { text, code: why.code });
    }

    /// A system message for a user of this shard: at once if online, else into the mailbox.
    pub(super) fn tell(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, kind: Kind, text: &str) {
        if kind == Kind::Added && self.blocks(to, from) {
            return;
        }
        let mail = system_mail(cx, from, kind, text);
        let stopped = self.stopped;
        if let Some(session) = self.session_mut(to) {
            if session.takes_mail() && !stopped {
                return match &mut session.way {
                    Way::Bare(endpoint) => drop(cx.send(**endpoint, &mail.frame(false))),
                    Way::Link(_) => session.send_mail(cx, mail, None),
                };
            }
            self.store_before_newer(cx, to);
        }
        self.add_mail(cx, to, vec![Change::AddMail(to, mail)], Pending::Tell(Tell { to, from }));
    }

    pub(super) fn told(&mut self, cx: &mut Cx<'_>, tell: Tell, answer: &Answer) {
        let why = match answer {
            // Who is blocked does not learn it from this: it was not a message.
            Answer::Refused(Refusal::Blocked) => return,
            Answer::Refused(refusal) => Refused::from(*refusal),
            Answer::Failed => Refused::storage(),
            _ => return,
        };
        let text = format!("{} could not be told: {}", tell.to, why.text);
        self.notice(cx, tell.from, 0, &Refused { text, ..why });
    }
}

impl Mail {
    /// As its recipient gets it. Part 3's fields are for the link alone.
    pub(super) fn frame(&self, link: bool) -> Server<'_> {
        let Self { flag, kind, from, ref text, .. } = *self;
        let added = link && flag == USER;
        Server::Message {
            flag,
            sender: from,
            text,
            kind: if flag == USER { 0 } else { kind },
            id: added.then_some(self.id),
            time: added.then_some(self.time_ms),
        }
    }
}

/// A system message as it is stored.
pub(super) fn system_mail(cx: &Cx<'_>, from: u32, kind: Kind, text: &str) -> Mail {
    Mail { seq: 0, flag: SYSTEM, kind: kind as u8, from, id: 0, time_ms: cx.now.unix_ms, text: text.into() }
}

/// An id is 1 to 2^63 - 1 (protocol.md 3.1): above that are those of the server itself.
fn check_id(id: Option<u64>) -> Result<(), Refused> {
    match id {
        None | Some(1..=limits::LAST_ID) => Ok(()),
        Some(id) => Err(Refused::new(Code::Malformed, format!("{id} is no id: it must be 1 to {}", limits::LAST_ID))),
    }
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
