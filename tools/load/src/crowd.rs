//! Users over the link: each has a link of its own, made by a real handshake and a sign-in, and does what a client does:
//! acks, retransmits, keeps its connection alive, and says of each message that it has it.

use crate::net::{Datagrams, Net};
use crate::wheel::Wheel;
use oicq::link::{Ciphers, CloseCode, Frames, Initiator, Link, Packet, Resumed, Side, Start};
use oicq::wire::{Dialect, List, ReceivedId, Server, User as Said};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// What happens to users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Signed in, with so many friends listed.
    SignedIn { user: u32, friends: u32 },
    /// Has a message, and has said so.
    Message { user: u32, id: u64 },
    /// Knows what became of a message.
    Receipt { user: u32, id: u64, state: u8 },
    /// Sees a friend's status.
    Status { user: u32, friend: u32, status: u8 },
    /// Its own status is changed.
    StatusSet { user: u32 },
    /// A search has found so many.
    Found { user: u32, count: u32 },
    /// Has said that it is still there.
    Asked { user: u32 },
    /// Has heard that the server is.
    Answered { user: u32 },
    /// Has been told that the server has started anew, and goes on with its session.
    Renewed { user: u32 },
    /// Something of its was refused.
    Notice { user: u32, about: u8, text: String },
    /// Its link has ended, and why.
    Ended { user: u32, why: String },
}

/// How a user is doing.
enum State {
    /// Not signed in, and not about to.
    Out,
    /// Waits for the welcome.
    Knocking(Box<Knock>),
    /// Has a link, and waits to be signed in by it.
    Entering(Box<Link>),
    /// Signed in.
    In(Box<Link>),
}

struct Knock {
    initiator: Initiator,
    cookie: Vec<u8>,
    tries: u32,
    again_ms: u64,
}

struct User {
    state: State,
    /// When it is in the wheel.
    wake_ms: u64,
    /// When it says that it is still there, unless it sends something before.
    alive_ms: u64,
    dirty: bool,
}

/// Why a user's link has ended whose sign-in was refused.
pub const REFUSED: &str = "its sign-in was refused";
/// A user with this status has signed out (protocol.md 1.4).
pub const OFFLINE: u8 = 4;
const NEVER: u64 = u64::MAX;
/// A hello is sent again after so long, then after twice as long, and so on.
const KNOCK_MS: u64 = 500;
const KNOCKS: u32 = 6;
/// A user that has been silent says that it is still there (protocol.md 1.7).
const KEEP_ALIVE_MS: u64 = 30_000;
/// Timers that are handled in one turn, so that messages do not wait behind them.
const TIMERS: usize = 512;
/// Keys of a user that are kept prepared.
const CIPHERS_OF_USER: usize = 2;
/// Prepared keys in all: about half a kilobyte each.
const CIPHERS: usize = 200_000;

/// All users.
pub struct Crowd {
    net: Net,
    people: People,
    due: Vec<u32>,
}

struct People {
    users: Vec<User>,
    /// Number of user 0; the others follow.
    first: u32,
    /// What each signs in with.
    tokens: Vec<String>,
    /// The same for those without a token.
    password: String,
    key: [u8; 32],
    ciphers: Ciphers,
    frames: Frames,
    frame: Vec<u8>,
    chance: ChaCha20Rng,
    wheel: Wheel,
    dirty: Vec<u32>,
    received: Vec<ReceivedId>,
    /// What has happened and was not taken yet.
    events: Vec<Event>,
    unknown: u64,
}

impl Crowd {
    /// Users with the numbers from `first` on and these tokens, over so many sockets; nobody is signed in yet.
    pub fn new(
        server: SocketAddr,
        key: [u8; 32],
        first: u32,
        tokens: Vec<String>,
        sockets: usize,
        now_ms: u64,
    ) -> Result<Self, String> {
        let users = tokens.len();
        let user = || User { state: State::Out, wake_ms: NEVER, alive_ms: NEVER, dirty: false };
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
        // Keys for measuring on the own machine; they protect nothing.
        let chance = ChaCha20Rng::seed_from_u64(seed ^ u64::from(std::process::id()) << 40);
        Ok(Self {
            net: Net::connect(server, sockets.min(users))?,
            people: People {
                users: (0..users).map(|_| user()).collect(),
                first,
                tokens,
                password: String::new(),
                key,
                ciphers: Ciphers::new((users * CIPHERS_OF_USER * 2).min(CIPHERS)),
                frames: Frames::default(),
                frame: Vec::new(),
                chance,
                wheel: Wheel::new(now_ms),
                dirty: Vec::new(),
                received: Vec::new(),
                events: Vec::new(),
                unknown: 0,
            },
            due: Vec::new(),
        })
    }

