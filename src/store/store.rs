//! The store: takes groups of requests, and answers them once their changes are synced.

use super::audit::{self, Audit, AuditBreak, AuditHead, AuditSeal, SetAside};
use super::base::{self, Compacted, Compaction};
use super::behind::{Applier, Behind};
use super::disk::{Disk, FsDisk, SimDisk, boot_id};
use super::draft::Draft;
use super::index::{Index, Lookup, MemoryIndex, Packed, SledIndex};
use super::journal::{Journal, Position};
use super::layout::{self, Layout, State, Trust};
use super::ledger::Ledger;
use super::open::{Opening, Progress, read_ledger};
use super::plan::{Plan, Stop};
use super::scrub::Scrub;
use super::{
    Accounts, Answer, AuditAction, AuditEvent, Change, Grant, Mail, OpenError, Refusal, Request, SessionRecord,
    Stalled, key, ops, read,
};
use crate::limits;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// A store in a directory of the file system.
pub type DirStore = Store<FsDisk, Packed<SledIndex>>;
/// A store in memory, which can crash.
pub type MemoryStore = Store<SimDisk, MemoryIndex>;

/// What is durable. There is one writer: whoever owns this. It has no clock and no source of chance.
#[derive(Debug)]
pub struct Store<D, I> {
    disk: D,
    index: Behind<I>,
    /// The thread that keeps the index up, if there is one.
    applier: Option<Applier>,
    journal: Journal,
    audit: Audit,
    ledger: Ledger,
    boot: String,
    seed: u64,
    /// The index has all before this, even if the process is killed.
    settled: Position,
    /// Why the index cannot be used at present.
    broken: Option<io::Error>,
    /// What last went wrong, until somebody asks.
    fault: Option<io::Error>,
    /// Messages that could not be stored. Those that were asked for behind them must not be stored first.
    stalled: Stalled,
    base_bytes: u64,
    /// A base is being written.
    compacting: bool,
    /// Not before the journal has grown to this: the last base failed.
    compact_at: u64,
    rebuilds: u64,
    /// Why the index was made anew, until somebody asks.
    remade: Option<String>,
}

/// What planning made of a request.
enum Planned {
    /// Answered once the group is synced.
    Answer(Answer),
    /// An event for the audit log.
    Audit,
    /// To be read after the group's changes.
    Read,
}

impl DirStore {
    /// Opens the store in this directory, or makes one. `seed` should be random: it keeps users from guessing what the
    /// journal's checksums are made with. `report` is called often while much is to be loaded.
    pub fn open_dir(path: &Path, seed: u64, report: &mut dyn FnMut(Progress)) -> Result<Self, OpenError> {
        let disk = FsDisk::open(path)?;
        let mut store = Self::open(disk, Packed::new(SledIndex::new(path.join("index"))), &boot_id(), seed, report)?;
        store.applier = Some(Applier::spawn(&store.index).map_err(OpenError::io("start a thread"))?);
        Ok(store)
    }
}

impl MemoryStore {
    /// An empty store in memory.
    pub fn in_memory(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        Self::open(disk, MemoryIndex::default(), "sim-0", seed, &mut |_| {}).expect("a new disk in memory can be used")
    }

    /// Loses power: all that was not synced is gone or torn. Then opens again what is left.
    pub fn crash(self) -> Result<Self, OpenError> {
        let (disk, seed) = (self.disk.clone(), self.seed);
        drop(self);
        disk.crash();
        let boot = disk.boot_id();
        Self::open(disk, MemoryIndex::default(), &boot, seed.wrapping_add(1), &mut |_| {})
    }
}

impl<D: Disk, I: Index> Store<D, I> {
    /// Opens the store on this disk, or makes one. `boot` names the time since the machine was started; see
    /// [`Self::open_dir`](DirStore::open_dir) for the rest.
    pub fn open(
        mut disk: D,
        index: I,
        boot: &str,
        seed: u64,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        let opened = Opening { disk: &mut disk, index: &index, boot, seed, report }.open()?;
        let settled = opened.journal.end();
        let mut store = Self {
            disk,
            index: Behind::new(index, settled),
            applier: None,
            journal: opened.journal,
            audit: opened.audit,
            ledger: opened.ledger,
            boot: boot.to_owned(),
            seed,
            settled,
            broken: None,
            fault: None,
            stalled: Stalled::new(limits::STALLED_COMMITS),
            base_bytes: opened.base_bytes,
            compacting: false,
            compact_at: 0,
            rebuilds: 0,
            remade: opened.remade,
        };
        if opened.older {
            store.bring_up_format().map_err(OpenError::io("write to the data directory"))?;
        }
        Ok(store)
    }

