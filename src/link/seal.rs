//! Sealing and opening packets in place (protocol.md 2.3): AES-256-GCM, the nonce is the counter, the first 24 bytes of
//! the packet are authenticated with it.
//!
//! A link keeps its keys as they are, 64 bytes. What AES makes of a key is larger than the rest of an idle session
//! together, so only the links that are in use have it, in a cache that all links of a thread share.

use crate::limits::{DATA_HEADER_BYTES, TAG_BYTES};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;

/// The two keys of a link: base keys, or those of a start (protocol.md 2.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// k1: client to server.
    pub to_server: [u8; 32],
    /// k2: server to client.
    pub to_client: [u8; 32],
}

/// Keys are never shown.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Prepared keys of the links in use.
pub struct Ciphers {
    slots: Box<[Option<Prepared>]>,
}

struct Prepared {
    key: [u8; 32],
    cipher: LessSafeKey,
}

impl Ciphers {
    /// Room for so many keys; a link in use has two. Others are prepared anew when they are needed: a tenth of a
    /// microsecond each.
    pub fn new(slots: usize) -> Self {
        Self { slots: (0..slots.max(1)).map(|_| None).collect() }
    }

    #[inline]
    pub(super) fn prepared(&mut self, key: &[u8; 32]) -> &LessSafeKey {
        // A key is random, so its first bytes are as good as a hash of it.
        let place = u64::from_le_bytes(key[..8].try_into().expect("eight bytes")) as usize % self.slots.len();
        let slot = &mut self.slots[place];
        if slot.as_ref().is_none_or(|held| held.key != *key) {
            let unbound = UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes");
            *slot = Some(Prepared { key: *key, cipher: LessSafeKey::new(unbound) });
        }
        let Some(Prepared { cipher, .. }) = slot else { unreachable!("it was filled just now") };
        cipher
    }
}

impl fmt::Debug for Ciphers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ciphers")
    }
}

pub(super) fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Encrypts what follows the header of a packet, whose length field is final, and appends the tag. A counter must never
/// be used twice with one key.
pub(super) fn seal(ciphers: &mut Ciphers, key: &[u8; 32], counter: u64, packet: &mut Vec<u8>, start: usize) {
    #[cfg(any(test, feature = "sim"))]
    super::nonces::used(key, counter, &packet[start..]);
    let (header, plain) = packet[start..].split_at_mut(DATA_HEADER_BYTES);
    let tag = ciphers
        .prepared(key)
        .seal_in_place_separate_tag(nonce(counter), Aad::from(&*header), plain)
        .expect("a packet is far below the bound of the cipher");
    packet.extend_from_slice(tag.as_ref());
}

/// Decrypts a packet in place and gives its plaintext; `None` if it was not sealed with this key and counter.
pub(super) fn open<'p>(
    ciphers: &mut Ciphers,
    key: &[u8; 32],
    counter: u64,
    packet: &'p mut [u8],
) -> Option<&'p mut [u8]> {
    let (header, sealed) = packet.split_at_mut_checked(DATA_HEADER_BYTES).filter(|(_, s)| s.len() >= TAG_BYTES)?;
    ciphers.prepared(key).open_in_place(nonce(counter), Aad::from(&*header), sealed).ok()
}
