//! Delivery of stored messages after a sign-in (protocol.md 1.7): in the order of arrival, and before anything newer.

use super::endpoint::Endpoint;
use super::pending::Pending;
use super::sending;
use super::way::{Origin, Way};
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::store::{Answer, Change, Mail, Request};
use std::collections::VecDeque;

/// How far a session is with its stored messages. Until the mailbox is empty, what arrives goes to its end.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A page is being read.
    Reading {
        /// Something was added since it was asked for.
        more: bool,
        /// It is of no use any more: the mailbox is read from its beginning.
        again: bool,
    },
    /// A page is being sent, a burst at a time (bare frames).
    Sending { page: Box<Page>, more: bool },
    /// There may be more in the mailbox, and the user has yet to say that the last of it has come (links), or to show that
    /// the address is theirs.
    Waiting,
    /// The mailbox is empty: messages go straight out.
    Live,
}

/// What is left of a page that is being sent: apart, because most sessions have none.
#[derive(Debug)]
pub(super) struct Page(VecDeque<Mail>);

impl Delivery {
    pub fn new() -> Self {
        Self::Reading { more: false, again: false }
    }

    #[inline]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Something was added to the mailbox.
    pub fn more_has_come(&mut self) {
        match self {
            Self::Reading { more, .. } | Self::Sending { more, .. } => *more = true,
            Self::Waiting | Self::Live => {}
        }
    }

    /// What comes now goes into the mailbox, until there is room again for what is there.
    pub fn wait_for_room(&mut self) {
        if self.is_live() {
            *self = Self::Waiting;
        }
    }
}

impl Shard {
    /// Sends a page of the mailbox over the link, but for what was sent already and is waited for. What the user has said
    /// to have while the page was read is deleted.
    fn send_page(&mut self, cx: &mut Cx<'_>, key: SessionKey, page: Vec<Mail>) {
        let mut gone = Vec::new();
        for mut mail in page {
            let (seq, user) = (mail.seq, mail.flag == sending::USER);
            if user && mail.id == 0 && mail.kind == 0 {
                // A message of a time when nobody gave it an id.
                (mail.id, mail.kind) = (1 << 63 | seq, Mail::OWN_ID);
            }
            let delivered = user && self.delivered.has(&(key.number, mail.from, mail.id));
            let Some(session) = self.session_mut(key.number) else { return };
            let Some(channel) = session.way.link_mut() else { return };
            channel.mail_sent = seq;
            if delivered {
                gone.push(seq);
            } else if !channel.custody.as_ref().is_some_and(|custody| custody.holds(&mail)) {
                session.send_mail(cx, mail, Some(seq));
            }
        }
        self.take_from_mailbox(cx, key.number, gone);
    }
}

impl Shard {
    /// Asks for the next page of a mailbox.
    pub(super) fn fetch_mail(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else { return };
        // Nothing stored goes to an address that may be somebody else's (protocol.md 2.3).
        if session.way.link().is_some_and(|channel| !channel.path.is_proven()) {
            session.delivery = Delivery::Waiting;
            return;
        }
        session.delivery = Delivery::new();
        // Over a link the messages before it are there still, until the user's program says that it has them.
        let after = session.way.link().map_or(0, |channel| channel.mail_sent);
        self.ask_store(cx, Request::MailAfter(key.number, after), Pending::Mail(key));
    }

    pub(super) fn mail_page(&mut self, cx: &mut Cx<'_>, key: SessionKey, answer: Answer) {
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else { return };
        let Delivery::Reading { more, again } = session.delivery else {
            unreachable!("one page is asked for at a time")
        };
        if again {
            return self.fetch_mail(cx, key);
        }
        match answer {
            Answer::Mail(page) if !page.is_empty() => match session.way {
                Way::Bare(_) => {
                    session.delivery = Delivery::Sending { page: Box::new(Page(page.into())), more };
                    self.deliver_more(cx, key);
                }
                Way::Link(_) => {
                    session.delivery = Delivery::Waiting;
                    self.send_page(cx, key, page);
                    self.more_mail(cx, key);
                }
            },
            Answer::Mail(_) if more => self.fetch_mail(cx, key),
            Answer::Mail(_) => session.delivery = Delivery::Live,
            _ => {
                // The messages stay where they are, for the next sign-in; what comes now is not held up.
                session.delivery = Delivery::Live;
                session.way.send(cx, &sending::words("stored messages could not be read; sign in again later"));
            }
        }
    }

