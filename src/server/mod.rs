//! The outside world: executors, sockets, queues between threads, the control plane, start and end.
//!
//! Each shard has a core, its own sockets and everything that its users need. What crosses threads goes through
//! `mesh`; what blocks or computes for long has threads of its own: the store, the password pool, the search.
#![allow(clippy::disallowed_methods, reason = "the outside world is where clocks, chance and waiting come from")]

pub mod admin;
pub mod args;
mod checks;
mod config;
mod connections;
mod control;
mod core;
mod events;
mod figures;
mod identity;
mod incoming;
mod listen;
mod logging;
mod mesh;
mod mmsg;
mod outgoing;
mod passwords;
mod reload;
mod searching;
mod shard_loop;
mod storage;
mod streams;
mod sys;
mod trial;
mod turns;

use crate::seeded::Seed;
use crate::shard::{Bans, Board, Identity, Shard, Territory};
use crate::store::{self, Accounts, DirStore, OpenError, Progress, SessionRecord, Step, StoreEvent};
use argon2::password_hash::rand_core::{OsRng, RngCore};
use args::{Arguments, Serve};
use config::Settings;
use core::{Core, Helpers};
use crossbeam::channel::{Sender, bounded};
use events::EventLog;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};
use listen::{Claim, Sockets};
use logging::SetFilter;
#[doc(hidden)]
pub use mesh::{Mesh, Message, Port};
use passwords::Passwords;
use reload::Reloader;
use searching::Searches;
use shard_loop::ShardLoop;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use storage::Storage;
#[doc(hidden)]
pub use trial::Trial;

/// Why the program cannot go on, in one line that also says what would be right.
#[derive(Debug)]
pub struct Fatal(pub String);

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fatal {}

/// Memory that an executor registers with the kernel; its default of 10 MiB would be locked three times over.
const RING_BYTES: usize = 64 << 10;
/// How long a wake that the executor has lost stays lost at most, whatever it is doing.
const INSURANCE: Duration = Duration::from_millis(100);
/// How long the end of the server waits for what is on its way between threads, once the store has nothing to do. A
/// shard needs a few seconds to say farewell to a million.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The same while the store has: a million sessions are not ended in a second.
const LAST_COMMITS: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Does what the command line says.
pub fn run(arguments: Arguments) -> Result<(), Fatal> {
    match arguments.command {
        Some(command) => {
            let filter = arguments.serve.log.as_deref().unwrap_or(config::DEFAULT_FILTER);
            let _cannot_be_changed = logging::start(filter, arguments.serve.log_format)?;
            admin::run(command, &arguments.serve.data)
        }
        None => serve(arguments.serve),
    }
}

/// Serves until it is told to end.
fn serve(serve: Serve) -> Result<(), Fatal> {
    abort_on_panic(&serve.data);
    sys::owner_only();
    let settings = reload::settings(&serve)?;
    let set_filter = logging::start(&settings.log_filter, serve.log_format)?;
    // While the store is opened, the other two end the process at once: nothing is lost by that.
    let mut signals = Signals::new([SIGHUP]).map_err(no_signals)?;
    checks::arguments(&serve)?;
    checks::system()?;
    checks::data_directory(&serve.data)?;
    let cores = sys::allowed_cores();
    let shards = serve.shards.map_or(cores.len().clamp(1, crate::limits::SHARDS), usize::from);
    let connections = checks::connections(shards, serve.listen.len())?;
    let claims = listen::claim(&serve.listen)?;
    let store = open_store(&serve.data, &mut io::stdout())?;
    let private = identity::private_key(&serve.data, store.account_count() > 0)?;
    let line = identity::server_line(claims[0].address(), &private);
    signals.add_signal(SIGTERM).and_then(|()| signals.add_signal(SIGINT)).map_err(no_signals)?;
    let start = Start { store, claims, shards, cores, connections, serve, settings, set_filter, private, line };
    let server = start.run()?;
    let (serve, terminal) = (&server.serve, Terminal::now());
    say(&banner(serve, &server.listening, shards, &server.accounts, &server.line));
    checks::privacy(&serve.data);
    while signals.forever().next() == Some(SIGHUP) && !terminal.wants_end() {
        server.reloader.reload_for_signal();
    }
    std::thread::spawn(move || {
        // Whoever asks twice is in a hurry: what was answered is safe. A terminal that hangs up may say so twice.
        while signals.forever().next() == Some(SIGHUP) {}
        std::process::exit(1);
    });
    server.end()
}

