//! Whether what the store holds agrees with itself: for tests and simulations.

use super::index::{Index, Lookup};
use super::key::{self, Key};
use super::plan::friends::BLOCK;
use super::{Disk, Mail, Store, UserRecord, lists, read};
use std::collections::BTreeSet;
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
        read::user(self.behind(), number, 0)
    }

    /// Sender and id of all messages in a mailbox that have an id, in order.
    #[doc(hidden)]
    pub fn mailbox(&self, number: u32) -> io::Result<Vec<(u32, u64)>> {
        let mut names = Vec::new();
        let range = key::mail_from(number, 0);
        self.behind().scan(&range.start..&range.end, &mut |_, value| {
            names.extend(Mail::name_in(value).ok().flatten());
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }
}
