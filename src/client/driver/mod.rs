//! Drives a [`Core`] over sockets of std: threads read and watch the clock, callers wait for their answers, nobody spins.
#![allow(clippy::disallowed_methods, reason = "the driver is where the core's time and chance come from")]

mod events;
mod receipt;
mod requests;
mod shared;
mod sockets;

use super::carrier::{Carrier, Way, Ways};
use super::core::{Core, SeenList, Setup, Unsent};
use super::error::Error;
use super::line::ServerLine;
pub use events::Events;
pub use receipt::Receipt;
use shared::{Shared, read_datagrams};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time in ms, shifted by so much, is the first id of a message: ids rise over restarts, and leave room for a million
/// messages a millisecond.
const ID_SHIFT: u32 = 20;

/// Which server, and what an earlier client of this user has left.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Where the server is, and its key if the operator has given it.
    pub line: ServerLine,
    /// The key that was kept from an earlier connection. If neither this nor the line has one, it is learnt, and told as
    /// [`Event::ServerKey`](super::Event::ServerKey): keep it then.
    pub pinned: Option<[u8; 32]>,
    /// Which ways may be taken.
    pub ways: Ways,
    /// Remember the password for reconnections on which the token is not taken.
    pub keep_password: bool,
    /// Messages that have no receipt, from [`Client::unsent`].
    pub outbox: Vec<Unsent>,
    /// What has been shown, from [`Client::seen`].
    pub seen: SeenList,
}

impl Connect {
    /// To this server, with nothing left by an earlier client.
    pub fn new(line: ServerLine) -> Self {
        Self {
            line,
            pinned: None,
            ways: Ways::Both,
            keep_password: false,
            outbox: Vec::new(),
            seen: SeenList::default(),
        }
    }
}

/// A user's program at the server. Each method waits for the answer to its request; they may be called from several
/// threads. The connection is made when it is needed and made anew when it breaks.
///
/// Dropping it ends the program's side, not the session: the server notices after 90 s, or at once if
/// [`leave`](Self::leave) was called before.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    clock: Option<JoinHandle<()>>,
}

impl Client {
    /// Finds the server and opens a socket to it. Nothing is said to it yet; [`register`](Self::register) and
    /// [`sign_in`](Self::sign_in) make the handshake, and fail if the server is not the one whose key is known.
    pub fn connect(to: Connect) -> Result<(Self, Events), Error> {
        let key = match (to.line.key, to.pinned) {
            (Some(shown), Some(pinned)) if shown != pinned => return Err(Error::KeyChanged { pinned, shown }),
            (shown, pinned) => shown.or(pinned),
        };
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let setup = Setup {
            key,
            seed,
            first_id: (since_1970.as_millis() as u64) << ID_SHIFT,
            keep_password: to.keep_password,
            outbox: to.outbox,
            seen: to.seen,
        };
        let (udp, server) = sockets::open(&to.line)?;
        let reading = udp.try_clone()?;
        let shared = Shared::new(Core::new(setup), Carrier::new(0, to.ways), Instant::now(), udp, server);
        std::thread::Builder::new().name("oicq-udp".into()).spawn({
            let shared = Arc::downgrade(&shared);
            move || read_datagrams(&shared, &reading, server)
        })?;
        let clock = std::thread::Builder::new().name("oicq-clock".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.watch()
        })?;
        let events = Events(Arc::clone(&shared));
        Ok((Self { shared, clock: Some(clock) }, events))
    }

    /// What carries packets now.
    pub fn way(&self) -> Way {
        self.shared.lock().carrier.way()
    }

    /// Round trip to the server, once it has been measured.
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared.lock().core.round_trip_ms().map(Duration::from_millis)
    }

    /// The number that is signed in, also while the connection is being made anew.
    pub fn number(&self) -> Option<u32> {
        self.shared.lock().core.number()
    }

    /// The server's key, once it is known and proven.
    pub fn server_key(&self) -> Option<[u8; 32]> {
        self.shared.lock().core.server_key()
    }

    /// The messages without a receipt, in order: to be kept over a restart of the program.
    pub fn unsent(&self) -> Vec<Unsent> {
        self.shared.lock().core.unsent()
    }

    /// What has been shown: to be kept over a restart of the program.
    pub fn seen(&self) -> SeenList {
        self.shared.lock().core.seen()
    }

    /// Waits until every message has its receipt, but not longer than this; gives how many have none.
    pub fn wait_for_receipts(&self, longest: Duration) -> usize {
        let until = Instant::now() + longest;
        let mut state = self.shared.lock();
        loop {
            let left = state.core.unsent_count();
            if left == 0 || state.closed || Instant::now() >= until {
                return left;
            }
            state = self.shared.wait(state, Some(until));
        }
    }

    /// Whether events wait to be taken.
    pub fn has_events(&self) -> bool {
        self.shared.lock().core.has_event()
    }

    /// Ends the program's side, as dropping it does: what waits for an answer gets [`Error::Closed`], and the events come
    /// to their end after those that wait already.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
        if let Some(clock) = self.clock.take() {
            // It has panicked if this is an error; the panic has been printed.
            let _ = clock.join();
        }
    }
}
