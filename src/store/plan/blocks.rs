//! Who takes nothing from whom: blocked, or not listed by somebody whom only those listed reach. Blocks and reverse blocks are kept in step.

use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::{AccountView, Refusal, key, reach};
use std::io;

impl<I: Lookup> Plan<'_, I> {
    /// Whether this user may refuse somebody's messages: whoever blocks nobody and is reached by everybody refuses none.
    pub(super) fn refuses_anybody(&self, owner: u32) -> Planned<bool> {
        Ok(self.is_reached_by_listed(owner)? || self.draft.any(self.index, key::blocks_of(owner))?)
    }

    fn is_reached_by_listed(&self, owner: u32) -> Planned<bool> {
        let Some(record) = self.draft.get(self.index, key::account(owner))? else { return Ok(false) };
        Ok(AccountView::decode(&record).map_err(io::Error::other)?.reach == reach::LISTED)
    }

    /// Refused if `owner` takes no messages from `other`.
    pub(super) fn must_not_refuse(&self, owner: u32, other: u32) -> Planned<()> {
        self.must_not_block(owner, other)?;
        let refused = self.is_reached_by_listed(owner)? && !self.lists_friend(owner, other)?;
        if refused { Err(Stop::Refused(Refusal::Blocked)) } else { Ok(()) }
    }

    /// Refused if `owner` blocks `other`.
    pub(super) fn must_not_block(&self, owner: u32, other: u32) -> Planned<()> {
        let blocked = self.draft.has(self.index, key::block(owner, other))?;
        if blocked { Err(Stop::Refused(Refusal::Blocked)) } else { Ok(()) }
    }

    pub(super) fn put_block(&mut self, owner: u32, other: u32) -> Planned<()> {
        self.must_exist(owner)?;
        self.must_exist(other)?;
        if self.draft.has(self.index, key::block(owner, other))? {
            return Ok(());
        }
        if self.draft.keys(self.index, key::blocks_of(owner))?.len() >= limits::BLOCKS {
            return Err(Stop::Refused(Refusal::TooManyBlocks));
        }
        self.draft.put(key::block(owner, other), []);
        self.draft.put(key::blocker(other, owner), []);
        self.ledger.set_refuses(owner, true);
        Ok(())
    }

    pub(super) fn delete_block(&mut self, owner: u32, other: u32) -> Planned<()> {
        self.delete(key::block(owner, other))?;
        self.delete(key::blocker(other, owner))?;
        let refuses = self.refuses_anybody(owner)?;
        self.ledger.set_refuses(owner, refuses);
        Ok(())
    }

    /// Deletes the blocks that this user has put, and those that others have put against this user.
    pub(super) fn delete_blocks(&mut self, number: u32) -> Planned<()> {
        for other in self.numbers(key::blocks_of(number))? {
            self.delete(key::block(number, other))?;
            self.delete(key::blocker(other, number))?;
        }
        for owner in self.numbers(key::blockers_of(number))? {
            self.delete_block(owner, number)?;
        }
        Ok(())
    }
}
