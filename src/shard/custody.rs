//! Custody of messages (protocol.md 3.3): what was sent to a user over the link is kept until the user's program says
//! that it has it. What it does not say so of within a second goes into the mailbox.

use super::budget::Kind;
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::user::Session;
use super::wheel::SessionKey;
use super::{Cx, Peer, Shard};
use crate::limits;
use crate::store::{Answer, Change, Mail, Request};
use crate::wire::{List, ReceivedId, Server};
use std::collections::VecDeque;

/// States of a receipt (protocol.md 3.2, 0x40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Receipt {
    Stored = 1,
    Delivered = 2,
    Refused = 3,
}

/// Messages that a user was sent, in that order.
#[derive(Debug, Default)]
pub(super) struct Custody {
    held: VecDeque<Held>,
    bytes: usize,
    /// How many of them are the system's: those are told to have arrived by the link alone.
    system: usize,
    /// No id is higher: most new messages need not be looked for.
    highest: u64,
}

#[derive(Debug)]
struct Held {
    /// The message. Its text is not kept while it stands in the mailbox.
    mail: Mail,
    place: Place,
    /// When it goes into the mailbox.
    due_ms: u64,
    /// For the system's: the link has it at the other side when this segment has arrived.
    segment: u32,
}

/// Where else a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// On its way into the mailbox; whether the user has said meanwhile that it is there.
    Storing {
        delivered: bool,
    },
    /// In the mailbox, with this `Mail::seq`.
    Mailbox(u64),
    /// The mailbox has no room.
    NoRoom,
}

const SYSTEM: u8 = super::sending::SYSTEM;

impl Custody {
    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many messages it holds.
    #[cfg(any(test, feature = "sim"))]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether it has no room for another message.
    fn is_full(&self) -> bool {
        self.held.len() >= limits::CUSTODY || self.bytes >= limits::CUSTODY_BYTES
    }

    /// Whether it has room for a page of the mailbox.
    pub fn has_room(&self) -> bool {
        self.held.len() <= limits::CUSTODY / 4 && self.bytes <= limits::CUSTODY_BYTES / 4
    }

    fn push(&mut self, held: Held) {
        self.bytes += held.mail.text.len();
        self.system += usize::from(held.mail.flag == SYSTEM);
        self.highest = self.highest.max(held.mail.id);
        self.held.push_back(held);
    }

    fn remove(&mut self, at: usize) -> Option<Held> {
        let held = self.held.remove(at)?;
        self.bytes -= held.mail.text.len();
        self.system -= usize::from(held.mail.flag == SYSTEM);
        Some(held)
    }

    fn find(&self, from: u32, id: u64) -> Option<usize> {
        if id > self.highest {
            return None;
        }
        self.held.iter().position(|held| held.mail.id == id && held.mail.from == from && held.mail.flag != SYSTEM)
    }

    /// Whether this message was sent, and is waited for.
    pub fn holds(&self, mail: &Mail) -> bool {
        if mail.flag == SYSTEM {
            return self.held.iter().any(|held| held.place == Place::Mailbox(mail.seq));
        }
        self.find(mail.from, mail.id).is_some()
    }

    /// When the next message goes into the mailbox.
    pub fn deadline(&self) -> Option<u64> {
        self.held.iter().find(|held| held.place == Place::Nowhere && held.mail.flag != SYSTEM).map(|held| held.due_ms)
    }
}

impl Session {
    /// Sends a message to the user over the link and keeps it. `stored`: its place in the mailbox, if it is from there.
    pub fn send_mail(&mut self, cx: &mut Cx<'_>, mail: Mail, stored: Option<u64>) {
        let Some(channel) = self.way.link_mut() else { return };
        let segment = channel.send(cx, &mail.frame(true));
        let due_ms = cx.now.mono_ms + limits::CUSTODY_TIME.as_millis() as u64;
        let custody = channel.custody.get_or_insert_default();
        let place = stored.map_or(Place::Nowhere, Place::Mailbox);
        let mail = if stored.is_some() { Mail { text: "".into(), ..mail } } else { mail };
        custody.push(Held { mail, place, due_ms, segment });
    }

