//! Mailboxes: what is added to them, once, and what is deleted.

use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key::{self, Key};
use crate::store::mailboxes::{Glance, Ids, Known, Mailbox};
use crate::store::{Mail, Refusal, read};
use std::collections::BTreeSet;

/// The kinds of a system message that anyone can cause: "has added you" at will, "asks to be authorized" once a week.
const ADDED: u8 = 1;
const ASKS: u8 = 2;

impl<I: Lookup> Plan<'_, I> {
    /// What has to be known of a mailbox before a message is added, with sender and id if it has an id. Refused if there
    /// is no such user.
    fn glance(&mut self, number: u32, name: Option<(u32, u64)>) -> Planned<Glance> {
        if let Some(mailbox) = self.ledger.mailbox(number) {
            return Ok(mailbox.glance(name));
        }
        self.must_exist(number)?;
        let mut mailbox = Mailbox::new(self.blocks_anybody(number)?);
        self.each_mail(number, |name, seq| mailbox.add(name, seq))?;
        let glance = mailbox.glance(name);
        self.ledger.set_mailbox(number, mailbox);
        Ok(glance)
    }

    /// Visits the messages of a mailbox: sender and id of those that have an id, and their places.
    fn each_mail(&self, number: u32, mut visit: impl FnMut(Option<(u32, u64)>, u64)) -> Planned<()> {
        let mut whole = true;
        let range = key::mail_from(number, self.ledger.mail_start(number));
        self.draft.each(self.index, range, &mut |key, value| match Mail::name_in(value) {
            Ok(name) => visit(name, Key::mail_seq(key).unwrap_or_default()),
            Err(_) => whole = false,
        })?;
        if whole { Ok(()) } else { Err(Stop::Failed(read::malformed())) }
    }

    /// The place of a message, if it is there.
    fn find_mail(&mut self, number: u32, name: (u32, u64), known: Known) -> Planned<Option<u64>> {
        match known {
            Known::Absent => return Ok(None),
            Known::At(seq) if self.draft.has(self.index, key::mail(number, seq))? => return Ok(Some(seq)),
            Known::At(_) | Known::Perhaps => {}
        }
        if let Some(found) = self.ledger.searched(number, name) {
            return Ok(found);
        }
        let mut ids = Ids::default();
        self.each_mail(number, |name, seq| ids.extend(name.map(|name| (name, seq))))?;
        let found = ids.get(&name).copied();
        self.ledger.set_searched(number, ids);
        Ok(found)
    }

    pub(super) fn add_mail(&mut self, number: u32, mail: &Mail) -> Planned<()> {
        let name = mail.name();
        let Glance { count, blocks, known } = self.glance(number, name)?;
        // What is there already stays, even if the sender was blocked since or the mailbox is full.
        if let Some(name) = name
            && let Some(seq) = self.find_mail(number, name, known)?
        {
            self.places.push(seq);
            return Ok(());
        }
        let unasked = mail.flag == Mail::USER || (mail.flag == Mail::SYSTEM && matches!(mail.kind, ADDED | ASKS));
        if blocks && unasked {
            self.must_not_block(number, mail.from)?;
        }
        // The reserve is for requests and answers alone: nobody can fill it with what costs nothing.
        let reserve = if mail.flag == Mail::SYSTEM && mail.kind != ADDED { limits::MAILBOX_RESERVE } else { 0 };
        if count as usize >= limits::MAILBOX_MESSAGES + reserve {
            return Err(Stop::Refused(Refusal::MailboxFull));
        }
        let seq = self.ledger.take_mail_seq();
        self.draft.put_first(key::mail(number, seq), mail.encode());
        self.ledger.mail_added(number, name, seq);
        self.places.push(seq);
        Ok(())
    }

    pub(super) fn delete_mail(&mut self, number: u32, through: u64) -> Planned<()> {
        let keys = self.draft.keys(self.index, key::mail_between(number, self.ledger.mail_start(number), through))?;
        if !keys.is_empty() {
            self.ledger.mail_removed(number, keys.len());
            keys.into_iter().for_each(|key| self.draft.delete(key));
        }
        self.ledger.mail_gone(number, through);
        Ok(())
    }

    pub(super) fn delete_mail_at(&mut self, number: u32, places: &[u64]) -> Planned<()> {
        let mut keys = Vec::with_capacity(places.len());
        for seq in places.iter().copied().collect::<BTreeSet<u64>>() {
            let key = key::mail(number, seq);
            if self.draft.has(self.index, key)? {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        self.ledger.mail_removed(number, keys.len());
        keys.into_iter().for_each(|key| self.draft.delete(key));
        if self.ledger.mailbox(number).is_some_and(|mailbox| mailbox.is_empty()) {
            self.ledger.mail_gone(number, u64::MAX);
        }
        Ok(())
    }
}
