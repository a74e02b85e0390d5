//! What files a data directory has, and what its small ones say: the format, and how far the index has come.

use super::disk::Disk;
use super::journal::Position;
use super::{OpenError, base, journal};
use std::fs;
use std::io;
use std::path::Path;

const FORMAT: &str = "format";
/// 2: a friend list is one value, and those who list somebody are in blocks. 3: long mailboxes have names and shares, and
/// a text that many have got is kept once.
const VERSION: u32 = 3;
/// The oldest version that is read, and brought up at its first opening.
const OLDEST: u32 = 2;
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
    /// Its format is an older one.
    pub(super) older: bool,
}

impl Layout {
    /// Looks into the directory; `None` if nothing was ever kept there.
    pub(super) fn read<D: Disk>(disk: &D) -> Result<Option<Self>, OpenError> {
        let names = disk.list().map_err(OpenError::io("read the data directory"))?;
        let (bases, journals) = (generations(&names, base::name), generations(&names, journal::name));
        if !names.iter().any(|name| name == FORMAT) {
            return Self::unmarked(disk, &bases, &journals);
        }
        let older = read_format(disk)? < VERSION;
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
        Ok(Some(Self { base, journals, leftovers, older }))
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

/// The generations of the files of one sort, rising.
pub(super) fn generations(names: &[String], sort: fn(u64) -> String) -> Vec<u64> {
    let mut found: Vec<u64> = names.iter().filter_map(|name| generation(name, sort)).collect();
    found.sort_unstable();
    found
}

fn generation(name: &str, sort: fn(u64) -> String) -> Option<u64> {
    let number = name.rsplit('-').next()?.parse().ok()?;
    (sort(number) == name).then_some(number)
}

fn read_format<D: Disk>(disk: &D) -> Result<u32, OpenError> {
    let found = disk.read(FORMAT, 0, 64).map_err(OpenError::io("read the format of the data directory"))?;
    let found = String::from_utf8_lossy(&found).into_owned();
    let Some(version) = found.strip_prefix("oicq store ").map(|version| version.trim().to_owned()) else {
        return Err(OpenError::damaged(FORMAT, 0, "it is not the format of a store"));
    };
    match version.parse() {
        Ok(known @ OLDEST..=VERSION) => Ok(known),
        Ok(older) if older < OLDEST => Err(OpenError::Older { version }),
        _ => Err(OpenError::Newer { version }),
    }
}

fn format_text() -> String {
    format!("oicq store {VERSION}\n")
}

/// Marks a directory as one of the oldest format that is read: its first opening brings it up.
pub(super) fn mark_older<D: Disk>(disk: &mut D) -> io::Result<()> {
    disk.replace(FORMAT, format!("oicq store {OLDEST}\n").as_bytes(), true)
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
    pub(super) state: State,
    /// The index has all of the journal before this.
    pub(super) position: Position,
    /// The same number stands in the index.
    pub(super) nonce: u64,
}

/// What was last done with an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was closed, and synced.
    Closed,
    /// It is in use.
    Open,
    /// It is being opened, which ends badly if it is damaged: it is not tried twice.
    Opening,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Opening => "opening",
        }
    }
}

impl Trust {
    /// Why the index cannot be as it was when this was written, or newer.
    pub(super) fn doubt(&self, boot: &str) -> Option<&'static str> {
        match self.state {
            State::Closed => None,
            State::Open if self.boot == boot && !boot.is_empty() => None,
            State::Open => Some("it was not closed before the machine stopped"),
            State::Opening => Some("the server ended in the middle of it"),
        }
    }

    /// What was last written; `None` if that cannot be read: then the index is made anew.
    pub(super) fn read<D: Disk>(disk: &D) -> Option<Self> {
        Self::parse(disk.read(TRUST, 0, 1024).ok()?)
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        let (body, sum) = text.trim_end().rsplit_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let mut parts = body.splitn(5, ' ');
        Some(Self {
            position: Position { generation: parts.next()?.parse().ok()?, offset: parts.next()?.parse().ok()? },
            nonce: u64::from_str_radix(parts.next()?, 16).ok()?,
            state: match parts.next()? {
                "closed" => State::Closed,
                "open" => State::Open,
                _ => State::Opening,
            },
            boot: parts.next()?.to_owned(),
        })
    }

    fn line(&self) -> String {
        let Position { generation, offset } = self.position;
        let body = format!("{generation} {offset} {:x} {} {}", self.nonce, self.state.word(), self.boot);
        format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()))
    }

    pub(super) fn write<D: Disk>(&self, disk: &mut D, durable: bool) -> io::Result<()> {
        disk.replace(TRUST, self.line().as_bytes(), durable)
    }

    /// There is no index to be trusted any more.
    pub(super) fn forget<D: Disk>(disk: &mut D) -> io::Result<()> {
        disk.remove_if_there(TRUST)?;
        disk.sync_dir()
    }
}

/// Whether this directory holds a store. Nothing in it is touched.
pub fn is_store(directory: &Path) -> bool {
    directory.join(FORMAT).is_file()
}

/// Has the next start make the index of this directory anew. For the end of a process whose index has failed in a way
/// that it cannot go on from.
pub fn distrust_index(directory: &Path) -> io::Result<()> {
    let (path, fresh) = (directory.join(TRUST), directory.join(format!("{TRUST}.tmp")));
    let Some(trust) = Trust::parse(fs::read(&path)?) else { return Ok(()) };
    fs::write(&fresh, Trust { state: State::Opening, ..trust }.line())?;
    fs::rename(fresh, path)
}
