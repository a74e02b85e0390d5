//! One ordered walk over several layers, where the upper one hides the lower one.

use super::table::{Late, Table, Value};
use crate::store::index::Visit;
use crate::store::key::Key;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow, Range};

/// Upwards or downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

impl Way {
    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        if self == Self::Up { a.cmp(b) } else { b.cmp(a) }
    }
}

/// What the tables say of the first keys of a range, copied: nobody is kept waiting while it is looked at.
pub(super) struct Page {
    changes: Vec<(Key, Value)>,
    /// There may be more beyond the last of them.
    pub(super) more: bool,
}

impl Page {
    /// Copies from the range of both tables what counts.
    pub(super) fn of(active: &Table, frozen: Option<&Table>, range: &Range<&[u8]>, way: Way) -> Self {
        let mut page = Self { changes: Vec::new(), more: false };
        if range.start >= range.end {
            return page;
        }
        let bounds = (Bound::Included(range.start), Bound::Excluded(range.end));
        let mut upper = active.changes.range::<[u8], _>(bounds);
        let mut lower = frozen.map(|frozen| frozen.changes.range::<[u8], _>(bounds));
        match way {
            Way::Up => page.fill(upper, lower.into_iter().flatten(), way),
            Way::Down => page.fill(
                std::iter::from_fn(|| upper.next_back()),
                std::iter::from_fn(|| lower.as_mut()?.next_back()),
                way,
            ),
        }
        page
    }

    fn fill<'a>(
        &mut self,
        upper: impl Iterator<Item = (&'a Key, &'a Late)>,
        lower: impl Iterator<Item = (&'a Key, &'a Late)>,
        way: Way,
    ) {
        let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
        loop {
            let order = match (upper.peek(), lower.peek()) {
                (Some((above, _)), Some((below, _))) => way.compare(above, below),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            if self.changes.len() == super::PAGE {
                self.more = true;
                return;
            }
            if order == Ordering::Equal {
                lower.next();
            }
            let next = if order == Ordering::Greater { lower.next() } else { upper.next() };
            self.changes.extend(next.map(|(key, late)| (*key, late.value.clone())));
        }
    }

    /// Up to where (or down to where, and including it) this is all.
    pub(super) fn last(&self) -> Option<Key> {
        self.changes.last().filter(|_| self.more).map(|(key, _)| *key)
    }

    pub(super) fn walk<'a>(&'a self, way: Way, visit: Visit<'a>) -> Walk<'a> {
        Walk { changes: self.changes.iter().peekable(), way, visit, ended: false }
    }
}

/// Shows a page and what the index has below it.
pub(super) struct Walk<'a> {
    changes: Peekable<std::slice::Iter<'a, (Key, Value)>>,
    way: Way,
    visit: Visit<'a>,
    /// The visitor wants no more.
    pub(super) ended: bool,
}

impl Walk<'_> {
    /// What the index has next.
    pub(super) fn below(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        self.until(Some(key))?;
        match self.changes.next_if(|(above, _)| **above == *key) {
            Some((_, Some(newer))) => self.show(key, newer),
            Some((_, None)) => ControlFlow::Continue(()),
            None => self.show(key, value),
        }
    }

    /// Shows what comes before this key; without one, all that is left.
    pub(super) fn until(&mut self, key: Option<&[u8]>) -> ControlFlow<()> {
        let way = self.way;
        let comes = |above: &Key| key.is_none_or(|key| way.compare(above, key) == Ordering::Less);
        while let Some((above, value)) = self.changes.next_if(|(above, _)| comes(above)) {
            if let Some(value) = value {
                self.show(above, value)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn show(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        let flow = (self.visit)(key, value);
        self.ended = flow.is_break();
        flow
    }
}
