//! A disk in memory that can lose power: what was not synced is kept, torn or forgotten as its seed wills.

use super::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Unsynced data is kept or lost in pieces of this size: small, so that even short entries are torn.
const SECTOR: usize = 32;

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    random: u64,
    files: Vec<Contents>,
    /// What the directory shows, and what it would show after a crash without luck.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<Renaming>,
    boots: u64,
    operations: u64,
    /// The power fails during the operation with this number.
    cut_at: Option<u64>,
    cut: bool,
    /// Bytes that can still be written.
    room: Option<u64>,
    failing_syncs: u32,
    failing_truncates: u32,
}

#[derive(Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
}

/// One unsynced change of names, done or not done as a whole.
#[derive(Debug)]
struct Renaming {
    link: Option<(String, usize)>,
    unlink: Option<String>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State { random: seed, ..State::default() })) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses power and starts again. What was synced is there; the rest is there in part, or not at all.
    pub fn crash(&self) {
        self.state().crash();
    }

    /// Names the time since the last crash, as [`super::boot_id`] does.
    pub fn boot_id(&self) -> String {
        format!("sim-{}", self.state().boots)
    }

    /// Operations that change something, so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The power fails during the operation with this number: it and all later ones fail until [`Self::crash`].
    pub fn cut_at(&self, operation: Option<u64>) {
        self.state().cut_at = operation;
    }

    /// Whether the power has failed, as [`Self::cut_at`] wanted.
    pub fn is_off(&self) -> bool {
        self.state().cut
    }

    /// Only so many more bytes fit; `None`: no bound.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// The next so many syncs fail, and may or may not have synced something.
    pub fn fail_syncs(&self, times: u32) {
        self.state().failing_syncs = times;
    }

    /// The next so many truncations fail.
    pub fn fail_truncates(&self, times: u32) {
        self.state().failing_truncates = times;
    }

    /// Damages a file: the byte at this offset is another one.
    pub fn flip(&self, name: &str, offset: usize) {
        let mut state = self.state();
        let at = state.names[name];
        state.files[at].now[offset] ^= 0x55;
        state.files[at].durable[offset] ^= 0x55;
    }
}

impl State {
    /// SplitMix64.
    fn random(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }

    fn crash(&mut self) {
        for renaming in std::mem::take(&mut self.unsynced_names) {
            if self.random(2) == 0 {
                renaming.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for at in 0..self.files.len() {
            let torn = self.torn(at);
            self.files[at] = Contents { now: torn.clone(), durable: torn };
        }
        self.boots += 1;
        self.cut_at = None;
        self.cut = false;
    }

    /// What is left of a file when power fails: each sector as it was synced, or as it was written since.
    fn torn(&mut self, at: usize) -> Vec<u8> {
        let file = std::mem::take(&mut self.files[at]);
        if file.now == file.durable {
            return file.durable;
        }
        let (short, long) = (file.now.len().min(file.durable.len()), file.now.len().max(file.durable.len()));
        let size = short + self.random(long - short + 1);
        let mut torn = vec![0; size];
        let all = self.random(3) == 0;
        for from in (0..size).step_by(SECTOR) {
            let source = if all || self.random(2) == 0 { &file.now } else { &file.durable };
            for (offset, byte) in torn.iter_mut().enumerate().skip(from).take(SECTOR) {
                *byte = source.get(offset).copied().unwrap_or(0);
            }
        }
        torn
    }

    /// Counts an operation. `Err` if the power is off; `Ok(true)` if it fails during this one.
    fn operate(&mut self) -> io::Result<bool> {
        if self.cut {
            return Err(power());
        }
        self.operations += 1;
        self.cut = self.cut_at == Some(self.operations);
        Ok(self.cut)
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.unsynced_names.push(renaming);
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        if let Some(name) = &self.unlink {
            names.remove(name);
        }
        if let Some((name, at)) = &self.link {
            names.insert(name.clone(), *at);
        }
    }
}

fn power() -> io::Error {
    io::Error::other("the power has failed")
}

fn done(cut: bool) -> io::Result<()> {
    if cut { Err(power()) } else { Ok(()) }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        let state = self.state();
        Ok(state.names.get(name).map(|at| state.files[*at].now.len() as u64))
    }

    fn read(&self, name: &str, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let bytes = &state.files[state.find(name)?].now;
        let from = bytes.len().min(offset as usize);
        Ok(bytes[from..bytes.len().min(from.saturating_add(most))].to_vec())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let cut = state.operate()?;
        let at = match state.find(name) {
            Ok(at) => at,
            Err(_) => {
                state.files.push(Contents::default());
                let at = state.files.len() - 1;
                state.rename(Renaming { link: Some((name.to_owned(), at)), unlink: None });
                at
            }
        };
        let fits = state.room.map_or(bytes.len(), |room| bytes.len().min(room as usize));
        state.files[at].now.extend_from_slice(&bytes[..fits]);
        if let Some(room) = &mut state.room {
            *room -= fits as u64;
        }
        if fits < bytes.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        done(cut)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let cut = state.operate()?;
        let at = state.find(name)?;
        let failing = state.failing_syncs > 0;
        state.failing_syncs = state.failing_syncs.saturating_sub(1);
        if (!cut && !failing) || state.random(2) == 0 {
            let file = &mut state.files[at];
            file.durable.clone_from(&file.now);
        }
        if failing { Err(io::Error::other("the disk failed")) } else { done(cut) }
    }

    fn truncate(&mut self, name: &str, size: u64) -> io::Result<()> {
        let mut state = self.state();
        let cut = state.operate()?;
        if state.failing_truncates > 0 {
            state.failing_truncates -= 1;
            return Err(io::Error::other("the disk failed"));
        }
        let at = state.find(name)?;
        let freed = (state.files[at].now.len() as u64).saturating_sub(size);
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        state.files[at].now.resize(size as usize, 0);
        done(cut)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let cut = state.operate()?;
        let at = state.find(from)?;
        state.rename(Renaming { link: Some((to.to_owned(), at)), unlink: Some(from.to_owned()) });
        done(cut)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let cut = state.operate()?;
        state.find(name)?;
        state.rename(Renaming { link: None, unlink: Some(name.to_owned()) });
        done(cut)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut state = self.state();
        let cut = state.operate()?;
        if !cut || state.random(2) == 0 {
            state.unsynced_names.clear();
            state.durable_names = state.names.clone();
        }
        done(cut)
    }
}
