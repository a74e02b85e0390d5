//! The comparison: the floor and the server in turns, on the same core, with the same driver, so that what disturbs the
//! machine disturbs both.

use super::fleet::{Fleet, Source};
use super::round::{Loop, Tally, Way};
use crate::args::CompareArgs;
use crate::child::{Running, Scratch, free_address, lift_budgets};
use crate::stats::median;
use crate::sys;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::time::Duration;

/// Each round begins with so much that does not count: caches and queues fill.
const WARM_UP: Duration = Duration::from_millis(200);
const PASSWORD: &str = "loadtest";
/// A round in which other programs had the cores for a larger share than this is no measurement: batches are smaller
/// then, on both sides, and the two costs come closer to each other.
const DISTURBED: f64 = 0.05;

/// Both servers, ready. The directory comes last: it goes when nobody writes into it any more.
struct Both {
    floor: Running,
    floor_at: SocketAddr,
    server: Running,
    server_at: SocketAddr,
    _scratch: Scratch,
}

/// The costs of one round: a turn of each.
struct Row {
    floor: Tally,
    server: Tally,
    /// Microseconds a message, of the floor and of the server.
    micros: (f64, f64),
}

/// Runs all rounds and prints them.
pub fn run(args: &CompareArgs) -> Result<(), String> {
    let mut both = start(args)?;
    sys::pin_to(&[args.cpu]).map_err(|error| format!("core {} cannot be used: {error}", args.cpu))?;
    let load = &args.load.classic();
    let gather = |at, source| Fleet::gather(at, load.users, load.sockets, load.text_bytes, source);
    let imagined = gather(both.floor_at, &Source::Imagined)?;
    let signed_in = gather(both.server_at, &Source::Register(PASSWORD)).map_err(|error| both.server.explain(error))?;
    let core = args.server_cpu.to_string();
    if let Some(cores) = both.server.cores().into_iter().find(|cores| *cores != core) {
        return Err(format!(
            "oicqd runs on core {cores}, not on core {core} alone: this would not compare like with like"
        ));
    }

    println!("{load}, servers on core {core}, driver on core {}", args.cpu);
    println!(
        "CPU of the server in µs a message; in brackets: messages/s, share of its core, lost, doubled, disturbance"
    );
    println!("{:>6}  {:<48}  {:<48}  {:>6}", "round", "floor", "oicqd", "ratio");
    let mut echo = Loop::new(&imagined, Way::Echo, load.window, Some(both.floor.pid()));
    let mut relay = Loop::new(&signed_in, Way::Relay, load.window, Some(both.server.pid()));
    let mut rows = Vec::new();
    for round in 1..=args.rounds() {
        let floor = measure(&mut echo, load.seconds).map_err(|error| both.floor.explain(error))?;
        signed_in.keep_alive()?;
        let server = measure(&mut relay, load.seconds).map_err(|error| both.server.explain(error))?;
        let micros = floor.cpu_micros().zip(server.cpu_micros()).ok_or("a turn passed without a message")?;
        println!("{round:>6}  {:<48}  {:<48}  {:>6.2}", cell(&floor), cell(&server), micros.1 / micros.0);
        rows.push(Row { floor, server, micros });
    }
    conclude(&rows);
    Ok(())
}

fn start(args: &CompareArgs) -> Result<Both, String> {
    let oicqd = args.oicqd.as_ref().ok_or("--oicqd is needed")?;
    let program = std::fs::canonicalize(oicqd)
        .map_err(|error| format!("{}: {error}; --oicqd takes the path of the server program", oicqd.display()))?;
    let own = std::env::current_exe().map_err(|error| format!("the path of this program is unknown: {error}"))?;
    let scratch = Scratch::new()?;
    let (floor_at, server_at) = (free_address()?, free_address()?);
    let (floor_text, server_text) = (floor_at.to_string(), server_at.to_string());
    let arguments = ["floor-server", "--listen", &floor_text].map(OsStr::new);
    let floor = Running::start("floor", &own, &arguments, &[args.server_cpu], &scratch)?;
    let data = scratch.path().join("data");
    let mut arguments = ["--listen", &server_text, "--shards", "1", "--data"].map(OsStr::new).to_vec();
    arguments.push(data.as_os_str());
    let lifted = lift_budgets(&program, &scratch)?;
    arguments.extend(lifted.iter().map(OsString::as_os_str));
    let server = Running::start("oicqd", &program, &arguments, &[args.server_cpu], &scratch)?;
    Ok(Both { floor, floor_at, server, server_at, _scratch: scratch })
}

fn measure(rounds: &mut Loop<'_>, seconds: f64) -> Result<Tally, String> {
    rounds.run(WARM_UP)?;
    rounds.run(Duration::from_secs_f64(seconds))
}

fn cell(tally: &Tally) -> String {
    let micros = tally.cpu_micros().unwrap_or_default();
    let busy = tally.busy().unwrap_or_default() * 100.0;
    let disturbance = tally.disturbance() * 100.0;
    format!(
        "{micros:6.3} ({:>7.0}/s, {busy:3.0} %, {}, {}, {disturbance:.1} %)",
        tally.rate(),
        tally.lost,
        tally.doubled
    )
}

fn conclude(rows: &[Row]) {
    let floor = median(rows.iter().map(|row| row.micros.0));
    let server = median(rows.iter().map(|row| row.micros.1));
    let ratio = median(rows.iter().map(|row| row.micros.1 / row.micros.0));
    println!("{:>6}  {floor:>6.3}{:<42}  {server:>6.3}{:<42}  {ratio:>6.2}", "median", "", "");
    let (lost, doubled) = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.server.lost, sum.1 + row.server.doubled));
    println!("oicqd in all: {lost} lost, {doubled} doubled");
    let turns = rows.iter().flat_map(|row| [row.floor, row.server]);
    let disturbed = turns.filter(|tally| tally.disturbance() > DISTURBED).count();
    if disturbed > 0 {
        println!(
            "{disturbed} of {} turns were disturbed: other programs had these cores for more than {:.0} % of the time. Do \
             not trust these figures; measure again on a quiet machine",
            2 * rows.len(),
            DISTURBED * 100.0
        );
    }
}