fn no_signals(error: io::Error) -> Fatal {
    Fatal(format!("cannot wait for signals: {error}"))
}

/// Whether the server was started at a terminal: then SIGHUP means that it ends, else that the configuration has changed.
struct Terminal {
    shown: bool,
    typed: bool,
}

impl Terminal {
    fn now() -> Self {
        let shown = io::stdout().is_terminal() || io::stderr().is_terminal();
        Self { shown, typed: io::stdin().is_terminal() }
    }

    /// Whether SIGHUP means the end: the server shows itself on a terminal, or the one that it was started from is gone.
    fn wants_end(&self) -> bool {
        self.shown || (self.typed && !io::stdin().is_terminal())
    }
}

/// Says something to whoever started the server; it goes on if nobody listens.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn banner(serve: &Serve, listening: &[SocketAddr], shards: usize, accounts: &Accounts, line: &str) -> String {
    let addresses: Vec<String> = listening.iter().map(|address| format!("{address} (udp+tcp)")).collect();
    let audit = accounts.audit().ok().and_then(|check| check.set_aside().cloned()).map_or_else(String::new, |aside| {
        format!(
            "\nTHE AUDIT LOG WAS BROKEN ({}), and is {} now: nobody monitors until `oicqd grant acknowledge`",
            aside.fault, aside.name
        )
    });
    format!(
        "oicqd {} listens on {}\nclients: {line}{audit}\nshards {shards}, accounts {}, data {}, bare frames {}",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
        accounts.count().unwrap_or(0),
        serve.data.display(),
        serve.classic.word(),
    )
}

/// Opens the store, and tells how far it has come if that takes long.
fn open_store(directory: &Path, out: &mut dyn Write) -> Result<DirStore, Fatal> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut told = Instant::now();
    let mut report = |progress: Progress| {
        if told.elapsed() < PATIENCE {
            return;
        }
        told = Instant::now();
        let step = match progress.step {
            Step::Check => "checking",
            Step::Load => "filling the index",
            Step::Replay => "bringing the index up to date",
        };
        let percent = progress.done.saturating_mul(100) / progress.total.max(1);
        let _ = writeln!(out, "loading: {step}, {} %", percent.min(100)).and_then(|()| out.flush());
    };
    let mut store =
        DirStore::open_dir(directory, OsRng.next_u64(), &mut report).map_err(|error| Fatal(error.to_string()))?;
    if let Some(why) = store.take_remade() {
        report_store(StoreEvent::Remade(why));
    }
    Ok(store)
}

/// Makes the audit log ready to be appended to. One that somebody else has changed is set aside, loudly.
fn guard_audit(store: &mut DirStore) -> Result<(), Fatal> {
    let mut key = [0; 32];
    OsRng.fill_bytes(&mut key);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let aside = store.guard_audit(key, now_ms);
    if let Some(aside) = aside.map_err(|error| Fatal(format!("cannot write the audit log: {error}")))? {
        tracing::error!("the audit log was changed by somebody else: {}; it is {} now", aside.fault, aside.name);
    }
    Ok(())
}

