//! The sending half of a link (protocol.md 2.4): what waits, what is in flight, what is lost and goes again.

use super::congestion::Congestion;
use super::record::Ack;
use super::rtt::RoundTrip;
use crate::limits::{SEGMENT_BYTES, SEGMENT_COST_BYTES, SEGMENTS_IN_FLIGHT, UNACKNOWLEDGED};
use std::collections::VecDeque;

/// Later segments acknowledged after which one counts as lost.
const LATER: u8 = 3;
/// Timeouts in a row after which the path is held to be broken.
const BROKEN: u8 = 3;

/// What is to be sent, and what is known of the way there.
#[derive(Debug)]
pub(super) struct Outbound {
    /// None while the link [rests](Self::rest): then it has no memory for it.
    flight: Option<Box<Flight>>,
    /// The next frame's first segment gets this.
    next: u32,
    peer_window: u16,
    pub trip: RoundTrip,
    pub congestion: Congestion,
}

/// Segments in order, from the first of the oldest frame that has not wholly arrived.
#[derive(Debug, Default)]
struct Flight {
    queue: VecDeque<Segment>,
    /// How many at the front of the queue have gone out at least once, and how many before the first that has not arrived.
    sent: u32,
    arrived: u32,
    in_flight: u16,
    lost: u16,
    probe: Probe,
    bytes: u32,
    /// When the peer last said that it takes nothing new for now.
    shut_ms: u64,
    /// When the oldest in flight counts as lost; 0 while nothing is in flight.
    timeout_ms: u64,
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

/// Whether the last segment that was sent only asks if the peer's window is open again: it is not expected to be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    None,
    /// There is no answer yet.
    Asked,
    /// The window is still shut. It is asked again when the timer has run.
    Answered,
}

