//! The users of a measurement: they register and sign in over a few sockets, and each has a partner to write to.

use crate::sys;
use oicq::wire::{Dialect, Profile, Server, User};
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long setting up may stand still before it is given up: far above a slow disk's sync and a waiting password pool.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the users come from.
pub enum Source<'a> {
    /// New ones are registered with this password.
    Register(&'a str),
    /// They exist, from this number on, with this password.
    Existing(u32, &'a str),
    /// Numbers that nobody checks: for the echo.
    Imagined,
}

/// One user: its number, its socket, and the message that it sends again and again.
pub struct Member {
    /// Service number.
    pub number: u32,
    /// Index of its socket.
    pub lane: usize,
    /// Its message to its partner, ready but for the mark in its text.
    pub frame: Vec<u8>,
}

/// All users and their sockets. Users 2i and 2i + 1 are partners.
pub struct Fleet {
    /// Connected, non-blocking sockets.
    pub lanes: Vec<UdpSocket>,
    /// The users.
    pub members: Vec<Member>,
}

impl Fleet {
    /// Connects `sockets` sockets and brings `users` users to where they can write to each other.
    pub fn gather(
        server: SocketAddr,
        users: usize,
        sockets: usize,
        text_bytes: usize,
        source: &Source<'_>,
    ) -> Result<Self, String> {
        let lanes = (0..sockets.min(users)).map(|_| connect(server)).collect::<Result<Vec<_>, _>>()?;
        let first = match source {
            Source::Existing(first, _) => *first,
            Source::Register(_) | Source::Imagined => oicq::limits::FIRST_USER,
        };
        let members = (0..users)
            .map(|index| Member { number: first + index as u32, lane: index % lanes.len(), frame: Vec::new() })
            .collect();
        let mut fleet = Self { lanes, members };
        match source {
            Source::Register(password) => fleet.enter(password, true)?,
            Source::Existing(_, password) => fleet.enter(password, false)?,
            Source::Imagined => {}
        }
        fleet.write_frames(text_bytes);
        Ok(fleet)
    }

    /// Tells the server that all users are still there, so that a pause between two rounds signs nobody out.
    pub fn keep_alive(&self) -> Result<(), String> {
        let mut bytes = Vec::new();
        for member in &self.members {
            bytes.clear();
            User::Test { me: member.number }.encode(&mut bytes);
            self.lanes[member.lane].send(&bytes).map_err(|error| gone(&error))?;
        }
        // The answers must not be taken for messages of the round, nor fill the sockets before it.
        std::thread::sleep(Duration::from_millis(50));
        let mut rest = [0; 64];
        for lane in &self.lanes {
            while lane.recv(&mut rest).is_ok() {}
        }
        Ok(())
    }

    fn write_frames(&mut self, text_bytes: usize) {
        let text = "x".repeat(text_bytes);
        let numbers: Vec<u32> = self.members.iter().map(|member| member.number).collect();
        for (index, member) in self.members.iter_mut().enumerate() {
            let message = User::Message { me: member.number, to: numbers[index ^ 1], text: &text, id: None };
            message.encode(&mut member.frame);
        }
    }

    /// Registers where asked and signs in: one request at a time on each socket, all sockets at once.
    fn enter(&mut self, password: &str, register: bool) -> Result<(), String> {
        let mut gates: Vec<Gate> = (0..self.lanes.len()).map(|_| Gate::default()).collect();
        for (index, member) in self.members.iter().enumerate() {
            gates[member.lane].waiting.push_back((index, register));
        }
        let mut last_progress = Instant::now();
        while gates.iter().any(|gate| !gate.waiting.is_empty()) {
            let mut progress = false;
            for (lane, gate) in gates.iter_mut().enumerate() {
                progress |= gate.step(&self.lanes[lane], &mut self.members, password)?;
            }
            if progress {
                last_progress = Instant::now();
            } else if last_progress.elapsed() > PATIENCE {
                return Err(format!("the server has not answered a request for {} s", PATIENCE.as_secs()));
            } else if sys::stopping() {
                return Err("interrupted".into());
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }
}

/// One socket's queue of registrations and sign-ins: its first is what the server is being asked.
#[derive(Default)]
struct Gate {
    /// Index of a member, and whether it still has to register.
    waiting: VecDeque<(usize, bool)>,
    request: Vec<u8>,
    repeat_at: Option<Instant>,
    pause: Duration,
}

impl Gate {
    /// Sends what is due and takes an answer; tells whether there was one.
    fn step(&mut self, lane: &UdpSocket, members: &mut [Member], password: &str) -> Result<bool, String> {
        let Some(&(index, register)) = self.waiting.front() else { return Ok(false) };
        if self.repeat_at.is_none() {
            self.request.clear();
            encode_request(&mut self.request, index, members[index].number, register, password);
            self.pause = Duration::from_millis(500);
        }
        if self.repeat_at.is_none_or(|at| Instant::now() >= at) {
            // A server that is still starting refuses datagrams; the repeat will find it.
            let _ = lane.send(&self.request);
            self.pause = (self.pause * 2).min(Duration::from_secs(4));
            self.repeat_at = Some(Instant::now() + self.pause);
        }
        let mut bytes = [0; 65_535];
        let Ok(count) = lane.recv(&mut bytes) else { return Ok(false) };
        match (Server::decode(&bytes[..count], Dialect::Classic), register) {
            (Ok(Server::Registered { ok: 1, number }), true) => {
                members[index].number = number;
                self.waiting[0].1 = false;
            }
            (Ok(Server::SignedIn { ok: 1, .. }), false) => {
                self.waiting.pop_front();
            }
            (Ok(Server::Registered { .. }), true) => return Err("the server refused to register a user".into()),
            (Ok(Server::SignedIn { .. }), false) => {
                return Err(format!("the server refused the sign-in of {}", members[index].number));
            }
            // Greetings, stored messages, a late repeat.
            _ => return Ok(false),
        }
        self.repeat_at = None;
        Ok(true)
    }
}

fn encode_request(bytes: &mut Vec<u8>, index: usize, number: u32, register: bool, password: &str) {
    if !register {
        return User::SignIn { me: number, password, mode: 0, token: None }.encode(bytes);
    }
    // Two registrations from one address must differ, or the second is taken for a repeat of the first.
    let nickname = format!("load {index}");
    let profile = Profile { nickname: &nickname, password, ..Profile::default() };
    User::register(profile).encode(bytes);
}

fn connect(server: SocketAddr) -> Result<UdpSocket, String> {
    let own: SocketAddr =
        if server.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { (std::net::Ipv6Addr::LOCALHOST, 0).into() };
    let open = || {
        let socket = UdpSocket::bind(own)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        sys::widen_buffers(&socket);
        Ok(socket)
    };
    open().map_err(|error: std::io::Error| format!("no socket to {server}: {error}"))
}

/// What to say when the server's port is closed.
pub fn gone(error: &std::io::Error) -> String {
    format!("the server is gone: {error}")
}
