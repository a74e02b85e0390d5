//! One table of changes in memory, in order of key.

use crate::limits;
use crate::store::key::Key;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// What a key is now; `None`: it is gone.
pub(in crate::store) type Value = Option<Arc<[u8]>>;

/// What a change makes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct New {
    pub(in crate::store) value: Value,
    /// The key was never used before, and will not be again once it is gone.
    pub(in crate::store) first: bool,
}

/// A change that the index does not have yet.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) value: Value,
    /// The index may have the key: if it goes, that has to be told.
    pub(super) below: bool,
}

/// Changes that are durable, but not yet in the index.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) changes: BTreeMap<Key, Late>,
    /// The memory that they take, about.
    pub(super) bytes: usize,
}

pub(super) fn cost(value: &Value) -> usize {
    limits::BEHIND_KEY_BYTES + value.as_ref().map_or(0, |value| value.len())
}

impl Table {
    /// Takes a change. `frozen` is the table below this one.
    pub(super) fn take(&mut self, key: Key, new: New, frozen: Option<&Self>) {
        let added = cost(&new.value);
        match self.changes.entry(key) {
            // It came and went within one group.
            Entry::Vacant(_) if new.first && new.value.is_none() => {}
            Entry::Vacant(entry) => {
                self.bytes += added;
                entry.insert(Late { value: new.value, below: !new.first });
            }
            Entry::Occupied(mut entry) => {
                self.bytes -= cost(&entry.get().value);
                // Nobody below knows it, so nobody has to be told that it came and went.
                let unknown = !entry.get().below && frozen.is_none_or(|frozen| !frozen.changes.contains_key(&key));
                if new.value.is_none() && unknown {
                    entry.remove();
                } else {
                    self.bytes += added;
                    entry.get_mut().value = new.value;
                }
            }
        }
    }
}
