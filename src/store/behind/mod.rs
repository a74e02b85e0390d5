//! The index with what it does not have yet: changes are kept in memory once the journal has them, and reach the index
//! later, many at a time and in order of key, which is what it is good at. Nobody who reads notices.
//!
//! There are two tables: the writer puts changes into the active one; at times it freezes it, and the applier brings a
//! frozen one into the index. A key that comes and goes meanwhile never gets there. What is in memory only is in the
//! journal, so a crash loses nothing: the index is said to have a part of the journal ([`Behind::applied`]) only once
//! all of its changes are in, and flushed.

mod applier;
mod merge;
mod table;

pub(super) use applier::Applier;
pub(super) use table::{New, Value};

use super::index::{Index, Lookup, Op, Visit};
use super::journal::Position;
use super::key::{self, Key};
use crate::limits;
use merge::{Page, Way};
use std::io;
use std::ops::{Bound, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use table::Table;

/// Changes applied in one step, and copied for one page of a scan: few in tests, so that these see all that lies between.
const STEP: usize = if cfg!(test) { 3 } else { limits::BEHIND_STEP };
const PAGE: usize = if cfg!(test) { 5 } else { limits::BEHIND_PAGE };

/// An index, and the changes that it does not have yet. Clones are the same; only one of them writes.
#[derive(Debug, Clone)]
pub(super) struct Behind<I> {
    inner: I,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tables: Mutex<Tables>,
    /// Rises when the index begins to be mended and when that is done: odd while it cannot be read.
    mends: AtomicU64,
    /// There may be something to do for the applier.
    work: Condvar,
    /// The applier has done something.
    done: Condvar,
}

#[derive(Debug)]
struct Tables {
    active: Table,
    frozen: Option<Frozen>,
    /// The index has all of the journal before this, flushed.
    applied: Position,
    /// Why the applier cannot go on.
    failed: Option<io::Error>,
    /// Somebody applies a step at this moment.
    stepping: bool,
    /// A thread applies: whoever waits need not do it.
    threaded: bool,
    /// The thread shall keep its hands off.
    paused: bool,
    stop: bool,
    waits: u64,
}

/// A table that is being brought into the index.
#[derive(Debug)]
struct Frozen {
    table: Arc<Table>,
    /// With this table the index has all of the journal before this.
    position: Position,
    /// How far it has come.
    reached: Option<Key>,
    /// The memory of what is left, about.
    left: usize,
}

impl Tables {
    /// The memory of what the index does not have yet, about.
    fn bytes(&self) -> usize {
        self.active.bytes + self.frozen.as_ref().map_or(0, |frozen| frozen.left)
    }

    /// Freezes the active table if there is none that is frozen.
    fn freeze(&mut self, position: Position) {
        if self.frozen.is_some() {
            return;
        }
        if self.active.changes.is_empty() {
            self.applied = position;
            return;
        }
        let table = std::mem::take(&mut self.active);
        let left = table.bytes;
        self.frozen = Some(Frozen { table: Arc::new(table), position, reached: None, left });
    }
}

impl<I: Index> Behind<I> {
    /// An index that has all of the journal before `applied`.
    pub(super) fn new(inner: I, applied: Position) -> Self {
        let tables = Tables {
            active: Table::default(),
            frozen: None,
            applied,
            failed: None,
            stepping: false,
            threaded: false,
            paused: false,
            stop: false,
            waits: 0,
        };
        let shared =
            Shared { tables: Mutex::new(tables), mends: AtomicU64::new(0), work: Condvar::new(), done: Condvar::new() };
        Self { inner, shared: Arc::new(shared) }
    }

    /// The index alone, which may lack changes.
    pub(super) fn inner(&self) -> &I {
        &self.inner
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.shared.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes that the journal has up to `position`.
    pub(super) fn take(&self, changes: impl IntoIterator<Item = (Key, New)>, position: Position) {
        let mut guard = self.tables();
        let tables = &mut *guard;
        let frozen = tables.frozen.as_ref().map(|frozen| &*frozen.table);
        for (key, new) in changes {
            tables.active.take(key, new, frozen);
        }
        if tables.active.bytes >= limits::BEHIND_TABLE_BYTES {
            tables.freeze(position);
            self.shared.work.notify_one();
        }
    }

    /// Waits until there is room for more changes. All taken so far are in the journal up to `position`.
    pub(super) fn wait_for_room(&self, position: Position) {
        let mut tables = self.tables();
        if tables.bytes() < limits::BEHIND_BYTES {
            return;
        }
        tables.waits += 1;
        while tables.bytes() >= limits::BEHIND_BYTES && tables.failed.is_none() {
            tables.freeze(position);
            if tables.threaded {
                self.shared.work.notify_one();
                tables = self.shared.done.wait(tables).unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(tables);
                self.step();
                tables = self.tables();
            }
        }
    }

    /// Somebody else steps, by hand: nothing is applied unasked.
    #[cfg(test)]
    pub(super) fn by_hand(&self) {
        self.tables().threaded = true;
    }

    /// The memory of what the index does not have yet, about.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.tables().bytes()
    }

    /// How often the writer had to wait for room.
    pub(super) fn waits(&self) -> u64 {
        self.tables().waits
    }

    /// Has all changes so far applied soon, unless the applier is busy; they are in the journal up to `position`.
    /// Without a thread they are applied at once.
    pub(super) fn freeze(&self, position: Position) {
        let mut tables = self.tables();
        tables.freeze(position);
        let threaded = tables.threaded;
        drop(tables);
        if threaded {
            self.shared.work.notify_one();
        } else {
            self.drain(position);
        }
    }

    /// The index has all of the journal before this, even if the process is killed.
    pub(super) fn applied(&self) -> Position {
        self.tables().applied
    }

    /// Why applying has failed; nothing more is applied until [`Self::restart`].
    pub(super) fn failure(&self) -> Option<io::Error> {
        let tables = self.tables();
        tables.failed.as_ref().map(|error| io::Error::new(error.kind(), error.to_string()))
    }

    /// Applies everything before it returns, unless that fails.
    pub(super) fn drain(&self, position: Position) {
        self.pause();
        loop {
            while self.step() {}
            let mut tables = self.tables();
            tables.freeze(position);
            if tables.frozen.is_none() || tables.failed.is_some() {
                tables.paused = false;
                return;
            }
        }
    }

    /// Keeps the thread from applying until [`Self::restart`].
    pub(super) fn pause(&self) {
        let mut tables = self.tables();
        tables.paused = true;
        while tables.stepping {
            tables = self.shared.done.wait(tables).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The index is about to be mended, and cannot be read until [`Self::restart`]: whoever reads meanwhile is told so,
    /// rather than shown a part of it.
    pub(super) fn begin_mending(&self) {
        self.pause();
        self.shared.mends.fetch_or(1, Ordering::SeqCst);
    }

    /// To be compared before and after the index is read.
    fn mends(&self) -> io::Result<u64> {
        let mends = self.shared.mends.load(Ordering::SeqCst);
        if mends.is_multiple_of(2) { Ok(mends) } else { Err(io::Error::other("the index is being made anew")) }
    }

    /// What was read from the index counts only if it was not mended meanwhile.
    fn read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before = self.mends()?;
        let found = read();
        if self.mends()? != before {
            return Err(io::Error::other("the index was made anew meanwhile"));
        }
        self.noticed(found)
    }

    /// The index was mended, and has all of the journal before `applied`: what was in memory is in it.
    pub(super) fn restart(&self, applied: Position) {
        let mut tables = self.tables();
        let forgotten = (std::mem::take(&mut tables.active), tables.frozen.take());
        tables.applied = applied;
        tables.failed = None;
        tables.paused = false;
        drop(tables);
        drop(forgotten);
        self.shared.mends.fetch_add(1, Ordering::SeqCst);
    }

    /// Applies some of the frozen table. `false` if there is nothing to do, or it failed.
    pub(super) fn step(&self) -> bool {
        self.step_of(self.tables())
    }

    fn step_of(&self, mut guard: MutexGuard<'_, Tables>) -> bool {
        let tables = &mut *guard;
        if tables.stepping || tables.failed.is_some() {
            return false;
        }
        let Some(frozen) = &tables.frozen else { return false };
        tables.stepping = true;
        let (table, position) = (Arc::clone(&frozen.table), frozen.position.encode());
        let from = frozen.reached.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut reached, mut seen, mut bytes) = (None, 0, 0);
        let mut ops: Vec<Op<'_>> = Vec::with_capacity(STEP);
        for (key, late) in table.changes.range::<Key, _>((from, Bound::Unbounded)).take(STEP) {
            (reached, seen, bytes) = (Some(*key), seen + 1, bytes + table::cost(&late.value));
            // A newer change waits already: this one need not go in, for the newer one is after `position`.
            if let Some(newer) = tables.active.changes.get_mut(key) {
                newer.below &= late.below;
            } else if late.value.is_some() || late.below {
                ops.push((key, late.value.as_deref()));
            }
        }
        drop(guard);
        let whole = seen < STEP;
        let reached_key = key::reached();
        let applied = catch_unwind(AssertUnwindSafe(|| {
            if whole {
                ops.push((&reached_key, Some(&position)));
            }
            self.inner.apply(&ops)?;
            if whole { self.inner.flush() } else { Ok(()) }
        }));
        let applied = applied.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::InvalidData, "applying panicked")));
        drop(ops);
        self.stepped(applied, whole, reached, bytes)
    }

    fn stepped(&self, applied: io::Result<()>, whole: bool, reached: Option<Key>, bytes: usize) -> bool {
        let mut tables = self.tables();
        tables.stepping = false;
        let mut forgotten = None;
        match applied {
            Err(error) => tables.failed = Some(error),
            Ok(()) if whole => {
                forgotten = tables.frozen.take();
                tables.applied = forgotten.as_ref().map_or(tables.applied, |frozen| frozen.position);
            }
            Ok(()) => {
                if let Some(frozen) = &mut tables.frozen {
                    frozen.reached = reached;
                    frozen.left = frozen.left.saturating_sub(bytes);
                }
            }
        }
        let went = tables.failed.is_none();
        drop(tables);
        self.shared.done.notify_all();
        // Freeing a large table takes a while: nobody waits for it.
        drop(forgotten);
        went
    }

    /// Whoever finds the index damaged, in whatever thread, has it mended.
    fn noticed<T>(&self, found: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &found
            && error.kind() == io::ErrorKind::InvalidData
        {
            self.tables().failed.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
        }
        found
    }

    fn walk(&self, range: Range<&[u8]>, way: Way, visit: Visit<'_>) -> io::Result<()> {
        let (mut start, mut end) = (range.start.to_vec(), range.end.to_vec());
        loop {
            let page = {
                let tables = self.tables();
                let frozen = tables.frozen.as_ref().map(|frozen| &*frozen.table);
                Page::of(&tables.active, frozen, &(&start[..]..&end[..]), way)
            };
            // The index may get some of it meanwhile: the copy hides that.
            let (mut page_start, mut page_end) = (start.clone(), end.clone());
            match (page.last(), way) {
                (Some(last), Way::Up) => {
                    page_end = last.to_vec();
                    page_end.push(0);
                    start.clone_from(&page_end);
                }
                (Some(last), Way::Down) => {
                    page_start = last.to_vec();
                    end.clone_from(&page_start);
                }
                (None, _) => {}
            }
            let mut walk = page.walk(way, visit);
            let range = &page_start[..]..&page_end[..];
            self.read(|| match way {
                Way::Up => self.inner.scan(range, &mut |key, value| walk.below(key, value)),
                Way::Down => self.inner.scan_down(range, &mut |key, value| walk.below(key, value)),
            })?;
            if walk.ended || walk.until(None).is_break() || !page.more {
                return Ok(());
            }
        }
    }
}

/// A value from memory or from the index.
pub(super) enum Found<V> {
    Late(Arc<[u8]>),
    Below(V),
}

impl<V: AsRef<[u8]>> AsRef<[u8]> for Found<V> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Late(value) => value,
            Self::Below(value) => value.as_ref(),
        }
    }
}

impl<I: Index> Lookup for Behind<I> {
    type Value = Found<I::Value>;

    fn get(&self, key: &[u8]) -> io::Result<Option<Self::Value>> {
        let late = {
            let tables = self.tables();
            let frozen = || tables.frozen.as_ref().and_then(|frozen| frozen.table.changes.get(key));
            tables.active.changes.get(key).or_else(frozen).map(|late| late.value.clone())
        };
        match late {
            Some(value) => Ok(value.map(Found::Late)),
            None => Ok(self.read(|| self.inner.get(key))?.map(Found::Below)),
        }
    }

    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        self.walk(range, Way::Up, visit)
    }

    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        self.walk(range, Way::Down, visit)
    }
}