/// Ends the whole process if any thread panics: a server that is half alive loses messages in silence.
fn abort_on_panic(data: &Path) {
    let data = data.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        // sled panics where its file is damaged: the index is made anew, and the server goes on.
        if store::panics_are_caught() {
            return;
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("?");
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        // A message that was put together at run time may hold what users wrote.
        let what = panic.payload().downcast_ref::<&str>().copied().unwrap_or("(words withheld)");
        if store::is_index_thread(name) {
            let text = match store::distrust_index(&data) {
                Ok(()) => "start the server again: it makes the index anew from the journal, and nothing is lost",
                Err(_) => "delete the directory `index` and start the server again: nothing is lost",
            };
            let _ = writeln!(io::stderr(), "oicqd: the index is damaged ({name}, {place}: {what}); {text}");
        } else {
            let trace = std::backtrace::Backtrace::capture();
            let text = format!("oicqd: BUG: thread {name:?} panicked at {place}: {what}; the server stops\n{trace}");
            let _ = writeln!(io::stderr(), "{text}");
        }
        std::process::abort();
    }));
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// A server that runs.
struct Server {
    mesh: Arc<Mesh>,
    storage: Arc<Mutex<Option<Storage>>>,
    store: JoinHandle<io::Result<()>>,
    accounts: Accounts,
    events: EventLog,
    reloader: Arc<Reloader>,
    serve: Serve,
    listening: Vec<SocketAddr>,
    line: String,
}

/// All that a server is made from.
struct Start {
    store: DirStore,
    claims: Vec<Claim>,
    shards: usize,
    cores: Vec<usize>,
    connections: usize,
    serve: Serve,
    settings: Settings,
    set_filter: SetFilter,
    private: [u8; 32],
    line: String,
}

impl Start {
    /// Starts everything that is behind the ports, then the control socket, and last the shards with their ports: whoever
    /// reaches one can use all of it.
    fn run(self) -> Result<Server, Fatal> {
        let Self { mut store, claims, shards, cores, connections, serve, settings, set_filter, private, line } = self;
        let classic = serve.classic.classic();
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| {
                Fatal(format!("cannot start {what}: {error}; give the process more room (ulimit -a)"))
            }
        };
        let began = Instant::now();
        guard_audit(&mut store)?;
        let listening: Vec<SocketAddr> = claims.iter().map(Claim::address).collect();
        let mesh = Mesh::new(shards).map_err(failed("the queues"))?;
        let board = Arc::new(Board::new(Seed::new(random())));
        let policy = Arc::new(settings.policy);
        let accounts = store.accounts();
        let bans = Arc::new(Bans::of(accounts.bans().map_err(failed("the store"))?));
        // It is stored nowhere: what a restored backup could bring back, it could bring back twice.
        let salt = random();
        let mut kept = kept_sessions(&store, shards, &listening).map_err(failed("the store"))?;
        let (storage, requests) = Storage::new();
        let damages = Arc::new(AtomicU64::new(0));
        let store = store::spawn(store, requests, storage.deliver(Arc::clone(&mesh)), {
            let damages = Arc::clone(&damages);
            move |event| {
                damages.fetch_add(u64::from(matches!(event, StoreEvent::Damaged(_))), Ordering::Relaxed);
                report_store(event);
            }
        })
        .map_err(failed("the store"))?;
        let passwords = Passwords::spawn(cores.len().max(1), &mesh).map_err(failed("the password pool"))?;
        let searches =
            Searches::spawn(accounts.clone(), Arc::clone(&board), Arc::clone(&mesh)).map_err(failed("the search"))?;
        let events = EventLog::spawn().map_err(failed("the event log"))?;
        let reloader = Arc::new(Reloader::new(serve.clone(), set_filter, Arc::clone(&mesh)));
        let shared = Arc::new(Mutex::new(Some(storage.clone())));
        let desk = control::Desk {
            damages,
            mesh: Arc::clone(&mesh),
            storage: Arc::clone(&shared),
            accounts: accounts.clone(),
            data: serve.data.clone(),
            passwords: passwords.clone(),
            searches: searches.clone(),
            began,
            line: line.clone(),
            reloader: Arc::clone(&reloader),
        };
        control::spawn(&serve.data, desk)?;
        let (ready, all_ready) = bounded(shards);
        let mut executors = Vec::with_capacity(shards);
        for (index, sockets) in listen::open(claims, shards)?.into_iter().enumerate() {
            let territory = Territory { index: index as u32, shards: shards as u32 };
            let always_retry = serve.retry == args::Retry::Always;
            let identity = Identity { private, seed: random(), salt, always_retry };
            let place = Place {
                shard: Box::new({
                    let (board, policy, bans) = (Arc::clone(&board), Arc::clone(&policy), Arc::clone(&bans));
                    move || Shard::new(territory, board, classic, &identity).under(policy, bans)
                }),
                kept: std::mem::take(&mut kept[index]),
                port: Port::new(Arc::clone(&mesh), index),
                helpers: Helpers {
                    store: Some(storage.clone()),
                    passwords: passwords.clone(),
                    searches: searches.clone(),
                    events: events.clone(),
                },
                sockets,
                connections,
                began,
            };
            executors.push(spawn_shard(index, place, &cores, shards, ready.clone())?);
        }
        // A shard that fails to start lets go of its end: when all have, nothing more will come.
        drop(ready);
        let started = all_ready.iter().take(shards).collect::<Result<Vec<()>, String>>().map_err(Fatal)?.len();
        if started < shards {
            let failed = executors.into_iter().find_map(|executor| executor.join().err());
            let why = failed.map_or_else(String::new, |error| format!(": {error}"));
            return Err(Fatal(format!("a shard cannot start{why}; give the process more room (ulimit -l, ulimit -n)")));
        }
        Ok(Server { mesh, storage: shared, store, accounts, events, reloader, serve, listening, line })
    }
}

