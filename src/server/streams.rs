//! The TCP connections of one shard: who they are, what waits to be written to them, and since when they are silent.

use super::figures::Traffic;
use super::sys;
use crate::limits::{SHARDS, STREAM_BACKLOG_BYTES, STREAM_SILENCE, STREAMS};
use crate::shard::Endpoint;
use glommio::net::TcpStream;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::Waker;

/// A connection's number is its shard, its slot there, and how often the slot was used, modulo a few bits: so what
/// comes late for an ended connection does not go to the next one in its slot.
const SHARD_BITS: u32 = 6;
const SLOT_BITS: u32 = 18;
const _: () = assert!(SHARDS <= 1 << SHARD_BITS);
const _: () = assert!(STREAMS <= 1 << SLOT_BITS);

fn number_of(shard: usize, slot: usize, generation: u8) -> u32 {
    (u32::from(generation) << (SHARD_BITS + SLOT_BITS)) | ((slot as u32) << SHARD_BITS) | shard as u32
}

/// Which shard has accepted a connection.
pub fn shard_of(connection: u32) -> usize {
    connection as usize & ((1 << SHARD_BITS) - 1)
}

fn slot_of(connection: u32) -> usize {
    (connection >> SHARD_BITS) as usize & ((1 << SLOT_BITS) - 1)
}

/// One connection.
pub struct Stream {
    /// The connection itself.
    pub socket: TcpStream,
    /// Bytes that are waiting to be written.
    pub unsent: VecDeque<u8>,
    /// It ends once nothing is left to write.
    pub closing: bool,
    /// Its task.
    pub waker: Option<Waker>,
    /// Whose rules want to know when nothing is left to write.
    awaited_by: Vec<u32>,
    from: Endpoint,
    /// The beginning of a frame whose rest has not arrived.
    partial: Vec<u8>,
    /// Who has asked to sign in by it.
    numbers: Vec<u32>,
    heard_ms: u64,
    /// It waits for the loop's next turn to read.
    held: bool,
    /// It is not read for now: what it brought is over its user's budget.
    stalled: bool,
    /// It has just been let go on.
    resumed: bool,
}

