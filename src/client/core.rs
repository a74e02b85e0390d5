//! A classic session of one user without I/O (protocol.md 1.8): give it the time and what has arrived, and take from it
//! what is to be sent and what has happened.

use super::check::check;
use super::error::Error;
use super::event::{Event, Reply};
use super::pending::{Awaits, Due, Pending};
use crate::limits::HEADER_BYTES;
use crate::wire::{Dialect, Fault, Server, User, WireError, stream_frame_bytes};
use std::collections::VecDeque;

/// How often the connection is tested (protocol.md 1.7).
const TEST_EVERY_MS: u64 = 30_000;
/// Requests that wait for their turn; only a caller that never waits for answers gets there.
const REQUESTS_WAITING: usize = 1_024;

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One frame a datagram; requests are repeated, messages can be lost.
    Udp,
    /// Frames one after the other.
    Tcp,
}

/// Which request an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// A classic session of one user, without I/O.
///
/// After each call of [`request`](Self::request), [`receive`](Self::receive) or
/// [`wake`](Self::wake), take everything from [`poll_frame`](Self::poll_frame), [`poll_reply`](Self::poll_reply) and
/// [`poll_event`](Self::poll_event); call [`wake`](Self::wake) when [`deadline`](Self::deadline) has come. Times are
/// milliseconds of any clock that only moves forward.
///
/// One request at a time is on its way, the others wait: only then does the server know a repeated request for what it
/// is. Messages and pieces of files are no requests and go out at once.
#[derive(Debug)]
pub struct Core {
    transport: Transport,
    /// Ours, from a good sign-in until the server knows no session of ours.
    number: Option<u32>,
    /// The number that the sign-in under way is for.
    entering: Option<u32>,
    under_way: Option<Pending>,
    waiting: VecDeque<Pending>,
    test: Option<RequestId>,
    test_at: u64,
    next_id: u64,
    stream: Vec<u8>,
    frames: VecDeque<Vec<u8>>,
    replies: VecDeque<(RequestId, Result<Reply, Error>)>,
    events: VecDeque<Event>,
}

impl Core {
    /// A session that has not begun.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            number: None,
            entering: None,
            under_way: None,
            waiting: VecDeque::new(),
            test: None,
            test_at: 0,
            next_id: 0,
            stream: Vec::new(),
            frames: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The number that is signed in.
    pub fn number(&self) -> Option<u32> {
        self.number
    }

    /// Makes a request; its answer comes from [`poll_reply`](Self::poll_reply). A frame that has no answer is answered
    /// by [`Reply::Done`]: messages at once, other requests when the server has had the time to object.
    pub fn request(&mut self, now: u64, frame: &User<'_>) -> Result<RequestId, Error> {
        check(frame)?;
        if !matches!(frame, User::Register { .. } | User::SignIn { .. }) && self.number.is_none() {
            return Err(Error::NotSignedIn);
        }
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let Some(awaits) = Awaits::of(frame) else {
            self.frames.push_back(bytes);
            self.replies.push_back((id, Ok(Reply::Done)));
            return Ok(id);
        };
        if self.waiting.len() >= REQUESTS_WAITING {
            return Err(Error::Invalid(format!("{REQUESTS_WAITING} requests wait already; wait for their answers")));
        }
        self.waiting.push_back(Pending::new(id, bytes, awaits));
        self.start_next(now);
        Ok(id)
    }

    /// Takes what has arrived: a datagram, or the next bytes of the stream. A datagram that is no frame is dropped; in
    /// a stream nothing can be read after such a fault, so it is an error and the connection is to be closed.
    pub fn receive(&mut self, now: u64, bytes: &[u8]) -> Result<(), WireError> {
        if self.transport == Transport::Udp {
            if let Ok(frame) = Server::decode(bytes, Dialect::Classic) {
                self.take(now, &frame);
            }
            return Ok(());
        }
        let mut stream = std::mem::take(&mut self.stream);
        stream.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(length) = stream_frame_bytes(&stream[used..])? {
            let Some(frame) = stream.get(used..used + length) else { break };
            match Server::decode(frame, Dialect::Classic) {
                Ok(frame) => self.take(now, &frame),
                // A later server may say what this library does not know; the length still says where the next begins.
                Err(error) if error.fault == Fault::UnknownType => {}
                Err(error) => return Err(error),
            }
            used += length;
        }
        stream.drain(..used);
        debug_assert!(stream.len() < HEADER_BYTES + crate::limits::CONTENT_BYTES);
        self.stream = stream;
        Ok(())
    }

