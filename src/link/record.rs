//! Records: what the plaintext of a data packet holds (protocol.md 2.3).

use super::packet::{put_short, short};
use crate::wire::{Fault, Field, Reader, WireError, Writer};

const PAD: u8 = 0x00;
const ACK: u8 = 0x01;
const SEGMENT: u8 = 0x02;
const LOOSE: u8 = 0x03;
const CLOSE: u8 = 0x04;
const CHALLENGE: u8 = 0x05;
const RESPONSE: u8 = 0x06;

/// Flag of a segment: the last of its frame.
const LAST: u8 = 1;

/// What has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    /// All segments below this one have.
    pub next: u32,
    /// Bit i: `next + 1 + i` has.
    pub bits: u64,
    /// Since the newest of them came.
    pub delay_ms: u16,
    /// Segments beyond `next` that may be in flight.
    pub window: u16,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Ack(Ack),
    Segment {
        seq: u32,
        last: bool,
        bytes: &'a [u8],
    },
    Loose(&'a [u8]),
    Close {
        code: u8,
        reason: &'a str,
    },
    /// To an address that has yet to prove itself.
    Challenge(u64),
    /// What proves it.
    Response(u64),
}

impl<'a> Record<'a> {
    /// The next record; `None` at the end, or where the rest is padding.
    pub fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        if reader.rest().is_empty() {
            return Ok(None);
        }
        let offset = reader.offset();
        Ok(Some(match u8::read(reader)? {
            PAD => return Ok(None),
            ACK => Self::Ack(Ack {
                next: u32::read(reader)?,
                bits: u64::read(reader)?,
                delay_ms: u16::read(reader)?,
                window: u16::read(reader)?,
            }),
            SEGMENT => {
                let (seq, flags) = (u32::read(reader)?, u8::read(reader)?);
                Self::Segment { seq, last: flags & LAST != 0, bytes: short(reader)? }
            }
            LOOSE => Self::Loose(short(reader)?),
            CLOSE => Self::Close { code: u8::read(reader)?, reason: <&str>::read(reader)? },
            CHALLENGE => Self::Challenge(u64::read(reader)?),
            RESPONSE => Self::Response(u64::read(reader)?),
            other => {
                let (need, have) = (usize::from(RESPONSE), usize::from(other));
                return Err(WireError { fault: Fault::UnknownType, offset, need, have });
            }
        }))
    }

    /// Appends it.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        let writer = &mut writer;
        match *self {
            Self::Ack(Ack { next, bits, delay_ms, window }) => {
                ACK.write(writer);
                next.write(writer);
                bits.write(writer);
                delay_ms.write(writer);
                window.write(writer);
            }
            Self::Segment { seq, last, bytes } => {
                SEGMENT.write(writer);
                seq.write(writer);
                u8::from(last).write(writer);
                put_short(writer, bytes);
            }
            Self::Loose(bytes) => {
                LOOSE.write(writer);
                put_short(writer, bytes);
            }
            Self::Close { code, reason } => {
                CLOSE.write(writer);
                code.write(writer);
                reason.write(writer);
            }
            Self::Challenge(nonce) => {
                CHALLENGE.write(writer);
                nonce.write(writer);
            }
            Self::Response(nonce) => {
                RESPONSE.write(writer);
                nonce.write(writer);
            }
        }
    }
}
