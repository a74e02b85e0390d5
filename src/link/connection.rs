//! One link: what arrives, what goes out, and when (protocol.md 2.3 to 2.5).

mod sending;

use super::frames::Frames;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::packet::{Packet, Side};
use super::proof::Proof;
use super::record::Record;
use super::seal::{self, Ciphers, Keys};
use super::start::{self, FIRST, Resumed, Salt, Starts};
use super::window::ReplayWindow;
use crate::limits::{DATA_HEADER_BYTES, SEGMENT_BYTES, TAG_BYTES};
use crate::wire::Reader;
use std::fmt;
use std::hint::black_box;

/// Why a link is closed (protocol.md 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseCode {
    /// The user has signed out.
    SignedOut = 0,
    /// A new sign-in has taken its place.
    Replaced = 1,
    /// Nothing was heard for too long.
    Idle = 2,
    /// The server stops.
    ServerStops = 3,
    /// The peer did not keep to the protocol.
    ProtocolError = 4,
    /// The operator has ended it.
    Operator = 5,
    /// The same client goes on by another link, with fresh keys.
    Rekeyed = 6,
}

/// The peer has closed the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why: see [`CloseCode`].
    pub code: u8,
    /// In words.
    pub reason: String,
}

/// What a packet says about the starts of the server (protocol.md 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is of the start that the link is in.
    Same,
    /// The server has started anew (clients only): both directions begin again, and [`Link::take_unacknowledged`] has
    /// what must be sent again.
    New,
    /// The server is in a start that the link has been in and has left (clients only): the link is of no use any more.
    Left,
}

/// A packet was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// It has the highest counter so far: the peer is where it came from.
    pub newest: bool,
    /// Of which start of the server it is.
    pub start: Start,
    /// Something that we have sent was acknowledged for the first time.
    pub progress: bool,
    /// The peer has closed the link.
    pub close: Option<Close>,
    /// It answers a challenge.
    pub response: Option<u64>,
}

/// A packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is no data packet of this link.
    NotMine,
    /// It was seen before, or is so old that nobody can tell.
    Seen,
    /// It was not sealed with the link's key, or was changed on its way.
    Forged,
    /// It is genuine, but its content is none: the peer does not keep to the protocol.
    Malformed,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMine => "no data packet of this link",
            Self::Seen => "seen before, or too old",
            Self::Forged => "not sealed with this link's key",
            Self::Malformed => "genuine, but malformed",
        })
    }
}

impl std::error::Error for Dropped {}

/// One link to one peer.
///
/// Give it every packet with [`receive`](Self::receive) and frames with [`send`](Self::send); after either, and when
/// [`deadline`](Self::deadline) has come, call [`poll`](Self::poll) until it has no more packets. Times are milliseconds
/// of any clock that only moves forward.
pub struct Link {
    /// Of the present start.
    keys: Keys,
    number: u32,
    session: u32,
    /// Of the next packet that goes out.
    counter: u64,
    window: ReplayWindow,
    inbound: Inbound,
    outbound: Outbound,
    /// What most links of a server have nothing of.
    extra: Option<Box<Extra>>,
    /// Something of that waits to go out.
    speaks: bool,
    side: Side,
    closed: bool,
    /// The peer's address has yet to prove itself: see [`Link::confine`].
    confined: bool,
}

#[derive(Default)]
struct Extra {
    /// What other starts of the server need: see [`forget_base`](Link::forget_base).
    starts: Option<Starts>,
    loose: Vec<Box<[u8]>>,
    close: Option<(CloseCode, Box<str>)>,
    unacknowledged: Vec<Vec<u8>>,
    /// A challenge that is to be answered (clients only).
    proof: Option<Proof>,
}

impl Link {
    /// A link with the base keys of a handshake.
    pub fn new(side: Side, number: u32, session: u32, base: Keys) -> Self {
        Self::of_start(side, number, session, base, FIRST)
    }

    /// The server's end of a link that it has kept over its start, which has drawn this salt.
    pub fn kept(number: u32, session: u32, base: Keys, salt: Salt) -> Self {
        Self::of_start(Side::Server, number, session, base, salt)
    }

