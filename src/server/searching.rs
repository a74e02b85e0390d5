//! The search thread: searches take turns in short slices, at the lowest priority.

use super::mesh::{Mesh, Message};
use super::sys;
use crate::limits::{SEARCH_SLICE, SEARCHES};
use crate::shard::search::Scan;
use crate::shard::{Board, SearchJob, Ticket};
use crate::store::{AccountView, Accounts};
use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Whatever else there is goes first.
const NICE: i32 = 19;
/// Accounts between two looks at the clock: a few microseconds' worth.
const STRIDE: u32 = 32;

/// Where shards hand in searches.
#[derive(Clone)]
pub struct Searches {
    sender: Sender<(usize, SearchJob)>,
    /// Searches that wait or run.
    open: Arc<AtomicUsize>,
}

struct Running {
    shard: usize,
    ticket: Ticket,
    scan: Scan,
}

impl Searches {
    /// Starts the thread.
    pub fn spawn(accounts: Accounts, board: Arc<Board>, mesh: Arc<Mesh>) -> io::Result<Self> {
        let (sender, receiver) = bounded(SEARCHES);
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        std::thread::Builder::new().name("search".into()).spawn(move || {
            sys::be_nice(NICE);
            work(&receiver, &accounts, &board, |done| {
                count.fetch_sub(1, Ordering::Relaxed);
                mesh.post(done.shard, vec![Message::Searched(done.ticket, Some(done.scan.finish()))]);
            });
        })?;
        Ok(Self { sender, open })
    }

    /// Hands in a search; `false` if there are too many.
    pub fn submit(&self, shard: usize, job: SearchJob) -> bool {
        if self.open.fetch_add(1, Ordering::Relaxed) < SEARCHES && self.sender.try_send((shard, job)).is_ok() {
            return true;
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// How many wait or run.
    pub fn depth(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

fn work(jobs: &Receiver<(usize, SearchJob)>, accounts: &Accounts, board: &Board, mut done: impl FnMut(Running)) {
    let mut running = VecDeque::new();
    loop {
        let new =
            if running.is_empty() { jobs.recv().map_err(|_| TryRecvError::Disconnected) } else { jobs.try_recv() };
        match new {
            Ok((shard, SearchJob { ticket, query })) => {
                running.push_back(Running { shard, ticket, scan: Scan::new(query) });
                continue;
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        let Some(mut next) = running.pop_front() else { continue };
        match slice(&mut next.scan, accounts, board) {
            Ok(false) => running.push_back(next),
            Ok(true) => done(next),
            Err(error) => {
                tracing::error!(%error, "a search could not read the accounts; what it found so far is shown");
                done(next);
            }
        }
    }
}

/// Runs a search for a slice of time; says whether it has ended.
fn slice(scan: &mut Scan, accounts: &Accounts, board: &Board) -> io::Result<bool> {
    let (range, descending) = (scan.remaining(), scan.query().descending());
    if range.is_empty() {
        return Ok(true);
    }
    let began = Instant::now();
    let mut seen = 0_u32;
    let mut rest = false;
    let mut visit = |number: u32, record: &[u8]| {
        if !range.contains(&number) {
            return ControlFlow::Break(());
        }
        // A record that cannot be read is the store's to complain about.
        if let Ok(account) = AccountView::decode(record) {
            scan.offer(number, &account, board.get(number))?;
        }
        seen += 1;
        rest = seen.is_multiple_of(STRIDE) && began.elapsed() >= SEARCH_SLICE / 2;
        if rest { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    if descending {
        accounts.scan_down(range.end().saturating_add(1), &mut visit)?;
    } else {
        accounts.scan(*range.start(), &mut visit)?;
    }
    Ok(!rest)
}
