//! The wire: protocol.md parts 1 and 3. Field types, the frame header, and one table of messages.
//!
//! A frame is decoded without an allocation: texts and lists borrow from the datagram. Encoding appends a whole frame
//! to a buffer of the caller's.
//!
//! ```
//! use oicq::wire::{Dialect, User};
//!
//! let mut bytes = Vec::new();
//! User::Message { me: 10001, to: 10002, text: "hi", id: None }.encode(&mut bytes);
//! assert_eq!(User::decode(&bytes, Dialect::Classic)?, User::Message { me: 10001, to: 10002, text: "hi", id: None });
//! # Ok::<(), oicq::wire::WireError>(())
//! ```

mod error;
mod field;
mod header;
mod list;
mod messages;
mod names;
mod profile;
mod record;

pub use error::{Fault, WireError};
pub use field::{Blob, Field, Reader, Writer};
pub use header::{Header, LEAD, LINK_LEAD, Program, stream_frame_bytes, word_at_eight};
pub use list::{Count, List};
pub use messages::{Found, FriendEntry, GroupEntry, Move, ReceivedId, Server, User};
pub use names::{check_line, check_name};
pub use profile::{Profile, ProfileFault, PublicProfile, check_password, check_privacy};

/// Which edition of the protocol a frame is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The published protocol, part 1: bytes after the last field of 1999 are ignored, messages of part 3 don't exist.
    Classic,
    /// Parts 1 and 3: over the link.
    Link,
}

/// Message types from here on are additions of part 3 and exist only over the link.
pub const FIRST_ADDED_TYPE: u8 = 0x40;

#[cfg(test)]
mod tests;
