//! What the writer remembers of mailboxes, so that it need not look: how full they are, whether their owners refuse
//! anybody, and which messages cannot be there already. To forget any of it is always right, only slower.

use crate::limits;
use rustc_hash::FxHashMap;

/// A mailbox of which something is remembered: then its account exists.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// How many messages it holds.
    count: u32,
    /// Its owner may refuse somebody's messages; if not, nobody's are refused.
    refuses: bool,
    /// How it is counted, if it is.
    counted: Option<Counted>,
    newest: Newest,
}

/// What is known by heart of the shares in a mailbox that is counted (see `plan::shares`), its tail left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// How many messages are counted; the others are the tail.
    pub(super) messages: u32,
    /// No sender has more.
    pub(super) most: u32,
    /// What all strangers have.
    pub(super) strangers: u32,
}

/// What is known of a message before anybody looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Such a message is not in the mailbox.
    Absent,
    /// If it has not been deleted, it is at this place.
    At(u64),
    /// It may be there.
    Perhaps,
}

/// What has to be known of a mailbox before a message is added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    pub(super) count: u32,
    pub(super) refuses: bool,
    /// How it is counted, if it is.
    pub(super) counted: Option<Counted>,
    /// Whether the message is there already.
    pub(super) known: Known,
}

/// The largest id of each sender. Ids rise, so a larger one is new.
#[derive(Debug, Default)]
struct Newest {
    senders: Vec<Sender>,
    /// No id of a sender who is not in the list is larger.
    others: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sender {
    number: u32,
    /// None of the sender's messages in the mailbox has a larger id.
    id: u64,
    /// Where the one with that id was put.
    seq: u64,
}

impl Newest {
    fn add(&mut self, from: u32, id: u64, seq: u64) {
        if let Some(sender) = self.senders.iter_mut().find(|sender| sender.number == from) {
            if id > sender.id {
                (sender.id, sender.seq) = (id, seq);
            }
        } else if id > self.others {
            self.senders.push(Sender { number: from, id, seq });
            if self.senders.len() > limits::MAILBOX_SENDERS {
                self.forget_lowest();
            }
        }
    }

    /// Forgets the sender with the lowest id, so that the bound for all who are not listed rises least.
    fn forget_lowest(&mut self) {
        if let Some((at, lowest)) = self.senders.iter().enumerate().min_by_key(|(_, sender)| sender.id) {
            self.others = self.others.max(lowest.id);
            self.senders.swap_remove(at);
        }
    }

    fn find(&self, from: u32, id: u64) -> Known {
        match self.senders.iter().find(|sender| sender.number == from) {
            Some(sender) if id == sender.id => Known::At(sender.seq),
            Some(sender) if id > sender.id => Known::Absent,
            None if id > self.others => Known::Absent,
            _ => Known::Perhaps,
        }
    }
}

impl Mailbox {
    /// An empty one.
    pub(super) fn new(refuses: bool) -> Self {
        Self { count: 0, refuses, counted: None, newest: Newest::default() }
    }

    /// One that is counted: what it holds is not known by heart.
    pub(super) fn counted(messages: u32, counted: Counted, refuses: bool) -> Self {
        let newest = Newest { senders: Vec::new(), others: u64::MAX };
        Self { count: messages, refuses, counted: Some(counted), newest }
    }

    /// Whether its names and shares are kept under keys of their own.
    pub(super) fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// How many of its messages are not counted.
    pub(super) fn tail(&self) -> u32 {
        self.count.saturating_sub(self.counted.map_or(0, |counted| counted.messages))
    }

    /// This is how it is counted now.
    pub(super) fn set_counted(&mut self, counted: Option<Counted>) {
        self.counted = counted;
    }

    /// What has to be known before a message is added, with sender and id if it has an id.
    pub(super) fn glance(&self, name: Option<(u32, u64)>) -> Glance {
        let known = name.map_or(Known::Absent, |(from, id)| self.newest.find(from, id));
        Glance { count: self.count, refuses: self.refuses, counted: self.counted, known }
    }

    /// A message is there, with sender and id if it has an id.
    pub(super) fn add(&mut self, name: Option<(u32, u64)>, seq: u64) {
        self.count += 1;
        if let Some((from, id)) = name {
            self.newest.add(from, id, seq);
        }
    }

    /// It is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its owner may refuse somebody's messages, or refuses nobody's.
    pub(super) fn set_refuses(&mut self, refuses: bool) {
        self.refuses = refuses;
    }

    /// So many messages were deleted.
    pub(super) fn remove(&mut self, count: u32) {
        self.count = self.count.saturating_sub(count);
        if self.count == 0 {
            self.newest = Newest::default();
        }
    }
}

/// The mailboxes used of late: when the young half is full, the old one is forgotten and the young one is old.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    young: FxHashMap<u32, Mailbox>,
    old: FxHashMap<u32, Mailbox>,
}

impl Mailboxes {
    pub(super) fn get(&mut self, number: u32) -> Option<&mut Mailbox> {
        if let Some(mailbox) = self.old.remove(&number) {
            self.set(number, mailbox);
        }
        self.young.get_mut(&number)
    }

    pub(super) fn set(&mut self, number: u32, mailbox: Mailbox) {
        self.old.remove(&number);
        if self.young.len() >= limits::MAILBOX_COUNTS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(number, mailbox);
    }

    pub(super) fn forget(&mut self, number: u32) {
        self.old.remove(&number);
        self.young.remove(&number);
    }
}
