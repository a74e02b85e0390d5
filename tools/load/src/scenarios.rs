//! The commands that measure: which scene is played on which stage, and for whom.

use crate::args::{
    FloorArgs, IdleArgs, Load, MixArgs, OfflineArgs, PresenceArgs, RelayArgs, SearchArgs, SignInArgs, StartArgs,
};
use crate::failure::Failure;
use crate::flights::Done;
use crate::play::Pace;
use crate::report::Turn;
use crate::scenes::drain::Drain;
use crate::scenes::idle::Idle;
use crate::scenes::messages::{Messages, To};
use crate::scenes::presence::Presence;
use crate::scenes::search::Search;
use crate::scenes::sign_ins::SignIns;
use crate::scenes::workday::Workday;
use crate::stage::{Stage, floor_alone};
use crate::stats::median;
use crate::target::{End, leave};
use std::time::Duration;

/// Signing in begins within it, and goes on by itself.
const BRIEF: Duration = Duration::from_millis(50);

/// Messages between users who are online.
pub fn relay(args: &RelayArgs) -> Result<(), Failure> {
    let load = args.load.with_window(64);
    let (users, pace, seed) = (load.users as u32, load.pace(), load.seed);
    let mut stage = Stage::set("relay", &args.target, &load, 0)?;
    stage.acks = true;
    stage.sign_in(users)?;
    let talk = if args.to == To::Partner { args.talk } else { 1 };
    let mut scene = Messages::between(users, args.to, pace, seed);
    let mut bare = Messages::bare(users, args.to, pace, seed);
    (scene.talk, bare.talk) = (talk, talk);
    stage.rounds(&mut scene, Some(&mut bare))?;
    Ok(stage.report.end()?)
}

/// The floor of `relay`.
pub fn floor(args: &FloorArgs) -> Result<(), Failure> {
    let load = args.load.with_window(64);
    let mut scene = Messages::bare(load.users as u32, To::Partner, load.pace(), load.seed);
    let server = args.server.map(|server| (server, args.pid));
    Ok(floor_alone(server, &args.server_cpu, &load, &mut scene)?.end()?)
}

/// Sign-ins with tokens.
pub fn sign_in(args: &SignInArgs) -> Result<(), Failure> {
    let load = args.load.with_window(64);
    let mut stage = Stage::set("sign-in", &args.target, &load, 0)?;
    // All at once first, for the memory that they take.
    stage.sign_in(load.users as u32)?;
    stage.rounds(&mut SignIns::new(load.users as u32, load.pace()), None::<&mut Messages>)?;
    Ok(stage.report.end()?)
}

/// Changes of status that many see.
pub fn presence(args: &PresenceArgs) -> Result<(), Failure> {
    let watchers = args.watchers as u32;
    let load = Load { users: args.watchers + 1, ..args.load.with_window(1) };
    let mut stage = Stage::set("presence", &args.target, &load, args.watchers)?;
    stage.sign_in(load.users as u32)?;
    let mut bare = Presence::new(watchers, load.pace());
    stage.rounds(&mut Presence::new(watchers, load.pace()), Some(&mut bare))?;
    Ok(stage.report.end()?)
}

/// Messages to users who are not there, and how they get them when they come.
pub fn offline(args: &OfflineArgs) -> Result<(), Failure> {
    let load = args.load.with_window(256);
    let (users, senders) = (load.users as u32, args.senders.min(load.users - 1) as u32);
    let mut stage = Stage::set("offline", &args.target, &load, 0)?;
    stage.sign_in(senders)?;
    let absent = senders..users;
    let mut scene = Messages::new(0..senders, absent.clone(), To::Anyone, load.pace(), Done::Stored, load.seed);
    // No mailbox may overflow: what is refused would count as lost.
    let room = u64::from(absent.end - absent.start) * oicq::limits::MAILBOX_MESSAGES as u64;
    scene.most = args.messages.unwrap_or(u64::MAX).min(room);
    for round in 1..=load.rounds() {
        stage.once(round, "oicqd", Duration::from_secs_f64(load.seconds), &mut scene)?;
        let ids = scene.flights.ids();
        stage.once(round, "deliver", BRIEF, &mut Drain::new(absent.clone(), ids))?;
        leave(&mut stage.crowd, stage.player.clock, absent.clone())?;
    }
    Ok(stage.report.end()?)
}

