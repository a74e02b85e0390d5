//! `oicq-load`: measures an OICQ server beside the floor of the machine that it runs on.
#![allow(dead_code, reason = "scenarios that come next use it")]
#![allow(clippy::disallowed_methods, reason = "a program that measures needs the clock")]

mod args;
mod carrier;
mod child;
mod classic;
mod clock;
mod crowd;
mod drive;
mod flights;
mod floor;
mod net;
mod prepare;
mod progress;
mod relay;
mod report;
mod stats;
mod sys;
mod target;
mod wheel;

use args::{Cli, Job};
use clap::Parser;
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
            ExitCode::FAILURE
        }
    }
}

fn run(job: &Job) -> Result<(), String> {
    match job {
        Job::Compare(args) if args.classic => classic::compare(args),
        Job::Compare(args) => relay::run(&args.relay()),
        Job::Relay(args) if args.classic => match args.target.server {
            Some(server) => {
                pin(&args.target.cpu())?;
                classic::relay(server, args)
            }
            None => Err("--classic needs --server; `compare --classic` starts one".into()),
        },
        Job::Relay(args) => relay::run(args),
        Job::Floor(args) => {
            pin(&args.cpu.into_iter().collect::<Vec<_>>())?;
            match (args.classic, args.server) {
                (true, Some(server)) => classic::echo(server, args.pid, &args.load.classic()),
                (true, None) => Err("--classic needs --server; `compare --classic` starts one".into()),
                (false, server) => relay::floor(server, args.pid, &args.server_cpu, &args.load),
            }
        }
        Job::FloorServer(args) => {
            pin(&args.cpu.into_iter().collect::<Vec<_>>())?;
            floor::serve(args.listen)
        }
        Job::Prepare(args) => {
            let plan = prepare::Plan {
                users: args.users,
                friends: args.friends,
                watchers: args.watchers.min(args.users - 1),
                seed: args.seed,
            };
            let bar = progress::Bar::new("steps", 0);
            let made = prepare::write(&args.data, plan, &mut |done, total| bar.at(done, total))?;
            drop(bar);
            println!("{} accounts from {} on in {}", args.users, made.first, args.data.display());
            Ok(())
        }
    }
}

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
