//! One shard with its hands: gives it inputs, and does at once what it asks for. Nothing here waits.

use super::events::{EventLog, Events};
use super::figures::{Report, Traffic};
use super::mesh::{Message, Port};
use super::mmsg::{Receiver, Sender as Mailer};
use super::outgoing::Socket;
use super::passwords::Passwords;
use super::searching::Searches;
use super::storage::{Reply, Storage};
use super::streams::{Streams, shard_of};
use crate::limits::{DATAGRAM_BATCH, STORE_HELD, STREAM_READ_BYTES, STREAM_TURN_BYTES};
use crate::shard::{Control, Endpoint, Input, Now, Outbox, PasswordOutcome, SearchOrder, Shard, Ticket, steer};
use crate::store::{Request, SessionRecord};
use crossbeam::channel::Sender;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Frames after which they are sent even inside a batch: the outbox of a long list stays in the cache.
const FLUSH_SENDS: usize = 256;
/// Bytes after which they are sent even inside a batch.
const FLUSH_BYTES: usize = 128 * 1024;
/// Datagrams from which on it helps to look at their users together.
const WORTH_EXPECTING: usize = 4;
/// Batches of other threads taken in one turn, so that the sockets have theirs.
const TURN_BATCHES: usize = 64;

/// What a shard asks of others outside the mesh.
pub struct Helpers {
    /// The store's queue, until the server has ended.
    pub store: Option<Storage>,
    /// The password pool.
    pub passwords: Passwords,
    /// The search thread.
    pub searches: Searches,
    /// The event log.
    pub events: EventLog,
}

/// What a turn of the loop has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// Datagrams that came in.
    pub datagrams: usize,
    /// Batches of other threads.
    pub batches: usize,
    /// There is more to read at once.
    pub more: bool,
}

/// A shard and everything that it reaches.
pub struct Core {
    shard: Shard,
    out: Outbox,
    pub(super) index: usize,
    /// How another shard is reached.
    pub port: Port,
    helpers: Helpers,
    events: Events,
    sockets: Vec<Socket>,
    mailer: Mailer,
    /// The connections.
    pub streams: Streams,
    /// Bytes read from any connection pass through here, and packets of the link that are cut from them.
    pub(super) stream_bytes: Box<[u8]>,
    pub(super) packet: Vec<u8>,
    /// What this shard has for itself.
    local: VecDeque<Message>,
    store_later: VecDeque<(Ticket, Request)>,
    pub(super) traffic: Traffic,
    began: Instant,
    pub(super) now: Now,
    /// Bytes that connections may still bring before the loop has its next turn.
    pub(super) stream_budget: usize,
    paused: bool,
    stopped: bool,
    ended: Option<Sender<()>>,
    /// The loop's task while it waits, and until when it does.
    sleeper: Option<(Waker, u64)>,
}

impl Core {
    /// A shard with these sockets, one a listening address in their order. `began` is the same in all shards.
    /// It has at most so many connections.
    pub fn new(
        shard: Shard,
        port: Port,
        helpers: Helpers,
        sockets: Vec<socket2::Socket>,
        connections: usize,
        began: Instant,
    ) -> Self {
        let index = port.index();
        Self {
            shard,
            out: Outbox::default(),
            index,
            port,
            events: Events::new(helpers.events.clone()),
            helpers,
            sockets: sockets.into_iter().map(Socket::new).collect(),
            mailer: Mailer::default(),
            streams: Streams::new(index, connections),
            stream_bytes: vec![0; STREAM_READ_BYTES].into(),
            packet: Vec::new(),
            local: VecDeque::new(),
            store_later: VecDeque::new(),
            traffic: Traffic::default(),
            began,
            now: Now::default(),
            stream_budget: STREAM_TURN_BYTES,
            paused: false,
            stopped: false,
            ended: None,
            sleeper: None,
        }
    }

