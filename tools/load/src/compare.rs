//! The comparison: the floor and the server in turns, on the same core, with the same driver, so that what disturbs the
//! machine disturbs both.

use crate::args::CompareArgs;
use crate::child::{Running, Scratch, free_address};
use crate::fleet::{Fleet, Source};
use crate::round::{Loop, Tally, Way};
use crate::sys;
use std::ffi::OsStr;
use std::time::Duration;

/// Each round begins with so much that does not count: caches and queues fill.
const WARM_UP: Duration = Duration::from_millis(200);
const PASSWORD: &str = "load";

/// Runs all rounds and prints them.
pub fn run(args: &CompareArgs) -> Result<(), String> {
    let program = std::fs::canonicalize(&args.oicqd)
        .map_err(|error| format!("{}: {error}; --oicqd takes the path of the server program", args.oicqd.display()))?;
    let own = std::env::current_exe().map_err(|error| format!("the path of this program is unknown: {error}"))?;
    let scratch = Scratch::new()?;
    let (floor_at, server_at) = (free_address()?, free_address()?);
    let (floor_text, server_text) = (floor_at.to_string(), server_at.to_string());
    let data = scratch.path().join("data");

    let arguments = ["floor-server", "--listen", &floor_text].map(OsStr::new);
    let mut floor = Running::start("floor", &own, &arguments, args.server_cpu, &scratch)?;
    let mut arguments = ["--listen", &server_text, "--shards", "1", "--data"].map(OsStr::new).to_vec();
    arguments.push(data.as_os_str());
    let mut server = Running::start("oicqd", &program, &arguments, args.server_cpu, &scratch)?;
    sys::pin_to(args.cpu).map_err(|error| format!("core {} cannot be used: {error}", args.cpu))?;

    let load = &args.load;
    let imagined = Fleet::gather(floor_at, load.users, load.sockets, load.text_bytes, &Source::Imagined)?;
    let signed_in = Fleet::gather(server_at, load.users, load.sockets, load.text_bytes, &Source::Register(PASSWORD))
        .map_err(|error| server.explain(error))?;
    let strays: Vec<_> = server.cores().into_iter().filter(|cores| *cores != args.server_cpu.to_string()).collect();
    if !strays.is_empty() {
        return Err(format!(
            "oicqd runs on cores {}, not on core {} alone: the rounds would not compare like with like",
            strays.join(" and "),
            args.server_cpu
        ));
    }

    let mut echo = Loop::new(&imagined, Way::Echo, load.window, Some(floor.pid()));
    let mut relay = Loop::new(&signed_in, Way::Relay, load.window, Some(server.pid()));
    println!("{load}, server on core {}, driver on core {}", args.server_cpu, args.cpu);
    println!("CPU of the server in µs a message; in brackets: messages/s, share of its core, lost, doubled");
    println!("{:>6}  {:<46}  {:<46}  {:>6}", "round", "floor", "oicqd", "ratio");
    let mut rows = Vec::new();
    for round in 1..=args.rounds {
        let one = measure(&mut echo, load.seconds).map_err(|error| floor.explain(error))?;
        signed_in.keep_alive()?;
        let two = measure(&mut relay, load.seconds).map_err(|error| server.explain(error))?;
        let micros = one.cpu_micros().zip(two.cpu_micros()).ok_or("a round passed without a message")?;
        println!("{round:>6}  {:<46}  {:<46}  {:>6.2}", cell(&one), cell(&two), micros.1 / micros.0);
        rows.push((one, two, micros));
    }
    print_medians(&rows.iter().map(|row| row.2).collect::<Vec<_>>());
    let (lost, doubled) = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.1.lost, sum.1 + row.1.doubled));
    println!("oicqd in all: {lost} lost, {doubled} doubled");
    Ok(())
}

fn measure(rounds: &mut Loop<'_>, seconds: f64) -> Result<Tally, String> {
    rounds.run(WARM_UP)?;
    rounds.run(Duration::from_secs_f64(seconds))
}

fn cell(tally: &Tally) -> String {
    let micros = tally.cpu_micros().unwrap_or_default();
    let busy = tally.busy().unwrap_or_default() * 100.0;
    format!("{micros:6.3} ({:>7.0}/s, {busy:3.0} %, {}, {})", tally.rate(), tally.lost, tally.doubled)
}

fn print_medians(micros: &[(f64, f64)]) {
    let floor = median(micros.iter().map(|pair| pair.0));
    let server = median(micros.iter().map(|pair| pair.1));
    let ratio = median(micros.iter().map(|pair| pair.1 / pair.0));
    println!("{:>6}  {floor:<46.3}  {server:<46.3}  {ratio:>6.2}", "median");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