    /// Does a group of requests and appends an answer for each, in order, with its tag. The changes of the group become
    /// durable with one sync. A read sees every change that came before it, and perhaps later ones of the group.
    pub fn process<T>(&mut self, group: &mut Vec<(T, Request)>, answers: &mut Vec<(T, Answer)>) {
        let mut planned = match self.commit_group(group) {
            Ok(planned) => Some(planned.into_iter()),
            Err(error) => {
                self.fault = Some(error);
                for (to, mail, (from, id)) in group.iter().flat_map(|(_, request)| named_mail(request)) {
                    self.stalled.failed(mail.time_ms, to, from, id);
                }
                None
            }
        };
        for (tag, request) in group.drain(..) {
            let answer = match planned.as_mut().and_then(Iterator::next) {
                Some(Planned::Answer(answer)) => answer,
                Some(Planned::Audit) => Answer::Done,
                Some(Planned::Read) | None => self.read(&request).unwrap_or(Answer::Failed),
            };
            answers.push((tag, answer));
        }
    }

    /// Answers one request: a group of its own.
    pub fn ask(&mut self, request: Request) -> Answer {
        let (mut group, mut answers) = (vec![((), request)], Vec::with_capacity(1));
        self.process(&mut group, &mut answers);
        answers.pop().map_or(Answer::Failed, |(_, answer)| answer)
    }

    /// The answer to a request that only reads; `None` for others, and if the index fails.
    fn read(&mut self, request: &Request) -> Option<Answer> {
        if self.broken.is_some() {
            return None;
        }
        match read::answer(&self.index, &mut self.ledger, request) {
            Ok(answer) => answer,
            Err(error) => {
                self.break_index(error);
                None
            }
        }
    }

    /// The index cannot be used until [`Self::maintain`] has mended it.
    fn break_index(&mut self, error: io::Error) {
        self.fault = Some(io::Error::new(error.kind(), format!("the index failed: {error}")));
        self.broken = Some(error);
    }

    /// Plans a group and makes its changes durable. After an error nothing of it was done.
    fn commit_group<T>(&mut self, group: &[(T, Request)]) -> io::Result<Vec<Planned>> {
        if let Some(error) = &self.broken {
            return Err(io::Error::new(error.kind(), format!("the index is out of order: {error}")));
        }
        if let Some(error) = self.index.failure() {
            self.break_index(io::Error::new(error.kind(), error.to_string()));
            return Err(error);
        }
        let audited = group.iter().any(|(_, request)| matches!(request, Request::Audit(_)));
        let audit_ready = audited && self.audit.is_ready(&self.disk);
        let mut plan = Plan::new(&self.index, &mut self.ledger);
        let planned: io::Result<Vec<Planned>> = group
            .iter()
            .map(|(_, request)| match overtakes(&mut self.stalled, request) {
                true => Ok(Planned::Answer(Answer::Failed)),
                false => plan_request(&mut plan, request, audit_ready),
            })
            .collect();
        let mut draft = plan.finish();
        let planned = match planned {
            Ok(planned) => planned,
            Err(error) => {
                self.ledger.take_back_group();
                self.break_index(io::Error::new(error.kind(), error.to_string()));
                return Err(error);
            }
        };
        let head = self.audit.head();
        if !draft.is_empty() {
            self.index.wait_for_room(self.journal.end());
        }
        let audited = if audit_ready { self.write_audit(group) } else { Ok(()) };
        let written = audited.and_then(|()| self.write_journal(&mut draft));
        if let Err(error) = written {
            self.audit.rewind(&mut self.disk, head);
            self.ledger.take_back_group();
            return Err(error);
        }
        // It is durable, so it is done, whatever becomes of the index: that is mended from the journal.
        self.index.take(draft.into_changes(), self.journal.end());
        Ok(planned)
    }

    fn write_audit<T>(&mut self, group: &[(T, Request)]) -> io::Result<()> {
        let events = || {
            group.iter().filter_map(|(_, request)| match request {
                Request::Audit(event) => Some(event),
                _ => None,
            })
        };
        if events().next().is_some() {
            self.audit.append(&mut self.disk, events())?;
            self.ledger.counters.audit = self.audit.head();
        }
        Ok(())
    }

