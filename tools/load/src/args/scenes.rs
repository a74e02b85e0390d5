//! The arguments of each command: the server, the load, and what is its own.

use super::load::{Load, People};
use super::values::{bounded, loopback, rate, seconds};
use crate::scenes::messages::To;
use crate::scenes::search::QUERY;
use clap::Args;
use oicq::limits::{FIRST_USER, LAST_USER, SHARDS};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The server, and the cores.
#[derive(Args, Clone)]
pub struct Target {
    /// The server program: it is started for this, and ended with it
    #[arg(long, value_name = "PATH", conflicts_with = "server", required_unless_present = "server")]
    pub oicqd: Option<PathBuf>,
    /// A server that runs already
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    pub server: Option<SocketAddr>,
    /// Its process, for its CPU time and its memory
    #[arg(long, requires = "server")]
    pub pid: Option<u32>,
    /// A data directory that `prepare` has filled [default: one that is made for this]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Instead of --data: existing users from this number on, who sign in with --password, at 30 ms of a core each
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["data", "oicqd"])]
    #[arg(value_parser = clap::value_parser!(u32).range(i64::from(FIRST_USER)..=i64::from(LAST_USER)))]
    pub first: Option<u32>,
    /// Password of all those users, who are made for measuring: one that is used nowhere else
    #[arg(long, default_value = "loadtest")]
    pub password: String,
    /// Shards of a server that is started
    #[arg(long, default_value_t = 1, value_parser = bounded(1, SHARDS))]
    pub shards: usize,
    /// Cores of a server that is started, and of the floor
    #[arg(long, default_value = "0", value_delimiter = ',')]
    pub server_cpu: Vec<usize>,
    /// Core of the driver [default: 1 beside a server that is started]
    #[arg(long)]
    pub cpu: Option<usize>,
}

impl Target {
    /// Cores of the driver; none if it may run anywhere.
    pub fn cpu(&self) -> Vec<usize> {
        self.cpu.or(self.oicqd.as_ref().map(|_| 1)).into_iter().collect()
    }
}

/// `relay`.
#[derive(Args, Clone)]
pub struct RelayArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Who writes to whom
    #[arg(long, value_enum, default_value = "partner")]
    pub to: To,
    /// Partners write so many in turns before others do: then acks ride along, as they cannot where people think in between
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000), conflicts_with = "rate")]
    pub talk: u32,
    /// Bare frames instead of the link
    #[arg(long)]
    pub classic: bool,
}

/// `compare`.
#[derive(Args, Clone)]
pub struct CompareArgs {
    /// Two runs that --json has written: prints them side by side and measures nothing
    #[arg(value_names = ["A.json", "B.json"], num_args = 2, conflicts_with = "oicqd")]
    pub files: Vec<PathBuf>,
    /// The server program
    #[arg(long, value_name = "PATH", required_unless_present = "files")]
    pub oicqd: Option<PathBuf>,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Who writes to whom
    #[arg(long, value_enum, default_value = "partner")]
    pub to: To,
    /// Core of both servers
    #[arg(long, default_value_t = 0)]
    pub server_cpu: usize,
    /// Core of the driver
    #[arg(long, default_value_t = 1)]
    pub cpu: usize,
    /// Partners write so many in turns before others do: then acks ride along, as they cannot where people think in between
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000), conflicts_with = "rate")]
    pub talk: u32,
    /// Bare frames instead of the link, and an echo instead of the floor
    #[arg(long)]
    pub classic: bool,
}

impl CompareArgs {
    /// A comparison is `relay` with the floor beside it.
    pub fn relay(&self) -> RelayArgs {
        let target = Target {
            oicqd: self.oicqd.clone(),
            server: None,
            pid: None,
            data: None,
            first: None,
            password: "loadtest".into(),
            shards: 1,
            server_cpu: vec![self.server_cpu],
            cpu: Some(self.cpu),
        };
        let load = Load { with_floor: true, rounds: Some(self.rounds()), ..self.load.clone() };
        RelayArgs { target, load, to: self.to, talk: self.talk, classic: self.classic }
    }

    /// Rounds.
    pub fn rounds(&self) -> usize {
        self.load.rounds.unwrap_or(5)
    }
}

/// `sign-in`.
#[derive(Args, Clone)]
pub struct SignInArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// The load.
    #[command(flatten)]
    pub load: Load,
}

/// `presence`.
#[derive(Args, Clone)]
pub struct PresenceArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// The load; its users are the watchers and the one who is watched.
    #[command(flatten)]
    pub load: Load,
    /// So many see each change; with --data no more than were prepared
    #[arg(long, default_value_t = 1_000, value_parser = bounded(1, 100_000))]
    pub watchers: usize,
}

/// `offline`.
#[derive(Args, Clone)]
pub struct OfflineArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// So many of the users send; the others are not there
    #[arg(long, default_value_t = 64, value_parser = bounded(1, 100_000))]
    pub senders: usize,
    /// So many messages in a round at most; a mailbox holds 10,000
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub messages: Option<u64>,
}

/// `search`.
#[derive(Args, Clone)]
pub struct SearchArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// What is searched for; by default all accounts are read, and few fit
    #[arg(long, default_value = QUERY)]
    pub query: String,
    /// Messages a second meanwhile, and in a turn before without searches
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub beside: Option<f64>,
}

/// `mix`.
#[derive(Args, Clone)]
pub struct MixArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// The load.
    #[command(flatten)]
    pub load: Load,
}

/// `idle`.
#[derive(Args, Clone)]
pub struct IdleArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// Its users.
    #[command(flatten)]
    pub people: People,
    /// Seconds that a round lasts; each user is heard of every 30
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    pub seconds: f64,
    /// Rounds
    #[arg(long, default_value_t = 1, value_parser = bounded(1, 100))]
    pub rounds: usize,
}

/// `start`.
#[derive(Args, Clone)]
pub struct StartArgs {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// Its users: so many sessions are kept.
    #[command(flatten)]
    pub people: People,
    /// So many times each: a crash (SIGKILL), and a stop (SIGTERM)
    #[arg(long, default_value_t = 1, value_parser = bounded(1, 20))]
    pub rounds: usize,
}

/// `floor`.
#[derive(Args, Clone)]
pub struct FloorArgs {
    /// A floor-server that runs already [default: one is started]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    pub server: Option<SocketAddr>,
    /// Its process, for its CPU time
    #[arg(long, requires = "server")]
    pub pid: Option<u32>,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Core of the floor, if it is started
    #[arg(long, default_value = "0", value_delimiter = ',')]
    pub server_cpu: Vec<usize>,
    /// Core of the driver
    #[arg(long)]
    pub cpu: Option<usize>,
    /// An echo of bare frames
    #[arg(long)]
    pub classic: bool,
}

/// `floor-server`.
#[derive(Args)]
pub struct FloorServerArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = loopback)]
    pub listen: SocketAddr,
    /// Its core
    #[arg(long)]
    pub cpu: Option<usize>,
}

/// `prepare`.
#[derive(Args)]
pub struct PrepareArgs {
    /// The directory, which is made, or empty
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Accounts
    #[arg(long, default_value_t = 1_000, value_parser = bounded(2, 1_000_000))]
    pub users: usize,
    /// Friends of each, on average; some have few and a few have very many
    #[arg(long, default_value_t = 20, value_parser = bounded(0, 80))]
    pub friends: usize,
    /// So many list the first account, for `presence`
    #[arg(long, default_value_t = 1_000, value_parser = bounded(0, 100_000))]
    pub watchers: usize,
    /// Of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
