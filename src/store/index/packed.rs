//! An index in which the small values of neighbouring users share a key. sled holds some hundred bytes of memory for each
//! ten keys or so, whatever stands in them, and as many again for a change that it has not merged yet: with a million
//! users and four values for each that is more than all that they are doing at the moment.
//!
//! A value that is large stands alone, beside its block, which only says so, and so does one for which there is no room:
//! blocks stay small, since all of a block is written again when something in it changes. A reader comes at any time, and never finds a value missing that moves
//! between the two: what a block names is somewhere, from before it is named until after it is named no more.

use super::place::{self, Place};
use super::{Index, Lookup, Op, Visit};
use crate::limits;
use crate::store::key::Key;
use std::io;
use std::ops::{ControlFlow, Range};

/// Values from this size on stand alone: short ones in tests, so that these see values move.
const ALONE: usize = if cfg!(test) { 24 } else { limits::ALONE_BYTES };
/// A block that has come so far takes no more values: they stand alone, too.
const FULL: usize = if cfg!(test) { 64 } else { limits::INDEX_BLOCK_BYTES };
/// How often a value is looked for that moves.
const TRIES: usize = 1_000;
/// Stands where the length of a value would.
const ELSEWHERE: u16 = u16::MAX;
const _: () = assert!(limits::ALONE_BYTES < ELSEWHERE as usize);

/// An index that keeps its keys in another one, where many of them share one.
#[derive(Debug, Clone)]
pub struct Packed<I>(I);

impl<I> Packed<I> {
    /// Keeps its keys in this one.
    pub fn new(below: I) -> Self {
        Self(below)
    }
}

/// A value of a [`Packed`] index: a part of a block.
#[derive(Debug)]
pub struct Part<V> {
    whole: V,
    part: Range<usize>,
}

impl<V: AsRef<[u8]>> Part<V> {
    fn all_of(whole: V) -> Self {
        let part = 0..whole.as_ref().len();
        Self { whole, part }
    }
}

impl<V: AsRef<[u8]>> AsRef<[u8]> for Part<V> {
    fn as_ref(&self) -> &[u8] {
        &self.whole.as_ref()[self.part.clone()]
    }
}

/// What a block says of a key: the value is here, or (`None`) it stands alone.
type Entry<'a> = (Place<'a>, Option<&'a [u8]>);

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block of the index is malformed")
}

/// Takes the first entry from what is left of a block.
fn next<'a>(block: &mut &'a [u8]) -> io::Result<Option<Entry<'a>>> {
    if block.is_empty() {
        return Ok(None);
    }
    let mut read = || {
        let (place, rest) = Place::read(block)?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = match u16::from_be_bytes(*length) {
            ELSEWHERE => (None, rest),
            length => rest.split_at_checked(usize::from(length)).map(|(value, rest)| (Some(value), rest))?,
        };
        *block = rest;
        Some((place, value))
    };
    read().map(Some).ok_or_else(malformed)
}

fn write(block: &mut Vec<u8>, (place, value): Entry<'_>) {
    place.write(block);
    let length = value.map_or(ELSEWHERE, |value| value.len() as u16);
    block.extend_from_slice(&length.to_be_bytes());
    block.extend_from_slice(value.unwrap_or_default());
}

/// What one application makes of the keys below, in the order in which it is to be done.
#[derive(Default)]
struct Below<'a> {
    /// Values that stand alone. They come before their blocks name them.
    alone: Vec<(Key, &'a [u8])>,
    /// Blocks, and keys that are in none.
    keys: Vec<(Key, Option<Content<'a>>)>,
    /// Values that stood alone. They go after their blocks have said so.
    gone: Vec<Key>,
}

enum Content<'a> {
    Block(Vec<u8>),
    Value(&'a [u8]),
}

impl Content<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Block(block) => block,
            Self::Value(value) => value,
        }
    }
}

