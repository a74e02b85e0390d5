//! What can be wrong with a frame, and where.

use std::fmt;

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside the header.
    HeaderCut,
    /// The first byte is not the lead of a frame.
    Lead,
    /// The sender or the receiver is not the expected kind of program.
    Program,
    /// The length field promises more content than there is.
    ContentCut,
    /// The length field is above the largest content.
    ContentTooLong,
    /// Bytes follow the frame in its datagram.
    BytesAfter,
    /// A field is longer than the content that is left.
    FieldCut,
    /// A text is not UTF-8.
    NotUtf8,
    /// There is no message of this type in this direction.
    UnknownType,
    /// The peer speaks another version of the link.
    Version,
}

/// A frame that cannot be read: the peer's fault, never ours.
///
/// For faults of size, `need` and `have` are bytes; for those of value they are the value that was expected and the one
/// that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireError {
    /// What is wrong.
    pub fault: Fault,
    /// Where, in bytes from the start of the frame.
    pub offset: usize,
    /// What would be right.
    pub need: usize,
    /// What was there.
    pub have: usize,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, offset, need, have } = *self;
        match fault {
            Fault::HeaderCut => write!(f, "header cut at offset {offset}: need {need} bytes, have {have}"),
            Fault::Lead => write!(f, "lead at offset {offset}: need {need:#04x}, have {have:#04x}"),
            Fault::Program => write!(f, "program kind at offset {offset}: need {need:#04x}, have {have:#04x}"),
            Fault::ContentCut => write!(f, "content cut at offset {offset}: need {need} bytes, have {have}"),
            Fault::ContentTooLong => write!(f, "length at offset {offset}: at most {need} bytes, have {have}"),
            Fault::BytesAfter => write!(f, "bytes after the frame at offset {offset}: need {need}, have {have}"),
            Fault::FieldCut => write!(f, "field cut at offset {offset}: need {need} bytes, have {have}"),
            Fault::NotUtf8 => {
                write!(f, "text at offset {offset} is not UTF-8: need {need} valid bytes, have {have}")
            }
            Fault::Version => write!(f, "version at offset {offset}: need {need}, have {have}"),
            Fault::UnknownType => write!(f, "no message of type {have:#04x} (offset {offset}; last is {need:#04x})"),
        }
    }
}

impl std::error::Error for WireError {}
