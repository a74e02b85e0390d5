//! A base: all that is durable in one sorted file, so that the journal before it can go.
//!
//! It is written while changes go on, so it holds some of the journal's changes already and others not. That does no
//! harm: a change of the journal names keys and their values, and doing it twice is doing it once.

use super::behind::Behind;
use super::disk::{Disk, Window};
use super::index::{Index, Lookup, Op};
use super::{OpenError, key, ops};
use crate::limits;
use std::io;
use std::ops::ControlFlow;

const MAGIC: &[u8; 8] = b"oicqbase";
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 8 + 4;
/// Length and checksum.
const BLOCK_HEADER: usize = 8;
/// Stands where the length of a block would, before the number of keys.
const END: u32 = u32::MAX;
/// Where it is written, until it is whole.
pub(super) const UNFINISHED: &str = "base.tmp";

pub(super) fn name(generation: u64) -> String {
    format!("base-{generation:010}")
}

/// A base to be written: everything before a generation of the journal. It can be written by another thread.
#[derive(Debug)]
pub struct Compaction<D, I> {
    disk: D,
    index: Behind<I>,
    generation: u64,
    rebuilds: u64,
}

/// A base that was written, and is put in its place by
/// [`Store::finish_compaction`](super::Store::finish_compaction).
#[derive(Debug)]
pub struct Compacted {
    pub(super) generation: u64,
    /// How often the index had been made anew when this was begun: a scan across that misses keys.
    pub(super) rebuilds: u64,
    pub(super) bytes: u64,
}

impl Compacted {
    /// Puts it in its place.
    pub(super) fn install<D: Disk>(&self, disk: &mut D) -> io::Result<()> {
        disk.rename(UNFINISHED, &name(self.generation))?;
        disk.sync_dir()
    }
}

impl<D: Disk, I: Index> Compaction<D, I> {
    pub(super) fn new(disk: D, index: Behind<I>, generation: u64, rebuilds: u64) -> Self {
        Self { disk, index, generation, rebuilds }
    }

    /// Before this generation of the journal is what the base will replace.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Writes it. `pace` is called after each block, to give way to others or to break off.
    pub fn run(mut self, pace: &mut dyn FnMut() -> ControlFlow<()>) -> io::Result<Compacted> {
        let written = self.write(pace);
        if written.is_err() {
            let _ = self.disk.remove_if_there(UNFINISHED);
        }
        written
    }

    fn write(&mut self, pace: &mut dyn FnMut() -> ControlFlow<()>) -> io::Result<Compacted> {
        self.disk.remove_if_there(UNFINISHED)?;
        let mut output = Output { disk: &mut self.disk, bytes: 0, synced: 0, block: Vec::new(), keys: 0 };
        output.put(&header(self.generation))?;
        // The scan stops at each block, so that no lock of the index is held while the disk is waited for.
        let mut from = key::everything().start.to_vec();
        loop {
            let mut last = Vec::new();
            self.index.scan(&from[..]..&key::everything().end, &mut |key, value| {
                ops::write(&mut output.block, key, Some(value));
                output.keys += 1;
                if output.block.len() < limits::BASE_BLOCK_BYTES {
                    return ControlFlow::Continue(());
                }
                last.extend_from_slice(key);
                ControlFlow::Break(())
            })?;
            output.end_block()?;
            if last.is_empty() {
                break;
            }
            if pace().is_break() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "broken off"));
            }
            last.push(0);
            from = last;
        }
        let bytes = output.finish()?;
        Ok(Compacted { generation: self.generation, rebuilds: self.rebuilds, bytes })
    }
}

struct Output<'a, D> {
    disk: &'a mut D,
    bytes: u64,
    synced: u64,
    block: Vec<u8>,
    keys: u64,
}

impl<D: Disk> Output<'_, D> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(UNFINISHED, bytes)?;
        self.bytes += bytes.len() as u64;
        if self.bytes - self.synced >= limits::BASE_SYNC_BYTES {
            self.synced = self.bytes;
            self.disk.sync(UNFINISHED)?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let mut bytes = Vec::with_capacity(BLOCK_HEADER + block.len());
        bytes.extend_from_slice(&(block.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&checksum(self.bytes, &block).to_be_bytes());
        bytes.extend_from_slice(&block);
        self.put(&bytes)
    }

    fn finish(&mut self) -> io::Result<u64> {
        let keys = self.keys.to_be_bytes();
        let mut bytes = END.to_be_bytes().to_vec();
        bytes.extend_from_slice(&checksum(self.bytes, &keys).to_be_bytes());
        bytes.extend_from_slice(&keys);
        self.put(&bytes)?;
        self.disk.sync(UNFINISHED)?;
        Ok(self.bytes)
    }
}

