//! One user's side of the protocol without I/O: give it the time and what has arrived, and take from it what is to be
//! sent and what has happened.

mod chance;
mod door;
mod entering;
mod entry;
mod leaving;
mod live;
mod outbox;
mod pending;
mod pulse;
mod seen;
mod session;
mod taking;
mod transfers;

use super::check::check;
use super::error::Error;
use super::event::{Event, ReceiptState, Reply, Status};
use super::profile::OwnedProfile;
use crate::limits::{EVENTS_WAITING, FIRST_GUEST, FIRST_USER, LAST_USER};
use crate::link::{Ciphers, Frames, Packet};
use crate::wire::{Blob, User};
use chance::Chance;
use entry::{Entry, Login, Phase, Purpose};
use leaving::Leaving;
use live::Live;
use outbox::Outbox;
pub use outbox::{Recipient, Unsent};
use pending::Requests;
use seen::Seen;
pub use seen::SeenList;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use transfers::Transfers;

/// When a registration or a sign-in for which somebody waits is given up: at the door, where three seconds are UDP's and the
/// rest is TCP's,
const KNOCK_WITHIN_MS: u64 = 12_000;
/// and inside, where a password may have to wait (protocol.md 2.6) and then waits for its turn to be checked.
const ENTER_WITHIN_MS: u64 = 60_000;
/// Registrations that wait for their turn.
const REGISTRATIONS_WAITING: usize = 64;

/// Which request an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

/// What a core begins with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The server's key. Without one it is learnt, and told as [`Event::ServerKey`].
    pub key: Option<[u8; 32]>,
    /// Random bytes that nobody else knows: everything secret comes from them.
    pub seed: [u8; 32],
    /// The first id of a message. Ids must rise over restarts: the time in ms, shifted left by 20, does.
    pub first_id: u64,
    /// Remember the password for reconnections on which the token is not taken.
    pub keep_password: bool,
    /// Messages of an earlier client that have no receipt.
    pub outbox: Vec<Unsent>,
    /// What an earlier client has shown.
    pub seen: SeenList,
}

/// What to sign in with.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password.
    Password(String),
    /// A token from an earlier sign-in.
    Token(String),
}

/// Never shown.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Who is signed in, with what it takes to sign in again.
#[derive(Debug)]
struct Identity {
    number: u32,
    login: Login,
}

/// One user's side of the protocol, without I/O.
///
/// Times are milliseconds of any clock that only moves forward. After each call of another method, take everything from
/// [`poll_packet`](Self::poll_packet), [`poll_reply`](Self::poll_reply) and [`poll_event`](Self::poll_event); when
/// [`deadline`](Self::deadline) has come, call [`wake`](Self::wake) first. A packet is a datagram, or the next bytes of
/// a stream; what arrives is given one packet at a time.
///
/// It owns the handshake, the session, and what has to outlive the session: who is signed in, requests without an answer
/// and messages without a receipt.
#[derive(Debug)]
pub struct Core {
    /// The server's key, and whether it is proven: given, or by a handshake.
    key: Option<([u8; 32], bool)>,
    keep_password: bool,
    chance: Chance,
    ciphers: Ciphers,
    frames: Frames,
    me: Option<Identity>,
    live: Option<Live>,
    leaving: Option<Leaving>,
    /// At most one sign-in and one registration.
    entries: Vec<Entry>,
    registrations: VecDeque<(RequestId, Vec<u8>, u64)>,
    requests: Requests,
    outbox: Outbox,
    seen: Seen,
    transfers: Transfers,
    /// The number of the last offer of a file.
    offer: u32,
    /// Messages whose receipts somebody waits for.
    watched: BTreeMap<u64, ReceiptState>,
    /// Since when an answer is awaited and nothing has come.
    unanswered_since: Option<u64>,
    next_request: u64,
    packets: VecDeque<Vec<u8>>,
    replies: VecDeque<(RequestId, Result<Reply, Error>)>,
    events: VecDeque<Event>,
    /// The messages among the events.
    unshown: BTreeSet<(u32, u64)>,
    deaf: bool,
}

impl Core {
    /// Nobody is signed in, and nothing has been sent.
    pub fn new(setup: Setup) -> Self {
        Self {
            key: setup.key.map(|key| (key, true)),
            keep_password: setup.keep_password,
            chance: Chance::new(setup.seed),
            // A session and one on its way in, both directions each; more than that is prepared anew.
            ciphers: Ciphers::new(16),
            frames: Frames::default(),
            me: None,
            live: None,
            leaving: None,
            entries: Vec::new(),
            registrations: VecDeque::new(),
            requests: Requests::default(),
            outbox: Outbox::new(setup.first_id, setup.outbox),
            seen: Seen::new(setup.seen),
            transfers: Transfers::default(),
            offer: first_offer(setup.first_id),
            watched: BTreeMap::new(),
            unanswered_since: None,
            next_request: 0,
            packets: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            unshown: BTreeSet::new(),
            deaf: false,
        }
    }

