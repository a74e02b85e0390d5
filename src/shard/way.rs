//! How a user is reached: in bare frames at an address, or over a link.

use super::apart::Apart;
use super::channel::Channel;
use super::endpoint::Endpoint;
use super::io::Send;
use super::prefix::Prefix;
use super::user::User;
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::seeded::SeededMap;
use crate::wire::Server;

/// How the user of a session is reached.
pub(super) enum Way {
    /// Bare frames (protocol.md 1.8).
    Bare(Box<Endpoint>),
    /// The link (protocol.md 2).
    Link(Box<Channel>),
}

/// From where a request came, signed in or not: its answer goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    Bare(Endpoint),
    Link(SessionKey),
}

impl Way {
    /// Sends a frame.
    pub fn send(&mut self, cx: &mut Cx<'_>, frame: &Server<'_>) {
        match self {
            Self::Bare(to) => drop(cx.send(**to, frame)),
            Self::Link(channel) => {
                channel.send(cx, frame);
            }
        }
    }

    /// Sends a frame that goes to many: it is encoded once, and `first` is where it then lies.
    pub fn send_copy(&mut self, cx: &mut Cx<'_>, first: &mut Option<(u32, u32)>, frame: &Server<'_>) {
        let (start, length) = *first.get_or_insert_with(|| {
            let start = cx.out.bytes.len();
            frame.encode(&mut cx.out.bytes);
            (start as u32, (cx.out.bytes.len() - start) as u32)
        });
        match self {
            Self::Bare(to) => cx.out.sends.push(Send { to: **to, start, length }),
            Self::Link(channel) => {
                channel.touch(cx);
                channel.link.send(&cx.out.bytes[start as usize..][..length as usize]);
            }
        }
    }

    /// The address of a bare session.
    pub fn bare(&self) -> Option<Endpoint> {
        if let Self::Bare(endpoint) = self { Some(**endpoint) } else { None }
    }

    /// The link, if it is one.
    pub fn link(&self) -> Option<&Channel> {
        if let Self::Link(channel) = self { Some(channel) } else { None }
    }

    /// The same, to be changed.
    pub fn link_mut(&mut self) -> Option<&mut Channel> {
        if let Self::Link(channel) = self { Some(channel) } else { None }
    }

    /// Whether this is where a request came from.
    pub fn is(&self, origin: Origin) -> bool {
        match (self, origin) {
            (Self::Bare(endpoint), Origin::Bare(from)) => **endpoint == from,
            (Self::Link(channel), Origin::Link(key)) => channel.key() == key,
            _ => false,
        }
    }
}

/// What a user is sent is not shown, nor are keys.
impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bare(endpoint) => endpoint.fmt(f),
            Self::Link(channel) => channel.link.fmt(f),
        }
    }
}

/// A link, with a session or apart.
pub(super) fn find<'a>(
    users: &'a mut SeededMap<u32, Box<User>>,
    apart: &'a mut SeededMap<SessionKey, Box<Apart>>,
    key: SessionKey,
) -> Option<&'a mut Channel> {
    if let Some(session) = users.get_mut(&key.number).and_then(|user| user.session.as_mut())
        && session.id == key.session
        && let Way::Link(channel) = &mut session.way
    {
        return Some(channel);
    }
    apart.get_mut(&key).map(|apart| &mut *apart.channel)
}

impl Shard {
    /// A link of this shard, with a session or apart.
    pub(super) fn channel(&mut self, key: SessionKey) -> Option<&mut Channel> {
        find(&mut self.users, &mut self.apart, key)
    }

    /// Sends a frame to where a request came from.
    pub(super) fn send_to(&mut self, cx: &mut Cx<'_>, origin: Origin, frame: &Server<'_>) {
        match origin {
            Origin::Bare(to) => drop(cx.send(to, frame)),
            Origin::Link(key) => {
                if let Some(channel) = self.channel(key) {
                    channel.send(cx, frame);
                }
            }
        }
    }

    /// The prefix that a request is counted for. A link that nobody has signed in by is counted where its handshake was: a
    /// packet from elsewhere proves nothing.
    pub(super) fn prefix_of(&mut self, origin: Origin) -> Prefix {
        if let Origin::Link(key) = origin
            && let Some(prefix) = self.apart.get(&key).and_then(|apart| apart.prefix())
        {
            return prefix;
        }
        let at = match origin {
            Origin::Bare(at) => Some(at),
            Origin::Link(key) => self.channel(key).and_then(|channel| channel.path.home()),
        };
        at.map_or(Prefix::NOWHERE, |at| at.prefix())
    }

    /// The same of somebody who is signed in.
    pub(super) fn prefix_of_user(&self, number: u32) -> Prefix {
        let at = self.session(number).and_then(|session| match &session.way {
            Way::Bare(at) => Some(**at),
            Way::Link(channel) => channel.path.home(),
        });
        at.map_or(Prefix::NOWHERE, |at| at.prefix())
    }

    /// The address from which a request came, if it is known.
    pub(super) fn address_of(&mut self, origin: Origin) -> Option<Endpoint> {
        match origin {
            Origin::Bare(endpoint) => Some(endpoint),
            Origin::Link(key) => self.channel(key)?.path.endpoint(),
        }
    }
}