    fn of_start(side: Side, number: u32, session: u32, base: Keys, salt: Salt) -> Self {
        Self {
            keys: start::start_keys(&base, &salt),
            number,
            session,
            counter: 0,
            window: ReplayWindow::new(),
            inbound: Inbound::default(),
            outbound: Outbound::new(),
            extra: Some(Box::new(Extra { starts: Some(Starts::new(base, salt)), ..Extra::default() })),
            speaks: false,
            side,
            closed: false,
            confined: false,
        }
    }

    /// Reads a little of each part, so that all of it is in the processor's cache soon.
    pub fn expect(&self) {
        black_box((self.counter, self.keys.to_server[0], self.keys.to_client[31], self.number, &self.window));
        black_box((self.inbound.ack_due(), self.outbound.has_arrived(0)));
    }

    /// From now on little is kept of what is incomplete: the peer has proven nothing. False if more is kept already: then the
    /// link cannot go on.
    pub fn narrow(&mut self) -> bool {
        self.inbound.narrow()
    }

    /// From now on frames of any size are taken.
    pub fn widen(&mut self) {
        self.inbound.widen();
    }

    /// From now on the peer is to send nothing new, until [`open_window`](Self::open_window). What is under way is taken.
    pub fn shut_window(&mut self) {
        self.inbound.shut();
    }

    /// The peer may send again, and is told so at once.
    pub fn open_window(&mut self) {
        self.inbound.open();
    }

    /// Its service number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its session.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Its base keys, to be kept.
    pub fn base_keys(&self) -> Option<Keys> {
        self.starts().map(|starts| starts.base)
    }

    fn starts(&self) -> Option<&Starts> {
        self.extra.as_ref()?.starts.as_ref()
    }

    /// A server needs the base keys of a link no more that was made during its present start, once they are stored: that
    /// saves memory.
    pub fn forget_base(&mut self) {
        if let Some(extra) = &mut self.extra
            && self.side == Side::Server
        {
            extra.starts.take_if(|starts| starts.salt == FIRST);
            self.shed_extra();
        }
    }

    /// Whether the server has kept it over its start.
    pub fn is_kept(&self) -> bool {
        self.starts().is_some_and(|starts| starts.salt != FIRST)
    }

    /// Appends the packet that tells the client of the server's start (protocol.md 2.5), if this link was kept over it. It
    /// changes nothing here.
    pub fn write_resume(&self, out: &mut Vec<u8>) -> bool {
        let Some(starts) = self.starts().filter(|starts| starts.salt != FIRST) else { return false };
        start::write_resume(&starts.base, self.number, self.session, &starts.salt, out);
        true
    }

    /// Takes the server's word that it has started anew. Nothing comes of it but an answer under the keys of that start:
    /// the link enters it with the first data packet that proves it.
    pub fn resume(&mut self, now_ms: u64, packet: &[u8]) -> Resumed {
        let starts = self.extra.as_mut().and_then(|extra| extra.starts.as_mut());
        match (Packet::decode(packet, self.side.peer()), starts) {
            (Ok(Packet::Resume { number, session, salt, .. }), Some(starts))
                if (number, session) == (self.number, self.session) && !self.closed =>
            {
                starts.propose(now_ms, salt, packet)
            }
            _ => Resumed::Ignored,
        }
    }

    /// Opens a packet in place and takes its records. Frames that are complete by it are added to `frames`.
    pub fn receive(
        &mut self,
        now_ms: u64,
        packet: &mut [u8],
        ciphers: &mut Ciphers,
        frames: &mut Frames,
    ) -> Result<Arrival, Dropped> {
        let counter = match Packet::decode(packet, self.side.peer()) {
            Ok(Packet::Data { number, session, counter }) if (number, session) == (self.number, self.session) => {
                counter
            }
            _ => return Err(Dropped::NotMine),
        };
        if self.side == Side::Client && self.starts().is_some_and(Starts::has_proposals) {
            return self.receive_between_starts(now_ms, counter, packet, ciphers, frames);
        }
        if !self.window.is_new(counter) {
            return Err(Dropped::Seen);
        }
        let (_, key) = start::directions(self.side, &self.keys);
        seal::open(ciphers, key, counter, packet).ok_or(Dropped::Forged)?;
        let newest = self.window.remember(counter);
        let arrival = Arrival { newest, start: Start::Same, progress: false, close: None, response: None };
        self.take(now_ms, arrival, packet, frames)
    }

