//! The journal: every change, synced before it is answered. Everything else in the directory can be made from it.
//!
//! Files `journal-<generation>`, each a header and then frames, one frame for each group of requests. At most one frame
//! is ever unsynced, so after a crash only the last frame of the last file can be torn; whatever else is wrong is
//! damage. A frame knows its own offset, and its checksum the salt of its file, so that no user can send a text that
//! looks like one.

use super::OpenError;
use super::disk::{Disk, Window};
use crate::limits;
use std::collections::BTreeMap;
use std::io;

const MAGIC: &[u8; 8] = b"oicqjrnl";
const VERSION: u32 = 1;
/// Magic, version, generation, size of the file before, salt, checksum.
const HEADER: usize = 8 + 4 + 8 + 8 + 4 + 4;
/// Length, checksum, offset.
const FRAME_HEADER: usize = 4 + 4 + 8;

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) generation: u64,
    pub(super) offset: u64,
}

impl Position {
    /// Where the frames of a generation begin.
    pub(super) fn start_of(generation: u64) -> Self {
        Self { generation, offset: HEADER as u64 }
    }

    pub(super) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.generation.to_be_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, offset) = bytes.split_first_chunk()?;
        Some(Self { generation: u64::from_be_bytes(*generation), offset: u64::from_be_bytes(offset.try_into().ok()?) })
    }
}

/// Called with the end of a frame and what it holds.
pub(super) type Replay<'a> = &'a mut dyn FnMut(Position, &[u8]) -> Result<(), OpenError>;

/// The journal, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    /// The synced size of each file.
    sizes: BTreeMap<u64, u64>,
    salt: u32,
    seed: u64,
    /// There may be more in the files than was synced, and it must go before anything is appended.
    dirty: bool,
    frame: Vec<u8>,
}

pub(super) fn name(generation: u64) -> String {
    format!("journal-{generation:010}")
}

impl Journal {
    /// A new journal, in an empty directory.
    pub(super) fn create<D: Disk>(disk: &mut D, seed: u64) -> io::Result<Self> {
        let mut journal = Self { sizes: BTreeMap::new(), salt: 0, seed, dirty: false, frame: Vec::new() };
        journal.begin(disk, 1)?;
        Ok(journal)
    }

    /// Checks the journal from `from` on, and replays it. `generations` are those of its files, without a gap. Changes
    /// nothing: call [`Self::repair`] before appending.
    pub(super) fn open<D: Disk>(
        disk: &D,
        generations: &[u64],
        seed: u64,
        from: Position,
        replay: Replay<'_>,
    ) -> Result<Self, OpenError> {
        let mut journal = Self { sizes: BTreeMap::new(), salt: 0, seed, dirty: true, frame: Vec::new() };
        let mut previous = None;
        for (at, &generation) in generations.iter().enumerate() {
            let last = at + 1 == generations.len();
            let file = File::open(disk, generation)?;
            let Some(header) = file.header(last)? else {
                // The crash came while this file was begun: the one before it still is the last.
                return Ok(journal);
            };
            if previous.is_some_and(|size| size != header.previous) {
                return Err(OpenError::damaged(name(generation - 1), header.previous, "its end is missing or changed"));
            }
            journal.salt = header.salt;
            let size = if generation < from.generation {
                file.size
            } else {
                let start = from.max(Position::start_of(generation)).offset;
                file.walk(header.salt, start, last, replay)?
            };
            journal.sizes.insert(generation, size);
            previous = Some(size);
        }
        Ok(journal)
    }

    /// Where the next frame comes.
    pub(super) fn end(&self) -> Position {
        let (&generation, &offset) = self.sizes.last_key_value().expect("there always is a file");
        Position { generation, offset }
    }

