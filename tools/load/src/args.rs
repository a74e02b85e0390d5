//! The command line, and the bounds within which a measurement is one.

use crate::round::MARK_BYTES;
use clap::{Args, Parser, Subcommand};
use oicq::limits::{FIRST_USER, LAST_USER, TEXT_BYTES};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Measures an OICQ server on this machine beside the floor: a bare echo of the same datagrams.
///
/// A few users write to each other in pairs, with a fixed number of messages in flight. The driver spins on a core of
/// its own, so what is measured is the server's CPU time a message. Only loopback addresses are taken.
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
    /// Start the floor and oicqd on one core, measure them in turns, and print both and their ratio
    Compare(CompareArgs),
    /// Measure a running server: registers users, signs them in, lets them write to each other
    Relay(RelayArgs),
    /// Measure a running floor-server with the datagrams that `relay` sends
    Echo(EchoArgs),
    /// Be the floor: receive up to 64 datagrams in one call, send them back in one call
    FloorServer(FloorArgs),
}

/// The load itself.
#[derive(Args)]
pub struct Load {
    /// Users, in pairs that write to each other
    #[arg(long, default_value_t = 64, value_parser = bounded(2, 100_000))]
    pub users: usize,
    /// Messages in flight, all users together
    #[arg(long, default_value_t = 128, value_parser = bounded(1, 65_536))]
    pub window: usize,
    /// Seconds that a round lasts
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// Bytes of text in each message
    #[arg(long, default_value_t = 100, value_parser = bounded(MARK_BYTES, TEXT_BYTES))]
    pub text_bytes: usize,
    /// Sockets that the users share
    #[arg(long, default_value_t = 8, value_parser = bounded(1, 1_000))]
    pub sockets: usize,
}

impl Load {
    /// What single arguments cannot tell.
    pub fn check(&self) -> Result<(), String> {
        if self.users % 2 == 1 {
            return Err(format!("--users {} leaves one without a partner; give an even number", self.users));
        }
        Ok(())
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, window, seconds, text_bytes, sockets } = self;
        write!(
            f,
            "{users} users over {sockets} sockets, {window} in flight, {text_bytes} bytes of text, {seconds} s a round"
        )
    }
}

/// `compare`.
#[derive(Args)]
pub struct CompareArgs {
    /// The server program
    #[arg(long, value_name = "PATH")]
    pub oicqd: PathBuf,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Rounds of each server
    #[arg(long, default_value_t = 5, value_parser = bounded(1, 100))]
    pub rounds: usize,
    /// Core of both servers
    #[arg(long, default_value_t = 0)]
    pub server_cpu: usize,
    /// Core of the driver
    #[arg(long, default_value_t = 1)]
    pub cpu: usize,
}

/// `relay`.
#[derive(Args)]
pub struct RelayArgs {
    /// The server's address
    #[arg(long, value_parser = loopback)]
    pub server: SocketAddr,
    /// Its process, for its CPU time
    #[arg(long)]
    pub pid: Option<u32>,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Core of the driver
    #[arg(long)]
    pub cpu: Option<usize>,
    /// Use existing users from this number on instead of registering new ones
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(i64::from(FIRST_USER)..=i64::from(LAST_USER)))]
    pub first: Option<u32>,
    /// Password of all these users. They are made for measuring: give them one that is used nowhere else
    #[arg(long, default_value = "load")]
    pub password: String,
}

/// `echo`.
#[derive(Args)]
pub struct EchoArgs {
    /// The floor-server's address
    #[arg(long, value_parser = loopback)]
    pub server: SocketAddr,
    /// Its process, for its CPU time
    #[arg(long)]
    pub pid: Option<u32>,
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Core of the driver
    #[arg(long)]
    pub cpu: Option<usize>,
}

/// `floor-server`.
#[derive(Args)]
pub struct FloorArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = loopback)]
    pub listen: SocketAddr,
    /// Its core
    #[arg(long)]
    pub cpu: Option<usize>,
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
            "invalid value '8.8.8.8:8000' for '--server <SERVER>': only loopback addresses are taken, like 127.0.0.1:8000 \
             or [::1]:8000; see --help"
        );
        let text = refusal(&["echo", "--server", "127.0.0.1:1", "--users", "one"]);
        assert!(text.ends_with("a whole number from 2 to 100000 is needed; see --help"), "{text}");
        let text = refusal(&["compare"]);
        assert!(text.contains("--oicqd <PATH>") && !text.contains('\n'), "{text}");
    }
}
