//! Who knows what must hold (architecture.md 5), and says at once when it does not.

use crate::client::{ReceiptState, Recipient};
use crate::link::{Packet, Side};
use crate::store::{MemoryIndex, SimDisk, Store};
use rustc_hash::{FxHashSet, FxHasher};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::net::SocketAddr;

/// The notice code of a message that its recipient does not want.
const BLOCKED: u8 = 5;
/// Those of what may be done later: no receipt says so.
const BUSY: u8 = 9;
const STORAGE: u8 = 10;

/// Recipient, sender, id.
type Name = (u32, u32, u64);

/// Something that a user's list has or has not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    Friend(u32, u32),
    Block(u32, u32),
    Group(u32, String),
}

/// A message as its sender said it.
#[derive(Debug)]
struct Letter {
    at: u64,
    to: Recipient,
    text: String,
}

/// What an address that may be anybody's has sent and got.
#[derive(Debug, Default)]
struct Traffic {
    from: u64,
    to: u64,
    proven: bool,
}

/// Everything that was said, shown and told.
#[derive(Debug, Default)]
pub struct Oracle {
    now: u64,
    letters: BTreeMap<(u32, u64), Letter>,
    shown: BTreeSet<Name>,
    receipts: BTreeMap<Name, ReceiptState>,
    /// Those with receipt 1 that were not shown: they must be in the store.
    stored: BTreeSet<Name>,
    /// The last that was shown, by recipient and sender.
    last: BTreeMap<(u32, u32), u64>,
    traffic: BTreeMap<SocketAddr, Traffic>,
    /// Packets that the server has had since it started.
    taken: FxHashSet<u64>,
    facts: BTreeMap<Fact, bool>,
    /// Who may come into a list by somebody's answer.
    open: BTreeSet<(u32, u32)>,
    /// Syncs have failed.
    pub disk_fails: bool,
    /// When somebody has last blocked somebody, or ended it.
    blocked: BTreeMap<(u32, u32), u64>,
    /// What has happened, in one number.
    pub trace: u64,
    pub figures: Figures,
}

/// How much a run has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub messages: u64,
    pub shown: u64,
    pub receipts: u64,
    pub packets: u64,
    pub answers: u64,
    pub ends: u64,
    pub sessions: u64,
}

impl Oracle {
    /// It is later.
    pub fn time(&mut self, now: u64) {
        self.now = now;
    }

    #[track_caller]
    fn wrong(&self, what: &str) -> ! {
        panic!("at {} ms: {what}", self.now)
    }