    /// Whether any file was whole enough to be one.
    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Bytes of all its files.
    pub(super) fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    /// Appends a frame and syncs it. After an error nothing of it is there, and nothing else is lost; until that is
    /// sure, every later call fails too.
    pub(super) fn append<D: Disk>(&mut self, disk: &mut D, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.repair(disk)?;
        if self.end().offset >= limits::JOURNAL_FILE_BYTES {
            self.rotate(disk)?;
        }
        let end = self.end();
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        frame.resize(FRAME_HEADER, 0);
        write(&mut frame);
        seal(&mut frame, self.salt, end.offset);
        let name = name(end.generation);
        self.dirty = true;
        let synced = disk.append(&name, &frame).and_then(|()| disk.sync(&name));
        if synced.is_ok() {
            self.dirty = false;
            self.sizes.insert(end.generation, end.offset + frame.len() as u64);
        } else {
            // At once if it can be, so that a crash does not bring back what was answered as failed.
            let _ = self.repair(disk);
        }
        frame.shrink_to(limits::JOURNAL_FILE_BYTES as usize / 16);
        self.frame = frame;
        synced
    }

    /// Begins the next file.
    pub(super) fn rotate<D: Disk>(&mut self, disk: &mut D) -> io::Result<()> {
        self.repair(disk)?;
        let begun = self.begin(disk, self.end().generation + 1);
        if begun.is_err() {
            let _ = self.repair(disk);
        }
        begun
    }

    fn begin<D: Disk>(&mut self, disk: &mut D, generation: u64) -> io::Result<()> {
        let previous = self.sizes.get(&(generation - 1)).copied().unwrap_or(0);
        let salt = salt(self.seed, generation);
        let name = name(generation);
        self.dirty = true;
        disk.remove_if_there(&name)?;
        disk.append(&name, &header(generation, previous, salt))?;
        disk.sync(&name)?;
        disk.sync_dir()?;
        self.salt = salt;
        self.sizes.insert(generation, HEADER as u64);
        self.dirty = false;
        Ok(())
    }

    /// Takes away what a failed or interrupted append has left.
    pub(super) fn repair<D: Disk>(&mut self, disk: &mut D) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        let end = self.end();
        disk.remove_if_there(&name(end.generation + 1))?;
        disk.sync_dir()?;
        let name = name(end.generation);
        disk.truncate(&name, end.offset)?;
        disk.sync(&name)?;
        self.dirty = false;
        Ok(())
    }

    /// Removes the files before this generation.
    pub(super) fn trim<D: Disk>(&mut self, disk: &mut D, before: u64) -> io::Result<()> {
        while let Some(entry) = self.sizes.first_entry().filter(|entry| *entry.key() < before) {
            disk.remove_if_there(&name(*entry.key()))?;
            entry.remove();
        }
        Ok(())
    }
}

/// Reads a file of the journal up to `end`, which was synced: all of it must be whole.
pub(super) fn verify<D: Disk>(disk: &D, generation: u64, end: u64, replay: Replay<'_>) -> Result<(), OpenError> {
    let file = File { size: end, ..File::open(disk, generation)? };
    let header = file.header(false)?;
    let salt = header.map_or(0, |header| header.salt);
    file.walk(salt, HEADER as u64, false, replay).map(drop)
}

