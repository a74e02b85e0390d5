//! Where the peer of a link is, and how much may be sent there (protocol.md 2.3).
//!
//! A session moves with its packets, and whoever has its keys can write any source address on them. So an address gets no
//! more bytes than have come from it, and a challenge with each packet, until it has answered: that proves that somebody
//! there reads what is sent. If it does not answer for a second, what waits goes to the last address that has: a copy of a
//! packet that somebody sends from elsewhere holds up nobody for longer.

use super::endpoint::Endpoint;
use crate::limits::{DATAGRAM_BYTES, PROOF};
use std::net::SocketAddr;

/// Where the peer is.
#[derive(Debug)]
pub(super) struct Path {
    /// The last address that has proven itself. `None` after a restart, if the store knew of none.
    home: Option<Endpoint>,
    /// The address to which the session has moved since, and which has proven nothing.
    away: Option<Box<Away>>,
}

/// An address that has proven nothing.
#[derive(Debug)]
struct Away {
    endpoint: Endpoint,
    /// What every packet to it asks for.
    nonce: u64,
    /// Bytes that may still be sent there.
    credit: u32,
    /// It has been heard of since the last packet to it.
    due: bool,
    /// Since when an answer is waited for.
    since_ms: u64,
    /// It has not answered in time. It still may.
    given_up: bool,
}

/// What a packet says about where the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Where it was.
    There,
    /// Where it has proven to be before.
    Elsewhere,
    /// At an address that has proven nothing.
    Nowhere,
}

impl Path {
    /// A path whose peer has received something there.
    pub fn proven(endpoint: Option<Endpoint>) -> Self {
        Self { home: endpoint, away: None }
    }

    /// A path whose peer has not been heard of anywhere.
    pub fn unknown() -> Self {
        Self::proven(None)
    }

