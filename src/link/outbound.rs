//! The sending half of a link (protocol.md 2.4): what waits, what is in flight, what is lost and goes again.

use super::congestion::Congestion;
use super::record::Ack;
use super::rtt::RoundTrip;
use crate::limits::{SEGMENT_BYTES, SEGMENTS_IN_FLIGHT, UNACKNOWLEDGED};
use std::collections::VecDeque;

/// Later segments acknowledged after which one counts as lost.
const LATER: u8 = 3;
/// Timeouts in a row after which the path is held to be broken.
const BROKEN: u8 = 3;

/// Segments in order, from the first of the oldest frame that has not wholly arrived.
#[derive(Debug)]
pub(super) struct Outbound {
    queue: Queue,
    /// The next frame's first segment gets this.
    next: u32,
    /// How many at the front of the queue have gone out at least once, and how many before the first that has not arrived.
    sent: u32,
    arrived: u32,
    in_flight: u16,
    lost: u16,
    peer_window: u16,
    bytes: u32,
    /// When the oldest in flight counts as lost; 0 while nothing is in flight.
    timeout_ms: u64,
    pub trip: RoundTrip,
    pub congestion: Congestion,
}

/// Segments in order. A box, and none while there are none: an idle link has no memory for them.
#[derive(Debug, Default)]
struct Queue(Option<Box<Segments>>);

#[derive(Debug, Default)]
struct Segments(VecDeque<Segment>);

impl Queue {
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |segments| segments.0.len())
    }

    fn get(&self, at: usize) -> Option<&Segment> {
        self.0.as_ref()?.0.get(at)
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut Segment> {
        self.0.as_mut()?.0.get_mut(at)
    }

    fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.0.iter().flat_map(|segments| segments.0.iter())
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.0.iter_mut().flat_map(|segments| segments.0.iter_mut())
    }

    fn push_back(&mut self, segment: Segment) {
        self.0.get_or_insert_default().0.push_back(segment);
    }

    fn pop_front(&mut self) -> Option<Segment> {
        let segments = self.0.as_mut()?;
        let first = segments.0.pop_front();
        if segments.0.is_empty() {
            self.0 = None;
        }
        first
    }
}

#[derive(Debug)]
struct Segment {
    bytes: Box<[u8]>,
    last: bool,
    state: State,
    /// How often it went out; counts no further than two.
    sends: u8,
    /// Segments acknowledged that went out after it.
    later: u8,
    /// The packet that it last went out with.
    counter: u64,
    first_ms: u64,
    sent_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Flying,
    Lost,
    Arrived,
}

impl Outbound {
    pub fn new() -> Self {
        Self {
            queue: Queue::default(),
            next: 0,
            sent: 0,
            arrived: 0,
            in_flight: 0,
            lost: 0,
            peer_window: SEGMENTS_IN_FLIGHT as u16,
            bytes: 0,
            timeout_ms: 0,
            trip: RoundTrip::default(),
            congestion: Congestion::new(),
        }
    }

    /// Queues a whole frame, and gives the seq of its last segment.
    pub fn push(&mut self, frame: &[u8]) -> u32 {
        debug_assert!(!frame.is_empty(), "a frame has a header");
        let mut rest = frame;
        while !rest.is_empty() {
            let (bytes, after) = rest.split_at(rest.len().min(SEGMENT_BYTES));
            rest = after;
            self.queue.push_back(Segment {
                bytes: bytes.into(),
                last: rest.is_empty(),
                state: State::Waiting,
                sends: 0,
                later: 0,
                counter: 0,
                first_ms: 0,
                sent_ms: 0,
            });
            self.next = self.next.wrapping_add(1);
        }
        self.bytes += frame.len() as u32;
        self.next.wrapping_sub(1)
    }

    /// Bytes that have not arrived, as far as is known.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// The seq of the first in the queue.
    fn base(&self) -> u32 {
        self.next.wrapping_sub(self.queue.len() as u32)
    }

