//! Opening: checks what is there, and brings the index up to the journal, from where it was left or from the beginning.

use super::audit::Audit;
use super::disk::Disk;
use super::index::{Index, Lookup, Op};
use super::journal::{Journal, Position};
use super::layout::{self, Layout, State, Trust};
use super::ledger::{Counters, Ledger};
use super::{OpenError, base, key, ops, read};
use crate::limits;
use std::collections::BTreeMap;
use std::io;

/// How far opening has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, about.
    pub total: u64,
}

/// What opening is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Checks base and journal before anything is made from them.
    Check,
    /// Fills a new index.
    Load,
    /// Brings an index that was not closed up to the end of the journal.
    Replay,
}

/// What opening found.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) audit: Audit,
    pub(super) ledger: Ledger,
    /// The size of the base.
    pub(super) base_bytes: u64,
    /// Why the index was made anew, if it was.
    pub(super) remade: Option<String>,
    /// The directory is of an older format.
    pub(super) older: bool,
}

/// One opening, or one repair of the index.
pub(super) struct Opening<'a, D, I> {
    pub(super) disk: &'a mut D,
    pub(super) index: &'a I,
    pub(super) boot: &'a str,
    pub(super) seed: u64,
    pub(super) report: &'a mut dyn FnMut(Progress),
}

impl<D: Disk, I: Index> Opening<'_, D, I> {
    pub(super) fn open(mut self) -> Result<Opened, OpenError> {
        let Some(layout) = Layout::read(self.disk)? else { return self.create() };
        let (mut journal, remade) = self.bring_up(&layout)?;
        let failed = || OpenError::io("write to the data directory");
        let ledger = read_ledger(self.index).map_err(OpenError::io("read the index"))?;
        let seal = read::audit_seal(self.index).map_err(OpenError::io("read the index"))?;
        let audit = Audit::open(self.disk, ledger.counters.audit, seal)?;
        journal.repair(self.disk).map_err(failed())?;
        for leftover in &layout.leftovers {
            self.disk.remove_if_there(leftover).map_err(failed())?;
        }
        self.index.flush().map_err(OpenError::io("write the index"))?;
        self.trust(journal.end()).write(self.disk, true).map_err(failed())?;
        Ok(Opened { journal, audit, ledger, base_bytes: self.base_bytes(&layout)?, remade, older: layout.older })
    }

    /// Goes on with the index that is there, or makes a new one; then it says why.
    pub(super) fn bring_up(&mut self, layout: &Layout) -> Result<(Journal, Option<String>), OpenError> {
        match self.resume(layout)? {
            Ok(journal) => Ok((journal, None)),
            Err(why) => Ok((self.rebuild(layout)?, Some(why))),
        }
    }

    fn create(self) -> Result<Opened, OpenError> {
        let failed = || OpenError::io("write to the data directory");
        let journal = Journal::create(self.disk, self.seed).map_err(failed())?;
        self.empty_index()?;
        self.sign(journal.end()).map_err(OpenError::io("write the index"))?;
        let audit = Audit::open(self.disk, Default::default(), None)?;
        self.trust(journal.end()).write(self.disk, true).map_err(failed())?;
        layout::mark(self.disk).map_err(failed())?;
        Ok(Opened {
            journal,
            audit,
            ledger: Ledger::new(Counters::default()),
            base_bytes: 0,
            remade: None,
            older: false,
        })
    }

    fn trust(&self, position: Position) -> Trust {
        Trust { boot: self.boot.to_owned(), state: State::Open, position, nonce: self.seed }
    }

    fn base_bytes(&self, layout: &Layout) -> Result<u64, OpenError> {
        let Some(generation) = layout.base else { return Ok(0) };
        let size = self.disk.size(&base::name(generation)).map_err(OpenError::io("read the data directory"))?;
        Ok(size.unwrap_or(0))
    }

    /// Goes on with the index that is there; or says why it cannot be trusted.
    fn resume(&mut self, layout: &Layout) -> Result<Result<Journal, String>, OpenError> {
        let Some(trust) = Trust::read(self.disk) else { return Ok(Err("there is none".to_owned())) };
        if let Some(doubt) = trust.doubt(self.boot) {
            return Ok(Err(doubt.to_owned()));
        }
        if trust.position.generation < layout.first() {
            return Ok(Err("it is older than the base".to_owned()));
        }
        self.replay(layout, trust.position, Step::Check, false)?;
        // From here on the index changes, and a power cut would leave it between two states.
        let opening = Trust { boot: self.boot.to_owned(), state: State::Opening, ..trust.clone() };
        let durable = trust.state == State::Closed;
        opening.write(self.disk, durable).map_err(OpenError::io("write to the data directory"))?;
        match self.catch_up(layout, &trust) {
            // An index that fails is no more than one that is missing.
            Err(OpenError::Io { error, .. }) => Ok(Err(error.to_string())),
            Ok(journal) => Ok(Ok(journal)),
            Err(error) => Err(error),
        }
    }

    fn catch_up(&mut self, layout: &Layout, trust: &Trust) -> Result<Journal, OpenError> {
        let failed = || OpenError::io("open the index");
        self.index.reopen().map_err(failed())?;
        let nonce = self.index.get(&key::nonce()).map_err(failed())?;
        if nonce.is_none_or(|nonce| nonce.as_ref() != trust.nonce.to_be_bytes()) {
            return Err(failed()(io::Error::other("it is another one")));
        }
        // A damaged file may open as it was some time ago.
        let reached = self.index.get(&key::reached()).map_err(failed())?;
        if reached.and_then(|reached| Position::decode(reached.as_ref())).is_none_or(|at| at < trust.position) {
            return Err(failed()(io::Error::other("it is older than it was")));
        }
        let journal = self.replay(layout, trust.position, Step::Replay, true)?;
        read_ledger(self.index).map_err(failed())?;
        self.sign(journal.end()).map_err(failed())?;
        Ok(journal)
    }

    /// Makes the index anew. Nothing is touched before all that it is made from has been checked.
    pub(super) fn rebuild(&mut self, layout: &Layout) -> Result<Journal, OpenError> {
        let start = Position::start_of(layout.first());
        self.load_base(layout, Step::Check, false)?;
        let journal = self.replay(layout, start, Step::Check, false)?;
        if Trust::read(self.disk).is_some_and(|trust| trust.position > journal.end()) {
            let Position { generation, offset } = journal.end();
            return Err(OpenError::damaged(super::journal::name(generation), offset, "its end is missing"));
        }
        Trust::forget(self.disk).map_err(OpenError::io("write to the data directory"))?;
        self.empty_index()?;
        self.load_base(layout, Step::Load, true)?;
        self.replay(layout, start, Step::Load, true)?;
        self.sign(journal.end()).map_err(OpenError::io("write the index"))?;
        Ok(journal)
    }

    fn empty_index(&self) -> Result<(), OpenError> {
        self.index.reset().map_err(OpenError::io("write the index"))
    }

    /// Says in the index whose it is, and how far it has come.
    fn sign(&self, position: Position) -> io::Result<()> {
        let (nonce, reached) = (self.seed.to_be_bytes(), position.encode());
        self.index.apply(&[(&key::nonce(), Some(&nonce)), (&key::reached(), Some(&reached))])
    }

    fn load_base(&mut self, layout: &Layout, step: Step, apply: bool) -> Result<(), OpenError> {
        let Some(generation) = layout.base else { return Ok(()) };
        let total = self.base_bytes(layout)?;
        let mut loader = Loader::new(apply.then_some(self.index));
        base::read(self.disk, generation, &mut |ops, done| {
            (self.report)(Progress { step, done, total });
            loader.add(ops)
        })?;
        loader.finish()
    }

    fn replay(&mut self, layout: &Layout, from: Position, step: Step, apply: bool) -> Result<Journal, OpenError> {
        let mut before = 0;
        let mut total = 0;
        let mut sizes = Vec::new();
        for generation in &layout.journals {
            let size = self.disk.size(&super::journal::name(*generation)).ok().flatten().unwrap_or(0);
            sizes.push((*generation, total));
            total += size;
        }
        let mut loader = Loader::new(apply.then_some(self.index));
        let journal = Journal::open(self.disk, &layout.journals, self.seed, from, &mut |position, payload| {
            let start = sizes.iter().find(|(generation, _)| *generation == position.generation);
            let done = start.map_or(0, |(_, start)| *start) + position.offset;
            // A frame can be small: not a call for each.
            if done - before >= limits::BASE_BLOCK_BYTES as u64 {
                before = done;
                (self.report)(Progress { step, done, total });
            }
            let Some(ops) = ops::read(payload) else {
                return Err(OpenError::damaged(
                    super::journal::name(position.generation),
                    position.offset,
                    "the frame that ends here is malformed",
                ));
            };
            loader.add(&ops)
        })?;
        loader.finish()?;
        if journal.is_empty() {
            return Err(OpenError::damaged(super::journal::name(layout.first()), 0, "its header is missing"));
        }
        if journal.end() < from {
            return Err(OpenError::damaged(super::journal::name(from.generation), from.offset, "it ends before this"));
        }
        Ok(journal)
    }
}

