//! A server of a few lines on the server's side of the link: one user with one friend, who answers everything with
//! something to obey.
#![allow(dead_code, reason = "each test program uses its own part of it")]
#![allow(clippy::disallowed_methods, reason = "a server on a real socket needs real time")]

use oicq::link::{Ciphers, CloseCode, Frames, Link, Offer, Packet, Side, StaticKey, public_key, respond};
use oicq::wire::{Dialect, Found, FriendEntry, GroupEntry, List, PublicProfile, Server, User};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What somebody with an old or a dishonest server can put into a name or a text: a title for the window, an empty screen,
/// a colour, marks of writing direction, letters without width, a line of its own.
pub const NASTY: &str = "\x1b]0;pwned\x07\x1b[2J\u{9b}31m\u{202e}evil\u{2066}\u{200b}\r\nx\x08\x7f";

/// Who waits to be let in, and who is banned.
pub const WAITS: u32 = 10_005;
pub const BANNED: u32 = 10_006;

/// A server that runs until the test ends.
pub struct TestServer {
    pub address: SocketAddr,
    private: Arc<Mutex<[u8; 32]>>,
}

impl TestServer {
    pub fn start() -> Self {
        Self::with([9; 32], "a token")
    }

    /// With this private key; `token` signs in.
    pub fn with(private: [u8; 32], token: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let private = Arc::new(Mutex::new(private));
        let (keys, token) = (Arc::clone(&private), token.to_owned());
        std::thread::spawn(move || serve(&socket, &keys, &token));
        Self { address, private }
    }

    pub fn key(&self) -> [u8; 32] {
        public_key(&self.private.lock().unwrap())
    }

    /// From now on it is another server that answers here.
    pub fn change_key(&self) {
        *self.private.lock().unwrap() = [8; 32];
    }
}

fn serve(socket: &UdpSocket, private: &Mutex<[u8; 32]>, token: &str) {
    let begun = Instant::now();
    let mut ciphers = Ciphers::new(64);
    let mut links: Vec<(u32, u32, Link, SocketAddr)> = Vec::new();
    let mut buffer = [0; 2_000];
    socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    loop {
        let arrived = socket.recv_from(&mut buffer);
        let now = begun.elapsed().as_millis() as u64;
        if let Ok((count, from)) = arrived {
            let packet = &mut buffer[..count];
            match Packet::decode(packet, Side::Client).expect("the program sends packets") {
                Packet::Hello { number, noise, .. } => {
                    let private = *private.lock().unwrap();
                    let session = links.len() as u32;
                    if let Some((noise, link)) = welcome(&private, number, session, noise) {
                        links.extend(link.map(|link| (number, session, link, from)));
                        let mut reply = Vec::new();
                        Packet::Welcome { number, noise: &noise }.encode(&mut reply);
                        socket.send_to(&reply, from).unwrap();
                    }
                }
                Packet::Data { number, session, .. } => {
                    let link = links.iter_mut().find(|link| (link.0, link.1) == (number, session));
                    let (.., link, _) = link.expect("a session that was begun here");
                    let mut frames = Frames::default();
                    if link.receive(now, packet, &mut ciphers, &mut frames).is_ok() {
                        for frame in frames.iter() {
                            let frame = User::decode(frame.bytes, Dialect::Link).expect("the program sends frames");
                            answer(&frame, link, token);
                        }
                    }
                }
                other => panic!("a client sends no such packet: {other:?}"),
            }
        }
        for (.., link, to) in &mut links {
            let mut packet = Vec::new();
            while link.poll(now, &mut ciphers, &mut packet) {
                socket.send_to(&packet, *to).unwrap();
                packet.clear();
            }
        }
    }
}

fn welcome(private: &[u8; 32], number: u32, session: u32, noise: &[u8]) -> Option<(Vec<u8>, Option<Link>)> {
    if noise.is_empty() {
        return Some((public_key(private).to_vec(), None));
    }
    let offer = Offer { session, idle_secs: 90, largest_datagram: 1_232 };
    let (noise, keys) = respond(&StaticKey::new(*private), number, noise, [session as u8 + 1; 32], offer).ok()?;
    Some((noise, Some(Link::new(Side::Server, number, session, keys))))
}

