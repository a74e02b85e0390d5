//! What arrives: to the door, to an entry, or to the session that stands.

use super::Core;
use super::entry::Phase;
use crate::client::error::code;
use crate::client::event::{Event, ReceiptState, Reply};
use crate::link::{Arrival, Packet, Resumed, Side, Start};
use crate::wire::{Dialect, Server};

/// How long a session lasts of which somebody says that it is unknown: a little longer than a question takes,
const UNKNOWN_PAUSE_MS: u64 = 50;
/// which takes so long where it was never measured.
const UNKNOWN_TRIP_MS: u64 = 200;

impl Core {
    /// Takes a packet; tells whether it was for us.
    pub(super) fn take_packet(&mut self, now: u64, packet: &mut [u8]) -> bool {
        match Packet::decode(packet, Side::Server) {
            Ok(Packet::Data { number, session, .. }) => self.data(now, number, session, packet),
            Ok(Packet::Welcome { number, noise }) => match self.at_door(number) {
                Some(at) => {
                    self.welcomed(now, at, noise);
                    true
                }
                // The answer to a probe.
                None => true,
            },
            Ok(Packet::Retry { number, cookie }) => {
                if let Some(at) = self.at_door(number)
                    && let Phase::Knocking(door) = &mut self.entries[at].phase
                {
                    door.retry(now, cookie);
                }
                true
            }
            Ok(Packet::Unknown { number, session }) => self.unknown(now, number, session),
            Ok(Packet::Resume { number, session, .. }) => self.resumed(now, number, session, packet),
            Ok(Packet::Hello { .. }) | Err(_) => false,
        }
    }

    fn at_door(&self, number: u32) -> Option<usize> {
        self.entries.iter().position(|entry| matches!(&entry.phase, Phase::Knocking(door) if door.number() == number))
    }

    fn data(&mut self, now: u64, number: u32, session: u32, packet: &mut [u8]) -> bool {
        if self.live.as_ref().is_some_and(|live| live.session.is(number, session)) {
            return self.live_data(now, packet);
        }
        let inside = |phase: &Phase| matches!(phase, Phase::Inside(inside) if inside.is(number, session));
        let Some(at) = self.entries.iter().position(|entry| inside(&entry.phase)) else {
            return self.leaving_data(now, number, session, packet);
        };
        let Phase::Inside(inside) = &mut self.entries[at].phase else { return false };
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let arrival = inside.link.receive(now, packet, &mut self.ciphers, &mut frames);
        inside.heard |= arrival.is_ok();
        match arrival.as_ref().map(|arrival| arrival.start) {
            // The server goes on with this session, and its answer was lost with the restart.
            Ok(Start::New) => self.entries[at].say_again(),
            Ok(Start::Left) => self.restart(now, at),
            _ => {}
        }
        let mut verdict = None;
        // What follows the verdict, stored messages say, is for the session that it makes.
        let mut taken = 0;
        for frame in frames.iter() {
            taken += 1;
            let Ok(frame) = Server::decode(frame.bytes, Dialect::Link) else { continue };
            verdict = self.entries[at].take(now, &frame);
            if verdict.is_some() {
                break;
            }
        }
        if let Some(verdict) = verdict {
            self.judged(now, at, verdict);
            let stands = self.live.as_ref().is_some_and(|live| live.session.is(number, session));
            frames.iter().skip(taken).filter(|_| stands).for_each(|frame| self.take_frame(now, frame.bytes));
        } else if arrival.as_ref().is_ok_and(|arrival| arrival.close.is_some()) {
            // Closed before it said anything: as good as unknown.
            self.restart(now, at);
        }
        self.frames = frames;
        arrival.is_ok()
    }

    fn live_data(&mut self, now: u64, packet: &mut [u8]) -> bool {
        let Some(live) = &mut self.live else { return false };
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let arrival = live.session.link.receive(now, packet, &mut self.ciphers, &mut frames);
        if let Ok(arrival) = &arrival {
            if live.pulse.heard() {
                self.happen(Event::Heard);
            }
            // Somebody said that the server does not know this session; it does.
            self.entries.retain(|entry| entry.caller().is_some() || matches!(entry.phase, Phase::Inside(_)));
            match arrival.start {
                Start::Same => {}
                Start::New => self.renew(),
                Start::Left => {
                    self.live = None;
                    self.reconnect(now);
                }
            }
            frames.iter().for_each(|frame| self.take_frame(now, frame.bytes));
            self.after(now, arrival);
        }
        self.frames = frames;
        arrival.is_ok()
    }

