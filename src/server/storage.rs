//! The queue to the store's thread, and the way back of its answers.

use super::mesh::{Batch, Mesh, Message};
use crate::limits::STORE_QUEUE;
use crate::shard::Ticket;
use crate::store::{Answer, Request};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;

/// Who wants the answer.
pub enum Reply {
    /// A shard, under this ticket.
    Shard(usize, Ticket),
    /// An ordinary thread.
    Thread(Sender<Answer>),
}

/// Where requests are handed in. The store ends once all of these are gone.
#[derive(Clone)]
pub struct Storage(Sender<(Reply, Request)>);

impl Storage {
    /// A queue, and its end for the store's thread.
    pub fn new() -> (Self, Receiver<(Reply, Request)>) {
        let (sender, receiver) = bounded(STORE_QUEUE);
        (Self(sender), receiver)
    }

    /// Adds a request; gives it back if there are too many.
    pub fn push(&self, reply: Reply, request: Request) -> Result<(), Request> {
        self.0.try_send((reply, request)).map_err(|error| match error {
            TrySendError::Full((_, request)) | TrySendError::Disconnected((_, request)) => request,
        })
    }

    /// Asks from an ordinary thread, and waits for the answer; `None` if the store has ended.
    pub fn ask(&self, request: Request) -> Option<Answer> {
        let (sender, receiver) = bounded(1);
        self.0.send((Reply::Thread(sender), request)).ok()?;
        receiver.recv().ok()
    }

    /// How many requests wait.
    pub fn depth(&self) -> usize {
        self.0.len()
    }
}

/// Hands answers to those who asked: to a shard all of a group at once.
pub fn deliver(mesh: Arc<Mesh>) -> impl FnMut(&mut Vec<(Reply, Answer)>) {
    let mut batches: Vec<Batch> = (0..mesh.shards()).map(|_| Vec::new()).collect();
    move |answers| {
        for (reply, answer) in answers.drain(..) {
            match reply {
                Reply::Shard(shard, ticket) => batches[shard].push(Message::Stored(ticket, answer)),
                // Whoever asked may have given up.
                Reply::Thread(sender) => drop(sender.send(answer)),
            }
        }
        for (shard, batch) in batches.iter_mut().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            mesh.post(shard, std::mem::take(batch));
        }
    }
}
