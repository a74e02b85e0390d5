//! The store's thread: gathers requests into groups, hands out answers, and looks after the store between groups.

use super::base::Compacted;
use super::disk::Disk;
use super::index::Index;
use super::{Answer, AuditBreak, OpenError, Request, Store};
use crate::limits;
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Pause after each block of a base, so that it takes a small part of a core and of the disk.
const BLOCK_PAUSE: Duration = Duration::from_micros(500);

/// What the operator should know.
#[derive(Debug)]
pub enum StoreEvent {
    /// Something failed: requests are answered as failed until it works again.
    Fault(io::Error),
    /// The audit log was changed by somebody else: nothing is appended to it until it is set aside.
    AuditBroken(AuditBreak),
    /// The index could not be used and was made anew from the journal; nothing is lost.
    Remade(String),
    /// Journal or base are damaged, and the index is not: a new base is written from that.
    Damaged(OpenError),
    /// A new base was written, and the journal before it removed.
    Compacted,
    /// No new base could be written; the journal grows on, and it is tried again later.
    NotCompacted(io::Error),
}

/// Starts the store's thread. It ends, with the store closed, once all senders of `requests` are gone and all that they
/// sent is answered. `sink` gets the answers of each group, in order, and takes them out. If the thread panics, joining
/// it says so; the process must then end.
#[allow(clippy::disallowed_methods, reason = "the store's thread looks after the store when it has been idle")]
pub fn spawn<T, D, I>(
    store: Store<D, I>,
    requests: Receiver<(T, Request)>,
    sink: impl FnMut(&mut Vec<(T, Answer)>) + Send + 'static,
    report: impl FnMut(StoreEvent) + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>>
where
    T: Send + 'static,
    D: Disk,
    I: Index,
{
    let runner = Runner {
        store,
        sink,
        report,
        compaction: None,
        scrubbing: None,
        scrub_at: Instant::now(),
        heal: false,
        maintained: Instant::now(),
        mended: false,
    };
    Builder::new().name("store".into()).spawn(move || runner.run(&requests))
}

/// A base that is being written by its own thread.
struct Compacting {
    generation: u64,
    written: Receiver<io::Result<Compacted>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Journal and base are being read through by a thread of their own.
struct Scrubbing {
    found: Receiver<Option<OpenError>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Runner<D, I, S, R> {
    store: Store<D, I>,
    sink: S,
    report: R,
    compaction: Option<Compacting>,
    scrubbing: Option<Scrubbing>,
    /// Not before this.
    scrub_at: Instant,
    /// A new base must be written, for what there is on disk is damaged.
    heal: bool,
    maintained: Instant,
    /// The last time it was because something had failed.
    mended: bool,
}

#[allow(clippy::disallowed_methods, reason = "the store's thread looks after the store when it has been idle")]
impl<D: Disk, I: Index, S, R: FnMut(StoreEvent)> Runner<D, I, S, R> {
    fn run<T>(mut self, requests: &Receiver<(T, Request)>) -> io::Result<()>
    where
        S: FnMut(&mut Vec<(T, Answer)>),
    {
        let mut group = Vec::with_capacity(limits::COMMIT_GROUP);
        let mut answers = Vec::with_capacity(limits::COMMIT_GROUP);
        loop {
            match requests.recv_timeout(limits::STORE_SETTLE.saturating_sub(self.maintained.elapsed())) {
                Ok(first) => {
                    group.push(first);
                    group.extend(requests.try_iter().take(limits::COMMIT_GROUP - 1));
                    self.store.process(&mut group, &mut answers);
                    (self.sink)(&mut answers);
                    answers.clear();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let due = self.maintained.elapsed() >= limits::STORE_SETTLE;
            // What fails is mended at once; if that does not help, not before a second.
            let broken = self.store.is_broken() && !self.mended;
            if due || broken {
                self.mended = broken;
                self.maintain();
            }
        }
        self.stop_compaction();
        self.stop_scrub();
        self.store.close()
    }

    fn maintain(&mut self) {
        self.end_compaction();
        if let Err(error) = self.store.maintain() {
            (self.report)(StoreEvent::Fault(error));
        }
        if let Some(broken) = self.store.take_audit_alarm() {
            (self.report)(StoreEvent::AuditBroken(broken));
        }
        if let Some(error) = self.store.take_fault() {
            (self.report)(StoreEvent::Fault(error));
        }
        if let Some(why) = self.store.take_remade() {
            (self.report)(StoreEvent::Remade(why));
        }
        self.scrub();
        let heal = self.heal && self.compaction.is_none() && !self.store.is_broken();
        if (heal || self.store.compaction_due())
            && let Err(error) = self.start_compaction()
        {
            (self.report)(StoreEvent::NotCompacted(error));
        }
        self.maintained = Instant::now();
    }

    fn start_compaction(&mut self) -> io::Result<()> {
        let compaction = self.store.begin_compaction()?;
        let generation = compaction.generation();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, written) = bounded(1);
        let stopped = Arc::clone(&stop);
        let thread = Builder::new().name("store-base".into()).spawn(move || {
            let result = compaction.run(&mut || {
                sleep(BLOCK_PAUSE);
                if stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            // Nobody waits for it if the store has stopped meanwhile.
            let _ = sender.send(result);
        });
        match thread {
            Ok(thread) => self.compaction = Some(Compacting { generation, written, stop, thread }),
            Err(error) => return self.store.finish_compaction(Err(error)),
        }
        Ok(())
    }

    /// Takes over the base if it is written, and the index is far enough.
    fn end_compaction(&mut self) {
        let store = &self.store;
        let ready = |base: &mut Compacting| base.thread.is_finished() && store.has_settled(base.generation);
        let Some(compaction) = self.compaction.take_if(ready) else { return };
        let written = compaction.written.try_recv().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")));
        (self.report)(match self.store.finish_compaction(written) {
            Ok(()) => {
                self.heal = false;
                StoreEvent::Compacted
            }
            Err(error) => StoreEvent::NotCompacted(error),
        });
    }

    /// Takes over what was found, and begins anew after a while.
    fn scrub(&mut self) {
        if let Some(done) = self.scrubbing.take_if(|scrubbing| scrubbing.thread.is_finished()) {
            self.scrub_at = Instant::now() + limits::SCRUB_PAUSE;
            if let Ok(Some(damage)) = done.found.try_recv() {
                self.heal = true;
                (self.report)(StoreEvent::Damaged(damage));
            }
        }
        if self.scrubbing.is_none() && Instant::now() >= self.scrub_at {
            let (scrub, stop) = (self.store.begin_scrub(), Arc::new(AtomicBool::new(false)));
            let (sender, found) = bounded(1);
            let stopped = Arc::clone(&stop);
            let thread = Builder::new().name("store-scrub".into()).spawn(move || {
                let mut read = 0;
                let damage = scrub.run(&mut |bytes| {
                    read += bytes;
                    if read >= limits::SCRUB_STEP_BYTES {
                        sleep(Duration::from_micros(read * 1_000_000 / limits::SCRUB_BYTES_PER_SECOND));
                        read = 0;
                    }
                    if stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                // Nobody waits for it if the store has stopped meanwhile.
                let _ = sender.send(damage);
            });
            // Without a thread it is tried again: it is not urgent.
            self.scrubbing = thread.ok().map(|thread| Scrubbing { found, stop, thread });
        }
    }

    fn stop_scrub(&mut self) {
        if let Some(scrubbing) = self.scrubbing.take() {
            scrubbing.stop.store(true, Ordering::Relaxed);
            // It reads, and leaves nothing behind.
            let _ = scrubbing.thread.join();
        }
    }

    fn stop_compaction(&mut self) {
        if let Some(compaction) = &self.compaction {
            compaction.stop.store(true, Ordering::Relaxed);
        }
        if let Some(compaction) = self.compaction.take() {
            // A base that was broken off is removed by its thread, and is not missed.
            let _ = compaction.thread.join();
        }
    }
}
