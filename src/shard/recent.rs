//! Bounded tables of things that are forgotten after a while.

use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::hash::Hash;

/// Remembers values by key for a fixed time, and never more than a fixed number of them.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    entries: FxHashMap<K, (u64, V)>,
    /// Keys in the order in which they are forgotten.
    order: VecDeque<(u64, K)>,
    keep_ms: u64,
    most: usize,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    pub fn new(keep: std::time::Duration, most: usize) -> Self {
        let keep_ms = u64::try_from(keep.as_millis()).expect("limits.rs has short times");
        Self { entries: FxHashMap::default(), order: VecDeque::new(), keep_ms, most }
    }

    /// Remembers `value` from now on; false if there is no room for another key.
    pub fn insert(&mut self, now_ms: u64, key: K, value: V) -> bool {
        self.forget(now_ms);
        if self.order.len() >= self.most {
            return false;
        }
        self.entries.insert(key, (now_ms, value));
        self.order.push_back((now_ms, key));
        true
    }

    /// What is remembered of `key`; at most `keep` old.
    pub fn get(&self, now_ms: u64, key: &K) -> Option<&V> {
        self.entries.get(key).filter(|(at, _)| now_ms <= at + self.keep_ms).map(|(_, value)| value)
    }

    /// The same, to be changed in place; its age stays.
    pub fn get_mut(&mut self, now_ms: u64, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).filter(|(at, _)| now_ms <= *at + self.keep_ms).map(|(_, value)| value)
    }

    /// When there is something to forget, if there is anything at all.
    pub fn deadline(&self) -> Option<u64> {
        self.order.front().map(|(at, _)| at + self.keep_ms + 1)
    }

    /// Forgets what is too old. An entry that was renewed has a later place in the order, too.
    pub fn forget(&mut self, now_ms: u64) {
        while let Some((at, key)) = self.order.front().copied().filter(|(at, _)| now_ms > at + self.keep_ms) {
            self.order.pop_front();
            if self.entries.get(&key).is_some_and(|(renewed, _)| *renewed == at) {
                self.entries.remove(&key);
            }
        }
    }
}

/// How often something happened to each key within a time.
impl<K: Hash + Eq + Copy> Recent<K, u32> {
    /// How often.
    pub fn count(&self, now_ms: u64, key: &K) -> u32 {
        self.get(now_ms, key).copied().unwrap_or(0)
    }

    /// Once more; false if there is no room to remember it.
    pub fn add(&mut self, now_ms: u64, key: K) -> bool {
        if let Some(count) = self.get_mut(now_ms, &key) {
            *count += 1;
            return true;
        }
        self.insert(now_ms, key, 1)
    }
}

/// The last so many different things that happened, without a time.
#[derive(Debug)]
pub(super) struct Lately<K> {
    known: FxHashSet<K>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: Hash + Eq + Copy> Lately<K> {
    pub fn new(most: usize) -> Self {
        Self { known: FxHashSet::default(), order: VecDeque::new(), most }
    }

    /// It has happened.
    pub fn insert(&mut self, key: K) {
        if !self.known.insert(key) {
            return;
        }
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
    }

    /// Whether it has happened lately.
    pub fn has(&self, key: &K) -> bool {
        self.known.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn forgets_in_time_and_never_holds_too_much() {
        let mut recent = Recent::new(Duration::from_secs(10), 2);
        assert!(recent.insert(0, 'a', 1) && recent.insert(5_000, 'b', 2));
        assert!(!recent.insert(6_000, 'c', 3), "full");
        assert_eq!((recent.get(10_000, &'a'), recent.get(10_001, &'a')), (Some(&1), None));
        assert!(recent.insert(10_001, 'a', 4), "the old one made room");
        recent.forget(15_001);
        assert_eq!((recent.entries.len(), recent.get(15_001, &'a')), (1, Some(&4)));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut lately = Lately::new(2);
        for key in [1, 2, 1, 3] {
            lately.insert(key);
        }
        assert_eq!([1, 2, 3].map(|key| lately.has(&key)), [false, true, true]);
    }

    #[test]
    fn counts_within_the_window() {
        let mut recent = Recent::new(Duration::from_secs(60), 8);
        assert!(recent.add(0, 7) && recent.add(59_000, 7));
        assert_eq!((recent.count(60_000, &7), recent.count(60_001, &7)), (2, 0));
    }
}