fn header(generation: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn checksum(offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Visits all that is whole in a base, and what is not: offset and bytes.
pub(super) fn recover<D: Disk>(
    disk: &D,
    generation: u64,
    keys: &mut dyn FnMut(&[Op<'_>]) -> Result<(), OpenError>,
    damage: &mut dyn FnMut(u64, u64),
) -> Result<(), OpenError> {
    let name = name(generation);
    let failed = || OpenError::io(format!("read {name}"));
    let size = disk.size(&name).map_err(failed())?.unwrap_or(0);
    let mut window = Window::new(disk, &name);
    if window.at(0, HEADER).map_err(failed())? != header(generation) {
        damage(0, size.min(HEADER as u64));
    }
    let (mut offset, mut bad) = (HEADER as u64, None);
    while offset < size {
        let block = match block(&mut window, offset, size).map_err(failed())? {
            Some(block) => block,
            // The next one is looked for byte by byte: a checksum knows its place.
            None => {
                bad.get_or_insert(offset);
                offset += 1;
                continue;
            }
        };
        if let Some(from) = bad.take() {
            damage(from, offset - from);
        }
        match block {
            Block::Keys(bytes) => {
                offset += (BLOCK_HEADER + bytes.len()) as u64;
                keys(&ops::read(bytes).unwrap_or_default())?;
            }
            Block::End => return Ok(()),
        }
    }
    let from = bad.unwrap_or(offset);
    damage(from, size.saturating_sub(from));
    Ok(())
}

/// A whole block of a base.
enum Block<'a> {
    Keys(&'a [u8]),
    End,
}

fn block<'w, D: Disk>(window: &'w mut Window<'_, D>, offset: u64, size: u64) -> io::Result<Option<Block<'w>>> {
    let Some(head) = window.at(offset, BLOCK_HEADER)?.first_chunk::<BLOCK_HEADER>().copied() else { return Ok(None) };
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let sum = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let bytes = if length == END { 8 } else { length as usize };
    if length != END && bytes > 2 * limits::BASE_BLOCK_BYTES || offset + (BLOCK_HEADER + bytes) as u64 > size {
        return Ok(None);
    }
    let block = window.at(offset + BLOCK_HEADER as u64, bytes)?;
    if block.len() != bytes || checksum(offset, block) != sum {
        return Ok(None);
    }
    Ok(Some(if length == END { Block::End } else { Block::Keys(block) }))
}

/// Called with some keys of a base, and how many bytes of it have been read.
pub(super) type Load<'a> = &'a mut dyn FnMut(&[Op<'_>], u64) -> Result<(), OpenError>;

/// Reads a base from front to end.
pub(super) fn read<D: Disk>(disk: &D, generation: u64, load: Load<'_>) -> Result<(), OpenError> {
    let name = name(generation);
    let failed = || OpenError::io(format!("read {name}"));
    let damaged = |offset, fault| Err(OpenError::damaged(&name, offset, fault));
    let mut window = Window::new(disk, &name);
    if window.at(0, HEADER).map_err(failed())? != header(generation) {
        return damaged(0, "its header is not one");
    }
    let (mut offset, mut keys) = (HEADER as u64, 0);
    loop {
        let Some(head) = window.at(offset, BLOCK_HEADER).map_err(failed())?.first_chunk::<BLOCK_HEADER>() else {
            return damaged(offset, "its end is missing");
        };
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let sum = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let size = if length == END { 8 } else { length as usize };
        let block = window.at(offset + BLOCK_HEADER as u64, size).map_err(failed())?;
        if block.len() != size || checksum(offset, block) != sum {
            return damaged(offset, "the checksum is wrong");
        }
        if length == END {
            return if block == u64::to_be_bytes(keys) { Ok(()) } else { damaged(offset, "keys are missing") };
        }
        let Some(ops) = ops::read(block) else { return damaged(offset, "a block is malformed") };
        offset += (BLOCK_HEADER + size) as u64;
        keys += ops.len() as u64;
        load(&ops, offset)?;
    }
}
