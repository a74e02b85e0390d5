//! Changes of keys as bytes: what a frame of the journal and a block of a base hold.

use super::index::Op;

/// Stands where the length of a value would, if the key is gone.
const GONE: u32 = u32::MAX;

/// Appends a change.
pub(super) fn write(bytes: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    bytes.push(u8::try_from(key.len()).expect("keys are short"));
    bytes.extend_from_slice(key);
    let length = value.map_or(GONE, |value| u32::try_from(value.len()).expect("values are short"));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value.unwrap_or_default());
}

/// Reads changes from the front as far as the bytes can be such: they are damaged somewhere.
pub(super) fn read_some(bytes: &[u8]) -> Vec<Op<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(|| next(&mut rest)).collect()
}

/// Reads changes; `None` if the bytes are not such.
pub(super) fn read(mut bytes: &[u8]) -> Option<Vec<Op<'_>>> {
    let mut ops = Vec::new();
    while !bytes.is_empty() {
        ops.push(next(&mut bytes)?);
    }
    Some(ops)
}

/// Takes a change from the front.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<Op<'a>> {
    let (length, rest) = bytes.split_first()?;
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = match u32::from_be_bytes(*length) {
        GONE => (None, rest),
        length => rest.split_at_checked(length as usize).map(|(value, rest)| (Some(value), rest))?,
    };
    *bytes = rest;
    Some((key, value))
}
