//! Leaving without signing out: the session ends, and its token is good for the next time (protocol.md 2.6).

use super::session::Session;
use super::{Core, RequestId};
use crate::client::error::Error;
use crate::client::event::Reply;
use crate::link::{Ciphers, CloseCode};

/// The pauses after each farewell that is not answered; then the server is left to notice the silence.
const PAUSES_MS: [u64; 3] = [250, 500, 1_000];

/// A session to which farewell is being said.
#[derive(Debug)]
pub(super) struct Leaving {
    id: RequestId,
    session: Session,
    said: usize,
    again_at: u64,
}

impl Leaving {
    pub(super) fn deadline(&self) -> u64 {
        self.session.link.deadline().map_or(self.again_at, |at| at.min(self.again_at))
    }

    pub(super) fn poll(&mut self, now: u64, ciphers: &mut Ciphers, out: &mut Vec<u8>) -> bool {
        self.session.link.poll(now, ciphers, out)
    }
}

impl Core {
    /// Ends the session and keeps its token good. The answer comes when the server has said farewell, too, or soon if it
    /// says nothing.
    pub fn leave(&mut self, now: u64) -> Result<RequestId, Error> {
        self.me()?;
        self.has_left();
        let id = self.new_request();
        self.me = None;
        self.transfers.clear();
        self.entries.retain(|entry| entry.caller().is_some());
        let ended = self.requests.end();
        self.finish_all(ended);
        match self.live.take() {
            Some(live) => {
                self.leaving = Some(Leaving { id, session: live.session, said: 0, again_at: now });
                self.advance(now);
            }
            None => self.replies.push_back((id, Ok(Reply::Done))),
        }
        Ok(id)
    }

    /// Says farewell again where nobody has answered.
    pub(super) fn advance_leaving(&mut self, now: u64) {
        let Some(leaving) = self.leaving.as_mut().filter(|leaving| now >= leaving.again_at) else { return };
        match PAUSES_MS.get(leaving.said) {
            Some(pause) => {
                leaving.session.link.close(CloseCode::SignedOut, "");
                leaving.said += 1;
                leaving.again_at = now + pause;
            }
            None => self.has_left(),
        }
    }

    /// A packet for a session to which farewell is being said; whether it was one.
    pub(super) fn leaving_data(&mut self, now: u64, number: u32, session: u32, packet: &mut [u8]) -> bool {
        let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.session.is(number, session)) else {
            return false;
        };
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        // Messages that come now are not taken: the server keeps them.
        let arrival = leaving.session.link.receive(now, packet, &mut self.ciphers, &mut frames);
        self.frames = frames;
        if arrival.as_ref().is_ok_and(|arrival| arrival.close.is_some()) {
            self.has_left();
        }
        arrival.is_ok()
    }

    fn has_left(&mut self) {
        self.replies.extend(self.leaving.take().map(|leaving| (leaving.id, Ok(Reply::Done))));
    }
}
