//! Packets of the link (protocol.md 2.1): the header, and the six types.

use crate::limits::{DATA_HEADER_BYTES, DATAGRAM_BYTES, HEADER_BYTES, HELLO_BYTES, TAG_BYTES};
use crate::wire::{Fault, Field, LINK_LEAD, Program, Reader, WireError, Writer};

/// Which end of a link this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The user's program.
    Client,
    /// The server.
    Server,
}

impl Side {
    /// The other end.
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    fn program(self) -> u8 {
        match self {
            Self::Client => Program::User as u8,
            Self::Server => Program::Server as u8,
        }
    }
}

const HELLO: u8 = 0x01;
const WELCOME: u8 = 0x02;
const DATA: u8 = 0x03;
const RETRY: u8 = 0x04;
const UNKNOWN: u8 = 0x05;

const RESUME: u8 = 0x06;

/// The version of the link that a hello asks for.
const VERSION: u8 = 2;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A client begins a handshake, or asks for the server's public key with an empty `noise`.
    Hello {
        /// Service number.
        number: u32,
        /// What the server gave with a retry; empty at first.
        cookie: &'a [u8],
        /// Noise message 1.
        noise: &'a [u8],
    },
    /// The server's part of the handshake, or its public key.
    Welcome {
        /// Service number.
        number: u32,
        /// Noise message 2, or the key.
        noise: &'a [u8],
    },
    /// Encrypted: see [`Link`](super::Link), which also makes them.
    Data {
        /// Service number.
        number: u32,
        /// Which link of that number.
        session: u32,
        /// The packet's own number.
        counter: u64,
    },
    /// The server asks for the hello anew, with this cookie.
    Retry {
        /// Service number.
        number: u32,
        /// To be given back.
        cookie: &'a [u8],
    },
    /// The server has no such session. Nothing proves it.
    Unknown {
        /// Service number.
        number: u32,
        /// The session of the packet that it answers; 0 where that was a hello of another version.
        session: u32,
    },
    /// The server has started anew, and goes on with this session: see [`Link::resume`](super::Link::resume).
    Resume {
        /// Service number.
        number: u32,
        /// Which link of that number.
        session: u32,
        /// What the start has drawn.
        salt: [u8; 16],
        /// Proves that it comes from who has the base keys.
        tag: [u8; TAG_BYTES],
    },
}

impl<'a> Packet<'a> {
    /// Reads a whole packet that `from` has sent: a datagram, or what was cut from a stream.
    pub fn decode(bytes: &'a [u8], from: Side) -> Result<Self, WireError> {
        let Some((head, content)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(fault(Fault::HeaderCut, 0, HEADER_BYTES, bytes.len()));
        };
        for (offset, expected) in [(0, LINK_LEAD), (1, from.program()), (2, from.peer().program())] {
            if head[offset] != expected {
                let what = if offset == 0 { Fault::Lead } else { Fault::Program };
                return Err(fault(what, offset, usize::from(expected), usize::from(head[offset])));
            }
        }
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if bytes.len() > DATAGRAM_BYTES {
            return Err(fault(Fault::ContentTooLong, 4, DATAGRAM_BYTES - HEADER_BYTES, content.len()));
        }
        if content.len() < length {
            return Err(fault(Fault::ContentCut, HEADER_BYTES, length, content.len()));
        }
        if content.len() > length {
            return Err(fault(Fault::BytesAfter, HEADER_BYTES + length, 0, content.len() - length));
        }
        let mut reader = Reader::new(content, HEADER_BYTES);
        let reader = &mut reader;
        let number = u32::read(reader)?;
        match (head[3], from) {
            (HELLO, Side::Client) => {
                let version = u8::read(reader)?;
                if bytes.len() < HELLO_BYTES {
                    return Err(fault(Fault::ContentCut, HEADER_BYTES, HELLO_BYTES, bytes.len()));
                }
                if version != VERSION {
                    return Err(fault(Fault::Version, 12, usize::from(VERSION), usize::from(version)));
                }
                Ok(Self::Hello { number, cookie: short(reader)?, noise: short(reader)? })
            }
            (WELCOME, Side::Server) => Ok(Self::Welcome { number, noise: short(reader)? }),
            (DATA, _) => {
                let (session, counter) = (u32::read(reader)?, u64::read(reader)?);
                if reader.rest().len() < TAG_BYTES {
                    return Err(fault(Fault::ContentCut, DATA_HEADER_BYTES, TAG_BYTES, reader.rest().len()));
                }
                Ok(Self::Data { number, session, counter })
            }
            (RETRY, Side::Server) => Ok(Self::Retry { number, cookie: short(reader)? }),
            (UNKNOWN, Side::Server) => Ok(Self::Unknown { number, session: u32::read(reader)? }),
            (RESUME, Side::Server) => {
                let session = u32::read(reader)?;
                Ok(Self::Resume { number, session, salt: raw(reader)?, tag: raw(reader)? })
            }
            (other, _) => Err(fault(Fault::UnknownType, 3, usize::from(RESUME), usize::from(other))),
        }
    }

