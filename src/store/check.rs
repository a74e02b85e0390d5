//! Whether what the store holds agrees with itself: for tests and simulations.

use super::index::{Index, Lookup};
use super::key::{self, Key};
use super::plan::friends::BLOCK;
use super::plan::mail::WALK;
use super::plan::shares::{Share, Total, read_names, read_shares};
use super::record::Head;
use super::{Disk, Store, UserRecord, lists, read};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::{ControlFlow, Range};

impl<D: Disk, I: Index> Store<D, I> {
    /// Compares lists with their reverse lists, for all accounts; what does not agree, in words.
    #[doc(hidden)]
    pub fn check_lists(&self) -> io::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut accounts = Vec::new();
        self.accounts().scan(0, &mut |number, _| {
            accounts.push(number);
            ControlFlow::Continue(())
        })?;
        let pairs = |what: &str, there: fn(u32) -> Range<Key>, back: fn(u32) -> Range<Key>| {
            let (mut forth, mut reverse) = (BTreeSet::new(), BTreeSet::new());
            for number in &accounts {
                forth.extend(self.last_numbers(there(*number))?.into_iter().map(|other| (*number, other)));
                reverse.extend(self.last_numbers(back(*number))?.into_iter().map(|other| (other, *number)));
            }
            let differ: Vec<(u32, u32)> = forth.symmetric_difference(&reverse).copied().collect();
            io::Result::Ok((!differ.is_empty()).then(|| format!("{what} and the reverse differ: {differ:?}")))
        };
        wrong.extend(self.check_friends(&accounts)?);
        wrong.extend(pairs("blocks", key::blocks_of, key::blockers_of)?);
        wrong.extend(pairs("requests", key::asks_by, key::asks_to)?);
        Ok(wrong)
    }

    /// What is wrong with the friend lists, and with the blocks that say who is listed by whom.
    fn check_friends(&self, accounts: &[u32]) -> io::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let (mut forth, mut reverse) = (BTreeSet::new(), BTreeSet::new());
        for number in accounts {
            let friends = read::friends(self.behind(), *number)?;
            if !friends.is_sorted_by(|a, b| a.0 < b.0) {
                wrong.push(format!("the friend list of {number} is out of order: {friends:?}"));
            }
            forth.extend(friends.into_iter().map(|(friend, _)| (*number, friend)));
            let mut owners = Vec::new();
            let range = key::watchers_of(*number);
            self.behind().scan(&range.start..&range.end, &mut |key, value| {
                let first = Key::last_number(key).unwrap_or(u32::MAX);
                let block = lists::read_watchers(value).unwrap_or_default();
                let fits = !block.is_empty() && block.len() <= BLOCK && block[0] >= first;
                if !fits || owners.last().is_some_and(|last| *last >= first) {
                    wrong.push(format!("a block of who lists {number} does not begin at {first}: {block:?}"));
                }
                owners.extend(block);
                ControlFlow::Continue(())
            })?;
            if !owners.is_sorted_by(|a, b| a < b) {
                wrong.push(format!("who lists {number} is out of order: {owners:?}"));
            }
            reverse.extend(owners.into_iter().map(|owner| (owner, *number)));
        }
        let differ: Vec<(u32, u32)> = forth.symmetric_difference(&reverse).copied().collect();
        if !differ.is_empty() {
            wrong.push(format!("friend lists and the reverse differ: {differ:?}"));
        }
        Ok(wrong)
    }

    /// Compares what is kept about mailboxes and texts with the messages that are there; what does not agree, in words.
    #[doc(hidden)]
    pub fn check_mail(&self) -> io::Result<Vec<String>> {
        let (mut uses, mut mailboxes) = (BTreeMap::<(u32, u64), u32>::new(), BTreeMap::<u32, Vec<(Head, u64)>>::new());
        let (mut kept, mut texts) = (BTreeMap::<u32, BTreeMap<Vec<u8>, Vec<u8>>>::new(), BTreeSet::new());
        let everything = key::everything();
        let mut known = BTreeMap::new();
        self.behind().scan(&everything.start..&everything.end, &mut |key, value| {
            match key::what(key) {
                key::What::Mail(number, seq) => {
                    if let Ok(head) = Head::of(value) {
                        mailboxes.entry(number).or_default().push((head, seq));
                        *uses.entry((head.from, head.id)).or_default() += u32::from(head.shared);
                    }
                }
                key::What::Count(Some(number)) => {
                    kept.entry(number).or_default().insert(key.to_vec(), value.to_vec());
                }
                key::What::Count(None) => _ = known.insert(key.to_vec(), value.to_vec()),
                key::What::Text(from, id) => _ = texts.insert((from, id)),
                key::What::Other => {}
            }
            ControlFlow::Continue(())
        })?;
        uses.retain(|_, uses| *uses > 0);
        let mut wrong = Vec::new();
        if !texts.iter().eq(uses.keys()) {
            wrong.push(format!("there are the texts {texts:?}, and messages refer to {:?}", uses.keys()));
        }
        let expected: BTreeMap<Vec<u8>, Vec<u8>> = uses
            .into_iter()
            .map(|((from, id), uses)| (key::text_uses(from, id).to_vec(), uses.to_be_bytes().to_vec()))
            .collect();
        if known != expected {
            wrong.push(format!("texts are used {expected:02x?}, and said to be used {known:02x?}"));
        }
        for owner in mailboxes.keys().chain(kept.keys()).copied().collect::<BTreeSet<u32>>() {
            let mails = mailboxes.remove(&owner).unwrap_or_default();
            wrong.extend(self.check_mailbox(owner, &mails, kept.remove(&owner).unwrap_or_default())?);
        }
        Ok(wrong)
    }

    fn check_mailbox(
        &self,
        owner: u32,
        mails: &[(Head, u64)],
        mut kept: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> io::Result<Option<String>> {
        let said = |what: String| Ok(Some(format!("mailbox of {owner}: {what}")));
        let Some(total) = kept.remove(&*key::total(owner)) else {
            return match kept.is_empty() && mails.len() <= WALK {
                true => Ok(None),
                false => said(format!("{} messages are not counted, and {} keys are kept", mails.len(), kept.len())),
            };
        };
        let Some(total) = Total::decode(&total) else { return said("the total is malformed".to_owned()) };
        let (counted, tail): (Vec<_>, Vec<_>) = mails.iter().copied().partition(|(_, seq)| *seq <= total.through);
        if counted.len() != total.messages as usize || tail.len() > WALK {
            return said(format!("{total:?}, but {} are counted and {} are not", counted.len(), tail.len()));
        }
        for (at, block) in total.blocks.iter().enumerate() {
            let end = total.blocks.get(at + 1).map_or(u64::MAX, |next| next.first);
            let mine: Vec<_> = counted.iter().filter(|(_, seq)| (block.first..end).contains(seq)).collect();
            let names = kept.remove(&*key::names(owner, block.first)).and_then(|names| read_names(&names));
            let Some(names) = names else { return said(format!("the block {block:?} is not there")) };
            let places: BTreeSet<u64> = names.iter().map(|name| name.1).collect();
            let missing = mine.iter().filter(|(head, seq)| head.name().is_some() && !places.contains(seq)).count();
            if mine.len() != block.live as usize || missing > 0 || !names.is_sorted() {
                return said(format!("the block {block:?} has {} messages, {missing} names are missing", mine.len()));
            }
        }
        let mut shares = BTreeMap::<u32, u32>::new();
        counted
            .iter()
            .filter(|(head, _)| head.takes_share())
            .for_each(|(head, _)| *shares.entry(head.from).or_default() += 1);
        let found: BTreeMap<u32, Share> = kept.values().filter_map(|value| read_shares(value)).flatten().collect();
        let newest = |from: u32| {
            counted.iter().filter_map(|(head, _)| head.name()).filter(|name| name.0 == from).map(|name| name.1).max()
        };
        let agree = shares.len() == found.len()
            && found.iter().all(|(from, share)| {
                shares.get(from) == Some(&share.messages) && newest(*from).is_none_or(|newest| newest <= share.newest)
            });
        let friends = read::friends(self.behind(), owner)?;
        let strange = shares.iter().filter(|(from, _)| !friends.iter().any(|(friend, _)| friend == *from));
        let strangers: u32 = strange.map(|(_, share)| (*share).min(limits::MAILBOX_STRANGER)).sum();
        if !agree || strangers != total.strangers {
            return said(format!("shares are {shares:?}, of strangers {strangers}; said to be {found:?}, {total:?}"));
        }
        Ok(None)
    }

    fn last_numbers(&self, range: Range<Key>) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        self.behind().scan(&range.start..&range.end, &mut |key, _| {
            numbers.extend(Key::last_number(key));
            ControlFlow::Continue(())
        })?;
        Ok(numbers)
    }

    /// The lists of a user.
    #[doc(hidden)]
    pub fn lists(&self, number: u32) -> io::Result<Option<UserRecord>> {
        Ok(read::user(self.behind(), number, 0)?.map(|(user, _)| user))
    }

    /// Sender and id of all messages in a mailbox that have an id, in order.
    #[doc(hidden)]
    pub fn mailbox(&self, number: u32) -> io::Result<Vec<(u32, u64)>> {
        self.names(number, |_| true)
    }

    /// The same of those that its owner does not have: what was given to somebody hidden stays until that is visible.
    #[doc(hidden)]
    pub fn undelivered(&self, number: u32) -> io::Result<Vec<(u32, u64)>> {
        self.names(number, |head| !head.given)
    }

    fn names(&self, number: u32, which: impl Fn(&Head) -> bool) -> io::Result<Vec<(u32, u64)>> {
        let mut names = Vec::new();
        let range = key::mail_from(number, 0);
        self.behind().scan(&range.start..&range.end, &mut |_, value| {
            names.extend(Head::of(value).ok().filter(&which).and_then(|head| head.name()));
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }
}
