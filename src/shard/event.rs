//! What the operator may want to know afterwards: who signed up, in and out, what was refused, and which limit bit.
//!
//! The rules only leave events in the outbox. The server writes them to its log, a few a second of each kind from each
//! prefix: so emitting one is cheap, and a flood of them fills no disk. None holds a password, a token or a text.

use super::endpoint::Endpoint;
use super::{Cx, Shard};
use std::net::SocketAddr;

/// Something worth a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// The account that it is about; 0 if there is none.
    pub number: u32,
    /// From where, if that is known.
    pub from: Option<Endpoint>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// An account was registered.
    SignedUp,
    /// A registration was refused, and why.
    SignUpRefused(&'static str),
    /// A session began.
    SignedIn,
    /// A sign-in was refused, and why.
    SignInRefused(&'static str),
    /// A session ended, and why.
    SignedOut(&'static str),
    /// A limit was reached, and which: what was asked beyond it was not done.
    Limit(&'static str),
}

impl What {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedUp => "sign-up",
            Self::SignUpRefused(_) => "sign-up refused",
            Self::SignedIn => "sign-in",
            Self::SignInRefused(_) => "sign-in refused",
            Self::SignedOut(_) => "sign-out",
            Self::Limit(_) => "limit",
        }
    }

    /// Why it happened, or which limit it was; empty where the name says everything.
    pub fn detail(self) -> &'static str {
        match self {
            Self::SignedUp | Self::SignedIn => "",
            Self::SignUpRefused(why) | Self::SignInRefused(why) | Self::SignedOut(why) | Self::Limit(why) => why,
        }
    }
}

impl Cx<'_> {
    /// Leaves an event for the log.
    pub fn event(&mut self, what: What, number: u32, from: Option<Endpoint>) {
        self.out.events.push(Event { what, number, from });
    }
}

/// How a user is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// 1 online, 2 hidden, 3 do not disturb.
    pub status: u8,
    /// From where, if that is known.
    pub address: Option<SocketAddr>,
}

impl Shard {
    /// How a user of this shard is signed in; `None` if they are not. Sessions from before the start that have not been heard
    /// of are in the store alone.
    pub fn presence(&self, number: u32) -> Option<Presence> {
        let status = self.session(number)?.status;
        Some(Presence { status, address: self.seat(number).map(|seat| seat.address()) })
    }

    /// Where the session of a user of this shard is, for the log.
    pub(super) fn seat(&self, number: u32) -> Option<Endpoint> {
        let way = &self.session(number)?.way;
        way.bare().or_else(|| way.link()?.path.endpoint())
    }
}
