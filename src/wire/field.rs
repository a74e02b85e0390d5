//! Field types (protocol.md 1.1): T, M, L, Q, S and B, read from a frame and written to a buffer.

use super::error::{Fault, WireError};

/// Reads fields one after the other. Offsets in its errors count from the start of the frame.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, whose first byte has this offset in the frame.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The offset of the next byte in the frame.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(WireError { fault: Fault::FieldCut, offset: self.offset, need: n, have: self.rest.len() });
        };
        self.rest = rest;
        self.offset += n;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        Ok(self.take(N)?.try_into().expect("take gives exactly N bytes"))
    }
}

/// Appends fields to a buffer.
#[derive(Debug)]
pub struct Writer<'b> {
    bytes: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    /// Appends to `bytes`.
    pub fn new(bytes: &'b mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// A type of field that a message can have.
pub trait Field<'a>: Sized {
    /// Reads one.
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError>;
    /// Appends it.
    fn write(&self, writer: &mut Writer<'_>);
}

macro_rules! integer_fields {
    ($($type:ty)*) => {$(
        impl<'a> Field<'a> for $type {
            #[inline]
            fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
                Ok(<$type>::from_be_bytes(reader.array()?))
            }
            #[inline]
            fn write(&self, writer: &mut Writer<'_>) {
                writer.put(&self.to_be_bytes());
            }
        }
    )*};
}
integer_fields!(u8 u16 u32 u64);

/// S: text, at most 65,535 bytes. Writing a longer one is a programmer's error and panics: every text of this protocol
/// has a far lower bound.
impl<'a> Field<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let length = usize::from(u16::read(reader)?);
        let offset = reader.offset();
        let bytes = reader.take(length)?;
        simdutf8::basic::from_utf8(bytes).map_err(|_| {
            // The fast check only says no; the slow one says where.
            let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            WireError { fault: Fault::NotUtf8, offset: offset + valid, need: length, have: valid }
        })
    }
    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        u16::try_from(self.len()).expect("a text is at most 65,535 bytes").write(writer);
        writer.put(self.as_bytes());
    }
}

/// B: raw bytes with a length of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob<'a>(pub &'a [u8]);

impl<'a> Field<'a> for Blob<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let length = u32::read(reader)? as usize;
        Ok(Self(reader.take(length)?))
    }
    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        u32::try_from(self.0.len()).expect("a blob fits a frame").write(writer);
        writer.put(self.0);
    }
}
