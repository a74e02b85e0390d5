//! A link with a name: one session of one number.

use crate::link::{Established, Link, Side};
use crate::wire::User;

/// A link and what it is called on the wire.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u32,
    id: u32,
    pub(super) link: Link,
    /// A packet with a good tag has come.
    pub(super) heard: bool,
}

impl Session {
    pub(super) fn new(number: u32, established: &Established) -> Self {
        let id = established.offer.session;
        Self { number, id, link: Link::new(Side::Client, number, id, established.keys), heard: false }
    }

    /// Whether a packet of this number and session is for it.
    pub(super) fn is(&self, number: u32, session: u32) -> bool {
        (self.number, self.id) == (number, session)
    }

    /// Queues a frame, and gives the number of its last segment.
    pub(super) fn send(&mut self, frame: &User<'_>) -> u32 {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.link.send(&bytes)
    }

    /// Queues a frame outside the order.
    pub(super) fn send_loose(&mut self, frame: &User<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.link.send_loose(&bytes);
    }
}
