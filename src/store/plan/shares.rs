//! Long mailboxes: where each message is by its name, how many there are of each sender, and how many in all. So nobody
//! need walk them.
//!
//! A mailbox is counted when it grows beyond `limits::MAILBOX_WALK` messages, and from then on for as many at a time: what
//! has come since is its tail, which is walked. So a message costs next to nothing more. Names stand in blocks, one for
//! each part of the mailbox; they are hints, for a message may be gone, and a block goes with its last message. All of it
//! stands in the journal like any other keys, and changes with the messages in one commit. The shares of a mailbox
//! (protocol.md 1.7) are decided here.

use super::mail::{Placed, WALK};
use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key;
use crate::store::mailboxes::Counted;
use crate::store::record::Head;
use crate::store::{Refusal, lists, read};
use std::collections::BTreeMap;
use std::io;

/// Blocks of one mailbox, above which two of them become one: few in tests, so that these see that.
const BLOCKS: usize = if cfg!(test) { 3 } else { limits::MAILBOX_BLOCKS };
/// Messages of the block that a long tail becomes a part of.
const PART: usize = 256;
/// Senders in one record of shares, above which there are twice as many records.
const SENDERS: usize = if cfg!(test) { 2 } else { 256 };
/// Records of shares of one mailbox.
const RECORDS: u8 = 64;

/// What is kept of a long mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Total {
    /// All messages up to this place are counted; those after it are the tail.
    pub(in crate::store) through: u64,
    /// How many are counted.
    pub(in crate::store) messages: u32,
    /// Of senders whom the owner does not list, of each no more than a share.
    pub(in crate::store) strangers: u32,
    /// No sender has more.
    most: u32,
    /// Records of shares.
    records: u8,
    pub(in crate::store) blocks: Vec<Block>,
}

/// A part of a mailbox whose names stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Block {
    /// It goes from this place to that of the next one.
    pub(in crate::store) first: u64,
    /// Messages that are there.
    pub(in crate::store) live: u32,
    /// Names that it has, of messages that are there or were.
    names: u32,
}

/// The messages of one sender, and the largest id that any of them has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Share {
    pub(in crate::store) messages: u32,
    pub(in crate::store) newest: u64,
}

