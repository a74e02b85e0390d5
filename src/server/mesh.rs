//! The queues between the shards, and from the helper threads to them.
//!
//! Between two shards there is one bounded queue a direction, and it carries batches: one push and at most one wake for
//! all that a turn of the loop has for another shard. What does not fit stays with the sender, in order, and nothing is
//! ever dropped.

use super::sys::EventFd;
use crate::limits::{INBOX_BATCHES, PEER_BATCH, SHARDS};
use crate::server::figures::Report;
use crate::shard::{Control, Endpoint, PasswordOutcome, Peer, Presence, Ticket};
use crate::store::{Answer, Card};
use crossbeam::channel;
use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// What crosses from one thread to a shard.
pub enum Message {
    /// For a user of that shard.
    Peer {
        /// For whom.
        to: u32,
        /// What.
        message: Peer,
    },
    /// A frame of a user of that shard that came in here.
    Frame {
        /// Who sent it.
        from: Endpoint,
        /// The frame.
        bytes: Box<[u8]>,
    },
    /// The connection by which a user of that shard had asked to sign in has ended.
    StreamClosed {
        /// The connection.
        from: Endpoint,
        /// Who had asked.
        number: u32,
    },
    /// A frame for a connection of that shard.
    StreamSend {
        /// The connection.
        to: Endpoint,
        /// The frame.
        bytes: Box<[u8]>,
    },
    /// A connection of that shard is to be closed after what was sent.
    StreamClose(Endpoint),
    /// Do not read a connection for now, or read it again.
    StreamStall {
        /// Which.
        at: Endpoint,
        /// Whether it is not read.
        stalled: bool,
    },
    /// The rules of a user want to know when a connection of that shard has taken everything.
    StreamFlush {
        /// The connection.
        to: Endpoint,
        /// For whom.
        number: u32,
    },
    /// A connection has taken everything.
    StreamFlushed {
        /// The connection.
        from: Endpoint,
        /// Who wanted to know.
        number: u32,
    },
    /// The store has answered.
    Stored(Ticket, Answer),
    /// The password pool has answered.
    Password(Ticket, PasswordOutcome),
    /// The search thread has answered.
    Searched(Ticket, Option<Vec<Card>>),
    /// The operator wants something.
    Control(Control),
    /// The operator wants to know how it goes.
    Report(channel::Sender<Report>),
    /// The operator tells everyone online; the answer is how many of that shard were told.
    Announce(Box<str>, channel::Sender<u64>),
    /// The operator asks how a user of that shard is signed in.
    Presence(u32, channel::Sender<Option<Presence>>),
    /// The server ends: take nothing more from outside.
    Stop,
    /// It has ended: all that was taken is with the store.
    End(channel::Sender<()>),
}

/// What is pushed at once.
pub type Batch = Vec<Message>;

/// All queues of a server.
pub struct Mesh {
    inboxes: Box<[Inbox]>,
    stopped: AtomicBool,
}

/// What waits for one shard.
struct Inbox {
    /// One queue for each shard that sends, and a last one for the helper threads.
    lanes: Box<[ArrayQueue<Batch>]>,
    bell: CachePadded<Doorbell>,
}

/// How one shard is woken. It sleeps in one of two ways, and only a sleeper is woken, once.
struct Doorbell {
    asleep: AtomicU8,
    event: EventFd,
    waker: Mutex<Option<Waker>>,
}

const AWAKE: u8 = 0;
/// In `ppoll`: the event is rung.
const IN_POLL: u8 = 1;
/// In the executor: the task is woken.
const IN_RING: u8 = 2;

impl Doorbell {
    fn ring(&self) {
        // Orders the push before the look at `asleep`; the sleeper orders them the other way round.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) == AWAKE {
            return;
        }
        match self.asleep.swap(AWAKE, Ordering::AcqRel) {
            IN_POLL => self.event.ring(),
            IN_RING => {
                let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            _ => {}
        }
    }
}

impl Mesh {
    /// Queues between so many shards.
    pub fn new(shards: usize) -> io::Result<Arc<Self>> {
        assert!((1..=SHARDS).contains(&shards), "the arguments allow no other number of shards");
        // All that wait for one shard together are INBOX_BATCHES, however many send.
        let lane = (INBOX_BATCHES / (shards + 1)).max(8);
        let inbox = |_| {
            let bell = Doorbell { asleep: AtomicU8::new(AWAKE), event: EventFd::new()?, waker: Mutex::new(None) };
            Ok(Inbox { lanes: (0..=shards).map(|_| ArrayQueue::new(lane)).collect(), bell: CachePadded::new(bell) })
        };
        let inboxes = (0..shards).map(inbox).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self { inboxes, stopped: AtomicBool::new(false) }))
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }

    /// Which shard does the rules of this user.
    #[inline]
    pub fn owner(&self, number: u32) -> usize {
        number as usize % self.inboxes.len()
    }

    /// Hands a batch of a helper thread to a shard. Waits while the shard has too much: shards never wait for helpers.
    pub fn post(&self, shard: usize, batch: Batch) {
        let inbox = &self.inboxes[shard];
        let mut batch = batch;
        while let Err(refused) = inbox.lanes[self.shards()].push(batch) {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            batch = refused;
            std::thread::sleep(Duration::from_millis(1));
        }
        inbox.bell.ring();
    }

    /// Gives a message to every shard.
    pub fn post_all(&self, message: impl Fn() -> Message) {
        for shard in 0..self.shards() {
            self.post(shard, vec![message()]);
        }
    }

    /// How many batches wait for any shard.
    pub fn depth(&self) -> usize {
        self.inboxes.iter().flat_map(|inbox| &inbox.lanes).map(ArrayQueue::len).sum()
    }

    /// From now on nobody waits for a shard: they have stopped.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// One shard's place in the mesh.
