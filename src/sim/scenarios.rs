//! Scenarios by name, and one in which the seed chooses everything.

use super::Plan;
use super::chance::Chance;
use super::oracle::Figures;
use super::world::World;
use crate::shard::{Budgets, Rate};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a world of this seed to its end.
pub type Scenario = fn(u64) -> World;

/// All scenarios by name.
pub const SCENARIOS: [(&str, Scenario); 16] = [
    ("calm", calm),
    ("lossy", lossy),
    ("repeats", repeats),
    ("slow-and-late", slow_and_late),
    ("strangers", strangers),
    ("moving", moving),
    ("tunnels", tunnels),
    ("no-udp", no_udp),
    ("kills", kills),
    ("power-cuts", power_cuts),
    ("stops", stops),
    ("bad-disk", bad_disk),
    ("full-disk", full_disk),
    ("over-budget", over_budget),
    ("programs-end", programs_end),
    ("random", random),
];

/// Nothing goes wrong.
fn calm(seed: u64) -> World {
    World::new(seed).shards(2).clients(8).run_for(60_000).heal().check()
}

fn lossy(seed: u64) -> World {
    World::new(seed).shards(2).clients(8).loss(25).delay(5..80).run_for(60_000).heal().check()
}

fn repeats(seed: u64) -> World {
    World::new(seed).shards(2).clients(8).repeat(30).late(15).delay(1..60).run_for(60_000).heal().check()
}

fn slow_and_late(seed: u64) -> World {
    World::new(seed).shards(3).clients(6).slow(100).late(20).delay(100..700).run_for(60_000).heal().check()
}

/// Somebody between changes packets, and sends copies of them from elsewhere.
fn strangers(seed: u64) -> World {
    World::new(seed).shards(2).clients(6).corrupt(10).spoof(30).delay(5..60).run_for(60_000).heal().check()
}

fn moving(seed: u64) -> World {
    World::new(seed).clients(6).loss(5).delay(5..60).move_every(300..2_000).run_for(60_000).heal().check()
}

/// Ways are cut, for longer than a session lasts at times.
fn tunnels(seed: u64) -> World {
    World::new(seed)
        .shards(2)
        .clients(6)
        .cut_every(1_000..6_000)
        .cut_for(1_000..110_000)
        .run_for(200_000)
        .heal()
        .check()
}

fn no_udp(seed: u64) -> World {
    World::new(seed)
        .shards(2)
        .clients(6)
        .tcp(70)
        .stream_cut_every(500..5_000)
        .kill_every(5_000..30_000)
        .run_for(90_000)
        .heal()
        .check()
}

fn kills(seed: u64) -> World {
    World::new(seed).shards(2).clients(12).loss(10).delay(5..80).kill_every(3_000..6_000).run_for(60_000).heal().check()
}

fn power_cuts(seed: u64) -> World {
    World::new(seed)
        .clients(8)
        .loss(5)
        .kill_every(1_000..8_000)
        .by_power_cuts()
        .with_other_shards()
        .run_for(60_000)
        .heal()
        .check()
}

fn stops(seed: u64) -> World {
    World::new(seed)
        .shards(3)
        .clients(8)
        .loss(3)
        .slow(50)
        .kill_every(2_000..8_000)
        .by_the_operator()
        .with_other_shards()
        .run_for(60_000)
        .heal()
        .check()
}

fn bad_disk(seed: u64) -> World {
    World::new(seed)
        .shards(2)
        .clients(8)
        .sync_fails_every(500..4_000)
        .kill_every(8_000..20_000)
        .by_power_cuts()
        .run_for(60_000)
        .heal()
        .check()
}

/// The disk is full for a while, again and again. Nobody is told that a message will never be delivered.
fn full_disk(seed: u64) -> World {
    World::new(seed)
        .shards(3)
        .clients(8)
        .loss(3)
        .act_every(50..600)
        .disk_full_every(2_000..12_000)
        .disk_full_for(100..15_000)
        .stream_cut_every(3_000..9_000)
        .run_for(90_000)
        .heal()
        .check()
}

/// Programs say far more than they may. Nothing is lost by being slow, and nobody is signed out for it.
fn over_budget(seed: u64) -> World {
    let rate = |per_second, burst| Rate { per_second, burst };
    let budgets = Budgets { messages: rate(3, 10), writes: rate(2, 8), reads: rate(2, 8), ..Budgets::default() };
    World::new(seed)
        .shards(2)
        .clients(6)
        .loss(5)
        .delay(5..60)
        .act_every(50..400)
        .budgets(budgets)
        .stream_cut_every(3_000..9_000)
        .run_for(90_000)
        .heal()
        .check()
}

fn programs_end(seed: u64) -> World {
    World::new(seed)
        .shards(2)
        .clients(8)
        .loss(10)
        .forgetful(30)
        .restart_every(500..3_000)
        .always_retry()
        .run_for(60_000)
        .heal()
        .check()
}

/// The seed chooses everything.
fn random(seed: u64) -> World {
    let mut chance = Chance::new(seed ^ 0x5EED);
    let plan = Plan::random(&mut chance);
    World::new(seed).as_planned(plan).run_for(20_000 + chance.below(60_000)).heal().check()
}

/// What a run has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// See [`World::trace`].
    pub trace: u64,
    /// How much it has seen.
    pub figures: Figures,
    /// Virtual ms.
    pub ms: u64,
}

/// Runs a scenario; what is wrong, in words, if anything is.
pub fn run(scenario: Scenario, seed: u64) -> Result<Outcome, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let world = scenario(seed);
        Outcome { trace: world.trace(), figures: world.figures(), ms: world.now() }
    }));
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}
