//! Runs seeds of the simulation (`src/sim`) and prints those that fail.
#![allow(clippy::disallowed_methods, reason = "it tells how many seeds a second it runs")]

use clap::Parser;
use oicq::sim::{SCENARIOS, Scenario, run};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

#[derive(Parser)]
#[command(about = "Runs a whole server and its users under a virtual clock, a seed at a time")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Which scenario, or `all`.
    #[arg(long, default_value = "random")]
    scenario: String,
    /// Threads; by default one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// Stops after so many failures.
    #[arg(long, default_value_t = 20)]
    failures: u64,
    /// Prints the backtrace of each failure.
    #[arg(long)]
    loud: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chosen: Vec<(&str, Scenario)> =
        SCENARIOS.into_iter().filter(|(name, _)| args.scenario == "all" || args.scenario == *name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no scenario {:?}; there are: all, {}", args.scenario, names.join(", "));
        return ExitCode::FAILURE;
    }
    if !args.loud {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let began = Instant::now();
    let (next, done, failed, virtual_ms) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let runs = args.seeds * chosen.len() as u64;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Relaxed)
                    && at < runs
                    && failed.load(Relaxed) < args.failures
                {
                    let (name, scenario) = chosen[(at % chosen.len() as u64) as usize];
                    let seed = args.from + at / chosen.len() as u64;
                    match run(scenario, seed) {
                        Ok(outcome) => drop(virtual_ms.fetch_add(outcome.ms, Relaxed)),
                        Err(what) => {
                            failed.fetch_add(1, Relaxed);
                            println!("seed {seed} of {name}: {what}");
                        }
                    }
                    let done = done.fetch_add(1, Relaxed) + 1;
                    if done.is_multiple_of(500) {
                        let rate = done as f64 / began.elapsed().as_secs_f64();
                        println!("{done} of {runs} seeds, {} failed, {rate:.1} a second", failed.load(Relaxed));
                    }
                }
            });
        }
    });
    let (done, failed, seconds) = (done.load(Relaxed), failed.load(Relaxed), began.elapsed().as_secs_f64());
    let hours = virtual_ms.load(Relaxed) as f64 / 3_600_000.0;
    println!(
        "{done} seeds from {} in {seconds:.1} s ({:.1} a second, {hours:.1} hours of virtual time): {failed} failed",
        args.from,
        done as f64 / seconds
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
