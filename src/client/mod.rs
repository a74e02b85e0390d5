//! The client library: what a program of a user needs, without the bytes.
//!
//! Two parts, to be used apart or together:
//!
//! - [`Core`] knows the rules and does no I/O. It takes the time, chance and packets that have arrived, and gives back
//!   packets to send and what has happened. Tests, simulations and programs with an event loop of their own use it
//!   directly; [`Carrier`] then chooses between UDP and TCP for them.
//! - [`Client`] drives a core over sockets of std. Its requests wait for their answers; what the server tells by itself
//!   comes through [`Events`].
//!
//! Everything goes over the link (protocol.md 2): encrypted, in order, once. The connection is made when it is needed and
//! made anew when it breaks; a message is held until the server has answered for it, over reconnections and restarts of
//! the server, and shown to its recipient once.
//!
//! A first conversation, with a server that is started for it:
//!
//! ```
//! # #[cfg(not(feature = "server"))]
//! # fn main() {}
//! # #[cfg(feature = "server")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use oicq::client::{Client, Connect, Event, OwnedProfile, ReceiptState, ServerLine};
//! use std::time::Duration;
//!
//! # let server = oicq::server::Trial::start()?;
//! # let line = &server.line;
//! // The operator's line, which `oicqd` prints: oicq://host:port/?key=…. Without the key it is learnt on first use.
//! let line: ServerLine = line.parse()?;
//! let (li, li_hears) = Client::connect(Connect::new(line.clone()))?;
//! let (han, mut han_hears) = Client::connect(Connect::new(line))?;
//!
//! let li_lei = li.register(&OwnedProfile::new("Li Lei", "correct horse"))?;
//! let han_meimei = han.register(&OwnedProfile::new("Han Meimei", "battery staple"))?;
//! for group in li.sign_in(li_lei, "correct horse", false)? {
//!     println!("{}: {} friends", group.name, group.friends.len());
//! }
//!
//! // Nobody is there to take it: it is stored.
//! let receipt = li.message(han_meimei, "hello")?;
//! assert_eq!(receipt.wait()?, ReceiptState::Stored);
//!
//! // Now somebody is. Taking an event says that the program has it.
//! han.sign_in(han_meimei, "battery staple", false)?;
//! let text = han_hears.find_map(|event| match event {
//!     Event::Message { from, text, .. } if from == li_lei => Some(text),
//!     _ => None,
//! });
//! assert_eq!(text.as_deref(), Some("hello"));
//! assert_eq!(receipt.wait_delivered(Duration::from_secs(5))?, ReceiptState::Delivered);
//!
//! // What is to be kept for the next time.
//! while let Some(event) = li_hears.try_recv() {
//!     match event {
//!         Event::ServerKey { key } => println!("pin this key: {key:?}"),
//!         Event::Token { number, .. } => println!("{number} needs no password for 30 days"),
//!         _ => {}
//!     }
//! }
//! li.leave()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a program keeps
//!
//! | what | where it comes from | what it is for |
//! |---|---|---|
//! | the server's key | [`Event::ServerKey`] | [`Connect::pinned`]: another one is refused |
//! | a token | [`Event::Token`] | [`Client::sign_in_with_token`], for 30 days, or until a later one is used; as secret as the password |
//! | messages without a receipt | [`Client::unsent`] | [`Connect::outbox`], or [`Client::hold`] |
//! | what was shown | [`Client::seen`] | [`Connect::seen`]: nothing is shown twice |
//!
//! # Nothing lost in a crash
//!
//! A program that is killed at any moment loses and doubles nothing if it writes down before it acts, in both directions:
//!
//! ```no_run
//! # use oicq::client::{Client, Event, Events, Recipient, Unsent, Error};
//! # fn write_down<T>(_: &T) {}
//! # fn tour(client: &Client, events: &Events, me: u32, to: u32) -> Result<(), Error> {
//! // In: what is only looked at stays the server's; what is taken is the program's.
//! for event in events.peek(100) {
//!     if let Event::Message { .. } = &event {
//!         write_down(&event); // (from, id) is unique: what is there already was shown
//!     }
//!     events.try_recv();
//! }
//! // Out: with an id of its own first, so that a message of the last run goes out again as the same.
//! let message = Unsent { id: client.next_id(), from: me, to: Recipient::User(to), text: "hello".into() };
//! write_down(&message);
//! client.hold(message)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! Every request gives an [`Error`]. `Refused` is the server's answer, with a notice code that [`reason`] puts into words;
//! `Unknown` says that the connection broke after the request had gone out; `Timeout` and `Io` that it can be tried again.
//! Messages need none of that: they are held until a receipt says what became of them.
//!
//! `examples/echo.rs` and `examples/away.rs` are whole bots.
//!
//! A key that is not the expected one is never accepted: connecting or signing in ends with [`Error::KeyChanged`], and
//! nothing is said to that server.

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
pub use profile::{Details, OwnedProfile, Privacy, Reach};