impl Stream {
    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the stream's, which stays open while `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

#[derive(Default)]
struct Slot {
    generation: u8,
    stream: Option<Box<Stream>>,
}

/// The connections of one shard.
pub struct Streams {
    shard: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    /// Connections that were given something to write in this turn.
    written: Vec<u32>,
    /// Connections that have taken everything, and who wanted to know.
    flushed: Vec<(Endpoint, u32)>,
    /// Connections that wait for the loop's next turn to read.
    held: Vec<u32>,
    most: usize,
    /// Where the next look for silent connections begins.
    swept: usize,
}

impl Streams {
    /// No connections yet, and never more than so many.
    pub fn new(shard: usize, most: usize) -> Self {
        Self {
            shard,
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            written: Vec::new(),
            flushed: Vec::new(),
            held: Vec::new(),
            most: most.min(STREAMS),
            swept: 0,
        }
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Takes a new connection; `None` if there are too many.
    pub fn add(&mut self, socket: TcpStream, peer: SocketAddr, now_ms: u64) -> Option<u32> {
        if self.open >= self.most {
            return None;
        }
        let slot = self.free.pop().map_or(self.slots.len(), |slot| slot as usize);
        if slot == self.slots.len() {
            self.slots.push(Slot::default());
        }
        let connection = number_of(self.shard, slot, self.slots[slot].generation);
        self.slots[slot].stream = Some(Box::new(Stream {
            socket,
            unsent: VecDeque::new(),
            closing: false,
            waker: None,
            awaited_by: Vec::new(),
            from: Endpoint::stream(peer, connection),
            partial: Vec::new(),
            numbers: Vec::new(),
            heard_ms: now_ms,
            held: false,
            stalled: false,
            resumed: false,
        }));
        self.open += 1;
        Some(connection)
    }

    /// A connection, unless it has ended.
    pub fn get(&mut self, connection: u32) -> Option<&mut Stream> {
        let slot = slot_of(connection);
        let found = self.slots.get_mut(slot)?;
        if number_of(self.shard, slot, found.generation) != connection {
            return None;
        }
        found.stream.as_deref_mut()
    }

    /// Whether more is to be read from it.
    pub fn is_open(&mut self, connection: u32) -> bool {
        self.get(connection).is_some_and(|stream| !stream.closing)
    }

    /// Takes a connection out: its endpoint, and who had asked to sign in by it.
    pub fn remove(&mut self, connection: u32) -> Option<(Endpoint, Vec<u32>)> {
        self.get(connection)?;
        let slot = slot_of(connection);
        let stream = self.slots[slot].stream.take()?;
        self.slots[slot].generation = self.slots[slot].generation.wrapping_add(1);
        self.free.push(slot as u32);
        self.open -= 1;
        Some((stream.from, stream.numbers))
    }

    /// The beginning of a frame that has arrived, to be given back by [`put_partial`](Self::put_partial).
    pub fn take_partial(&mut self, connection: u32) -> Option<(Endpoint, Vec<u8>)> {
        let stream = self.get(connection)?;
        Some((stream.from, std::mem::take(&mut stream.partial)))
    }

    /// Keeps the beginning of a frame.
    pub fn put_partial(&mut self, connection: u32, partial: Vec<u8>) {
        if let Some(stream) = self.get(connection) {
            stream.partial = partial;
        }
    }

    /// A whole frame has come.
    pub fn heard(&mut self, connection: u32, now_ms: u64) {
        if let Some(stream) = self.get(connection) {
            stream.heard_ms = now_ms;
        }
    }

    /// This number has asked to sign in here; `false` if more than `most` have.
    pub fn remember(&mut self, connection: u32, number: u32, most: usize) -> bool {
        let Some(stream) = self.get(connection) else { return false };
        if stream.numbers.contains(&number) {
            return true;
        }
        let room = stream.numbers.len() < most;
        if room {
            stream.numbers.push(number);
        }
        room
    }

    /// Adds a frame to what is waiting for a connection; [`flush`](Self::flush) sends it. A reader who has let too much
    /// pile up is disconnected.
    pub fn write(&mut self, connection: u32, bytes: &[u8], traffic: &mut Traffic) {
        let Some(stream) = self.get(connection) else { return };
        if stream.closing {
            return;
        }
        if stream.unsent.len() + bytes.len() > STREAM_BACKLOG_BYTES {
            push_out(stream);
        }
        if stream.unsent.len() + bytes.len() > STREAM_BACKLOG_BYTES {
            traffic.streams_slow += 1;
            stream.unsent = VecDeque::new();
            stream.closing = true;
            sys::shut_down(stream.fd());
            stream.wake();
            return;
        }
        let first = stream.unsent.is_empty();
        stream.unsent.extend(bytes);
        if first {
            self.written.push(connection);
        }
    }

    /// Sends what connections take at once. Their tasks see to the rest.
    pub fn flush(&mut self) {
        while let Some(connection) = self.written.pop() {
            let Some(stream) = self.get(connection) else { continue };
            push_out(stream);
            if !stream.unsent.is_empty() || stream.closing {
                stream.wake();
            }
        }
    }

    /// The rules of `number` want to know when this connection has taken everything.
    pub fn await_flush(&mut self, connection: u32, number: u32) {
        if let Some(stream) = self.get(connection) {
            stream.awaited_by.push(number);
            self.note_flushed(connection);
        }
    }

    /// If nothing is left to write to a connection, those who wait for that are due.
    pub fn note_flushed(&mut self, connection: u32) {
        let Some(stream) = self.get(connection).filter(|stream| stream.unsent.is_empty()) else { return };
        let (from, awaited_by) = (stream.from, std::mem::take(&mut stream.awaited_by));
        self.flushed.extend(awaited_by.into_iter().map(|number| (from, number)));
    }

    /// Connections that have taken everything since the last call, and who wanted to know.
    pub fn take_flushed(&mut self) -> Vec<(Endpoint, u32)> {
        std::mem::take(&mut self.flushed)
    }

    /// Ends a connection after what was written to it.
    pub fn close(&mut self, connection: u32) {
        if let Some(stream) = self.get(connection) {
            stream.closing = true;
            stream.wake();
        }
    }

    /// A connection is to read again in the loop's next turn.
    pub fn hold(&mut self, connection: u32) {
        let Some(stream) = self.get(connection).filter(|stream| !stream.held) else { return };
        stream.held = true;
        self.held.push(connection);
    }

    /// A connection is not to be read for now, or again.
    pub fn stall(&mut self, connection: u32, stalled: bool, now_ms: u64) {
        if let Some(stream) = self.get(connection) {
            stream.stalled = stalled;
            // Nothing can be heard from what is not read.
            stream.heard_ms = now_ms;
            if !stalled {
                stream.resumed = true;
                stream.wake();
            }
        }
    }

    /// Whether it is not to be read for now.
    pub fn is_stalled(&mut self, connection: u32) -> bool {
        self.get(connection).is_some_and(|stream| stream.stalled)
    }

    /// Whether it has just been let go on: frames of it that were read before come first.
    pub fn take_resumed(&mut self, connection: u32) -> bool {
        self.get(connection).is_some_and(|stream| std::mem::take(&mut stream.resumed))
    }

    /// Whether any waits for the loop's next turn.
    pub fn any_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Wakes the tasks of those that wait for the next turn; whether there were any.
    pub fn wake_held(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        for connection in &held {
            if let Some(stream) = self.get(*connection) {
                stream.held = false;
                stream.wake();
            }
        }
        !held.is_empty()
    }

    /// Whether anybody has asked to sign in by this connection.
    pub fn is_known(&mut self, connection: u32) -> bool {
        self.get(connection).is_some_and(|stream| !stream.numbers.is_empty())
    }

    /// Ends those of a fiftieth of the connections that have been silent for too long, and says how many.
    pub fn sweep(&mut self, now_ms: u64) -> u64 {
        let mut ended = 0;
        for _ in 0..self.slots.len().div_ceil(50) {
            self.swept = if self.swept + 1 < self.slots.len() { self.swept + 1 } else { 0 };
            let Some(stream) = self.slots[self.swept].stream.as_deref_mut() else { continue };
            let silent = u128::from(now_ms.saturating_sub(stream.heard_ms)) >= STREAM_SILENCE.as_millis();
            if silent && !stream.stalled {
                ended += u64::from(!stream.closing);
                stream.closing = true;
                stream.unsent = VecDeque::new();
                sys::shut_down(stream.fd());
                stream.wake();
            }
        }
        ended
    }
}

/// Writes what the connection takes at once. An error shows when its task reads.
fn push_out(stream: &mut Stream) {
    while !stream.unsent.is_empty() {
        let sent = sys::send_now(stream.fd(), stream.unsent.as_slices().0);
        match sent {
            Ok(sent) if sent > 0 => drop(stream.unsent.drain(..sent)),
            Ok(_) => return,
            Err(_) => {
                stream.closing = true;
                stream.unsent.clear();
            }
        }
    }
    // An idle connection holds no memory for bytes.
    stream.unsent = VecDeque::new();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_its_shard_and_slot() {
        for (shard, slot, generation) in [(0, 0, 0), (63, STREAMS - 1, 255), (5, 77, 3)] {
            let number = number_of(shard, slot, generation);
            assert_eq!((shard_of(number), slot_of(number)), (shard, slot));
        }
        assert_ne!(number_of(1, 1, 1), number_of(1, 1, 2));
    }
}
