//! What is to happen when: the virtual clock and its events.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Events in order of time; of one time in the order in which they were noted.
#[derive(Debug)]
pub struct Agenda<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    next: u64,
    now: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: u64,
    nth: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// Nothing is to happen; it is 0 ms.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), next: 0, now: 0 }
    }

    /// The virtual time in ms.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Notes an event. What should have been before happens now.
    pub fn at(&mut self, at: u64, event: E) {
        let entry = Entry { at: at.max(self.now), nth: self.next, event };
        self.next += 1;
        self.heap.push(Reverse(entry));
    }

    /// Notes an event that happens so many ms from now.
    pub fn after(&mut self, ms: u64, event: E) {
        self.at(self.now + ms, event);
    }

    /// When the next event happens.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next event that happens up to `until`; without one it is `until`.
    pub fn pop(&mut self, until: u64) -> Option<E> {
        if self.next_at().is_none_or(|at| at > until) {
            self.now = self.now.max(until);
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }

    /// Looks at every event in order, and keeps what `keep` gives back.
    pub fn take(&mut self, mut keep: impl FnMut(E) -> Option<E>) {
        for Reverse(Entry { at, nth, event }) in std::mem::take(&mut self.heap).into_sorted_vec().into_iter().rev() {
            self.heap.extend(keep(event).map(|event| Reverse(Entry { at, nth, event })));
        }
    }
}

impl<E> Entry<E> {
    fn order(&self) -> (u64, u64) {
        (self.at, self.nth)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}
