//! An index in memory, for tests and simulations.

use super::{Index, Lookup, Op, Visit};
use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

type Map = BTreeMap<Box<[u8]>, Arc<[u8]>>;

/// An index in memory. Clones are the same index.
#[derive(Debug, Clone, Default)]
pub struct MemoryIndex {
    map: Arc<RwLock<Map>>,
    broken: Arc<AtomicBool>,
}

impl MemoryIndex {
    /// All operations fail from now on, until it is opened anew or reset: what a full disk does to a real one.
    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn map(&self) -> io::Result<RwLockReadGuard<'_, Map>> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("the index is broken"));
        }
        Ok(self.map.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn bounds<'a>(range: &Range<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(range.start), Bound::Excluded(range.end))
}

impl Lookup for MemoryIndex {
    type Value = Arc<[u8]>;

    fn get(&self, key: &[u8]) -> io::Result<Option<Self::Value>> {
        Ok(self.map()?.get(key).cloned())
    }

    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        if range.start < range.end {
            let _ = self.map()?.range::<[u8], _>(bounds(&range)).try_for_each(|(key, value)| visit(key, value));
        }
        Ok(())
    }

    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        if range.start < range.end {
            let _ = self.map()?.range::<[u8], _>(bounds(&range)).rev().try_for_each(|(key, value)| visit(key, value));
        }
        Ok(())
    }
}

impl Index for MemoryIndex {
    fn apply(&self, ops: &[Op<'_>]) -> io::Result<()> {
        drop(self.map()?);
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in ops {
            match value {
                Some(value) => map.insert((*key).into(), (*value).into()),
                None => map.remove(*key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.map().map(drop)
    }

    fn reopen(&self) -> io::Result<()> {
        self.broken.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn reset(&self) -> io::Result<()> {
        self.broken.store(false, Ordering::Relaxed);
        self.map.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.flush()
    }
}
