//! Who searches: what others show to them, and what not (protocol.md 3.1, 3.2).

use crate::shard::OFFLINE;
use crate::store::details;

/// Somebody who searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    number: u32,
    /// In order of number.
    blocked_by: Box<[u32]>,
    /// In order of number; empty where no details are looked at.
    listed_by: Box<[u32]>,
}

impl Viewer {
    /// This user, with those by whom they are blocked, and those who list them, both in order of number.
    pub fn new(number: u32, blocked_by: &[u32], listed_by: Vec<u32>) -> Self {
        Self { number, blocked_by: blocked_by.into(), listed_by: listed_by.into() }
    }

    fn is_blocked_by(&self, number: u32) -> bool {
        self.blocked_by.binary_search(&number).is_ok()
    }

    /// The status of somebody who shows everybody else this one.
    pub(super) fn status(&self, number: u32, status: u8) -> u8 {
        if self.is_blocked_by(number) { OFFLINE } else { status }
    }

    /// Whether the details of somebody who lets these see them are shown.
    pub(super) fn sees_details(&self, number: u32, who: u8) -> bool {
        match who {
            _ if number == self.number => true,
            details::EVERYBODY => true,
            details::LISTED => self.listed_by.binary_search(&number).is_ok() && !self.is_blocked_by(number),
            _ => false,
        }
    }
}
