//! Which messages have been shown: the same (from, id) is shown once (protocol.md 3.3). Bounded; the oldest are forgotten.

use crate::limits::{SEEN_OF_SENDER, SEEN_TOTAL};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which messages one user has been shown: for a program that keeps it over its restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenList {
    /// The user.
    pub number: u32,
    /// Sender and id of each, the oldest first.
    pub messages: Vec<(u32, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    number: u32,
    ids: BTreeSet<(u32, u64)>,
    order: VecDeque<(u32, u64)>,
    of_sender: BTreeMap<u32, VecDeque<u64>>,
}

impl Seen {
    pub(super) fn new(list: SeenList) -> Self {
        let mut seen = Self { number: list.number, ..Self::default() };
        list.messages.into_iter().for_each(|(from, id)| seen.insert(from, id));
        seen
    }

    /// From now on it is about this user. What another was shown says nothing: a broadcast has one id for all.
    pub(super) fn belong_to(&mut self, number: u32) {
        if self.number != number {
            *self = Self { number, ..Self::default() };
        }
    }

    pub(super) fn contains(&self, from: u32, id: u64) -> bool {
        self.ids.contains(&(from, id))
    }

    pub(super) fn insert(&mut self, from: u32, id: u64) {
        if !self.ids.insert((from, id)) {
            return;
        }
        self.order.push_back((from, id));
        let of_sender = self.of_sender.entry(from).or_default();
        of_sender.push_back(id);
        // A talkative sender pushes out only what is its own.
        if of_sender.len() > SEEN_OF_SENDER
            && let Some(oldest) = of_sender.pop_front()
        {
            self.ids.remove(&(from, oldest));
        }
        while self.ids.len() > SEEN_TOTAL {
            self.forget_oldest();
        }
        // Those of a talkative sender are still in the order; it must not grow for them.
        if self.order.len() > 2 * SEEN_TOTAL {
            let ids = &self.ids;
            self.order.retain(|seen| ids.contains(seen));
        }
    }

    fn forget_oldest(&mut self) {
        let Some((from, id)) = self.order.pop_front() else { return };
        if !self.ids.remove(&(from, id)) {
            return;
        }
        if let Some(of_sender) = self.of_sender.get_mut(&from) {
            of_sender.pop_front();
            if of_sender.is_empty() {
                self.of_sender.remove(&from);
            }
        }
    }

    pub(super) fn export(&self) -> SeenList {
        let messages = self.order.iter().filter(|seen| self.ids.contains(seen)).copied().collect();
        SeenList { number: self.number, messages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut seen = Seen::default();
        seen.insert(1, 7);
        let many = SEEN_OF_SENDER as u64;
        (0..=many).for_each(|id| seen.insert(2, id));
        assert!(!seen.contains(2, 0) && seen.contains(2, 1) && seen.contains(2, many));
        assert!(seen.contains(1, 7), "another's talk pushes nothing out");
        assert_eq!(Seen::new(seen.export()).export(), seen.export());
        for from in 3..3 + SEEN_TOTAL as u32 {
            seen.insert(from, 1);
        }
        assert_eq!((seen.ids.len(), seen.contains(1, 7)), (SEEN_TOTAL, false));
        seen.belong_to(9);
        assert_eq!(seen.export(), SeenList { number: 9, messages: Vec::new() });
    }
}
