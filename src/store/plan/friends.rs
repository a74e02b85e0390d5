//! Who lists whom. A friend list is one value; the reverse list, which can be of any length, is in blocks. Both are kept
//! in step.

use super::{Plan, Planned};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key::{self, Key};
use crate::store::{lists, read};
use std::io;

/// Owners in one block of a reverse list: few in tests, so that these see blocks come and go.
pub(in crate::store) const BLOCK: usize = if cfg!(test) { 3 } else { limits::WATCHERS_BLOCK };

impl<I: Lookup> Plan<'_, I> {
    fn friends(&self, owner: u32) -> Planned<Vec<(u32, u8)>> {
        let Some(value) = self.draft.get(self.index, key::friends(owner))? else { return Ok(Vec::new()) };
        Ok(lists::read_friends(&value).ok_or_else(read::malformed)?)
    }

    /// Whether `owner` lists `friend`.
    pub(super) fn lists_friend(&self, owner: u32, friend: u32) -> Planned<bool> {
        Ok(self.friends(owner)?.binary_search_by_key(&friend, |entry| entry.0).is_ok())
    }

    /// Takes a list that was changed. One that is empty has no key.
    fn set_friends(&mut self, owner: u32, friends: &[(u32, u8)]) {
        let key = key::friends(owner);
        if friends.is_empty() { self.draft.delete(key) } else { self.draft.put(key, lists::write_friends(friends)) }
    }

    pub(super) fn put_friend(&mut self, owner: u32, friend: u32, group: u8) -> Planned<()> {
        self.must_exist(owner)?;
        self.must_exist(friend)?;
        let mut friends = self.friends(owner)?;
        match friends.binary_search_by_key(&friend, |entry| entry.0) {
            Ok(at) => friends[at].1 = group,
            Err(at) => {
                friends.insert(at, (friend, group));
                self.listed(owner, friend, true)?;
                self.watch(friend, owner)?;
            }
        }
        self.set_friends(owner, &friends);
        Ok(())
    }

    pub(super) fn delete_friend(&mut self, owner: u32, friend: u32) -> Planned<()> {
        if self.unlist(owner, friend)? { self.unwatch(friend, owner) } else { Ok(()) }
    }

    /// Moves the friends in a group to the first one.
    pub(super) fn empty_group(&mut self, owner: u32, group: u8) -> Planned<()> {
        let before = self.friends(owner)?;
        let moved = |(friend, at): &(u32, u8)| (*friend, if *at == group { limits::FIRST_GROUP } else { *at });
        let after: Vec<(u32, u8)> = before.iter().map(moved).collect();
        if after != before {
            self.set_friends(owner, &after);
        }
        Ok(())
    }

    /// Takes a user out of the lists of others, and others out of this one's.
    pub(super) fn delete_friends(&mut self, number: u32) -> Planned<()> {
        let friends = self.friends(number)?;
        for (friend, _) in &friends {
            self.unwatch(*friend, number)?;
        }
        if !friends.is_empty() {
            self.draft.delete(key::friends(number));
        }
        // Whole blocks: one by one the reverse list of somebody well known would be written as often as it is long.
        for key in self.draft.keys(self.index, key::watchers_of(number))? {
            for owner in self.block(key)? {
                self.unlist(owner, number)?;
            }
            self.draft.delete(key);
        }
        Ok(())
    }

    /// Takes somebody from a friend list; whether they were on it.
    fn unlist(&mut self, owner: u32, friend: u32) -> Planned<bool> {
        let mut friends = self.friends(owner)?;
        let Ok(at) = friends.binary_search_by_key(&friend, |entry| entry.0) else { return Ok(false) };
        friends.remove(at);
        self.set_friends(owner, &friends);
        self.listed(owner, friend, false)?;
        Ok(true)
    }

    fn block(&self, key: Key) -> io::Result<Vec<u32>> {
        let value = self.draft.get(self.index, key)?;
        value.map_or(Some(Vec::new()), |value| lists::read_watchers(&value)).ok_or_else(read::malformed)
    }

    /// The block of a reverse list in which this owner is, or would be.
    fn block_of(&self, friend: u32, owner: u32) -> io::Result<Option<(Key, Vec<u32>)>> {
        let Some((key, value)) = self.draft.last(self.index, key::watchers_through(friend, owner))? else {
            return Ok(None);
        };
        Ok(Some((key, lists::read_watchers(&value).ok_or_else(read::malformed)?)))
    }

    fn watch(&mut self, friend: u32, owner: u32) -> Planned<()> {
        let (key, mut block) = self.block_of(friend, owner)?.unwrap_or((key::watchers(friend, 0), Vec::new()));
        let Err(at) = block.binary_search(&owner) else { return Ok(()) };
        block.insert(at, owner);
        if block.len() > BLOCK {
            let upper = block.split_off(block.len() / 2);
            self.draft.put(key::watchers(friend, upper[0]), lists::write_watchers(&upper));
        }
        self.draft.put(key, lists::write_watchers(&block));
        Ok(())
    }

    fn unwatch(&mut self, friend: u32, owner: u32) -> Planned<()> {
        let Some((key, mut block)) = self.block_of(friend, owner)? else { return Ok(()) };
        let Ok(at) = block.binary_search(&owner) else { return Ok(()) };
        block.remove(at);
        if block.is_empty() {
            self.draft.delete(key);
        } else {
            self.draft.put(key, lists::write_watchers(&block));
        }
        Ok(())
    }
}
