//! The queue to the store's thread, and the way back of its answers.

use super::mesh::{Batch, Mesh, Message};
use crate::limits::{STORE_QUEUE, STORE_QUEUE_BYTES};
use crate::shard::Ticket;
use crate::store::{Answer, Change, Request};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Who wants the answer.
pub enum Reply {
    /// A shard, under this ticket.
    Shard(usize, Ticket),
    /// An ordinary thread.
    Thread(Sender<Answer>),
}

/// What comes back with an answer: who wants it, and how many bytes the question held.
pub type Tag = (Reply, usize);

/// Where requests are handed in. The store ends once all of these are gone.
#[derive(Clone)]
pub struct Storage {
    queue: Sender<(Tag, Request)>,
    load: Arc<Load>,
}

/// What was handed in and is not answered.
#[derive(Default)]
struct Load {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

impl Load {
    fn add(&self, bytes: usize) {
        self.requests.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.requests.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Storage {
    /// A queue, and its end for the store's thread.
    pub fn new() -> (Self, Receiver<(Tag, Request)>) {
        let (queue, receiver) = bounded(STORE_QUEUE);
        (Self { queue, load: Arc::default() }, receiver)
    }

    /// Adds a request; gives it back if too much waits already.
    pub fn push(&self, reply: Reply, request: Request) -> Result<(), Request> {
        if self.load.bytes.load(Relaxed) > STORE_QUEUE_BYTES {
            return Err(request);
        }
        let bytes = weight(&request);
        self.load.add(bytes);
        self.queue.try_send(((reply, bytes), request)).map_err(|error| {
            self.load.remove(bytes);
            match error {
                TrySendError::Full((_, request)) | TrySendError::Disconnected((_, request)) => request,
            }
        })
    }

    /// Asks from an ordinary thread, and waits for the answer; `None` if the store has ended.
    pub fn ask(&self, request: Request) -> Option<Answer> {
        let (sender, receiver) = bounded(1);
        let bytes = weight(&request);
        self.load.add(bytes);
        if self.queue.send(((Reply::Thread(sender), bytes), request)).is_err() {
            self.load.remove(bytes);
            return None;
        }
        receiver.recv().ok()
    }

    /// How many requests wait.
    pub fn depth(&self) -> usize {
        self.queue.len()
    }

    /// How many requests have not been answered.
    pub fn in_flight(&self) -> usize {
        self.load.requests.load(Relaxed)
    }

    /// Hands answers to those who asked: to a shard all of a group at once.
    pub fn deliver(&self, mesh: Arc<Mesh>) -> impl FnMut(&mut Vec<(Tag, Answer)>) + use<> {
        let load = Arc::clone(&self.load);
        let mut batches: Vec<Batch> = (0..mesh.shards()).map(|_| Vec::new()).collect();
        move |answers| {
            let (mut done, mut bytes) = (0, 0);
            for ((reply, weight), answer) in answers.drain(..) {
                (done, bytes) = (done + 1, bytes + weight);
                match reply {
                    Reply::Shard(shard, ticket) => batches[shard].push(Message::Stored(ticket, answer)),
                    // Whoever asked may have given up.
                    Reply::Thread(sender) => drop(sender.send(answer)),
                }
            }
            for (shard, batch) in batches.iter_mut().enumerate().filter(|(_, batch)| !batch.is_empty()) {
                mesh.post(shard, std::mem::take(batch));
            }
            load.requests.fetch_sub(done, Relaxed);
            load.bytes.fetch_sub(bytes, Relaxed);
        }
    }
}

/// The bytes of the texts that a request holds.
fn weight(request: &Request) -> usize {
    let Request::Commit(changes) = request else { return 0 };
    let text = |change: &Change| if let Change::AddMail(_, mail) = change { mail.text.len() } else { 0 };
    changes.iter().map(text).sum()
}
