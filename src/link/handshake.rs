//! The handshake (protocol.md 2.2): Noise NK, which proves the server to the client and gives both the same keys.
//!
//! Randomness is an argument: the private half of the ephemeral key of each side.

use super::seal::Keys;
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
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

/// The server's static key, both halves.
#[derive(Clone, Copy)]
pub struct StaticKey {
    private: [u8; 32],
    /// What clients are given.
    pub public: [u8; 32],
}

impl StaticKey {
    /// From the private half.
    pub fn new(private: [u8; 32]) -> Self {
        Self { private, public: public_key(&private) }
    }
}

/// The private half is never shown.
impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKey")
    }
}

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
        let builder = builder(ephemeral, None).prologue(&prologue);
        let builder = builder.and_then(|builder| builder.remote_public_key(server_key));
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
    key: &StaticKey,
    number: u32,
    noise: &[u8],
    ephemeral: [u8; 32],
    offer: Offer,
) -> Result<(Vec<u8>, Keys), HandshakeError> {
    let prologue = prologue(number);
    let builder = builder(ephemeral, Some(*key)).prologue(&prologue);
    let builder = builder.and_then(|builder| builder.local_private_key(&key.private));
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
    let mut dh = X25519::new(None);
    dh.set(private);
    dh.public
}

fn prologue(number: u32) -> [u8; 15] {
    let mut prologue = *b"oicq-link/1\0\0\0\0";
    prologue[11..].copy_from_slice(&number.to_be_bytes());
    prologue
}

fn builder(ephemeral: [u8; 32], key: Option<StaticKey>) -> Builder<'static> {
    let pattern = PATTERN.parse().expect("a pattern that this build has");
    Builder::with_resolver(pattern, Box::new(Given { ephemeral, key }))
}

fn split(state: &mut HandshakeState) -> Keys {
    let (to_server, to_client) = state.dangerously_get_raw_split();
    Keys { to_server, to_client }
}

/// The algorithms, with the randomness that was given.
struct Given {
    ephemeral: [u8; 32],
    /// A key whose public half need not be computed.
    key: Option<StaticKey>,
}

impl CryptoResolver for Given {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Ephemeral(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &snow::params::DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == snow::params::DHChoice::Curve25519).then(|| Box::new(X25519::new(self.key)) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &snow::params::HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &snow::params::CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// X25519 of the library that seals the packets: half the time of snow's own.
struct X25519 {
    private: [u8; 32],
    public: [u8; 32],
    known: Option<StaticKey>,
}

impl X25519 {
    fn new(known: Option<StaticKey>) -> Self {
        Self { private: [0; 32], public: [0; 32], known }
    }

    fn key(&self) -> Result<PrivateKey, snow::Error> {
        PrivateKey::from_private_key(&agreement::X25519, &self.private).map_err(|_| snow::Error::Dh)
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        if let Some(known) = self.known.filter(|known| known.private == *private) {
            self.public = known.public;
            return;
        }
        let public = self.key().ok().and_then(|key| key.compute_public_key().ok());
        self.public.copy_from_slice(public.expect("32 bytes are a key").as_ref());
    }

    fn generate(&mut self, chance: &mut dyn Random) -> Result<(), snow::Error> {
        let mut private = [0; 32];
        chance.try_fill_bytes(&mut private)?;
        self.set(&private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let peer = UnparsedPublicKey::new(&agreement::X25519, &public[..32]);
        agreement::agree(&self.key()?, peer, snow::Error::Dh, |secret| {
            out[..32].copy_from_slice(secret);
            Ok(())
        })
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
