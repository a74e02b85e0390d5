//! Mailboxes: what is added to them, once, and what is deleted.

use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key::{self, Key};
use crate::store::mailboxes::{Glance, Known, Mailbox};
use crate::store::record::Head;
use crate::store::{Mail, Refusal, read};
use std::collections::BTreeSet;
use std::ops::Range;

/// The longest mailbox that is walked: a short one in tests, so that these see longer ones.
pub(in crate::store) const WALK: usize = if cfg!(test) { 3 } else { limits::MAILBOX_WALK };

/// A message that stands in a mailbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) head: Head,
    pub(super) seq: u64,
}

impl<I: Lookup> Plan<'_, I> {
    /// What has to be known of a mailbox before a message is added, with sender and id if it has an id. Refused if there
    /// is no such user.
    fn glance(&mut self, number: u32, name: Option<(u32, u64)>) -> Planned<Glance> {
        if let Some(mailbox) = self.ledger.mailbox(number) {
            return Ok(mailbox.glance(name));
        }
        self.must_exist(number)?;
        let refuses = self.refuses_anybody(number)?;
        let mailbox = match self.total(number)? {
            Some(total) => {
                let mut messages = total.messages;
                self.mail_after(number, total.through, |_| messages += 1)?;
                Mailbox::counted(messages, total.counted(), refuses)
            }
            None => {
                let (mut mailbox, mut first) = (Mailbox::new(refuses), None);
                self.each_mail(number, |mail| {
                    mailbox.add(mail.head.name(), mail.seq);
                    first = first.or(Some(mail.seq));
                })?;
                self.ledger.mail_starts(number, first);
                mailbox
            }
        };
        let glance = mailbox.glance(name);
        self.ledger.set_mailbox(number, mailbox);
        Ok(glance)
    }

    /// Visits the messages of a mailbox.
    pub(super) fn each_mail(&self, number: u32, visit: impl FnMut(Placed)) -> Planned<()> {
        self.mail_between(number, u64::MAX, visit)
    }

    /// Visits the messages of a mailbox beyond this place.
    pub(super) fn mail_after(&self, number: u32, after: u64, visit: impl FnMut(Placed)) -> Planned<()> {
        let start = self.ledger.mail_start(number).max(after.saturating_add(1));
        self.visit_mail(key::mail_from(number, start), visit)
    }

    /// Visits the messages of a mailbox up to and including this place.
    fn mail_between(&self, number: u32, through: u64, visit: impl FnMut(Placed)) -> Planned<()> {
        self.visit_mail(key::mail_between(number, self.ledger.mail_start(number), through), visit)
    }

    fn visit_mail(&self, range: Range<Key>, mut visit: impl FnMut(Placed)) -> Planned<()> {
        let mut whole = true;
        self.draft.each(self.index, range, &mut |key, value| match (Head::of(value), Key::mail_seq(key)) {
            (Ok(head), Some(seq)) => visit(Placed { head, seq }),
            _ => whole = false,
        })?;
        if whole { Ok(()) } else { Err(Stop::Failed(read::malformed())) }
    }

    /// The place of a message, if it is there.
    fn find_mail(&self, number: u32, name: (u32, u64), glance: Glance) -> Planned<Option<u64>> {
        match glance.known {
            Known::Absent => return Ok(None),
            Known::At(seq) if self.draft.has(self.index, key::mail(number, seq))? => return Ok(Some(seq)),
            Known::At(_) | Known::Perhaps => {}
        }
        if glance.counted.is_some() {
            return self.named(number, name);
        }
        // It is a short one.
        let mut found = None;
        self.each_mail(number, |mail| {
            if mail.head.name() == Some(name) {
                found = Some(mail.seq);
            }
        })?;
        Ok(found)
    }

    pub(super) fn add_mail(&mut self, number: u32, mail: &Mail) -> Planned<()> {
        let head = mail.head();
        let name = head.name();
        let glance = self.glance(number, name)?;
        // What is there already stays, even if the sender was blocked since or the mailbox is full.
        if let Some(name) = name
            && let Some(seq) = self.find_mail(number, name, glance)?
        {
            self.places.push(seq);
            return Ok(());
        }
        if glance.refuses && head.flag == Mail::USER {
            self.must_not_refuse(number, mail.from)?;
        } else if glance.refuses && head.is_unasked() {
            self.must_not_block(number, mail.from)?;
        }
        // The reserve is for requests and answers alone: nobody can fill it with what costs nothing.
        let reserve = if mail.flag == Mail::SYSTEM && mail.kind != Mail::ADDED { limits::MAILBOX_RESERVE } else { 0 };
        if glance.count as usize >= limits::MAILBOX_MESSAGES + reserve {
            return Err(Stop::Refused(Refusal::MailboxFull));
        }
        if let Some(counted) = glance.counted.filter(|_| head.takes_share()) {
            self.must_have_share(number, mail.from, counted)?;
        }
        let seq = self.ledger.take_mail_seq();
        let record = self.record(mail)?;
        self.draft.put_first(key::mail(number, seq), record);
        self.ledger.mail_added(number, name, seq);
        if self.ledger.mailbox(number).is_some_and(|mailbox| mailbox.tail() as usize > WALK) {
            self.count(number)?;
        }
        self.places.push(seq);
        Ok(())
    }

    pub(super) fn delete_mail(&mut self, number: u32, through: u64) -> Planned<()> {
        let mut gone = Vec::new();
        self.mail_between(number, through, |mail| gone.push(mail))?;
        self.remove_mail(number, &gone)?;
        self.ledger.mail_gone(number, through);
        Ok(())
    }

    pub(super) fn delete_mail_at(&mut self, number: u32, places: &[u64]) -> Planned<()> {
        let mut gone = Vec::with_capacity(places.len());
        for seq in places.iter().copied().collect::<BTreeSet<u64>>() {
            let head = self.draft.look(self.index, key::mail(number, seq), Head::of)?;
            if let Some(head) = head {
                gone.push(Placed { head: head.map_err(|_| read::malformed())?, seq });
            }
        }
        self.remove_mail(number, &gone)?;
        if !gone.is_empty() && self.ledger.mailbox(number).is_some_and(|mailbox| mailbox.is_empty()) {
            self.ledger.mail_gone(number, u64::MAX);
        }
        Ok(())
    }

    /// The recipient, who is hidden, has these: see [`Change::GiveMailAt`](crate::store::Change::GiveMailAt).
    pub(super) fn give_mail_at(&mut self, number: u32, places: &[u64]) -> Planned<()> {
        let mut done = Vec::new();
        for seq in places.iter().copied().collect::<BTreeSet<u64>>() {
            let key = key::mail(number, seq);
            let Some(record) = self.draft.get(self.index, key)? else { continue };
            let head = Head::of(&record).map_err(|_| read::malformed())?;
            if head.flag != Mail::USER {
                done.push(seq);
            } else if !head.given {
                self.draft.put(key, Head::given(&record).ok_or_else(read::malformed)?);
                if head.shared {
                    self.release_text(head.from, head.id)?;
                }
            }
        }
        self.delete_mail_at(number, &done)
    }

    /// The same of all up to and including this place.
    pub(super) fn give_mail(&mut self, number: u32, through: u64) -> Planned<()> {
        let mut places = Vec::new();
        self.mail_between(number, through, |mail| {
            if !mail.head.given {
                places.push(mail.seq);
            }
        })?;
        self.give_mail_at(number, &places)
    }

    /// The recipient is visible: what was given is gone.
    pub(super) fn delete_given(&mut self, number: u32) -> Planned<()> {
        let mut given = Vec::new();
        self.each_mail(number, |mail| {
            if mail.head.given {
                given.push(mail);
            }
        })?;
        self.remove_mail(number, &given)
    }

    /// Deletes messages that are there.
    fn remove_mail(&mut self, number: u32, gone: &[Placed]) -> Planned<()> {
        if gone.is_empty() {
            return Ok(());
        }
        self.count_out(number, gone)?;
        self.ledger.mail_removed(number, gone.len());
        for mail in gone {
            self.draft.delete(key::mail(number, mail.seq));
            if mail.head.shared {
                self.release_text(mail.head.from, mail.head.id)?;
            }
        }
        Ok(())
    }
}
