//! Long mailboxes: where each message is by its name, how many there are of each sender, and how many in all. So nobody
//! need walk them.
//!
//! These keys stand in the journal like any others, and change with the messages in one commit. A mailbox gets them when
//! it grows beyond `limits::MAILBOX_WALK`, and loses them when it is empty. The shares (protocol.md 1.7) are decided here.

use super::mail::Placed;
use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key;
use crate::store::{Refusal, lists, read};
use std::collections::BTreeMap;
use std::io;

/// How many messages a long mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Total {
    pub(in crate::store) messages: u32,
    /// Of senders whom its owner does not list, of each no more than a share.
    pub(in crate::store) strangers: u32,
}

impl Total {
    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Self> {
        let (messages, strangers) = bytes.split_first_chunk()?;
        let (messages, strangers) = (u32::from_be_bytes(*messages), u32::from_be_bytes(strangers.try_into().ok()?));
        Some(Self { messages, strangers })
    }

    fn encode(self) -> Vec<u8> {
        [self.messages.to_be_bytes(), self.strangers.to_be_bytes()].concat()
    }
}

/// What the messages of a stranger count in the share of all strangers. Somebody who was listed once and is no more may
/// have left more than a stranger may: that does not shut out the others.
fn of_stranger(messages: u32) -> u32 {
    messages.min(limits::MAILBOX_STRANGER)
}

impl<I: Lookup> Plan<'_, I> {
    /// `None` for a mailbox that is short, or empty.
    pub(super) fn total(&self, number: u32) -> Planned<Option<Total>> {
        let total = self.draft.look(self.index, key::total(number), Total::decode)?;
        Ok(total.map(|total| total.ok_or_else(read::malformed)).transpose()?)
    }

    fn set_total(&mut self, number: u32, total: Total) {
        self.draft.put(key::total(number), total.encode());
    }

    /// The place of a message in a long mailbox.
    pub(super) fn named(&self, number: u32, name: (u32, u64)) -> Planned<Option<u64>> {
        let seq =
            self.draft.look(self.index, key::name(number, name), |value| value.try_into().map(u64::from_be_bytes))?;
        Ok(seq.transpose().map_err(|_| read::malformed())?)
    }

    /// How many messages of a sender are in a long mailbox that anyone can cause at will.
    fn share(&self, number: u32, from: u32) -> Planned<u32> {
        let share =
            self.draft.look(self.index, key::share(number, from), |value| value.try_into().map(u32::from_be_bytes))?;
        Ok(share.transpose().map_err(|_| read::malformed())?.unwrap_or(0))
    }

    fn lists(&self, owner: u32, friend: u32) -> Planned<bool> {
        let listed = self.draft.look(self.index, key::friends(owner), |value| lists::has_friend(value, friend))?;
        Ok(listed.unwrap_or(false))
    }

    /// Refused if the sender, or all strangers together, have as much in a long mailbox as they may.
    pub(super) fn must_have_share(&self, number: u32, from: u32) -> Planned<()> {
        let share = self.share(number, from)?;
        let full = if self.lists(number, from)? {
            share >= limits::MAILBOX_FRIEND
        } else {
            let total = self.total(number)?.unwrap_or_default();
            share >= limits::MAILBOX_STRANGER || total.strangers >= limits::MAILBOX_STRANGERS
        };
        if full { Err(Stop::Refused(Refusal::MailboxFull)) } else { Ok(()) }
    }

    /// These messages are in a long mailbox now.
    pub(super) fn count_in(&mut self, number: u32, mails: &[Placed]) -> Planned<()> {
        for mail in mails {
            if let Some(name) = mail.head.name() {
                self.draft.put(key::name(number, name), mail.seq.to_be_bytes());
            }
        }
        self.change_shares(number, mails, |share, added| share + added)
    }

    /// These messages are to be deleted from a mailbox.
    pub(super) fn count_out(&mut self, number: u32, mails: &[Placed]) -> Planned<()> {
        if self.ledger.mailbox(number).is_some_and(|mailbox| !mailbox.is_counted()) || self.total(number)?.is_none() {
            return Ok(());
        }
        for mail in mails {
            // Where there were two of one name, the other one keeps it.
            if let Some(name) = mail.head.name()
                && self.named(number, name)? == Some(mail.seq)
            {
                self.draft.delete(key::name(number, name));
            }
        }
        self.change_shares(number, mails, u32::saturating_sub)
    }

    fn change_shares(&mut self, number: u32, mails: &[Placed], change: impl Fn(u32, u32) -> u32) -> Planned<()> {
        let mut total = self.total(number)?.unwrap_or_default();
        total.messages = change(total.messages, mails.len() as u32);
        let mut senders = BTreeMap::<u32, u32>::new();
        for mail in mails.iter().filter(|mail| mail.head.takes_share()) {
            *senders.entry(mail.head.from).or_default() += 1;
        }
        for (from, messages) in senders {
            let before = self.share(number, from)?;
            let after = change(before, messages);
            if !self.lists(number, from)? {
                total.strangers = (total.strangers + of_stranger(after)).saturating_sub(of_stranger(before));
            }
            self.set_share(number, from, before, after);
        }
        if total.messages == 0 {
            self.draft.delete(key::total(number));
            self.ledger.set_counted(number, false);
        } else {
            self.set_total(number, total);
        }
        Ok(())
    }

    fn set_share(&mut self, number: u32, from: u32, before: u32, after: u32) {
        let key = key::share(number, from);
        match (before, after) {
            (0, 0) => {}
            (_, 0) => self.draft.delete(key),
            _ => self.draft.put(key, after.to_be_bytes()),
        }
    }

    /// A mailbox has become long: from now on its names and shares are kept.
    pub(super) fn count(&mut self, number: u32) -> Planned<()> {
        let mut mails = Vec::new();
        self.each_mail(number, |mail| mails.push(mail))?;
        self.count_in(number, &mails)?;
        self.ledger.set_counted(number, true);
        Ok(())
    }

    /// The same of a mailbox that was long before such things were kept.
    pub(in crate::store) fn count_old(&mut self, number: u32) -> io::Result<()> {
        self.draft.begin();
        self.ledger.begin_commit();
        match self.total(number).and_then(|total| if total.is_none() { self.count(number) } else { Ok(()) }) {
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) | Err(Stop::Refused(_)) => Ok(()),
        }
    }

    /// `owner` lists `friend` from now on, or no more: what `friend` has in the mailbox is a friend's, or a stranger's.
    pub(super) fn listed(&mut self, owner: u32, friend: u32, listed: bool) -> Planned<()> {
        let Some(mut total) = self.total(owner)? else { return Ok(()) };
        let share = of_stranger(self.share(owner, friend)?);
        if share > 0 {
            total.strangers = if listed { total.strangers.saturating_sub(share) } else { total.strangers + share };
            self.set_total(owner, total);
        }
        Ok(())
    }
}