/// A part of a damaged file.
pub(super) enum Piece<'a> {
    /// What a good frame holds.
    Frame(&'a [u8]),
    /// Bytes that are part of no good frame, and what they are now.
    Damage { offset: u64, bytes: u64, left: &'a [u8] },
}

/// Visits all that is whole in a file of the journal, and what is not.
pub(super) fn recover<D: Disk>(
    disk: &D,
    generation: u64,
    visit: &mut dyn FnMut(Piece<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let file = File::open(disk, generation)?;
    let head = disk.read(&file.name, 0, HEADER).map_err(OpenError::io(format!("read {}", file.name)))?;
    let mut window = Window::new(disk, &file.name);
    let salt = match Header::read(&head, generation) {
        Some(header) => header.salt,
        None => {
            visit(Piece::Damage { offset: 0, bytes: head.len() as u64, left: &head })?;
            file.find_salt(&mut window, &head)?
        }
    };
    let mut offset = HEADER as u64;
    while offset < file.size {
        if let Some(payload) = file.frame(&mut window, salt, offset)? {
            let next = offset + (FRAME_HEADER + payload.len()) as u64;
            visit(Piece::Frame(payload))?;
            offset = next;
            continue;
        }
        let next = file.next_after(&mut window, salt, offset + 1)?.unwrap_or(file.size);
        let payload = offset + FRAME_HEADER as u64;
        let most = (next.saturating_sub(payload) as usize).min(limits::BASE_BLOCK_BYTES);
        let left = disk.read(&file.name, payload, most).map_err(OpenError::io(format!("read {}", file.name)))?;
        visit(Piece::Damage { offset, bytes: next - offset, left: &left })?;
        offset = next;
    }
    Ok(())
}

/// Differs between any two files and cannot be guessed from outside (SplitMix64).
fn salt(seed: u64, generation: u64) -> u32 {
    let mut mixed = seed.wrapping_add(generation.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 32) as u32
}

fn header(generation: u64, previous: u64, salt: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&previous.to_be_bytes());
    bytes.extend_from_slice(&salt.to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn checksum(salt: u32, offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_be_bytes());
    hasher.update(&offset.to_be_bytes());
    hasher.update(&(payload.len() as u32).to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn seal(frame: &mut [u8], salt: u32, offset: u64) {
    let (head, payload) = frame.split_at_mut(FRAME_HEADER);
    let length = u32::try_from(payload.len()).expect("a group is far below 4 GB");
    head[0..4].copy_from_slice(&length.to_be_bytes());
    head[4..8].copy_from_slice(&checksum(salt, offset, payload).to_be_bytes());
    head[8..16].copy_from_slice(&offset.to_be_bytes());
}

struct Header {
    previous: u64,
    salt: u32,
}

/// One file that is being read.
struct File<'a, D> {
    disk: &'a D,
    generation: u64,
    name: String,
    size: u64,
}

impl<'a, D: Disk> File<'a, D> {
    fn open(disk: &'a D, generation: u64) -> Result<Self, OpenError> {
        let name = name(generation);
        let size = disk.size(&name).map_err(OpenError::io(format!("read {name}")))?.unwrap_or(0);
        Ok(Self { disk, generation, name, size })
    }

    /// `None` if the file was only being begun.
    fn header(&self, last: bool) -> Result<Option<Header>, OpenError> {
        let bytes = self.disk.read(&self.name, 0, HEADER).map_err(OpenError::io(format!("read {}", self.name)))?;
        if let Some(read) = Header::read(&bytes, self.generation) {
            return Ok(Some(read));
        }
        // A frame comes only after the header is synced: what is not longer than a header was only being begun.
        if last && self.size <= HEADER as u64 {
            return Ok(None);
        }
        Err(OpenError::damaged(&self.name, 0, "its header is not one"))
    }

    /// Replays the frames from `start` on, and returns where the last good one ends.
    fn walk(&self, salt: u32, start: u64, last: bool, replay: Replay<'_>) -> Result<u64, OpenError> {
        let mut window = Window::new(self.disk, &self.name);
        let mut offset = start;
        if start > self.size {
            return Err(OpenError::damaged(&self.name, self.size, "its end is missing"));
        }
        while offset < self.size {
            let Some(payload) = self.frame(&mut window, salt, offset)? else {
                return if last && !self.any_after(&mut window, salt, offset + 1)? {
                    Ok(offset)
                } else {
                    Err(OpenError::damaged(&self.name, offset, "the checksum is wrong"))
                };
            };
            let next = offset + (FRAME_HEADER + payload.len()) as u64;
            replay(Position { generation: self.generation, offset: next }, payload)?;
            offset = next;
        }
        Ok(offset)
    }

    /// What the frame at this offset holds, if there is a good one.
    fn frame<'w>(&self, window: &'w mut Window<'_, D>, salt: u32, offset: u64) -> Result<Option<&'w [u8]>, OpenError> {
        let failed = || OpenError::io(format!("read {}", self.name));
        let Some(head) = window.at(offset, FRAME_HEADER).map_err(failed())?.first_chunk::<FRAME_HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head.first_chunk().expect("16 bytes")) as usize;
        let sum = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let own = u64::from_be_bytes(*head.last_chunk().expect("16 bytes"));
        let start = offset + FRAME_HEADER as u64;
        if own != offset || start + length as u64 > self.size {
            return Ok(None);
        }
        let payload = window.at(start, length).map_err(failed())?;
        Ok((payload.len() == length && checksum(salt, offset, payload) == sum).then_some(payload))
    }

    /// Whether there is a good frame beyond a bad one: then the bad one was synced, and is damaged.
    fn any_after(&self, window: &mut Window<'_, D>, salt: u32, from: u64) -> Result<bool, OpenError> {
        Ok(self.next_after(window, salt, from)?.is_some())
    }

    /// Where the first good frame from here on begins.
    fn next_after(&self, window: &mut Window<'_, D>, salt: u32, from: u64) -> Result<Option<u64>, OpenError> {
        for offset in from..self.size {
            if self.frame(window, salt, offset)?.is_some() {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The salt of a file whose header is damaged. It may still be in there; if not, it follows from any frame whose place
    /// is known, which the first one's is: a CRC is linear in each bit of what it is made of.
    fn find_salt(&self, window: &mut Window<'_, D>, head: &[u8]) -> Result<u32, OpenError> {
        const AT: usize = HEADER - 8;
        let first = HEADER as u64;
        if let Some(salt) = head.get(AT..AT + 4).and_then(|salt| salt.try_into().ok()).map(u32::from_be_bytes)
            && self.next_after(window, salt, first)?.is_some()
        {
            return Ok(salt);
        }
        let failed = || OpenError::io(format!("read {}", self.name));
        let frame = window.at(first, FRAME_HEADER).map_err(failed())?.first_chunk::<FRAME_HEADER>().copied();
        let Some(frame) = frame else { return Ok(0) };
        let (length, rest) = frame.split_first_chunk().expect("16 bytes");
        let (sum, own) = rest.split_first_chunk().expect("12 bytes");
        let length = u32::from_be_bytes(*length) as usize;
        if own != first.to_be_bytes() || first + (FRAME_HEADER + length) as u64 > self.size {
            return Ok(0);
        }
        let payload = window.at(first + FRAME_HEADER as u64, length).map_err(failed())?;
        Ok(solve(u32::from_be_bytes(*sum), |salt| checksum(salt, first, payload)))
    }
}

impl Header {
    fn read(bytes: &[u8], generation: u64) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_be_bytes())?;
        let rest = rest.strip_prefix(&generation.to_be_bytes())?;
        let (previous, salt) = rest.split_first_chunk()?;
        (crc32fast::hash(body) == u32::from_be_bytes(*sum)).then_some(Self {
            previous: u64::from_be_bytes(*previous),
            salt: u32::from_be_bytes(salt.try_into().ok()?),
        })
    }
}

/// The number for which a function that is linear in its bits (but for a constant) gives this value.
fn solve(value: u32, linear: impl Fn(u32) -> u32) -> u32 {
    let constant = linear(0);
    // What each bit changes, and which bits a row stands for; brought to a triangle.
    let mut rows: Vec<(u32, u32)> = (0..32).map(|bit| (linear(1 << bit) ^ constant, 1 << bit)).collect();
    let (mut left, mut found) = (value ^ constant, 0);
    for bit in (0..32).rev() {
        let Some(at) = rows.iter().position(|row| row.0 >> bit & 1 == 1) else { continue };
        let pivot = rows.swap_remove(at);
        for row in &mut rows {
            if row.0 >> bit & 1 == 1 {
                *row = (row.0 ^ pivot.0, row.1 ^ pivot.1);
            }
        }
        if left >> bit & 1 == 1 {
            (left, found) = (left ^ pivot.0, found ^ pivot.1);
        }
    }
    found
}
