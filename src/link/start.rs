//! Keys of a start (protocol.md 2.5): each start of the server draws a salt, and a session works under what HKDF makes of
//! its base keys with it. So whatever a restored backup brings back, no key and nonce are ever used together again.

use super::packet::{Packet, Side};
use super::seal::{Ciphers, Keys, nonce};
use crate::limits::{DATA_HEADER_BYTES, KNOWN_STARTS, PROPOSAL, RESUME_ANSWERS, TAG_BYTES};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, KeyType};

/// What a start of the server draws; of a session's first start it is all zero.
pub type Salt = [u8; 16];

/// The salt of a session during the start of the server in which it was made.
pub const FIRST: Salt = [0; 16];

const START: &[u8] = b"oicq-start/1";
const RESUME: &[u8] = b"oicq-resume/1";
const ANSWERS_MS: u64 = RESUME_ANSWERS.as_millis() as u64;
const PROPOSAL_MS: u64 = PROPOSAL.as_millis() as u64;

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

fn derive(salt: &hkdf::Salt, secret: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let filled = salt.extract(secret).expand(&[info], Length).and_then(|okm| okm.fill(&mut key));
    filled.expect("32 bytes are one block");
    key
}

/// The start keys of these base keys.
pub(super) fn start_keys(base: &Keys, salt: &Salt) -> Keys {
    let salt = hkdf::Salt::new(HKDF_SHA256, salt);
    Keys { to_server: derive(&salt, &base.to_server, START), to_client: derive(&salt, &base.to_client, START) }
}

/// What authenticates a resume, and the nonce that goes with a salt.
fn resume_cipher(base: &Keys, salt: &Salt) -> (LessSafeKey, Nonce) {
    let key = derive(&hkdf::Salt::new(HKDF_SHA256, &[]), &base.to_client, RESUME);
    let key = UnboundKey::new(&AES_256_GCM, &key).expect("a key of 32 bytes");
    let nonce = Nonce::try_assume_unique_for_key(&salt[..NONCE_LEN]).expect("twelve bytes");
    (LessSafeKey::new(key), nonce)
}

/// Appends the packet that proposes this salt to the client.
pub(super) fn write_resume(base: &Keys, number: u32, session: u32, salt: &Salt, out: &mut Vec<u8>) {
    let start = out.len();
    Packet::Resume { number, session, salt: *salt, tag: [0; TAG_BYTES] }.encode(out);
    let (cipher, nonce) = resume_cipher(base, salt);
    let signed = out.len() - TAG_BYTES;
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(&out[start..signed]), &mut []);
    out[signed..].copy_from_slice(tag.expect("nothing is not too long").as_ref());
}

/// Whether a resume was made by who has the base keys. `packet` is all of it.
fn is_genuine(base: &Keys, salt: &Salt, packet: &[u8]) -> bool {
    let (signed, tag) = packet.split_at(packet.len() - TAG_BYTES);
    let (cipher, nonce) = resume_cipher(base, salt);
    cipher.open_in_place(nonce, Aad::from(signed), &mut tag.to_vec()).is_ok()
}

/// What a resume means to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// Nothing: it is forged, for another link, or of the start that the link is in.
    Ignored,
    /// The link answers under the keys of that start, and enters it when a data packet opens under them.
    Proposed,
    /// More starts than a client remembers: only a new hello helps.
    TooMany,
}

/// A start other than the one that the link is in.
#[derive(Debug)]
struct Other {
    salt: Salt,
    /// Of the next packet that goes out under its keys: never used again.
    counter: u64,
    /// Packets below this one that come under its keys are old.
    floor: u64,
    /// The link was in it, and has left it.
    left: bool,
    /// Somebody proposes it: its keys, whether that is still to be answered, and until when it counts.
    proposal: Option<(Box<Keys>, bool, u64)>,
}

/// Base keys, and what is known of the starts of the server.
#[derive(Debug)]
pub(super) struct Starts {
    pub base: Keys,
    /// The start that the link is in.
    pub salt: Salt,
    /// Clients only: the others, the one that was proposed first in front.
    others: Vec<Other>,
    answered_ms: Option<u64>,
}

/// A start that a packet of its own has proven to be the server's.
pub(super) struct Proven {
    pub salt: Salt,
    pub keys: Keys,
    pub counter: u64,
    /// The link was in it before: what segments it had then, nobody knows any more.
    pub left: bool,
}

