//! The search thread: searches take turns in short slices, at the lowest priority.

use super::mesh::{Mesh, Message};
use super::sys;
use crate::limits::{SEARCH_SLICE, SEARCHES};
use crate::shard::search::Scan;
use crate::shard::{Board, SearchJob, Ticket};
use crate::store::{AccountView, Accounts};
use crossbeam::channel::{Receiver, Sender, TryRecvError, unbounded};
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
    /// Not bounded by itself: there are at most `SEARCHES` beginnings in it, and one cancellation for each.
    sender: Sender<Order>,
    /// Searches that wait or run.
    open: Arc<AtomicUsize>,
}

enum Order {
    Begin(usize, SearchJob),
    Cancel(usize, Ticket),
}

struct Running {
    shard: usize,
    ticket: Ticket,
    scan: Scan,
}

/// The searches that run. Each has a slice in its turn; an account has one search at a time, so none has more than another.
#[derive(Default)]
struct Turns(VecDeque<Running>);

impl Turns {
    /// Takes an order, and gives back how many searches ended by it.
    fn take(&mut self, order: Order) -> usize {
        let before = self.0.len();
        match order {
            Order::Begin(shard, SearchJob { ticket, query, viewer }) => {
                self.0.push_back(Running { shard, ticket, scan: Scan::of(query, viewer) });
            }
            Order::Cancel(shard, ticket) => self.0.retain(|one| (one.shard, one.ticket) != (shard, ticket)),
        }
        before.saturating_sub(self.0.len())
    }
}

impl Searches {
    /// Starts the thread.
    pub fn spawn(accounts: Accounts, board: Arc<Board>, mesh: Arc<Mesh>) -> io::Result<Self> {
        let (sender, receiver) = unbounded();
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        std::thread::Builder::new().name("search".into()).spawn(move || {
            sys::be_nice(NICE);
            work(&receiver, &count, &accounts, &board, |done| {
                mesh.post(done.shard, vec![Message::Searched(done.ticket, Some(done.scan.finish()))]);
            });
        })?;
        Ok(Self { sender, open })
    }

    /// Hands in a search; `false` if there are too many.
    pub fn submit(&self, shard: usize, job: SearchJob) -> bool {
        if self.open.fetch_add(1, Ordering::Relaxed) < SEARCHES && self.sender.send(Order::Begin(shard, job)).is_ok() {
            return true;
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Stops a search that this shard has handed in, unless it has ended. It is not answered.
    pub fn cancel(&self, shard: usize, ticket: Ticket) {
        // Without the thread there is nothing to stop.
        let _ = self.sender.send(Order::Cancel(shard, ticket));
    }

    /// How many wait or run.
    pub fn depth(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

fn work(
    orders: &Receiver<Order>,
    open: &AtomicUsize,
    accounts: &Accounts,
    board: &Board,
    mut done: impl FnMut(Running),
) {
    let mut turns = Turns::default();
    loop {
        let order =
            if turns.0.is_empty() { orders.recv().map_err(|_| TryRecvError::Disconnected) } else { orders.try_recv() };
        match order {
            Ok(order) => {
                open.fetch_sub(turns.take(order), Ordering::Relaxed);
                continue;
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        let Some(mut next) = turns.0.pop_front() else { continue };
        match slice(&mut next.scan, accounts, board) {
            Ok(false) => {
                turns.0.push_back(next);
                continue;
            }
            Ok(true) => {}
            Err(error) => {
                tracing::error!(%error, "a search could not read the accounts; what it found so far is shown");
            }
        }
        open.fetch_sub(1, Ordering::Relaxed);
        done(next);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::search::{Viewer, parse};

    #[test]
    fn a_cancelled_search_has_no_more_turns() {
        let mut turns = Turns::default();
        let query = || parse("age = 20").expect("a query");
        let viewer = || Viewer::new(10_000, &[], Vec::new());
        let job = |ticket| SearchJob { ticket: Ticket(ticket), query: query(), viewer: viewer() };
        for (shard, ticket) in [(0, 1), (1, 1), (0, 2)] {
            assert_eq!(turns.take(Order::Begin(shard, job(ticket))), 0);
        }
        assert_eq!(turns.take(Order::Cancel(0, Ticket(1))), 1, "the ticket of this shard alone");
        assert_eq!(turns.take(Order::Cancel(0, Ticket(1))), 0, "it has ended");
        let left: Vec<_> = turns.0.iter().map(|one| (one.shard, one.ticket.0)).collect();
        assert_eq!(left, [(1, 1), (0, 2)]);
    }
}