/// Searches, and messages beside them.
pub fn search(args: &SearchArgs) -> Result<(), Failure> {
    let load = args.load.with_window(1);
    let (users, seed) = (load.users as u32, load.seed);
    let mut stage = Stage::set("search", &args.target, &load, 0)?;
    stage.sign_in(users)?;
    let beside = || args.beside.map(|rate| Messages::between(users, To::Anyone, Pace::Rate(rate), seed));
    let length = Duration::from_secs_f64(load.seconds);
    let (mut alone, mut scene) = (beside(), Search::new(args.query.clone(), users, load.pace(), beside()));
    for round in 1..=load.rounds() {
        if let Some(messages) = &mut alone {
            stage.once(round, "without", length, messages)?;
        }
        stage.once(round, "oicqd", length, &mut scene)?;
    }
    let p99 = |who: &str, what: &str| {
        let turns = stage.report.turns.iter().filter(|turn| turn.who == who);
        let times = turns.flat_map(|turn| &turn.tally.counted.latencies).filter(|(name, _)| *name == what);
        let values: Vec<f64> = times.map(|(_, times)| times.value_at_quantile(0.99) as f64).collect();
        (!values.is_empty()).then(|| median(values.into_iter()))
    };
    if let Some((with, without)) = p99("oicqd", "message meanwhile").zip(p99("without", "recipient")) {
        stage.report.facts.push(("p99 of messages with searches ÷ without", with / without));
    }
    Ok(stage.report.end()?)
}

/// A working day.
pub fn mix(args: &MixArgs) -> Result<(), Failure> {
    let load = args.load.with_window(64);
    let mut stage = Stage::set("mix", &args.target, &load, 0)?;
    stage.sign_in(load.users as u32)?;
    let mut scene = Workday::new(load.users as u32, load.pace(), load.seed);
    stage.rounds(&mut scene, None::<&mut Messages>)?;
    Ok(stage.report.end()?)
}

/// Megabytes, for people.
const MIB: f64 = 1_048_576.0;

/// Users who only keep their sessions alive.
pub fn idle(args: &IdleArgs) -> Result<(), Failure> {
    let load = Load { seconds: args.seconds, ..args.people.load() };
    let mut stage = Stage::set("idle", &args.target, &load, 0)?;
    stage.sign_in(load.users as u32)?;
    let mut scene = Idle::new(load.users as u32);
    for round in 1..=args.rounds {
        stage.once(round, "oicqd", Duration::from_secs_f64(load.seconds), &mut scene)?;
    }
    let of = |what: &dyn Fn(&Turn) -> Option<f64>| {
        let values: Vec<f64> = stage.report.turns.iter().filter_map(what).collect();
        (!values.is_empty()).then(|| median(values.into_iter()))
    };
    let a_second = |count: u64, turn: &Turn| Some(count as f64 / turn.tally.wall.as_secs_f64());
    let facts = [
        ("CPU of the server at rest, % of one core", of(&|turn| Some(turn.tally.busy()? * 100.0))),
        ("datagrams to the server a second", of(&|turn| a_second(turn.tally.datagrams.to_server, turn))),
        ("datagrams from the server a second", of(&|turn| a_second(turn.tally.datagrams.from_server, turn))),
        ("resident at the end, MiB", stage.resident().map(|bytes| bytes as f64 / MIB)),
    ];
    let facts: Vec<_> = facts.into_iter().filter_map(|(what, value)| Some((what, value?))).collect();
    stage.report.facts.extend(facts);
    Ok(stage.report.end()?)
}

/// What is told of a server that comes back.
struct Names {
    turn: &'static str,
    ended: &'static str,
    answers: &'static str,
    told: &'static str,
    resident: &'static str,
}

/// A server that ends and starts again, and goes on with its sessions.
pub fn start(args: &StartArgs) -> Result<(), Failure> {
    const WAYS: [(End, Names); 2] = [
        (
            End::Killed,
            Names {
                turn: "killed",
                ended: "killed: seconds until it had ended",
                answers: "killed: seconds until it answered again",
                told: "killed: seconds until all sessions had been told",
                resident: "killed: resident after the start, MiB",
            },
        ),
        (
            End::Stopped,
            Names {
                turn: "stopped",
                ended: "stopped: seconds until it had ended",
                answers: "stopped: seconds until it answered again",
                told: "stopped: seconds until all sessions had been told",
                resident: "stopped: resident after the start, MiB",
            },
        ),
    ];
    let load = args.people.load();
    let users = load.users as u32;
    let mut stage = Stage::set("start", &args.target, &load, 0)?;
    stage.sign_in(users)?;
    let mut told: Vec<(&'static str, f64)> = Vec::new();
    // That their sessions are good for something shows in messages.
    let mut messages = Messages::between(users, To::Anyone, Pace::Window(64), load.seed);
    for round in 1..=args.rounds {
        for (how, names) in &WAYS {
            let (ended, comeback) = stage.come_back(round, *how, users)?;
            let longest = comeback.tally.counted.latencies[0].1.max() as f64 / 1e9;
            told.push((names.ended, ended.as_secs_f64()));
            told.push((names.answers, comeback.answers.as_secs_f64()));
            told.push((names.told, longest));
            told.extend(stage.resident().map(|bytes| (names.resident, bytes as f64 / MIB)));
            stage.report.turn(Turn { round, who: names.turn, tally: comeback.tally, beside: None });
            stage.once(round, "messages", Duration::from_secs(1), &mut messages)?;
        }
    }
    for (_, names) in &WAYS {
        for what in [names.ended, names.answers, names.told, names.resident] {
            let values = told.iter().filter(|(which, _)| *which == what).map(|(_, value)| *value);
            stage.report.facts.push((what, median(values)));
        }
    }
    Ok(stage.report.end()?)
}
