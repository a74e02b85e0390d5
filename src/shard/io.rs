//! What goes into a shard and what comes out of it.

use super::bans::Bans;
use super::endpoint::Endpoint;
use super::event::Event;
use super::peer::Peer;
use super::policy::Policy;
use super::prefix::Prefix;
use super::search::{Query, Viewer};
use super::wheel::SessionKey;
use crate::store::{Answer, Card, Limits, Request};
use crate::wire::{LINK_LEAD, word_at_eight};
use std::sync::Arc;

/// The time of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that never goes back.
    pub mono_ms: u64,
    /// Milliseconds since 1970 UTC.
    pub unix_ms: u64,
}

/// Which users belong to a shard: those whose number leaves this remainder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Territory {
    /// Which shard this is, from 0.
    pub index: u32,
    /// How many there are.
    pub shards: u32,
}

impl Territory {
    /// The whole world: one shard.
    pub const ALL: Self = Self { index: 0, shards: 1 };

    /// Whether this user's rules are done here.
    #[inline]
    pub fn owns(&self, number: u32) -> bool {
        number % self.shards == self.index
    }
}

/// Names a question to the store, the password pool or the search thread; the answer brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A bare frame: a whole datagram, or one frame cut from a stream.
    Frame {
        /// Who sent it.
        from: Endpoint,
        /// The frame with its header.
        bytes: &'a [u8],
    },
    /// A packet of the link: a whole datagram, or one packet cut from a stream. It is opened in place.
    Packet {
        /// Who sent it.
        from: Endpoint,
        /// The packet with its header.
        bytes: &'a mut [u8],
    },
    /// The shard of another user has this for `to`, who belongs to this shard.
    Peer {
        /// For whom.
        to: u32,
        /// What.
        message: Peer,
    },
    /// The store has answered.
    Stored {
        /// Which request.
        ticket: Ticket,
        /// What.
        answer: Answer,
    },
    /// The password pool has answered.
    Password {
        /// Which job.
        ticket: Ticket,
        /// What.
        outcome: PasswordOutcome,
    },
    /// A search has ended: who fits, or `None` if there were too many searches at once.
    Searched {
        /// Which search.
        ticket: Ticket,
        /// Who fits, in the order asked for.
        found: Option<Vec<Card>>,
    },
    /// The connection by which `number` had asked to sign in has ended.
    StreamClosed {
        /// The connection.
        from: Endpoint,
        /// Who had asked to sign in by it.
        number: u32,
    },
    /// Everything that was sent to this connection has left, as [`Outbox::flushes`] wanted to know for `number`.
    Flushed {
        /// The connection.
        from: Endpoint,
        /// For whom.
        number: u32,
    },
    /// The operator wants something.
    Control(Control),
    /// The server ends: what is in memory alone is given to the store.
    Stop,
    /// Time has passed; at the latest at [`deadline`](super::Shard::deadline).
    Tick,
}

impl<'a> Input<'a> {
    /// A whole datagram, or what was cut from a stream: the first byte tells packets of the link from bare frames.
    #[inline]
    pub fn of(from: Endpoint, bytes: &'a mut [u8]) -> Self {
        if bytes.first() == Some(&LINK_LEAD) { Self::Packet { from, bytes } } else { Self::Frame { from, bytes } }
    }
}

/// What the operator can ask of a running server. Every shard gets each of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Words of the server to everyone online (0x03 flag 1 kind 0).
    Announce(Box<str>),
    /// Ends the session of this user, with these words.
    SignOut(u32, Box<str>),
    /// This account has these limits of its own.
    Limits(u32, Limits),
    /// Ends all sessions: the server will not go on with them.
    SignOutAll,
    /// The account of this user was deleted from the store: no list in memory has it any more.
    Deleted(u32),
    /// Takes back a leave to monitor that was deleted from the store.
    Revoke {
        /// Who had it.
        monitor: u32,
        /// For whom.
        target: u32,
    },
    /// What the operator has set now.
    Policy(Arc<Policy>),
    /// Everybody who is banned now.
    Bans(Arc<Bans>),
}

/// Who waits for a password job: prefixes take turns, and who is known goes before who is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applicant {
    /// Where they are.
    pub prefix: Prefix,
    /// Somebody has signed in to this account from there lately.
    pub known: bool,
}

/// Work for the password pool: Argon2id takes tens of milliseconds and 19 MiB.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordJob {
    /// Does this password fit this PHC string? Answer: `Good` or `Wrong`.
    Check {
        /// What the user gave.
        password: Box<str>,
        /// What the account has.
        hash: Box<str>,
    },
    /// Answer: `Hashed`.
    Hash {
        /// What the user gave.
        password: Box<str>,
    },
}

impl PasswordJob {
    /// The hash of no password that anybody knows, with the cost of a present one: it is checked where there is no account,
    /// so that a refusal takes as long.
    pub const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}

/// A password is never shown.
impl std::fmt::Debug for PasswordJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Check { .. } => "Check",
            Self::Hash { .. } => "Hash",
        })
    }
}

/// What the password pool answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordOutcome {
    /// It fits.
    Good,
    /// It does not fit.
    Wrong,
    /// Its PHC string.
    Hashed(Box<str>),
    /// Too many wait already; nothing was computed.
    Busy,
}

