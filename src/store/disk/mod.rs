//! The files under the store, behind a trait: real ones, and simulated ones that forget what was not synced.

mod fs;
mod sim;

pub use fs::{FsDisk, boot_id};
pub use sim::SimDisk;

use std::io;

/// One flat directory of files. Nothing is durable before the `sync` of its file, and no name before [`Disk::sync_dir`].
///
/// A clone is another handle to the same directory, so that a second thread can write a file of its own.
pub trait Disk: Clone + Send + 'static {
    /// The names in the directory, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// The size of a file, if there is one.
    fn size(&self, name: &str) -> io::Result<Option<u64>>;
    /// Reads up to `most` bytes; fewer only at the end of the file.
    fn read(&self, name: &str, offset: u64, most: usize) -> io::Result<Vec<u8>>;
    /// Appends to a file, which is created if there is none. An error may leave a part of it there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Makes the contents of a file durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Cuts a file.
    fn truncate(&mut self, name: &str, size: u64) -> io::Result<()>;
    /// Renames a file, over another one if there is one.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_dir(&mut self) -> io::Result<()>;

    /// Removes a file if there is one.
    fn remove_if_there(&mut self, name: &str) -> io::Result<()> {
        match self.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Gives a small file these contents at one stroke. Without `durable` it survives the end of the process only.
    fn replace(&mut self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let fresh = format!("{name}.tmp");
        self.remove_if_there(&fresh)?;
        self.append(&fresh, bytes)?;
        if durable {
            self.sync(&fresh)?;
        }
        self.rename(&fresh, name)?;
        if durable { self.sync_dir() } else { Ok(()) }
    }
}

/// Reads a file from the front in large pieces, and gives it out in small ones.
pub(super) struct Window<'a, D> {
    disk: &'a D,
    name: &'a str,
    /// Offset of `bytes` in the file.
    start: u64,
    bytes: Vec<u8>,
}

/// What is read from the disk at a time.
const WINDOW_BYTES: usize = 1024 * 1024;

impl<'a, D: Disk> Window<'a, D> {
    pub(super) fn new(disk: &'a D, name: &'a str) -> Self {
        Self { disk, name, start: 0, bytes: Vec::new() }
    }

    /// The `length` bytes at `offset`, or as many as the file has.
    pub(super) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let end = offset + length as u64;
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            self.bytes = self.disk.read(self.name, offset, length.max(WINDOW_BYTES))?;
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..self.bytes.len().min(from + length)])
    }
}
