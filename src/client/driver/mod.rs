//! Drives a [`Core`] over a socket of std: one thread reads, callers write, nobody spins.
#![allow(clippy::disallowed_methods, reason = "the driver is where the core's time comes from")]

use super::core::{Core, RequestId, Transport};
use super::error::Error;
use super::event::{AddOutcome, Event, Group, Person, Reply, Status};
use super::profile::OwnedProfile;
use crate::limits::FRAME_BYTES;
use crate::wire::{Blob, List, Move, User};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the reading thread sleeps at most: a request made meanwhile may have set an earlier deadline. The shortest
/// one of the core is 150 ms.
const TICK: Duration = Duration::from_millis(50);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A server that takes nothing for so long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Pause after each piece of a file: half a megabyte a second over UDP, where nobody says what is lost, and eight over
/// TCP, so that a reader of ordinary speed does not fall behind the server's backlog for it.
const PIECE_PAUSE_UDP: Duration = Duration::from_millis(2);
const PIECE_PAUSE_TCP: Duration = Duration::from_millis(4);

/// Bytes of a file to send at a time. A datagram of more would be cut up by IP, and be lost with any part of it.
pub fn piece_bytes(transport: Transport) -> usize {
    match transport {
        Transport::Udp => 1_024,
        Transport::Tcp => 32 * 1_024,
    }
}

/// A user's session over a socket. Each method waits for the answer to its request; they may be called from several
/// threads. Dropping it ends the connection, not the session: the server notices after 90 s, or at once if
/// [`set_status`](Self::set_status) with [`Status::Offline`] was called before.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