/// Gathers changes, so that an index is filled with many at a time; of one key only the last counts.
pub(super) struct Loader<'a, I> {
    /// `None`: the changes are only looked at.
    index: Option<&'a I>,
    changes: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
    /// The bytes of all that was gathered, replaced or not.
    bytes: usize,
}

impl<'a, I: Index> Loader<'a, I> {
    pub(super) fn new(index: Option<&'a I>) -> Self {
        Self { index, changes: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn add(&mut self, ops: &[Op<'_>]) -> Result<(), OpenError> {
        if self.index.is_some() {
            self.changes.extend(ops.iter().map(|(key, value)| ((*key).into(), value.map(Into::into))));
            self.bytes += ops.iter().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum::<usize>();
        }
        let full = self.changes.len() >= limits::INDEX_LOAD || self.bytes >= limits::INDEX_LOAD_BYTES;
        if full { self.finish() } else { Ok(()) }
    }

    pub(super) fn finish(&mut self) -> Result<(), OpenError> {
        let Some(index) = self.index else { return Ok(()) };
        let ops: Vec<Op<'_>> = self.changes.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
        index.apply(&ops).map_err(OpenError::io("write the index"))?;
        self.changes.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// What the index knows of counters.
pub(super) fn read_ledger<I: Lookup>(index: &I) -> io::Result<Ledger> {
    let Some(value) = index.get(&key::counters())? else { return Ok(Ledger::new(Counters::default())) };
    Counters::decode(value.as_ref())
        .map(Ledger::new)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the counters are malformed"))
}
