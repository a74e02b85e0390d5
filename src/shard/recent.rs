//! Bounded tables of things that are forgotten after a while.

use super::prefix::Prefix;
use crate::seeded::{Seed, SeededMap, SeededSet};
use std::collections::VecDeque;
use std::hash::Hash;

/// Remembers values by key for a fixed time, and never more than a fixed number of them: the oldest makes room for the
/// newest, so that nobody is shut out by what others have done.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    entries: SeededMap<K, (u64, V)>,
    /// Keys in the order in which they are forgotten.
    order: VecDeque<(u64, K)>,
    keep_ms: u64,
    most: usize,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    pub fn new(keep: std::time::Duration, most: usize, seed: &Seed) -> Self {
        let keep_ms = u64::try_from(keep.as_millis()).expect("limits.rs has short times");
        Self { entries: seed.map(), order: VecDeque::new(), keep_ms, most }
    }

    /// Remembers `value` from now on.
    pub fn insert(&mut self, now_ms: u64, key: K, value: V) {
        self.forget(now_ms);
        if self.order.len() >= self.most {
            self.forget_oldest();
        }
        self.entries.insert(key, (now_ms, value));
        self.order.push_back((now_ms, key));
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

    /// Forgets what is too old.
    pub fn forget(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(at, _)| now_ms > at + self.keep_ms) {
            self.forget_oldest();
        }
    }

    /// An entry that was renewed has a later place in the order, too.
    fn forget_oldest(&mut self) {
        let Some((at, key)) = self.order.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|(renewed, _)| *renewed == at) {
            self.entries.remove(&key);
        }
    }
}

/// How often something happened to each key within a time.
impl<K: Hash + Eq + Copy> Recent<K, u32> {
    /// How often.
    pub fn count(&self, now_ms: u64, key: &K) -> u32 {
        self.get(now_ms, key).copied().unwrap_or(0)
    }

    /// Once more.
    pub fn add(&mut self, now_ms: u64, key: K) {
        match self.get_mut(now_ms, &key) {
            Some(count) => *count += 1,
            None => self.insert(now_ms, key, 1),
        }
    }
}

/// How often something came from each address prefix within a time. All of an IPv6 /48 together have a ceiling.
#[derive(Debug)]
pub(super) struct PrefixCounts(Recent<Prefix, u32>);

impl PrefixCounts {
    pub fn new(keep: std::time::Duration, most: usize, seed: &Seed) -> Self {
        Self(Recent::new(keep, most, seed))
    }

    /// Whether this prefix, or its /48, has used up what one prefix may have.
    pub fn is_over(&self, now_ms: u64, prefix: Prefix, share: u32) -> bool {
        let over = |prefix: Prefix| self.0.count(now_ms, &prefix) >= prefix.allowance(share);
        over(prefix) || prefix.site().is_some_and(over)
    }

    /// Once more.
    pub fn add(&mut self, now_ms: u64, prefix: Prefix) {
        self.0.add(now_ms, prefix);
        if let Some(site) = prefix.site() {
            self.0.add(now_ms, site);
        }
    }

    /// When there is something to forget, if there is anything at all.
    pub fn deadline(&self) -> Option<u64> {
        self.0.deadline()
    }

    /// Forgets what is too old.
    pub fn forget(&mut self, now_ms: u64) {
        self.0.forget(now_ms);
    }
}

/// The last so many different things that happened, without a time.
#[derive(Debug)]
pub(super) struct Lately<K> {
    known: SeededSet<K>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: Hash + Eq + Copy> Lately<K> {
    pub fn new(most: usize, seed: &Seed) -> Self {
        Self { known: seed.set(), order: VecDeque::new(), most }
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
        let mut recent = Recent::new(Duration::from_secs(10), 2, &Seed::new([1; 32]));
        recent.insert(0, 'a', 1);
        recent.insert(5_000, 'b', 2);
        assert_eq!((recent.get(10_000, &'a'), recent.get(10_001, &'a')), (Some(&1), None));
        recent.insert(6_000, 'c', 3);
        assert_eq!((recent.get(6_000, &'a'), recent.get(6_000, &'b')), (None, Some(&2)), "the oldest made room");
        recent.insert(15_001, 'b', 4);
        assert_eq!((recent.entries.len(), recent.get(15_001, &'b')), (2, Some(&4)));
        recent.forget(16_001);
        assert_eq!((recent.entries.len(), recent.get(16_001, &'b')), (1, Some(&4)));
    }

    #[test]
    fn a_site_has_four_times_as_much_as_one_of_its_prefixes() {
        let mut counts = PrefixCounts::new(Duration::from_secs(60), 64, &Seed::new([1; 32]));
        let prefix = |at: u64| Prefix::V6(0x2001_0db8_0001_0000 + at);
        for at in 0..8 {
            assert!(!counts.is_over(0, prefix(at), 2), "{at}");
            counts.add(0, prefix(at));
        }
        assert!(counts.is_over(0, prefix(9), 2), "the /48 has had eight");
        assert!(!counts.is_over(0, Prefix::V6(0x2001_0db8_0002_0000), 2) && !counts.is_over(0, Prefix::V4(7), 2));
        assert!(!counts.is_over(60_001, prefix(9), 2));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut lately = Lately::new(2, &Seed::new([1; 32]));
        for key in [1, 2, 1, 3] {
            lately.insert(key);
        }
        assert_eq!([1, 2, 3].map(|key| lately.has(&key)), [false, true, true]);
    }

    #[test]
    fn counts_within_the_window() {
        let mut recent = Recent::new(Duration::from_secs(60), 8, &Seed::new([1; 32]));
        recent.add(0, 7);
        recent.add(59_000, 7);
        assert_eq!((recent.count(60_000, &7), recent.count(60_001, &7)), (2, 0));
    }
}
