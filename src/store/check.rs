//! Whether what the store holds agrees with itself: for tests and simulations.

use super::index::{Index, Lookup};
use super::key::{self, Key};
use super::plan::friends::BLOCK;
use super::plan::mail::WALK;
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
        let mut expected = BTreeMap::new();
        let (mut uses, mut mailboxes) = (BTreeMap::<(u32, u64), u32>::new(), BTreeMap::<u32, Vec<(Head, u64)>>::new());
        let everything = key::everything();
        let mut kept = BTreeMap::new();
        let (mut counted, mut texts) = (BTreeSet::new(), BTreeSet::new());
        self.behind().scan(&everything.start..&everything.end, &mut |key, value| {
            match key::what(key) {
                key::What::Mail(number, seq) => {
                    if let Ok(head) = Head::of(value) {
                        mailboxes.entry(number).or_default().push((head, seq));
                        *uses.entry((head.from, head.id)).or_default() += u32::from(head.shared);
                    }
                }
                key::What::Count(number) => {
                    counted.extend(number);
                    kept.insert(key.to_vec(), value.to_vec());
                }
                key::What::Text(from, id) => _ = texts.insert((from, id)),
                key::What::Other => {}
            }
            ControlFlow::Continue(())
        })?;
        let number = |number: u32| number.to_be_bytes().to_vec();
        uses.retain(|_, uses| *uses > 0);
        let mut wrong = Vec::new();
        if !texts.iter().eq(uses.keys()) {
            wrong.push(format!("there are the texts {texts:?}, and messages refer to {:?}", uses.keys()));
        }
        for ((from, id), uses) in uses {
            expected.insert(key::text_uses(from, id).to_vec(), number(uses));
        }
        for (owner, mails) in mailboxes {
            if !counted.contains(&owner) {
                if mails.len() > WALK {
                    wrong.push(format!("the mailbox of {owner} is long, and nothing is counted"));
                }
                continue;
            }
            let friends = read::friends(self.behind(), owner)?;
            let mut shares = BTreeMap::<u32, u32>::new();
            for (head, seq) in &mails {
                if let Some(name) = head.name() {
                    expected.insert(key::name(owner, name).to_vec(), seq.to_be_bytes().to_vec());
                }
                *shares.entry(head.from).or_default() += u32::from(head.takes_share());
            }
            let mut strangers = 0;
            for (from, share) in shares.into_iter().filter(|(_, share)| *share > 0) {
                if !friends.iter().any(|(friend, _)| *friend == from) {
                    strangers += share.min(limits::MAILBOX_STRANGER);
                }
                expected.insert(key::share(owner, from).to_vec(), number(share));
            }
            expected.insert(key::total(owner).to_vec(), [number(mails.len() as u32), number(strangers)].concat());
        }
        let differ = kept.iter().filter(|(key, value)| expected.get(*key) != Some(value));
        wrong.extend(differ.map(|(key, value)| format!("{key:02x?} is {value:02x?}")));
        let missing = expected.iter().filter(|(key, _)| !kept.contains_key(*key));
        wrong.extend(missing.map(|(key, value)| format!("{key:02x?} is not {value:02x?}")));
        Ok(wrong)
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
        let mut names = Vec::new();
        let range = key::mail_from(number, 0);
        self.behind().scan(&range.start..&range.end, &mut |_, value| {
            names.extend(Head::of(value).ok().and_then(|head| head.name()));
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }
}