    /// The number that is signed in, also while the connection is being made anew.
    pub fn number(&self) -> Option<u32> {
        self.me.as_ref().map(|me| me.number)
    }

    /// The server's key, once it is known and proven.
    pub fn server_key(&self) -> Option<[u8; 32]> {
        self.key.filter(|(_, proven)| *proven).map(|(key, _)| key)
    }

    /// Registers a new user, through a session of its own under a guest's number; where that is by invitation, with a code.
    pub fn register(&mut self, now: u64, profile: &OwnedProfile, invite: Option<&str>) -> Result<RequestId, Error> {
        let frame = profile.as_registration(invite);
        check(&frame)?;
        if self.registrations.len() >= REGISTRATIONS_WAITING {
            return Err(Error::Invalid(format!("{REGISTRATIONS_WAITING} registrations wait already")));
        }
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let id = self.new_request();
        self.registrations.push_back((id, bytes, now + ENTER_WITHIN_MS));
        self.advance(now);
        Ok(id)
    }

    /// Signs in. A session that stands goes on until the new one is good.
    pub fn sign_in(&mut self, now: u64, number: u32, secret: &Secret, hidden: bool) -> Result<RequestId, Error> {
        let (password, token) = match secret {
            Secret::Password(password) => (Some(password.clone()), None),
            Secret::Token(token) => (None, Some(token.clone())),
        };
        let frame =
            User::SignIn { me: number, password: password.as_deref().unwrap_or_default(), mode: 0, token: None };
        check(&frame)?;
        if !(FIRST_USER..=LAST_USER).contains(&number) {
            return Err(Error::Invalid(format!("{number} is no user; numbers of users begin with {FIRST_USER}")));
        }
        let id = self.new_request();
        let status = if hidden { Status::Hidden } else { Status::Online };
        self.knock(now, number, Purpose::SignIn(Some(id), Login { password, token, status }));
        self.advance(now);
        Ok(id)
    }

    /// Makes a request; its answer comes from [`poll_reply`](Self::poll_reply). One that has no answer is answered by
    /// [`Reply::Done`] when the server has had the time to object. Requests go out in order; one whose type is under way
    /// waits for its answer, and those behind it wait with it.
    pub fn request(&mut self, now: u64, frame: &User<'_>) -> Result<RequestId, Error> {
        check(frame)?;
        self.me()?;
        let id = self.new_request();
        self.requests.push(now, Some(id), frame)?;
        match *frame {
            User::OfferFile { friend, size, offer, .. } => {
                self.transfers.offer((friend, offer.unwrap_or_default()), size);
            }
            User::AnswerFile { friend, allow, offer, .. } => {
                self.transfers.answer((friend, offer.unwrap_or_default()), allow == 1);
            }
            _ => {}
        }
        self.advance(now);
        Ok(id)
    }

    /// Sends words to one user or to a group, and gives their id. They are held until a receipt has come, which is
    /// [`Event::Receipt`].
    pub fn message(&mut self, now: u64, to: Recipient, text: &str) -> Result<u64, Error> {
        let me = self.me()?;
        check(&match to {
            Recipient::User(to) => User::Message { me, to, text, id: None },
            Recipient::Group(group) => User::Broadcast { me, group: group.into(), text, id: None },
        })?;
        let id = self.outbox.push(me, to, text).ok_or_else(|| {
            Error::Invalid("too many messages have no receipt yet; wait for some before the next".into())
        })?;
        self.advance(now);
        Ok(id)
    }

    /// The id that the next message gets, for a program that writes a message down before it sends it.
    pub fn next_id(&self) -> u64 {
        self.outbox.next_id()
    }

    /// Takes a message that has been written down with an id of its own: from [`next_id`](Self::next_id), or of an earlier
    /// run. It goes out when its sender is signed in, who need not be so yet, and is held until its receipt has come.
    pub fn hold(&mut self, now: u64, message: Unsent) -> Result<(), Error> {
        check(&message.as_wire())?;
        if !self.outbox.hold(message) {
            return Err(Error::Invalid("too many messages have no receipt yet; wait for some before the next".into()));
        }
        self.advance(now);
        Ok(())
    }