    /// What those sign in with who have an empty token.
    pub fn set_password(&mut self, password: &str) {
        self.people.password = password.to_owned();
    }

    /// The service number of a user.
    pub fn number(&self, user: u32) -> u32 {
        self.people.first + user
    }

    /// Whether a user is signed in.
    pub fn is_in(&self, user: u32) -> bool {
        matches!(self.people.users[user as usize].state, State::In(_))
    }

    /// Datagrams over its sockets.
    pub fn datagrams(&self) -> Datagrams {
        self.net.counted
    }

    /// Its sockets.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// From now on the server may be away.
    pub fn be_patient(&mut self) {
        self.net.be_patient();
    }

    /// Spreads what the users say to keep their sessions over the time within which each has to say it: they have signed in
    /// within a moment, and people do not.
    pub fn spread(&mut self, now_ms: u64) {
        let users = self.people.users.len() as u64;
        for user in 0..users {
            let one = &mut self.people.users[user as usize];
            if matches!(one.state, State::In(_)) {
                one.alive_ms = now_ms + KEEP_ALIVE_MS * (user + 1) / users;
                self.people.mark(user as u32);
            }
        }
    }

    /// Drops a share of the datagrams from now on.
    pub fn lose(&mut self, share: f64, seed: u64) {
        self.net.lose(share, seed);
    }

    /// Takes what has arrived and what time has brought, waiting so long for the first datagram, and hands over what
    /// happened by it. [`flush`](Self::flush) sends what is to be sent.
    pub fn turn(&mut self, now_ms: u64, wait: i32, events: &mut Vec<Event>) -> Result<usize, String> {
        let Self { net, people, due } = self;
        let count = net.receive(wait, |_, bytes| people.receive(now_ms, bytes))?;
        due.clear();
        people.wheel.advance(now_ms, TIMERS, due);
        for &user in &*due {
            if people.users[user as usize].wake_ms <= now_ms {
                people.users[user as usize].wake_ms = NEVER;
                people.mark(user);
            }
        }
        events.append(&mut people.events);
        Ok(count)
    }

    /// Sends what is to be sent.
    pub fn flush(&mut self, now_ms: u64) -> Result<(), String> {
        let sockets = self.net.sockets();
        while let Some(user) = self.people.dirty.pop() {
            self.people.users[user as usize].dirty = false;
            self.people.serve(now_ms, user, &mut self.net, user as usize % sockets);
        }
        self.net.flush()
    }

    /// Begins to sign a user in: with a handshake, then its token. What it had before is forgotten.
    pub fn enter(&mut self, now_ms: u64, user: u32) -> Result<(), String> {
        self.people.enter(now_ms, user)
    }

    /// Queues a frame of a user; one that is not signed in says nothing.
    pub fn say(&mut self, user: u32, frame: &Said<'_>) {
        let people = &mut self.people;
        people.frame.clear();
        frame.encode(&mut people.frame);
        if let State::In(link) | State::Entering(link) = &mut people.users[user as usize].state {
            link.send(&people.frame);
            people.mark(user);
        }
    }
}

impl People {
    fn enter(&mut self, now_ms: u64, user: u32) -> Result<(), String> {
        let mut ephemeral = [0; 32];
        self.chance.fill_bytes(&mut ephemeral);
        let initiator = Initiator::new(self.first + user, &self.key, ephemeral).map_err(|error| error.to_string())?;
        self.users[user as usize].alive_ms = NEVER;
        self.users[user as usize].state =
            State::Knocking(Box::new(Knock { initiator, cookie: Vec::new(), tries: 0, again_ms: now_ms }));
        self.mark(user);
        Ok(())
    }

    fn mark(&mut self, user: u32) {
        if !std::mem::replace(&mut self.users[user as usize].dirty, true) {
            self.dirty.push(user);
        }
    }