impl Starts {
    pub fn new(base: Keys, salt: Salt) -> Self {
        Self { base, salt, others: Vec::new(), answered_ms: None }
    }

    /// A resume has come.
    pub fn propose(&mut self, now_ms: u64, salt: Salt, packet: &[u8]) -> Resumed {
        if salt == self.salt || !is_genuine(&self.base, &salt, packet) {
            return Resumed::Ignored;
        }
        let until_ms = now_ms + PROPOSAL_MS;
        let at = match self.others.iter().position(|other| other.salt == salt) {
            Some(at) => at,
            None => {
                // Under the keys of those nothing was ever sent: they can be forgotten.
                self.others.retain(|other| other.counter > 0 || other.left || other.proposal.is_some());
                if self.others.len() + 1 >= KNOWN_STARTS {
                    return Resumed::TooMany;
                }
                self.others.push(Other { salt, counter: 0, floor: 0, left: false, proposal: None });
                self.others.len() - 1
            }
        };
        let other = &mut self.others[at];
        match &mut other.proposal {
            Some((_, wanted, until)) => (*wanted, *until) = (true, until_ms),
            None => other.proposal = Some((Box::new(start_keys(&self.base, &salt)), true, until_ms)),
        }
        Resumed::Proposed
    }

    /// Whether packets may come under other keys than those of the link.
    pub fn has_proposals(&self) -> bool {
        self.others.iter().any(|other| other.proposal.is_some())
    }

    /// When the next proposal is to be answered.
    pub fn answer_at(&self) -> Option<u64> {
        let wanted = self.others.iter().any(|other| matches!(other.proposal, Some((_, true, _))));
        wanted.then(|| self.answered_ms.map_or(0, |at| at + ANSWERS_MS))
    }

    /// The keys and the counter of the next answer, if one is due. Several proposals have their turns, so that one that is
    /// replayed keeps no answer from the genuine one.
    pub fn next_answer(&mut self, now_ms: u64) -> Option<(Keys, u64)> {
        self.answer_at().filter(|at| *at <= now_ms)?;
        let at = self.others.iter().position(|other| matches!(other.proposal, Some((_, true, _))))?;
        let mut other = self.others.remove(at);
        let (keys, wanted, _) = other.proposal.as_mut()?;
        let answer = (**keys, other.counter);
        *wanted = false;
        other.counter += 1;
        self.others.push(other);
        self.answered_ms = Some(now_ms);
        Some(answer)
    }

    /// Proposals that nobody has repeated for long do not count any more.
    pub fn forget_proposals(&mut self, now_ms: u64) {
        for other in &mut self.others {
            other.proposal.take_if(|(_, _, until_ms)| *until_ms <= now_ms);
        }
    }

    /// The proposal under whose keys this packet was sealed; the packet is opened then.
    pub fn open(&mut self, ciphers: &mut Ciphers, counter: u64, packet: &mut [u8]) -> Option<Proven> {
        let (header, sealed) = packet.split_at_mut_checked(DATA_HEADER_BYTES).filter(|(_, s)| s.len() >= TAG_BYTES)?;
        for other in self.others.iter_mut().filter(|other| other.floor <= counter) {
            let Some((keys, ..)) = &other.proposal else { continue };
            // An opening that fails leaves nothing of what it was given.
            let mut copy = sealed.to_vec();
            let cipher = ciphers.prepared(&keys.to_client);
            if cipher.open_in_place(nonce(counter), Aad::from(&*header), &mut copy).is_ok() {
                sealed.copy_from_slice(&copy);
                other.floor = counter + 1;
                return Some(Proven { salt: other.salt, keys: **keys, counter: other.counter, left: other.left });
            }
        }
        None
    }

    /// The link leaves the start that it is in, in which it has sent and got everything below these counters, and goes on
    /// in a proven one. Proposals of others have to be made anew.
    pub fn enter(&mut self, proven: &Proven, sent: u64, got: u64) {
        self.others.retain(|other| other.salt != proven.salt);
        self.others.iter_mut().for_each(|other| other.proposal = None);
        self.others.push(Other { salt: self.salt, counter: sent, floor: got, left: true, proposal: None });
        self.salt = proven.salt;
    }
}

/// A client's packets come to the server, and the other way round.
pub(super) fn directions(side: Side, keys: &Keys) -> (&[u8; 32], &[u8; 32]) {
    match side {
        Side::Client => (&keys.to_server, &keys.to_client),
        Side::Server => (&keys.to_client, &keys.to_server),
    }
}
