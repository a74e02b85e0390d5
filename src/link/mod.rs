//! The link: protocol.md part 2 for one peer, without I/O. Server and client use the same code.
//!
//! A [`Link`] takes packets and the time and gives packets back; it encrypts, authenticates, orders and retransmits. How
//! two peers come to share its keys is the handshake's: [`Initiator`] and [`respond`].
//!
//! ```
//! use oicq::link::{Ciphers, Frames, Keys, Link, Side};
//!
//! let keys = Keys { to_server: [1; 32], to_client: [2; 32] };
//! let mut client = Link::new(Side::Client, 10001, 7, keys);
//! let mut server = Link::new(Side::Server, 10001, 7, keys);
//! let (mut ciphers, mut frames, mut packet) = (Ciphers::new(4), Frames::default(), Vec::new());
//!
//! client.send(b"a whole frame");
//! assert!(client.poll(0, &mut ciphers, &mut packet));
//! server.receive(5, &mut packet, &mut ciphers, &mut frames)?;
//! assert_eq!(frames.iter().next().map(|frame| frame.bytes), Some(&b"a whole frame"[..]));
//! # Ok::<(), oicq::link::Dropped>(())
//! ```

mod congestion;
mod connection;
mod cookie;
mod frames;
mod handshake;
mod inbound;
#[cfg(any(test, feature = "sim"))]
mod nonces;
mod outbound;
mod packet;
mod proof;
mod record;
mod rtt;
mod seal;
mod start;
#[cfg(test)]
mod tests;
mod window;

pub use connection::{Arrival, Close, CloseCode, Dropped, Link, Start};
pub use cookie::Cookies;
pub use frames::{Frames, Received};
pub use handshake::{Established, HandshakeError, Initiator, Offer, StaticKey, public_key, respond};
#[cfg(any(test, feature = "sim"))]
pub use nonces::watch_nonces;
pub use packet::{Packet, Side};
pub use seal::{Ciphers, Keys};
pub use start::{Resumed, Salt};
