//! `oicq-load`: measures an OICQ server beside the floor of the machine that it runs on.
//!
//! The same datagrams cost different amounts on different machines, and on the same one from minute to minute. So a figure
//! is worth something only beside the floor: a bare program that receives and sends the same number of datagrams of the
//! same sizes, without looking into them, on the same core, driven by the same driver, in turns with the server.
//!
//! ```sh
//! cargo build --release --workspace
//! cd target/release
//! ./oicq-load compare --oicqd ./oicqd                                      # five rounds of each, and their ratio
//! ./oicq-load compare --oicqd ./oicqd --users 15000 --sockets 15000
//! ./oicq-load relay --oicqd ./oicqd --with-floor --rate 50000 --plot relay.svg   # how long messages take
//! ./oicq-load sign-in --oicqd ./oicqd
//! ./oicq-load presence --oicqd ./oicqd --watchers 1000 --with-floor
//! ./oicq-load offline --oicqd ./oicqd                                      # receipt 1, then delivery
//! ./oicq-load mix --oicqd ./oicqd --rate 10000 --loss 0.01
//! ./oicq-load prepare --data big --users 1000000                           # many accounts take minutes: keep them
//! ./oicq-load relay --oicqd ./oicqd --data big --users 1000000 --sockets 10000 --to anyone --rate 20000
//! ./oicq-load idle --oicqd ./oicqd --data big --users 100000               # what a server at rest uses
//! ./oicq-load start --oicqd ./oicqd --data big --users 100000              # how soon it is back, with its sessions
//! ./oicq-load search --oicqd ./oicqd --data big --users 1000 --beside 10000
//! ./oicq-load relay --oicqd ./oicqd --json > a.json                        # then: oicq-load compare a.json b.json
//! ```
//!
//! What it does and does not do:
//! - With `--oicqd` the server is started on `--server-cpu` (0) with accounts that are made for it in a directory for
//!   temporary files, and ends with the measurement; with `--data` it is started on a directory that `prepare` has filled.
//!   With `--server` and `--pid` one is measured that runs already. Only loopback addresses are taken.
//! - Each user is a client of its own: a handshake, a token, acks, retransmissions, keep-alives. Messages are followed by
//!   their ids: lost and doubled must be 0, and if they are not, the exit status is 1. Wrong use is 2.
//! - A message is four datagrams: in and out, 0x41 and receipt 2. Where a user has nothing else to send within 10 ms, an ack
//!   follows on its own (protocol.md 2.4), and `datagrams` shows it. The floor does not have it: that is part of `÷ floor`.
//!   So `relay` lets the floor have a turn of its own with as many acks as the server had beyond those four datagrams, and
//!   `÷ acks` is beside that. With `--talk 10` partners answer each other at once ten times, and acks ride along.
//! - A closed loop (`--window`) shows what the server can do; an open one (`--rate`) how long people wait, counted from the
//!   moment at which each thing was to begin, so that a server which stands still does not hide it.
//! - The driver spins on a core of its own, and says so where it was too slow itself. `other` is the share of the time for which something else had one of the two
//!   cores: above five hundredths the turn is not worth much, and that is said.
//! - CPU is the server's own, of all its threads, from its clock in the kernel; how it divides into own code and kernel is
//!   the kernel's estimate.
#![allow(clippy::disallowed_methods, reason = "a program that measures needs the clock")]

mod args;
mod carrier;
mod child;
mod classic;
mod clock;
mod crowd;
mod failure;
mod flights;
mod floor;
mod net;
mod play;
mod plot;
mod prepare;
mod progress;
mod report;
mod scenarios;
mod scenes;
mod stage;
mod stats;
mod sys;
mod table;
mod target;
mod wheel;

use args::{Cli, Job};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return refuse(&args::one_line(&error)),
    };
    if let Some(error) = cli.job.bad_input() {
        return refuse(&error);
    }
    sys::catch_interrupts();
    match run(&cli.job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oicq-load: {error}");
            ExitCode::from(error.status())
        }
    }
}

fn run(job: &Job) -> Result<(), Failure> {
    match job {
        Job::Compare(args) => match &args.files[..] {
            [first, second] => Ok(table::print(first, second)?),
            _ if args.classic => Ok(classic::compare(args)?),
            _ => scenarios::relay(&args.relay()),
        },
        Job::Relay(args) if args.classic => match args.target.server {
            Some(server) => {
                pin(&args.target.cpu())?;
                Ok(classic::relay(server, args)?)
            }
            None => Err(Failure::Use("--classic needs --server; `compare --classic` starts one".into())),
        },
        Job::Relay(args) => scenarios::relay(args),
        Job::SignIn(args) => scenarios::sign_in(args),
        Job::Presence(args) => scenarios::presence(args),
        Job::Offline(args) => scenarios::offline(args),
        Job::Search(args) => scenarios::search(args),
        Job::Mix(args) => scenarios::mix(args),
        Job::Idle(args) => scenarios::idle(args),
        Job::Start(args) => scenarios::start(args),
        Job::Floor(args) => {
            pin(&args.cpu.into_iter().collect::<Vec<_>>())?;
            match (args.classic, args.server) {
                (true, Some(server)) => Ok(classic::echo(server, args.pid, &args.load.classic())?),
                (true, None) => Err(Failure::Use("--classic needs --server; `compare --classic` starts one".into())),
                (false, _) => scenarios::floor(args),
            }
        }
        Job::FloorServer(args) => {
            pin(&args.cpu.into_iter().collect::<Vec<_>>())?;
            Ok(floor::serve(args.listen)?)
        }
        Job::Prepare(args) => {
            let plan = prepare::Plan {
                users: args.users,
                friends: args.friends,
                watchers: args.watchers.min(args.users - 1),
                seed: args.seed,
            };
            let bar = progress::Bar::new("steps", 2 * args.users as u64);
            let made = prepare::write(&args.data, plan, &mut |done| bar.at(done))?;
            drop(bar);
            println!("{} accounts from {} on in {}", args.users, made.first, args.data.display());
            Ok(())
        }
    }
}

/// Keeps the calling thread to these cores, if any are named.
fn pin(cpus: &[usize]) -> Result<(), String> {
    if cpus.is_empty() {
        return Ok(());
    }
    sys::pin_to(cpus).map_err(|error| format!("core {cpus:?} cannot be used: {error}"))
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("oicq-load: {error}");
    ExitCode::from(2)
}
