//! Why a request came to nothing.

use std::{fmt, io};

/// Why a request came to nothing. Later versions may tell more: leave room for it in a `match`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server refused it.
    Refused {
        /// The notice code (protocol.md 3.2); 0 where the server gave none.
        code: u8,
        /// The server's explanation, empty where it gave none.
        text: String,
    },
    /// The connection broke after the request had gone out, and doing it twice would not be the same as once: it is not
    /// known whether it was done. Look before asking again.
    Unknown,
    /// No answer came in time.
    Timeout,
    /// Nobody is signed in: sign in first.
    NotSignedIn,
    /// It was never sent: the protocol has no place for such a value. The text says what would be right.
    Invalid(String),
    /// The server shows another key than the one that was kept. Either it has a new key, and its operator can say so, or
    /// somebody else answers in its place. Nothing was sent to it.
    KeyChanged {
        /// The key that was expected.
        pinned: [u8; 32],
        /// The key that is shown.
        shown: [u8; 32],
    },
    /// The client has been closed.
    Closed,
    /// The system refused to send or to connect.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, text } if text.is_empty() => write!(f, "the server refused: {}", reason(*code)),
            Self::Refused { text, .. } => write!(f, "the server refused: {text}"),
            Self::Unknown => write!(f, "the connection broke: it is not known whether it was done"),
            Self::Timeout => write!(f, "the server did not answer"),
            Self::NotSignedIn => write!(f, "not signed in"),
            Self::Invalid(text) => write!(f, "{text}"),
            Self::KeyChanged { .. } => write!(
                f,
                "THE SERVER'S KEY HAS CHANGED: somebody else may answer in its place. Nothing was sent; ask its operator \
                 for the new server line"
            ),
            Self::Closed => write!(f, "the connection has been closed"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Notice codes to which the client has an answer of its own (protocol.md 3.2).
pub(super) mod code {
    pub(in crate::client) const TOO_FAST: u8 = 6;
    pub(in crate::client) const BUSY: u8 = 9;
    pub(in crate::client) const STORAGE: u8 = 10;
    pub(in crate::client) const NO_FRIEND: u8 = 12;
}

/// A notice code in words (protocol.md 3.2).
pub fn reason(code: u8) -> &'static str {
    match code {
        1 => "malformed",
        2 => "not signed in",
        3 => "wrong number or password",
        4 => "no such user",
        5 => "not accepted by the other side",
        6 => "too fast",
        7 => "too large",
        8 => "not permitted",
        9 => "busy",
        10 => "storage failed",
        11 => "bad query",
        12 => "no such friend or group",
        13 => "no such transfer",
        14 => "unknown message type",
        15 => "no such program",
        16 => "no room in their mailbox for more from you",
        17 => "the other side's keys have changed",
        18 => "registration is not open",
        19 => "banned",
        20 => "a quota is used up",
        _ => "it did not say why",
    }
}
