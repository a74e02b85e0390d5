//! What black-box tests share: the program as a child process, and people who talk to it in bare frames.
#![allow(dead_code, reason = "each test program uses its own part of it")]
#![allow(clippy::disallowed_methods, reason = "a real server needs real time")]

use oicq::wire::{Dialect, Profile, Server as Frame, User, stream_frame_bytes};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an answer may take on a busy machine before the test says that it never came.
const PATIENCE: Duration = Duration::from_secs(20);

/// `oicqd` with this data directory, and nothing of the caller's environment.
pub fn oicqd(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oicqd"));
    for name in ["LISTEN", "SHARDS", "CLASSIC", "LOG", "LOG_FORMAT", "REGISTER", "CONFIG", "RETRY", "PASSWORD"] {
        command.env_remove(format!("OICQD_{name}"));
    }
    command.env("OICQD_DATA", data);
    command
}

/// A running server, killed when the test ends.
pub struct Server {
    pub process: Child,
    pub out: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub banner: String,
}

impl Server {
    /// Starts one on a free port of IPv4.
    pub fn start(data: &Path, shards: usize) -> Self {
        Self::start_at(data, shards, "127.0.0.1:0")
    }

    pub fn start_at(data: &Path, shards: usize, listen: &str) -> Self {
        let mut command = oicqd(data);
        command.args(["--listen", listen, "--shards", &shards.to_string()]).stderr(Stdio::piped());
        Self::run(command)
    }

    /// Starts one with these arguments and two shards, whose log goes into a file.
    pub fn start_logging(data: &Path, arguments: &[&str], log: &Path) -> Self {
        let mut command = oicqd(data);
        let log = File::options().create(true).append(true).open(log).expect("a file for the log");
        command.args(["--listen", "127.0.0.1:0", "--shards", "2"]).args(arguments).stderr(log);
        Self::run(command)
    }

    /// Waits for the banner of one.
    fn run(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        let mut banner = String::new();
        while !banner.contains("shards ") && out.read_line(&mut banner).expect("the banner") > 0 {}
        let address = banner
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("no address in {banner:?}: {}", said(&mut process)));
        Self { process, out, address, banner }
    }

    /// `kill -9`: nothing is flushed, nobody is told.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(sent.expect("kill exists").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a process has said on its standard error; ends it.
pub fn said(process: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut pipe) = process.stderr.take() {
        let _ = process.kill();
        let _ = pipe.read_to_string(&mut text);
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// One end of a conversation in bare frames.
pub enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

impl Wire {
    pub fn open(server: SocketAddr, transport: Transport) -> Self {
        match transport {
            Transport::Udp => {
                let local = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
                let socket = UdpSocket::bind(local).expect("bound");
                socket.connect(server).expect("connected");
                Self::Udp(socket)
            }
            Transport::Tcp => Self::Tcp(TcpStream::connect(server).expect("connected"), Vec::new()),
        }
    }

    pub fn send(&mut self, frame: &User<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.send_bytes(&bytes);
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => assert_eq!(socket.send(bytes).expect("sent"), bytes.len()),
            Self::Tcp(stream, _) => stream.write_all(bytes).expect("sent"),
        }
    }

    /// The next frame, or `None` if none comes in this time. Panics if the server closes the connection.
    pub fn next_within(&mut self, time: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let mut buffer = vec![0; 70_000];
            match self {
                Self::Udp(socket) => {
                    socket.set_read_timeout(Some(left)).expect("set");
                    if let Ok(length) = socket.recv(&mut buffer) {
                        buffer.truncate(length);
                        return Some(buffer);
                    }
                }
                Self::Tcp(stream, bytes) => {
                    match stream_frame_bytes(bytes).expect("the server's frames") {
                        Some(length) if bytes.len() >= length => return Some(bytes.drain(..length).collect()),
                        _ => {}
                    }
                    stream.set_read_timeout(Some(left)).expect("set");
                    match stream.read(&mut buffer) {
                        Ok(0) => panic!("the server closed the connection"),
                        Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                        Err(_) => {}
                    }
                }
            }
        }
    }

    /// The next frame in words.
    #[track_caller]
    pub fn next(&mut self) -> String {
        show(&self.next_within(PATIENCE).expect("an answer"))
    }

    /// Waits for a frame whose words contain this; what comes before it is skipped.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        loop {
            let frame = self.next();
            if frame.contains(words) {
                return frame;
            }
        }
    }
}

/// A frame of the server in words.
pub fn show(bytes: &[u8]) -> String {
    format!("{:?}", Frame::decode(bytes, Dialect::Link).expect("the server's frames are well formed"))
}

/// Somebody who is signed in.
pub struct Person {
    pub number: u32,
    pub wire: Wire,
    /// The answer to the sign-in, in words.
    pub list: String,
}

impl Person {
    /// Registers and signs in.
    pub fn new(server: SocketAddr, transport: Transport, nickname: &str, authorization: u8) -> Self {
        let number = register(server, transport, nickname, authorization);
        Self::sign_in(server, transport, number)
    }

    pub fn sign_in(server: SocketAddr, transport: Transport, number: u32) -> Self {
        let mut wire = Wire::open(server, transport);
        wire.send(&User::SignIn { me: number, password: "secret", mode: 0, token: None });
        let list = wire.next();
        assert!(list.starts_with("SignedIn { ok: 1"), "{list}");
        Self { number, wire, list }
    }

    /// Sends a request and gives back the next frame.
    #[track_caller]
    pub fn ask(&mut self, frame: &User<'_>) -> String {
        self.wire.send(frame);
        self.wire.next()
    }

    pub fn say(&mut self, to: u32, text: &str) {
        self.wire.send(&User::Message { me: self.number, to, text, id: None });
    }
}

pub fn register(server: SocketAddr, transport: Transport, nickname: &str, authorization: u8) -> u32 {
    let mut wire = Wire::open(server, transport);
    wire.send(&User::register(profile(nickname, authorization)));
    let bytes = wire.next_within(PATIENCE).expect("an answer");
    match Frame::decode(&bytes, Dialect::Classic) {
        Ok(Frame::Registered { ok: 1, number }) => number,
        other => panic!("not registered: {other:?}"),
    }
}

/// A small profile.
pub fn profile(nickname: &str, authorization: u8) -> Profile<'_> {
    Profile {
        nickname,
        portrait: 7,
        password: "secret",
        age: 20,
        country: 86,
        province: 11,
        city: "深圳",
        authorization,
        ..Profile::default()
    }
}

/// Runs a story over both transports and with one, two and three shards, each on a server of its own.
pub fn everywhere(story: impl Fn(SocketAddr, Transport)) {
    for shards in 1..=3 {
        let data = tempfile::tempdir().expect("a directory");
        let server = Server::start(data.path(), shards);
        for transport in [Transport::Udp, Transport::Tcp] {
            story(server.address, transport);
        }
    }
}
