//! Fair shares of a bounded table that strangers can fill (protocol.md 2.2).
//!
//! One prefix has a sixteenth of the table, a /48 four times that. Whoever is at that bound replaces the oldest of the own
//! entries; when the whole table is full, the newest comer replaces the oldest of the prefix that has most. So a flood
//! drives out itself, and whoever comes next always gets in. Entries can be spared: those whose sign-in is being checked.
//!
//! The table itself stays with its owner, and each of its entries keeps its [`Place`] here.

use super::prefix::Prefix;
use crate::limits::PREFIX_SHARE;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Who has how much of a table. `K` names its entries.
#[derive(Debug)]
pub struct Shares<K> {
    most: u32,
    total: u32,
    /// Of the next entry: later ones have larger numbers.
    next: u64,
    counts: BTreeMap<Prefix, Count>,
    /// Entries that can be replaced, oldest first for each prefix.
    replaceable: BTreeMap<(Prefix, u64), K>,
    /// Prefixes that have some: those of a /48 stand under it, all others under `None`. Who has most, and of two who have
    /// the same the one whose oldest entry is older, is last.
    ranks: BTreeSet<(Option<Prefix>, Rank, Prefix)>,
}

type Rank = (u32, Reverse<u64>);

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    entries: u32,
    /// Its place among the ranks, while it has one.
    rank: Option<Rank>,
}

/// An entry's place.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    prefix: Prefix,
    order: u64,
    spared: bool,
}

impl Place {
    /// Whose it is.
    pub fn prefix(&self) -> Prefix {
        self.prefix
    }
}

/// Whether one more may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room<K> {
    /// It may.
    Free,
    /// It may when this one is out.
    Replaces(K),
    /// It may not: every entry that it could replace is spared.
    Full,
}

impl<K: Copy> Shares<K> {
    /// Shares of a table of so many entries.
    pub fn new(most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Self { most, total: 0, next: 0, counts: BTreeMap::new(), replaceable: BTreeMap::new(), ranks: BTreeSet::new() }
    }

    /// How many entries there are.
    #[cfg(any(test, feature = "sim"))]
    pub fn len(&self) -> usize {
        self.total as usize
    }

    /// How much one prefix may have. This machine itself is many users behind one prefix.
    fn share(&self, prefix: Prefix) -> u32 {
        if prefix.is_loopback() { self.most } else { prefix.allowance((self.most / PREFIX_SHARE).max(1)) }
    }

    fn count(&self, prefix: Prefix) -> u32 {
        self.counts.get(&prefix).map_or(0, |count| count.entries)
    }

    /// Whether so much of the table, or of this prefix's share, is taken that a newcomer is to prove its address first.
    pub fn is_crowded(&self, prefix: Prefix) -> bool {
        let crowded = |prefix: Prefix| self.count(prefix) >= self.share(prefix).div_ceil(2);
        self.total >= self.most.div_ceil(2) || crowded(prefix) || prefix.site().is_some_and(crowded)
    }

    /// Whether one more of this prefix may come in.
    pub fn room(&self, prefix: Prefix) -> Room<K> {
        let full = |prefix: Prefix| self.count(prefix) >= self.share(prefix);
        let victim = if full(prefix) {
            Some(prefix)
        } else if let Some(site) = prefix.site().filter(|site| full(*site)) {
            self.largest(Some(site))
        } else if self.total >= self.most {
            self.largest(None)
        } else {
            return Room::Free;
        };
        let oldest = victim.and_then(|prefix| self.replaceable.range((prefix, 0)..=(prefix, u64::MAX)).next());
        oldest.map_or(Room::Full, |(_, key)| Room::Replaces(*key))
    }

    /// The prefix that has most, of all or of one /48.
    fn largest(&self, among: Option<Prefix>) -> Option<Prefix> {
        let none = (0, Reverse(u64::MAX));
        let most = (u32::MAX, Reverse(0));
        let (_, _, prefix) =
            self.ranks.range((among, none, Prefix::LOWEST)..=(among, most, Prefix::HIGHEST)).next_back()?;
        if let Prefix::Site(_) = prefix { self.largest(Some(*prefix)) } else { Some(*prefix) }
    }

    /// One more has come in.
    pub fn enter(&mut self, key: K, prefix: Prefix) -> Place {
        let place = Place { prefix, order: self.next, spared: false };
        self.next += 1;
        self.total += 1;
        self.replaceable.insert((prefix, place.order), key);
        self.change(prefix, 1);
        place
    }

