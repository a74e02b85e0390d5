//! Conditions, and whether somebody fits them. Nothing here allocates once a search is understood.

use super::columns::{NumberColumn, Person, TextColumn};
use super::like::Pattern;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// A condition. Each bracket and NOT, of which `limits::SEARCH_DEPTH` can nest, adds at most an `Any` and an `All`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// Each of them holds; everybody fits none.
    All(Vec<Condition>),
    /// At least one of them holds.
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Number(NumberColumn, NumberTest),
    Text(TextColumn, TextTest),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum NumberTest {
    Compare(Comparison, i64),
    Between(i64, i64),
    In(Box<[i64]>),
}

/// The texts in it are in lower case (ASCII).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TextTest {
    Compare(Comparison, Box<str>),
    Between(Box<str>, Box<str>),
    In(Box<[Box<str>]>),
    Like(Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    #[inline]
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Condition {
    pub fn holds(&self, person: &Person<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(person)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(person)),
            Self::Not(part) => !part.holds(person),
            Self::Number(column, test) => test.holds(column.of(person)),
            Self::Text(column, test) => test.holds(column.of(person)),
        }
    }

    /// The same where the details are hidden: a test of one is neither true nor false, as of NULL in SQL, and nor is its
    /// opposite. `None`: unknown.
    pub fn holds_without_details(&self, person: &Person<'_>) -> Option<bool> {
        // Whether some part decides it alone, and if none does, whether all are known.
        let decide = |parts: &[Self], decisive: bool| {
            let mut known = true;
            for part in parts {
                match part.holds_without_details(person) {
                    Some(truth) if truth == decisive => return Some(decisive),
                    Some(_) => {}
                    None => known = false,
                }
            }
            known.then_some(!decisive)
        };
        match self {
            Self::All(parts) => decide(parts, false),
            Self::Any(parts) => decide(parts, true),
            Self::Not(part) => part.holds_without_details(person).map(|truth| !truth),
            Self::Text(column, _) if column.is_detail() => None,
            Self::Number(..) | Self::Text(..) => Some(self.holds(person)),
        }
    }

    /// Whether it looks at any of the details.
    pub fn looks_at_details(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::looks_at_details),
            Self::Not(part) => part.looks_at_details(),
            Self::Text(column, _) => column.is_detail(),
            Self::Number(..) => false,
        }
    }

    /// Nobody outside of these numbers fits.
    pub fn numbers(&self) -> RangeInclusive<u32> {
        let (first, last) = self.bounds();
        let (first, last) = (first.max(0), last.min(u32::MAX.into()));
        match (u32::try_from(first), u32::try_from(last)) {
            (Ok(first), Ok(last)) if first <= last => first..=last,
            _ => RangeInclusive::new(1, 0),
        }
    }

    /// The lowest and the highest number that may fit.
    fn bounds(&self) -> (i64, i64) {
        const ALL: (i64, i64) = (i64::MIN, i64::MAX);
        match self {
            Self::All(parts) => {
                parts.iter().map(Self::bounds).fold(ALL, |(a, b), (first, last)| (a.max(first), b.min(last)))
            }
            Self::Number(NumberColumn::Number, test) => test.bounds(),
            Self::Any(_) | Self::Not(_) | Self::Number(..) | Self::Text(..) => ALL,
        }
    }
}

impl NumberTest {
    #[inline]
    fn holds(&self, value: i64) -> bool {
        match self {
            Self::Compare(comparison, other) => comparison.holds(value.cmp(other)),
            Self::Between(low, high) => (low..=high).contains(&&value),
            Self::In(list) => list.contains(&value),
        }
    }

    fn bounds(&self) -> (i64, i64) {
        match self {
            Self::Compare(Comparison::Equal, value) => (*value, *value),
            Self::Compare(Comparison::Unequal, _) => (i64::MIN, i64::MAX),
            Self::Compare(Comparison::Less, value) => (i64::MIN, value.saturating_sub(1)),
            Self::Compare(Comparison::LessOrEqual, value) => (i64::MIN, *value),
            Self::Compare(Comparison::Greater, value) => (value.saturating_add(1), i64::MAX),
            Self::Compare(Comparison::GreaterOrEqual, value) => (*value, i64::MAX),
            Self::Between(low, high) => (*low, *high),
            Self::In(list) => {
                list.iter().fold((i64::MAX, i64::MIN), |(first, last), value| (first.min(*value), last.max(*value)))
            }
        }
    }
}

impl TextTest {
    #[inline]
    fn holds(&self, text: &str) -> bool {
        match self {
            // The length alone tells most texts apart.
            Self::Compare(Comparison::Equal, lower) => text.eq_ignore_ascii_case(lower),
            Self::Compare(Comparison::Unequal, lower) => !text.eq_ignore_ascii_case(lower),
            Self::Compare(comparison, lower) => comparison.holds(order(text, lower)),
            Self::Between(low, high) => order(text, low).is_ge() && order(text, high).is_le(),
            Self::In(list) => list.iter().any(|lower| text.eq_ignore_ascii_case(lower)),
            Self::Like(pattern) => pattern.fits(text),
        }
    }
}

/// The order of a text and one that is in lower case: by bytes, ASCII case aside.
fn order(text: &str, lower: &str) -> Ordering {
    text.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(lower.bytes())
}