    /// Whether a message can go straight out.
    pub fn takes_mail(&self) -> bool {
        self.delivery.is_live()
            && !self.is_hidden()
            && self.way.link().is_none_or(|channel| {
                !channel.custody.as_ref().is_some_and(|custody| custody.is_full())
                    && channel.link.queued_bytes() <= limits::LINK_BACKLOG_BYTES / 2
            })
    }
}

impl Shard {
    fn custody(&mut self, key: SessionKey) -> Option<&mut Custody> {
        self.channel(key)?.custody.as_deref_mut()
    }

    /// A message that comes again: its sender has no receipt, or has lost it. True if nothing more is to be done.
    pub(super) fn seen_before(&mut self, cx: &mut Cx<'_>, from: u32, to: u32, id: MessageId) -> bool {
        if self.delivered.has(&(to, from, id.value)) {
            self.receipt(cx, from, to, id, Receipt::Delivered, 0);
            return true;
        }
        let Some(custody) = self.session(to).and_then(|s| s.way.link()).and_then(|c| c.custody.as_ref()) else {
            return self.is_early(to, from, id.value);
        };
        let Some(at) = custody.find(from, id.value) else { return false };
        if let Place::Mailbox(_) = custody.held[at].place {
            self.receipt(cx, from, to, id, Receipt::Stored, 0);
        }
        true
    }

    /// 0x41: the user's program has these messages.
    pub(super) fn received(&mut self, cx: &mut Cx<'_>, key: SessionKey, messages: List<'_, ReceivedId>) {
        let to = key.number;
        let Some(user) = self.users.get(&to) else { return };
        let hidden = user.session.as_ref().is_some_and(Session::is_hidden);
        let blocks_any = user.lists.blocks.len() > 0;
        let (mut stored, mut unknown) = (Vec::new(), 0);
        for ReceivedId { from, id } in messages.iter() {
            let at = self.custody(key).and_then(|custody| Some((custody.find(from, id)?, custody)));
            let Some((at, custody)) = at else {
                unknown += 1;
                continue;
            };
            if let Place::Storing { delivered } = &mut custody.held[at].place {
                // The mailbox must forget it again, once it is there.
                *delivered = true;
                continue;
            }
            let Some(held) = custody.remove(at) else { continue };
            if let Place::Mailbox(seq) = held.place {
                stored.push(seq);
            }
            self.counters.delivered += 1;
            if hidden || held.mail.kind == Mail::QUIET {
                // Its sender has receipt 1, and learns no more.
                continue;
            }
            self.delivered.insert((to, from, id));
            // Who was blocked meanwhile does not learn that somebody is there.
            let blocked = blocks_any && self.blocks(to, from);
            match (blocked, held.place) {
                (false, _) => self.receipt(cx, from, to, held.mail.message_id(), Receipt::Delivered, 0),
                (true, Place::Nowhere | Place::NoRoom) => {
                    self.receipt(cx, from, to, held.mail.message_id(), Receipt::Stored, 0);
                }
                (true, _) => {}
            }
        }
        // To look for what is not there is as much work as any other request.
        self.charge(cx, to, Kind::Read, unknown);
        self.take_from_mailbox(cx, to, stored);
        self.more_mail(cx, key);
    }

    /// The link has said which of the system's messages have arrived.
    pub(super) fn system_mail_arrived(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Some(channel) = self.channel(key) else { return };
        let Some(custody) = channel.custody.as_deref_mut().filter(|custody| custody.system > 0) else { return };
        let (mut stored, mut at) = (Vec::new(), 0);
        while at < custody.held.len() {
            let held = &mut custody.held[at];
            if held.mail.flag != SYSTEM || !channel.link.has_arrived(held.segment) {
                at += 1;
                continue;
            }
            match &mut held.place {
                Place::Mailbox(seq) => stored.push(*seq),
                Place::Storing { delivered } => {
                    *delivered = true;
                    at += 1;
                    continue;
                }
                Place::Nowhere | Place::NoRoom => {}
            }
            custody.remove(at);
        }
        if !stored.is_empty() {
            let change = Change::DeleteMailAt(key.number, stored);
            self.ask_store(cx, Request::Commit(vec![change]), Pending::Nothing);
        }
        self.more_mail(cx, key);
    }

