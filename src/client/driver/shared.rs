//! What all threads of a client share: the core, the sockets, and whoever waits for something.

use super::sockets::{self, Stream};
use crate::client::carrier::{Action, Carrier, Way};
use crate::client::core::{Core, RequestId};
use crate::client::error::Error;
use crate::client::event::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long the thread that reads datagrams sleeps at most, so that it sees the end.
pub(super) const READ_WITHIN: Duration = Duration::from_millis(250);
/// How long the thread that watches the clock sleeps at most.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Largest datagram that can come; one of the link is far smaller.
const BUFFER_BYTES: usize = 65_536;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something has happened: for whoever waits for it, and for the thread that watches the clock.
    changed: Condvar,
    begun: Instant,
    udp: UdpSocket,
    server: SocketAddr,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) core: Core,
    pub(super) carrier: Carrier,
    stream: Option<Stream>,
    streams_made: u64,
    awaited: BTreeSet<RequestId>,
    replies: BTreeMap<RequestId, Result<Reply, Error>>,
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn new(core: Core, carrier: Carrier, begun: Instant, udp: UdpSocket, server: SocketAddr) -> Arc<Self> {
        let state = State {
            core,
            carrier,
            stream: None,
            streams_made: 0,
            awaited: BTreeSet::new(),
            replies: BTreeMap::new(),
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), begun, udp, server })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panics leaves no half-changed state: the core's methods are its only writers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// Waits until something has happened, or until `until`.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, until: Option<Instant>) -> MutexGuard<'a, State> {
        match until {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Does something with the core, sends what comes of it, and wakes whoever waits.
    pub(super) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut State, u64) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state, self.now());
        self.pump(&mut state);
        self.changed.notify_all();
        result
    }

    /// Makes a request and waits for its answer.
    pub(super) fn call(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Core, u64) -> Result<RequestId, Error>,
    ) -> Result<Reply, Error> {
        let id = self.with(|state, now| {
            if state.closed {
                return Err(Error::Closed);
            }
            let id = ask(&mut state.core, now)?;
            state.awaited.insert(id);
            Ok(id)
        })?;
        let mut state = self.lock();
        loop {
            if let Some(result) = state.replies.remove(&id) {
                return result;
            }
            if state.closed {
                return Err(Error::Closed);
            }
            state = self.wait(state, None);
        }
    }

    /// Sends what there is to send, and does what the carrier asks for.
    fn pump(self: &Arc<Self>, state: &mut State) {
        let now = self.now();
        let mut packet = Vec::new();
        loop {
            state.core.wake(now);
            while state.core.poll_packet(now, &mut packet) {
                self.send(state, &packet);
                packet.clear();
            }
            let (since, knocking) = (state.core.unanswered_since(), state.core.is_knocking());
            match state.carrier.poll(now, since, knocking) {
                None => break,
                Some(Action::Moved) => state.core.moved(now),
                Some(Action::Connect) => self.connect(state, now),
                Some(Action::Disconnect) => state.stream = None,
                Some(Action::Probe) => {
                    state.core.probe(&mut packet);
                    // It is lost or it is not: that is what it asks.
                    let _ = self.udp.send_to(&packet, self.server);
                    packet.clear();
                }
            }
        }
        while let Some((id, result)) = state.core.poll_reply() {
            if state.awaited.remove(&id) {
                state.replies.insert(id, result);
            }
        }
    }

    fn send(&self, state: &State, packet: &[u8]) {
        match (state.carrier.way(), &state.stream) {
            // A datagram that cannot be sent is as good as one that was lost.
            (Way::Udp, _) => drop(self.udp.send_to(packet, self.server)),
            (Way::Tcp, Some(stream)) => stream.send(packet),
            // Lost; it comes again when the connection stands.
            (Way::Tcp, None) => {}
        }
    }

    /// Connects on a thread of its own, which reads what comes then.
    fn connect(self: &Arc<Self>, state: &mut State, now: u64) {
        state.streams_made += 1;
        let (shared, made) = (Arc::downgrade(self), state.streams_made);
        let server = self.server;
        let thread = move || {
            let connected = sockets::connect(server);
            let Some(strong) = shared.upgrade() else { return };
            let Ok((stream, mut incoming)) = connected else {
                return strong.with(|state, now| state.carrier.disconnected(now));
            };
            let open = strong.with(|state, now| {
                if state.closed {
                    return false;
                }
                state.stream = Some(stream);
                state.carrier.connected(now);
                true
            });
            drop(strong);
            if open {
                incoming.read_all(|packet| take(&shared, Way::Tcp, packet));
            }
            let Some(strong) = shared.upgrade() else { return };
            strong.with(|state, now| {
                // It is no news if it was closed from here, or if another has taken its place.
                if state.streams_made == made && state.stream.take().is_some() {
                    state.carrier.disconnected(now);
                }
            });
        };
        if std::thread::Builder::new().name("oicq-tcp".into()).spawn(thread).is_err() {
            state.carrier.disconnected(now);
        }
    }

    /// Ends everything.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.stream = None;
        self.changed.notify_all();
    }

    /// The thread that watches the clock.
    pub(super) fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.closed {
            self.pump(&mut state);
            if !state.replies.is_empty() || state.core.has_event() {
                self.changed.notify_all();
            }
            let (since, knocking) = (state.core.unanswered_since(), state.core.is_knocking());
            let due = state.core.deadline().into_iter().chain(state.carrier.deadline(since, knocking)).min();
            // A due time that has passed and brought nothing must not make this spin.
            let pause = due.map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.saturating_sub(self.now()).max(1)));
            state = self.wait(state, Some(Instant::now() + pause.min(LONGEST_SLEEP)));
        }
    }
}

/// Takes a packet; tells whether there is still somebody to take the next.
fn take(shared: &Weak<Shared>, way: Way, packet: &mut [u8]) -> bool {
    let Some(shared) = shared.upgrade() else { return false };
    shared.with(|state, now| {
        if state.core.receive(now, packet) {
            state.carrier.heard(now, way);
        }
        !state.closed
    })
}

/// The thread that reads datagrams.
pub(super) fn read_datagrams(shared: &Weak<Shared>, udp: &UdpSocket, server: SocketAddr) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match udp.recv_from(&mut buffer) {
            Ok((_, from)) if from != server => {}
            Ok((count, _)) => {
                if !take(shared, Way::Udp, &mut buffer[..count]) {
                    return;
                }
            }
            // Nothing has come, or nobody listens there yet: the next packet may find somebody.
            Err(error) => {
                if shared.upgrade().is_none_or(|shared| shared.lock().closed) {
                    return;
                }
                if !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}
