//! One link: what arrives, what goes out, and when (protocol.md 2.3 to 2.5).

use super::frames::Frames;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::packet::{Packet, Side, begin_data, write_length};
use super::record::Record;
use super::seal::{self, Ciphers, Keys};
use super::window::ReplayWindow;
use crate::limits::{
    ACK_BYTES, DATA_HEADER_BYTES, DATAGRAM_BYTES, HEADER_BYTES, SEGMENT_BYTES, SEGMENT_HEADER_BYTES, TAG_BYTES,
};
use crate::wire::{Field, Reader};
use std::fmt;
use std::hint::black_box;

/// The server's packets of epoch e are numbered from e · 2^40 on. So the next epoch never uses a counter again, and
/// nothing has to be written while the server runs.
const EPOCH_SHIFT: u32 = 40;

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
}

/// The peer has closed the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why: see [`CloseCode`].
    pub code: u8,
    /// In words.
    pub reason: String,
}

/// How a packet's epoch compares with the link's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochChange {
    /// The same.
    Same,
    /// From before a restart of the server: its records were ignored. A server answers with
    /// [`Link::answer_old_epoch`].
    Older,
    /// The server has started anew (clients only): both directions begin again, and [`Link::take_unacknowledged`] has
    /// what must be sent again.
    Newer,
}

/// A packet was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// It has the highest counter so far: the peer is where it came from.
    pub newest: bool,
    /// Its epoch.
    pub epoch: EpochChange,
    /// Something that we have sent was acknowledged for the first time.
    pub progress: bool,
    /// The peer has closed the link.
    pub close: Option<Close>,
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
    /// It is genuine, but from an epoch that is yet to come.
    Future,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMine => "no data packet of this link",
            Self::Seen => "seen before, or too old",
            Self::Forged => "not sealed with this link's key",
            Self::Malformed => "genuine, but malformed",
            Self::Future => "of an epoch that is yet to come",
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
    keys: Keys,
    number: u32,
    session: u32,
    /// Of the next packet that goes out.
    counter: u64,
    window: ReplayWindow,
    inbound: Inbound,
    outbound: Outbound,
    /// Rare things that wait to go out.
    extra: Option<Box<Extra>>,
    epoch: u16,
    side: Side,
    closed: bool,
}

#[derive(Default)]
struct Extra {
    loose: Vec<Box<[u8]>>,
    close: Option<(CloseCode, Box<str>)>,
    unacknowledged: Vec<Vec<u8>>,
}

impl Link {
    /// A link with the keys of a handshake. Only a server that has restarted begins with an epoch other than 0.
    pub fn new(side: Side, number: u32, session: u32, keys: Keys, epoch: u16) -> Self {
        let counter = if side == Side::Server { u64::from(epoch) << EPOCH_SHIFT } else { 0 };
        Self {
            keys,
            number,
            session,
            counter,
            window: ReplayWindow::new(),
            inbound: Inbound::default(),
            outbound: Outbound::new(),
            extra: None,
            epoch,
            side,
            closed: false,
        }
    }

    /// Reads a little of each part, so that all of it is in the processor's cache soon.
    pub fn expect(&self) {
        black_box((self.counter, self.keys.to_server[0], self.keys.to_client[31], self.number, &self.window));
        black_box((self.inbound.ack_due(), self.outbound.has_arrived(0)));
    }

    /// From now on little is kept of what is incomplete: the peer has proven nothing.
    pub fn narrow(&mut self) {
        self.inbound.narrow();
    }

    /// From now on frames of any size are taken.
    pub fn widen(&mut self) {
        self.inbound.widen();
    }

    /// Its service number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its session.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Its keys, to be kept.
    pub fn keys(&self) -> Keys {
        self.keys
    }

