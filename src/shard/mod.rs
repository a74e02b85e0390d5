//! The rules of OICQ for the users of one shard (protocol.md 1.4–1.8 and 4), without I/O.
//!
//! A shard is given everything as an [`Input`]: frames, the time, what the store and the other shards answered. What is
//! to be done about it is left in an [`Outbox`]. It never waits, has no clock and no randomness, so a whole server runs
//! in a test under a virtual clock.
//!
//! ```text
//! shard.handle(now, Input::Frame { from, bytes }, &mut outbox);   // as often as there is input
//! // then do what the outbox says, empty it with `clear`, and come back at `deadline` at the latest
//! ```

mod board;
mod endpoint;
mod io;
mod peer;
pub mod search;

pub use board::{Board, OFFLINE};
pub use endpoint::Endpoint;
pub use io::{
    Control, Counters, Input, Now, Outbox, PasswordJob, PasswordOutcome, SearchJob, Send, Territory, Ticket, steer,
};
pub use peer::Peer;

use std::sync::Arc;

/// The rules for the users of one shard.
pub struct Shard {
    territory: Territory,
    board: Arc<Board>,
    counters: Counters,
    classic: Classic,
}

/// From where bare frames are taken (`--classic`, protocol.md 1.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classic {
    /// From nowhere.
    Off,
    /// From loopback addresses.
    Loopback,
    /// From everywhere.
    Any,
}

impl Shard {
    /// A shard without users. All shards of a server share one board.
    pub fn new(territory: Territory, board: Arc<Board>, classic: Classic) -> Self {
        Self { territory, board, counters: Counters::default(), classic }
    }

    /// Takes one input and adds what is to be done to `out`.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Outbox) {
        let _ = (now, input, out, self.territory, &self.board, self.classic);
    }

    /// When [`Input::Tick`] is wanted at the latest, in ms of [`Now::mono_ms`]; `None` while nobody is online.
    pub fn deadline(&self) -> Option<u64> {
        None
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
