//! The whole rule book under a virtual clock: shards, a store in memory, and people who send frames.

mod admission;
mod budgets;
mod classic;
mod files;
mod friends;
mod groups;
mod link;
mod linked;
mod messages;
mod monitor;
mod moves;
mod people;
mod presence;
mod privacy;
mod strangers;
mod tokens;
mod transient;
mod world;
