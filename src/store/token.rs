//! The tokens of an account (protocol.md 2.6): one record, since they are few and go together.

/// The first byte of a record; one of older servers has none.
const VERSION: u8 = 2;
/// The end, in ms since 1970 UTC, and the SHA-256.
const OLD_BYTES: usize = 8 + 32;
/// The same, then the session and the beginning of the parent's SHA-256.
const BYTES: usize = OLD_BYTES + 4 + NAME_BYTES;
const NAME_BYTES: usize = 8;
// A record of either kind can be told by its length.
const _: () = assert!(OLD_BYTES.is_multiple_of(2) && BYTES.is_multiple_of(2));

/// Which of an account's tokens: the beginning of its SHA-256 is enough.
pub(super) type Name = [u8; NAME_BYTES];

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) until_ms: u64,
    pub(super) hash: [u8; 32],
    /// In which session it was given; 0 if nobody knows.
    pub(super) session: u32,
    /// In place of which token, if it was one that its owner has signed in with.
    pub(super) parent: Option<Name>,
}

/// The name of the token with this hash.
pub(super) fn name(hash: &[u8; 32]) -> Name {
    *hash.first_chunk().expect("it is longer")
}

/// Reads a record; `None` if the bytes are not one.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Token>> {
    if bytes.len().is_multiple_of(OLD_BYTES) {
        return bytes.chunks_exact(OLD_BYTES).map(read).collect();
    }
    let tokens = bytes.strip_prefix(&[VERSION])?;
    if !tokens.len().is_multiple_of(BYTES) {
        return None;
    }
    tokens
        .chunks_exact(BYTES)
        .map(|bytes| {
            let (token, rest) = bytes.split_at(OLD_BYTES);
            let (session, parent) = rest.split_first_chunk()?;
            let parent: Name = parent.try_into().ok()?;
            let parent = (parent != [0; NAME_BYTES]).then_some(parent);
            Some(Token { session: u32::from_be_bytes(*session), parent, ..read(token)? })
        })
        .collect()
}

fn read(bytes: &[u8]) -> Option<Token> {
    let until_ms = u64::from_be_bytes(*bytes.first_chunk()?);
    Some(Token { until_ms, hash: *bytes.last_chunk()?, session: 0, parent: None })
}

/// Their record.
pub(super) fn encode(tokens: &[Token]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for token in tokens {
        bytes.extend_from_slice(&token.until_ms.to_be_bytes());
        bytes.extend_from_slice(&token.hash);
        bytes.extend_from_slice(&token.session.to_be_bytes());
        bytes.extend_from_slice(&token.parent.unwrap_or_default());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_records_are_read() {
        let token = |at: u8, session, parent| Token { until_ms: u64::from(at) << 40, hash: [at; 32], session, parent };
        let mut old = Vec::new();
        for at in 0..20 {
            let tokens: Vec<Token> = (0..at).map(|at| token(at, 7, (at % 3 == 2).then_some([at; 8]))).collect();
            assert_eq!(decode(&encode(&tokens)), Some(tokens));
            let tokens: Vec<Token> = (0..at).map(|at| token(at, 0, None)).collect();
            assert_eq!(decode(&old), Some(tokens));
            old.extend((u64::from(at) << 40).to_be_bytes().into_iter().chain([at; 32]));
        }
        assert_eq!(decode(&old[1..]), None);
        assert_eq!(decode(&[VERSION, 0]), None);
    }
}