    /// Something has happened.
    pub fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what ^ self.now.rotate_left(40)).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17);
    }

    fn note_bytes(&mut self, bytes: &[u8]) {
        let tail = bytes.last_chunk().map_or(0, |tail: &[u8; 8]| u64::from_le_bytes(*tail));
        self.note(tail ^ bytes.len() as u64);
    }

    // ---- messages

    /// A program has said this.
    pub fn said(&mut self, from: u32, id: u64, to: Recipient, text: &str) {
        self.figures.messages += 1;
        self.note(id);
        let letter = Letter { at: self.now, to, text: text.to_owned() };
        if self.letters.insert((from, id), letter).is_some() {
            self.wrong(&format!("{from} uses the id {id} twice"));
        }
    }

    /// A program shows this.
    pub fn shown(&mut self, to: u32, from: u32, id: u64, text: &str) {
        self.figures.shown += 1;
        self.note(id ^ u64::from(to));
        let Some(letter) = self.letters.get(&(from, id)) else {
            self.wrong(&format!("{to} is shown {from}/{id}, which nobody has said"))
        };
        if letter.text != text {
            self.wrong(&format!("{to} is shown {from}/{id} with another text"));
        }
        if matches!(letter.to, Recipient::User(meant) if meant != to) {
            self.wrong(&format!("{to} is shown {from}/{id}, which is for {:?}", letter.to));
        }
        let name = (to, from, id);
        if !self.shown.insert(name) {
            self.wrong(&format!("{to} is shown {from}/{id} twice"));
        }
        let single = matches!(letter.to, Recipient::User(_));
        let blocked_since = self.blocked_since(to, from, id);
        // What was sent before its sender was blocked may have been on its way to the recipient (see `src/sim/README.md`).
        if single
            && let Some(ReceiptState::Refused { code }) = self.receipts.get(&name)
            && !(blocked_since && *code == BLOCKED)
        {
            self.wrong(&format!("{to} is shown {from}/{id}, of which a receipt says that it never will be ({code})"));
        }
        // A broadcast that is sent again goes to those who are friends by then.
        // Nor does what was refused for a block, and comes again because its sender never learnt so.
        if single
            && !blocked_since
            && let Some(last) = self.last.insert((to, from), id).filter(|last| *last > id)
        {
            self.wrong(&format!("{to} is shown {from}/{id} after {last}"));
        }
        self.stored.remove(&name);
    }

    /// A program learns this.
    pub fn receipt(&mut self, from: u32, to: u32, id: u64, state: ReceiptState) {
        self.figures.receipts += 1;
        self.note(id ^ u64::from(to) << 32);
        let name = (to, from, id);
        let shown = self.shown.contains(&name);
        match state {
            ReceiptState::Sending => {}
            ReceiptState::Stored if shown => {}
            ReceiptState::Stored => drop(self.stored.insert(name)),
            ReceiptState::Delivered if !shown => {
                self.wrong(&format!("a receipt says that {to} has {from}/{id}, which was not shown"))
            }
            ReceiptState::Delivered => {}
            ReceiptState::Refused { .. } if !self.is_single(from, id) => {}
            ReceiptState::Refused { code: code @ (BUSY | STORAGE) } => {
                self.wrong(&format!("a receipt says that {to} never gets {from}/{id}, because of what passes ({code})"))
            }
            // It was delivered before its sender was blocked, and the server does not know so any more (see
            // `src/sim/README.md`).
            ReceiptState::Refused { code: BLOCKED } if shown && self.blocked_since(to, from, id) => {}
            ReceiptState::Refused { code } if shown || self.stored.contains(&name) => {
                let known = if shown { "shown" } else { "stored" };
                self.wrong(&format!("a receipt says that {to} never gets {from}/{id} ({code}), which was {known}"))
            }
            ReceiptState::Refused { .. } => {}
        }
        self.receipts.insert(name, state);
    }

    /// Whether its recipient has blocked its sender at some time since the message was said.
    fn blocked_since(&self, to: u32, from: u32, id: u64) -> bool {
        let said = self.letters.get(&(from, id)).map(|letter| letter.at);
        self.blocked.get(&(to, from)).is_some_and(|at| Some(*at) >= said)
    }

    /// Whether a message is for one user. A broadcast that is sent again goes to whoever is a friend by then, and who has
    /// refused it before may take it.
    fn is_single(&self, from: u32, id: u64) -> bool {
        self.letters.get(&(from, id)).is_some_and(|letter| matches!(letter.to, Recipient::User(_)))
    }

    /// What was said to be stored and was not shown.
    pub fn not_shown(&self) -> impl Iterator<Item = &Name> {
        self.stored.iter()
    }

    // ---- packets

    /// The server sends this; to `at`, if it is a datagram.
    pub fn leaves(&mut self, at: Option<SocketAddr>, bytes: &[u8]) {
        self.figures.packets += 1;
        self.note_bytes(bytes);
        if let Err(error) = Packet::decode(bytes, Side::Server) {
            self.wrong(&format!("the server sends what is no packet: {error}"));
        }
        let Some(at) = at else { return };
        let traffic = self.traffic.entry(at).or_default();
        traffic.to += bytes.len() as u64;
        if !traffic.proven && traffic.to > traffic.from {
            let Traffic { from, to, .. } = *traffic;
            self.wrong(&format!("{at}, which has proven nothing, gets {to} bytes for {from}"));
        }
    }

    /// The server gets a datagram. `proven`: its sender has got something there before.
    pub fn arrives(&mut self, from: SocketAddr, bytes: &[u8], proven: bool) {
        self.note_bytes(bytes);
        let traffic = self.traffic.entry(from).or_default();
        traffic.from += bytes.len() as u64;
        traffic.proven |= proven;
    }

    /// The server takes a packet. Whether it had the same one before, since its start: then it must not take it again.
    pub fn is_repeat(&mut self, bytes: &[u8]) -> bool {
        if !matches!(Packet::decode(bytes, Side::Client), Ok(Packet::Data { .. })) {
            return false;
        }
        !self.taken.insert(fingerprint(bytes))
    }

    /// The server has left a packet unopened that it had not seen: it may take it when it comes again.
    pub fn not_opened(&mut self, bytes: &[u8]) {
        self.taken.remove(&fingerprint(bytes));
    }

    /// It has taken it again.
    pub fn repeat_taken(&self) -> ! {
        self.wrong("a packet that was seen is taken again")
    }

    /// The server starts: it knows its sessions, and not what it had from them.
    pub fn server_starts(&mut self) {
        self.taken.clear();
    }

    // ---- lists

    /// A change was asked for: until it is answered nobody knows.
    pub fn unsure(&mut self, fact: &Fact) {
        if let Fact::Block(owner, other) = fact {
            // Until it is answered, it can come to be at any time.
            self.blocked.insert((*owner, *other), u64::MAX);
        }
        self.facts.remove(fact);
    }

    /// A change was answered.
    pub fn sure(&mut self, fact: Fact, holds: bool) {
        self.figures.answers += 1;
        self.note(u64::from(holds));
        if matches!(fact, Fact::Friend(owner, friend) if self.open.contains(&(owner, friend))) {
            return;
        }
        if let Fact::Block(owner, other) = fact {
            self.blocked.insert((owner, other), self.now);
        }
        self.facts.insert(fact, holds);
    }

    /// `owner` has asked `friend`, whose answer may come at any time.
    pub fn asks(&mut self, owner: u32, friend: u32) {
        self.open.insert((owner, friend));
        self.facts.remove(&Fact::Friend(owner, friend));
    }

    // ---- the store

    /// Looks into the store.
    pub fn look_into(&mut self, store: &mut Store<SimDisk, MemoryIndex>) {
        let wrong = store.check_lists().expect("memory can be read");
        if let Some(what) = wrong.first() {
            self.wrong(what);
        }
        let mut mailboxes: BTreeMap<u32, BTreeSet<(u32, u64)>> = BTreeMap::new();
        for (to, from, id) in &self.stored {
            let mailbox = mailboxes
                .entry(*to)
                .or_insert_with(|| store.mailbox(*to).expect("memory can be read").into_iter().collect());
            if !mailbox.contains(&(*from, *id)) {
                self.wrong(&format!("a receipt says that {from}/{id} is stored for {to}, and it is not"));
            }
        }
        let mut users = BTreeMap::new();
        for (fact, holds) in &self.facts {
            let (Fact::Friend(owner, _) | Fact::Block(owner, _) | Fact::Group(owner, _)) = fact;
            let user = users.entry(*owner).or_insert_with(|| store.lists(*owner).expect("memory can be read"));
            let Some(user) = user else { self.wrong(&format!("{owner} was registered, and is not there")) };
            let found = match fact {
                Fact::Friend(_, friend) => user.friends.iter().any(|entry| entry.0 == *friend),
                Fact::Block(_, other) => user.blocks.contains(other),
                Fact::Group(_, name) => user.groups.iter().any(|(_, group)| **group == **name),
            };
            if found != *holds {
                self.wrong(&format!("{fact:?} was answered to be {holds}, and is not"));
            }
        }
    }
}

/// Stands for the bytes of a packet.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}
