//! What the writer knows by heart: the next free number, how many accounts there are, and what mailboxes hold.

use super::audit::AuditHead;
use super::mailboxes::{Counted, Mailbox, Mailboxes};
use crate::limits;
use rustc_hash::FxHashMap;

/// What is counted. It is kept under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    /// The number of the next account; no number is given out twice.
    pub(super) next_number: u32,
    pub(super) accounts: u32,
    /// Places in mailboxes below this one may have been given out; a restart goes on from here.
    pub(super) mail_reserved: u64,
    pub(super) audit: AuditHead,
}

impl Default for Counters {
    fn default() -> Self {
        Self { next_number: limits::FIRST_USER, accounts: 0, mail_reserved: 1, audit: AuditHead::default() }
    }
}

impl Counters {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.next_number.to_be_bytes());
        bytes.extend_from_slice(&self.accounts.to_be_bytes());
        bytes.extend_from_slice(&self.mail_reserved.to_be_bytes());
        bytes.extend_from_slice(&self.audit.encode());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (next_number, rest) = bytes.split_first_chunk()?;
        let (accounts, rest) = rest.split_first_chunk()?;
        let (mail_reserved, rest) = rest.split_first_chunk()?;
        Some(Self {
            next_number: u32::from_be_bytes(*next_number),
            accounts: u32::from_be_bytes(*accounts),
            mail_reserved: u64::from_be_bytes(*mail_reserved),
            audit: AuditHead::decode(rest.try_into().ok()?),
        })
    }
}

/// Counters that can be taken back, and what is remembered of mailboxes, which can be forgotten.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) counters: Counters,
    /// The next place in a mailbox, at most `counters.mail_reserved`.
    pub(super) next_mail: u64,
    mailboxes: Mailboxes,
    /// Where the messages of a mailbox begin at the earliest. What was deleted before it may still be in the way, in memory
    /// or in sled: without this a mailbox that is delivered page by page would be walked from its beginning each time.
    starts: FxHashMap<u32, u64>,
    /// Mailboxes whose beginning has moved in this group. To forget one is always right.
    moved: Vec<u32>,
    /// Mailboxes of which something was learned in this group.
    touched: Vec<u32>,
    /// Mailboxes that the present commit has changed.
    changed: Vec<u32>,
    before_commit: (Counters, u64),
    before_group: (Counters, u64),
}

impl Ledger {
    pub(super) fn new(counters: Counters) -> Self {
        Self { counters, next_mail: counters.mail_reserved, ..Self::default() }
    }

    pub(super) fn begin_group(&mut self) {
        self.touched.clear();
        self.moved.clear();
        self.before_group = (self.counters, self.next_mail);
    }

    /// The group was not done.
    pub(super) fn take_back_group(&mut self) {
        (self.counters, self.next_mail) = self.before_group;
        for number in std::mem::take(&mut self.touched) {
            self.forget_mailbox(number);
        }
        self.forget_moved();
    }

    fn forget_moved(&mut self) {
        for number in self.moved.drain(..) {
            self.starts.remove(&number);
        }
    }

    /// No message of this mailbox has an earlier place.
    pub(super) fn mail_start(&self, number: u32) -> u64 {
        self.starts.get(&number).copied().unwrap_or(0)
    }

    /// The messages of this mailbox up to this place are deleted.
    pub(super) fn mail_gone(&mut self, number: u32, through: u64) {
        if self.starts.len() >= limits::MAILBOX_COUNTS {
            self.starts.clear();
        }
        // Places from `next_mail` on are not given out yet.
        self.starts.insert(number, self.mail_start(number).max(through.saturating_add(1).min(self.next_mail)));
        self.moved.push(number);
    }

    /// This is the first message of the mailbox; or it has none.
    pub(super) fn mail_starts(&mut self, number: u32, first: Option<u64>) {
        self.mail_gone(number, first.map_or(u64::MAX, |first| first.saturating_sub(1)));
    }

    /// The counters, if this group has changed them.
    pub(super) fn changed(&self) -> Option<&Counters> {
        (self.counters != self.before_group.0).then_some(&self.counters)
    }

    pub(super) fn begin_commit(&mut self) {
        self.changed.clear();
        self.before_commit = (self.counters, self.next_mail);
    }

    /// The commit was refused.
    pub(super) fn take_back_commit(&mut self) {
        (self.counters, self.next_mail) = self.before_commit;
        // What was only looked at is as it was.
        for number in std::mem::take(&mut self.changed) {
            self.forget_mailbox(number);
        }
        self.forget_moved();
    }

    /// What is remembered of a mailbox.
    pub(super) fn mailbox(&mut self, number: u32) -> Option<&mut Mailbox> {
        self.mailboxes.get(number)
    }

    /// This is what the mailbox of an account holds.
    pub(super) fn set_mailbox(&mut self, number: u32, mailbox: Mailbox) {
        self.touched.push(number);
        self.mailboxes.set(number, mailbox);
    }

    /// What is remembered of this mailbox may be wrong now.
    fn touch(&mut self, number: u32) {
        self.touched.push(number);
        self.changed.push(number);
    }

    /// Forgets what is remembered of a mailbox.
    pub(super) fn forget_mailbox(&mut self, number: u32) {
        self.mailboxes.forget(number);
    }

    /// A message was added to a mailbox, with sender and id if it has an id.
    pub(super) fn mail_added(&mut self, number: u32, name: Option<(u32, u64)>, seq: u64) {
        self.touch(number);
        if let Some(mailbox) = self.mailboxes.get(number) {
            mailbox.add(name, seq);
        }
    }

    /// So many messages of a mailbox were deleted.
    pub(super) fn mail_removed(&mut self, number: u32, count: usize) {
        self.touch(number);
        if let Some(mailbox) = self.mailboxes.get(number) {
            mailbox.remove(count as u32);
        }
    }

    /// This is how a mailbox is counted now, if it is.
    pub(super) fn set_counted(&mut self, number: u32, counted: Option<Counted>) {
        self.touch(number);
        if let Some(mailbox) = self.mailboxes.get(number) {
            mailbox.set_counted(counted);
        }
    }

    /// Whether the owner of a mailbox refuses anybody has changed.
    pub(super) fn set_refuses(&mut self, number: u32, refuses: bool) {
        self.touch(number);
        if let Some(mailbox) = self.mailboxes.get(number) {
            mailbox.set_refuses(refuses);
        }
    }

    /// The next place in a mailbox.
    pub(super) fn take_mail_seq(&mut self) -> u64 {
        let seq = self.next_mail;
        self.next_mail += 1;
        if seq >= self.counters.mail_reserved {
            self.counters.mail_reserved = seq + limits::MAIL_SEQ_RESERVE;
        }
        seq
    }
}