    /// Whether this segment and all before it have arrived.
    pub fn has_arrived(&self, seq: u32) -> bool {
        (self.base().wrapping_add(self.arrived).wrapping_sub(seq) as i32) > 0
    }

    /// Takes what the peer says has arrived; whether any of it is new. `next_counter` is the next packet to go out.
    pub fn acknowledge(&mut self, now_ms: u64, ack: Ack, next_counter: u64) -> bool {
        let below = ack.next.wrapping_sub(self.base()) as i32;
        if below > self.sent as i32 {
            // It speaks of what was never sent.
            return false;
        }
        let full = usize::from(self.in_flight) >= self.congestion.window();
        let mut counters = [0; SEGMENTS_IN_FLIGHT];
        let (mut count, mut newest, mut sample) = (0, 0, None);
        let arrived = |at: usize| {
            let beyond = at as i32 - below;
            beyond < 0 || (1..=64).contains(&beyond) && ack.bits >> (beyond - 1) & 1 == 1
        };
        for (at, segment) in self.queue.iter_mut().take(self.sent as usize).enumerate() {
            if segment.state == State::Arrived || !arrived(at) {
                continue;
            }
            match segment.state {
                State::Flying => self.in_flight -= 1,
                State::Lost => self.lost -= 1,
                State::Waiting | State::Arrived => unreachable!("it was sent, and had not arrived"),
            }
            segment.state = State::Arrived;
            if count < counters.len() {
                counters[count] = segment.counter;
                count += 1;
            }
            if segment.counter >= newest {
                newest = segment.counter;
                sample = (segment.sends == 1).then_some(segment.sent_ms);
            }
        }
        self.peer_window = ack.window.min(SEGMENTS_IN_FLIGHT as u16);
        if count == 0 {
            return false;
        }
        if let Some(sent_ms) = sample {
            self.trip.measure(now_ms.saturating_sub(sent_ms).saturating_sub(u64::from(ack.delay_ms)));
        }
        self.trip.progress();
        self.congestion.acknowledged(count, newest, full);
        self.find_lost(&counters[..count], next_counter);
        self.drop_arrived();
        self.timeout_ms = if self.in_flight > 0 { now_ms + self.trip.timeout_ms() } else { 0 };
        true
    }

    /// Three segments that went out after it have arrived: it has not, and will not (protocol.md 2.4).
    fn find_lost(&mut self, arrived: &[u64], next_counter: u64) {
        if self.in_flight == 0 {
            return;
        }
        for segment in self.queue.iter_mut().take(self.sent as usize).filter(|one| one.state == State::Flying) {
            let later = arrived.iter().filter(|counter| **counter > segment.counter).count();
            segment.later = segment.later.saturating_add(later as u8);
            if segment.later >= LATER {
                segment.state = State::Lost;
                self.in_flight -= 1;
                self.lost += 1;
                self.congestion.lost(segment.counter, next_counter);
            }
        }
    }

    /// Lets go of frames that have wholly arrived.
    fn drop_arrived(&mut self) {
        loop {
            let end = self.queue.iter().position(|segment| segment.last);
            let Some(end) = end else { break };
            if self.queue.iter().take(end + 1).any(|segment| segment.state != State::Arrived) {
                break;
            }
            for _ in 0..=end {
                self.bytes -= self.queue.pop_front().map_or(0, |segment| segment.bytes.len() as u32);
            }
            self.sent -= end as u32 + 1;
        }
        self.arrived = self.queue.iter().take_while(|segment| segment.state == State::Arrived).count() as u32;
    }

