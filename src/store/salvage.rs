//! Recovers what is whole in a damaged data directory into a new one, and says what is not. Nothing in the old one is
//! changed.
//!
//! Every good frame of the journal and every good block of the newest base counts, in their order. What they say is then
//! made to agree with itself, for a frame that is lost may have held one half of something: lists and reverse lists, texts
//! and their uses, counters. Sessions of links are left out.

use super::base::{self, Compaction};
use super::behind::Behind;
use super::disk::{Disk, FsDisk};
use super::index::{Index, Lookup, Op, Packed, SledIndex};
use super::journal::{self, Journal, Piece};
use super::key::{self, Key, What};
use super::layout;
use super::ledger::Counters;
use super::open::Loader;
use super::plan::friends::BLOCK;
use super::record::Head;
use super::{AUDIT_LOG, AccountView, DirStore, OpenError, lists, ops};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;

/// Something that could not be recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// In which file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// What can be told of it.
    pub what: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, what } = self;
        write!(f, "lost: {file} at byte {offset}, {bytes} bytes: {what}")
    }
}

/// What was recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Good frames of the journal.
    pub frames: u64,
    /// Good keys of the base.
    pub keys: u64,
    /// Accounts in the new directory.
    pub accounts: u32,
    /// Messages in it.
    pub messages: u64,
    /// Entries that were left out because what they belong to is lost.
    pub left_out: u64,
}

/// Recovers the directory `from` into `to`, which must be empty or not there. Each loss is told to `lost`.
pub fn salvage(from: &Path, to: &Path, seed: u64, lost: &mut dyn FnMut(Loss)) -> Result<Salvaged, OpenError> {
    let source = FsDisk::look(from)?;
    let mut disk = FsDisk::open(to)?;
    let taken = disk.list().map_err(OpenError::io(format!("read {}", to.display())))?;
    if !taken.is_empty() {
        let full = io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty");
        return Err(OpenError::io(format!("recover into {}", to.display()))(full));
    }
    let index = Packed::new(SledIndex::new(to.join("index")));
    index.reset().map_err(OpenError::io("write the index"))?;
    let mut salvaged = load(&source, &index, lost)?;
    agree(&index, &mut salvaged).map_err(OpenError::io("write the index"))?;
    let wrong = || OpenError::io("write to the new data directory");
    let journal = Journal::create(&mut disk, seed).map_err(wrong())?;
    let generation = journal.end().generation;
    let written = Compaction::new(disk.clone(), Behind::new(index.clone(), journal.end()), generation, 0)
        .run(&mut || ControlFlow::Continue(()))
        .map_err(wrong())?;
    written.install(&mut disk).map_err(wrong())?;
    for name in source.list().map_err(OpenError::io("read the data directory"))? {
        if name == "link.key" || name.starts_with(AUDIT_LOG) {
            copy(&source, &mut disk, &name).map_err(wrong())?;
        }
    }
    index.close().map_err(OpenError::io("write the index"))?;
    // As an older one: its first opening counts the mailboxes anew.
    layout::mark_older(&mut disk).map_err(wrong())?;
    drop((index, journal, disk));
    let mut store = DirStore::open_dir(to, seed, &mut |_| {})?;
    store.take_remade();
    salvaged.accounts = store.account_count();
    store.close().map_err(wrong())?;
    Ok(salvaged)
}

fn copy<D: Disk>(from: &D, to: &mut D, name: &str) -> io::Result<()> {
    let bytes = from.read(name, 0, usize::MAX)?;
    to.append(name, &bytes)?;
    to.sync(name)?;
    to.sync_dir()
}