    /// Messages that nobody has said to have for a second go into the mailbox, in their order.
    pub(super) fn store_overdue(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let room = limits::QUESTIONS.saturating_sub(self.pending.len());
        self.store_held(cx, key, cx.now.mono_ms, room);
    }

    /// What comes for this user now goes into the mailbox: what is in custody came before it.
    pub(super) fn store_before_newer(&mut self, cx: &mut Cx<'_>, to: u32) {
        let Some(session) = self.session(to).filter(|session| session.delivery.is_live()) else { return };
        if session.way.link().is_none() {
            return;
        }
        let key = SessionKey { number: to, session: session.id };
        self.store_held(cx, key, u64::MAX, usize::MAX);
        if let Some(session) = self.session_mut(to) {
            session.delivery.wait_for_room();
        }
    }

    fn store_held(&mut self, cx: &mut Cx<'_>, key: SessionKey, before_ms: u64, room: usize) {
        const LATER_MS: u64 = 100;
        let Some(custody) = self.custody(key) else { return };
        // In their order: one that could not be stored holds up those after it.
        let overdue = custody
            .held
            .iter_mut()
            .filter(|held| held.place == Place::Nowhere && held.mail.flag != SYSTEM)
            .take_while(|held| held.due_ms <= before_ms);
        let mut mails = Vec::new();
        for (at, held) in overdue.enumerate() {
            if at >= room {
                // The shard has too many questions open.
                held.due_ms = cx.now.mono_ms + LATER_MS;
                continue;
            }
            held.place = Place::Storing { delivered: false };
            mails.push(held.mail.clone());
        }
        for mail in mails {
            let (from, id) = (mail.from, mail.message_id());
            let pending = Pending::Custody { key, from, id };
            self.ask_store(cx, Request::Commit(vec![Change::AddMail(key.number, mail)]), pending);
        }
    }

    /// The store has answered about a message that was not acknowledged in time.
    pub(super) fn custody_stored(
        &mut self,
        cx: &mut Cx<'_>,
        key: SessionKey,
        from: u32,
        id: MessageId,
        answer: &Answer,
    ) {
        let (now_ms, to) = (cx.now.mono_ms, key.number);
        let quiet = self.is_hidden(to) || self.blocks(to, from);
        let held = self.custody(key).and_then(|custody| custody.find(from, id.value).map(|at| (at, custody)));
        let Some((at, custody)) = held else {
            // The session has ended since: all that matters is in the mailbox, or is not.
            return self.message_stored(cx, from, to, id, answer);
        };
        let Place::Storing { delivered } = custody.held[at].place else { return };
        match answer {
            Answer::Mailed(seqs) => {
                let seq = seqs.first().copied().unwrap_or(0);
                if delivered {
                    custody.remove(at);
                    self.counters.delivered += 1;
                    if quiet {
                        self.receipt(cx, from, to, id, Receipt::Stored, 0);
                    } else {
                        self.delivered.insert((to, from, id.value));
                        self.receipt(cx, from, to, id, Receipt::Delivered, 0);
                    }
                    self.take_from_mailbox(cx, to, vec![seq]);
                    return self.more_mail(cx, key);
                }
                let held = &mut custody.held[at];
                held.place = Place::Mailbox(seq);
                custody.bytes -= held.mail.text.len();
                held.mail.text = "".into();
                self.counters.stored += 1;
                self.receipt(cx, from, to, id, Receipt::Stored, 0);
                self.more_mail(cx, key);
            }
            // As if nobody had been there: the sender is told, or sends it again.
            _ if quiet => {
                custody.remove(at);
                self.message_stored(cx, from, to, id, answer);
                self.more_mail(cx, key);
            }
            _ if delivered => {
                custody.remove(at);
                self.delivered.insert((to, from, id.value));
                self.receipt(cx, from, to, id, Receipt::Delivered, 0);
                self.more_mail(cx, key);
            }
            // It is still on its way to the user: nothing is lost yet.
            Answer::Refused(_) => custody.held[at].place = Place::NoRoom,
            _ => {
                let held = &mut custody.held[at];
                held.place = Place::Nowhere;
                held.due_ms = now_ms + limits::CUSTODY_TIME.as_millis() as u64;
                if let Some(channel) = self.channel(key) {
                    channel.touch(cx);
                }
            }
        }
    }

