//! The client library: what a program of a user needs, without the bytes.
//!
//! Two parts, to be used apart or together:
//!
//! - [`Core`] knows the rules of a session and does no I/O. It takes the time and what has arrived, and gives back what
//!   is to be sent and what has happened. Tests and programs with an event loop of their own use it directly.
//! - [`Client`] drives a core over a socket of std with one thread. Its requests wait for their answers; what the server
//!   tells by itself comes as [`Event`]s through a channel.
//!
//! A first conversation:
//!
//! ```no_run
//! use oicq::client::{Client, Event, OwnedProfile, Status, Transport};
//!
//! let (client, events) = Client::connect("127.0.0.1:8000".parse()?, Transport::Udp)?;
//! let number = client.register(&OwnedProfile::new("Li Lei", "correct horse"))?;
//! for group in client.sign_in(number, "correct horse", false)? {
//!     println!("{}: {} friends", group.name, group.friends.len());
//! }
//! client.message(10001, "hello")?;
//! while let Ok(event) = events.recv() {
//!     match event {
//!         Event::Message { from, text } => println!("{from}: {text}"),
//!         Event::Closed { .. } => break,
//!         _ => {}
//!     }
//! }
//! client.set_status(Status::Offline)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Sessions are classic ones (protocol.md 1.8): nothing is encrypted, and over UDP a message or a piece of a file can
//! be lost on its way. A lost request is repeated; over TCP nothing is lost while the connection stands.

mod carrier;
mod check;
mod core;
mod driver;
mod error;
mod event;
mod line;
mod profile;
#[cfg(test)]
mod tests;

pub use carrier::{Action, Carrier, Way, Ways};
pub use core::{Core, Recipient, RequestId, Secret, SeenList, Setup, Unsent};
pub use driver::{Client, Connect, Events, Receipt};
pub use error::{Error, reason};
pub use event::{AddOutcome, Event, Friend, Group, Person, ReceiptState, Reply, Status};
pub use line::{ServerLine, ServerLineError, fingerprint, key as parse_key};
pub use profile::OwnedProfile;
