//! The command line, and the bounds within which a measurement is one.

use crate::classic::MARK_BYTES;
use crate::play::Pace;
use crate::scenes::messages::To;
use crate::scenes::search::QUERY;
use clap::{Args, Parser, Subcommand};
use oicq::limits::{FIRST_USER, LAST_USER, SHARDS, TEXT_BYTES};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Measures an OICQ server on this machine beside the floor: a bare program that passes the same datagrams on.
///
/// The driver spins on a core of its own, so what is measured is the server's CPU time, and how long its users wait. Only
/// loopback addresses are taken.
#[derive(Parser)]
#[command(name = "oicq-load", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub job: Job,
}

/// What to do.
#[derive(Subcommand)]
pub enum Job {
    /// Measure the floor and oicqd in turns, each on the same core, and print both and their ratio
    Compare(CompareArgs),
    /// Measure messages between users who are online
    Relay(RelayArgs),
    /// Measure sign-ins with tokens: handshake, token and friend list, again and again
    SignIn(SignInArgs),
    /// Measure changes of status that many users see
    Presence(PresenceArgs),
    /// Measure messages to users who are not there, and their delivery at the next sign-in
    Offline(OfflineArgs),
    /// Measure searches that no index helps, and messages meanwhile
    Search(SearchArgs),
    /// Measure a working day: messages to the popular, changes of status, going away and coming back
    Mix(MixArgs),
    /// Measure the floor alone
    Floor(FloorArgs),
    /// Be the floor: receive up to 64 datagrams in one call, send them on in one call
    FloorServer(FloorServerArgs),
    /// Write accounts with tokens and friend lists into a new data directory
    Prepare(PrepareArgs),
}

/// The load itself.
#[derive(Args, Clone)]
pub struct Load {
    /// Users
    #[arg(long, default_value_t = 1_000, value_parser = bounded(2, 1_000_000))]
    pub users: usize,
    /// Sockets that the users share [default: one for each user, 10,000 at most]
    #[arg(long, value_parser = bounded(1, 65_000))]
    pub sockets: Option<usize>,
    /// Closed loop: so many in progress, the next begins when one is done [default: 64; presence and search 1, offline 256]
    #[arg(long, value_parser = bounded(1, 65_536))]
    pub window: Option<usize>,
    /// Open loop: so many a second, whatever the server does; latency counts from when each was to be sent
    #[arg(long, value_parser = rate, conflicts_with = "window")]
    pub rate: Option<f64>,
    /// Seconds that a round lasts
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,
    /// Rounds [default: 1; compare 5]
    #[arg(long, value_parser = bounded(1, 100))]
    pub rounds: Option<usize>,
    /// Bytes of text in each message
    #[arg(long, default_value_t = 100, value_parser = bounded(1, TEXT_BYTES))]
    pub text_bytes: usize,
    /// Share of the datagrams that are dropped, in each direction: 0.01 is one of a hundred
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub loss: f64,
    /// Of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Measure the floor in turns with the server
    #[arg(long)]
    pub with_floor: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw throughput and latency over time
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

impl Load {
    /// What single arguments cannot tell.
    pub fn check(&self) -> Result<(), String> {
        if self.text_bytes > 900 && self.with_floor {
            return Err("a text of more than 900 bytes takes several datagrams, which the floor does not have".into());
        }
        Ok(())
    }

    /// How many sockets are used.
    pub fn sockets(&self) -> usize {
        self.sockets.unwrap_or(10_000).min(self.users)
    }

    /// The same with a window, unless there is a rate.
    pub fn with_window(&self, default: usize) -> Self {
        Self { window: self.rate.is_none().then(|| self.window.unwrap_or(default)), ..self.clone() }
    }

    /// How things are begun.
    pub fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Window(self.window.unwrap_or(1)), Pace::Rate)
    }

    /// How many rounds.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(1)
    }

    /// The same with bare frames.
    pub fn classic(&self) -> ClassicLoad {
        ClassicLoad {
            users: self.users,
            window: self.window.unwrap_or(128),
            seconds: self.seconds,
            text_bytes: self.text_bytes.max(MARK_BYTES),
            sockets: self.sockets().min(1_000),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, text_bytes, seconds, loss, .. } = self;
        write!(f, "{users} users over {} sockets, ", self.sockets())?;
        match self.rate {
            Some(rate) => write!(f, "{rate} a second")?,
            None => write!(f, "{} in progress", self.window.unwrap_or(1))?,
        }
        write!(f, ", {text_bytes} bytes of text, {seconds} s a round")?;
        if *loss > 0.0 { write!(f, ", {:.1} % of the datagrams lost", loss * 100.0) } else { Ok(()) }
    }
}

/// A load of bare frames.
pub struct ClassicLoad {
    /// Users, in pairs that write to each other
    pub users: usize,
    /// Messages in flight
    pub window: usize,
    /// Seconds that a round lasts
    pub seconds: f64,
    /// Bytes of text
    pub text_bytes: usize,
    /// Sockets
    pub sockets: usize,
}

impl fmt::Display for ClassicLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, window, seconds, text_bytes, sockets } = self;
        write!(
            f,
            "{users} users over {sockets} sockets, {window} in flight, {text_bytes} bytes of text, {seconds} s a round"
        )
    }
}

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
    #[arg(long, default_value = "load")]
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
            password: "load".into(),
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