    /// A session has ended: what it has not acknowledged goes into the mailbox, before anything newer.
    pub(super) fn store_custody(&mut self, cx: &mut Cx<'_>, number: u32, custody: Option<Box<Custody>>) {
        let Some(custody) = custody.filter(|custody| !custody.is_empty()) else { return };
        self.mail_comes(number);
        for held in custody.held {
            let mail = held.mail;
            match held.place {
                // What is being stored is answered for when it is.
                Place::Mailbox(_) | Place::Storing { .. } => {}
                Place::Nowhere if mail.flag == SYSTEM => {
                    let tell = super::messages::Tell { to: number, from: mail.from };
                    self.ask_store(cx, Request::Commit(vec![Change::AddMail(number, mail)]), Pending::Tell(tell));
                }
                Place::Nowhere | Place::NoRoom => {
                    let pending = Pending::Message { from: mail.from, to: number, id: mail.message_id() };
                    self.ask_store(cx, Request::Commit(vec![Change::AddMail(number, mail)]), pending);
                }
            }
        }
    }

    /// The server ends: what is in memory alone goes to the store.
    pub(super) fn store_all_custody(&mut self, cx: &mut Cx<'_>) {
        let mut numbers: Vec<u32> = self.users.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let session = self.session_mut(number);
            let custody = session.and_then(|session| session.way.link_mut()).and_then(|channel| channel.custody.take());
            self.store_custody(cx, number, custody);
        }
        let mut kept: Vec<SessionKey> =
            self.kept.iter().map(|(number, session)| SessionKey { number: *number, session: *session }).collect();
        kept.sort_unstable();
        kept.into_iter().for_each(|key| self.store_early(cx, key, u64::MAX));
    }

    /// Tells a sender what became of a message, if the sender has a link.
    pub(super) fn receipt(&mut self, cx: &mut Cx<'_>, sender: u32, to: u32, id: MessageId, state: Receipt, reason: u8) {
        if !id.own {
            self.peer(cx, sender, Peer::Receipt { to, id: id.value, state: state as u8, reason });
        }
    }

    /// A message that will never be delivered.
    pub(super) fn refused_message(&mut self, cx: &mut Cx<'_>, sender: u32, to: u32, id: MessageId, reason: u8) {
        self.counters.refused += 1;
        self.receipt(cx, sender, to, id, Receipt::Refused, reason);
    }

    /// The receipt has come to the sender's shard.
    pub(super) fn receipt_for(&mut self, cx: &mut Cx<'_>, sender: u32, to: u32, id: u64, state: u8, reason: u8) {
        let Some(session) = self.session_mut(sender) else { return };
        if let Some(channel) = session.way.link_mut() {
            channel.send(cx, &Server::Receipt { to, id, state, reason });
            self.counters.receipts += 1;
        }
    }

    /// An id for the message of a bare session, which has none of its own: link users say by it that they have it.
    pub(super) fn own_id(&mut self, cx: &Cx<'_>) -> MessageId {
        /// Far from what clients choose by their clocks.
        const OWN: u64 = 1 << 63;
        self.next_id = (self.next_id + 1).max(cx.now.unix_ms << 20);
        MessageId { value: self.next_id | OWN, own: true }
    }
}

/// The id of a message, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    /// As it is on the wire; any value.
    pub value: u64,
    /// The server has given it: the sender has none, and waits for no receipt.
    pub own: bool,
}

impl MessageId {
    /// One that the sender has chosen.
    pub fn chosen(value: u64) -> Self {
        Self { value, own: false }
    }

    /// How a mailbox tells it from others: see [`Mail::kind`].
    pub(super) fn kind(self) -> u8 {
        match self {
            Self { own: true, .. } => Mail::OWN_ID,
            Self { value: 0, .. } => Mail::CHOSEN_ZERO,
            _ => 0,
        }
    }
}

impl Mail {
    /// The id of a user's message.
    pub(super) fn message_id(&self) -> MessageId {
        MessageId { value: self.id, own: self.kind == Self::OWN_ID }
    }
}

impl Refused {
    /// A number that is not the session's own.
    pub fn not_your_number() -> Self {
        Self::new(Code::NotPermitted, "that is not your number")
    }
}