    /// Keeps what becomes of this message for [`receipt`](Self::receipt), until [`unwatch`](Self::unwatch).
    pub fn watch(&mut self, id: u64) {
        self.watched.insert(id, ReceiptState::Sending);
    }

    /// What has become of a message that is watched.
    pub fn receipt(&self, id: u64) -> Option<ReceiptState> {
        self.watched.get(&id).copied()
    }

    /// Nobody asks for this receipt any more.
    pub fn unwatch(&mut self, id: u64) {
        self.watched.remove(&id);
    }

    /// Sends a piece of a file whose offer was accepted; not more than [`file_room`](Self::file_room) says.
    pub fn piece(&mut self, now: u64, friend: u32, offer: u32, data: &[u8]) -> Result<(), Error> {
        let me = self.me()?;
        let frame = User::FileData { me, friend, data: Blob(data), offer: Some(offer) };
        check(&frame)?;
        let room = self.file_room(friend, offer).ok_or(Error::Unknown)?;
        if data.len() > room as usize {
            return Err(Error::Invalid(format!("{} bytes are too many; {room} can go now", data.len())));
        }
        let Some(live) = &mut self.live else { return Err(Error::Unknown) };
        live.session.send(&frame);
        self.transfers.sent((friend, offer), data.len() as u32);
        self.advance(now);
        Ok(())
    }

    /// The number for the next offer of a file: they rise, over restarts too.
    pub fn next_offer(&mut self) -> u32 {
        self.offer = self.offer.wrapping_add(1);
        self.offer
    }

    /// How many bytes of a file may be sent to `friend` now; `None` if it is not being sent, or the session under it has
    /// ended.
    pub fn file_room(&self, friend: u32, offer: u32) -> Option<u32> {
        let room = self.transfers.room((friend, offer))?;
        let queued = self.live.as_ref().map_or(usize::MAX, |live| live.session.link.queued_bytes());
        Some(if queued >= crate::limits::LINK_QUEUE_BYTES { 0 } else { room })
    }

    /// How many bytes of the file that goes to `friend` have arrived there.
    pub fn file_confirmed(&self, friend: u32, offer: u32) -> Option<u32> {
        self.transfers.confirmed((friend, offer))
    }

    /// Nothing more of a file goes to `friend`.
    pub fn finish_file(&mut self, friend: u32, offer: u32) {
        self.transfers.finish((friend, offer));
    }

    /// Nothing more of the file that `peer` sends is taken: from the next piece on, its sender is not told that it arrives.
    pub fn stop_file(&mut self, peer: u32, offer: u32) {
        self.transfers.stop((peer, offer));
    }

    /// Takes one packet that has arrived, and opens it in place. Tells whether it was for this core: then the way on which
    /// it came works.
    pub fn receive(&mut self, now: u64, packet: &mut [u8]) -> bool {
        let heard = self.take_packet(now, packet);
        if heard {
            self.unanswered_since = self.waits().then_some(now);
        }
        self.advance(now);
        heard
    }

    /// Does what is due.
    pub fn wake(&mut self, now: u64) {
        self.advance(now);
    }

    /// The way to the server has changed: asks at once whether it works.
    pub fn moved(&mut self, now: u64) {
        for entry in &mut self.entries {
            if let Phase::Knocking(door) = &mut entry.phase {
                door.hurry(now);
            }
        }
        if let Some(live) = &mut self.live {
            live.pulse.hurry(now);
        }
        self.advance(now);
    }

    /// When [`wake`](Self::wake) or [`poll_packet`](Self::poll_packet) has something to do; `None` while nothing goes on.
    pub fn deadline(&self) -> Option<u64> {
        let packets = (!self.packets.is_empty()).then_some(0);
        let entries = self.entries.iter().filter_map(Entry::deadline);
        let live = self.live.as_ref().and_then(Live::deadline);
        let registrations = self.registrations.front().map(|(.., give_up_at)| *give_up_at);
        let outbox = self.live.as_ref().and_then(|_| self.outbox.deadline());
        let leaving = self.leaving.as_ref().map(Leaving::deadline);
        let rest = [packets, live, leaving, registrations, self.requests.deadline(), outbox];
        entries.chain(rest.into_iter().flatten()).min()
    }

    /// Appends the next packet to send, if there is one.
    pub fn poll_packet(&mut self, now: u64, out: &mut Vec<u8>) -> bool {
        if let Some(packet) = self.packets.pop_front() {
            out.extend_from_slice(&packet);
            return true;
        }
        let ciphers = &mut self.ciphers;
        let entered = self.entries.iter_mut().any(|entry| match &mut entry.phase {
            Phase::Pausing(_) => false,
            Phase::Knocking(door) => door.poll(now, out),
            Phase::Inside(session) => session.link.poll(now, ciphers, out),
        });
        let entered = entered || self.leaving.as_mut().is_some_and(|leaving| leaving.poll(now, ciphers, out));
        let any = entered || self.live.as_mut().is_some_and(|live| live.session.link.poll(now, ciphers, out));
        if any && self.waits() {
            self.unanswered_since.get_or_insert(now);
        }
        any
    }

