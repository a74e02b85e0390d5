//! The search language (protocol.md 4.1): a condition over the columns of a profile.
//!
//! [`parse`] understands what a user wrote, [`Query::matches`] says whether a person fits, and a [`Scan`] collects those
//! who do, in slices that end whenever its caller wants.
//!
//! ```
//! use oicq::shard::search::parse;
//! use oicq::wire::PublicProfile;
//!
//! let query = parse("市 = '深圳' AND age BETWEEN 18 AND 30")?;
//! assert!(query.matches(10_001, &PublicProfile { city: "深圳", age: 20, ..PublicProfile::default() }, 1));
//! let error = parse("城 = '深圳'").expect_err("there is no such column");
//! assert_eq!(error.to_string(), "unknown column \"城\"");
//! # Ok::<(), oicq::shard::search::QueryError>(())
//! ```

mod columns;
mod condition;
mod error;
mod like;
mod parse;
mod predicate;
mod scan;
mod viewer;

pub use error::QueryError;
pub use parse::parse;
pub use scan::Scan;
pub use viewer::Viewer;

use crate::wire::PublicProfile;
use columns::Person;
use condition::Condition;
use std::ops::RangeInclusive;

/// A search that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    condition: Condition,
    descending: bool,
    limit: usize,
}

impl Query {
    /// Whether someone with this number, profile and visible status is looked for.
    #[inline]
    pub fn matches(&self, number: u32, profile: &PublicProfile<'_>, status: u8) -> bool {
        self.condition.holds(&Person { number, profile, status })
    }

    /// The same of somebody whose details are hidden from the one who searches: what is asked of those is unknown, and so is
    /// its opposite.
    #[inline]
    pub fn matches_without_details(&self, number: u32, profile: &PublicProfile<'_>, status: u8) -> bool {
        self.condition.holds_without_details(&Person { number, profile, status }) == Some(true)
    }

    /// Whether it looks at details, which not everybody may see (protocol.md 3.1).
    pub fn looks_at_details(&self) -> bool {
        self.condition.looks_at_details()
    }

    /// How many are wanted at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the highest number is wanted first.
    pub fn descending(&self) -> bool {
        self.descending
    }

    /// Nobody outside of these numbers can match; empty where the condition contradicts itself.
    pub fn numbers(&self) -> RangeInclusive<u32> {
        self.condition.numbers()
    }
}

#[cfg(test)]
mod tests;
