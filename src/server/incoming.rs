//! What connections bring to their shard: bytes, whole frames, and their end.

use super::core::Core;
use super::mesh::Message;
use crate::limits::{DATAGRAM_BYTES, STREAM_FIRST_FRAME_BYTES, STREAM_NUMBERS, STREAM_READ_BYTES};
use crate::shard::{Endpoint, Input, steer};
use crate::wire::{LINK_LEAD, stream_frame_bytes};
use std::net::SocketAddr;

/// The type of a sign-in frame (protocol.md 1.5).
const SIGN_IN: u8 = 0x02;

impl Core {
    /// A connection was accepted.
    pub fn stream_accepted(&mut self, socket: glommio::net::TcpStream, peer: SocketAddr) -> Option<u32> {
        let connection = self.streams.add(socket, peer, self.now.mono_ms);
        match connection {
            Some(_) => self.traffic.streams_accepted += 1,
            None => self.traffic.streams_refused += 1,
        }
        connection
    }

    /// Handles the whole frames among these bytes of a connection; what is left of them waits for the rest.
    pub fn stream_read(&mut self, connection: u32, bytes: &[u8]) {
        let Some((from, mut partial)) = self.streams.take_partial(connection) else { return };
        if partial.is_empty() {
            let used = self.stream_frames(connection, from, bytes);
            partial.extend_from_slice(&bytes[used..]);
        } else {
            partial.extend_from_slice(bytes);
            let used = self.stream_frames(connection, from, &partial);
            partial.drain(..used);
            if partial.capacity() > 2 * STREAM_READ_BYTES && partial.len() < STREAM_READ_BYTES {
                partial.shrink_to_fit();
            }
        }
        if partial.is_empty() {
            // An idle connection holds no memory for bytes.
            partial = Vec::new();
        }
        self.streams.put_partial(connection, partial);
        self.finish();
    }

    /// Handles whole frames and gives back how many bytes they were.
    fn stream_frames(&mut self, connection: u32, from: Endpoint, bytes: &[u8]) -> usize {
        let mut used = 0;
        while self.streams.is_open(connection) && !self.streams.is_stalled(connection) {
            let rest = &bytes[used..];
            let length = match stream_frame_bytes(rest) {
                Ok(Some(length)) if rest.first() == Some(&LINK_LEAD) && length > DATAGRAM_BYTES => None,
                Ok(Some(length)) if rest.first() == Some(&LINK_LEAD) && rest.len() >= length => Some(length),
                Ok(_) if rest.first() == Some(&LINK_LEAD) => return used,
                Ok(Some(length)) if length > STREAM_FIRST_FRAME_BYTES && !self.streams.is_known(connection) => None,
                Ok(Some(length)) if rest.len() >= length => Some(length),
                Ok(_) => return used,
                Err(_) => None,
            };
            let Some(length) = length else {
                self.traffic.malformed += 1;
                self.streams.close(connection);
                return bytes.len();
            };
            used += length;
            if !self.stream_frame(connection, from, &rest[..length]) {
                self.streams.close(connection);
                return bytes.len();
            }
        }
        // What a connection brings that ends is of no use; what one brings that is not read for now waits.
        if self.streams.is_open(connection) { used } else { bytes.len() }
    }

    /// Hands one frame of a connection to its owner; `false` if the connection asks for too much.
    fn stream_frame(&mut self, connection: u32, from: Endpoint, frame: &[u8]) -> bool {
        self.streams.heard(connection, self.now.mono_ms);
        let number = steer(frame);
        let linked = frame[0] == LINK_LEAD;
        if !linked
            && frame[3] == SIGN_IN
            && let Some(number) = number
            && !self.streams.remember(connection, number, STREAM_NUMBERS)
        {
            self.traffic.streams_refused += 1;
            return false;
        }
        match number.map(|number| self.port.owner(number)) {
            Some(owner) if owner != self.index => {
                self.port.send(owner, Message::Frame { from, bytes: frame.into() });
            }
            _ if linked => {
                let mut packet = std::mem::take(&mut self.packet);
                packet.clear();
                packet.extend_from_slice(frame);
                self.input(Input::Packet { from, bytes: &mut packet });
                self.packet = packet;
            }
            _ => self.input(Input::Frame { from, bytes: frame }),
        }
        true
    }

    /// A connection has ended: those who asked to sign in by it learn so.
    pub fn stream_ended(&mut self, connection: u32) {
        let Some((from, numbers)) = self.streams.remove(connection) else { return };
        for number in numbers {
            let owner = self.port.owner(number);
            if owner == self.index {
                self.input(Input::StreamClosed { from, number });
            } else {
                self.port.send(owner, Message::StreamClosed { from, number });
            }
        }
        self.finish();
    }

    /// Closes some of the connections that have been silent for too long; called often, it gets around to all.
    pub fn sweep_streams(&mut self) {
        self.traffic.streams_silent += self.streams.sweep(self.now.mono_ms);
    }
}
