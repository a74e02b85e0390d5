//! What files a data directory has, and what its small ones say: the format, and how far the index has come.

use super::disk::Disk;
use super::journal::Position;
use super::{OpenError, base, journal};
use std::io;

const FORMAT: &str = "format";
/// 2: a friend list is one value, and those who list somebody are in blocks.
const VERSION: u32 = 2;
const TRUST: &str = "index.pos";

/// The files of the store.
#[derive(Debug)]
pub(super) struct Layout {
    /// The generation of the newest base.
    pub(super) base: Option<u64>,
    /// Generations of the journal from that base on, without a gap.
    pub(super) journals: Vec<u64>,
    /// What a crash has left and nobody needs.
    pub(super) leftovers: Vec<String>,
}

impl Layout {
    /// Looks into the directory; `None` if nothing was ever kept there.
    pub(super) fn read<D: Disk>(disk: &D) -> Result<Option<Self>, OpenError> {
        let names = disk.list().map_err(OpenError::io("read the data directory"))?;
        let generations = |sort: fn(u64) -> String| {
            let mut found: Vec<u64> = names.iter().filter_map(|name| generation(name, sort)).collect();
            found.sort_unstable();
            found
        };
        let (bases, journals) = (generations(base::name), generations(journal::name));
        if !names.iter().any(|name| name == FORMAT) {
            return Self::unmarked(disk, &bases, &journals);
        }
        check_format(disk)?;
        let base = bases.last().copied();
        let first = base.unwrap_or(1);
        let (old, journals): (Vec<u64>, Vec<u64>) = journals.into_iter().partition(|journal| *journal < first);
        for (expected, found) in (first..).zip(&journals) {
            if expected != *found {
                return Err(OpenError::damaged(journal::name(expected), 0, "it is missing"));
            }
        }
        if journals.is_empty() {
            return Err(OpenError::damaged(journal::name(first), 0, "it is missing"));
        }
        let mut leftovers: Vec<String> = old.into_iter().map(journal::name).collect();
        leftovers.extend(bases.into_iter().filter(|other| Some(*other) != base).map(base::name));
        let unfinished = [base::UNFINISHED.to_owned(), format!("{TRUST}.tmp"), format!("{FORMAT}.tmp")];
        leftovers.extend(names.into_iter().filter(|name| unfinished.contains(name)));
        Ok(Some(Self { base, journals, leftovers }))
    }

    /// The format is written last: without it there must be no more than a journal that was being begun.
    fn unmarked<D: Disk>(disk: &D, bases: &[u64], journals: &[u64]) -> Result<Option<Self>, OpenError> {
        let begun = journal::name(1);
        let size = disk.size(&begun).map_err(OpenError::io("read the data directory"))?.unwrap_or(0);
        let nothing = bases.is_empty() && matches!(journals, [] | [1]) && size <= Position::start_of(1).offset;
        if nothing { Ok(None) } else { Err(OpenError::damaged(FORMAT, 0, "it is missing, but there is data")) }
    }

    /// The first generation that counts.
    pub(super) fn first(&self) -> u64 {
        self.base.unwrap_or(1)
    }
}

fn generation(name: &str, sort: fn(u64) -> String) -> Option<u64> {
    let number = name.rsplit('-').next()?.parse().ok()?;
    (sort(number) == name).then_some(number)
}

fn check_format<D: Disk>(disk: &D) -> Result<(), OpenError> {
    let found = disk.read(FORMAT, 0, 64).map_err(OpenError::io("read the format of the data directory"))?;
    let found = String::from_utf8_lossy(&found).into_owned();
    match found.strip_prefix("oicq store ") {
        Some(_) if found == format_text() => Ok(()),
        Some(version) => {
            let version = version.trim().to_owned();
            let older = version.parse::<u32>().is_ok_and(|version| version < VERSION);
            Err(if older { OpenError::Older { version } } else { OpenError::Newer { version } })
        }
        None => Err(OpenError::damaged(FORMAT, 0, "it is not the format of a store")),
    }
}

fn format_text() -> String {
    format!("oicq store {VERSION}\n")
}

/// Marks a directory whose journal has been begun.
pub(super) fn mark<D: Disk>(disk: &mut D) -> io::Result<()> {
    disk.replace(FORMAT, format_text().as_bytes(), true)
}

/// How far an index has come, and under which circumstances that is still true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trust {
    /// The boot during which it was written: what was handed to the system is there as long as it lasts.
    pub(super) boot: String,
    /// The index was closed, and synced.
    pub(super) clean: bool,
    /// The index has all of the journal before this.
    pub(super) position: Position,
    /// The same number stands in the index.
    pub(super) nonce: u64,
}

impl Trust {
    /// Whether the index is as it was when this was written, or newer.
    pub(super) fn holds(&self, boot: &str) -> bool {
        self.clean || (self.boot == boot && !boot.is_empty())
    }

    /// What was last written; `None` if that cannot be read: then the index is made anew.
    pub(super) fn read<D: Disk>(disk: &D) -> Option<Self> {
        let text = String::from_utf8(disk.read(TRUST, 0, 1024).ok()?).ok()?;
        let (body, sum) = text.trim_end().rsplit_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let mut parts = body.splitn(5, ' ');
        Some(Self {
            position: Position { generation: parts.next()?.parse().ok()?, offset: parts.next()?.parse().ok()? },
            nonce: u64::from_str_radix(parts.next()?, 16).ok()?,
            clean: parts.next()? == "closed",
            boot: parts.next()?.to_owned(),
        })
    }

    pub(super) fn write<D: Disk>(&self, disk: &mut D, durable: bool) -> io::Result<()> {
        let Position { generation, offset } = self.position;
        let state = if self.clean { "closed" } else { "open" };
        let body = format!("{generation} {offset} {:x} {state} {}", self.nonce, self.boot);
        let line = format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()));
        disk.replace(TRUST, line.as_bytes(), durable)
    }

    /// There is no index to be trusted any more.
    pub(super) fn forget<D: Disk>(disk: &mut D) -> io::Result<()> {
        disk.remove_if_there(TRUST)?;
        disk.sync_dir()
    }
}