/// What the search thread is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchOrder {
    /// Run a search.
    Begin(SearchJob),
    /// Nobody waits for the answer to this one any more: stop it, whether it runs or waits. There is no answer.
    Cancel(Ticket),
}

/// A search over all accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchJob {
    /// Comes back with the answer.
    pub ticket: Ticket,
    /// What to look for.
    pub query: Query,
    /// For whom.
    pub viewer: Viewer,
}

/// Bytes of [`Outbox::bytes`] to be sent to someone. Several sends may share the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// To whom.
    pub to: Endpoint,
    /// Where they begin.
    pub start: u32,
    /// How many they are: one whole frame.
    pub length: u32,
}

/// What is to be done. Filled by [`handle`](super::Shard::handle), emptied by the caller after it is done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The frames of `sends`.
    pub bytes: Vec<u8>,
    /// Frames to send, in this order to each endpoint.
    pub sends: Vec<Send>,
    /// Connections to close after what was sent.
    pub closes: Vec<Endpoint>,
    /// Connections that are not to be read from now on (true), or again. At once: what they bring meanwhile is kept, and
    /// there is little room for it.
    pub stalls: Vec<(Endpoint, bool)>,
    /// Connections of which a user's rules want to know when everything sent so far has left: [`Input::Flushed`]. A slow
    /// reader then gets its mail as fast as it reads.
    pub flushes: Vec<(Endpoint, u32)>,
    /// Messages for the shards of other users, in this order to each user.
    pub peers: Vec<(u32, Peer)>,
    /// Requests to the store, in this order.
    pub store: Vec<(Ticket, Request)>,
    /// Passwords to check or hash, and for whom.
    pub passwords: Vec<(Ticket, Applicant, PasswordJob)>,
    /// Searches to begin and to cancel, in this order.
    pub searches: Vec<SearchOrder>,
    /// What the operator may want to know.
    pub events: Vec<Event>,
    /// Links that have something to send: see [`flush`](super::Shard::flush).
    pub(super) touched: Vec<SessionKey>,
    /// A frame on its way into a link.
    pub(super) scratch: Vec<u8>,
}

impl Outbox {
    /// Empties it and keeps its memory. What links have to send stays with them.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.sends.clear();
        self.closes.clear();
        self.stalls.clear();
        self.flushes.clear();
        self.peers.clear();
        self.store.clear();
        self.passwords.clear();
        self.searches.clear();
        self.events.clear();
    }

    /// The bytes of a send.
    pub fn frame(&self, send: &Send) -> &[u8] {
        &self.bytes[send.start as usize..(send.start + send.length) as usize]
    }
}

/// What a shard has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Users signed in now.
    pub online: u64,
    /// Words of the operator told to users.
    pub announced: u64,
    /// Registrations.
    pub registered: u64,
    /// Sign-ins.
    pub sign_ins: u64,
    /// Sign-ins refused.
    pub sign_ins_refused: u64,
    /// Sessions ended by silence.
    pub timed_out: u64,
    /// Messages taken from senders.
    pub messages: u64,
    /// Messages handed to users who were online.
    pub delivered: u64,
    /// Messages stored for users who were offline.
    pub stored: u64,
    /// Status changes told to friends.
    pub presence: u64,
    /// Frames that could not be read.
    pub malformed: u64,
    /// Frames for a number whose session is elsewhere.
    pub foreign: u64,
    /// Frames without a session.
    pub unsigned: u64,
    /// Requests repeated and answered again without being done again.
    pub repeats: u64,
    /// Requests not done, with a notice.
    pub refused: u64,
    /// Bare frames from addresses that may not send any (`--classic`).
    pub classic_refused: u64,
    /// Receipts told to senders.
    pub receipts: u64,
    /// Hellos of links.
    pub hellos: u64,
    /// Hellos answered with a cookie.
    pub retries: u64,
    /// Handshakes in progress and links without a session that gave way to newer ones.
    pub replaced: u64,
    /// Handshakes that became links.
    pub handshakes: u64,
    /// Packets for links that do not exist.
    pub unknown: u64,
    /// Packets that were not made by the peer, or for another number.
    pub forged: u64,
    /// Packets that had been seen before.
    pub replayed: u64,
    /// Packets left unopened, because what came before them on their link still waits.
    pub unopened: u64,
    /// Times that a client was told of a start of the server.
    pub resumes: u64,
    /// Links that were heard of from another address.
    pub moved: u64,
    /// Links ended because nothing was acknowledged, or too much waited.
    pub gone: u64,
    /// Sessions kept from before a restart that have not been heard of.
    pub kept: u64,
    /// Sessions kept from before a restart that have gone on.
    pub resumed: u64,
}

/// Whose shard must handle a frame or packet; `None` where any can (a bare registration has no number yet, and rubbish
/// none).
#[inline]
pub fn steer(bytes: &[u8]) -> Option<u32> {
    const REGISTER: u8 = 0x01;
    let bare_registration = bytes.get(3) == Some(&REGISTER) && bytes[0] != LINK_LEAD;
    if bare_registration { None } else { word_at_eight(bytes) }
}
