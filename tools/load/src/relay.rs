//! `relay`, `floor` and `compare`: messages between users who are online, and the same datagrams without a server's work.

use crate::args::{Load, RelayArgs};
use crate::carrier::{Carrier, Linked};
use crate::child::{Running, resident};
use crate::clock::Clock;
use crate::drive::{Drive, Pace, Tally};
use crate::floor::Bare;
use crate::net::Net;
use crate::progress::Bar;
use crate::report;
use crate::stats::median;
use crate::sys;
use crate::target::{Floor, Server, sign_in};
use std::net::SocketAddr;
use std::time::Duration;

/// Each round begins with so much that does not count: caches and queues fill.
const WARM_UP: Duration = Duration::from_millis(300);
/// A round in which other programs had the cores for a larger share than this is no measurement: batches are smaller
/// then, on both sides, and the two costs come closer to each other.
const DISTURBED: f64 = 0.05;

/// Runs `relay` over the link.
pub fn run(args: &RelayArgs) -> Result<(), String> {
    let (target, load) = (&args.target, &args.load);
    let clock = Clock::start();
    let mut server = Server::get(target, load, 0)?;
    let mut floor = load.with_floor.then(|| Floor::start(&target.server_cpu)).transpose()?;
    sys::pin_to(&target.cpu()).map_err(|error| format!("core {:?} cannot be used: {error}", target.cpu()))?;
    let mut crowd = server.crowd(load, clock)?;
    let before = server.pid.and_then(resident);
    let users = load.users as u32;
    let took = sign_in(&mut crowd, clock, 0, users).map_err(|error| server.explain(error))?;
    server.check_cores(&target.server_cpu)?;
    let after = server.pid.and_then(resident);
    let bare = floor.as_ref().map(|floor| Bare::new(crowd.net().share(floor.at), load.users, load.text_bytes));
    let mut bare = bare.transpose()?;

    println!("{load}; {} users signed in in {:.1} s", load.users, took.as_secs_f64());
    if let Some((before, after)) = before.zip(after) {
        let each = after.saturating_sub(before) as f64 / load.users as f64;
        println!("resident: {:.1} MiB, {each:.0} bytes more for each session", after as f64 / 1_048_576.0);
    }
    crowd.lose(load.loss, load.seed);
    let mut linked = Linked { crowd: &mut crowd, text: "x".repeat(load.text_bytes) };
    let mut link = Drive::new(&mut linked, clock, users, load.pace(), args.to);
    link.pid = server.pid;
    let mut echo = bare.as_mut().map(|bare| Drive::new(bare, clock, users, load.pace(), args.to));
    if let Some(echo) = &mut echo {
        echo.bare = true;
        echo.pid = floor.as_ref().map(|floor| floor.running.pid());
    }
    report::head();
    let mut rows: Vec<(Option<Tally>, Tally)> = Vec::new();
    for round in 1..=load.rounds {
        let beside = match (&mut echo, &mut floor) {
            (Some(echo), Some(floor)) => Some(measure(echo, load, Some(&mut floor.running))?),
            _ => None,
        };
        if let Some(tally) = &beside {
            report::row(round, "floor", tally, None);
        }
        let tally = measure(&mut link, load, server.running.as_mut())?;
        report::row(round, "oicqd", &tally, beside.as_ref());
        rows.push((beside, tally));
    }
    conclude(&rows);
    Ok(())
}

/// Runs `floor`: alone, against a floor-server that is started here or runs already.
pub fn floor(server: Option<SocketAddr>, pid: Option<u32>, server_cpu: &[usize], load: &Load) -> Result<(), String> {
    let mut started = match server {
        None => Some(Floor::start(server_cpu)?),
        Some(_) => None,
    };
    let at = server.or(started.as_ref().map(|floor| floor.at)).ok_or("there is no floor")?;
    let net = Net::connect(at, load.sockets())?;
    let mut bare = Bare::new(net, load.users, load.text_bytes)?;
    let mut drive = Drive::new(&mut bare, Clock::start(), load.users as u32, load.pace(), crate::drive::To::Partner);
    drive.bare = true;
    drive.pid = started.as_ref().map(|floor| floor.running.pid()).or(pid);
    println!("{load}");
    report::head();
    for round in 1..=load.rounds {
        let tally = measure(&mut drive, load, started.as_mut().map(|floor| &mut floor.running))?;
        report::row(round, "floor", &tally, None);
    }
    Ok(())
}

fn measure<C: Carrier>(drive: &mut Drive<'_, C>, load: &Load, running: Option<&mut Running>) -> Result<Tally, String> {
    let bar = Bar::new("messages arrived", 0);
    let tally = drive
        .run(WARM_UP, &mut |_| {})
        .and_then(|_| drive.run(Duration::from_secs_f64(load.seconds), &mut |done| bar.at(done, 0)));
    match running {
        Some(running) => tally.map_err(|error| running.explain(error)),
        None => tally,
    }
}

fn conclude(rows: &[(Option<Tally>, Tally)]) {
    let micros = |tally: &Tally| tally.micros().map_or(f64::NAN, |micros| micros[0]);
    let ratios: Vec<f64> =
        rows.iter().filter_map(|(floor, link)| Some(micros(link) / micros(floor.as_ref()?))).collect();
    if !ratios.is_empty() {
        let floor = median(rows.iter().filter_map(|(floor, _)| floor.as_ref()).map(micros));
        let link = median(rows.iter().map(|(_, link)| micros(link)));
        println!("median: floor {floor:.3} µs, oicqd {link:.3} µs, ratio {:.2}", median(ratios.into_iter()));
    }
    let (lost, doubled) = rows.iter().fold((0, 0), |sum, (_, row)| (sum.0 + row.lost, sum.1 + row.doubled));
    println!("oicqd in all: {lost} lost, {doubled} doubled");
    let turns = rows.iter().flat_map(|(floor, link)| floor.iter().chain([link]));
    let disturbed = turns.clone().filter(|tally| tally.disturbance() > DISTURBED).count();
    if disturbed > 0 {
        println!(
            "{disturbed} of {} turns were disturbed: other programs had these cores for more than {:.0} % of the time. Do \
             not trust these figures; measure again on a quiet machine",
            turns.count(),
            DISTURBED * 100.0
        );
    }
}

impl Load {
    /// How messages are sent.
    pub fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Window(self.window), Pace::Rate)
    }
}
