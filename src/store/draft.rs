//! What a group of requests is about to change, over the index that does not know it yet.

use super::behind::{New, Value};
use super::index::{Lookup, Op};
use super::key::Key;
use std::collections::BTreeMap;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// The changes of a group so far. They are of keys to values and in order of key, so only the last of a key counts.
#[derive(Debug, Default)]
pub(super) struct Draft {
    changes: BTreeMap<Key, New>,
    /// What stood in `changes` before the present commit, to take it back.
    undo: Vec<(Key, Option<New>)>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// A new commit begins: [`Self::take_back`] goes back to here.
    pub(super) fn begin(&mut self) {
        self.undo.clear();
    }

    /// Takes back what changed since the commit began.
    pub(super) fn take_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(before) => self.changes.insert(key, before),
                None => self.changes.remove(&key),
            };
        }
    }

    fn set(&mut self, key: Key, value: Value, first: bool) {
        let before = self.changes.insert(key, New { value, first });
        if let Some(before) = &before
            && before.first
        {
            // Still nobody else knows the key.
            self.changes.entry(key).and_modify(|new| new.first = true);
        }
        self.undo.push((key, before));
    }

    pub(super) fn put(&mut self, key: Key, value: impl Into<Arc<[u8]>>) {
        self.set(key, Some(value.into()), false);
    }

    /// Puts a key that never was there, and never will be again once it is gone.
    pub(super) fn put_first(&mut self, key: Key, value: impl Into<Arc<[u8]>>) {
        self.set(key, Some(value.into()), true);
    }

    /// Deletes a key that is there.
    pub(super) fn delete(&mut self, key: Key) {
        self.set(key, None, false);
    }

    pub(super) fn get<I: Lookup>(&self, index: &I, key: Key) -> io::Result<Value> {
        match self.changes.get(&key) {
            Some(new) => Ok(new.value.clone()),
            None => Ok(index.get(&key)?.map(|value| value.as_ref().into())),
        }
    }

    /// What somebody sees in the value of a key, if it is there.
    pub(super) fn look<I: Lookup, R>(
        &self,
        index: &I,
        key: Key,
        see: impl FnOnce(&[u8]) -> R,
    ) -> io::Result<Option<R>> {
        match self.changes.get(&key) {
            Some(new) => Ok(new.value.as_deref().map(see)),
            None => Ok(index.get(&key)?.map(|value| see(value.as_ref()))),
        }
    }

    /// Whether a range holds anything.
    pub(super) fn any<I: Lookup>(&self, index: &I, range: Range<Key>) -> io::Result<bool> {
        if self.changes.range(range.clone()).any(|(_, new)| new.value.is_some()) {
            return Ok(true);
        }
        let mut any = false;
        index.scan(&range.start..&range.end, &mut |key, _| {
            any = !self.changes.contains_key(key);
            if any { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(any)
    }

    pub(super) fn has<I: Lookup>(&self, index: &I, key: Key) -> io::Result<bool> {
        match self.changes.get(&key) {
            Some(new) => Ok(new.value.is_some()),
            None => Ok(index.get(&key)?.is_some()),
        }
    }

    /// The keys of a range.
    pub(super) fn keys<I: Lookup>(&self, index: &I, range: Range<Key>) -> io::Result<Vec<Key>> {
        let mut keys = Vec::new();
        index.scan(&range.start..&range.end, &mut |key, _| {
            keys.extend(Key::read(key));
            ControlFlow::Continue(())
        })?;
        let mut changes = self.changes.range(range).peekable();
        if changes.peek().is_some() {
            keys.retain(|key| !self.changes.contains_key(key));
            keys.extend(changes.filter(|(_, new)| new.value.is_some()).map(|(key, _)| *key));
            keys.sort_unstable();
        }
        Ok(keys)
    }

    /// The last key of a range that has any, with its value.
    pub(super) fn last<I: Lookup>(&self, index: &I, range: Range<Key>) -> io::Result<Option<(Key, Arc<[u8]>)>> {
        let mut changes = self.changes.range(range.clone()).rev();
        let mut last = changes.find_map(|(key, new)| Some((*key, Arc::clone(new.value.as_ref()?))));
        let start = last.as_ref().map_or(range.start, |(key, _)| *key);
        index.scan_down(&start..&range.end, &mut |key, value| {
            if self.changes.contains_key(key) {
                return ControlFlow::Continue(());
            }
            last = Key::read(key).map(|key| (key, value.into()));
            ControlFlow::Break(())
        })?;
        Ok(last)
    }

    /// Visits what a range holds, with values: the newest keys last.
    pub(super) fn each<I: Lookup>(
        &self,
        index: &I,
        range: Range<Key>,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let changed = self.changes.range(range.clone()).next().is_some();
        index.scan(&range.start..&range.end, &mut |key, value| {
            if !changed || !self.changes.contains_key(key) {
                visit(key, value);
            }
            ControlFlow::Continue(())
        })?;
        for (key, new) in self.changes.range(range) {
            if let Some(value) = &new.value {
                visit(key, value);
            }
        }
        Ok(())
    }

    /// The changes, in order of key.
    pub(super) fn ops(&self) -> impl Iterator<Item = Op<'_>> {
        self.changes.iter().map(|(key, new)| (&**key, new.value.as_deref()))
    }

    /// The changes, to be kept.
    pub(super) fn into_changes(self) -> impl Iterator<Item = (Key, New)> {
        self.changes.into_iter()
    }
}