    /// Looks at the timer: what is in flight for too long is lost.
    pub fn look(&mut self, now_ms: u64, next_counter: u64) {
        if self.timeout_ms == 0 || now_ms < self.timeout_ms {
            return;
        }
        self.timeout_ms = 0;
        self.trip.expired();
        for segment in self.queue.iter_mut().take(self.sent as usize).filter(|one| one.state == State::Flying) {
            segment.state = State::Lost;
            self.in_flight -= 1;
            self.lost += 1;
            self.congestion.lost(segment.counter, next_counter);
        }
        if self.trip.expiries() >= BROKEN {
            self.congestion.collapse();
        }
    }

    /// What is in flight went another way, and is as good as lost: the way, not its load, is to blame.
    pub fn path_changed(&mut self) {
        self.timeout_ms = 0;
        self.trip.progress();
        for segment in self.queue.iter_mut().take(self.sent as usize).filter(|one| one.state == State::Flying) {
            segment.state = State::Lost;
            self.in_flight -= 1;
            self.lost += 1;
        }
    }

    /// Which segment may go out now: one that was lost before one that is new.
    #[inline]
    fn sendable(&self) -> Option<usize> {
        if usize::from(self.in_flight) >= self.congestion.window() {
            return None;
        }
        if self.lost > 0 {
            return self.queue.iter().position(|segment| segment.state == State::Lost);
        }
        let ahead = self.sent - self.arrived;
        // A window of zero is tried with one segment: its opening may have been lost.
        let allowed = u32::from(self.peer_window.max(1));
        (ahead < allowed && (self.sent as usize) < self.queue.len()).then_some(self.sent as usize)
    }

    /// Whether something of at most so many bytes may go out now.
    #[inline]
    pub fn is_ready(&self, room: usize) -> bool {
        self.sendable().is_some_and(|at| self.queue.get(at).is_some_and(|segment| segment.bytes.len() <= room))
    }

    /// The next segment to go out with packet `counter`, if it is not longer than this: seq, whether it is the last of its
    /// frame, bytes.
    #[inline]
    pub fn take(&mut self, now_ms: u64, room: usize, counter: u64) -> Option<(u32, bool, &[u8])> {
        let at = self.sendable().filter(|at| self.queue.get(*at).is_some_and(|one| one.bytes.len() <= room))?;
        let seq = self.base().wrapping_add(at as u32);
        let segment = self.queue.get_mut(at)?;
        match segment.state {
            State::Lost => self.lost -= 1,
            _ => {
                self.sent += 1;
                segment.first_ms = now_ms;
            }
        }
        segment.state = State::Flying;
        segment.sends = (segment.sends + 1).min(2);
        segment.later = 0;
        segment.counter = counter;
        segment.sent_ms = now_ms;
        self.in_flight += 1;
        if self.timeout_ms == 0 {
            self.timeout_ms = now_ms + self.trip.timeout_ms();
        }
        Some((seq, segment.last, &segment.bytes))
    }

    /// When to look at the timer.
    pub fn timeout(&self) -> Option<u64> {
        (self.timeout_ms != 0).then_some(self.timeout_ms)
    }

    /// When the oldest segment has been on its way for too long.
    pub fn dies_at(&self) -> Option<u64> {
        let oldest = self.queue.get(self.arrived as usize).filter(|_| self.sent > self.arrived)?;
        Some(oldest.first_ms + UNACKNOWLEDGED.as_millis() as u64)
    }

    /// Begins anew with seq 0, and gives back the frames that have not wholly arrived, in order.
    pub fn reset(&mut self) -> Vec<Vec<u8>> {
        let (trip, queue) = (self.trip, std::mem::take(&mut self.queue));
        *self = Self { trip, ..Self::new() };
        let (mut frames, mut frame, mut whole) = (Vec::new(), Vec::new(), true);
        for segment in queue.0.into_iter().flat_map(|segments| segments.0) {
            frame.extend_from_slice(&segment.bytes);
            whole &= segment.state == State::Arrived;
            if segment.last {
                let frame = std::mem::take(&mut frame);
                if !std::mem::replace(&mut whole, true) {
                    frames.push(frame);
                }
            }
        }
        frames
    }
}