impl Server {
    /// Takes nothing more, lets what was taken come to the store, and ends when all of it is synced.
    fn end(self) -> Result<(), Fatal> {
        say("oicqd ends: syncing the store");
        control::remove(&self.serve.data);
        self.mesh.post_all(|| Message::Stop);
        self.settle();
        let shards = self.mesh.shards();
        let (done, all_done) = bounded(shards);
        self.mesh.post_all(|| Message::End(done.clone()));
        let (mut ended, mut patience) = (0, Patience::new());
        while ended < shards && !patience.is_over(self.in_store()) {
            ended += usize::from(all_done.recv_timeout(LOOK).is_ok());
        }
        self.mesh.stop();
        if ended < shards {
            return Err(Fatal("a shard did not end in time; what it had not yet stored is lost".to_owned()));
        }
        self.events.flush(LAST_WORDS);
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).take();
        match self.store.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fatal(format!("the store did not close well: {error}; the next start mends it"))),
            Err(_) => Err(Fatal("the store's thread panicked; the next start mends it".to_owned())),
        }
    }

    /// How much the store has to do.
    fn in_store(&self) -> usize {
        let storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.as_ref().map_or(0, Storage::in_flight)
    }

    /// Waits until nothing is on its way between threads, twice in a row: an answer may lead to another question.
    fn settle(&self) {
        let (mut quiet, mut patience) = (0, Patience::new());
        while quiet < 2 && !patience.is_over(self.in_store()) {
            std::thread::sleep(LOOK);
            quiet = if self.mesh.depth() + self.in_store() == 0 { quiet + 1 } else { 0 };
        }
    }
}

/// How long the end of the server waits.
struct Patience {
    began: Instant,
    /// When the store last had something to do.
    worked: Instant,
}

impl Patience {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, worked: now }
    }

    fn is_over(&mut self, in_store: usize) -> bool {
        if in_store > 0 {
            self.worked = Instant::now();
        }
        self.worked.elapsed() >= LAST_WORDS || self.began.elapsed() >= LAST_COMMITS
    }
}

