//! Why a search was refused: the user's fault, told with notice 11 (protocol.md 3.2).

use crate::limits::{QUERY_BYTES, SEARCH_DEPTH, SEARCH_USERS};
use std::fmt;

/// Why a search was refused. Its text names the offending word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// It has this many bytes.
    TooLong(usize),
    /// Its brackets and NOTs are nested too deeply.
    TooDeep,
    /// It has a comment.
    Comment(String),
    /// A word or sign that is not part of the language, or not at this place.
    NotAllowed(String),
    /// A function call.
    Function(String),
    /// There is no such column.
    UnknownColumn(String),
    /// Something in double quotes; texts are in single ones.
    Quoted(String),
    /// A number that is not an integer, or too large for one.
    NotAnInteger(String),
    /// Something else should be here.
    Expected {
        /// What.
        expected: String,
        /// What is here.
        near: String,
    },
    /// A column was compared with a literal of another kind.
    WrongKind {
        /// The column, as it was written.
        column: String,
        /// What it can be compared with.
        expected: &'static str,
        /// The literal.
        near: String,
    },
    /// LIKE on a column of numbers.
    LikeOnNumber(String),
    /// An order by another column than number.
    OrderBy(String),
    /// More are wanted than an answer holds.
    Limit(String),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "the search has {bytes} bytes; at most {QUERY_BYTES} are allowed"),
            Self::TooDeep => write!(f, "brackets and NOTs are nested more than {SEARCH_DEPTH} deep"),
            Self::Comment(mark) => write!(f, "comment \"{mark}\" is not allowed"),
            Self::NotAllowed(word) => write!(f, "\"{word}\" is not allowed here"),
            Self::Function(name) => write!(f, "function \"{name}\" is not allowed"),
            Self::UnknownColumn(name) => write!(f, "unknown column \"{name}\""),
            Self::Quoted(word) => write!(f, "{word} is not allowed; a text stands in single quotes"),
            Self::NotAnInteger(word) => write!(f, "number \"{word}\" is not an integer, or too large"),
            Self::Expected { expected, near } if near.is_empty() => write!(f, "expected {expected} at the end"),
            Self::Expected { expected, near } => write!(f, "expected {expected} near \"{near}\""),
            Self::WrongKind { column, expected, near } => {
                write!(f, "column \"{column}\" is compared with {expected}, not with {near}")
            }
            Self::LikeOnNumber(column) => write!(f, "LIKE is not allowed on \"{column}\": it is a number"),
            Self::OrderBy(word) => write!(f, "ORDER BY \"{word}\" is not allowed; only by number"),
            Self::Limit(word) => write!(f, "LIMIT {word} is not allowed; at most {SEARCH_USERS}"),
        }
    }
}

impl std::error::Error for QueryError {}
