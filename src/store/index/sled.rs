//! The index in sled. Its flush does no fsync, so nothing here is relied on after a power cut unless it was closed.
//!
//! Kept away from: `flush_async` (seven at once hang for ever), `watch_prefix`, values far beyond 8 KB (leaking blobs),
//! and batches (each holds a process-wide lock, and large ones are slow).

use super::guard::guarded;
use super::{Index, Lookup, Op, Visit};
use crate::limits;
use std::fs::{self, File};
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// How often opening is tried while an earlier instance in this process still lets go of the file.
const OPEN_TRIES: u32 = 50;

/// An index in a folder of its own. Clones are the same index.
#[derive(Debug, Clone)]
pub struct SledIndex {
    path: Arc<PathBuf>,
    /// `None` while it is closed. Readers hold the lock while they read: an instance is gone once it is taken out.
    database: Arc<RwLock<Option<sled::Db>>>,
    /// A call of this instance has panicked.
    panicked: Arc<AtomicBool>,
}

impl SledIndex {
    /// An index in this folder, which need not exist. It is closed until it is opened anew or reset.
    pub fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), database: Arc::default(), panicked: Arc::default() }
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<sled::Db>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Option<sled::Db>> {
        self.database.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, use_it: impl FnOnce(&sled::Db) -> io::Result<R>) -> io::Result<R> {
        let guard = self.database();
        use_it(guard.as_ref().ok_or_else(|| io::Error::other("the index is closed"))?)
    }

    /// Calls sled, which panics where its file is damaged.
    fn call<R>(&self, call: impl FnOnce() -> sled::Result<R>) -> io::Result<R> {
        guarded(call).inspect_err(|_| self.panicked.store(true, Ordering::Relaxed))?.map_err(io_error)
    }

    fn write(&self, database: &sled::Db, ops: &[Op<'_>]) -> io::Result<()> {
        self.call(|| write(database, ops))
    }

    fn visit<E>(&self, mut entries: E, visit: Visit<'_>) -> io::Result<()>
    where
        E: Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    {
        // The visitor is ours: its panics are bugs.
        while let Some((key, value)) = self.call(|| entries.next().transpose())? {
            if visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    /// Lets go of an instance. One that has panicked may wait for itself for ever while it is dropped, so it is left where
    /// it is: its file will be deleted.
    fn let_go(&self, database: Option<sled::Db>) {
        if self.panicked.swap(false, Ordering::Relaxed) {
            std::mem::forget(database);
        } else {
            // It is not asked again, so what it says is of no use.
            let _ = guarded(|| drop(database));
        }
    }
}

/// A damaged index becomes `InvalidData`, so that it is made anew instead of tried again.
fn io_error(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => {
            io::Error::new(io::ErrorKind::InvalidData, format!("the index is damaged: {error}"))
        }
        other => io::Error::other(other.to_string()),
    }
}

#[allow(clippy::disallowed_methods, reason = "an earlier instance needs a moment to let go of its lock")]
fn open(path: &Path) -> io::Result<sled::Db> {
    remove_unfinished_snapshots(path)?;
    let config = sled::Config::new().path(path).cache_capacity(limits::SLED_CACHE_BYTES).flush_every_ms(Some(500));
    let mut tries = 0;
    loop {
        let opened = guarded(|| config.open())?.map_err(io_error);
        match opened {
            Err(error) if error.to_string().contains("could not acquire lock") && tries < OPEN_TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// A crash can leave a half-written snapshot that keeps sled from opening.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Syncs every file of a folder and the folder itself.
fn sync_folder(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folder(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()
}

/// One by one: a batch would hold a process-wide lock against readers, and no group needs to be whole in here.
fn write(database: &sled::Db, ops: &[Op<'_>]) -> sled::Result<()> {
    for (key, value) in ops {
        match value {
            Some(value) => database.insert(key, *value)?,
            None => database.remove(key)?,
        };
    }
    Ok(())
}

impl Lookup for SledIndex {
    type Value = sled::IVec;

    fn get(&self, key: &[u8]) -> io::Result<Option<Self::Value>> {
        self.with(|database| self.call(|| database.get(key)))
    }

    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        self.with(|database| self.visit(database.range(range), visit))
    }

    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        self.with(|database| self.visit(database.range(range).rev(), visit))
    }
}

impl Index for SledIndex {
    fn apply(&self, ops: &[Op<'_>]) -> io::Result<()> {
        self.with(|database| {
            if ops.len() < limits::INDEX_SPLIT {
                return self.write(database, ops);
            }
            // Writing is what costs most of a group, and the halves are of different leaves.
            let (low, high) = ops.split_at(ops.len() / 2);
            std::thread::scope(|scope| {
                let high = scope.spawn(|| self.write(database, high));
                let low = self.write(database, low);
                match high.join() {
                    Ok(high) => low.and(high),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            })
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.with(|database| self.call(|| database.flush().map(drop)))
    }

    fn reopen(&self) -> io::Result<()> {
        let mut guard = self.exclusive();
        self.let_go(guard.take());
        *guard = Some(open(&self.path)?);
        Ok(())
    }

    fn reset(&self) -> io::Result<()> {
        let mut guard = self.exclusive();
        self.let_go(guard.take());
        match fs::remove_dir_all(&*self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        *guard = Some(open(&self.path)?);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        let database = self.exclusive().take();
        if let Some(database) = database {
            self.call(|| database.flush())?;
            self.let_go(Some(database));
            sync_folder(&self.path)?;
        }
        Ok(())
    }
}
