//! What one user's shard tells another user's shard. Addressed by service number: only the server knows where it lives.

use super::{FileOffer, MessageId};
use crate::store::Text;

/// A message from the shard of one user to the shard of `to`, which may be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A message for `to` (0x03).
    Message {
        /// Who sent it.
        from: u32,
        /// The sender's id for it, or the server's for a sender in a classic session.
        id: MessageId,
        /// When the server took it, in ms since 1970 UTC.
        time_ms: u64,
        /// Its text; one for all recipients of a broadcast.
        text: Text,
    },
    /// What became of a message of `to` (0x40).
    Receipt {
        /// To whom it was sent.
        to: u32,
        /// Its id.
        id: u64,
        /// 1 stored, 2 delivered, 3 refused.
        state: u8,
        /// Where refused: a notice code.
        reason: u8,
    },
    /// `from` has so many bytes of the file that `to` sends (0x46).
    Progress {
        /// Who takes the file.
        from: u32,
        /// Which offer.
        offer: u32,
        /// How many bytes.
        received: u32,
    },
    /// A message of `to` was not taken: tell the sender so (3.2).
    Notice {
        /// The request that was not done.
        about: u8,
        /// Notice code.
        code: u8,
        /// In words.
        text: Box<str>,
    },
    /// `watcher` is online and lists `to`; it believes `to` to have the status `seen`.
    Watch {
        /// Who lists `to`.
        watcher: u32,
        /// What it was told last.
        seen: u8,
    },
    /// `watcher` is offline, or lists `to` no more.
    Unwatch {
        /// Who listed `to`.
        watcher: u32,
    },
    /// The visible status of `of`, whom `to` lists, has changed (0x15).
    Status {
        /// Whose status.
        of: u32,
        /// The visible status.
        status: u8,
    },
    /// `by` blocks `to`, or does so no more (0x44).
    BlockedBy {
        /// Who blocks.
        by: u32,
        /// Whether it does now.
        on: bool,
    },
    /// `from` has put `to` on its list: tell it (kind 1).
    Added {
        /// Who did.
        from: u32,
    },
    /// `applicant` asks to be authorized by `to` (0x0D).
    Ask {
        /// Who asks.
        applicant: u32,
        /// Why.
        reason: Box<str>,
    },
    /// `by` has answered the open request of `to` (0x17).
    Answered {
        /// Who was asked.
        by: u32,
        /// Whether `to` may list `by`.
        agree: bool,
    },
    /// `from` offers a file (0x13).
    FileOffer {
        /// Who offers it.
        from: u32,
        /// What.
        file: FileOffer,
    },
    /// `from` has answered the offer of `to` (0x14).
    FileAnswer {
        /// Who answered.
        from: u32,
        /// Which offer.
        offer: u32,
        /// Whether it takes the file.
        allow: bool,
        /// It will tell how much of it has arrived, and the sender must not be far ahead of that.
        paced: bool,
    },
    /// A piece of an accepted file (0x15).
    FilePiece {
        /// Who sends it.
        from: u32,
        /// Which offer it belongs to.
        offer: u32,
        /// The bytes.
        data: Box<[u8]>,
    },
    /// The transfer between `from` and `to` is over on the side of `from`.
    FileEnd {
        /// Who has ended it.
        from: u32,
        /// Which offer.
        offer: u32,
        /// Whether `to` is the one who offered.
        offered_by_to: bool,
    },
    /// From now on `monitor` gets a copy of each message from or to `to` (4.3).
    Monitor {
        /// Who monitors.
        monitor: u32,
        /// Until when, in ms since 1970 UTC.
        until_ms: u64,
    },
    /// `monitor` gets no more copies.
    Unmonitor {
        /// Who monitored.
        monitor: u32,
    },
    /// A monitored copy for `to`.
    Copy {
        /// Who is monitored: a copy that comes after the end of its monitoring is dropped.
        target: u32,
        /// Who sent the message.
        from: u32,
        /// Its text.
        text: Box<str>,
    },
}
