//! LIKE: `%` stands for any run of characters, `_` for exactly one. There is no escape.

/// A pattern, ready to be compared without regard to ASCII case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    lower: Box<[u8]>,
}

impl Pattern {
    pub fn new(pattern: &str) -> Self {
        Self { lower: pattern.to_ascii_lowercase().into_bytes().into() }
    }

    /// Whether the whole text fits.
    ///
    /// Two pointers that go forward: on a mismatch only the latest `%` takes one character more, since whatever an
    /// earlier one could take, the latest can take too. So the time is bounded by the product of the lengths, and
    /// no pattern is exponential.
    pub fn fits(&self, text: &str) -> bool {
        let (text, pattern) = (text.as_bytes(), &*self.lower);
        let (mut at, mut next) = (0, 0);
        // Where the latest `%` ends in the pattern, and where the text begins that it has not taken.
        let mut retry = None;
        while at < text.len() {
            match pattern.get(next) {
                Some(b'%') => {
                    next += 1;
                    let Some(wanted) = pattern.get(next) else { return true };
                    at = skip_to(text, at, *wanted);
                    retry = Some((next, at));
                }
                Some(b'_') => {
                    at += character_bytes(text[at]);
                    next += 1;
                }
                Some(byte) if *byte == text[at].to_ascii_lowercase() => {
                    at += 1;
                    next += 1;
                }
                _ => {
                    let Some((after, start)) = retry else { return false };
                    at = skip_to(text, start + character_bytes(text[start]), pattern[after]);
                    next = after;
                    retry = Some((after, at));
                }
            }
        }
        pattern[next..].iter().all(|byte| *byte == b'%')
    }
}

/// The first place from `at` on where a match that begins with this byte of the pattern can begin.
#[inline]
fn skip_to(text: &[u8], at: usize, wanted: u8) -> usize {
    if wanted == b'%' || wanted == b'_' {
        return at;
    }
    // The first byte of a character is never a later byte of another, so the place is at a character's beginning.
    at + text[at..].iter().position(|byte| byte.to_ascii_lowercase() == wanted).unwrap_or(text.len() - at)
}

/// How long the character is that begins with this byte of valid UTF-8.
#[inline]
fn character_bytes(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
    }
}
