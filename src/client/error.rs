//! Why a request came to nothing.

use std::{fmt, io};

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Error {
    /// The server refused it. The text is the server's explanation, empty where it gave none.
    Refused {
        /// The server's words.
        text: String,
    },
    /// No answer came, though it was repeated.
    Timeout,
    /// The server knows no session of ours: sign in first.
    NotSignedIn,
    /// It was never sent: the protocol has no place for such a value. The text says what would be right.
    Invalid(String),
    /// The connection has ended.
    Closed,
    /// The system refused to send or to connect.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { text } if text.is_empty() => write!(f, "the server refused, and did not say why"),
            Self::Refused { text } => write!(f, "the server refused: {text}"),
            Self::Timeout => write!(f, "the server did not answer"),
            Self::NotSignedIn => write!(f, "not signed in"),
            Self::Invalid(text) => write!(f, "{text}"),
            Self::Closed => write!(f, "the connection has ended"),
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
