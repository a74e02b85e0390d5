//! What happens, one thing after the other.

use super::shared::Shared;
use crate::client::event::Event;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What happens, one [`Event`] after the other. A message counts as received when it is taken from here, and the server is
/// told so; what is not taken stays at the server. Dropping it says that nobody wants events.
#[derive(Debug)]
pub struct Events(pub(super) Arc<Shared>);

impl Events {
    /// Waits for the next; `None` when the client has been dropped.
    pub fn recv(&self) -> Option<Event> {
        self.next_until(None)
    }

    /// Waits for the next, but not longer than this.
    pub fn recv_timeout(&self, longest: Duration) -> Option<Event> {
        self.next_until(Some(Instant::now() + longest))
    }

    /// The next, if there is one.
    pub fn try_recv(&self) -> Option<Event> {
        self.next_until(Some(Instant::now()))
    }

    /// Waits for events and shows the next ones, at most so many, without taking them: for a program that writes messages
    /// down before they count as received. Each is taken by [`try_recv`](Self::try_recv) afterwards, in the same order.
    /// Nothing comes when the client has been dropped.
    pub fn peek(&self, most: usize) -> Vec<Event> {
        let mut state = self.0.lock();
        loop {
            let next: Vec<Event> = state.core.peek_events(most).cloned().collect();
            if !next.is_empty() || state.closed {
                return next;
            }
            state = self.0.wait(state, None);
        }
    }

    fn next_until(&self, until: Option<Instant>) -> Option<Event> {
        loop {
            if let Some(event) = self.0.with(|state, now| state.core.poll_event(now)) {
                return Some(event);
            }
            let state = self.0.lock();
            if state.closed || until.is_some_and(|until| Instant::now() >= until) {
                return None;
            }
            if !state.core.has_event() {
                drop(self.0.wait(state, until));
            }
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.lock().core.ignore_events();
    }
}
