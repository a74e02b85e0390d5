//! The friend list as a sign-in shows it (protocol.md 1.6, 0x02).

use super::user::Lists;
use crate::store::Card;
use crate::wire::{FriendEntry, GroupEntry, List};

/// Somebody's friends as a sign-in shows them.
pub(super) struct Friends<'a> {
    /// Which status is shown of whom.
    pub shown: Vec<(u32, u8)>,
    /// In order of group, and of number in each.
    entries: Vec<FriendEntry<'a>>,
    /// The group of each entry.
    groups: Vec<u8>,
}

impl<'a> Friends<'a> {
    /// Each as the board shows them now. A friend whose account is gone has no card, and is left out.
    pub fn of(lists: &Lists, cards: &'a [Card], board: &super::Board) -> Self {
        let status = |number| if lists.blocks.is_by(number) { super::OFFLINE } else { board.get(number) };
        let shown: Vec<(u32, u8)> = lists.friends.iter().map(|(number, _)| (number, status(number))).collect();
        let mut by_group: Vec<(u8, FriendEntry<'a>)> = Vec::with_capacity(shown.len());
        for ((number, status), (_, group)) in shown.iter().zip(lists.friends.iter()) {
            let Ok(at) = cards.binary_search_by_key(number, |card| card.number) else { continue };
            let Card { portrait, nickname, .. } = &cards[at];
            let entry = FriendEntry { number: *number, portrait: *portrait as u8, status: *status, nickname };
            by_group.push((group, entry));
        }
        by_group.sort_by_key(|(group, entry)| (*group, entry.number));
        let (groups, entries) = by_group.into_iter().unzip();
        Self { shown, entries, groups }
    }

    /// The groups with their friends. What the store has was read after every change that was asked for before, so their
    /// names are the present ones.
    pub fn groups<'s>(&'s self, groups: &'s [(u8, Box<str>)]) -> Vec<GroupEntry<'s>> {
        let entry = |(group, name): &'s (u8, Box<str>)| {
            let from = self.groups.partition_point(|at| at < group);
            let to = self.groups.partition_point(|at| at <= group);
            GroupEntry { name, group: *group, friends: List::new(&self.entries[from..to]) }
        };
        groups.iter().map(entry).collect()
    }
}
