//! Requests for authorization. Both lists of them are kept in step, and how many are open is counted: strangers can make
//! the list of a well-known person as long as it may be, and nobody need walk it then for each that asks.

use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::{Refusal, key, read};

/// The requests that wait for somebody. Directories of earlier versions have no such record until the next of them comes.
#[derive(Debug, Clone, Copy)]
struct Open {
    count: u32,
    /// None of them ends before this (ms since 1970 UTC).
    until_ms: u64,
}

impl Open {
    const NONE: Self = Self { count: 0, until_ms: u64::MAX };

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (count, until_ms) = bytes.split_first_chunk()?;
        Some(Self { count: u32::from_be_bytes(*count), until_ms: read_until(until_ms)? })
    }

    fn encode(self) -> Vec<u8> {
        [&self.count.to_be_bytes()[..], &self.until_ms.to_be_bytes()].concat()
    }

    fn add(&mut self, until_ms: u64) {
        self.count += 1;
        self.until_ms = self.until_ms.min(until_ms);
    }
}

/// Until when a request for authorization is open.
pub(in crate::store) fn read_until(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

impl<I: Lookup> Plan<'_, I> {
    pub(super) fn put_ask(&mut self, target: u32, asker: u32, until_ms: u64) -> Planned<()> {
        self.must_exist(target)?;
        self.must_exist(asker)?;
        self.must_not_block(target, asker)?;
        let mut open = match self.open_asks(target)? {
            Some(open) => open,
            None => self.end_asks(target, 0)?,
        };
        if !self.draft.has(self.index, key::ask(target, asker))? {
            // The store has no clock, but the caller's can be seen: all requests are open equally long.
            let now_ms = until_ms.saturating_sub(limits::ASK_OPEN.as_millis() as u64);
            if open.count as usize >= limits::ASKS_OPEN && open.until_ms <= now_ms {
                open = self.end_asks(target, now_ms)?;
            }
            if open.count as usize >= limits::ASKS_OPEN {
                return Err(Stop::Refused(Refusal::TooManyAsks));
            }
            open.add(until_ms);
        }
        self.draft.put(key::asks(target), open.encode());
        self.draft.put(key::ask(target, asker), until_ms.to_be_bytes());
        self.draft.put(key::asked(asker, target), []);
        Ok(())
    }

    fn open_asks(&self, target: u32) -> Planned<Option<Open>> {
        let open = self.draft.look(self.index, key::asks(target), Open::decode)?;
        Ok(open.map(|open| open.ok_or_else(read::malformed)).transpose()?)
    }

    /// Deletes the requests to somebody that have ended, and counts the others.
    fn end_asks(&mut self, target: u32, now_ms: u64) -> Planned<Open> {
        let mut open = Open::NONE;
        for asker in self.numbers(key::asks_to(target))? {
            match self.draft.look(self.index, key::ask(target, asker), read_until)?.flatten() {
                Some(until_ms) if until_ms > now_ms => open.add(until_ms),
                _ => self.forget_ask(target, asker)?,
            }
        }
        Ok(open)
    }

    fn forget_ask(&mut self, target: u32, asker: u32) -> Planned<()> {
        self.delete(key::ask(target, asker))?;
        self.delete(key::asked(asker, target))
    }

    pub(super) fn delete_ask(&mut self, target: u32, asker: u32) -> Planned<()> {
        if !self.draft.has(self.index, key::ask(target, asker))? {
            return Ok(());
        }
        self.forget_ask(target, asker)?;
        match self.open_asks(target)? {
            Some(Open { count: 0 | 1, .. }) => self.draft.delete(key::asks(target)),
            Some(open) => self.draft.put(key::asks(target), Open { count: open.count - 1, ..open }.encode()),
            None => {}
        }
        Ok(())
    }
}