    /// Reads the clocks; everything until the next time happens at once.
    pub fn read_clock(&mut self) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = Now { mono_ms: self.began.elapsed().as_millis() as u64, unix_ms: unix.as_millis() as u64 };
    }

    /// The time of the present inputs.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Whom to tell that this shard has done its last, once it has.
    pub fn ended(&mut self) -> Option<Sender<()>> {
        // What was taken goes to the store, or to the shard that it is for, before the store's queue is let go.
        if !self.store_later.is_empty() || self.port.waiting() > 0 || !self.local.is_empty() {
            return None;
        }
        let ended = self.ended.take()?;
        self.helpers.store = None;
        Some(ended)
    }

    /// Whether too much waits for the store to take anything from other shards.
    pub fn store_is_behind(&self) -> bool {
        self.store_later.len() > STORE_HELD
    }

    /// Whether something is left to do before this thread may wait.
    pub fn has_more(&self) -> bool {
        !self.local.is_empty() || (self.streams.any_held() && !self.paused && !self.stopped)
    }

    /// A connection is to read again in the loop's next turn, which must not wait for anything else.
    pub fn hold_stream(&mut self, connection: u32) {
        self.streams.hold(connection);
        if let Some((waker, _)) = self.sleeper.take() {
            waker.wake();
        }
    }

    /// Lets connections read again that had used up the bytes of a turn; whether there were any.
    pub fn release_streams(&mut self) -> bool {
        self.stream_budget = STREAM_TURN_BYTES;
        !self.paused && !self.stopped && self.streams.wake_held()
    }

    /// Whether the server ends: then nothing is taken from outside.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Whether somebody else has so much to do for this shard that it takes nothing from outside.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Whether datagrams wait for this socket to take more.
    pub fn unsent(&self, socket: usize) -> bool {
        self.sockets[socket].is_behind()
    }

    /// When the shard wants to be told the time, in ms of [`Now::mono_ms`].
    pub fn deadline(&self) -> Option<u64> {
        self.shard.deadline()
    }

    /// The same as a time.
    pub fn deadline_at(&self) -> Option<Instant> {
        Some(self.began + Duration::from_millis(self.deadline()?))
    }

    fn is_due(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= self.now.mono_ms)
    }

    /// Takes in what other threads have, then a batch of each socket, and does what follows from it.
    pub fn turn(&mut self, receiver: &mut Receiver) -> Turn {
        self.read_clock();
        self.drain_local();
        let batches = self.take_inbox();
        let mut turn = Turn { batches, more: batches == TURN_BATCHES, datagrams: 0 };
        self.resend();
        if !self.paused && !self.stopped {
            for socket in 0..self.sockets.len() {
                let count = self.take_datagrams(socket, receiver);
                turn.datagrams += count;
                turn.more |= count == DATAGRAM_BATCH;
            }
        }
        if self.is_due() {
            self.input(Input::Tick);
            turn.more |= self.is_due();
        }
        self.finish();
        turn.more |= !self.local.is_empty();
        turn
    }

    /// Handles batches of other threads, and says how many.
    fn take_inbox(&mut self) -> usize {
        for done in 0..TURN_BATCHES {
            let Some(mut batch) = self.port.receive(self.store_is_behind()) else { return done };
            for message in batch.drain(..) {
                self.message(message);
            }
            self.port.recycle(batch);
        }
        TURN_BATCHES
    }

    fn take_datagrams(&mut self, socket: usize, receiver: &mut Receiver) -> usize {
        // An error is what somebody's ICMP left on the socket: it says nothing about what comes next.
        let Ok(count) = receiver.receive(self.sockets[socket].socket.as_fd()) else { return 0 };
        self.traffic.datagrams_in += count as u64;
        self.expect(count, receiver);
        for at in 0..count {
            let Some((from, bytes)) = receiver.datagram(at) else {
                self.traffic.malformed += 1;
                continue;
            };
            let from = Endpoint::datagram(from, socket as u16);
            match steer(bytes).map(|number| self.port.owner(number)) {
                Some(owner) if owner != self.index => {
                    self.traffic.wrong_shard += 1;
                    self.port.send(owner, Message::Frame { from, bytes: (&*bytes).into() });
                }
                _ => self.input(Input::of(from, bytes)),
            }
        }
        count
    }

    /// Lets the rules know whom a batch is about.
    fn expect(&self, count: usize, receiver: &mut Receiver) {
        if count < WORTH_EXPECTING {
            return;
        }
        let mut numbers = [0; DATAGRAM_BATCH];
        for (at, number) in numbers.iter_mut().enumerate().take(count) {
            *number = receiver.datagram(at).and_then(|(_, bytes)| steer(bytes)).unwrap_or(0);
        }
        self.shard.expect(&numbers[..count]);
    }

    /// Gives the rules one input, and them what they have for this shard itself, until they rest.
    pub(super) fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input, &mut self.out);
        self.route();
        self.drain_local();
    }

    fn drain_local(&mut self) {
        while let Some(message) = self.local.pop_front() {
            self.one_message(message);
            self.route();
        }
    }

    /// Handles a message of another thread.
    fn message(&mut self, message: Message) {
        self.one_message(message);
        self.route();
        self.drain_local();
    }

    fn one_message(&mut self, message: Message) {
        let input = match message {
            Message::Peer { to, message } => Input::Peer { to, message },
            Message::Frame { from, mut bytes } => {
                return self.shard.handle(self.now, Input::of(from, &mut bytes), &mut self.out);
            }
            Message::StreamClosed { from, number } => Input::StreamClosed { from, number },
            Message::StreamSend { to, bytes } => return self.write_stream(to, &bytes),
            Message::StreamClose(to) => return self.close_stream(to),
            Message::StreamStall { at, stalled } => return self.stall_stream(at, stalled),
            Message::StreamFlush { to, number } => return self.flush_stream(to, number),
            Message::StreamFlushed { from, number } => Input::Flushed { from, number },
            Message::Stored(ticket, answer) => Input::Stored { ticket, answer },
            Message::Password(ticket, outcome) => Input::Password { ticket, outcome },
            Message::Searched(ticket, found) => Input::Searched { ticket, found },
            Message::Control(control) => Input::Control(control),
            Message::Report(answer) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.report());
                return;
            }
            Message::Announce(text, answer) => {
                let before = self.shard.counters().announced;
                self.shard.handle(self.now, Input::Control(Control::Announce(text)), &mut self.out);
                let _ = answer.send(self.shard.counters().announced - before);
                return;
            }
            Message::Presence(number, answer) => {
                let _ = answer.send(self.shard.presence(number));
                return;
            }
            Message::Stop => {
                self.stopped = true;
                Input::Stop
            }
            Message::End(done) => {
                self.ended = Some(done);
                return;
            }
        };
        self.shard.handle(self.now, input, &mut self.out);
    }

    /// Hands on what the rules have for other threads and for themselves; frames wait for company.
    #[inline]
    fn route(&mut self) {
        if !self.out.peers.is_empty() {
            for (to, message) in self.out.peers.drain(..) {
                let owner = self.port.owner(to);
                let message = Message::Peer { to, message };
                if owner == self.index {
                    self.local.push_back(message);
                } else {
                    self.traffic.peers_out += 1;
                    self.port.send(owner, message);
                }
            }
        }
        if !self.out.store.is_empty() {
            self.route_store();
        }
        if !self.out.stalls.is_empty() {
            for (at, stalled) in std::mem::take(&mut self.out.stalls) {
                self.stall_stream(at, stalled);
            }
        }
        if !self.out.passwords.is_empty() {
            for (ticket, who, job) in self.out.passwords.drain(..) {
                if !self.helpers.passwords.submit(self.index, ticket, who, job) {
                    self.local.push_back(Message::Password(ticket, PasswordOutcome::Busy));
                }
            }
        }
        if !self.out.searches.is_empty() {
            for order in self.out.searches.drain(..) {
                match order {
                    SearchOrder::Begin(job) => {
                        let ticket = job.ticket;
                        if !self.helpers.searches.submit(self.index, job) {
                            self.local.push_back(Message::Searched(ticket, None));
                        }
                    }
                    SearchOrder::Cancel(ticket) => self.helpers.searches.cancel(self.index, ticket),
                }
            }
        }
        if !self.out.events.is_empty() {
            self.events.take(self.now.mono_ms, &mut self.out.events);
        }
        if self.out.sends.len() >= FLUSH_SENDS || self.out.bytes.len() >= FLUSH_BYTES {
            self.write();
        }
    }

    fn route_store(&mut self) {
        for (ticket, request) in self.out.store.drain(..) {
            self.store_later.push_back((ticket, request));
        }
        self.push_store();
    }

    /// Hands the store as much as its queue takes.
    fn push_store(&mut self) {
        let Some(store) = &self.helpers.store else { return };
        while let Some((ticket, request)) = self.store_later.pop_front() {
            if let Err(request) = store.push(Reply::Shard(self.index, ticket), request) {
                self.store_later.push_front((ticket, request));
                break;
            }
        }
    }

    /// Goes on with the sessions that the store has kept.
    pub fn keep(&mut self, sessions: &[SessionRecord]) {
        self.read_clock();
        for (nth, session) in sessions.iter().enumerate() {
            self.shard.keep(self.now, session, nth as u64, &mut self.out);
            self.route();
        }
        self.finish();
    }

    /// Sends what is waiting to be sent, and wakes whom it is for.
    pub fn finish(&mut self) {
        self.shard.flush(self.now, &mut self.out);
        self.route();
        self.write();
        self.push_store();
        self.port.flush();
        let paused = self.port.waiting() > 0 || !self.store_later.is_empty();
        if paused != self.paused {
            self.paused = paused;
            self.traffic.pauses += u64::from(paused);
        }
        if let Some((waker, until)) = &self.sleeper
            && (paused
                || self.stopped
                || !self.local.is_empty()
                || self.shard.deadline().is_some_and(|deadline| deadline < *until))
        {
            waker.wake_by_ref();
            self.sleeper = None;
        }
    }

    /// The loop's task sleeps until this time, unless a connection brings something that it must know.
    pub fn set_sleeper(&mut self, sleeper: Option<(Waker, u64)>) {
        self.sleeper = sleeper;
    }

    /// Does what the outbox says about sockets and connections, and empties it.
    fn write(&mut self) {
        if self.out.sends.is_empty() && self.out.closes.is_empty() && self.out.flushes.is_empty() {
            return;
        }
        for (at, send) in self.out.sends.iter().enumerate() {
            if let Some(listener) = send.to.listener() {
                self.sockets[usize::from(listener)].now.push(at as u32);
            } else if let Some(connection) = send.to.connection() {
                let (to, bytes) = (send.to, self.out.frame(send));
                match shard_of(connection) {
                    owner if owner == self.index => self.streams.write(connection, bytes, &mut self.traffic),
                    owner => self.port.send(owner, Message::StreamSend { to, bytes: bytes.into() }),
                }
            }
        }
        for socket in &mut self.sockets {
            socket.send(&self.out, &mut self.mailer, &mut self.traffic);
        }
        for to in std::mem::take(&mut self.out.closes) {
            self.close_stream(to);
        }
        self.streams.flush();
        for (to, number) in std::mem::take(&mut self.out.flushes) {
            self.flush_stream(to, number);
        }
        self.out.clear();
    }

    /// The rules of `number` want to know when a connection has taken everything.
    fn flush_stream(&mut self, to: Endpoint, number: u32) {
        let Some(connection) = to.connection() else { return };
        match shard_of(connection) {
            owner if owner == self.index => {
                self.streams.await_flush(connection, number);
                let _ = self.tell_flushed();
            }
            owner => self.port.send(owner, Message::StreamFlush { to, number }),
        }
    }

    /// A connection's task has written.
    pub fn stream_written(&mut self, connection: u32) {
        self.streams.note_flushed(connection);
        if self.tell_flushed() {
            self.finish();
        }
    }

    /// Whether there was somebody to tell.
    fn tell_flushed(&mut self) -> bool {
        let flushed = self.streams.take_flushed();
        let any = !flushed.is_empty();
        for (from, number) in flushed {
            let owner = self.port.owner(number);
            let message = Message::StreamFlushed { from, number };
            if owner == self.index {
                self.local.push_back(message);
            } else {
                self.port.send(owner, message);
            }
        }
        any
    }

    fn write_stream(&mut self, to: Endpoint, bytes: &[u8]) {
        if let Some(connection) = to.connection() {
            self.streams.write(connection, bytes, &mut self.traffic);
            self.streams.flush();
        }
    }

    /// A connection is not to be read for now, or again.
    fn stall_stream(&mut self, at: Endpoint, stalled: bool) {
        let Some(connection) = at.connection() else { return };
        match shard_of(connection) {
            owner if owner == self.index => self.streams.stall(connection, stalled, self.now.mono_ms),
            owner => self.port.send(owner, Message::StreamStall { at, stalled }),
        }
    }

    fn close_stream(&mut self, to: Endpoint) {
        let Some(connection) = to.connection() else { return };
        match shard_of(connection) {
            owner if owner == self.index => self.streams.close(connection),
            owner => self.port.send(owner, Message::StreamClose(to)),
        }
    }

    /// Tries again to send what sockets did not take.
    fn resend(&mut self) {
        for socket in &mut self.sockets {
            if socket.is_behind() {
                socket.resend(&mut self.mailer, &mut self.traffic);
            }
        }
    }

    /// Tells the log now and then what it has left out.
    pub fn sweep_events(&mut self) {
        self.events.sweep(self.now.mono_ms);
    }

    fn report(&self) -> Report {
        let mut report = Report {
            shard: self.index,
            counters: self.shard.counters(),
            traffic: Traffic { streams: self.streams.open() as u64, ..self.traffic },
            inbox: self.port.depth() as u64,
            held_for_peers: self.port.waiting() as u64,
            held_for_store: self.store_later.len() as u64,
        };
        report.counters.malformed += self.traffic.malformed;
        report
    }
}
