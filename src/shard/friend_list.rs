//! The friends of a user in memory, packed: every session has them.

/// Who is in somebody's list, in order of number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Friends(Box<[Friend]>);

/// Six bytes, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Friend {
    number: [u8; 4],
    group: u8,
    /// This friend is online, and has the owner in its list, too: see [`super::presence`].
    watches: bool,
}

impl Friend {
    fn number(&self) -> u32 {
        u32::from_ne_bytes(self.number)
    }
}

impl Friends {
    /// These, who are in order of number, with their groups.
    pub fn of(entries: &[(u32, u8)]) -> Self {
        let friend = |&(number, group): &(u32, u8)| Friend { number: number.to_ne_bytes(), group, watches: false };
        Self(entries.iter().map(friend).collect())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Who, and in which group.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        self.0.iter().map(|friend| (friend.number(), friend.group))
    }

    fn find(&self, number: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, Friend::number)
    }

    pub fn has(&self, number: u32) -> bool {
        self.find(number).is_ok()
    }

    /// Adds one, or puts one into another group.
    pub fn put(&mut self, number: u32, group: u8) {
        match self.find(number) {
            Ok(at) => self.0[at].group = group,
            Err(at) => {
                let mut all = std::mem::take(&mut self.0).into_vec();
                all.reserve_exact(1);
                all.insert(at, Friend { number: number.to_ne_bytes(), group, watches: false });
                self.0 = all.into();
            }
        }
    }

    pub fn remove(&mut self, number: u32) {
        if let Ok(at) = self.find(number) {
            let mut all = std::mem::take(&mut self.0).into_vec();
            all.remove(at);
            self.0 = all.into();
        }
    }

    /// Notes whether somebody watches the owner. False if that is no friend: then it is to be noted elsewhere.
    pub fn note_watcher(&mut self, number: u32, watches: bool) -> bool {
        let Ok(at) = self.find(number) else { return false };
        self.0[at].watches = watches;
        true
    }

    /// Which friends watch the owner, in order of number.
    pub fn watchers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().filter(|friend| friend.watches).map(Friend::number)
    }

    /// Whether this friend watches the owner.
    pub fn is_watched_by(&self, number: u32) -> bool {
        self.find(number).is_ok_and(|at| self.0[at].watches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_in_order_and_take_six_bytes_each() {
        let mut friends = Friends::of(&[(20, 1), (40, 2)]);
        friends.put(30, 3);
        friends.put(10, 1);
        friends.put(40, 1);
        assert_eq!(friends.iter().collect::<Vec<_>>(), [(10, 1), (20, 1), (30, 3), (40, 1)]);
        assert!(friends.note_watcher(30, true) && friends.note_watcher(10, true) && !friends.note_watcher(11, true));
        friends.put(5, 1);
        friends.put(30, 2);
        assert_eq!(friends.watchers().collect::<Vec<_>>(), [10, 30]);
        friends.remove(10);
        friends.remove(11);
        assert_eq!((friends.len(), friends.has(10), friends.is_watched_by(30)), (4, false, true));
        assert_eq!(size_of::<Friend>(), 6);
    }
}
