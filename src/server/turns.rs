//! A bounded queue in which address prefixes take turns: whoever hands in thousands of jobs waits for them alone.

use crate::limits::PREFIX_SHARE;
use crate::shard::Prefix;
use std::collections::{BTreeMap, VecDeque};

/// Jobs that wait, by prefix. All networks of an IPv6 /48 have one turn together, and take turns at it.
#[derive(Debug)]
pub struct Turns<T> {
    most: usize,
    waiting: usize,
    crowds: Ring<Prefix, Ring<Prefix, VecDeque<T>>>,
}

/// What a turn can be of.
trait Line {
    type Item;
    fn take(&mut self) -> Option<Self::Item>;
    /// Takes the newest of whoever has most.
    fn give_up(&mut self) -> Option<Self::Item>;
    fn length(&self) -> usize;
}

impl<T> Line for VecDeque<T> {
    type Item = T;

    fn take(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn give_up(&mut self) -> Option<T> {
        self.pop_back()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

/// Lines that take turns.
#[derive(Debug)]
struct Ring<K, L> {
    lines: BTreeMap<K, L>,
    /// Whose turn is next. None of them is empty.
    order: VecDeque<K>,
    length: usize,
}

impl<K: Ord + Copy, L> Ring<K, L> {
    fn new() -> Self {
        Self { lines: BTreeMap::new(), order: VecDeque::new(), length: 0 }
    }

    /// The line of `key`, to which one is added.
    fn grow(&mut self, key: K, empty: impl FnOnce() -> L) -> &mut L {
        self.length += 1;
        self.lines.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            empty()
        })
    }

    fn longest(&self) -> Option<K>
    where
        L: Line,
    {
        self.lines.iter().max_by_key(|(_, line)| line.length()).map(|(key, _)| *key)
    }
}

impl<K: Ord + Copy, L: Line> Line for Ring<K, L> {
    type Item = L::Item;

    fn take(&mut self) -> Option<L::Item> {
        let key = self.order.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let item = line.take()?;
        self.length -= 1;
        if line.length() == 0 {
            self.lines.remove(&key);
        } else {
            self.order.push_back(key);
        }
        Some(item)
    }

    fn give_up(&mut self) -> Option<L::Item> {
        let key = self.longest()?;
        let line = self.lines.get_mut(&key)?;
        let item = line.give_up()?;
        self.length -= 1;
        if line.length() == 0 {
            self.lines.remove(&key);
            self.order.retain(|one| *one != key);
        }
        Some(item)
    }

    fn length(&self) -> usize {
        self.length
    }
}

impl<T> Turns<T> {
    /// Nobody waits, and never more than so many.
    pub fn new(most: usize) -> Self {
        Self { most, waiting: 0, crowds: Ring::new() }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// One more waits; the one that does not any more for it: itself, if its prefix has more than a fair share, or the newest
    /// of the prefix that has most.
    pub fn push(&mut self, prefix: Prefix, job: T) -> Option<T> {
        let crowd = prefix.site().unwrap_or(prefix);
        let full = |prefix: Prefix, waiting: usize| {
            let share = prefix.allowance(self.most as u32 / PREFIX_SHARE) as usize;
            waiting >= share && !prefix.is_loopback()
        };
        let of_crowd = self.crowds.lines.get(&crowd);
        let of_prefix = of_crowd.and_then(|lines| lines.lines.get(&prefix)).map_or(0, VecDeque::len);
        if full(prefix, of_prefix) || full(crowd, of_crowd.map_or(0, Line::length)) {
            return Some(job);
        }
        self.crowds.grow(crowd, Ring::new).grow(prefix, VecDeque::new).push_back(job);
        self.waiting += 1;
        if self.waiting <= self.most {
            return None;
        }
        self.waiting -= 1;
        self.crowds.give_up()
    }

    /// The next job.
    pub fn pop(&mut self) -> Option<T> {
        let job = self.crowds.take()?;
        self.waiting -= 1;
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(at: u32) -> Prefix {
        Prefix::V4(0x0A00_0000 + at)
    }

    fn network(site: u64, at: u64) -> Prefix {
        Prefix::V6(0x2001_0db8_0000_0000 + (site << 16) + at)
    }

    fn all<T>(mut turns: Turns<T>) -> Vec<T> {
        std::iter::from_fn(|| turns.pop()).collect()
    }

    #[test]
    fn prefixes_take_turns() {
        let mut turns = Turns::new(1_600);
        for nth in 0..100 {
            assert_eq!(turns.push(v4(1), ("flood", nth)), None);
        }
        turns.push(v4(2), ("friend", 0));
        turns.push(v4(2), ("friend", 1));
        assert_eq!(turns.len(), 102);
        let order = all(turns);
        assert_eq!(order[..5], [("flood", 0), ("friend", 0), ("flood", 1), ("friend", 1), ("flood", 2)]);
        assert_eq!(order.len(), 102);
    }

    #[test]
    fn the_networks_of_a_site_have_one_turn_together() {
        let mut turns = Turns::new(1_600);
        for at in 0..100 {
            turns.push(network(1, at), at);
            turns.push(network(1, at), 100 + at);
        }
        turns.push(network(2, 0), 999);
        turns.push(v4(1), 998);
        assert_eq!(all(turns)[..6], [0, 999, 998, 1, 2, 3]);
    }

    #[test]
    fn nobody_has_more_than_a_share_and_a_full_queue_takes_it_from_whoever_has_most() {
        let mut turns = Turns::new(64);
        for nth in 0..10 {
            assert_eq!(turns.push(v4(1), nth), (nth >= 4).then_some(nth), "a sixteenth");
        }
        for at in 0..40 {
            assert_eq!(turns.push(network(1, at), at as u32), (at >= 16).then_some(at as u32), "a quarter");
        }
        let here = Prefix::V4(0x7F00_0001);
        for nth in 0..44 {
            assert_eq!(turns.push(here, 1_000 + nth), None, "this machine is many users");
        }
        assert_eq!(turns.push(here, 5), Some(5), "it has most itself");
        assert_eq!(turns.push(Prefix::V4(0x7F00_0002), 6), Some(1_043), "the newest of those");
        assert_eq!((turns.len(), all(turns).len()), (64, 64));
    }
}
