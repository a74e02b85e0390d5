//! What the writer knows by heart: the next free number, how many accounts there are, and how full mailboxes are.

use super::audit::AuditHead;
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

/// Counters, and mailbox counts that can be taken back.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) counters: Counters,
    /// The next place in a mailbox, at most `counters.mail_reserved`.
    pub(super) next_mail: u64,
    mail: MailCounts,
    /// Where the messages of a mailbox begin at the earliest. What was deleted before it may still be in the way, in memory
    /// or in sled: without this a mailbox that is delivered page by page would be walked from its beginning each time.
    starts: FxHashMap<u32, u64>,
    /// Mailboxes whose beginning has moved in this group. To forget one is always right.
    moved: Vec<u32>,
    /// Counts before the present commit.
    undo: Vec<(u32, Option<u32>)>,
    /// Mailboxes whose count changed in this group.
    touched: Vec<u32>,
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
        for number in self.touched.drain(..) {
            self.mail.set(number, None);
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

    /// The counters, if this group has changed them.
    pub(super) fn changed(&self) -> Option<&Counters> {
        (self.counters != self.before_group.0).then_some(&self.counters)
    }

    pub(super) fn begin_commit(&mut self) {
        self.undo.clear();
        self.before_commit = (self.counters, self.next_mail);
    }

    /// The commit was refused.
    pub(super) fn take_back_commit(&mut self) {
        (self.counters, self.next_mail) = self.before_commit;
        while let Some((number, before)) = self.undo.pop() {
            self.mail.set(number, before);
        }
        self.forget_moved();
    }

    /// How many messages a mailbox holds, if that is remembered: then its account exists.
    pub(super) fn mail_count(&mut self, number: u32) -> Option<u32> {
        self.mail.get(number)
    }

    pub(super) fn set_mail_count(&mut self, number: u32, count: Option<u32>) {
        let before = self.mail.set(number, count);
        self.undo.push((number, before));
        self.touched.push(number);
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

/// How many messages mailboxes hold, for the mailboxes used of late: when the young half is full, the old one is
/// forgotten and the young one is old.
#[derive(Debug, Default)]
struct MailCounts {
    young: FxHashMap<u32, u32>,
    old: FxHashMap<u32, u32>,
}

impl MailCounts {
    fn get(&mut self, number: u32) -> Option<u32> {
        if let Some(count) = self.young.get(&number) {
            return Some(*count);
        }
        let count = self.old.remove(&number)?;
        self.set(number, Some(count));
        Some(count)
    }

    fn set(&mut self, number: u32, count: Option<u32>) -> Option<u32> {
        let old = self.old.remove(&number);
        let Some(count) = count else {
            return self.young.remove(&number).or(old);
        };
        if self.young.len() >= limits::MAILBOX_COUNTS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(number, count).or(old)
    }
}
