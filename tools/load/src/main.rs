//! `oicq-load`: measures an OICQ server beside the floor of the machine that it runs on.
#![allow(clippy::disallowed_methods, reason = "a program that measures needs the clock")]

mod args;
mod child;
mod compare;
mod fleet;
mod floor;
mod round;
mod sys;

use args::{Cli, Job, Load};
use clap::Parser;
use fleet::{Fleet, Source};
use round::{Loop, Way};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return refuse(&args::one_line(&error)),
    };
    if let Some(error) = bad_input(&cli.job) {
        return refuse(&error);
    }
    sys::catch_interrupts();
    let done = match &cli.job {
        Job::Compare(args) => compare::run(args),
        Job::FloorServer(args) => floor::run(args.listen, args.cpu),
        Job::Echo(args) => one_round(args.server, args.pid, args.cpu, &args.load, Way::Echo, &Source::Imagined),
        Job::Relay(args) => {
            let source = match args.first {
                Some(first) => Source::Existing(first, &args.password),
                None => Source::Register(&args.password),
            };
            one_round(args.server, args.pid, args.cpu, &args.load, Way::Relay, &source)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oicq-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("oicq-load: {error}");
    ExitCode::from(2)
}

/// What is wrong with arguments that are each right.
fn bad_input(job: &Job) -> Option<String> {
    let (load, cores) = match job {
        Job::Compare(args) => (Some(&args.load), vec![args.server_cpu, args.cpu]),
        Job::Relay(args) => (Some(&args.load), args.cpu.into_iter().collect()),
        Job::Echo(args) => (Some(&args.load), args.cpu.into_iter().collect()),
        Job::FloorServer(args) => (None, args.cpu.into_iter().collect()),
    };
    let allowed = sys::allowed_cpus().unwrap_or_default();
    if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
        return Some(format!("core {core} is not one of those that this program may use: {allowed:?}"));
    }
    if let [server, driver] = cores[..]
        && server == driver
    {
        return Some("--server-cpu and --cpu are the same core; the driver spins, so it needs one of its own".into());
    }
    load.and_then(|load| load.check().err())
}

fn one_round(
    server: SocketAddr,
    pid: Option<u32>,
    cpu: Option<usize>,
    load: &Load,
    way: Way,
    source: &Source<'_>,
) -> Result<(), String> {
    if let Some(cpu) = cpu {
        sys::pin_to(cpu).map_err(|error| format!("core {cpu} cannot be used: {error}"))?;
    }
    let fleet = Fleet::gather(server, load.users, load.sockets, load.text_bytes, source)?;
    let tally = Loop::new(&fleet, way, load.window, pid).run(Duration::from_secs_f64(load.seconds))?;
    println!("{load}");
    println!("{} delivered, {:.0}/s, {} lost, {} doubled", tally.delivered, tally.rate(), tally.lost, tally.doubled);
    if let (Some(micros), Some(busy)) = (tally.cpu_micros(), tally.busy()) {
        println!("server: {micros:.3} µs of CPU a message, {:.0} % of a core", busy * 100.0);
    }
    Ok(())
}