    /// An entry has left.
    pub fn leave(&mut self, place: Place) {
        self.total -= 1;
        self.replaceable.remove(&(place.prefix, place.order));
        self.change(place.prefix, -1);
    }

    /// From now on this entry is not replaced.
    pub fn spare(&mut self, place: &mut Place) {
        place.spared = true;
        self.replaceable.remove(&(place.prefix, place.order));
        self.change(place.prefix, 0);
    }

    /// From now on it can be replaced again.
    pub fn unspare(&mut self, key: K, place: &mut Place) {
        if std::mem::replace(&mut place.spared, false) {
            self.replaceable.insert((place.prefix, place.order), key);
            self.change(place.prefix, 0);
        }
    }

    /// Counts an entry in or out, and finds the new rank of its prefix and of the /48 that it is part of.
    fn change(&mut self, prefix: Prefix, by: i32) {
        let site = prefix.site();
        let oldest = self.replaceable.range((prefix, 0)..=(prefix, u64::MAX)).next().map(|((_, order), _)| *order);
        self.rank(site, prefix, by, oldest);
        if let Some(site) = site {
            let first = self.ranks.range((Some(site), (0, Reverse(u64::MAX)), Prefix::LOWEST)..);
            // Any of its prefixes will do for a tie.
            let oldest =
                first.take_while(|(under, ..)| *under == Some(site)).next().map(|(_, (_, oldest), _)| oldest.0);
            self.rank(None, site, by, oldest);
        }
    }

