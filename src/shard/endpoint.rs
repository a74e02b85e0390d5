//! Where a frame came from and where its answer goes.

use super::prefix::Prefix;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU16;

/// A UDP address at one of the server's sockets, or a TCP connection. 24 bytes: every session has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The peer's address; IPv4 as `::ffff:a.b.c.d`.
    ip: [u8; 16],
    /// The scope of an IPv6 address, or the number of a connection.
    extra: u32,
    port: u16,
    /// One more than the listening address that a datagram came in by; `STREAM` for a connection. Never zero, so that
    /// "nowhere" takes no more room.
    via: NonZeroU16,
}

const STREAM: NonZeroU16 = NonZeroU16::MAX;

impl Endpoint {
    /// The sender of a datagram that came in by the `listener`-th listening address.
    pub fn datagram(peer: SocketAddr, listener: u16) -> Self {
        let via = NonZeroU16::MIN.checked_add(listener).filter(|via| *via != STREAM);
        let via = via.expect("there are never that many listening addresses");
        let scope = if let SocketAddr::V6(v6) = peer { v6.scope_id() } else { 0 };
        Self { ip: mapped(peer.ip()), extra: scope, port: peer.port(), via }
    }

    /// The other end of a TCP connection; `connection` is the server's number for it.
    pub fn stream(peer: SocketAddr, connection: u32) -> Self {
        Self { ip: mapped(peer.ip()), extra: connection, port: peer.port(), via: STREAM }
    }

    /// The number of the connection, if it is one.
    pub fn connection(&self) -> Option<u32> {
        (self.via == STREAM).then_some(self.extra)
    }

    /// The listening address to answer by, unless it is a connection.
    pub fn listener(&self) -> Option<u16> {
        (self.via != STREAM).then(|| self.via.get() - 1)
    }

    /// The address without the port; IPv4 is always told as IPv4.
    pub fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    /// What limits count it by.
    pub fn prefix(&self) -> Prefix {
        Prefix::of(self.ip())
    }

    /// The peer's address; IPv4 is always told as IPv4.
    pub fn address(&self) -> SocketAddr {
        match self.ip() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), self.port),
            IpAddr::V6(ip) => {
                let scope = if self.via == STREAM { 0 } else { self.extra };
                SocketAddrV6::new(ip, self.port, 0, scope).into()
            }
        }
    }

    /// Whether the peer is on this machine: from there bare frames are taken by default (protocol.md 1.8).
    pub fn is_loopback(&self) -> bool {
        self.ip().is_loopback()
    }
}

fn mapped(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", if self.via == STREAM { "tcp" } else { "udp" }, self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was() {
        for text in ["127.0.0.1:8000", "[::1]:9", "[fe80::1%3]:70", "10.1.2.3:65535"] {
            let address: SocketAddr = text.parse().expect("an address");
            let endpoint = Endpoint::datagram(address, 7);
            assert_eq!((endpoint.address(), endpoint.listener(), endpoint.connection()), (address, Some(7), None));
        }
        let stream = Endpoint::stream("127.0.0.1:8000".parse().expect("an address"), 9);
        assert_eq!((stream.connection(), stream.listener(), stream.is_loopback()), (Some(9), None, true));
        assert_eq!(size_of::<Option<Endpoint>>(), 24);
    }
}
