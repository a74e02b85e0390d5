//! A server of a few lines on the server's side of the link: enough to be talked to, and obedient to the test.

use crate::link::{
    Ciphers, Established, Frames, Initiator, Keys, Link, Offer, Packet, Side, StaticKey, public_key, respond,
};
use crate::wire::{Dialect, FriendEntry, GroupEntry, List, Server, User};
use std::collections::BTreeSet;

pub const PASSWORD: &str = "secret";
const COOKIE: [u8; 16] = [7; 16];

/// One link.
struct Peer {
    number: u32,
    session: u32,
    keys: Keys,
    link: Link,
    signed_in: bool,
}

pub struct Fake {
    pub private: [u8; 32],
    peers: Vec<Peer>,
    ciphers: Ciphers,
    out: Vec<Vec<u8>>,
    starts: u8,
    handshakes: u32,
    tokens: BTreeSet<String>,
    registered: u32,
    /// Every frame that came, in words and in order.
    pub log: Vec<String>,
    /// Messages as they came: to, id, text.
    pub messages: Vec<(u32, u64, String)>,
    /// Answer hellos with a cookie first.
    pub retry: bool,
    /// Say nothing but acks to requests and messages.
    pub mute: bool,
    /// State of the receipts that are given.
    pub receipts: u8,
    /// Whose messages cannot be stored: there is no receipt of them.
    pub untaken: BTreeSet<u32>,
    /// Bytes of files that came.
    pub file_bytes: u32,
    /// Refuse sign-ins with this code.
    pub refuse: Option<u8>,
    /// How long a sign-in waits for its answer, and the answers that wait: when, in which session.
    pub sign_in_takes: u64,
    later: Vec<(u64, u32, Vec<u8>)>,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            private: [9; 32],
            peers: Vec::new(),
            ciphers: Ciphers::new(64),
            out: Vec::new(),
            starts: 0,
            handshakes: 0,
            tokens: BTreeSet::new(),
            registered: 0,
            log: Vec::new(),
            messages: Vec::new(),
            retry: false,
            mute: false,
            receipts: 1,
            untaken: BTreeSet::new(),
            file_bytes: 0,
            refuse: None,
            sign_in_takes: 0,
            later: Vec::new(),
        }
    }

    pub fn key(&self) -> [u8; 32] {
        public_key(&self.private)
    }

    /// How many handshakes were answered.
    pub fn handshakes(&self) -> u32 {
        self.handshakes
    }

    pub fn sessions(&self) -> usize {
        self.peers.len()
    }

    /// How often such a frame has come.
    pub fn count(&self, words: &str) -> usize {
        self.log.iter().filter(|line| line.contains(words)).count()
    }

    /// Starts anew with the sessions kept (protocol.md 2.5).
    pub fn restart(&mut self) {
        self.starts += 1;
        for peer in &mut self.peers {
            peer.link = Link::kept(peer.number, peer.session, peer.keys, [self.starts; 16]);
            let mut resume = Vec::new();
            peer.link.write_resume(&mut resume);
            self.out.push(resume);
        }
    }

    /// Starts anew with nothing kept but the key and the tokens.
    pub fn forget_sessions(&mut self) {
        self.peers.clear();
    }

    pub fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Sends a frame to everyone who is signed in.
    pub fn tell(&mut self, frame: &Server<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        for peer in self.peers.iter_mut().filter(|peer| peer.signed_in) {
            peer.link.send(&bytes);
        }
    }

    pub fn close(&mut self, code: crate::link::CloseCode) {
        self.peers.iter_mut().for_each(|peer| peer.link.close(code, ""));
    }

    pub fn receive(&mut self, now: u64, packet: &mut [u8]) {
        match Packet::decode(packet, Side::Client) {
            Ok(Packet::Hello { number, cookie, noise }) => self.hello(number, cookie, noise),
            Ok(Packet::Data { number, session, .. }) => self.data(now, number, session, packet),
            other => panic!("a client sends no such packet: {other:?}"),
        }
    }

    fn reply(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        self.out.push(bytes);
    }

    fn hello(&mut self, number: u32, cookie: &[u8], noise: &[u8]) {
        if noise.is_empty() {
            let key = self.key();
            return self.reply(&Packet::Welcome { number, noise: &key });
        }
        if self.retry && cookie != COOKIE {
            return self.reply(&Packet::Retry { number, cookie: &COOKIE });
        }
        let session = 100 + self.handshakes;
        let offer = Offer { session, idle_secs: 90, largest_datagram: 1_232 };
        let mut ephemeral = [3; 32];
        ephemeral[..4].copy_from_slice(&session.to_be_bytes());
        let Ok((noise, keys)) = respond(&StaticKey::new(self.private), number, noise, ephemeral, offer) else { return };
        self.handshakes += 1;
        let link = Link::new(Side::Server, number, session, keys);
        self.peers.push(Peer { number, session, keys, link, signed_in: false });
        self.reply(&Packet::Welcome { number, noise: &noise });
    }

    fn data(&mut self, now: u64, number: u32, session: u32, packet: &mut [u8]) {
        let Some(at) = self.peers.iter().position(|peer| (peer.number, peer.session) == (number, session)) else {
            return self.reply(&Packet::Unknown { number, session });
        };
        let mut frames = Frames::default();
        let length = packet.len();
        let peer = &mut self.peers[at];
        let Ok(arrival) = peer.link.receive(now, packet, &mut self.ciphers, &mut frames) else {
            let mut resume = Vec::new();
            if length >= crate::limits::RESUME_BYTES && peer.link.write_resume(&mut resume) {
                self.out.push(resume);
            }
            return;
        };
        let mut answers = Vec::new();
        for frame in frames.iter() {
            let frame = User::decode(frame.bytes, Dialect::Link).expect("the client sends frames");
            self.log.push(format!("{frame:?}"));
            self.answer(at, &frame, &mut answers);
            if matches!(frame, User::SignIn { .. }) {
                let at = now + self.sign_in_takes;
                self.later.extend(answers.drain(..).map(|answer| (at, session, answer)));
            }
        }
        self.send_later(now);
        for answer in &answers {
            self.peers[at].link.send(answer);
        }
        if arrival.close.is_some() {
            let mut peer = self.peers.remove(at);
            let mut farewell = Vec::new();
            peer.link.close(crate::link::CloseCode::SignedOut, "");
            peer.link.poll(now, &mut self.ciphers, &mut farewell);
            self.out.push(farewell);
        }
    }

    /// Sends the answers whose time has come.
    fn send_later(&mut self, now: u64) {
        for (_, session, answer) in self.later.extract_if(.., |(at, ..)| *at <= now) {
            if let Some(peer) = self.peers.iter_mut().find(|peer| peer.session == session) {
                peer.link.send(&answer);
            }
        }
    }

    fn answer(&mut self, at: usize, frame: &User<'_>, answers: &mut Vec<Vec<u8>>) {
        let mut say = |frame: Server<'_>| {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            answers.push(bytes);
        };
        match *frame {
            User::SignIn { password, token, .. } => {
                let known = token.is_some_and(|token| self.tokens.contains(token)) || password == PASSWORD;
                let code = self.refuse.or((!known).then_some(3));
                self.peers[at].signed_in = code.is_none();
                if let Some(code) = code {
                    say(Server::SignedIn { ok: 0, groups: List::NONE, token: None });
                    return say(Server::Notice { about: 0x02, code, text: "no" });
                }
                let token = format!("token-{}", self.log.len());
                let friends = [FriendEntry { number: 10_001, portrait: 3, status: 1, nickname: "Han Meimei" }];
                let groups = [GroupEntry { name: "My Friends", group: 1, friends: List::new(&friends) }];
                say(Server::SignedIn { ok: 1, groups: List::new(&groups), token: Some(&token) });
                self.tokens.insert(token);
            }
            User::Test { me } => say(Server::TestReply { me }),
            User::Message { to, id, text, .. } => {
                let id = id.expect("over the link a message has an id");
                self.messages.push((to, id, text.to_owned()));
                if !self.mute && !self.untaken.contains(&to) {
                    let reason = if self.receipts == 3 { 16 } else { 0 };
                    say(Server::Receipt { to, id, state: self.receipts, reason });
                }
            }
            User::Broadcast { id, .. } if !self.mute => {
                let id = id.expect("over the link a message has an id");
                say(Server::Receipt { to: 10_001, id, state: 2, reason: 0 });
            }
            _ if self.mute => {}
            User::Register { .. } => {
                self.registered += 1;
                say(Server::Registered { ok: 1, number: 9_999 + self.registered });
            }
            User::View { friend: 404, .. } => {
                say(Server::Profile { ok: 0, number: 0, profile: Default::default(), reach: None, details: None });
                say(Server::Notice { about: 0x05, code: 4, text: "there is no user 404" });
            }
            User::View { friend, .. } => say(Server::Profile {
                ok: 1,
                number: friend,
                profile: Default::default(),
                reach: Some(1),
                details: Some(2),
            }),
            User::AddGroup { name, .. } => say(Server::GroupAdded { ok: 1, group: 2, name }),
            User::DeleteGroup { group: 1, .. } => {
                say(Server::GroupDeleted { ok: 0, group: 0 });
                say(Server::Notice { about: 0x08, code: 8, text: "group 1 stays" });
            }
            User::DeleteGroup { .. } => {
                say(Server::GroupDeleted { ok: 0, group: 0 });
                say(Server::Notice { about: 0x08, code: 12, text: "there is no such group" });
            }
            User::Ask { friend: 404, .. } => {
                say(Server::Notice { about: 0x0D, code: 4, text: "there is no user 404" });
            }
            User::SetStatus { me, status } => say(Server::StatusSet { me, status }),
            User::FileData { data, .. } => self.file_bytes += data.0.len() as u32,
            User::Block { other, on, .. } => say(Server::Blocked { ok: 1, other, on }),
            _ => {}
        }
    }

    /// The next packet to send.
    pub fn poll(&mut self, now: u64) -> Option<Vec<u8>> {
        if !self.out.is_empty() {
            return Some(self.out.remove(0));
        }
        self.send_later(now);
        let mut packet = Vec::new();
        let ciphers = &mut self.ciphers;
        self.peers.iter_mut().any(|peer| peer.link.poll(now, ciphers, &mut packet)).then_some(packet)
    }

    pub fn deadline(&self) -> Option<u64> {
        let links = self.peers.iter().filter_map(|peer| peer.link.deadline());
        links.chain(self.later.iter().map(|(at, ..)| *at)).min()
    }
}

#[test]
fn a_forged_welcome_breaks_a_handshake_and_not_the_client() {
    let mut initiator = Initiator::new(10_000, &public_key(&[9; 32]), [1; 32]).unwrap();
    let finished: Result<Established, _> = initiator.finish(&[0; 56]);
    assert!(finished.is_err());
}
