//! OICQ: an instant-messaging server for the protocol of 1999, and the library that its client programs use.
//!
//! The rooms, from the inside out: [`wire`] knows the bytes, [`link`] what carries them, `shard` the rules, `store` what is durable, and `server` the
//! outside world. The server's rooms come with the feature `server` (on by default); without it the crate is a portable
//! protocol library.

pub mod client;
pub mod limits;
pub mod link;
#[cfg(feature = "server")]
pub mod seeded;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod shard;
#[cfg(all(feature = "server", any(test, feature = "sim")))]
pub mod sim;
#[cfg(feature = "server")]
pub mod store;
pub mod wire;
