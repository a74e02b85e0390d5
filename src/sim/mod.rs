//! A whole server and its users in one thread: a virtual clock, a network that loses, repeats, delays, damages and cuts, a
//! disk that forgets what was not synced, a server that ends at any step, and an oracle that knows what must hold
//! (architecture.md 5). Everything random comes from one seed; the same seed is the same run.
//!
//! ```text
//! World::new(seed).shards(2).clients(12).loss(10).delay(5..80).kill_every(3_000..6_000).run_for(60_000).heal().check()
//! ```
//!
//! Whatever is wrong is a panic. [`run`] gives it in words.
#![allow(missing_docs, reason = "for the tests of this crate, and for `examples/simulate.rs`")]

mod agenda;
mod chance;
mod checks;
mod cluster;
mod doings;
mod network;
mod oracle;
mod person;
mod plan;
mod scenarios;
#[cfg(test)]
mod tests;
mod world;

pub use oracle::Figures;
pub use plan::Plan;
pub use scenarios::{Outcome, SCENARIOS, Scenario, run};
pub use world::World;
