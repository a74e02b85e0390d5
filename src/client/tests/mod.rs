//! Tests of the client: the core against a small server in memory, by a clock of its own; the driver over real sockets.

mod core;
mod driver;
mod entry;
mod fake;
mod world;
