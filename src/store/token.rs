//! The tokens of an account (protocol.md 2.6): one record, since they are few and go together.

/// The end, in ms since 1970 UTC, and the SHA-256.
const BYTES: usize = 8 + 32;

/// Until when a token is good, and its SHA-256.
pub(super) type Token = (u64, [u8; 32]);

/// Reads a record; `None` if the bytes are not one.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Token>> {
    if !bytes.len().is_multiple_of(BYTES) {
        return None;
    }
    let token = |bytes: &[u8]| Some((u64::from_be_bytes(*bytes.first_chunk()?), *bytes.last_chunk()?));
    bytes.chunks_exact(BYTES).map(token).collect()
}

/// Their record.
pub(super) fn encode(tokens: &[Token]) -> Vec<u8> {
    tokens.iter().flat_map(|(until_ms, hash)| until_ms.to_be_bytes().into_iter().chain(*hash)).collect()
}
