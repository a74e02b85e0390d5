//! Where a key is in a packed index: in which block, and where in it. Blocks are in order, and so are their keys.

use crate::store::key::Key;
use std::ops::Range;

/// The users of a block differ in so many bits of their numbers: fewer in tests, so that these see several blocks.
const BITS: u32 = if cfg!(test) { 1 } else { 3 };
/// Users who share a block.
pub(super) const USERS: usize = 1 << BITS;
/// In place of the kind, with the kind: the key of a value that stands alone.
const ALONE: u8 = 0x40;

/// The kind of a key that is in a block, and the number of its user.
fn parts(key: &[u8]) -> Option<(u8, u32)> {
    let (kind, rest) = key.split_first()?;
    let number = rest.first_chunk()?;
    Key::is_of_few(*kind).then_some((*kind, u32::from_be_bytes(*number)))
}

/// The key of the block that this key is in, if it is in one.
pub(super) fn block_of(key: &[u8]) -> Option<Key> {
    let (kind, number) = parts(key)?;
    let [a, b, c, d] = (number >> BITS).to_be_bytes();
    Key::read(&[kind, a, b, c, d])
}

/// Whether a key of the index below is that of a block.
pub(super) fn is_block(below: &[u8]) -> bool {
    below.first().is_some_and(|kind| Key::is_of_few(*kind))
}

/// The key, in the index below, of a value that stands alone.
pub(super) fn alone(key: &[u8]) -> Key {
    let mut bytes = key.to_vec();
    bytes[0] |= ALONE;
    Key::read(&bytes).expect("as long as a key")
}

/// The range below that has the blocks of a range, and nothing that stands alone.
pub(super) fn range_below(range: &Range<&[u8]>) -> Range<Vec<u8>> {
    let block = |key: &[u8]| block_of(key).map_or(key.to_vec(), |block| block.to_vec());
    let mut end = block(range.end);
    // Unless it is the first of its block, some of that may be in the range.
    if Place::of(range.end).is_some_and(|place| place != Place { user: 0, rest: &[] }) {
        end.push(0);
    }
    block(range.start)..end.min(vec![ALONE])
}

/// The place of a key in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    /// Which of its users.
    user: u8,
    /// What follows the user's number.
    rest: &'a [u8],
}

impl<'a> Place<'a> {
    /// The place of a key that is in a block.
    pub(super) fn of(key: &'a [u8]) -> Option<Self> {
        let (_, number) = parts(key)?;
        Some(Self { user: (number as usize % USERS) as u8, rest: &key[5..] })
    }

    /// The key that has this place in this block.
    pub(super) fn key_in(self, block: &[u8]) -> Option<Key> {
        let (kind, high) = parts(block)?;
        let [a, b, c, d] = ((high << BITS) | u32::from(self.user)).to_be_bytes();
        Key::read(&[&[kind, a, b, c, d], self.rest].concat())
    }

    /// Takes a place from bytes.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, bytes) = bytes.split_first()?;
        let (rest, bytes) = bytes.split_at_checked(usize::from(head >> 4))?;
        Some((Self { user: head & 0xF, rest }, bytes))
    }

    /// Appends it to bytes.
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(((self.rest.len() as u8) << 4) | self.user);
        bytes.extend_from_slice(self.rest);
    }
}
