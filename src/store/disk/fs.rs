//! A directory of the file system, locked for one process.

use super::Disk;
use crate::store::OpenError;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Holds the lock of the directory.
const LOCK: &str = "lock";

/// A directory of the file system. No other process can open it while this or a clone lives.
#[derive(Debug)]
pub struct FsDisk {
    path: PathBuf,
    lock: Arc<File>,
    open: BTreeMap<String, File>,
}

impl FsDisk {
    /// Opens the directory, creating it (for its owner alone) if there is none, and locks it.
    #[allow(clippy::incompatible_msrv, reason = "File::try_lock came with 1.89")]
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let doing = |what: &str| OpenError::io(format!("{what} data directory {}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(doing("create"))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(doing("write to"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock: Arc::new(lock), open: BTreeMap::new() }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(doing("lock")(error)),
        }
    }

    /// Opens a directory to read in it alone: nothing is created. No other process may have it open.
    #[allow(clippy::incompatible_msrv, reason = "File::try_lock_shared came with 1.89")]
    pub fn look(path: &Path) -> Result<Self, OpenError> {
        let doing = |what: &str| OpenError::io(format!("{what} data directory {}", path.display()));
        // Without a lock to be held, the directory itself is as good.
        let lock = File::open(path.join(LOCK)).or_else(|_| File::open(path)).map_err(doing("read"))?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock: Arc::new(lock), open: BTreeMap::new() }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(doing("lock")(error)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(name) {
            let path = self.path.join(name);
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            self.open.insert(name.to_owned(), file);
        }
        Ok(self.open.get_mut(name).expect("opened above"))
    }
}

impl Clone for FsDisk {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), lock: Arc::clone(&self.lock), open: BTreeMap::new() }
    }
}

impl Disk for FsDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .filter(|name| !matches!(name, Ok(name) if name == LOCK))
            .collect()
    }

    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        match std::fs::metadata(self.path.join(name)) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, name: &str, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.path.join(name))?;
        let left = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; most.min(usize::try_from(left).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn truncate(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.file(name)?.set_len(size)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open.remove(from);
        self.open.remove(to);
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Names the time since the machine was started: what a killed process wrote is still there while this is the same.
pub fn boot_id() -> String {
    // Where it cannot be read, every start counts as a new boot: slower, never wrong.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
