//! Lists of numbers that are packed into one value each: for an index a key of its own costs many times as much as an
//! entry.

/// A friend list: who, and in which group, in order of number. `None` if the value cannot be one.
pub(super) fn read_friends(value: &[u8]) -> Option<Vec<(u32, u8)>> {
    let (entries, rest) = value.as_chunks::<5>();
    let friends = entries.iter().map(|[a, b, c, d, group]| (u32::from_be_bytes([*a, *b, *c, *d]), *group)).collect();
    rest.is_empty().then_some(friends)
}

/// Whether somebody is on a friend list.
pub(super) fn has_friend(value: &[u8], friend: u32) -> bool {
    let (entries, _) = value.as_chunks::<5>();
    entries.binary_search_by_key(&friend, |[a, b, c, d, _]| u32::from_be_bytes([*a, *b, *c, *d])).is_ok()
}

/// The value of a friend list.
pub(super) fn write_friends(friends: &[(u32, u8)]) -> Vec<u8> {
    let mut value = Vec::with_capacity(friends.len() * 5);
    for (friend, group) in friends {
        value.extend_from_slice(&friend.to_be_bytes());
        value.push(*group);
    }
    value
}

/// A block of those who list a user, in order of number. `None` if the value cannot be one.
pub(super) fn read_watchers(value: &[u8]) -> Option<Vec<u32>> {
    let (owners, rest) = value.as_chunks::<4>();
    let owners = owners.iter().copied().map(u32::from_be_bytes).collect();
    rest.is_empty().then_some(owners)
}

/// The value of such a block.
pub(super) fn write_watchers(owners: &[u32]) -> Vec<u8> {
    owners.iter().flat_map(|owner| owner.to_be_bytes()).collect()
}