    fn receive(&mut self, now_ms: u64, bytes: &mut [u8]) {
        // Any packet of a user has its number at offset 8 (protocol.md 2).
        let number = bytes.get(8..12).map(|number| u32::from_be_bytes(number.try_into().expect("four bytes")));
        let user =
            number.and_then(|number| number.checked_sub(self.first)).filter(|at| (*at as usize) < self.users.len());
        let Some(user) = user else {
            self.unknown += 1;
            return;
        };
        match &mut self.users[user as usize].state {
            State::In(_) | State::Entering(_) => self.data(now_ms, user, bytes),
            State::Knocking(_) => self.welcome(now_ms, user, bytes),
            State::Out => {}
        }
    }

    fn data(&mut self, now_ms: u64, user: u32, bytes: &mut [u8]) {
        let one = &mut self.users[user as usize];
        let (State::In(link) | State::Entering(link)) = &mut one.state else { return };
        self.frames.clear();
        let Ok(arrival) = link.receive(now_ms, bytes, &mut self.ciphers, &mut self.frames) else {
            if link.resume(now_ms, bytes) == Resumed::Proposed {
                return self.mark(user);
            }
            if let Ok(Packet::Unknown { session, .. }) = Packet::decode(bytes, Side::Server)
                && session == link.session()
            {
                // A hello that was sent again has made a later session of this one, which then is the only one.
                let entering = matches!(one.state, State::Entering(_));
                if !entering || self.enter(now_ms, user).is_err() {
                    self.users[user as usize].state = State::Out;
                    self.events.push(Event::Ended { user, why: "the server does not know this session".into() });
                }
            }
            return;
        };
        if arrival.start == Start::New {
            // The server before may not have had it (protocol.md 2.5).
            for frame in link.take_unacknowledged() {
                link.send(&frame);
            }
            self.events.push(Event::Renewed { user });
        }
        self.received.clear();
        let frames = std::mem::take(&mut self.frames);
        for frame in frames.iter() {
            if let Ok(said) = Server::decode(frame.bytes, Dialect::Link) {
                self.take(user, &said);
            }
        }
        self.frames = frames;
        if !self.received.is_empty()
            && let State::In(link) = &mut self.users[user as usize].state
        {
            self.frame.clear();
            Said::Received { me: self.first + user, messages: List::new(&self.received) }.encode(&mut self.frame);
            link.send(&self.frame);
        }
        // A server that stops goes on with the session when it starts again.
        if let Some(close) = arrival.close.filter(|close| close.code != CloseCode::ServerStops as u8) {
            self.users[user as usize].state = State::Out;
            self.events.push(Event::Ended { user, why: close.reason });
            return;
        }
        self.mark(user);
    }

    fn take(&mut self, user: u32, said: &Server<'_>) {
        let event = match *said {
            Server::Message { flag: 2, sender, id: Some(id), .. } => {
                self.received.push(ReceivedId { from: sender, id });
                Event::Message { user, id }
            }
            Server::Receipt { id, state, .. } => Event::Receipt { user, id, state },
            Server::FriendStatus { friend, status } => {
                Event::Status { user, friend: friend.wrapping_sub(self.first), status }
            }
            // The server's farewell may be lost: who has signed out does not wait for it.
            Server::StatusSet { status: OFFLINE, .. } => {
                self.users[user as usize].state = State::Out;
                Event::Ended { user, why: "signed out".into() }
            }
            Server::StatusSet { .. } => Event::StatusSet { user },
            Server::TestReply { .. } => Event::Answered { user },
            Server::Found { users, .. } => Event::Found { user, count: users.len() as u32 },
            Server::Notice { about, text, .. } => Event::Notice { user, about, text: text.into() },
            Server::SignedIn { ok, groups, .. } => {
                let one = &mut self.users[user as usize];
                match std::mem::replace(&mut one.state, State::Out) {
                    State::Entering(link) | State::In(link) if ok == 1 => one.state = State::In(link),
                    _ => {}
                }
                match ok {
                    1 => {
                        let friends = groups.iter().map(|group| group.friends.len() as u32).sum();
                        Event::SignedIn { user, friends }
                    }
                    _ => Event::Ended { user, why: REFUSED.into() },
                }
            }
            _ => return,
        };
        self.events.push(event);
    }