    fn rank(&mut self, under: Option<Prefix>, prefix: Prefix, by: i32, oldest: Option<u64>) {
        let count = self.counts.entry(prefix).or_default();
        count.entries = count.entries.saturating_add_signed(by);
        let rank = oldest.map(|oldest| (count.entries, Reverse(oldest)));
        let before = std::mem::replace(&mut count.rank, rank);
        if count.entries == 0 {
            self.counts.remove(&prefix);
        }
        if let Some(before) = before {
            self.ranks.remove(&(under, before, prefix));
        }
        if let Some(rank) = rank {
            self.ranks.insert((under, rank, prefix));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn v4(at: u32) -> Prefix {
        Prefix::V4(0x0A00_0000 + at)
    }

    /// A table of numbers, as its owner keeps it.
    struct Table {
        shares: Shares<u32>,
        entries: BTreeMap<u32, Place>,
        next: u32,
    }

    impl Table {
        fn new(most: usize) -> Self {
            Self { shares: Shares::new(most), entries: BTreeMap::new(), next: 0 }
        }

        /// One more comes; whom it has replaced.
        fn come(&mut self, prefix: Prefix) -> Room<u32> {
            let room = self.shares.room(prefix);
            match room {
                Room::Full => return room,
                Room::Replaces(key) => self.go(key),
                Room::Free => {}
            }
            self.entries.insert(self.next, self.shares.enter(self.next, prefix));
            self.next += 1;
            room
        }

        fn go(&mut self, key: u32) {
            self.shares.leave(self.entries.remove(&key).expect("it is there"));
        }

        fn of(&self, prefix: Prefix) -> usize {
            self.entries.values().filter(|place| place.prefix == prefix).count()
        }
    }

    #[test]
    fn a_flood_drives_out_itself() {
        let mut table = Table::new(64);
        let friend = v4(1);
        assert_eq!(table.come(friend), Room::Free);
        for at in 0..100 {
            let room = table.come(v4(2));
            assert_eq!(room, if at < 4 { Room::Free } else { Room::Replaces(at - 3) }, "a sixteenth of 64");
        }
        assert_eq!((table.of(v4(2)), table.of(friend)), (4, 1));
        assert!(table.shares.is_crowded(v4(2)) && !table.shares.is_crowded(friend));
    }

    #[test]
    fn a_full_table_makes_room_at_the_cost_of_the_prefix_that_has_most() {
        let mut table = Table::new(64);
        for at in 0..63 {
            assert_eq!(table.come(v4(at / 4)), Room::Free);
        }
        table.go(0);
        assert_eq!((table.come(v4(100)), table.come(v4(101))), (Room::Free, Room::Free));
        assert_eq!(table.come(v4(102)), Room::Replaces(4), "the oldest of those who have four");
        assert_eq!(table.come(v4(103)), Room::Replaces(8));
        assert_eq!((table.entries.len(), table.of(v4(102)), table.of(v4(1))), (64, 1, 3));
    }

    #[test]
    fn a_site_has_four_shares_and_counts_as_one_when_room_is_made() {
        let mut table = Table::new(64);
        let network = |site: u64, at: u64| Prefix::V6(0x2001_0db8_0000_0000 + (site << 16) + at);
        for at in 0..16 {
            assert_eq!(table.come(network(1, at)), Room::Free);
        }
        assert_eq!(table.come(network(1, 99)), Room::Replaces(0), "a quarter of 64");
        assert_eq!(table.come(network(1, 99)), Room::Replaces(1));
        assert_eq!(table.come(network(1, 98)), Room::Replaces(16), "the network that has two");
        for at in 0..48 {
            assert_eq!(table.come(v4(at)), Room::Free);
        }
        assert!(matches!(table.come(v4(99)), Room::Replaces(key) if key <= 18), "the /48 has most");
        assert_eq!(table.entries.len(), 64);
    }

    #[test]
    fn loopback_has_no_share_and_makes_room_like_everybody() {
        let mut table = Table::new(64);
        let (here, there) = (Prefix::V4(0x7F00_0001), Prefix::V4(0x7F00_0002));
        for _ in 0..64 {
            assert_eq!(table.come(here), Room::Free);
        }
        assert_eq!(
            (table.come(there), table.come(here), table.come(there)),
            (Room::Replaces(0), Room::Replaces(1), Room::Replaces(2))
        );
    }

    #[test]
    fn what_is_spared_stays() {
        let mut table = Table::new(64);
        for key in 0..4 {
            table.come(v4(1));
            let place = table.entries.get_mut(&key).expect("it is there");
            table.shares.spare(place);
        }
        assert_eq!(table.come(v4(1)), Room::Full);
        let place = table.entries.get_mut(&2).expect("it is there");
        table.shares.unspare(2, place);
        table.shares.unspare(2, place);
        assert_eq!(table.come(v4(1)), Room::Replaces(2));
        assert_eq!(table.of(v4(1)), 4);
    }

    proptest! {
        /// Whatever comes and goes: nobody has more than a share, the table never holds too much, whoever has nothing gets
        /// in as long as not everything is spared, and nothing is left when all have gone.
        #[test]
        fn shares_are_kept(steps in proptest::collection::vec((0_u8..10, 0_u32..40, any::<bool>()), 1..600)) {
            let mut table = Table::new(32);
            let prefix = |at: u32| if at < 20 { v4(at) } else { Prefix::V6(u64::from(0x10_0000 + ((at % 3) << 16) + at)) };
            for (what, at, flag) in steps {
                match what {
                    0..=5 => {
                        let fresh = table.of(prefix(at)) == 0;
                        let free = table.entries.values().any(|place| !place.spared);
                        let room = table.come(prefix(at));
                        prop_assert!(room != Room::Full || !fresh || !free || prefix(at).site().is_some());
                    }
                    6..=7 => {
                        let key = table.entries.keys().nth(at as usize % table.entries.len().max(1)).copied();
                        if let Some(key) = key {
                            table.go(key);
                        }
                    }
                    _ => {
                        let nth = at as usize % table.entries.len().max(1);
                        if let Some((key, place)) = table.entries.iter_mut().nth(nth) {
                            if flag { table.shares.spare(place) } else { table.shares.unspare(*key, place) }
                        }
                    }
                }
                prop_assert!(table.entries.len() <= 32 && table.entries.len() == table.shares.total as usize);
                for at in 0..40 {
                    let prefix = prefix(at);
                    prop_assert!(table.of(prefix) <= 2 && table.of(prefix) == table.shares.count(prefix) as usize);
                    if let Some(site) = prefix.site() {
                        prop_assert!(table.shares.count(site) <= 8);
                    }
                }
                let free = table.entries.values().filter(|place| !place.spared).count();
                prop_assert_eq!(free, table.shares.replaceable.len());
            }
            for key in table.entries.keys().copied().collect::<Vec<_>>() {
                table.go(key);
            }
            let shares = &table.shares;
            prop_assert!(shares.counts.is_empty() && shares.ranks.is_empty() && shares.replaceable.is_empty());
        }
    }
}
