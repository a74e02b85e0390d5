//! The handshake (protocol.md 2.2): Noise NK, which proves the server to the client and gives both the same keys.
//!
//! Randomness is an argument: the private half of the ephemeral key of each side.

use super::seal::Keys;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use std::fmt;

const PATTERN: &str = "Noise_NK_25519_AESGCM_SHA256";
/// Noise message 1: an ephemeral key and a tag.
const MESSAGE_1_BYTES: usize = 48;
/// The payload of message 2: session, idle seconds, largest datagram.
const PAYLOAD_BYTES: usize = 8;
/// Noise message 2: an ephemeral key, the payload and a tag.
const MESSAGE_2_BYTES: usize = 48 + PAYLOAD_BYTES;

/// What the server tells with its part of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The link's session.
    pub session: u32,
    /// Silence after which the user is offline, in seconds.
    pub idle_secs: u16,
    /// Largest datagram, in bytes.
    pub largest_datagram: u16,
}

/// What both sides have after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Established {
    /// The data keys.
    pub keys: Keys,
    /// What the server has told.
    pub offer: Offer,
}

/// The peer's part does not fit: it has another key or number, or somebody has changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeError;

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handshake does not fit the server's key and the number")
    }
}

impl std::error::Error for HandshakeError {}

/// The client's side of a handshake.
pub struct Initiator {
    state: HandshakeState,
    message: [u8; MESSAGE_1_BYTES],
}

impl Initiator {
    /// Begins a handshake for this number with the server that has this public key. `ephemeral` must be random and is never
    /// used again.
    pub fn new(number: u32, server_key: &[u8; 32], ephemeral: [u8; 32]) -> Result<Self, HandshakeError> {
        let prologue = prologue(number);
        let builder = builder(ephemeral).prologue(&prologue).and_then(|builder| builder.remote_public_key(server_key));
        let mut state = builder.and_then(Builder::build_initiator).map_err(|_| HandshakeError)?;
        let mut message = [0; MESSAGE_1_BYTES];
        state.write_message(&[], &mut message).map_err(|_| HandshakeError)?;
        Ok(Self { state, message })
    }

    /// Noise message 1, for the hello.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes noise message 2 from the welcome. After an error the handshake is over.
    pub fn finish(&mut self, noise: &[u8]) -> Result<Established, HandshakeError> {
        let mut payload = [0; MESSAGE_2_BYTES];
        let length = self.state.read_message(noise, &mut payload).map_err(|_| HandshakeError)?;
        if length < PAYLOAD_BYTES {
            return Err(HandshakeError);
        }
        let half = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let offer = Offer {
            session: u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]),
            idle_secs: half(4),
            largest_datagram: half(6),
        };
        Ok(Established { keys: split(&mut self.state), offer })
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Initiator")
    }
}

/// The server's side: answers noise message 1 with message 2, and has the keys. `ephemeral` must be random and is never
/// used again.
pub fn respond(
    private: &[u8; 32],
    number: u32,
    noise: &[u8],
    ephemeral: [u8; 32],
    offer: Offer,
) -> Result<(Vec<u8>, Keys), HandshakeError> {
    let prologue = prologue(number);
    let builder = builder(ephemeral).prologue(&prologue).and_then(|builder| builder.local_private_key(private));
    let mut state = builder.and_then(Builder::build_responder).map_err(|_| HandshakeError)?;
    state.read_message(noise, &mut [0; MESSAGE_1_BYTES]).map_err(|_| HandshakeError)?;
    let mut payload = [0; PAYLOAD_BYTES];
    payload[..4].copy_from_slice(&offer.session.to_be_bytes());
    payload[4..6].copy_from_slice(&offer.idle_secs.to_be_bytes());
    payload[6..].copy_from_slice(&offer.largest_datagram.to_be_bytes());
    let mut message = vec![0; MESSAGE_2_BYTES];
    let length = state.write_message(&payload, &mut message).map_err(|_| HandshakeError)?;
    message.truncate(length);
    Ok((message, split(&mut state)))
}

/// The public key that belongs to a private X25519 key.
pub fn public_key(private: &[u8; 32]) -> [u8; 32] {
    let mut dh = DefaultResolver.resolve_dh(&snow::params::DHChoice::Curve25519).expect("X25519 is built in");
    dh.set(private);
    dh.pubkey().try_into().expect("32 bytes")
}

fn prologue(number: u32) -> [u8; 15] {
    let mut prologue = *b"oicq-link/1\0\0\0\0";
    prologue[11..].copy_from_slice(&number.to_be_bytes());
    prologue
}

fn builder(ephemeral: [u8; 32]) -> Builder<'static> {
    let pattern = PATTERN.parse().expect("a pattern that this build has");
    Builder::with_resolver(pattern, Box::new(Given(ephemeral)))
}

fn split(state: &mut HandshakeState) -> Keys {
    let (to_server, to_client) = state.dangerously_get_raw_split();
    Keys { to_server, to_client }
}

/// The default algorithms, with the randomness that was given.
struct Given([u8; 32]);

impl CryptoResolver for Given {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Ephemeral(Some(self.0))))
    }

    fn resolve_dh(&self, choice: &snow::params::DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &snow::params::HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &snow::params::CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// Enough for the one key that a handshake makes, and never twice the same.
struct Ephemeral(Option<[u8; 32]>);

impl Random for Ephemeral {
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().filter(|bytes| bytes.len() == into.len()).ok_or(snow::Error::Rng)?;
        into.copy_from_slice(&bytes);
        Ok(())
    }
}