    /// Since when something that was sent waits for an answer and nothing has come: the way may be broken.
    pub fn unanswered_since(&self) -> Option<u64> {
        self.unanswered_since
    }

    /// Whether it is still at the door: nothing proves yet that the server can be reached at all.
    pub fn is_knocking(&self) -> bool {
        self.live.is_none() && self.entries.iter().any(|entry| matches!(entry.phase, Phase::Knocking(_)))
    }

    /// Appends a packet that asks only whether the server answers on a way: it moves no session.
    pub fn probe(&mut self, out: &mut Vec<u8>) {
        let number = self.number().unwrap_or_else(|| self.guest());
        Packet::Hello { number, cookie: &[], noise: &[] }.encode(out);
    }

    /// The next answer.
    pub fn poll_reply(&mut self) -> Option<(RequestId, Result<Reply, Error>)> {
        self.replies.pop_front()
    }

    /// What has happened next. A message that is handed out here is the application's: the server is told so.
    pub fn poll_event(&mut self, now: u64) -> Option<Event> {
        let event = self.events.pop_front()?;
        match &event {
            // Without an id there is nothing to tell it by.
            Event::Message { from, id: id @ 1.., .. } => {
                self.unshown.remove(&(*from, *id));
                self.seen.insert(*from, *id);
                self.acknowledge(now, *from, *id);
            }
            Event::FileOffered { from, size, offer, .. } => self.transfers.offered((*from, *offer), *size),
            Event::FilePiece { from, offer, data } => {
                let told = self.transfers.arrived((*from, *offer), data.len());
                if let (Some(received), Some(me), Some(live)) = (told, &self.me, &mut self.live) {
                    let (me, peer, offer) = (me.number, *from, Some(*offer));
                    live.session.send(&User::Progress { me, peer, received, offer });
                }
            }
            _ => {}
        }
        Some(event)
    }

    /// The next events, at most so many, which [`poll_event`](Self::poll_event) will give in this order.
    pub fn peek_events(&self, most: usize) -> impl Iterator<Item = &Event> {
        self.events.iter().take(most)
    }

    /// Round trip to the server, in ms, once it has been measured.
    pub fn round_trip_ms(&self) -> Option<u64> {
        self.live.as_ref()?.session.link.round_trip_ms().map(u64::from)
    }

    /// Whether an event waits.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Nobody takes events any more. Messages are left at the server.
    pub fn ignore_events(&mut self) {
        self.deaf = true;
        self.events.clear();
        self.unshown.clear();
    }

    /// The messages without a receipt, in order.
    pub fn unsent(&self) -> Vec<Unsent> {
        self.outbox.held().cloned().collect()
    }

    /// How many messages of the user who is signed in have no receipt.
    pub fn unsent_count(&self) -> usize {
        let me = self.number();
        self.outbox.held().filter(|unsent| Some(unsent.from) == me).count()
    }

    /// What has been shown.
    pub fn seen(&self) -> SeenList {
        self.seen.export()
    }

    fn me(&self) -> Result<u32, Error> {
        self.number().ok_or(Error::NotSignedIn)
    }

    fn new_request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    fn guest(&mut self) -> u32 {
        FIRST_GUEST | self.chance.word()
    }

    /// Something has happened. Where nobody takes it any more, a message is not taken either.
    fn happen(&mut self, event: Event) {
        if self.deaf || self.events.len() >= EVENTS_WAITING {
            return;
        }
        if let Event::Message { from, id: id @ 1.., .. } = event
            && !self.unshown.insert((from, id))
        {
            return;
        }
        self.events.push_back(event);
    }

    /// Whether an answer is awaited.
    fn waits(&self) -> bool {
        let entering = self.entries.iter().any(|entry| match &entry.phase {
            Phase::Pausing(_) => false,
            Phase::Knocking(_) => true,
            Phase::Inside(session) => session.link.is_waiting(),
        });
        entering || self.live.as_ref().is_some_and(|live| live.session.link.is_waiting() || live.pulse.waits())
    }
}

/// Offers are numbered from the seconds of the first id on: a session offers less than one file a second, so they rise over
/// restarts.
fn first_offer(first_id: u64) -> u32 {
    ((first_id >> 20) / 1_000) as u32
}
