//! Lists: a count field, then that many entries (protocol.md 1.1).

use super::error::WireError;
use super::field::{Field, Reader, Writer};
use std::marker::PhantomData;

/// An integer type that counts the entries of a list.
pub trait Count: Copy + TryFrom<usize> + Into<u32> {}
impl Count for u8 {}
impl Count for u16 {}

/// A list with a count of type `C` (T in every message of this protocol), decoded in place or encoded from a slice.
///
/// Entries of a decoded list were all read once, so iterating over them cannot fail.
pub struct List<'a, T, C = u8> {
    source: Source<'a, T>,
    count: PhantomData<C>,
}

enum Source<'a, T> {
    /// The bytes of so many entries, checked.
    Wire {
        entries: u32,
        bytes: &'a [u8],
    },
    Slice(&'a [T]),
}

impl<T, C> Clone for List<'_, T, C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, C> Copy for List<'_, T, C> {}
impl<T> Clone for Source<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Source<'_, T> {}

impl<T, C> List<'_, T, C> {
    /// A list without entries.
    pub const NONE: Self = Self { source: Source::Slice(&[]), count: PhantomData };
}

impl<'a, T: Field<'a> + Copy, C> List<'a, T, C> {
    /// A list to be encoded. More entries than `C` counts are a programmer's error; encoding them panics.
    pub fn new(entries: &'a [T]) -> Self {
        Self { source: Source::Slice(entries), count: PhantomData }
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        match self.source {
            Source::Wire { entries, .. } => entries as usize,
            Source::Slice(entries) => entries.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its entries in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T, C> {
        let (mut wire, slice) = match self.source {
            Source::Wire { bytes, .. } => (Reader::new(bytes, 0), &[][..]),
            Source::Slice(entries) => (Reader::new(&[], 0), entries),
        };
        let mut slice = slice.iter();
        let mut left = self.len();
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            slice.next().copied().or_else(|| Some(T::read(&mut wire).expect("checked when the list was decoded")))
        })
    }
}

impl<'a, T: Field<'a> + Copy, C: Count + Field<'a>> Field<'a> for List<'a, T, C> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let entries: u32 = C::read(reader)?.into();
        let bytes = reader.rest();
        for _ in 0..entries {
            T::read(reader)?;
        }
        let used = bytes.len() - reader.rest().len();
        Ok(Self { source: Source::Wire { entries, bytes: &bytes[..used] }, count: PhantomData })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let Ok(count) = C::try_from(self.len()) else { panic!("{} entries are too many for this list", self.len()) };
        count.write(writer);
        for entry in self.iter() {
            entry.write(writer);
        }
    }
}

impl<'a, T: Field<'a> + Copy + PartialEq, C> PartialEq for List<'a, T, C> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Field<'a> + Copy + std::fmt::Debug, C> std::fmt::Debug for List<'a, T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
