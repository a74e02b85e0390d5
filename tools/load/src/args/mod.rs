//! The command line, and the bounds within which a measurement is one.

mod load;
mod scenes;
mod values;

pub use load::{ClassicLoad, Load};
pub use scenes::{
    CompareArgs, FloorArgs, FloorServerArgs, IdleArgs, MixArgs, OfflineArgs, PrepareArgs, PresenceArgs, RelayArgs,
    SearchArgs, SignInArgs, StartArgs, Target,
};

use crate::scenes::messages::To;
use crate::{net, prepare, table};
use clap::{Parser, Subcommand};

/// Measures an OICQ server on this machine beside the floor: a bare program that passes the same datagrams on.
///
/// The driver spins on a core of its own, so what is measured is the server's CPU time, and how long its users wait. Only
/// loopback addresses are taken.
#[derive(Parser)]
#[command(name = "oicq-load", version, after_help = STATUSES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub job: Job,
}

/// What the program says by how it ends.
const STATUSES: &str = "Exit status:
  0  it was measured, and nothing was lost or doubled
  1  something was lost or doubled, or the measurement failed
  2  it was asked for wrongly: arguments, a directory without tokens, those of another server

A server that is started for a measurement has no budgets of an account. One that is started by hand (--server) needs
them lifted by its --config file: [budgets] with messages, writes, reads and file-bytes = \"unlimited\".";

/// What to do.
#[derive(Subcommand)]
pub enum Job {
    /// Measure the floor and oicqd in turns, each on the same core, and print both and their ratio
    Compare(CompareArgs),
    /// Measure messages between users who are online: what each costs, and how long it takes
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
    /// Measure what a server at rest uses: all are signed in, and only keep their sessions alive
    Idle(IdleArgs),
    /// Measure how soon a server is back after a crash and after a stop, with the sessions that it keeps
    Start(StartArgs),
    /// Measure the floor alone: what the same datagrams cost a program that does nothing with them
    Floor(FloorArgs),
    /// Be the floor: receive up to 64 datagrams in one call, send them on in one call
    FloorServer(FloorServerArgs),
    /// Write accounts with tokens and friend lists into a new data directory, for --data
    Prepare(PrepareArgs),
}

impl Job {
    /// What is wrong with arguments that are each right.
    pub fn bad_input(&self) -> Option<String> {
        if let Self::Compare(CompareArgs { files, .. }) = self
            && !files.is_empty()
        {
            return files.iter().find_map(|file| table::read(file).err());
        }
        if let Self::Start(args) = self
            && args.target.oicqd.is_none()
        {
            return Some("start ends the server and starts it again; give it with --oicqd".into());
        }
        let load = self.load();
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
        let sockets = load.and_then(|load| load.sockets).or(self.crowd_sockets());
        if let Some(error) = sockets.and_then(|sockets| net::room_for(sockets).err()) {
            return Some(error);
        }
        self.bad_paths().or_else(|| self.bad_cores())
    }

    fn load(&self) -> Option<&Load> {
        match self {
            Self::Compare(CompareArgs { load, .. })
            | Self::Relay(RelayArgs { load, .. })
            | Self::SignIn(SignInArgs { load, .. })
            | Self::Presence(PresenceArgs { load, .. })
            | Self::Offline(OfflineArgs { load, .. })
            | Self::Search(SearchArgs { load, .. })
            | Self::Mix(MixArgs { load, .. })
            | Self::Floor(FloorArgs { load, .. }) => Some(load),
            Self::Idle(_) | Self::Start(_) | Self::FloorServer(_) | Self::Prepare(_) => None,
        }
    }

    /// Sockets that were asked for where there is no load.
    fn crowd_sockets(&self) -> Option<usize> {
        match self {
            Self::Idle(IdleArgs { people, .. }) | Self::Start(StartArgs { people, .. }) => people.sockets,
            _ => None,
        }
    }

    /// How many users are to sign in.
    fn users(&self) -> Option<usize> {
        match self {
            Self::Idle(IdleArgs { people, .. }) | Self::Start(StartArgs { people, .. }) => Some(people.users),
            Self::Presence(args) => Some(args.watchers + 1),
            _ => self.load().map(|load| load.users),
        }
    }

    fn target(&self) -> Option<&Target> {
        match self {
            Self::Relay(RelayArgs { target, .. })
            | Self::SignIn(SignInArgs { target, .. })
            | Self::Presence(PresenceArgs { target, .. })
            | Self::Offline(OfflineArgs { target, .. })
            | Self::Search(SearchArgs { target, .. })
            | Self::Mix(MixArgs { target, .. })
            | Self::Idle(IdleArgs { target, .. })
            | Self::Start(StartArgs { target, .. }) => Some(target),
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
        let target = self.target().filter(|_| !classic)?;
        if let Some(pid) = target.pid.filter(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            return Some(format!("there is no process {pid}; --pid takes that of the server"));
        }
        match (&target.data, target.first) {
            (None, None) if target.server.is_some() => {
                Some("--data is needed, the directory that `prepare` has filled; or --first".into())
            }
            // What it has is read twice; a second of a million users, and no server is started for nothing.
            (Some(data), _) => prepare::read(data, self.users()?).err(),
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
        let text = refusal(&["start", "--oicqd", "x", "--users", "2000000"]);
        assert!(text.ends_with("a whole number from 2 to 1000000 is needed; see --help"), "{text}");
        let text = refusal(&["idle", "--oicqd", "x", "--seconds", "0"]);
        assert!(text.ends_with("a round lasts 0.1 to 3600 seconds; see --help"), "{text}");
        let text = refusal(&["compare"]);
        assert!(text.contains("--oicqd <PATH>") && !text.contains('\n'), "{text}");
    }

    /// What is said of arguments that can be read, but cannot be right.
    fn complaint(arguments: &[&str]) -> String {
        let all = ["oicq-load"].iter().chain(arguments);
        let cli = Cli::try_parse_from(all).expect("each of these arguments can be read");
        cli.job.bad_input().expect("these arguments are wrong")
    }

    #[test]
    fn what_cannot_be_right_is_found_before_anything_is_begun() {
        let scratch = crate::child::Scratch::new().expect("a directory");
        let (here, missing) = (scratch.path().display().to_string(), scratch.path().join("none").display().to_string());
        let server = ["--server", "127.0.0.1:1"];
        let with = |more: &[&str]| complaint(&[&["relay"], &server[..], more].concat());
        assert!(with(&[]).contains("--data is needed"));
        assert!(with(&["--data", &here]).contains("`oicq-load prepare` writes it"));
        assert!(with(&["--data", &missing]).contains("`oicq-load prepare` writes it"));
        assert!(with(&["--first", "10000", "--users", "3"]).contains("give an even number"));
        assert!(with(&["--first", "10000", "--pid", "4294967295"]).contains("--pid takes that of the server"));
        std::fs::write(scratch.path().join("load-tokens"), "10000 aaaa\n10002 bbbb\n").expect("written");
        assert!(with(&["--data", &here, "--users", "2"]).contains("do not follow each other"));
        assert!(complaint(&["start", "--server", "127.0.0.1:1", "--first", "10000"]).contains("with --oicqd"));
        assert!(complaint(&["compare", &missing, &here]).contains("No such file"));
        let text = complaint(&["idle", "--oicqd", &missing]);
        assert!(text.contains("--oicqd takes the path of the server program"), "{text}");
    }

    #[test]
    fn the_help_says_how_it_ends() {
        let text = <Cli as clap::CommandFactory>::command().render_help().to_string();
        assert!(text.contains("Exit status:") && text.contains("was lost or doubled"), "{text}");
    }
}