fn answer(frame: &User<'_>, link: &mut Link, good: &str) {
    let mut say = |frame: Server<'_>| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        link.send(&bytes);
    };
    match *frame {
        User::SignIn { me: me @ (WAITS | BANNED), .. } => {
            say(Server::SignedIn { ok: 0, groups: List::NONE, token: None });
            let (code, text) = match me {
                WAITS => (18, "this account waits for the operator's approval"),
                _ => (19, "banned until 2026-12-05 10:00 UTC: spam"),
            };
            say(Server::Notice { about: 0x02, code, text });
        }
        User::SignIn { password, token, .. } if ["right", "right!"].contains(&password) || token == Some(good) => {
            let friends = [FriendEntry { number: 10_001, portrait: 0, status: 1, nickname: "韩梅梅" }];
            let groups = [GroupEntry { name: "My Friends", group: 1, friends: List::new(&friends) }];
            say(Server::SignedIn { ok: 1, groups: List::new(&groups), token: Some(good) });
        }
        User::SignIn { password: "nasty", .. } => {
            let friends = [FriendEntry { number: 10_001, portrait: 0, status: 1, nickname: NASTY }];
            let groups = [GroupEntry { name: NASTY, group: 1, friends: List::new(&friends) }];
            say(Server::SignedIn { ok: 1, groups: List::new(&groups), token: Some("a token") });
            let system =
                |kind, sender| Server::Message { flag: 1, sender, text: NASTY, kind, id: Some(0), time: Some(1) };
            say(Server::Message { flag: 2, sender: 10_001, text: NASTY, kind: 0, id: Some(1), time: Some(1) });
            say(Server::NewFriend { friend: 10_002, nickname: NASTY, portrait: 0, status: 1 });
            say(Server::FileOffered { sender: 10_001, name: NASTY, size: 1, offer: None });
            say(Server::Notice { about: 0x15, code: 1, text: NASTY });
            // An announcement, requests, a copy of a monitored message, and a kind that is not known.
            [(0, 0), (2, 10_001), (3, 10_001), (16, 10_001), (99, 10_001)]
                .into_iter()
                .for_each(|(kind, sender)| say(system(kind, sender)));
        }
        User::Register { profile, reach, details, invite } => {
            let refused = match (profile.nickname, invite) {
                ("closed", _) => Some("registration is closed"),
                ("invited", None) => Some("an invite code is needed"),
                ("invited", Some(code)) if code != "KRDT-93QM" => Some("this invite code is not good"),
                ("private", _) if (reach, details) != (Some(1), Some(2)) => Some("this is not private"),
                _ => None,
            };
            let number = if profile.nickname == "waits" { WAITS } else { 10_000 };
            say(Server::Registered { ok: refused.is_none().into(), number });
            if let Some(text) = refused {
                say(Server::Notice { about: 0x01, code: 18, text });
            }
        }
        User::Update { old_password, profile, reach, details, .. } => {
            let wrong = !profile.password.is_empty() && old_password != Some("right!");
            say(Server::Updated { ok: u8::from(!wrong) });
            if wrong {
                say(Server::Notice { about: 0x12, code: 3, text: "the old password is wrong" });
            }
            let text = format!("{} {reach:?} {details:?} {}", profile.nickname, profile.authorization);
            say(Server::Message { flag: 1, sender: 0, text: &text, kind: 0, id: Some(0), time: Some(1) });
        }
        User::SignIn { .. } => {
            say(Server::SignedIn { ok: 0, groups: List::NONE, token: None });
            say(Server::Notice { about: 0x02, code: 3, text: "" });
        }
        User::Message { to, text: "into the void", id, .. } => {
            say(Server::Receipt { to, id: id.expect("an id"), state: 3, reason: 16 });
        }
        User::Message { to, id, .. } => {
            let text = "你好\x1b[2J";
            say(Server::Receipt { to, id: id.expect("an id"), state: 1, reason: 0 });
            say(Server::Message { flag: 2, sender: to, text, kind: 0, id: Some(1), time: Some(1) });
            say(Server::Receipt { to, id: id.expect("an id"), state: 2, reason: 0 });
        }
        User::SetStatus { status: 3, .. } => {
            link.close(CloseCode::Operator, NASTY);
        }
        User::SetStatus { me, status } => say(Server::StatusSet { me, status }),
        User::View { friend: friend @ 10_002, .. } => {
            let profile =
                PublicProfile { nickname: NASTY, city: NASTY, introduction: NASTY, ..PublicProfile::default() };
            say(Server::Profile { ok: 1, number: friend, profile, reach: None, details: None });
        }
        User::Search { .. } => {
            let found = [Found { number: 10_001, nickname: NASTY, portrait: 0, province: 0, city: NASTY }];
            say(Server::Found { ok: 1, users: List::new(&found) });
        }
        User::AddGroup { .. } => {
            say(Server::GroupAdded { ok: 0, group: 0, name: "" });
            say(Server::Notice { about: 0x06, code: 8, text: NASTY });
        }
        User::View { me, friend } => {
            let profile = PublicProfile { nickname: "韩梅梅", ..PublicProfile::default() };
            let own = |value| (me == friend).then_some(value);
            say(Server::Profile { ok: 1, number: friend, profile, reach: own(0), details: own(1) });
        }
        User::Test { me } => say(Server::TestReply { me }),
        User::Block { other, on, .. } => say(Server::Blocked { ok: 1, other, on }),
        User::Received { .. } => {}
        other => panic!("the test makes no such request: {other:?}"),
    }
}