    /// The same while other starts are proposed: a packet of one of them proves it.
    #[cold]
    fn receive_between_starts(
        &mut self,
        now_ms: u64,
        counter: u64,
        packet: &mut [u8],
        ciphers: &mut Ciphers,
        frames: &mut Frames,
    ) -> Result<Arrival, Dropped> {
        let starts = self.extra.as_mut().and_then(|extra| extra.starts.as_mut());
        let Some(starts) = starts else { return Err(Dropped::NotMine) };
        starts.forget_proposals(now_ms);
        let mut arrival = Arrival { newest: true, start: Start::Same, progress: false, close: None, response: None };
        if let Some(proven) = starts.open(ciphers, counter, packet) {
            if proven.left {
                arrival.start = Start::Left;
                return Ok(arrival);
            }
            starts.enter(&proven, self.counter, self.window.next());
            (self.keys, self.counter, self.window) = (proven.keys, proven.counter, ReplayWindow::new());
            self.window.remember(counter);
            self.begin_anew();
            arrival.start = Start::New;
            return self.take(now_ms, arrival, packet, frames);
        }
        if !self.window.is_new(counter) {
            return Err(Dropped::Seen);
        }
        let (_, key) = start::directions(self.side, &self.keys);
        seal::open(ciphers, key, counter, packet).ok_or(Dropped::Forged)?;
        arrival.newest = self.window.remember(counter);
        self.take(now_ms, arrival, packet, frames)
    }

    /// Takes the records of a packet that was opened.
    #[inline]
    fn take(
        &mut self,
        now_ms: u64,
        mut arrival: Arrival,
        packet: &[u8],
        frames: &mut Frames,
    ) -> Result<Arrival, Dropped> {
        let mut reader = Reader::new(&packet[DATA_HEADER_BYTES..packet.len() - TAG_BYTES], DATA_HEADER_BYTES);
        let mut challenge = None;
        while let Some(record) = Record::read(&mut reader).map_err(|_| Dropped::Malformed)? {
            match record {
                Record::Ack(ack) => {
                    arrival.progress |= self.outbound.acknowledge(now_ms, ack, self.counter, !self.confined);
                }
                Record::Segment { seq, last, bytes } => {
                    self.inbound.accept(now_ms, seq, last, bytes, frames).map_err(|_| Dropped::Malformed)?;
                }
                Record::Loose(bytes) => frames.push([bytes, &[]], true),
                Record::Close { code, reason } => {
                    // Keys outlive a server that stops: its next start goes on with this link (protocol.md 2.5).
                    self.closed |= code != CloseCode::ServerStops as u8;
                    arrival.close = Some(Close { code, reason: reason.to_owned() });
                }
                Record::Challenge(nonce) => challenge = Some(nonce),
                Record::Response(nonce) => arrival.response = Some(nonce),
            }
        }
        if self.side == Side::Client {
            self.challenged(now_ms, challenge);
        }
        Ok(arrival)
    }

    /// A packet of the server has come, with a challenge or without: then our address has proven itself.
    fn challenged(&mut self, now_ms: u64, challenge: Option<u64>) {
        match (challenge, &mut self.extra) {
            (Some(nonce), extra) => extra.get_or_insert_default().proof = Some(Proof::new(now_ms, nonce)),
            (None, Some(extra)) if extra.proof.is_some() => {
                extra.proof = None;
                self.shed_extra();
            }
            (None, _) => {}
        }
    }

    /// When an answer to a challenge is to go out.
    fn proof_due(&self) -> Option<u64> {
        self.extra.as_ref()?.proof?.due()
    }

    /// Segment numbers of both directions start from 0, half-received frames are dropped (protocol.md 2.5).
    fn begin_anew(&mut self) {
        self.inbound = Inbound::default();
        // The server waits for nothing so much as for a packet of its new start.
        self.inbound.want_ack();
        let frames = self.outbound.reset();
        self.extra.get_or_insert_default().unacknowledged.extend(frames);
    }

    /// Frames that were not acknowledged when the server started anew, in order. They were taken out of the link.
    pub fn take_unacknowledged(&mut self) -> Vec<Vec<u8>> {
        self.extra.as_mut().map(|extra| std::mem::take(&mut extra.unacknowledged)).unwrap_or_default()
    }