impl Job {
    /// What is wrong with arguments that are each right.
    pub fn bad_input(&self) -> Option<String> {
        if let Self::Compare(CompareArgs { files, .. }) = self
            && !files.is_empty()
        {
            return files
                .iter()
                .find_map(|file| std::fs::metadata(file).err().map(|error| format!("{}: {error}", file.display())));
        }
        let load = match self {
            Self::Compare(CompareArgs { load, .. })
            | Self::Relay(RelayArgs { load, .. })
            | Self::SignIn(SignInArgs { load, .. })
            | Self::Presence(PresenceArgs { load, .. })
            | Self::Offline(OfflineArgs { load, .. })
            | Self::Search(SearchArgs { load, .. })
            | Self::Mix(MixArgs { load, .. })
            | Self::Floor(FloorArgs { load, .. }) => Some(load),
            Self::FloorServer(_) | Self::Prepare(_) => None,
        };
        let pairs = match self {
            Self::Compare(args) => args.to == To::Partner,
            Self::Relay(args) => args.to == To::Partner,
            Self::Floor(_) => true,
            _ => false,
        };
        let floor = matches!(self, Self::Compare(_) | Self::Relay(_) | Self::Presence(_) | Self::Floor(_));
        if let Some(load) = load {
            if pairs && load.users % 2 == 1 {
                return Some(format!("--users {} leaves one without a partner; give an even number", load.users));
            }
            if load.with_floor && !floor {
                return Some("--with-floor: only relay and presence have a floor".into());
            }
            if let Err(error) = load.check() {
                return Some(error);
            }
        }
        self.bad_paths().or_else(|| self.bad_cores())
    }

    fn target(&self) -> Option<&Target> {
        match self {
            Self::Relay(RelayArgs { target, .. })
            | Self::SignIn(SignInArgs { target, .. })
            | Self::Presence(PresenceArgs { target, .. })
            | Self::Offline(OfflineArgs { target, .. })
            | Self::Search(SearchArgs { target, .. })
            | Self::Mix(MixArgs { target, .. }) => Some(target),
            _ => None,
        }
    }

    /// What can be seen of files before anything is begun.
    fn bad_paths(&self) -> Option<String> {
        if let Self::Prepare(PrepareArgs { data, .. }) = self {
            let taken = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
            return taken.then(|| format!("{} is not empty; give a directory of its own", data.display()));
        }
        let oicqd = match self {
            Self::Compare(args) => args.oicqd.as_ref(),
            _ => self.target().and_then(|target| target.oicqd.as_ref()),
        };
        if let Some(oicqd) = oicqd
            && let Err(error) = std::fs::metadata(oicqd)
        {
            return Some(format!("{}: {error}; --oicqd takes the path of the server program", oicqd.display()));
        }
        let classic = matches!(self, Self::Relay(RelayArgs { classic: true, .. }));
        let target = self.target().filter(|target| target.server.is_some() && !classic)?;
        match (&target.data, target.first) {
            (None, None) => Some("--data is needed, the directory that `prepare` has filled; or --first".into()),
            (Some(data), _) if !data.is_dir() => Some(format!("{} is no directory", data.display())),
            _ => None,
        }
    }

    fn bad_cores(&self) -> Option<String> {
        let (servers, driver): (Vec<usize>, Vec<usize>) = match self {
            Self::Compare(args) => (vec![args.server_cpu], vec![args.cpu]),
            Self::Floor(args) => (args.server_cpu.clone(), args.cpu.into_iter().collect()),
            Self::FloorServer(args) => (args.cpu.into_iter().collect(), Vec::new()),
            _ => self.target().map_or_else(Default::default, |target| {
                let servers = if target.oicqd.is_some() { target.server_cpu.clone() } else { Vec::new() };
                (servers, target.cpu())
            }),
        };
        let allowed = crate::sys::allowed_cpus().unwrap_or_default();
        if let Some(core) = servers.iter().chain(&driver).find(|core| !allowed.contains(core)) {
            return Some(format!("core {core} is not one of those that this program may use: {allowed:?}"));
        }
        let same = servers.len() == 1 && servers == driver;
        same.then(|| {
            "--server-cpu and --cpu are the same core; the driver spins, so it needs one of its own".to_owned()
        })
    }
}

/// An echo on a public address would answer forged senders, and a load generator belongs on the own machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "an address is written like 127.0.0.1:8000".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("only loopback addresses are taken, like 127.0.0.1:8000 or [::1]:8000".into());
    }
    Ok(address)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=30.0).contains(&seconds) => Ok(seconds),
        _ => Err("a round lasts 0.1 to 30 seconds".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1.0..=5_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is 1 to 5000000 a second".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("a share is 0 to 0.5".into()),
    }
}

fn bounded(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse::<usize>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!("a whole number from {least} to {most} is needed")),
    }
}

/// What is wrong with a command line, in one line.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    format!("{}; see --help", said.join(" ").trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let all = ["oicq-load"].iter().chain(arguments);
        one_line(&Cli::try_parse_from(all).err().expect("these arguments are wrong"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_wrong_argument_is_refused_in_one_line() {
        assert_eq!(
            refusal(&["relay", "--server", "8.8.8.8:8000"]),
            "invalid value '8.8.8.8:8000' for '--server <ADDRESS:PORT>': only loopback addresses are taken, like 127.0.0.1:8000 \
             or [::1]:8000; see --help"
        );
        let text = refusal(&["floor", "--server", "127.0.0.1:1", "--users", "one"]);
        assert!(text.ends_with("a whole number from 2 to 1000000 is needed; see --help"), "{text}");
        let text = refusal(&["compare"]);
        assert!(text.contains("--oicqd <PATH>") && !text.contains('\n'), "{text}");
    }
}
