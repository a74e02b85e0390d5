//! The session that stands: what goes out on it, and when.

use super::Core;
use super::pending::Outcome;
use super::pulse::Pulse;
use super::session::Session;
use crate::client::event::{Event, Reply, Status};
use crate::limits::{LINK_QUEUE_BYTES, RECEIVED_IDS};
use crate::wire::{List, ReceivedId, User};

/// How long an id waits for others to be told together.
const TOGETHER_MS: u64 = 5;

/// A session that is signed in.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) session: Session,
    pub(super) pulse: Pulse,
    /// Messages that the application has and the server does not know of.
    pub(super) received: Vec<ReceivedId>,
    tell_at: Option<u64>,
}

impl Live {
    pub(super) fn new(now: u64, session: Session) -> Self {
        Self { session, pulse: Pulse::new(now), received: Vec::new(), tell_at: None }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let rest = [Some(self.pulse.deadline()), self.tell_at, self.session.link.deadline()];
        rest.into_iter().flatten().min()
    }

    /// Tells the server what the application has: soon, or with what goes out anyway.
    fn tell_received(&mut self, now: u64, something_goes: bool) {
        let due = something_goes || self.tell_at.is_some_and(|at| now >= at);
        while !self.received.is_empty() && (due || self.received.len() >= RECEIVED_IDS) {
            let count = self.received.len().min(RECEIVED_IDS);
            let me = self.session.number;
            let frame = User::Received { me, messages: List::new(&self.received[..count]) };
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            self.session.link.send(&bytes);
            self.received.drain(..count);
        }
        if self.received.is_empty() {
            self.tell_at = None;
        }
    }
}

impl Core {
    /// The application has this message.
    pub(super) fn acknowledge(&mut self, now: u64, from: u32, id: u64) {
        // Without a session the server delivers it again, and is told then.
        if let Some(live) = &mut self.live {
            live.received.push(ReceivedId { from, id });
            live.tell_at.get_or_insert(now + TOGETHER_MS);
        }
    }

    /// Everything that the clock asks for, and whatever can go out now.
    pub(super) fn advance(&mut self, now: u64) {
        if self.live.as_ref().is_some_and(|live| live.session.link.is_dead(now)) {
            self.live = None;
            self.reconnect(now);
        }
        self.advance_leaving(now);
        self.advance_entries(now);
        let link = self.live.as_ref().map(|live| &live.session.link);
        let mut ended: Vec<Outcome> = Vec::new();
        while let Some(outcome) = self.requests.due(now, link) {
            ended.push(outcome);
        }
        if let Some(link) = link {
            self.outbox.settle(now, link);
        }
        self.finish_all(ended);
        self.flush(now);
    }

    /// Gives the link what waits, as long as it is not too much at a time.
    fn flush(&mut self, now: u64) {
        let Some(live) = &mut self.live else { return };
        let me = live.session.number;
        let silent = live.pulse.due(now).is_some_and(|beat| {
            live.session.send_loose(&User::Test { me });
            beat.silent
        });
        live.tell_received(now, self.outbox.is_ready(me) || self.requests.is_ready());
        let session = &mut live.session;
        while session.link.queued_bytes() < LINK_QUEUE_BYTES
            && (self.outbox.send_next(me, |frame| session.send(frame)) || self.requests.send_next(&mut session.link))
        {
        }
        if silent {
            self.happen(Event::Silent);
        }
    }

    pub(super) fn finish_all(&mut self, outcomes: Vec<Outcome>) {
        outcomes.into_iter().for_each(|outcome| self.finish(outcome));
    }

    /// A request has come to something.
    pub(super) fn finish(&mut self, (id, result): Outcome) {
        if let Ok(Reply::Status(status)) = &result {
            match (status, &mut self.me) {
                (Status::Offline, _) => {
                    self.live = None;
                    self.me = None;
                    self.transfers.clear();
                    self.entries.retain(|entry| entry.caller().is_some());
                    let ended = self.requests.end();
                    self.finish_all(ended);
                }
                (status, Some(me)) => me.login.status = *status,
                (_, None) => {}
            }
        }
        if let Some(id) = id {
            self.replies.push_back((id, result));
        }
    }

    /// The server has started anew (protocol.md 2.5): what has no answer is sent again, messages first.
    pub(super) fn renew(&mut self) {
        let Some(live) = &mut self.live else { return };
        let untaken = live.session.link.take_unacknowledged();
        self.outbox.reopen();
        // Its transfers are gone.
        self.transfers.clear();
        let unknown = self.requests.reopen(|frame| untaken.iter().any(|untaken| untaken == frame));
        for frame in untaken {
            // What the outbox and the requests hold comes from there, in order; pieces of files are of no use any more.
            if frame.get(3) == Some(&0x41) {
                live.session.link.send(&frame);
            }
        }
        self.finish_all(unknown);
    }
}