    /// Queues a whole frame, and gives the seq of its last segment for [`has_arrived`](Self::has_arrived).
    pub fn send(&mut self, frame: &[u8]) -> u32 {
        self.outbound.push(frame)
    }

    /// Sends a small frame once, outside the order: a connection test. One that does not fit a packet beside an ack is
    /// not sent.
    pub fn send_loose(&mut self, frame: &[u8]) {
        if frame.len() <= SEGMENT_BYTES {
            self.extra.get_or_insert_default().loose.push(frame.into());
            self.speaks = true;
        }
    }

    /// Whether a frame whose last segment is this one has arrived, and everything before it.
    pub fn has_arrived(&self, seq: u32) -> bool {
        self.outbound.has_arrived(seq)
    }

    /// The memory for frames that have not arrived, as far as is known.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.bytes()
    }

    /// An ack is to go out with the next packet, even if nothing has come.
    pub fn want_ack(&mut self) {
        self.inbound.want_ack();
    }

    /// The peer is somewhere else now: what was in flight to where it was goes out again at once, and has its time anew.
    pub fn path_changed(&mut self, now_ms: u64) {
        self.outbound.path_changed(now_ms);
    }

    /// The peer may not be where its packets come from: nothing that it acknowledges opens the congestion window, until
    /// `confined` is false. What goes there meanwhile is for [`poll_unproven`](Self::poll_unproven) to make.
    pub fn confine(&mut self, confined: bool) {
        if confined && !self.confined {
            self.outbound.congestion.restart(self.counter);
        }
        self.confined = confined;
    }

    /// Says farewell: the next packet is the last one.
    /// It can be said again to a peer that has missed it; one that is still to go out keeps its words.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.extra.get_or_insert_default().close.get_or_insert_with(|| (code, reason.into()));
        self.speaks = true;
    }

    /// Whether it was closed, by either side.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Gives back the memory of what is rare, if there is nothing of it.
    fn shed_extra(&mut self) {
        self.extra.take_if(|extra| {
            let Extra { starts, loose, close, unacknowledged, proof } = &**extra;
            let queues = loose.is_empty() && unacknowledged.is_empty();
            starts.is_none() && queues && close.is_none() && proof.is_none()
        });
    }

    /// Whether its farewell is still to go out.
    fn is_leaving(&self) -> bool {
        self.speaks && self.extra.as_ref().is_some_and(|extra| extra.close.is_some())
    }

    /// The plaintext of a packet of the peer; nothing is changed by it.
    #[cfg(test)]
    pub fn peek_for_test(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let Ok(Packet::Data { counter, .. }) = Packet::decode(packet, self.side.peer()) else { return None };
        let (_, key) = start::directions(self.side, &self.keys);
        let mut packet = packet.to_vec();
        Some(seal::open(&mut Ciphers::new(1), key, counter, &mut packet)?.to_vec())
    }

    /// Nothing is expected for a while: memory that is not needed now is given back.
    pub fn rest(&mut self) {
        self.outbound.rest();
    }

    /// When [`poll`](Self::poll) will have something; 0 if it has already.
    pub fn deadline(&self) -> Option<u64> {
        if self.closed {
            return self.is_leaving().then_some(0);
        }
        if self.speaks || self.outbound.is_ready(SEGMENT_BYTES) {
            return Some(0);
        }
        let mut due = [self.inbound.ack_due(), self.outbound.timeout(), self.outbound.dies_at(), None, None];
        if self.side == Side::Client {
            (due[3], due[4]) = (self.starts().and_then(Starts::answer_at), self.proof_due());
        }
        due.into_iter().flatten().min()
    }

    /// Whether the peer is gone: a segment was not acknowledged for 32 s.
    pub fn is_dead(&self, now_ms: u64) -> bool {
        self.outbound.dies_at().is_some_and(|at| at <= now_ms)
    }

    /// Whether something that was sent has not been acknowledged.
    pub fn is_waiting(&self) -> bool {
        self.outbound.awaits()
    }

    /// The smoothed round trip, once it was measured.
    pub fn round_trip_ms(&self) -> Option<u32> {
        self.outbound.trip.smoothed_ms()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, session, side, .. } = self;
        write!(f, "Link({side:?} {number} session {session})")
    }
}