    /// Brings a directory of an older format up to this one: long mailboxes get their names and shares.
    fn bring_up_format(&mut self) -> io::Result<()> {
        for number in read::long_mailboxes(&self.index)? {
            self.index.wait_for_room(self.journal.end());
            let mut plan = Plan::new(&self.index, &mut self.ledger);
            plan.count_old(number)?;
            let mut draft = plan.finish();
            self.write_journal(&mut draft)?;
            self.index.take(draft.into_changes(), self.journal.end());
        }
        layout::mark(&mut self.disk)
    }

    fn write_journal(&mut self, draft: &mut Draft) -> io::Result<()> {
        if let Some(counters) = self.ledger.changed() {
            draft.begin();
            draft.put(key::counters(), counters.encode());
        }
        if draft.is_empty() {
            return Ok(());
        }
        self.journal.append(&mut self.disk, |frame| {
            for (key, value) in draft.ops() {
                ops::write(frame, key, value);
            }
        })
    }

    /// Mends what is broken, and records how far the index has come. To be called about each second
    /// (`limits::STORE_SETTLE`).
    pub fn maintain(&mut self) -> io::Result<()> {
        self.journal.repair(&mut self.disk)?;
        if self.broken.is_none()
            && let Some(error) = self.index.failure()
        {
            self.break_index(error);
        }
        if self.broken.is_some() {
            self.mend_index()?;
        }
        if self.settled != self.journal.end() {
            self.index.freeze(self.journal.end());
        }
        self.settle()
    }

    /// Records how far the index has come.
    fn settle(&mut self) -> io::Result<()> {
        if let Some(error) = self.index.failure() {
            self.break_index(io::Error::new(error.kind(), error.to_string()));
            return Err(error);
        }
        let position = self.index.applied();
        if position != self.settled {
            self.trust(position, State::Open).write(&mut self.disk, false)?;
            self.settled = position;
        }
        Ok(())
    }

    fn trust(&self, position: Position, state: State) -> Trust {
        Trust { boot: self.boot.clone(), state, position, nonce: self.seed }
    }

    /// Opens the index anew and brings it up to the journal.
    fn mend_index(&mut self) -> io::Result<()> {
        self.rebuilds += 1;
        self.index.begin_mending();
        let layout = Layout::read(&self.disk).map_err(into_io)?;
        let layout = layout.ok_or_else(|| io::Error::other("the data directory is empty"))?;
        let mut opening = Opening {
            disk: &mut self.disk,
            index: self.index.inner(),
            boot: &self.boot,
            seed: self.seed,
            report: &mut |_| {},
        };
        let damage = self.broken.as_ref().filter(|error| error.kind() == io::ErrorKind::InvalidData);
        let remade = match damage {
            Some(damage) => opening.rebuild(&layout).map(|_| Some(damage.to_string())),
            None => opening.bring_up(&layout).map(|(_, remade)| remade),
        };
        let remade = remade.map_err(into_io)?;
        self.index.inner().flush()?;
        self.ledger = read_ledger(self.index.inner())?;
        self.trust(self.journal.end(), State::Open).write(&mut self.disk, true)?;
        self.settled = self.journal.end();
        self.index.restart(self.settled);
        self.broken = None;
        self.remade = remade.or(self.remade.take());
        Ok(())
    }

    /// Whether the index cannot be used until [`Self::maintain`] has mended it.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Why the index was made anew since this was last asked, if it was: nothing is lost by that.
    pub fn take_remade(&mut self) -> Option<String> {
        self.remade.take()
    }

    /// What last went wrong since this was last asked.
    pub fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    /// Whether the journal has become so long that a new base is worth writing.
    pub fn compaction_due(&self) -> bool {
        let bound = limits::JOURNAL_COMPACT_BYTES.max(self.base_bytes).max(self.compact_at);
        !self.compacting && self.broken.is_none() && self.journal.bytes() > bound
    }

    /// Begins a new base. It can be written in another thread while this goes on; then comes
    /// [`Self::finish_compaction`].
    pub fn begin_compaction(&mut self) -> io::Result<Compaction<D, I>> {
        if let Some(error) = &self.broken {
            return Err(io::Error::new(error.kind(), "the index is out of order"));
        }
        if self.compacting {
            return Err(io::Error::other("a base is being written already"));
        }
        // Even if it fails now, it is not tried again at once.
        self.compact_at = self.journal.bytes() + limits::JOURNAL_FILE_BYTES;
        self.journal.rotate(&mut self.disk)?;
        self.compacting = true;
        Ok(Compaction::new(self.disk.clone(), self.index.clone(), self.journal.end().generation, self.rebuilds))
    }