// A queue that has just grown is half empty, and an allocation has a header or is rounded up.
const _: () = assert!(2 * size_of::<Segment>() + 16 <= SEGMENT_COST_BYTES);

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
            flight: None,
            next: 0,
            peer_window: SEGMENTS_IN_FLIGHT as u16,
            trip: RoundTrip::default(),
            congestion: Congestion::new(),
        }
    }

    /// Queues a whole frame, and gives the seq of its last segment.
    pub fn push(&mut self, frame: &[u8]) -> u32 {
        debug_assert!(!frame.is_empty(), "a frame has a header");
        let flight = self.flight.get_or_insert_default();
        let mut rest = frame;
        while !rest.is_empty() {
            let (bytes, after) = rest.split_at(rest.len().min(SEGMENT_BYTES));
            rest = after;
            flight.queue.push_back(Segment {
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
        flight.bytes += (frame.len() + frame.len().div_ceil(SEGMENT_BYTES) * SEGMENT_COST_BYTES) as u32;
        self.next.wrapping_sub(1)
    }

    /// The memory for what has not arrived, as far as is known.
    pub fn bytes(&self) -> usize {
        self.flight.as_ref().map_or(0, |flight| flight.bytes as usize)
    }

    /// Whether this segment and all before it have arrived.
    pub fn has_arrived(&self, seq: u32) -> bool {
        let (length, arrived) = self.flight.as_ref().map_or((0, 0), |flight| (flight.length(), flight.arrived));
        (self.next.wrapping_sub(length).wrapping_add(arrived).wrapping_sub(seq) as i32) > 0
    }

    /// Takes what the peer says has arrived; whether any of it is new. `next_counter` is the next packet to go out; `opens`:
    /// the congestion window may grow by it.
    pub fn acknowledge(&mut self, now_ms: u64, ack: Ack, next_counter: u64, opens: bool) -> bool {
        let Some(flight) = &mut self.flight else {
            if ack.next.wrapping_sub(self.next) as i32 <= 0 {
                self.peer_window = ack.window.min(SEGMENTS_IN_FLIGHT as u16);
            }
            return false;
        };
        let below = ack.next.wrapping_sub(self.next.wrapping_sub(flight.length())) as i32;
        if below > flight.sent as i32 {
            // It speaks of what was never sent.
            return false;
        }
        let full = usize::from(flight.in_flight) >= self.congestion.window();
        let mut counters = [0; SEGMENTS_IN_FLIGHT];
        let (mut count, mut newest, mut sample) = (0, 0, None);
        let arrived = |at: usize| {
            let beyond = at as i32 - below;
            beyond < 0 || (1..=64).contains(&beyond) && ack.bits >> (beyond - 1) & 1 == 1
        };
        for (at, segment) in flight.queue.iter_mut().take(flight.sent as usize).enumerate() {
            if segment.state == State::Arrived || !arrived(at) {
                continue;
            }
            match segment.state {
                State::Flying => flight.in_flight -= 1,
                State::Lost => flight.lost -= 1,
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
        if self.peer_window == 0 {
            flight.shut_ms = now_ms;
        }
        if flight.probe != Probe::None && flight.probe_answered(self.peer_window) {
            self.trip.progress();
        }
        if count == 0 {
            return false;
        }
        if let Some(sent_ms) = sample {
            self.trip.measure(now_ms.saturating_sub(sent_ms).saturating_sub(u64::from(ack.delay_ms)));
        }
        self.trip.progress();
        self.congestion.acknowledged(count, newest, full && opens);
        flight.find_lost(&counters[..count], next_counter, &mut self.congestion);
        flight.drop_arrived();
        flight.timeout_ms = if flight.in_flight > 0 { now_ms + self.trip.timeout_ms() } else { 0 };
        true
    }

    /// Gives back the memory for what is on its way, if nothing is.
    pub fn rest(&mut self) {
        if self.flight.as_ref().is_some_and(|flight| flight.queue.is_empty()) {
            self.flight = None;
        }
    }

    /// Looks at the timer: what is in flight for too long is lost.
    pub fn look(&mut self, now_ms: u64, next_counter: u64) {
        let Some(flight) = self.flight.as_mut().filter(|one| one.timeout_ms != 0 && one.timeout_ms <= now_ms) else {
            return;
        };
        self.trip.expired();
        if flight.probe != Probe::None && flight.in_flight == 1 {
            // It was not expected to be taken: nothing was lost.
            return flight.lose_all(|_| ());
        }
        flight.lose_all(|counter| self.congestion.lost(counter, next_counter));
        if self.trip.expiries() >= BROKEN {
            self.congestion.collapse();
        }
    }

    /// What is in flight went another way, and is as good as lost: the way, not its load, is to blame. Its time begins anew
    /// (protocol.md 2.4).
    pub fn path_changed(&mut self, now_ms: u64) {
        self.trip.progress();
        if let Some(flight) = &mut self.flight {
            let sent = flight.sent as usize;
            flight.queue.iter_mut().take(sent).for_each(|segment| segment.first_ms = now_ms);
            flight.lose_all(|_| ());
        }
    }

    /// Which segment may go out now: one that was lost before one that is new.
    #[inline]
    fn sendable(&self) -> Option<(usize, &Flight)> {
        let flight = self.flight.as_deref()?;
        if usize::from(flight.in_flight) >= self.congestion.window() {
            return None;
        }
        if flight.lost > 0 {
            return Some((flight.queue.iter().position(|segment| segment.state == State::Lost)?, flight));
        }
        let ahead = flight.sent - flight.arrived;
        // A window of zero is tried with one segment: its opening may have been lost.
        let allowed = u32::from(self.peer_window.max(1));
        (ahead < allowed && flight.sent < flight.length()).then_some((flight.sent as usize, flight))
    }

    /// Whether something of at most so many bytes may go out now.
    #[inline]
    pub fn is_ready(&self, room: usize) -> bool {
        self.sendable().is_some_and(|(at, flight)| flight.queue[at].bytes.len() <= room)
    }

    /// The next segment to go out with packet `counter`, if it is not longer than this: seq, whether it is the last of its
    /// frame, bytes.
    #[inline]
    pub fn take(&mut self, now_ms: u64, room: usize, counter: u64) -> Option<(u32, bool, &[u8])> {
        let (at, _) = self.sendable().filter(|(at, flight)| flight.queue[*at].bytes.len() <= room)?;
        let flight = self.flight.as_mut()?;
        let seq = self.next.wrapping_sub(flight.length()).wrapping_add(at as u32);
        let segment = flight.queue.get_mut(at)?;
        match segment.state {
            State::Lost => flight.lost -= 1,
            _ => {
                flight.sent += 1;
                segment.first_ms = now_ms;
            }
        }
        if self.peer_window == 0 && at as u32 + 1 == flight.sent {
            flight.probe = Probe::Asked;
        }
        segment.state = State::Flying;
        segment.sends = (segment.sends + 1).min(2);
        segment.later = 0;
        segment.counter = counter;
        segment.sent_ms = now_ms;
        flight.in_flight += 1;
        if flight.timeout_ms == 0 {
            flight.timeout_ms = now_ms + self.trip.timeout_ms();
        }
        Some((seq, segment.last, &segment.bytes))
    }

    /// When to look at the timer.
    pub fn timeout(&self) -> Option<u64> {
        self.flight.as_ref().map(|flight| flight.timeout_ms).filter(|at| *at != 0)
    }

    /// When the oldest segment has been on its way for too long. A peer that says that it takes nothing is there.
    pub fn dies_at(&self) -> Option<u64> {
        let flight = self.flight.as_ref().filter(|flight| flight.sent > flight.arrived)?;
        let first_ms = flight.queue.get(flight.arrived as usize)?.first_ms;
        Some(first_ms.max(flight.shut_ms) + UNACKNOWLEDGED.as_millis() as u64)
    }

    /// Whether something that was sent is to be answered.
    pub fn awaits(&self) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|flight| flight.sent > flight.arrived + u32::from(flight.probe == Probe::Answered))
    }

    /// Begins anew with seq 0, and gives back the frames that have not wholly arrived, in order.
    pub fn reset(&mut self) -> Vec<Vec<u8>> {
        let (trip, flight) = (self.trip, self.flight.take());
        *self = Self { trip, ..Self::new() };
        let (mut frames, mut frame, mut whole) = (Vec::new(), Vec::new(), true);
        for segment in flight.into_iter().flat_map(|flight| flight.queue) {
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

impl Flight {
    fn length(&self) -> u32 {
        self.queue.len() as u32
    }

    /// The peer has told its window, and may have taken the probe. True if it takes segments again.
    fn probe_answered(&mut self, window: u16) -> bool {
        let last = self.sent.checked_sub(1).and_then(|at| self.queue.get_mut(at as usize));
        let taken = last.as_ref().is_none_or(|segment| segment.state == State::Arrived);
        if window == 0 && !taken {
            self.probe = Probe::Answered;
            return false;
        }
        self.probe = Probe::None;
        if let Some(segment) = last.filter(|segment| segment.state == State::Flying) {
            // It was not taken, and goes out again at once.
            segment.state = State::Lost;
            self.in_flight -= 1;
            self.lost += 1;
            if self.in_flight == 0 {
                self.timeout_ms = 0;
            }
        }
        true
    }

    fn flying(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.queue.iter_mut().take(self.sent as usize).filter(|one| one.state == State::Flying)
    }

    /// Three segments that went out after it have arrived: it has not, and will not (protocol.md 2.4).
    fn find_lost(&mut self, arrived: &[u64], next_counter: u64, congestion: &mut Congestion) {
        if self.in_flight == 0 {
            return;
        }
        let mut lost = 0;
        for segment in self.flying() {
            let later = arrived.iter().filter(|counter| **counter > segment.counter).count();
            segment.later = segment.later.saturating_add(later as u8);
            if segment.later >= LATER {
                segment.state = State::Lost;
                lost += 1;
                congestion.lost(segment.counter, next_counter);
            }
        }
        self.in_flight -= lost;
        self.lost += lost;
    }

    /// Nothing of what is in flight is waited for any longer.
    fn lose_all(&mut self, mut each: impl FnMut(u64)) {
        self.timeout_ms = 0;
        for segment in self.flying() {
            segment.state = State::Lost;
            each(segment.counter);
        }
        self.lost += std::mem::take(&mut self.in_flight);
    }

    /// Lets go of frames that have wholly arrived.
    fn drop_arrived(&mut self) {
        loop {
            let end = self.queue.iter().position(|segment| segment.last);
            let Some(end) = end else { break };
            if self.queue.iter().take(end + 1).any(|segment| segment.state != State::Arrived) {
                break;
            }
            for segment in self.queue.drain(..=end) {
                self.bytes -= (segment.bytes.len() + SEGMENT_COST_BYTES) as u32;
            }
            self.sent -= end as u32 + 1;
        }
        self.arrived = self.queue.iter().take_while(|segment| segment.state == State::Arrived).count() as u32;
    }
}