    fn after(&mut self, now: u64, arrival: &Arrival) {
        if let Some(close) = &arrival.close {
            self.closed(now, close.code, &close.reason);
        }
    }

    /// The server knows no such session. Nothing proves that, so the session stays until a new one stands.
    fn unknown(&mut self, now: u64, number: u32, session: u32) -> bool {
        if let Some(live) = &mut self.live
            && live.session.is(number, session)
        {
            if !self.entries.iter().any(|entry| !entry.is_register()) {
                // If it is not true, the answer to this comes before the pause has passed.
                live.pulse.hurry(now);
                let trip = live.session.link.round_trip_ms().map_or(UNKNOWN_TRIP_MS, u64::from);
                self.reconnect_at(now, Some(now + UNKNOWN_PAUSE_MS + 2 * trip));
            }
            return true;
        }
        let inside = |phase: &Phase| matches!(phase, Phase::Inside(inside) if inside.is(number, session));
        let Some(at) = self.entries.iter().position(|entry| inside(&entry.phase)) else { return false };
        self.restart(now, at);
        true
    }

    /// The server says that it has started anew. Only a data packet proves it, so nothing changes yet.
    fn resumed(&mut self, now: u64, number: u32, session: u32, packet: &[u8]) -> bool {
        if let Some(live) = &mut self.live
            && live.session.is(number, session)
        {
            let resumed = live.session.link.resume(now, packet);
            if resumed == Resumed::TooMany {
                self.live = None;
                self.reconnect(now);
            }
            return resumed != Resumed::Ignored;
        }
        for at in 0..self.entries.len() {
            if let Phase::Inside(inside) = &mut self.entries[at].phase
                && inside.is(number, session)
            {
                let resumed = inside.link.resume(now, packet);
                if resumed == Resumed::TooMany {
                    self.restart(now, at);
                }
                return resumed != Resumed::Ignored;
            }
        }
        false
    }

    /// The session of an entry is none: begins at the door again, but for a registration that may have been done.
    fn restart(&mut self, now: u64, at: usize) {
        let entry = &mut self.entries[at];
        let heard = matches!(&entry.phase, Phase::Inside(inside) if inside.heard);
        if heard && entry.is_register() {
            entry.give_up_at = Some(now);
            return;
        }
        let number = entry.number;
        let door = self.door_soon(now, number);
        self.entries[at].knock(door);
    }

    fn take_frame(&mut self, now: u64, bytes: &[u8]) {
        // A later server may say what this library does not know.
        let Ok(frame) = Server::decode(bytes, Dialect::Link) else { return };
        if let Server::Message { flag: 2, sender, id: Some(id), .. } = frame {
            if self.unshown.contains(&(sender, id)) {
                return;
            }
            if self.seen.contains(sender, id) {
                return self.acknowledge(now, sender, id);
            }
        }
        let (meant, outcome) = self.requests.take(now, &frame);
        if let Some(outcome) = outcome {
            let offline = matches!(&outcome.1, Ok(Reply::Status(super::Status::Offline)));
            self.finish(outcome);
            if offline {
                return;
            }
        }
        if meant {
            return;
        }
        match frame {
            Server::Receipt { id, state, reason, .. } => {
                self.outbox.receipt(now, id);
                if let (Some(watched), Some(state)) =
                    (self.watched.get_mut(&id), ReceiptState::from_code(state, reason))
                    && !watched.is_final()
                {
                    *watched = state;
                }
            }
            Server::Progress { peer, received, offer } => {
                self.transfers.progress((peer, offer.unwrap_or_default()), received);
            }
            Server::Notice { about: 0x15, .. } => self.transfers.refused(),
            Server::Notice { about: 0x03 | 0x04, code: code::BUSY | code::STORAGE, .. } => self.outbox.doubt(now),
            // There is no sign-in on this session: the server has lost it.
            Server::SignedIn { ok: 0, .. } | Server::Notice { code: 2, .. } => return self.reconnect(now),
            _ => {}
        }
        if let Some(event) = Event::from_frame(&frame) {
            self.happen(event);
        }
    }
}