    /// Whether the index has come so far that a base of this generation can be put in its place without waiting.
    pub(super) fn has_settled(&self, generation: u64) -> bool {
        self.settled.generation >= generation
    }

    /// Begins to read through what is synced, to see that it is whole.
    pub fn begin_scrub(&self) -> Scrub<D> {
        Scrub::new(self.disk.clone(), self.journal.end())
    }

    /// How often the writer has had to wait for the index.
    pub fn waits(&self) -> u64 {
        self.index.waits()
    }

    /// Puts the new base in its place, and removes the journal before it.
    pub fn finish_compaction(&mut self, written: io::Result<Compacted>) -> io::Result<()> {
        self.compacting = false;
        let written = written?;
        if written.rebuilds != self.rebuilds || self.broken.is_some() {
            return Err(io::Error::other("the index was made anew while the base was written"));
        }
        // Otherwise a start would find the index behind the new base, and make it anew.
        if self.settled.generation < written.generation {
            self.index.drain(self.journal.end());
            self.settle()?;
        }
        written.install(&mut self.disk)?;
        self.base_bytes = written.bytes;
        self.compact_at = 0;
        self.journal.trim(&mut self.disk, written.generation)?;
        for name in self.disk.list()? {
            if name.starts_with("base-") && name != base::name(written.generation) {
                self.disk.remove_if_there(&name)?;
            }
        }
        Ok(())
    }

    /// Writes a new base at once.
    pub fn compact(&mut self) -> io::Result<()> {
        let written = self.begin_compaction()?.run(&mut || ControlFlow::Continue(()));
        self.finish_compaction(written)
    }

    /// Closes the store, so that the next start has nothing to replay. Without it nothing is lost.
    pub fn close(mut self) -> io::Result<()> {
        self.maintain()?;
        self.index.drain(self.journal.end());
        self.settle()?;
        self.applier = None;
        self.index.inner().close()?;
        self.trust(self.settled, State::Closed).write(&mut self.disk, true)
    }

    /// A handle for reading accounts in another thread.
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.index.clone())
    }

    /// How many accounts there are.
    pub fn account_count(&self) -> u32 {
        self.ledger.counters.accounts
    }

    /// All grants, in order of monitor and target.
    pub fn grants(&self) -> io::Result<Vec<Grant>> {
        read::grants(&self.index)
    }

    /// Visits the session of each number that has one, in order of number.
    pub fn sessions(&self, visit: &mut dyn FnMut(SessionRecord)) -> io::Result<()> {
        read::sessions(&self.index, visit)
    }

    /// Makes the audit log ready to be appended to: gives it a key if it has none, and sets it aside if it is broken. The
    /// key should be random. Gives back what was set aside now.
    pub fn guard_audit(&mut self, key: [u8; 32], now_ms: u64) -> io::Result<Option<SetAside>> {
        if let Some(error) = &self.broken {
            return Err(io::Error::new(error.kind(), "the index is out of order"));
        }
        let sealed = read::audit_seal(&self.index)?;
        self.audit.is_ready(&self.disk);
        let aside = self.audit.broken().map(|broken| SetAside {
            time_ms: now_ms,
            name: audit::aside_name(now_ms, &self.disk.list().unwrap_or_default()).into(),
            fault: broken.to_string().into(),
        });
        // A crash may have left lines that the journal does not know of.
        let known = self.audit.head() == self.ledger.counters.audit;
        if sealed.is_some() && aside.is_none() && known {
            return Ok(None);
        }
        let mut seal = sealed.unwrap_or_else(|| AuditSeal::new(key, self.audit.head().seq));
        self.ledger.begin_group();
        let guarded = self.set_audit_aside(&mut seal, aside.as_ref(), now_ms);
        if guarded.is_err() {
            self.ledger.take_back_group();
        }
        guarded.map(|()| aside)
    }

    fn set_audit_aside(&mut self, seal: &mut AuditSeal, aside: Option<&SetAside>, now_ms: u64) -> io::Result<()> {
        if let Some(aside) = aside {
            self.audit.set_aside(&mut self.disk, &aside.name)?;
            seal.set_aside(aside.clone());
            self.audit.set_seal(seal.clone());
            let detail = format!("the log before this one is {}: {}", aside.name, aside.fault);
            let event = AuditEvent { time_ms: now_ms, action: AuditAction::Broken, monitor: 0, target: 0, detail };
            self.audit.append(&mut self.disk, std::iter::once(&event))?;
        }
        self.ledger.counters.audit = self.audit.head();
        self.audit.set_seal(seal.clone());
        let mut draft = Draft::default();
        draft.put(key::audit_seal(), seal.encode());
        self.write_journal(&mut draft)?;
        self.index.take(draft.into_changes(), self.journal.end());
        Ok(())
    }

    /// What was found wrong with the audit log since this was last asked.
    pub fn take_audit_alarm(&mut self) -> Option<AuditBreak> {
        self.audit.take_alarm()
    }

    /// The end of the audit log.
    pub fn audit_head(&self) -> AuditHead {
        self.audit.head()
    }

    /// Deletes keys, as if they had never been.
    #[cfg(test)]
    pub(super) fn forget_keys(&mut self, keys: &[Vec<u8>]) {
        let mut draft = Draft::default();
        keys.iter().filter_map(|key| key::Key::read(key)).for_each(|key| draft.delete(key));
        self.ledger.begin_group();
        self.write_journal(&mut draft).expect("the disk works");
        self.index.take(draft.into_changes(), self.journal.end());
    }

    /// The next account gets this number.
    #[cfg(test)]
    pub(super) fn set_next_number(&mut self, number: u32) {
        self.ledger.counters.next_number = number;
    }

    /// The disk, to make it fail in tests and simulations.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The index, to make it fail in tests and simulations. It may lack what is in memory only.
    pub fn index(&self) -> &I {
        self.index.inner()
    }

    /// How many messages a mailbox holds, those included that were given to somebody hidden.
    #[cfg(test)]
    pub fn mailbox_len(&self, number: u32) -> io::Result<usize> {
        let (mut messages, range) = (0, key::mail_from(number, 0));
        self.index.scan(&range.start..&range.end, &mut |_, _| {
            messages += 1;
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(messages)
    }

    /// All that the store holds: the index, and what it does not have yet.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn behind(&self) -> &Behind<I> {
        &self.index
    }
}

