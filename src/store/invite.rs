//! Invites: codes with which somebody may register while registration is not open to everybody (protocol.md 2.6).
//!
//! The code itself is not kept. It has 80 random bits in letters and figures that are not mistaken for each other, so
//! nobody finds one by trying, and its SHA-256 says nothing about it.

use crate::wire::{Field, Reader, Writer};
use sha2::{Digest, Sha256};

/// The letters of a code: Crockford's base 32, which has no I, L, O and U.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of a code, and of its groups.
const LENGTH: usize = 16;
const GROUP: usize = 4;

/// One invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The SHA-256 of its code.
    pub hash: [u8; 32],
    /// When it was made, in ms since 1970 UTC.
    pub made_ms: u64,
    /// When it ends; `u64::MAX` for never.
    pub until_ms: u64,
    /// How many accounts can be registered with it.
    pub uses: u32,
    /// How many have been.
    pub used: u32,
    /// The last of them; 0 if there is none.
    pub last: u32,
    /// For whom it is, in the operator's words.
    pub note: Box<str>,
}

impl Invite {
    /// The code that these random bytes make: `7HQK-2M9X-PTAV-W3CD`.
    pub fn code(random: [u8; 10]) -> String {
        let bits = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut code = String::with_capacity(LENGTH + LENGTH / GROUP);
        for at in 0..LENGTH {
            if at > 0 && at.is_multiple_of(GROUP) {
                code.push('-');
            }
            code.push(LETTERS[(bits >> (5 * (LENGTH - 1 - at))) as usize & 31] as char);
        }
        code
    }

    /// The SHA-256 of a code as somebody typed it: small letters, other groups, and what is easily mistaken do no harm.
    /// `None` if it cannot be one.
    pub fn hash_of(typed: &str) -> Option<[u8; 32]> {
        let mut code = Vec::with_capacity(LENGTH);
        for char in typed.chars().filter(|char| !char.is_whitespace() && *char != '-') {
            let letter = match char.to_ascii_uppercase() {
                'O' => b'0',
                'I' | 'L' => b'1',
                other => u8::try_from(other).ok().filter(|letter| LETTERS.contains(letter))?,
            };
            code.push(letter);
            if code.len() > LENGTH {
                return None;
            }
        }
        (code.len() == LENGTH).then(|| Sha256::digest(&code).into())
    }

    /// What lists call it: it does not tell the code.
    pub fn id(&self) -> u64 {
        id_of(&self.hash)
    }

    /// Whether somebody can register with it.
    pub fn is_good(&self, now_ms: u64) -> bool {
        self.used < self.uses && now_ms < self.until_ms
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(62 + self.note.len());
        let mut writer = Writer::new(&mut bytes);
        writer.put(&self.hash);
        self.made_ms.write(&mut writer);
        self.until_ms.write(&mut writer);
        self.uses.write(&mut writer);
        self.used.write(&mut writer);
        self.last.write(&mut writer);
        (&*self.note).write(&mut writer);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (hash, bytes) = bytes.split_first_chunk()?;
        let mut reader = Reader::new(bytes, 0);
        Some(Self {
            hash: *hash,
            made_ms: u64::read(&mut reader).ok()?,
            until_ms: u64::read(&mut reader).ok()?,
            uses: u32::read(&mut reader).ok()?,
            used: u32::read(&mut reader).ok()?,
            last: u32::read(&mut reader).ok()?,
            note: <&str>::read(&mut reader).ok()?.into(),
        })
    }
}

/// The part of a hash that names an invite.
pub(super) fn id_of(hash: &[u8; 32]) -> u64 {
    u64::from_be_bytes(*hash.first_chunk().expect("32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed() {
        let code = Invite::code([0x00, 0x44, 0x32, 0x14, 0xC7, 0x42, 0x54, 0xB6, 0x35, 0xCF]);
        assert_eq!(code, "0123-4567-89AB-CDEF");
        let hash = Invite::hash_of(&code).expect("a code");
        for typed in ["0123456789abcdef", " O1Z3 4567-89ab-cdef".replace('Z', "2").as_str(), "oL23-4567-89AB-CDEF\n"] {
            assert_eq!(Invite::hash_of(typed), Some(hash), "{typed}");
        }
        for no_code in [
            "",
            "0123-4567-89AB-CDE",
            "0123-4567-89AB-CDEF0",
            "0123-4567-89AB-CDEU",
            "日本語日本語日本語日本語日本語日",
            "é123456789abcdef",
        ] {
            assert_eq!(Invite::hash_of(no_code), None, "{no_code}");
        }
        assert_eq!(Invite::code([0xFF; 10]), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
    }

    #[test]
    fn a_record_comes_back() {
        let invite = Invite {
            hash: [3; 32],
            made_ms: 1,
            until_ms: u64::MAX,
            uses: 5,
            used: 2,
            last: 10_001,
            note: "小红".into(),
        };
        assert_eq!(Invite::decode(&invite.encode()), Some(invite.clone()));
        assert_eq!(Invite::decode(&invite.encode()[..40]), None);
        assert!(invite.is_good(5) && !Invite { used: 5, ..invite }.is_good(5));
    }
}