/// Fills an index with all that is whole.
fn load<D: Disk, I: Index>(disk: &D, index: &I, lost: &mut dyn FnMut(Loss)) -> Result<Salvaged, OpenError> {
    let mut salvaged = Salvaged::default();
    let names = disk.list().map_err(OpenError::io("read the data directory"))?;
    let base = layout::generations(&names, base::name).pop();
    let journals = layout::generations(&names, journal::name);
    let first = base.unwrap_or(1);
    let mut loader = Loader::new(Some(index));
    if let Some(base) = base {
        let mut keys = |ops: &[Op<'_>]| {
            salvaged.keys += ops.len() as u64;
            loader.add(ops)
        };
        let name = base::name(base);
        base::recover(disk, base, &mut keys, &mut |offset, bytes| {
            lost(Loss { file: name.clone(), offset, bytes, what: "keys of the base".to_owned() });
        })?;
    }
    let last = journals.last().copied().unwrap_or(first);
    for generation in first..=last {
        let name = journal::name(generation);
        if !journals.contains(&generation) {
            lost(Loss { file: name, offset: 0, bytes: 0, what: "the whole file is missing".to_owned() });
            continue;
        }
        let size = disk.size(&name).map_err(OpenError::io(format!("read {name}")))?.unwrap_or(0);
        journal::recover(disk, generation, &mut |piece| match piece {
            Piece::Frame(payload) => {
                salvaged.frames += 1;
                loader.add(&ops::read(payload).unwrap_or_default())
            }
            Piece::Damage { offset, bytes, left } => {
                let end = generation == last && offset + bytes == size;
                let what = if offset == 0 { "its header".to_owned() } else { guess(left, end) };
                lost(Loss { file: name.clone(), offset, bytes, what });
                Ok(())
            }
        })?;
    }
    loader.finish()?;
    Ok(salvaged)
}

/// What a damaged frame may have been about.
fn guess(left: &[u8], end: bool) -> String {
    let mut about = BTreeSet::new();
    for (key, _) in ops::read_some(left) {
        about.extend(key::about(key));
    }
    let mut words = if about.is_empty() {
        "changes, of what cannot be told".to_owned()
    } else {
        format!("changes, as it seems of {}", about.into_iter().take(20).collect::<Vec<String>>().join(", "))
    };
    if end {
        words.push_str("; or the end was never synced, and nobody was answered");
    }
    words
}

/// Makes what an index holds agree with itself.
fn agree<I: Index>(index: &I, salvaged: &mut Salvaged) -> io::Result<()> {
    let mut accounts = BTreeSet::new();
    let mut newest = 0;
    each(index, key::accounts_from(0), &mut |key, value| {
        if AccountView::decode(value).is_ok() {
            accounts.extend(Key::last_number(key));
        }
    })?;
    each(index, key::mails(), &mut |key, _| newest = newest.max(Key::mail_seq(key).unwrap_or(0)))?;
    let mut repair = Repair { index, changes: BTreeMap::new(), left_out: 0 };
    repair.derived()?;
    repair.orphans(&accounts)?;
    repair.reverse_lists(&accounts)?;
    salvaged.messages = repair.texts()?;
    repair.counters(&accounts, newest)?;
    salvaged.left_out = repair.left_out;
    repair.apply()
}

fn each<I: Lookup>(index: &I, range: Range<Key>, visit: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
    index.scan(&range.start..&range.end, &mut |key, value| {
        visit(key, value);
        ControlFlow::Continue(())
    })
}

struct Repair<'a, I> {
    index: &'a I,
    changes: BTreeMap<Key, Option<Vec<u8>>>,
    left_out: u64,
}