    /// Does what is due.
    pub fn wake(&mut self, now: u64) {
        if let Some(number) = self.number
            && self.test.is_none()
            && now >= self.test_at
        {
            self.test_at = now + TEST_EVERY_MS;
            self.test = self.request(now, &User::Test { me: number }).ok();
        }
        let Some(pending) = &mut self.under_way else { return };
        match pending.due(now) {
            Due::Nothing => {}
            Due::Repeat => self.frames.push_back(pending.frame.clone()),
            Due::Finish(result) => self.finish(now, result),
        }
    }

    /// When [`wake`](Self::wake) has something to do; `None` while nothing is going on.
    pub fn deadline(&self) -> Option<u64> {
        let test = (self.number.is_some() && self.test.is_none()).then_some(self.test_at);
        let request = self.under_way.as_ref().map(Pending::deadline);
        test.into_iter().chain(request).min()
    }

    /// The next whole frame to send.
    pub fn poll_frame(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    /// The next answer.
    pub fn poll_reply(&mut self) -> Option<(RequestId, Result<Reply, Error>)> {
        self.replies.pop_front()
    }

    /// What has happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn start_next(&mut self, now: u64) {
        if self.under_way.is_some() {
            return;
        }
        let Some(mut next) = self.waiting.pop_front() else { return };
        next.start(now, self.transport);
        self.entering = (next.awaits == Awaits::SignedIn).then(|| number_of(&next.frame));
        self.frames.push_back(next.frame.clone());
        self.under_way = Some(next);
    }

    fn take(&mut self, now: u64, frame: &Server<'_>) {
        if let Some(pending) = &mut self.under_way {
            let (meant, result) = pending.take(now, frame);
            if let Some(result) = result {
                return self.finish(now, result);
            }
            if meant {
                return;
            }
        }
        if let Server::SignedIn { ok: 0, .. } = frame {
            return self.lose_session(now);
        }
        // What is left are late answers to requests that were repeated.
        self.events.extend(Event::from_frame(frame));
    }

    fn finish(&mut self, now: u64, result: Result<Reply, Error>) {
        let Some(mut pending) = self.under_way.take() else { return };
        match &result {
            Ok(Reply::SignedIn(_)) => {
                self.number = self.entering.take();
                self.test_at = now + TEST_EVERY_MS;
            }
            Ok(Reply::Status(super::Status::Offline)) => self.number = None,
            _ => {}
        }
        // Words that came with a request that was done did not explain a refusal of it.
        self.events.extend(pending.explanation.drain(..).map(|text| Event::Words { text }));
        if self.test == Some(pending.id) {
            self.test = None;
            self.events.extend(result.is_err().then_some(Event::Silent));
        } else {
            self.replies.push_back((pending.id, result));
        }
        self.start_next(now);
    }

    /// The server says that it has no session of ours.
    fn lose_session(&mut self, now: u64) {
        if self.number.take().is_none() {
            return;
        }
        self.events.push_back(Event::SignInAgain);
        self.test = None;
        let all = self.under_way.take().into_iter().chain(std::mem::take(&mut self.waiting));
        let (entering, lost): (Vec<_>, Vec<_>) =
            all.partition(|pending| matches!(pending.awaits, Awaits::SignedIn | Awaits::Registered));
        self.replies.extend(lost.into_iter().map(|pending| (pending.id, Err(Error::NotSignedIn))));
        self.waiting = entering.into();
        self.start_next(now);
    }
}

/// The number in a sign-in: the first field of its content.
fn number_of(frame: &[u8]) -> u32 {
    crate::wire::word_at_eight(frame).unwrap_or_default()
}