    /// Appends it. A hello is padded; of a data packet this is the header alone, of length zero.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (kind, from) = match self {
            Self::Hello { .. } => (HELLO, Side::Client),
            Self::Welcome { .. } => (WELCOME, Side::Server),
            Self::Data { .. } => (DATA, Side::Client),
            Self::Retry { .. } => (RETRY, Side::Server),
            Self::Unknown { .. } => (UNKNOWN, Side::Server),
            Self::Resume { .. } => (RESUME, Side::Server),
        };
        out.extend_from_slice(&[LINK_LEAD, from.program(), from.peer().program(), kind, 0, 0, 0, 0]);
        let mut writer = Writer::new(out);
        match *self {
            Self::Hello { number, cookie, noise } => {
                number.write(&mut writer);
                VERSION.write(&mut writer);
                put_short(&mut writer, cookie);
                put_short(&mut writer, noise);
                let padded = (start + HELLO_BYTES).max(out.len());
                out.resize(padded, 0);
            }
            Self::Welcome { number, noise } => {
                number.write(&mut writer);
                put_short(&mut writer, noise);
            }
            Self::Data { number, session, counter } => {
                number.write(&mut writer);
                session.write(&mut writer);
                counter.write(&mut writer);
            }
            Self::Retry { number, cookie } => {
                number.write(&mut writer);
                put_short(&mut writer, cookie);
            }
            Self::Unknown { number, session } => {
                number.write(&mut writer);
                session.write(&mut writer);
            }
            Self::Resume { number, session, salt, tag } => {
                number.write(&mut writer);
                session.write(&mut writer);
                writer.put(&salt);
                writer.put(&tag);
            }
        }
        set_length(&mut out[start..]);
    }
}

/// Appends the header of a data packet, whose length is written when it is whole.
pub(super) fn begin_data(out: &mut Vec<u8>, from: Side, number: u32, session: u32, counter: u64) {
    out.extend_from_slice(&[LINK_LEAD, from.program(), from.peer().program(), DATA, 0, 0, 0, 0]);
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&session.to_be_bytes());
    out.extend_from_slice(&counter.to_be_bytes());
}

/// Writes the length of a whole packet into its header.
fn set_length(packet: &mut [u8]) {
    write_length(packet, packet.len() - HEADER_BYTES);
}

/// Writes a length into a packet's header.
pub(super) fn write_length(packet: &mut [u8], length: usize) {
    packet[4..HEADER_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
}

/// S-bytes: like S, but raw (protocol.md 2.1).
pub(super) fn short<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], WireError> {
    let length = u16::read(reader)?;
    reader.take(usize::from(length))
}

fn raw<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], WireError> {
    Ok(reader.take(N)?.try_into().expect("as many as were taken"))
}

pub(super) fn put_short(writer: &mut Writer<'_>, bytes: &[u8]) {
    u16::try_from(bytes.len()).expect("a packet is far shorter").write(writer);
    writer.put(bytes);
}

fn fault(fault: Fault, offset: usize, need: usize, have: usize) -> WireError {
    WireError { fault, offset, need, have }
}
