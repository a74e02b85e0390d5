//! The control plane: one ordinary thread that serves a Unix socket in the data directory, for its owner alone.

pub mod commands;
pub mod protocol;

use super::Fatal;
use super::events::TARGET as EVENTS;
use super::figures::Report;
use super::mesh::{Mesh, Message};
use super::passwords::Passwords;
use super::reload::Reloader;
use super::searching::Searches;
use super::storage::Storage;
use crate::shard::{Control, Presence};
use crate::store::{Accounts, Answer, Request};
use commands::{Figures, Office};
use crossbeam::channel::bounded;
use protocol::{LINE_BYTES, Order};
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The socket in the data directory.
const SOCKET: &str = "control.sock";
/// How long a caller may take for a line, and a shard for its figures.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place in a directory whose name may be longer than the address of a Unix socket.
struct Place {
    directory: File,
}

impl Place {
    fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: File::open(directory)? })
    }

    fn of(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()))
    }
}

/// Connects to the server that runs on this directory, if one does.
pub fn connect(directory: &Path) -> io::Result<Option<UnixStream>> {
    let connected = Place::new(directory).and_then(|place| UnixStream::connect(place.of(SOCKET)));
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the thread can reach.
pub struct Desk {
    /// How often journal or base were found damaged.
    pub damages: Arc<AtomicU64>,
    /// The shards.
    pub mesh: Arc<Mesh>,
    /// The store, until the server ends.
    pub storage: Arc<Mutex<Option<Storage>>>,
    /// All accounts.
    pub accounts: Accounts,
    /// The data directory.
    pub data: PathBuf,
    /// The password pool.
    pub passwords: Passwords,
    /// The search thread.
    pub searches: Searches,
    /// When the server began.
    pub began: Instant,
    /// The line for clients.
    pub line: String,
    /// What reads the configuration again.
    pub reloader: Arc<Reloader>,
}

/// Begins to serve the control socket. The caller has the directory locked: a socket that is there is nobody's.
pub fn spawn(directory: &Path, desk: Desk) -> Result<(), Fatal> {
    let refused = |error: io::Error| {
        Fatal(format!("cannot make {}: {error}; check the data directory", directory.join(SOCKET).display()))
    };
    let place = Place::new(directory).map_err(refused)?;
    // It comes into sight only when nobody else may connect.
    let (hidden, shown) = (place.of(".control.sock.new"), place.of(SOCKET));
    let _ = fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(refused)?;
    fs::set_permissions(&hidden, Permissions::from_mode(0o600)).map_err(refused)?;
    fs::rename(&hidden, &shown).map_err(refused)?;
    let serve = move || {
        let mut desk = desk;
        for caller in listener.incoming() {
            // A caller who goes away in the middle is no trouble of the server's.
            if let Err(error) = caller.and_then(|caller| serve(&caller, &mut desk)) {
                tracing::debug!(%error, "a caller of the control socket");
            }
        }
    };
    std::thread::Builder::new().name("control".into()).spawn(serve).map_err(refused)?;
    Ok(())
}

/// Takes the socket away, so that nobody waits for a server that has ended.
pub fn remove(directory: &Path) {
    let _ = fs::remove_file(directory.join(SOCKET));
}

fn serve(caller: &UnixStream, desk: &mut Desk) -> io::Result<()> {
    caller.set_read_timeout(Some(PATIENCE))?;
    caller.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(caller).take(LINE_BYTES as u64).read_line(&mut line)?;
    let mut answer = BufWriter::new(caller);
    let result = match Order::read(&line) {
        Some(order) => {
            let user = crate::server::sys::peer_user(caller);
            let (word, about) = (order.word(), Some(order.about()).filter(|about| !about.is_empty()));
            let done = commands::run(order, desk, &mut |text| protocol::write_text(&mut answer, text));
            let refused = done.as_ref().err();
            tracing::info!(target: EVENTS, order = word, about, user, refused, "operator");
            done
        }
        None => Err("the server does not know this command: use the oicqd that is running".to_owned()),
    };
    protocol::write_end(&mut answer, result)?;
    answer.flush()
}

impl Desk {
    fn storage(&self) -> Option<Storage> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Office for Desk {
    fn ask(&mut self, request: Request) -> Option<Answer> {
        self.storage()?.ask(request)
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn data(&self) -> &Path {
        &self.data
    }

    fn tell(&mut self, control: Control) {
        self.mesh.post_all(|| Message::Control(control.clone()));
    }

    fn figures(&mut self) -> Option<Figures> {
        let shards = self.mesh.shards();
        let (sender, receiver) = bounded::<Report>(shards);
        self.mesh.post_all(|| Message::Report(sender.clone()));
        let until = Instant::now() + PATIENCE;
        let mut reports: Vec<Report> = (0..shards).filter_map(|_| receiver.recv_deadline(until).ok()).collect();
        reports.sort_by_key(|report| report.shard);
        Some(Figures {
            reports,
            uptime_secs: self.began.elapsed().as_secs(),
            accounts: self.accounts.count().unwrap_or(0),
            store_queue: self.storage().map_or(0, |storage| storage.depth()),
            password_queue: self.passwords.depth(),
            searches: self.searches.depth(),
            store_damages: self.damages.load(Ordering::Relaxed),
        })
    }

    fn announce(&mut self, text: &str) -> Option<u64> {
        let shards = self.mesh.shards();
        let (sender, receiver) = bounded::<u64>(shards);
        let text: Box<str> = text.into();
        self.mesh.post_all(|| Message::Announce(text.clone(), sender.clone()));
        let until = Instant::now() + PATIENCE;
        Some((0..shards).filter_map(|_| receiver.recv_deadline(until).ok()).sum())
    }

    fn presence(&mut self, number: u32) -> Option<Presence> {
        let (sender, receiver) = bounded(1);
        let owner = number as usize % self.mesh.shards();
        self.mesh.post(owner, vec![Message::Presence(number, sender)]);
        receiver.recv_timeout(PATIENCE).ok()?
    }

    fn running(&self) -> bool {
        true
    }

    fn line(&self) -> Option<String> {
        Some(self.line.clone())
    }

    fn reload(&mut self) -> Option<Result<String, String>> {
        Some(self.reloader.reload())
    }

    fn stop(&mut self) {
        // The same as from outside: there is one way to end.
        if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGTERM) {
            tracing::error!(%error, "cannot end");
        }
    }
}
