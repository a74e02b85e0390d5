//! What becomes of a message, to be waited for.

use super::shared::Shared;
use crate::client::error::Error;
use crate::client::event::ReceiptState;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What becomes of a message. Dropping it changes nothing for the message; its receipt also comes as
/// [`Event::Receipt`](crate::client::Event::Receipt).
pub struct Receipt {
    id: u64,
    shared: Arc<Shared>,
}

impl Receipt {
    pub(super) fn new(id: u64, shared: Arc<Shared>) -> Self {
        Self { id, shared }
    }

    /// The message's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is known now.
    pub fn state(&self) -> ReceiptState {
        self.shared.lock().core.receipt(self.id).unwrap_or(ReceiptState::Sending)
    }

    /// Waits until the server has answered for it: it is stored, delivered, or refused.
    pub fn wait(&self) -> Result<ReceiptState, Error> {
        self.wait_until(|state| state != ReceiptState::Sending, None)
    }

    /// Waits until then, but not longer than this; [`ReceiptState::Sending`] if nothing was told.
    pub fn wait_timeout(&self, longest: Duration) -> Result<ReceiptState, Error> {
        self.wait_until(|state| state != ReceiptState::Sending, Some(Instant::now() + longest))
    }

    /// Waits until nothing more can come, it is delivered or refused, but not longer than this.
    pub fn wait_delivered(&self, longest: Duration) -> Result<ReceiptState, Error> {
        self.wait_until(ReceiptState::is_final, Some(Instant::now() + longest))
    }

    fn wait_until(&self, enough: fn(ReceiptState) -> bool, until: Option<Instant>) -> Result<ReceiptState, Error> {
        let mut state = self.shared.lock();
        loop {
            let known = state.core.receipt(self.id).unwrap_or(ReceiptState::Sending);
            if enough(known) || until.is_some_and(|until| Instant::now() >= until) {
                return Ok(known);
            }
            if state.closed {
                return Err(Error::Closed);
            }
            state = self.shared.wait(state, until);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.shared.lock().core.unwatch(self.id);
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({} {:?})", self.id, self.state())
    }
}