pub struct Port {
    mesh: Arc<Mesh>,
    me: usize,
    /// For each shard the batch that is being filled, and those that its queue did not take.
    open: Vec<Batch>,
    refused: Vec<VecDeque<Batch>>,
    /// Shards for which `open` holds something.
    dirty: Vec<usize>,
    waiting: usize,
    /// The lane whose turn it is.
    next: usize,
    /// Emptied batches: what comes in is what goes out again.
    spare: Vec<Batch>,
}

/// Emptied batches that are kept for reuse.
const SPARE: usize = 64;

impl Port {
    /// The place of shard `me`.
    pub fn new(mesh: Arc<Mesh>, me: usize) -> Self {
        let shards = mesh.shards();
        Self {
            me,
            open: (0..shards).map(|_| Vec::new()).collect(),
            refused: (0..shards).map(|_| VecDeque::new()).collect(),
            dirty: Vec::with_capacity(shards),
            waiting: 0,
            next: 0,
            spare: Vec::with_capacity(SPARE),
            mesh,
        }
    }

    /// Which shard this is.
    pub fn index(&self) -> usize {
        self.me
    }

    /// Which shard does the rules of this user.
    #[inline]
    pub fn owner(&self, number: u32) -> usize {
        self.mesh.owner(number)
    }

    /// Adds a message for another shard; [`flush`](Self::flush) sends it.
    #[inline]
    pub fn send(&mut self, to: usize, message: Message) {
        debug_assert_ne!(to, self.me, "what is for this shard never leaves it");
        let open = &mut self.open[to];
        if open.is_empty() {
            self.dirty.push(to);
            if open.capacity() == 0 {
                *open = self.spare.pop().unwrap_or_default();
            }
        }
        open.push(message);
        if open.len() >= PEER_BATCH {
            self.seal(to);
        }
    }

    /// Sends all that is waiting, as far as the queues take it, with at most one wake for each shard.
    pub fn flush(&mut self) {
        if self.waiting > 0 {
            self.retry();
        }
        while let Some(to) = self.dirty.pop() {
            // Behind a refused batch the open one goes on filling, so that a short queue carries full batches.
            if self.refused[to].is_empty() && !self.open[to].is_empty() {
                self.seal(to);
            }
            self.mesh.inboxes[to].bell.ring();
        }
    }

    /// Batches that other shards did not take. While there are any the shard takes nothing in from outside.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// A batch for this shard: from a helper if there is one, else from the other shards in turn; from helpers alone if
    /// the shard has no room for what others want of it.
    pub fn receive(&mut self, helpers_only: bool) -> Option<Batch> {
        let (helpers, others) = self.mesh.inboxes[self.me].lanes.split_last().expect("helpers have a lane");
        if let Some(batch) = helpers.pop() {
            return Some(batch);
        }
        if helpers_only {
            return None;
        }
        let (before, after) = others.split_at(self.next);
        let found = after.iter().chain(before).position(|lane| !lane.is_empty())?;
        let lane = (self.next + found) % others.len();
        self.next = (lane + 1) % others.len();
        others[lane].pop()
    }

    /// Gives an emptied batch back for reuse.
    pub fn recycle(&mut self, batch: Batch) {
        debug_assert!(batch.is_empty(), "all of it was handled");
        if self.spare.len() < SPARE && batch.capacity() <= 2 * PEER_BATCH {
            self.spare.push(batch);
        }
    }

    /// How many batches wait for this shard.
    pub fn depth(&self) -> usize {
        self.mesh.inboxes[self.me].lanes.iter().map(ArrayQueue::len).sum()
    }

    /// From now on a message rings the event; `false` if one is there already, and the shard must not sleep.
    /// See [`receive`](Self::receive) for `helpers_only`.
    pub fn sleep_in_poll(&self, helpers_only: bool) -> bool {
        self.sleep(IN_POLL, helpers_only)
    }