/// The messages with an id that a request adds: to whom, which, and their names.
fn named_mail(request: &Request) -> impl Iterator<Item = (u32, &Mail, (u32, u64))> {
    let changes: &[Change] = if let Request::Commit(changes) = request { changes } else { &[] };
    changes.iter().filter_map(|change| match change {
        Change::AddMail(to, mail) => Some((*to, mail, mail.head().name()?)),
        _ => None,
    })
}

/// Whether a request adds a message that must wait for an older one which failed.
fn overtakes(stalled: &mut Stalled, request: &Request) -> bool {
    named_mail(request).any(|(to, mail, (from, id))| stalled.holds_up(mail.time_ms, to, from, id))
}

fn plan_request<I: Lookup>(plan: &mut Plan<'_, I>, request: &Request, audit_ready: bool) -> io::Result<Planned> {
    let planned = match request {
        Request::Register(account) => plan.register(account).map(Answer::Registered),
        Request::RegisterInvited(account, hash) => plan.register_invited(account, hash).map(Answer::Registered),
        Request::Commit(changes) => {
            plan.commit(changes).map(|places| if places.is_empty() { Answer::Done } else { Answer::Mailed(places) })
        }
        Request::Audit(_) if !audit_ready => Err(Stop::Refused(Refusal::AuditBroken)),
        Request::Audit(AuditEvent { .. }) => return Ok(Planned::Audit),
        Request::User(_)
        | Request::Account(_)
        | Request::View { .. }
        | Request::Refuses { .. }
        | Request::ListedBy(_)
        | Request::Cards(_)
        | Request::Mail(_)
        | Request::MailAfter(..)
        | Request::Asked { .. }
        | Request::Token { .. }
        | Request::Session(_)
        | Request::Invite { .. }
        | Request::Grant { .. } => return Ok(Planned::Read),
    };
    match planned {
        Ok(answer) => Ok(Planned::Answer(answer)),
        Err(Stop::Refused(refusal)) => Ok(Planned::Answer(Answer::Refused(refusal))),
        Err(Stop::Failed(error)) => Err(error),
    }
}

fn into_io(error: OpenError) -> io::Error {
    match error {
        OpenError::Io { doing, error } => io::Error::new(error.kind(), format!("cannot {doing}: {error}")),
        other => io::Error::other(other.to_string()),
    }
}
