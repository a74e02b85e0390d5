//! Who takes nothing from whom. Blocks and reverse blocks are kept in step.

use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::Refusal;
use crate::store::index::Lookup;
use crate::store::key;

impl<I: Lookup> Plan<'_, I> {
    pub(super) fn blocks_anybody(&self, owner: u32) -> Planned<bool> {
        self.draft.any(self.index, key::blocks_of(owner)).map_err(Into::into)
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
        self.ledger.set_blocks(owner, true);
        Ok(())
    }

    pub(super) fn delete_block(&mut self, owner: u32, other: u32) -> Planned<()> {
        self.delete(key::block(owner, other))?;
        self.delete(key::blocker(other, owner))?;
        let blocks = self.blocks_anybody(owner)?;
        self.ledger.set_blocks(owner, blocks);
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