    fn welcome(&mut self, now_ms: u64, user: u32, bytes: &[u8]) {
        let one = &mut self.users[user as usize];
        let State::Knocking(knock) = &mut one.state else { return };
        match Packet::decode(bytes, Side::Server) {
            Ok(Packet::Retry { cookie, .. }) => {
                knock.cookie = cookie.to_vec();
                knock.again_ms = now_ms;
            }
            Ok(Packet::Welcome { noise, .. }) => {
                let number = self.first + user;
                let Ok(made) = knock.initiator.finish(noise) else {
                    one.state = State::Out;
                    self.events.push(Event::Ended { user, why: "the server's welcome does not fit its key".into() });
                    return;
                };
                let mut link = Link::new(Side::Client, number, made.offer.session, made.keys);
                let token = self.tokens[user as usize].as_str();
                let password = if token.is_empty() { self.password.as_str() } else { "" };
                self.frame.clear();
                Said::SignIn { me: number, password, mode: 0, token: Some(token) }.encode(&mut self.frame);
                link.send(&self.frame);
                one.state = State::Entering(Box::new(link));
            }
            _ => return,
        }
        self.mark(user);
    }

    /// Sends what a user has to send, and sets its timer.
    fn serve(&mut self, now_ms: u64, user: u32, net: &mut Net, socket: usize) {
        let one = &mut self.users[user as usize];
        let due = match &mut one.state {
            State::Out => return,
            State::Knocking(knock) => {
                if knock.again_ms <= now_ms {
                    if knock.tries == KNOCKS {
                        one.state = State::Out;
                        self.events.push(Event::Ended { user, why: "the server has not answered its hello".into() });
                        return;
                    }
                    knock.again_ms = now_ms + (KNOCK_MS << knock.tries);
                    knock.tries += 1;
                    let (number, cookie, noise) = (self.first + user, &*knock.cookie, knock.initiator.message());
                    net.queue(socket, |out| {
                        Packet::Hello { number, cookie, noise }.encode(out);
                        true
                    });
                }
                knock.again_ms
            }
            State::Entering(link) | State::In(link) => {
                if link.is_dead(now_ms) {
                    one.state = State::Out;
                    self.events
                        .push(Event::Ended { user, why: "the server has not acknowledged anything for 32 s".into() });
                    return;
                }
                if one.alive_ms <= now_ms {
                    self.frame.clear();
                    Said::Test { me: self.first + user }.encode(&mut self.frame);
                    link.send_loose(&self.frame);
                    self.events.push(Event::Asked { user });
                }
                while net.queue(socket, |out| link.poll(now_ms, &mut self.ciphers, out)) {
                    one.alive_ms = now_ms + KEEP_ALIVE_MS;
                }
                link.deadline().unwrap_or(NEVER).min(one.alive_ms)
            }
        };
        if due < one.wake_ms {
            one.wake_ms = self.wheel.put(due, user);
        }
    }
}

/// Asks a server for its public key: on loopback there is nobody to pretend to be it. Waits for one that is starting.
pub fn learn_key(server: SocketAddr, patience: Duration) -> Result<[u8; 32], String> {
    let own: SocketAddr =
        if server.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { (std::net::Ipv6Addr::LOCALHOST, 0).into() };
    let socket = UdpSocket::bind(own).and_then(|socket| {
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(socket)
    });
    let socket = socket.map_err(|error| format!("no socket to {server}: {error}"))?;
    let (mut question, mut answer) = (Vec::new(), [0; 512]);
    Packet::Hello { number: oicq::limits::FIRST_GUEST, cookie: &[], noise: &[] }.encode(&mut question);
    let end = std::time::Instant::now() + patience;
    while std::time::Instant::now() < end && !crate::sys::stopping() {
        let _ = socket.send(&question);
        match socket.recv(&mut answer) {
            Ok(count) => match Packet::decode(&answer[..count], Side::Server) {
                Ok(Packet::Welcome { noise, .. }) if noise.len() == 32 => {
                    return Ok(noise.try_into().expect("32 bytes"));
                }
                Ok(Packet::Retry { cookie, .. }) => {
                    question.clear();
                    Packet::Hello { number: oicq::limits::FIRST_GUEST, cookie, noise: &[] }.encode(&mut question);
                }
                _ => {}
            },
            // It is refused while nobody listens there.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(format!("no server answers on {server}; start oicqd there, or let --oicqd start it"))
}
