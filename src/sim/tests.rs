//! Some hundred seeds of every scenario. `cargo run --release --features sim --example simulate` runs more.

use super::{SCENARIOS, run};
use std::thread;

/// Runs seeds of a scenario in two threads.
fn seeds(name: &str, seeds: std::ops::Range<u64>) {
    let (_, scenario) = *SCENARIOS.iter().find(|(known, _)| *known == name).expect("a scenario of this name");
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let failed: Vec<String> = thread::scope(|scope| {
        let halves = [seeds.start..middle, middle..seeds.end].map(|half| {
            scope.spawn(move || {
                half.filter_map(|seed| Some(format!("seed {seed}: {}", run(scenario, seed).err()?))).collect::<Vec<_>>()
            })
        });
        halves.into_iter().flat_map(|half| half.join().expect("panics are caught")).collect()
    });
    assert!(failed.is_empty(), "{name}: {failed:#?}");
}

#[test]
fn every_scenario_comes_to_rest() {
    for (name, _) in SCENARIOS {
        seeds(name, 0..8);
    }
}

#[test]
fn whatever_the_seed_chooses() {
    seeds("random", 1_000..1_150);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for (name, scenario) in SCENARIOS {
        let (first, second) = (run(scenario, 77), run(scenario, 77));
        assert_eq!(first, second, "{name}");
        assert_ne!(first, run(scenario, 78), "{name}");
    }
}