    /// Its epoch: how often the server has started since the handshake.
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The keys of what we send and of what we get.
    fn directions(&self) -> ([u8; 32], [u8; 32]) {
        match self.side {
            Side::Client => (self.keys.to_server, self.keys.to_client),
            Side::Server => (self.keys.to_client, self.keys.to_server),
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
        if !self.window.is_new(counter) {
            return Err(Dropped::Seen);
        }
        let (_, key) = self.directions();
        let plain = seal::open(ciphers, &key, counter, packet).ok_or(Dropped::Forged)?;
        let newest = self.window.remember(counter);
        let mut arrival = Arrival { newest, epoch: EpochChange::Same, progress: false, close: None };
        let mut reader = Reader::new(plain, DATA_HEADER_BYTES);
        let epoch = u16::read(&mut reader).map_err(|_| Dropped::Malformed)?;
        if epoch < self.epoch {
            arrival.epoch = EpochChange::Older;
            return Ok(arrival);
        }
        if epoch > self.epoch {
            if self.side == Side::Server {
                return Err(Dropped::Future);
            }
            self.enter(epoch);
            arrival.epoch = EpochChange::Newer;
        }
        while let Some(record) = Record::read(&mut reader).map_err(|_| Dropped::Malformed)? {
            match record {
                Record::Ack(ack) => arrival.progress |= self.outbound.acknowledge(now_ms, ack, self.counter),
                Record::Segment { seq, last, bytes } => {
                    self.inbound.accept(now_ms, seq, last, bytes, frames).map_err(|_| Dropped::Malformed)?;
                }
                Record::Loose(bytes) => frames.push([bytes, &[]], true),
                Record::Close { code, reason } => {
                    // Keys outlive a server that stops: its next start goes on with this link (protocol.md 2.5).
                    self.closed |= code != CloseCode::ServerStops as u8;
                    arrival.close = Some(Close { code, reason: reason.to_owned() });
                }
            }
        }
        Ok(arrival)
    }

    /// Segment numbers of both directions start from 0, half-received frames are dropped (protocol.md 2.5).
    fn enter(&mut self, epoch: u16) {
        self.epoch = epoch;
        self.inbound = Inbound::default();
        // The server waits for nothing so much as for a packet of the new epoch.
        self.inbound.want_ack();
        let frames = self.outbound.reset();
        self.extra.get_or_insert_default().unacknowledged.extend(frames);
    }

    /// Frames that were not acknowledged when the epoch changed, in order. They were taken out of the link.
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
        }
    }

    /// Whether a frame whose last segment is this one has arrived, and everything before it.
    pub fn has_arrived(&self, seq: u32) -> bool {
        self.outbound.has_arrived(seq)
    }

    /// Bytes of frames that have not arrived, as far as is known.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.bytes()
    }

    /// An ack is to go out with the next packet, even if nothing has come.
    pub fn want_ack(&mut self) {
        self.inbound.want_ack();
    }

    /// The peer is somewhere else now: what was in flight to where it was goes out again at once.
    pub fn path_changed(&mut self) {
        self.outbound.path_changed();
    }

    /// Says farewell: the next packet is the last one.
    /// It can be said again to a peer that has missed it.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.extra.get_or_insert_default().close = Some((code, reason.into()));
    }

    /// Whether it was closed, by either side.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Appends one sealed packet, if one is to go out now.
    pub fn poll(&mut self, now_ms: u64, ciphers: &mut Ciphers, out: &mut Vec<u8>) -> bool {
        self.poll_within(now_ms, DATAGRAM_BYTES, ciphers, out)
    }

    /// The same with a packet of at most so many bytes, which must be room for an ack (64 bytes). What does not fit waits.
    pub fn poll_within(&mut self, now_ms: u64, most: usize, ciphers: &mut Ciphers, out: &mut Vec<u8>) -> bool {
        let farewell = self.extra.as_ref().is_some_and(|extra| extra.close.is_some());
        if self.closed && !farewell {
            return false;
        }
        self.outbound.look(now_ms, self.counter);
        let ack_is_due = self.inbound.ack_due().is_some_and(|due| due <= now_ms);
        let waits = farewell || self.extra.as_ref().is_some_and(|extra| !extra.loose.is_empty());
        let room = most.saturating_sub(DATA_HEADER_BYTES + 2 + ACK_BYTES + SEGMENT_HEADER_BYTES + TAG_BYTES);
        if !ack_is_due && !waits && !self.outbound.is_ready(room) {
            return false;
        }
        let start = self.begin(out);
        if let Some(ack) = self.inbound.ack(now_ms) {
            Record::Ack(ack).write(out);
            self.inbound.acknowledged();
        }
        let most = start + most.min(DATAGRAM_BYTES) - TAG_BYTES;
        if waits {
            self.write_extra(out, most);
        }
        while let Some(room) = most.checked_sub(out.len() + SEGMENT_HEADER_BYTES)
            && let Some((seq, last, bytes)) = self.outbound.take(now_ms, room, self.counter)
        {
            Record::Segment { seq, last, bytes }.write(out);
        }
        self.finish(ciphers, out, start);
        true
    }

    fn write_extra(&mut self, out: &mut Vec<u8>, most: usize) {
        const LOOSE_HEADER_BYTES: usize = 3;
        const CLOSE_HEADER_BYTES: usize = 4;
        let Some(extra) = &mut self.extra else { return };
        let mut written = 0;
        for frame in &extra.loose {
            if out.len() + LOOSE_HEADER_BYTES + frame.len() > most {
                break;
            }
            Record::Loose(frame).write(out);
            written += 1;
        }
        extra.loose.drain(..written);
        if let Some((code, reason)) = extra.close.take() {
            // The code always fits; words are cut where the peer has not proven to be there.
            let room = most.saturating_sub(out.len() + CLOSE_HEADER_BYTES);
            let mut end = room.min(reason.len());
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            Record::Close { code: code as u8, reason: &reason[..end] }.write(out);
            self.closed = true;
            // Nothing else goes out or comes in any more.
            self.outbound.reset();
            self.inbound.forget_incomplete();
        }
        if extra.loose.is_empty() && extra.unacknowledged.is_empty() {
            self.extra = None;
        }
    }

    fn begin(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        begin_data(out, self.side, self.number, self.session, self.counter);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        start
    }

    fn finish(&mut self, ciphers: &mut Ciphers, out: &mut Vec<u8>, start: usize) {
        let length = out.len() - start + TAG_BYTES - HEADER_BYTES;
        write_length(&mut out[start..], length);
        let (key, _) = self.directions();
        seal::seal(ciphers, &key, self.counter, out, start);
        self.counter += 1;
    }

    /// Appends a packet with this plaintext, epoch and all, as `from` would seal it: for those who try what a peer with the
    /// right keys could send.
    #[doc(hidden)]
    pub fn seal_for_test(&mut self, from: Side, plain: &[u8], ciphers: &mut Ciphers, out: &mut Vec<u8>) {
        let start = out.len();
        begin_data(out, from, self.number, self.session, self.counter);
        out.extend_from_slice(plain);
        let length = out.len() - start + TAG_BYTES - HEADER_BYTES;
        write_length(&mut out[start..], length);
        let key = if from == Side::Client { self.keys.to_server } else { self.keys.to_client };
        seal::seal(ciphers, &key, self.counter, out, start);
    }

    /// Appends the answer to a packet of an older epoch, which has this many bytes: an ack in the present epoch, no longer
    /// than it. The epoch is what matters; the ack is left out where it does not fit. Nothing else is changed by it.
    pub fn answer_old_epoch(&mut self, now_ms: u64, bytes: usize, ciphers: &mut Ciphers, out: &mut Vec<u8>) {
        const ACK_PACKET_BYTES: usize = DATA_HEADER_BYTES + 2 + ACK_BYTES + TAG_BYTES;
        let start = self.begin(out);
        if bytes >= ACK_PACKET_BYTES {
            Record::Ack(self.inbound.ack_anyway(now_ms)).write(out);
        }
        self.finish(ciphers, out, start);
    }

    /// Nothing is expected for a while: memory that is not needed now is given back.
    pub fn rest(&mut self) {
        self.outbound.rest();
    }

    /// When [`poll`](Self::poll) will have something; 0 if it has already.
    pub fn deadline(&self) -> Option<u64> {
        if self.closed {
            return self.extra.as_ref().is_some_and(|extra| extra.close.is_some()).then_some(0);
        }
        let waits = self.extra.as_ref().is_some_and(|extra| !extra.loose.is_empty() || extra.close.is_some());
        if waits || self.outbound.is_ready(SEGMENT_BYTES) {
            return Some(0);
        }
        [self.inbound.ack_due(), self.outbound.timeout(), self.outbound.dies_at()].into_iter().flatten().min()
    }

    /// Whether the peer is gone: a segment was not acknowledged for 32 s, or all counters of the epoch are used.
    pub fn is_dead(&self, now_ms: u64) -> bool {
        let end = (u64::from(self.epoch) + 1) << EPOCH_SHIFT;
        // Room for a farewell is left.
        let spent = self.side == Side::Server && self.counter >= end - 1_024;
        spent || self.outbound.dies_at().is_some_and(|at| at <= now_ms)
    }

    /// Whether something that was sent has not been acknowledged.
    pub fn is_waiting(&self) -> bool {
        self.outbound.dies_at().is_some()
    }

    /// The smoothed round trip, once it was measured.
    pub fn round_trip_ms(&self) -> Option<u32> {
        self.outbound.trip.smoothed_ms()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, session, epoch, side, .. } = self;
        write!(f, "Link({side:?} {number} session {session} epoch {epoch})")
    }
}
