//! The receiving half of a link (protocol.md 2.3, 2.4): segments in any order come out as whole frames in their order,
//! and the peer is told what has arrived.

use super::frames::Frames;
use super::record::Ack;
use crate::limits::{ACK_DELAY, FRAME_BYTES, PARTIAL_BYTES, SEGMENTS_IN_FLIGHT};

const ACK_DELAY_MS: u64 = ACK_DELAY.as_millis() as u64;
/// Of a peer that has proven nothing no segment is kept beyond a gap, and of a frame no more than this before its last one.
const NARROW_SEGMENTS: usize = 1;

/// A frame that grows beyond what a frame can be: the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameTooLong;

/// What has arrived of the peer's segments.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// All below this one.
    next: u32,
    /// Segments since the last ack.
    unacknowledged: u8,
    /// An ack is to go out at once.
    at_once: bool,
    /// What has not proven itself is given little room: see [`Inbound::narrow`].
    narrow: bool,
    /// 0: the window is open. Otherwise it is shut, and one segment less than this is still taken: those that the peer was
    /// allowed to send before.
    shut: u8,
    /// When the newest segment came.
    newest_ms: u64,
    /// Only while something is incomplete.
    incomplete: Option<Box<Incomplete>>,
}

#[derive(Debug, Default)]
struct Incomplete {
    /// Segments beyond a gap, in order.
    ahead: Vec<Segment>,
    /// The beginning of a frame.
    partial: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    seq: u32,
    last: bool,
    bytes: Box<[u8]>,
}

impl Inbound {
    /// Keeps little of what is incomplete, until [`widen`](Self::widen): a registration and a sign-in are small, and
    /// anybody can have a link. False if there is more already, which has been acknowledged: the link cannot go on.
    pub fn narrow(&mut self) -> bool {
        self.narrow = true;
        self.incomplete.as_ref().is_none_or(|one| one.ahead.is_empty() && one.partial.len() <= PARTIAL_BYTES)
    }

    /// Lets go of everything that is incomplete.
    pub fn forget_incomplete(&mut self) {
        self.incomplete = None;
    }

    /// Keeps what any frame needs.
    pub fn widen(&mut self) {
        self.narrow = false;
    }

    /// Nothing new is to come for now: the window is 0. What may be under way already is taken.
    pub fn shut(&mut self) {
        if self.shut == 0 {
            (self.shut, self.at_once) = (SEGMENTS_IN_FLIGHT as u8 + 1, true);
        }
    }

    /// The window is open again, and the peer is told so at once.
    pub fn open(&mut self) {
        self.at_once |= std::mem::take(&mut self.shut) != 0;
    }

    /// How many segments from the next one on are taken.
    fn room(&self) -> usize {
        match (self.narrow, self.shut) {
            (true, _) => NARROW_SEGMENTS,
            (false, 0) => SEGMENTS_IN_FLIGHT,
            (false, shut) => usize::from(shut) - 1,
        }
    }

    /// The next segment is there.
    fn advance(&mut self) {
        self.next = self.next.wrapping_add(1);
        if self.shut > 1 {
            self.shut -= 1;
        }
    }

    /// Takes a segment, and hands up what it completes.
    pub fn accept(
        &mut self,
        now_ms: u64,
        seq: u32,
        last: bool,
        bytes: &[u8],
        frames: &mut Frames,
    ) -> Result<(), FrameTooLong> {
        let distance = seq.wrapping_sub(self.next) as i32;
        if distance < 0 || distance as usize >= self.room() {
            // Again, so our ack was lost; or beyond the window, where nothing has room.
            self.at_once = true;
            return Ok(());
        }
        if distance > 0 {
            self.at_once = true;
            let ahead = &mut self.incomplete.get_or_insert_default().ahead;
            if let Err(at) = ahead.binary_search_by_key(&distance, |one| one.seq.wrapping_sub(self.next) as i32) {
                ahead.insert(at, Segment { seq, last, bytes: bytes.into() });
                self.newest_ms = now_ms;
            }
            return Ok(());
        }
        self.newest_ms = now_ms;
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        self.advance();
        let most = if self.narrow { PARTIAL_BYTES } else { FRAME_BYTES };
        let Some(mut incomplete) = self.incomplete.take() else {
            if last {
                frames.push([bytes, &[]], false);
            } else {
                self.incomplete = Some(Box::new(Incomplete { ahead: Vec::new(), partial: bytes.to_vec() }));
            }
            return Ok(());
        };
        // A gap that closes is told at once, too: the peer may be waiting with its window full.
        self.at_once |= !incomplete.ahead.is_empty();
        incomplete.append(last, bytes, most, frames)?;
        let ready = incomplete.ahead.iter().enumerate();
        let ready = ready.take_while(|(at, one)| one.seq == self.next.wrapping_add(*at as u32)).count();
        for segment in incomplete.ahead.drain(..ready).collect::<Vec<_>>() {
            self.advance();
            incomplete.append(segment.last, &segment.bytes, most, frames)?;
        }
        if !incomplete.ahead.is_empty() || !incomplete.partial.is_empty() {
            self.incomplete = Some(incomplete);
        }
        Ok(())
    }

    /// What is to be told to the peer, if anything has come since the last time.
    pub fn ack(&self, now_ms: u64) -> Option<Ack> {
        (self.unacknowledged > 0 || self.at_once).then(|| self.ack_anyway(now_ms))
    }

    /// The same whether anything has come or not.
    pub fn ack_anyway(&self, now_ms: u64) -> Ack {
        let mut bits = 0;
        for segment in self.incomplete.iter().flat_map(|incomplete| &incomplete.ahead) {
            bits |= 1 << (segment.seq.wrapping_sub(self.next).wrapping_sub(1) % 64);
        }
        // Also where an ack is said again: then it is long ago, and the peer must not take that for a round trip.
        let delay = now_ms.saturating_sub(self.newest_ms);
        Ack {
            next: self.next,
            bits,
            delay_ms: u16::try_from(delay).unwrap_or(u16::MAX),
            window: if self.shut > 0 { 0 } else { SEGMENTS_IN_FLIGHT as u16 },
        }
    }

    /// When an ack must go out.
    #[inline]
    pub fn ack_due(&self) -> Option<u64> {
        if self.at_once || self.unacknowledged >= 2 {
            return Some(0);
        }
        (self.unacknowledged > 0).then_some(self.newest_ms + ACK_DELAY_MS)
    }

    /// An ack is to go out, whatever has come.
    pub fn want_ack(&mut self) {
        self.at_once = true;
    }

    /// An ack has gone out.
    pub fn acknowledged(&mut self) {
        self.unacknowledged = 0;
        self.at_once = false;
    }
}

impl Incomplete {
    fn append(&mut self, last: bool, bytes: &[u8], most: usize, frames: &mut Frames) -> Result<(), FrameTooLong> {
        // What the last segment completes is not kept.
        let kept = if last { self.partial.len() } else { self.partial.len() + bytes.len() };
        if kept > most || self.partial.len() + bytes.len() > FRAME_BYTES {
            return Err(FrameTooLong);
        }
        if last {
            frames.push([&self.partial, bytes], false);
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
        Ok(())
    }
}