impl Client {
    /// Opens a socket to the server, and gives the channel through which events come.
    pub fn connect(server: SocketAddr, transport: Transport) -> Result<(Self, Receiver<Event>), Error> {
        let socket = match transport {
            Transport::Udp => {
                let any: SocketAddr = if server.is_ipv4() {
                    (Ipv4Addr::UNSPECIFIED, 0).into()
                } else {
                    (Ipv6Addr::UNSPECIFIED, 0).into()
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(server)?;
                socket.set_read_timeout(Some(TICK))?;
                Socket::Udp(socket)
            }
            Transport::Tcp => {
                let stream = TcpStream::connect_timeout(&server, CONNECT_WITHIN)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TICK))?;
                stream.set_write_timeout(Some(WRITE_WITHIN))?;
                Socket::Tcp(stream)
            }
        };
        let (events, receiver) = mpsc::channel();
        let state = State { core: Core::new(transport), callers: HashMap::new(), events, open: true };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            writing: Mutex::new(()),
            socket,
            transport,
            begun: Instant::now(),
            closing: AtomicBool::new(false),
        });
        let reader = std::thread::Builder::new().name("oicq-client".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.read()
        })?;
        Ok((Self { shared, reader: Some(reader) }, receiver))
    }

    /// What carries the frames.
    pub fn transport(&self) -> Transport {
        self.shared.transport
    }

    /// The number that is signed in.
    pub fn number(&self) -> Option<u32> {
        self.shared.state().core.number()
    }

    /// Registers a new user and gives its number. It is not signed in by that.
    pub fn register(&self, profile: &OwnedProfile) -> Result<u32, Error> {
        match self.call(&User::Register { profile: profile.as_wire() })? {
            Reply::Registered(number) => Ok(number),
            other => Err(unexpected(&other)),
        }
    }

    /// Signs in, hidden if asked, and gives the friend list. Stored messages follow as events.
    pub fn sign_in(&self, number: u32, password: &str, hidden: bool) -> Result<Vec<Group>, Error> {
        match self.call(&User::SignIn { me: number, password, mode: hidden.into(), token: None })? {
            Reply::SignedIn(groups) => Ok(groups),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends words to one user. No answer exists: over UDP they can be lost, and a refusal comes as [`Event::Words`].
    pub fn message(&self, to: u32, text: &str) -> Result<(), Error> {
        self.done(&User::Message { me: self.me()?, to, text, id: None })
    }

    /// Sends words to every friend in a group; 0 is all groups.
    pub fn broadcast(&self, group: u8, text: &str) -> Result<(), Error> {
        self.done(&User::Broadcast { me: self.me()?, group: group.into(), text, id: None })
    }

    /// Reads a profile.
    pub fn view(&self, friend: u32) -> Result<OwnedProfile, Error> {
        match self.call(&User::View { me: self.me()?, friend })? {
            Reply::Profile(_, profile) => Ok(*profile),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes one's profile: all of it, but for an empty password, which keeps the old one.
    pub fn update(&self, profile: &OwnedProfile) -> Result<(), Error> {
        self.done(&User::Update { me: self.me()?, profile: profile.as_wire() })
    }

    /// Adds a group and gives its number.
    pub fn add_group(&self, name: &str) -> Result<u8, Error> {
        match self.call(&User::AddGroup { me: self.me()?, name })? {
            Reply::Group(group, _) => Ok(group),
            other => Err(unexpected(&other)),
        }
    }

    /// Renames a group.
    pub fn rename_group(&self, group: u8, name: &str) -> Result<(), Error> {
        self.done(&User::RenameGroup { me: self.me()?, group, name })
    }

    /// Deletes a group. Its friends move to group 1.
    pub fn delete_group(&self, group: u8) -> Result<(), Error> {
        self.done(&User::DeleteGroup { me: self.me()?, group })
    }

    /// Moves friends to groups: all of them, or none if one cannot be moved.
    pub fn move_friends(&self, moves: &[(u32, u8)]) -> Result<(), Error> {
        let moves: Vec<Move> = moves.iter().map(|&(friend, group)| Move { friend, group }).collect();
        self.done(&User::MoveFriends { me: self.me()?, moves: List::new(&moves) })
    }

    /// Who is online, `count` of them beyond `start`: larger numbers, or smaller ones where `downwards`.
    pub fn online(&self, start: u32, count: u8, downwards: bool) -> Result<Vec<Person>, Error> {
        let direction = if downwards { 1 } else { 2 };
        self.people(&User::Online { me: self.me()?, start, count, direction })
    }

    /// Searches the users (protocol.md 4.1).
    pub fn search(&self, sql: &str) -> Result<Vec<Person>, Error> {
        self.people(&User::Search { me: self.me()?, sql })
    }

    /// Adds a friend, or tells that they want to be asked.
    pub fn add_friend(&self, friend: u32) -> Result<AddOutcome, Error> {
        match self.call(&User::AddFriend { me: self.me()?, friend })? {
            Reply::Added(_, outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks somebody for authorization. Their answer comes as [`Event::AskAnswered`].
    pub fn ask(&self, friend: u32, reason: &str) -> Result<(), Error> {
        self.done(&User::Ask { me: self.me()?, friend, reason })
    }

    /// Answers somebody's request for authorization.
    pub fn answer(&self, friend: u32, agree: bool) -> Result<(), Error> {
        self.done(&User::Answer { me: self.me()?, friend, agree: agree.into() })
    }

    /// Deletes a friend from the list.
    pub fn delete_friend(&self, friend: u32) -> Result<(), Error> {
        self.done(&User::DeleteFriend { me: self.me()?, friend })
    }

    /// Changes one's status; [`Status::Offline`] signs out.
    pub fn set_status(&self, status: Status) -> Result<(), Error> {
        match self.call(&User::SetStatus { me: self.me()?, status: status.code() })? {
            Reply::Status(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks the server whether it is there: everything sent before has reached it when a TCP server answers.
    pub fn test(&self) -> Result<(), Error> {
        self.done(&User::Test { me: self.me()? })
    }

    /// Monitors the conversations of `target`; 0 stops. Only for accounts to which the operator has granted it.
    pub fn monitor(&self, target: u32) -> Result<(), Error> {
        self.done(&User::Monitor { me: self.me()?, target })
    }

    /// Offers a file. The answer comes as [`Event::FileAnswered`].
    pub fn offer_file(&self, friend: u32, name: &str, size: u32) -> Result<(), Error> {
        self.done(&User::OfferFile { me: self.me()?, friend, name, size })
    }

    /// Answers an offer. If it is allowed, the pieces come as [`Event::FilePiece`].
    pub fn answer_file(&self, friend: u32, allow: bool) -> Result<(), Error> {
        self.done(&User::AnswerFile { me: self.me()?, friend, allow: allow.into() })
    }

    /// Sends one piece of a file whose offer was accepted.
    pub fn send_piece(&self, friend: u32, data: &[u8]) -> Result<(), Error> {
        self.done(&User::FileData { me: self.me()?, friend, data: Blob(data) })
    }

    /// Sends `size` bytes of a file whose offer was accepted, at a pace that others can follow, and tells `progress`
    /// after each piece how many have gone. Over UDP pieces can be lost, and nobody says so.
    pub fn send_file(
        &self,
        friend: u32,
        size: u32,
        file: &mut dyn Read,
        progress: &mut dyn FnMut(u32),
    ) -> Result<(), Error> {
        let transport = self.transport();
        let pause = if transport == Transport::Udp { PIECE_PAUSE_UDP } else { PIECE_PAUSE_TCP };
        let mut piece = vec![0; piece_bytes(transport)];
        let mut sent = 0;
        while sent < size {
            let length = piece.len().min((size - sent) as usize);
            file.read_exact(&mut piece[..length])?;
            self.send_piece(friend, &piece[..length])?;
            sent += length as u32;
            progress(sent);
            std::thread::sleep(pause);
        }
        Ok(())
    }

    fn me(&self) -> Result<u32, Error> {
        self.number().ok_or(Error::NotSignedIn)
    }

    fn people(&self, frame: &User<'_>) -> Result<Vec<Person>, Error> {
        match self.call(frame)? {
            Reply::People(people) => Ok(people),
            other => Err(unexpected(&other)),
        }
    }

    fn done(&self, frame: &User<'_>) -> Result<(), Error> {
        self.call(frame).map(|_| ())
    }

    fn call(&self, frame: &User<'_>) -> Result<Reply, Error> {
        let (caller, answer) = mpsc::channel();
        {
            let mut state = self.shared.state();
            if !state.open {
                return Err(Error::Closed);
            }
            let id = state.core.request(self.shared.now(), frame)?;
            state.callers.insert(id, caller);
            state.hand_out();
        }
        self.shared.write_all();
        // Closing drops the callers.
        answer.recv().unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // It has panicked if this is an error; the panic has been printed.
            let _ = reader.join();
        }
    }
}

fn unexpected(reply: &Reply) -> Error {
    unreachable!("the core matches each answer to its request, and this is none: {reply:?}")
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Held while frames are taken from the core and written, so that they go out in order. Apart from `state`, so that
    /// what arrives can be taken while a write waits.
    writing: Mutex<()>,
    socket: Socket,
    transport: Transport,
    begun: Instant,
    closing: AtomicBool,
}

#[derive(Debug)]
struct State {
    core: Core,
    callers: HashMap<RequestId, Sender<Result<Reply, Error>>>,
    events: Sender<Event>,
    open: bool,
}

impl State {
    /// Passes answers to their callers and events to their channel.
    fn hand_out(&mut self) {
        while let Some((id, result)) = self.core.poll_reply() {
            if let Some(caller) = self.callers.remove(&id) {
                // A caller always waits; only a panic in it could have ended that.
                let _ = caller.send(result);
            }
        }
        while let Some(event) = self.core.poll_event() {
            // A program that wants no events has dropped their receiver.
            let _ = self.events.send(event);
        }
    }

    fn close(&mut self, reason: String) {
        if std::mem::replace(&mut self.open, false) {
            self.callers.clear();
            let _ = self.events.send(Event::Closed { reason });
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A caller that panics holds no half-changed state: the core's methods are its only writers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// The reading thread.
    fn read(&self) {
        let mut buffer = vec![0; FRAME_BYTES + 1];
        while !self.closing.load(Ordering::Relaxed) {
            let arrived = self.read_some(&mut buffer);
            let mut state = self.state();
            let outcome = match arrived {
                Ok(Some(0)) if self.transport == Transport::Tcp => Err("the server has closed the connection".into()),
                Ok(Some(count)) => state
                    .core
                    .receive(self.now(), &buffer[..count])
                    .map_err(|error| format!("the server sent what is no frame: {error}")),
                Ok(None) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            state.core.wake(self.now());
            state.hand_out();
            if let Err(reason) = outcome {
                state.close(reason);
            }
            if !state.open {
                return;
            }
            drop(state);
            // Whoever holds it writes until nothing is left; what falls between goes out a tick later.
            if let Ok(_writing) = self.writing.try_lock() {
                self.write_frames();
            }
        }
    }

    /// Waits for bytes, a tick at most.
    fn read_some(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let result = match &self.socket {
            Socket::Udp(socket) => socket.recv(buffer),
            Socket::Tcp(stream) => (&*stream).read(buffer),
        };
        match result {
            Ok(count) => Ok(Some(count)),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            // A closed port: the server is starting or starting anew. Repeats will find it, or the request times out.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && self.transport == Transport::Udp => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_all(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_frames();
    }

    /// Writes what the core has to send; `writing` is held.
    fn write_frames(&self) {
        loop {
            let Some(frame) = self.state().core.poll_frame() else { return };
            match &self.socket {
                // A datagram that cannot be sent is as good as one that was lost.
                Socket::Udp(socket) => drop(socket.send(&frame)),
                Socket::Tcp(stream) => {
                    if let Err(error) = (&*stream).write_all(&frame) {
                        return self.state().close(format!("the server takes nothing more: {error}"));
                    }
                }
            }
        }
    }
}
