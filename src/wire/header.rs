//! The frame header (protocol.md 1.2).

use super::error::{Fault, WireError};
use crate::limits::{CONTENT_BYTES, HEADER_BYTES};

/// The first byte of every frame (引导符).
pub const LEAD: u8 = 0x81;
/// The first byte of every packet of the link (protocol.md 2).
pub const LINK_LEAD: u8 = 0x82;

/// Kinds of program (protocol.md 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Program {
    /// The OICQ server.
    Server = 0x01,
    /// An OICQ user.
    User = 0x0A,
}

/// A frame's header and where its content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Message type (报文类型).
    pub kind: u8,
    /// Content (报文内容): the bytes after the length field.
    pub content: &'a [u8],
}

impl<'a> Header<'a> {
    /// Splits a whole frame from `sender` to `receiver`: the header, then exactly as much content as it says.
    #[inline]
    pub fn decode(bytes: &'a [u8], sender: Program, receiver: Program) -> Result<Self, WireError> {
        let Some((head, content)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(error(Fault::HeaderCut, 0, HEADER_BYTES, bytes.len()));
        };
        let need = content_bytes(head)?;
        for (offset, program) in [(1, sender), (2, receiver)] {
            if head[offset] != program as u8 {
                return Err(error(Fault::Program, offset, program as usize, usize::from(head[offset])));
            }
        }
        if content.len() < need {
            return Err(error(Fault::ContentCut, HEADER_BYTES, need, content.len()));
        }
        if content.len() > need {
            return Err(error(Fault::BytesAfter, HEADER_BYTES + need, 0, content.len() - need));
        }
        Ok(Self { kind: head[3], content })
    }

    /// Appends a header with an empty content to `bytes` and gives back where it is, for [`Header::finish`].
    #[inline]
    pub fn begin(bytes: &mut Vec<u8>, sender: Program, receiver: Program, kind: u8) -> usize {
        let start = bytes.len();
        bytes.extend_from_slice(&[LEAD, sender as u8, receiver as u8, kind, 0, 0, 0, 0]);
        start
    }

    /// Writes the length of the content that was appended since [`Header::begin`] into its header.
    #[inline]
    pub fn finish(bytes: &mut [u8], start: usize) {
        let length = bytes.len() - start - HEADER_BYTES;
        debug_assert!(length <= CONTENT_BYTES, "limits.rs bounds every message below the largest frame");
        bytes[start + 4..start + HEADER_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
    }
}

/// How long the frame is that a stream's bytes begin with; `None` while the header has not arrived.
///
/// Works for frames and for packets of the link, which share the header's shape.
pub fn stream_frame_bytes(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    match bytes.first() {
        Some(&LEAD | &LINK_LEAD) | None => {}
        Some(&other) => return Err(error(Fault::Lead, 0, usize::from(LEAD), usize::from(other))),
    }
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    Ok(Some(HEADER_BYTES + length_field(head)?))
}

/// The word at offset 8: in everything that a user sends but a registration it is the service number (protocol.md 2).
#[inline]
pub fn word_at_eight(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(8..12)?.try_into().expect("four bytes")))
}

fn content_bytes(head: &[u8]) -> Result<usize, WireError> {
    if head[0] != LEAD {
        return Err(error(Fault::Lead, 0, usize::from(LEAD), usize::from(head[0])));
    }
    length_field(head)
}

fn length_field(head: &[u8]) -> Result<usize, WireError> {
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if length > CONTENT_BYTES {
        return Err(error(Fault::ContentTooLong, 4, CONTENT_BYTES, length));
    }
    Ok(length)
}

fn error(fault: Fault, offset: usize, need: usize, have: usize) -> WireError {
    WireError { fault, offset, need, have }
}