    /// What was sent over this link came before its user's program knew that it is signed in, and was not taken: all of it
    /// goes into the mailbox, and comes from there.
    pub(super) fn deliver_again(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let live = self.session(key.number).is_some_and(|session| session.delivery.is_live());
        let Some(channel) = self.channel(key) else { return };
        if live && channel.custody.as_ref().is_none_or(|custody| custody.is_empty()) {
            return;
        }
        channel.mail_sent = 0;
        let custody = channel.custody.take();
        self.store_custody(cx, key.number, custody);
        let Some(session) = self.session_mut(key.number) else { return };
        match &mut session.delivery {
            Delivery::Reading { again, .. } => *again = true,
            _ => self.fetch_mail(cx, key),
        }
    }

    /// Fetches the next page for a link, if one is waiting and there is room.
    pub(super) fn more_mail(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Some(session) = self.session(key.number).filter(|session| session.id == key.session) else { return };
        let room = session.way.link().is_some_and(|channel| {
            channel.custody.as_ref().is_none_or(|custody| custody.has_room())
                && channel.link.queued_bytes() <= limits::LINK_BACKLOG_BYTES / 4
        });
        if room && matches!(session.delivery, Delivery::Waiting) {
            self.fetch_mail(cx, key);
        }
    }

    /// Sends the next burst of the page, if one is being sent.
    pub(super) fn deliver_more(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else { return };
        let Some(endpoint) = session.way.bare() else { return };
        let Delivery::Sending { page, .. } = &mut session.delivery else { return };
        let page = &mut page.0;
        if page.is_empty() {
            return self.fetch_mail(cx, key);
        }
        let (mut sent, mut bytes, mut last) = (0, 0, 0);
        while sent < limits::BURST_FRAMES && bytes < limits::BURST_BYTES {
            let Some(mail) = page.pop_front() else { break };
            bytes += cx.send(endpoint, &mail.frame(false)).length as usize;
            (sent, last) = (sent + 1, mail.seq);
        }
        let (full, finished) = (sent == limits::BURST_FRAMES || bytes >= limits::BURST_BYTES, page.is_empty());
        // Sent is delivered (protocol.md 1.8). After a crash before this is on disk they are sent again: nothing is lost.
        let hidden = session.is_hidden();
        let change = if hidden { Change::GiveMail(key.number, last) } else { Change::DeleteMail(key.number, last) };
        self.counters.delivered += sent as u64;
        let pending = if finished { Pending::MailDeleted(key) } else { Pending::Nothing };
        self.ask_store(cx, Request::Commit(vec![change]), pending);
        if finished {
            return;
        }
        debug_assert!(full, "a burst ends with the page or at its bound");
        if endpoint.connection().is_some() {
            cx.out.flushes.push((endpoint, key.number));
        } else {
            self.wheel.soon(now_ms + limits::BURST_PAUSE.as_millis() as u64, key);
        }
    }

    /// A page was deleted from the disk, so the next can be read. If it could not be, reading would bring it again.
    pub(super) fn mail_deleted(&mut self, cx: &mut Cx<'_>, key: SessionKey, answer: &Answer) {
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else { return };
        let Some(endpoint) = session.way.bare() else { return };
        if *answer != Answer::Done {
            session.delivery = Delivery::Live;
            cx.send(endpoint, &sending::words("the server cannot store: older messages may come again later"));
        } else if endpoint.connection().is_some() {
            cx.out.flushes.push((endpoint, key.number));
        } else {
            self.wheel.soon(now_ms + limits::BURST_PAUSE.as_millis() as u64, key);
        }
    }

    /// The pause between two bursts is over. A connection is not paced by time.
    pub(super) fn deliver_in_time(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        if self.session(key.number).and_then(|session| session.way.bare()).is_some_and(|at| at.connection().is_none()) {
            self.deliver_more(cx, key);
        }
    }

    /// A connection has taken the last burst.
    pub(super) fn flushed(&mut self, cx: &mut Cx<'_>, from: Endpoint, number: u32) {
        if let Some(session) = self.session(number).filter(|session| session.way.is(Origin::Bare(from))) {
            let key = SessionKey { number, session: session.id };
            self.deliver_more(cx, key);
        }
    }
}
