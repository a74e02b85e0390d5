//! All accounts in order of number, for a search in another thread and for the operator.

use super::index::{Index, MemoryIndex, SledIndex};
use super::key::{self, Key};
use super::ledger::Counters;
use super::{Grant, read};
use std::io;
use std::ops::ControlFlow;

/// Reads accounts beside the writer. It sees a change soon after it is answered at the latest, and an account never half
/// changed. It keeps the store from closing only while it reads; afterwards its calls fail.
#[derive(Debug, Clone)]
pub struct Accounts(Source);

#[derive(Debug, Clone)]
enum Source {
    Sled(SledIndex),
    Memory(MemoryIndex),
}

/// Called with the number and the record of each account (see [`AccountView::decode`](super::AccountView::decode)); it
/// says whether to go on.
pub type VisitAccount<'a> = &'a mut dyn FnMut(u32, &[u8]) -> ControlFlow<()>;

impl Accounts {
    pub(super) fn sled(index: SledIndex) -> Self {
        Self(Source::Sled(index))
    }

    pub(super) fn memory(index: MemoryIndex) -> Self {
        Self(Source::Memory(index))
    }

    /// Visits the accounts with this number or a higher one, upwards.
    pub fn scan(&self, from: u32, visit: VisitAccount<'_>) -> io::Result<()> {
        let range = key::accounts_from(from);
        let range = &*range.start..&*range.end;
        let visit = &mut with_number(visit);
        match &self.0 {
            Source::Sled(index) => index.scan(range, visit),
            Source::Memory(index) => index.scan(range, visit),
        }
    }

    /// Visits the accounts with a number below this one, downwards.
    pub fn scan_down(&self, below: u32, visit: VisitAccount<'_>) -> io::Result<()> {
        let range = key::accounts_below(below);
        let range = &*range.start..&*range.end;
        let visit = &mut with_number(visit);
        match &self.0 {
            Source::Sled(index) => index.scan_down(range, visit),
            Source::Memory(index) => index.scan_down(range, visit),
        }
    }

    /// How many accounts there are.
    pub fn count(&self) -> io::Result<u32> {
        let counters = match &self.0 {
            Source::Sled(index) => index.get(&key::counters())?.and_then(|value| Counters::decode(value.as_ref())),
            Source::Memory(index) => index.get(&key::counters())?.and_then(|value| Counters::decode(value.as_ref())),
        };
        Ok(counters.map_or(0, |counters| counters.accounts))
    }

    /// All grants, in order of monitor and target.
    pub fn grants(&self) -> io::Result<Vec<Grant>> {
        match &self.0 {
            Source::Sled(index) => read::grants(index),
            Source::Memory(index) => read::grants(index),
        }
    }
}

fn with_number(visit: VisitAccount<'_>) -> impl FnMut(&[u8], &[u8]) -> ControlFlow<()> {
    |key, value| Key::last_number(key).map_or(ControlFlow::Continue(()), |number| visit(number, value))
}