    /// From now on a message wakes this task; `false` if one is there already, and the task must not sleep.
    pub fn sleep_in_ring(&self, waker: &Waker) -> bool {
        *self.bell().waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.sleep(IN_RING, false)
    }

    /// The shard is awake again.
    pub fn awake(&self) {
        if self.bell().asleep.load(Ordering::Relaxed) != AWAKE {
            self.bell().asleep.store(AWAKE, Ordering::Relaxed);
        }
    }

    /// The event is quiet again.
    pub fn clear_event(&self) {
        self.bell().event.clear();
    }

    /// What becomes readable when the shard sleeps in `ppoll` and is rung for.
    pub fn event(&self) -> RawFd {
        self.bell().event.as_raw_fd()
    }

    fn bell(&self) -> &Doorbell {
        &self.mesh.inboxes[self.me].bell
    }

    fn sleep(&self, how: u8, helpers_only: bool) -> bool {
        self.bell().asleep.store(how, Ordering::Relaxed);
        // Orders `asleep` before the look at the queues; see `ring`.
        fence(Ordering::SeqCst);
        let lanes = &self.mesh.inboxes[self.me].lanes;
        let heard = if helpers_only { &lanes[lanes.len() - 1..] } else { lanes };
        let quiet = heard.iter().all(ArrayQueue::is_empty);
        if !quiet {
            self.awake();
        }
        quiet
    }

    /// Closes the open batch and pushes it, or puts it behind those that were refused.
    fn seal(&mut self, to: usize) {
        let next = self.spare.pop().unwrap_or_default();
        let batch = std::mem::replace(&mut self.open[to], next);
        if self.refused[to].is_empty() {
            match self.mesh.inboxes[to].lanes[self.me].push(batch) {
                Ok(()) => return,
                Err(batch) => self.refused[to].push_back(batch),
            }
        } else {
            self.refused[to].push_back(batch);
        }
        self.waiting += 1;
    }

    fn retry(&mut self) {
        for to in 0..self.refused.len() {
            let mut pushed = false;
            while let Some(batch) = self.refused[to].pop_front() {
                if let Err(batch) = self.mesh.inboxes[to].lanes[self.me].push(batch) {
                    self.refused[to].push_front(batch);
                    break;
                }
                self.waiting -= 1;
                pushed = true;
            }
            if pushed {
                self.mesh.inboxes[to].bell.ring();
            }
            if self.refused[to].is_empty() && !self.open[to].is_empty() && !self.dirty.contains(&to) {
                self.dirty.push(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(number: u32) -> Message {
        let from = Endpoint::stream("127.0.0.1:1".parse().expect("an address"), 0);
        Message::StreamClosed { from, number }
    }

    fn take(port: &mut Port, seen: &mut Vec<u32>) {
        while let Some(mut batch) = port.receive(false) {
            for message in batch.drain(..) {
                let Message::StreamClosed { number, .. } = message else { panic!("only these were sent") };
                seen.push(number);
            }
            port.recycle(batch);
        }
    }

    #[test]
    fn a_full_queue_keeps_everything_in_order() {
        let mesh = Mesh::new(2).expect("a mesh");
        let (mut here, mut there) = (Port::new(Arc::clone(&mesh), 0), Port::new(mesh, 1));
        let total = 400_000;
        for number in 0..total {
            here.send(1, closed(number));
            if number % 7 == 0 {
                here.flush();
            }
        }
        assert!(here.waiting() > 0, "more was sent than the queue holds");
        let mut seen = Vec::new();
        while seen.len() < total as usize {
            let before = seen.len();
            take(&mut there, &mut seen);
            here.flush();
            assert!(seen.len() > before || there.depth() > 0, "it goes on");
        }
        assert_eq!(here.waiting(), 0);
        assert!(seen.iter().copied().eq(0..total), "in order, each once");
    }

    #[test]
    fn a_sleeper_is_woken_once_and_never_missed() {
        let mesh = Mesh::new(2).expect("a mesh");
        let mut there = Port::new(Arc::clone(&mesh), 1);
        let sender = std::thread::spawn(move || {
            let mut here = Port::new(mesh, 0);
            for number in 0..20_000 {
                here.send(1, closed(number));
                here.flush();
                while here.waiting() > 0 {
                    std::thread::yield_now();
                    here.flush();
                }
                if number % 64 == 0 {
                    std::thread::sleep(Duration::from_micros(50));
                }
            }
        });
        let mut poller = super::super::sys::Poller::new([there.event()].into_iter());
        let mut seen = Vec::new();
        while seen.len() < 20_000 {
            take(&mut there, &mut seen);
            if there.sleep_in_poll(false) && seen.len() < 20_000 {
                assert!(poller.wait(Some(Duration::from_secs(10))), "woken after {} of 20000", seen.len());
                there.clear_event();
            }
            there.awake();
        }
        sender.join().expect("the sender has ended well");
        assert!(seen.iter().copied().eq(0..20_000));
    }
}