    /// Where its packets go.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.asked().map(|away| away.endpoint).or(self.home)
    }

    /// The address that is waited for.
    fn asked(&self) -> Option<&Away> {
        self.away.as_deref().filter(|away| !away.given_up)
    }

    /// The last address that has proven itself.
    pub fn home(&self) -> Option<Endpoint> {
        self.home
    }

    /// Whether the peer has proven to be where its packets go.
    pub fn is_proven(&self) -> bool {
        self.asked().is_none()
    }

    /// Whether an address has not answered for so long that packets go to the last one again that has. Said once.
    pub fn gives_up(&mut self, now_ms: u64) -> bool {
        let Some(away) = self.away.as_mut().filter(|away| self.home.is_some() && !away.given_up) else { return false };
        away.given_up = now_ms >= away.since_ms + PROOF.as_millis() as u64;
        away.given_up
    }

    /// Where the peer can be reached after a restart: an address that has proven nothing is not kept.
    pub fn proven_address(&self) -> Option<(SocketAddr, u16)> {
        let endpoint = self.home?;
        Some((endpoint.address(), endpoint.listener()?))
    }

    /// A genuine packet, the newest so far, came from here. The other end of a connection is where it says.
    pub fn heard(&mut self, now_ms: u64, from: Endpoint, bytes: usize, nonce: impl FnOnce() -> u64) -> Heard {
        match &mut self.away {
            Some(away) if away.endpoint == from => {
                away.credit = away.credit.saturating_add(bytes as u32);
                (away.due, away.since_ms) = (true, now_ms);
                if std::mem::replace(&mut away.given_up, false) { Heard::Nowhere } else { Heard::There }
            }
            None if self.home == Some(from) => Heard::There,
            _ if self.home == Some(from) || from.connection().is_some() => {
                (self.home, self.away) = (Some(from), None);
                Heard::Elsewhere
            }
            _ => {
                let (nonce, credit, since_ms) = (nonce(), bytes as u32, now_ms);
                let away = Away { endpoint: from, nonce, credit, due: true, since_ms, given_up: false };
                self.away = Some(Box::new(away));
                Heard::Nowhere
            }
        }
    }

    /// A challenge is answered from here; whether that proves where the peer is.
    pub fn answered(&mut self, from: Endpoint, nonce: u64) -> bool {
        let proven = self.away.as_ref().is_some_and(|away| (away.endpoint, away.nonce) == (from, nonce));
        if proven {
            (self.home, self.away) = (Some(from), None);
        }
        proven
    }

    /// The challenge, how many bytes may go out with it, and whether it is to go out by itself; `None` where none is needed.
    pub fn challenge(&self) -> Option<(u64, usize, bool)> {
        self.asked().map(|away| (away.nonce, (away.credit as usize).min(DATAGRAM_BYTES), away.due))
    }

    /// So many bytes have gone out with a challenge.
    pub fn challenged(&mut self, bytes: usize) {
        if let Some(away) = &mut self.away {
            away.credit = away.credit.saturating_sub(bytes as u32);
            away.due = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> Endpoint {
        Endpoint::datagram(([192, 0, 2, host], 9).into(), 0)
    }

    #[test]
    fn an_address_is_believed_when_it_answers_its_own_challenge() {
        let mut path = Path::proven(Some(at(1)));
        assert_eq!((path.heard(0, at(1), 100, || 7), path.challenge()), (Heard::There, None));
        assert_eq!(path.heard(0, at(2), 60, || 7), Heard::Nowhere);
        assert_eq!((path.endpoint(), path.home(), path.challenge()), (Some(at(2)), Some(at(1)), Some((7, 60, true))));
        path.challenged(49);
        assert_eq!(path.challenge(), Some((7, 11, false)));
        assert_eq!(path.heard(0, at(2), 100, || 8), Heard::There);
        assert_eq!(path.challenge(), Some((7, 111, true)), "the same challenge");
        assert!(!path.answered(at(1), 7) && !path.answered(at(2), 8) && !path.is_proven());
        assert!(path.answered(at(2), 7) && path.is_proven() && !path.answered(at(2), 7));
        assert_eq!((path.home(), path.proven_address()), (Some(at(2)), Some((at(2).address(), 0))));
    }

    #[test]
    fn whoever_does_not_answer_is_waited_for_a_second_and_may_answer_later() {
        let mut path = Path::proven(Some(at(1)));
        path.heard(5_000, at(2), 60, || 7);
        assert!(!path.gives_up(5_999) && path.gives_up(6_000) && !path.gives_up(7_000));
        assert_eq!((path.endpoint(), path.is_proven(), path.challenge()), (Some(at(1)), true, None));
        assert_eq!(path.heard(8_000, at(2), 60, || 8), Heard::Nowhere);
        assert_eq!(path.challenge(), Some((7, 120, true)), "the challenge is the same");
        assert!(path.gives_up(9_000) && path.answered(at(2), 7), "an answer that takes long is good");
        assert_eq!((path.endpoint(), path.home()), (Some(at(2)), Some(at(2))));
        let mut path = Path::unknown();
        path.heard(0, at(1), 60, || 7);
        assert!(!path.gives_up(100_000), "there is nowhere else");
    }

    #[test]
    fn the_last_proven_address_and_a_connection_need_no_proof() {
        let mut path = Path::proven(Some(at(1)));
        path.heard(0, at(2), 60, || 7);
        assert_eq!((path.heard(0, at(1), 60, || 8), path.is_proven()), (Heard::Elsewhere, true));
        let other_port = Endpoint::datagram(([192, 0, 2, 1], 10).into(), 0);
        assert_eq!(path.heard(0, other_port, 60, || 9), Heard::Nowhere, "somebody else behind the same address");
        let stream = Endpoint::stream(at(3).address(), 5);
        assert_eq!((path.heard(0, stream, 60, || 9), path.home()), (Heard::Elsewhere, Some(stream)));
        assert_eq!(path.proven_address(), None, "a connection is nowhere after a restart");
        assert_eq!(Path::unknown().heard(0, at(1), 60, || 7), Heard::Nowhere);
    }
}