impl<I: Index> Repair<'_, I> {
    fn remove(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    fn leave_out(&mut self, key: Key) {
        self.remove(key);
        self.left_out += 1;
    }

    fn keys(&self, range: Range<Key>) -> io::Result<Vec<Key>> {
        let mut keys = Vec::new();
        each(self.index, range, &mut |key, _| keys.extend(Key::read(key)))?;
        Ok(keys)
    }

    fn apply(&mut self) -> io::Result<()> {
        let changes = std::mem::take(&mut self.changes);
        let ops: Vec<Op<'_>> = changes.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
        ops.chunks(limits::INDEX_LOAD).try_for_each(|ops| self.index.apply(ops))
    }

    /// What follows from other keys is made anew.
    fn derived(&mut self) -> io::Result<()> {
        for range in key::derived() {
            for key in self.keys(range)? {
                self.remove(key);
            }
        }
        self.apply()
    }

    /// What belongs to an account that is not there.
    fn orphans(&mut self, accounts: &BTreeSet<u32>) -> io::Result<()> {
        for (range, both) in key::of_accounts() {
            for key in self.keys(range)? {
                let numbers = [1, 5].map(|at| key.get(at..).and_then(|rest| rest.first_chunk().copied()));
                let there = |number: Option<[u8; 4]>| number.is_some_and(|n| accounts.contains(&u32::from_be_bytes(n)));
                if !there(numbers[0]) || (both && !there(numbers[1])) {
                    self.leave_out(key);
                }
            }
        }
        self.apply()
    }

    fn reverse_lists(&mut self, accounts: &BTreeSet<u32>) -> io::Result<()> {
        let mut watchers = BTreeMap::<u32, Vec<u32>>::new();
        let mut lists = Vec::new();
        each(self.index, key::all_friends(), &mut |key, value| lists.push((Key::last_number(key), value.to_vec())))?;
        for (owner, value) in lists {
            let Some(owner) = owner else { continue };
            let before = lists::read_friends(&value).unwrap_or_default();
            let after: Vec<(u32, u8)> =
                before.iter().copied().filter(|(friend, _)| accounts.contains(friend)).collect();
            self.left_out += (before.len() - after.len()) as u64;
            let list = (!after.is_empty()).then(|| lists::write_friends(&after));
            self.changes.insert(key::friends(owner), list);
            after.iter().for_each(|(friend, _)| watchers.entry(*friend).or_default().push(owner));
        }
        for (friend, mut owners) in watchers {
            owners.sort_unstable();
            for (at, block) in owners.chunks(BLOCK).enumerate() {
                let first = if at == 0 { 0 } else { block[0] };
                self.changes.insert(key::watchers(friend, first), Some(lists::write_watchers(block)));
            }
        }
        for (there, reverse) in
            [(key::all_blocks(), key::blocker as fn(u32, u32) -> Key), (key::all_asks(), key::asked)]
        {
            for key in self.keys(there)? {
                if let Some((one, other)) = Key::two_numbers(&key) {
                    self.changes.insert(reverse(other, one), Some(Vec::new()));
                }
            }
        }
        self.apply()
    }

    /// Texts and their uses; how many messages there are.
    fn texts(&mut self) -> io::Result<u64> {
        let (mut messages, mut uses) = (0, BTreeMap::<(u32, u64), Vec<Key>>::new());
        each(self.index, key::mails(), &mut |key, value| {
            messages += 1;
            if let (Ok(head), Some(key)) = (Head::of(value), Key::read(key))
                && head.shared
            {
                uses.entry((head.from, head.id)).or_default().push(key);
            }
        })?;
        for key in self.keys(key::texts())? {
            if let What::Text(from, id) = key::what(&key)
                && let Some(users) = uses.remove(&(from, id))
            {
                self.changes.insert(key::text_uses(from, id), Some((users.len() as u32).to_be_bytes().to_vec()));
            } else {
                self.remove(key);
            }
        }
        // The text of these is lost.
        for key in uses.into_values().flatten() {
            messages -= 1;
            self.leave_out(key);
        }
        self.apply()?;
        Ok(messages)
    }

    fn counters(&mut self, accounts: &BTreeSet<u32>, newest: u64) -> io::Result<()> {
        let known = self.index.get(&key::counters())?.and_then(|value| Counters::decode(value.as_ref()));
        let known = known.unwrap_or_default();
        let next = accounts.last().map_or(limits::FIRST_USER, |last| last + 1);
        let counters = Counters {
            next_number: known.next_number.max(next),
            accounts: accounts.len() as u32,
            mail_reserved: known.mail_reserved.max(newest + limits::MAIL_SEQ_RESERVE),
            ..known
        };
        self.changes.insert(key::counters(), Some(counters.encode()));
        Ok(())
    }
}