impl Total {
    const NONE: Self = Self { through: 0, messages: 0, strangers: 0, most: 0, records: 1, blocks: Vec::new() };

    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Self> {
        let (through, rest) = bytes.split_first_chunk()?;
        let (messages, rest) = rest.split_first_chunk()?;
        let (strangers, rest) = rest.split_first_chunk()?;
        let (most, rest) = rest.split_first_chunk()?;
        let (records, rest) = rest.split_first()?;
        let (blocks, rest) = rest.as_chunks::<16>();
        let block = |block: &[u8; 16]| {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *block;
            Block {
                first: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                live: u32::from_be_bytes([i, j, k, l]),
                names: u32::from_be_bytes([m, n, o, p]),
            }
        };
        let whole = rest.is_empty() && records.is_power_of_two() && *records <= RECORDS;
        whole.then(|| Self {
            through: u64::from_be_bytes(*through),
            messages: u32::from_be_bytes(*messages),
            strangers: u32::from_be_bytes(*strangers),
            most: u32::from_be_bytes(*most),
            records: *records,
            blocks: blocks.iter().map(block).collect(),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(21 + self.blocks.len() * 16);
        bytes.extend_from_slice(&self.through.to_be_bytes());
        bytes.extend_from_slice(&self.messages.to_be_bytes());
        bytes.extend_from_slice(&self.strangers.to_be_bytes());
        bytes.extend_from_slice(&self.most.to_be_bytes());
        bytes.push(self.records);
        for block in &self.blocks {
            bytes.extend_from_slice(&block.first.to_be_bytes());
            bytes.extend_from_slice(&block.live.to_be_bytes());
            bytes.extend_from_slice(&block.names.to_be_bytes());
        }
        bytes
    }

    /// In which record of shares a sender is.
    fn record_of(&self, from: u32) -> u8 {
        (from.wrapping_mul(0x9E37_79B1) >> 26) as u8 & (self.records - 1)
    }

    pub(super) fn counted(&self) -> Counted {
        Counted { messages: self.messages, most: self.most, strangers: self.strangers }
    }
}

/// A message by its name. Two of one sender never have the same; the name itself is in the message.
fn mark((from, id): (u32, u64)) -> u64 {
    id.wrapping_add(u64::from(from).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Marks and places, in order. `None` if the value cannot be such.
pub(in crate::store) fn read_names(value: &[u8]) -> Option<Vec<(u64, u64)>> {
    let (names, rest) = value.as_chunks::<16>();
    rest.is_empty().then(|| names.iter().map(read_name).collect())
}

fn read_name(name: &[u8; 16]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, place @ ..] = *name;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(place))
}

fn write_names(names: &[(u64, u64)]) -> Vec<u8> {
    names.iter().flat_map(|(mark, seq)| mark.to_be_bytes().into_iter().chain(seq.to_be_bytes())).collect()
}

/// The places that a block has for a mark.
fn find_names(value: &[u8], mark: u64) -> Vec<u64> {
    let (names, _) = value.as_chunks::<16>();
    let from = names.partition_point(|name| read_name(name).0 < mark);
    names[from..].iter().map(read_name).take_while(|name| name.0 == mark).map(|name| name.1).collect()
}

/// The shares of a record, by sender. `None` if the value cannot be one.
pub(in crate::store) fn read_shares(value: &[u8]) -> Option<BTreeMap<u32, Share>> {
    let (shares, rest) = value.as_chunks::<16>();
    let share = |share: &[u8; 16]| {
        let [a, b, c, d, e, f, g, h, newest @ ..] = *share;
        let messages = u32::from_be_bytes([e, f, g, h]);
        (u32::from_be_bytes([a, b, c, d]), Share { messages, newest: u64::from_be_bytes(newest) })
    };
    rest.is_empty().then(|| shares.iter().map(share).collect())
}

fn write_shares(shares: &BTreeMap<u32, Share>) -> Vec<u8> {
    let mut value = Vec::with_capacity(shares.len() * 16);
    for (from, share) in shares {
        value.extend_from_slice(&from.to_be_bytes());
        value.extend_from_slice(&share.messages.to_be_bytes());
        value.extend_from_slice(&share.newest.to_be_bytes());
    }
    value
}

/// What the messages of a stranger count in the share of all strangers. Somebody who was listed once and is no more may
/// have left more than a stranger may: that does not shut out the others.
fn of_stranger(messages: u32) -> u32 {
    messages.min(limits::MAILBOX_STRANGER)
}

impl<I: Lookup> Plan<'_, I> {
    /// `None` for a mailbox that is not counted.
    pub(super) fn total(&self, number: u32) -> Planned<Option<Total>> {
        let total = self.draft.look(self.index, key::total(number), Total::decode)?;
        Ok(total.map(|total| total.ok_or_else(read::malformed)).transpose()?)
    }

    /// The place of a message in a mailbox that is counted.
    pub(super) fn named(&self, number: u32, name: (u32, u64)) -> Planned<Option<u64>> {
        let Some(total) = self.total(number)? else { return Ok(None) };
        let mut found = None;
        if name.1 <= self.shares(number, total.record_of(name.0))?.get(&name.0).map_or(0, |share| share.newest) {
            for block in total.blocks.iter().rev() {
                let see = |value: &[u8]| find_names(value, mark(name));
                for seq in self.draft.look(self.index, key::names(number, block.first), see)?.unwrap_or_default() {
                    let head = self.draft.look(self.index, key::mail(number, seq), Head::of)?;
                    if head.is_some_and(|head| head.is_ok_and(|head| head.name() == Some(name))) {
                        return Ok(Some(seq));
                    }
                }
            }
        }
        self.mail_after(number, total.through, |mail| {
            if mail.head.name() == Some(name) {
                found = Some(mail.seq);
            }
        })?;
        Ok(found)
    }

    fn shares(&self, number: u32, record: u8) -> Planned<BTreeMap<u32, Share>> {
        let shares = self.draft.look(self.index, key::shares(number, record), read_shares)?;
        Ok(shares.map_or(Some(BTreeMap::new()), |shares| shares).ok_or_else(read::malformed)?)
    }

    fn set_shares(&mut self, number: u32, record: u8, shares: &BTreeMap<u32, Share>) -> Planned<()> {
        let key = key::shares(number, record);
        if shares.is_empty() {
            return self.delete(key);
        }
        self.draft.put(key, write_shares(shares));
        Ok(())
    }

    /// Refused if the sender, or all strangers together, have as much in a mailbox that is counted as they may.
    pub(super) fn must_have_share(&mut self, number: u32, from: u32, counted: Counted) -> Planned<()> {
        let far = |counted: u32, most: u32| counted + (WALK as u32) < most;
        if far(counted.most, limits::MAILBOX_STRANGER) && far(counted.strangers, limits::MAILBOX_STRANGERS) {
            return Ok(());
        }
        let Some(total) = self.total(number)? else { return Ok(()) };
        let friends = self.draft.get(self.index, key::friends(number))?;
        let lists = |other| friends.as_deref().is_some_and(|friends| lists::has_friend(friends, other));
        let mut share = self.shares(number, total.record_of(from))?.get(&from).map_or(0, |share| share.messages);
        let mut strangers = total.strangers;
        self.mail_after(number, total.through, |mail| {
            if mail.head.takes_share() {
                share += u32::from(mail.head.from == from);
                strangers += u32::from(!lists(mail.head.from));
            }
        })?;
        let full = if lists(from) {
            share >= limits::MAILBOX_FRIEND
        } else {
            share >= limits::MAILBOX_STRANGER || strangers >= limits::MAILBOX_STRANGERS
        };
        if full { Err(Stop::Refused(Refusal::MailboxFull)) } else { Ok(()) }
    }

    /// Counts the tail of a mailbox, if it has become too long to be walked.
    pub(super) fn count(&mut self, number: u32) -> Planned<()> {
        let mut total = self.total(number)?.unwrap_or(Total::NONE);
        let mut tail = Vec::new();
        self.mail_after(number, total.through, |mail| tail.push(mail))?;
        if tail.len() <= WALK {
            return Ok(());
        }
        for part in tail.chunks(PART) {
            let mut names: Vec<(u64, u64)> =
                part.iter().filter_map(|mail| Some((mark(mail.head.name()?), mail.seq))).collect();
            names.sort_unstable();
            self.draft.put(key::names(number, part[0].seq), write_names(&names));
            total.blocks.push(Block { first: part[0].seq, live: part.len() as u32, names: names.len() as u32 });
            total.through = part[part.len() - 1].seq;
            while total.blocks.len() > BLOCKS {
                self.join_blocks(number, &mut total)?;
            }
        }
        total.messages += tail.len() as u32;
        self.change_shares(number, &mut total, &tail, |share, mail| {
            share.messages += 1;
            share.newest = share.newest.max(mail.head.name().map_or(0, |(_, id)| id));
        })?;
        self.draft.put(key::total(number), total.encode());
        self.ledger.set_counted(number, Some(total.counted()));
        Ok(())
    }

    /// Makes one block of the two neighbours that have the fewest messages.
    fn join_blocks(&mut self, number: u32, total: &mut Total) -> Planned<()> {
        let pairs = total.blocks.windows(2).map(|pair| pair[0].live + pair[1].live).enumerate();
        let Some((at, _)) = pairs.min_by_key(|(_, live)| *live) else { return Ok(()) };
        let mut names = Vec::new();
        for block in [total.blocks[at], total.blocks[at + 1]] {
            let value = self.draft.look(self.index, key::names(number, block.first), read_names)?;
            for name in value.flatten().ok_or_else(read::malformed)? {
                // Most often all of a block are there.
                if block.names == block.live || self.draft.has(self.index, key::mail(number, name.1))? {
                    names.push(name);
                }
            }
        }
        names.sort_unstable();
        let gone = total.blocks.remove(at + 1);
        let kept = &mut total.blocks[at];
        (kept.live, kept.names) = (kept.live + gone.live, names.len() as u32);
        self.delete(key::names(number, gone.first))?;
        self.draft.put(key::names(number, kept.first), write_names(&names));
        Ok(())
    }

    /// These messages are to be deleted from a mailbox.
    pub(super) fn count_out(&mut self, number: u32, mails: &[Placed]) -> Planned<()> {
        if self.ledger.mailbox(number).is_some_and(|mailbox| !mailbox.is_counted()) {
            return Ok(());
        }
        let Some(mut total) = self.total(number)? else { return Ok(()) };
        let mails: Vec<Placed> = mails.iter().copied().filter(|mail| mail.seq <= total.through).collect();
        if mails.is_empty() {
            return Ok(());
        }
        for mail in &mails {
            let at = total.blocks.partition_point(|block| block.first <= mail.seq);
            if let Some(block) = at.checked_sub(1).and_then(|at| total.blocks.get_mut(at)) {
                block.live = block.live.saturating_sub(1);
            }
        }
        for block in total.blocks.iter().filter(|block| block.live == 0) {
            self.delete(key::names(number, block.first))?;
        }
        total.blocks.retain(|block| block.live > 0);
        total.messages = total.messages.saturating_sub(mails.len() as u32);
        self.change_shares(number, &mut total, &mails, |share, _| share.messages = share.messages.saturating_sub(1))?;
        if total.messages == 0 {
            self.delete(key::total(number))?;
            self.ledger.set_counted(number, None);
        } else {
            self.draft.put(key::total(number), total.encode());
            self.ledger.set_counted(number, Some(total.counted()));
        }
        Ok(())
    }

    fn change_shares(
        &mut self,
        number: u32,
        total: &mut Total,
        mails: &[Placed],
        change: impl Fn(&mut Share, &Placed),
    ) -> Planned<()> {
        let friends = self.draft.get(self.index, key::friends(number))?;
        let lists = |other| friends.as_deref().is_some_and(|friends| lists::has_friend(friends, other));
        let mut records = BTreeMap::<u8, Vec<&Placed>>::new();
        for mail in mails.iter().filter(|mail| mail.head.takes_share()) {
            records.entry(total.record_of(mail.head.from)).or_default().push(mail);
        }
        let mut full = false;
        for (record, mails) in records {
            let before = self.shares(number, record)?;
            let mut after = before.clone();
            mails.iter().for_each(|mail| change(after.entry(mail.head.from).or_default(), mail));
            for (from, share) in &after {
                let old = before.get(from).copied().unwrap_or_default();
                if old.messages != share.messages && !lists(*from) {
                    total.strangers =
                        (total.strangers + of_stranger(share.messages)).saturating_sub(of_stranger(old.messages));
                }
                total.most = total.most.max(share.messages);
            }
            after.retain(|_, share| share.messages > 0);
            full |= after.len() > SENDERS;
            self.set_shares(number, record, &after)?;
        }
        if full && total.records < RECORDS {
            self.split_records(number, total)?;
        }
        Ok(())
    }

    /// The shares of a mailbox get twice as many records.
    fn split_records(&mut self, number: u32, total: &mut Total) -> Planned<()> {
        let mut all = BTreeMap::new();
        for record in 0..total.records {
            all.extend(self.shares(number, record)?);
        }
        total.records *= 2;
        let mut records = vec![BTreeMap::new(); usize::from(total.records)];
        for (from, share) in all {
            records[usize::from(total.record_of(from))].insert(from, share);
        }
        (0..).zip(&records).try_for_each(|(record, shares)| self.set_shares(number, record, shares))
    }

    /// The same of a mailbox that was long before such things were kept.
    pub(in crate::store) fn count_old(&mut self, number: u32) -> io::Result<()> {
        self.draft.begin();
        self.ledger.begin_commit();
        match self.count(number) {
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) | Err(Stop::Refused(_)) => Ok(()),
        }
    }

    /// `owner` lists `friend` from now on, or no more: what `friend` has in the mailbox is a friend's, or a stranger's.
    pub(super) fn listed(&mut self, owner: u32, friend: u32, listed: bool) -> Planned<()> {
        let Some(mut total) = self.total(owner)? else { return Ok(()) };
        let share = self.shares(owner, total.record_of(friend))?.get(&friend).map_or(0, |share| share.messages);
        let share = of_stranger(share);
        if share > 0 {
            total.strangers = if listed { total.strangers.saturating_sub(share) } else { total.strangers + share };
            self.draft.put(key::total(owner), total.encode());
            self.ledger.set_counted(owner, Some(total.counted()));
        }
        Ok(())
    }
}
