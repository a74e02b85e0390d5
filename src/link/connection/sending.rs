//! What a link sends (protocol.md 2.3, 2.4): which records a packet has, and to whom it may say them.

use super::super::packet::{begin_data, write_length};
use super::super::record::{Ack, Record};
use super::super::seal;
use super::super::start;
use super::{Ciphers, Link, Side};
use crate::limits::{
    ACK_BYTES, DATAGRAM_BYTES, HEADER_BYTES, SEGMENT_BYTES, SEGMENT_HEADER_BYTES, SEGMENTS_IN_FLIGHT, TAG_BYTES,
    TEST_BYTES,
};
use crate::wire::User;

impl Link {
    /// Appends one sealed packet, if one is to go out now.
    pub fn poll(&mut self, now_ms: u64, ciphers: &mut Ciphers, out: &mut Vec<u8>) -> bool {
        if self.closed && !self.is_leaving() {
            return false;
        }
        if self.side == Side::Client && self.answer_proposal(now_ms, ciphers, out) {
            return true;
        }
        self.outbound.look(now_ms, self.counter);
        let ack_is_due = self.inbound.ack_due().is_some_and(|due| due <= now_ms);
        let proof_is_due = self.side == Side::Client && self.proof_due().is_some_and(|due| due <= now_ms);
        if !ack_is_due && !self.speaks && !proof_is_due && !self.outbound.is_ready(SEGMENT_BYTES) {
            return false;
        }
        let start = self.begin(out);
        if let Some(ack) = self.inbound.ack(now_ms) {
            Record::Ack(ack).write(out);
            self.inbound.acknowledged();
        }
        if proof_is_due && let Some(nonce) = self.extra.as_mut().and_then(|extra| extra.proof.as_mut()?.take(now_ms)) {
            Record::Response(nonce).write(out);
        }
        let most = start + DATAGRAM_BYTES - TAG_BYTES;
        let tests = self.speaks;
        if tests {
            self.write_extra(out, most);
        }
        let before = out.len();
        while let Some(room) = most.checked_sub(out.len() + SEGMENT_HEADER_BYTES)
            && let Some((seq, last, bytes)) = self.outbound.take(now_ms, room, self.counter)
        {
            Record::Segment { seq, last, bytes }.write(out);
        }
        if tests && self.side == Side::Client && out.len() == before {
            // Its answer must have room where nothing is sent beyond what has come.
            out.resize((start + TEST_BYTES - TAG_BYTES).max(before), 0);
        }
        self.finish(ciphers, out, start);
        true
    }

    /// Appends a packet of at most so many bytes to an address that has yet to prove itself, with this challenge; no less
    /// than [`CHALLENGE_PACKET_BYTES`](crate::limits::CHALLENGE_PACKET_BYTES). Segments wait.
    pub fn poll_unproven(&mut self, now_ms: u64, most: usize, nonce: u64, ciphers: &mut Ciphers, out: &mut Vec<u8>) {
        const CLOSE_BYTES: usize = 4;
        let start = self.begin(out);
        Record::Challenge(nonce).write(out);
        let most = start + most.min(DATAGRAM_BYTES) - TAG_BYTES;
        if let Some(ack) = self.inbound.ack(now_ms).filter(|_| out.len() + ACK_BYTES <= most) {
            Record::Ack(ack).write(out);
            self.inbound.acknowledged();
        }
        if self.speaks && out.len() + CLOSE_BYTES <= most {
            self.write_extra(out, most);
        }
        self.finish(ciphers, out, start);
    }

    /// Whether an ack, a connection test's reply or a farewell waits to go out now.
    pub fn has_answer(&self, now_ms: u64) -> bool {
        !self.closed && self.inbound.ack_due().is_some_and(|due| due <= now_ms)
            || self.speaks && (!self.closed || self.is_leaving())
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
        self.speaks = !extra.loose.is_empty();
        self.shed_extra();
    }

    fn begin(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        begin_data(out, self.side, self.number, self.session, self.counter);
        start
    }

    fn finish(&mut self, ciphers: &mut Ciphers, out: &mut Vec<u8>, start: usize) {
        let (key, _) = start::directions(self.side, &self.keys);
        seal_packet(ciphers, key, self.counter, out, start);
        self.counter += 1;
    }

    /// Appends an answer to a proposed start, if one is due: an ack and a connection test, under its keys.
    fn answer_proposal(&mut self, now_ms: u64, ciphers: &mut Ciphers, out: &mut Vec<u8>) -> bool {
        let starts = self.extra.as_mut().and_then(|extra| extra.starts.as_mut());
        let answer = starts.and_then(|starts| starts.next_answer(now_ms));
        let Some((keys, counter)) = answer else { return false };
        let start = out.len();
        begin_data(out, Side::Client, self.number, self.session, counter);
        Record::Ack(Ack { next: 0, bits: 0, delay_ms: 0, window: SEGMENTS_IN_FLIGHT as u16 }).write(out);
        let mut test = Vec::new();
        User::Test { me: self.number }.encode(&mut test);
        Record::Loose(&test).write(out);
        // Its answer must have room where nothing is sent beyond what has come.
        out.resize((start + TEST_BYTES - TAG_BYTES).max(out.len()), 0);
        seal_packet(ciphers, &keys.to_server, counter, out, start);
        true
    }

    /// Appends a packet with this plaintext, as `from` would seal it: for those who try what a peer with the
    /// right keys could send.
    #[doc(hidden)]
    pub fn seal_for_test(&mut self, from: Side, plain: &[u8], ciphers: &mut Ciphers, out: &mut Vec<u8>) {
        let start = out.len();
        begin_data(out, from, self.number, self.session, self.counter);
        out.extend_from_slice(plain);
        let (key, _) = start::directions(from, &self.keys);
        seal_packet(ciphers, key, self.counter, out, start);
    }
}

/// Gives a packet its length, and seals it.
fn seal_packet(ciphers: &mut Ciphers, key: &[u8; 32], counter: u64, out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start + TAG_BYTES - HEADER_BYTES;
    write_length(&mut out[start..], length);
    seal::seal(ciphers, key, counter, out, start);
}