/// The sessions that the store has kept, by shard. One that was reached by a listening address which is no more is
/// reached by another of its kind, or not before it is heard of.
fn kept_sessions(store: &DirStore, shards: usize, listening: &[SocketAddr]) -> io::Result<Vec<Vec<SessionRecord>>> {
    let mut kept: Vec<Vec<SessionRecord>> = (0..shards).map(|_| Vec::new()).collect();
    store.sessions(&mut |mut record| {
        record.address = record.address.and_then(|(address, listener)| {
            let fits = |at: &SocketAddr| at.is_ipv4() == address.is_ipv4();
            let same = listening.get(usize::from(listener)).is_some_and(fits);
            let listener = if same { Some(usize::from(listener)) } else { listening.iter().position(fits) };
            Some((address, listener? as u16))
        });
        kept[record.number as usize % shards].push(record);
    })?;
    Ok(kept)
}

fn report_store(event: StoreEvent) {
    match event {
        StoreEvent::Fault(error) => {
            tracing::error!(%error, "the store fails: nothing new is kept until it works again")
        }
        StoreEvent::AuditBroken(broken) => tracing::error!(
            "the audit log was changed by somebody else: {broken}; nobody can monitor until a start has set it aside"
        ),
        StoreEvent::Remade(why) => {
            tracing::warn!(why, "the index was made anew from the journal; nothing is lost")
        }
        StoreEvent::Damaged(damage) => {
            let OpenError::Damaged { file, offset, fault } = damage else { return };
            tracing::error!(
                file,
                offset,
                fault,
                "what the store has written is damaged; nothing is lost: a new base is written from the index. Look after the disk"
            )
        }
        StoreEvent::Compacted => tracing::info!("the store wrote a new base"),
        StoreEvent::NotCompacted(error) => {
            tracing::warn!(%error, "the store could not write a new base; it tries later")
        }
    }
}

/// What one shard needs to start.
struct Place {
    shard: Box<dyn FnOnce() -> Shard + Send>,
    /// Sessions from before this start.
    kept: Vec<SessionRecord>,
    port: Port,
    helpers: Helpers,
    sockets: Sockets,
    connections: usize,
    began: Instant,
}

/// Starts the executor of a shard, on a core of its own if there are enough.
fn spawn_shard(
    index: usize,
    place: Place,
    cores: &[usize],
    shards: usize,
    ready: Sender<Result<(), String>>,
) -> Result<ExecutorJoinHandle<()>, Fatal> {
    let placement = match cores.get(index) {
        Some(core) if shards <= cores.len() => Placement::Fixed(*core),
        _ => Placement::Unbound,
    };
    LocalExecutorBuilder::new(placement)
        .name(&format!("shard {index}"))
        .io_memory(RING_BYTES)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .spawn(move || run_shard(place, ready))
        .map_err(|error| Fatal(format!("cannot start shard {index}: {error}; see ulimit -l and -n")))
}

async fn run_shard(place: Place, ready: Sender<Result<(), String>>) {
    // The first sleep of an executor is slow; nobody is to wait for it.
    glommio::timer::sleep(Duration::from_millis(1)).await;
    let Place { shard, kept, port, helpers, sockets, connections, began } = place;
    let datagrams: io::Result<Vec<_>> = sockets.datagrams.iter().map(socket2::Socket::try_clone).collect();
    let shard_loop = datagrams.and_then(|datagrams| {
        let core = Rc::new(RefCell::new(Core::new(shard(), port, helpers, datagrams, connections, began)));
        core.borrow_mut().keep(&kept);
        ShardLoop::new(core, sockets)
    });
    drop(kept);
    let shard_loop = match shard_loop {
        Ok(shard_loop) => shard_loop,
        Err(error) => {
            let _ = ready.send(Err(format!("a shard has no sockets: {error}; raise ulimit -n")));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    drop(ready);
    // Any timer mends a wake that the executor has lost.
    glommio::spawn_local(async {
        loop {
            glommio::timer::sleep(INSURANCE).await;
        }
    })
    .detach();
    shard_loop.run().await;
    // The rest ends with the process: connections and rings are the kernel's to take apart.
    loop {
        std::thread::park();
    }
}
