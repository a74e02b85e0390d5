//! A search that runs in slices: the accounts are offered to it one by one, and it can rest between any two of them.

use super::{Query, Viewer};
use crate::store::{AccountView, Card};
use std::ops::{ControlFlow, RangeInclusive};

/// A search at work. The caller offers it the accounts of [`Scan::remaining`] in the order of the query, rests when it
/// has used its slice, goes on with what then remains, and ends when [`Scan::offer`] breaks or there are no more.
///
/// ```text
/// for (number, record) in accounts(scan.remaining(), scan.query().descending()) {
///     if scan.offer(number, &record, status).is_break() { break }
/// }
/// ```
#[derive(Debug)]
pub struct Scan {
    query: Query,
    /// `None`: one who sees everything.
    viewer: Option<Viewer>,
    looks_at_details: bool,
    remaining: RangeInclusive<u32>,
    found: Vec<Card>,
}

impl Scan {
    /// A search that has seen nobody yet.
    pub fn new(query: Query) -> Self {
        let looks_at_details = query.looks_at_details();
        let mut scan = Self { remaining: query.numbers(), found: Vec::new(), viewer: None, looks_at_details, query };
        if scan.query.limit == 0 {
            scan.remaining = NOBODY;
        }
        scan
    }

    /// The same for somebody who may not see everything.
    pub fn of(query: Query, viewer: Viewer) -> Self {
        Self { viewer: Some(viewer), ..Self::new(query) }
    }

    fn fits(&self, number: u32, account: &AccountView<'_>, status: u8) -> bool {
        let Some(viewer) = &self.viewer else { return self.query.matches(number, &account.profile, status) };
        let status = viewer.status(number, status);
        if !self.looks_at_details || viewer.sees_details(number, account.details) {
            self.query.matches(number, &account.profile, status)
        } else {
            self.query.matches_without_details(number, &account.profile, status)
        }
    }

    /// What it looks for.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The numbers that are still to be offered; empty when it is finished.
    pub fn remaining(&self) -> RangeInclusive<u32> {
        self.remaining.clone()
    }

    /// Looks at one account: in rising order of number, or in falling order if the query is descending. Breaks when it
    /// needs no more. Accounts that the operator has disabled, or not yet approved, are not found.
    pub fn offer(&mut self, number: u32, account: &AccountView<'_>, status: u8) -> ControlFlow<()> {
        if !self.remaining.contains(&number) {
            // Out of range, or seen before: a caller that does not prune loses time, not correctness.
            return self.flow();
        }
        self.remaining = self.beyond(number);
        if !account.disabled && !account.pending && self.fits(number, account, status) {
            self.found.push(account.card(number));
            if self.found.len() >= self.query.limit {
                self.remaining = NOBODY;
            }
        }
        self.flow()
    }

    /// Whom it has found, in the order asked for.
    pub fn finish(self) -> Vec<Card> {
        self.found
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.remaining.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn beyond(&self, number: u32) -> RangeInclusive<u32> {
        let (first, last) = (*self.remaining.start(), *self.remaining.end());
        if self.query.descending {
            number.checked_sub(1).map_or(NOBODY, |last| first..=last)
        } else {
            number.checked_add(1).map_or(NOBODY, |first| first..=last)
        }
    }
}

#[expect(clippy::reversed_empty_ranges, reason = "an empty range is what is meant")]
const NOBODY: RangeInclusive<u32> = 1..=0;
