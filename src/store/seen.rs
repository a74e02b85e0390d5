//! When and where a user was last here: written when a session begins or ends, not with each packet.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// When and where a user was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When, in ms since 1970 UTC.
    pub at_ms: u64,
    /// Where, if that is known.
    pub address: Option<SocketAddr>,
}

/// A time, an address and a port.
const BYTES: usize = 8 + 16 + 2;

impl Seen {
    pub(super) fn encode(&self) -> Vec<u8> {
        let nowhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let address = self.address.unwrap_or(nowhere);
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&self.at_ms.to_be_bytes());
        bytes.extend_from_slice(&ip.octets());
        bytes.extend_from_slice(&address.port().to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let ip = Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[8..24]).ok()?);
        let port = u16::from_be_bytes([bytes[24], bytes[25]]);
        let address = (!ip.is_unspecified()).then(|| SocketAddr::new(ip.to_canonical(), port));
        Some(Self { at_ms: u64::from_be_bytes(*bytes.first_chunk()?), address })
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn a_record_comes_back() {
        for address in [None, Some("192.0.2.1:70"), Some("[2001:db8::1]:65535")] {
            let seen = Seen { at_ms: 7, address: address.map(|text| text.parse().expect("an address")) };
            assert_eq!(Seen::decode(&seen.encode()), Some(seen));
        }
        assert_eq!(Seen::decode(&[0; 25]), None);
    }
}