impl<'a> Below<'a> {
    /// Merges changes into their block.
    fn merge(&mut self, block: Key, whole: &[u8], changes: &[Op<'a>]) -> io::Result<()> {
        let mut before = whole;
        let mut after = Vec::with_capacity(whole.len() + 256);
        let mut old = next(&mut before)?;
        for (key, value) in changes {
            let place = Place::of(key).ok_or_else(malformed)?;
            while let Some(entry) = old.take_if(|entry| entry.0 < place) {
                write(&mut after, entry);
                old = next(&mut before)?;
            }
            let was_alone = match old.take_if(|entry| entry.0 == place) {
                Some((_, value)) => {
                    old = next(&mut before)?;
                    value.is_none()
                }
                None => false,
            };
            match value {
                Some(value) if value.len() >= ALONE || whole.len().max(after.len()) >= FULL => {
                    self.alone.push((place::alone(key), value));
                    write(&mut after, (place, None));
                }
                value => {
                    if let Some(value) = value {
                        write(&mut after, (place, Some(value)));
                    }
                    if was_alone {
                        self.gone.push(place::alone(key));
                    }
                }
            }
        }
        while let Some(entry) = old {
            write(&mut after, entry);
            old = next(&mut before)?;
        }
        // A value that stands alone changes without its block.
        if after != whole {
            self.keys.push((block, (!after.is_empty()).then_some(Content::Block(after))));
        }
        Ok(())
    }
}

impl<I: Lookup> Packed<I> {
    /// Walks over what is below, in `range` or what is left of it, up to a value that stands alone: gives its key.
    fn walk(&self, range: Range<&[u8]>, up: bool, visit: Visit<'_>) -> io::Result<Option<Key>> {
        let below = place::range_below(&range);
        let (mut failed, mut alone) = (Ok(()), None);
        let mut see = |key: &[u8], value: &[u8]| {
            if !place::is_block(key) {
                return visit(key, value);
            }
            let shown = show(key, value, &range, up, visit);
            match shown {
                Ok(Shown::All) => ControlFlow::Continue(()),
                Ok(Shown::Ended) => ControlFlow::Break(()),
                Ok(Shown::Until(key)) => {
                    alone = Some(key);
                    ControlFlow::Break(())
                }
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            }
        };
        let below = &below.start[..]..&below.end[..];
        if up {
            self.0.scan(below, &mut see)?
        } else {
            self.0.scan_down(below, &mut see)?
        }
        failed.map(|()| alone)
    }
}

enum Shown {
    All,
    Ended,
    Until(Key),
}

/// Shows those of a block that are in the range.
fn show(block: &[u8], mut value: &[u8], range: &Range<&[u8]>, up: bool, visit: Visit<'_>) -> io::Result<Shown> {
    let mut entries = Vec::with_capacity(place::USERS);
    while let Some((place, value)) = next(&mut value)? {
        entries.push((place.key_in(block).ok_or_else(malformed)?, value));
    }
    if !up {
        entries.reverse();
    }
    for (key, value) in entries {
        if !range.contains(&&*key) {
            continue;
        }
        match value {
            None => return Ok(Shown::Until(key)),
            Some(value) if visit(&key, value).is_break() => return Ok(Shown::Ended),
            Some(_) => {}
        }
    }
    Ok(Shown::All)
}

impl<I: Lookup> Lookup for Packed<I> {
    type Value = Part<I::Value>;

    fn get(&self, key: &[u8]) -> io::Result<Option<Self::Value>> {
        let (Some(block), Some(place)) = (place::block_of(key), Place::of(key)) else {
            return Ok(self.0.get(key)?.map(Part::all_of));
        };
        for _ in 0..TRIES {
            let Some(whole) = self.0.get(&block)? else { return Ok(None) };
            let mut rest = whole.as_ref();
            let length = rest.len();
            let found = loop {
                match next(&mut rest)? {
                    Some((at, value)) if at == place => break value.map(<[u8]>::len),
                    Some(_) => {}
                    None => return Ok(None),
                }
            };
            if let Some(found) = found {
                let end = length - rest.len();
                return Ok(Some(Part { whole, part: end - found..end }));
            }
            if let Some(value) = self.0.get(&place::alone(key))? {
                return Ok(Some(Part::all_of(value)));
            }
            // It has moved into its block since, or is gone.
        }
        Err(malformed())
    }

    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        let mut start = range.start.to_vec();
        while let Some(key) = self.walk(&start..range.end, true, visit)? {
            // Outside the walk, during which the index below may not be asked.
            if self.get(&key)?.is_some_and(|value| visit(&key, value.as_ref()).is_break()) {
                break;
            }
            start = key.to_vec();
            start.push(0);
        }
        Ok(())
    }

    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        let mut end = range.end.to_vec();
        while let Some(key) = self.walk(range.start..&end, false, visit)? {
            if self.get(&key)?.is_some_and(|value| visit(&key, value.as_ref()).is_break()) {
                break;
            }
            end = key.to_vec();
        }
        Ok(())
    }
}

impl<I: Index> Index for Packed<I> {
    fn apply(&self, ops: &[Op<'_>]) -> io::Result<()> {
        let mut below = Below::default();
        for changes in
            ops.chunk_by(|a, b| place::block_of(a.0).is_some_and(|block| place::block_of(b.0) == Some(block)))
        {
            let (key, value) = changes[0];
            match place::block_of(key) {
                Some(block) => {
                    let before = self.0.get(&block)?;
                    below.merge(block, before.as_ref().map_or(&[], AsRef::as_ref), changes)?;
                }
                None => below.keys.push((Key::read(key).ok_or_else(malformed)?, value.map(Content::Value))),
            }
        }
        let Below { alone, keys, gone } = below;
        for ops in [
            alone.iter().map(|(key, value)| (&**key, Some(*value))).collect::<Vec<Op<'_>>>(),
            keys.iter().map(|(key, content)| (&**key, content.as_ref().map(Content::bytes))).collect(),
            gone.iter().map(|key| (&**key, None)).collect(),
        ] {
            if !ops.is_empty() {
                self.0.apply(&ops)?;
            }
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }

    fn reopen(&self) -> io::Result<()> {
        self.0.reopen()
    }

    fn reset(&self) -> io::Result<()> {
        self.0.reset()
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
