//! Address prefixes: the unit in which strangers are counted.
//!
//! One customer of a provider has one IPv4 address but at least 2^64 IPv6 addresses, and often 65,536 networks of that size.
//! So a limit counts an IPv4 address whole and an IPv6 address by its /64, and puts a ceiling on all of a /48
//! ([`Prefix::site`]), which may have [`limits::PREFIXES_OF_SITE`] times as much as one prefix.

use crate::limits;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The part of an address that a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// One IPv4 address.
    V4(u32),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
    /// The first 48 bits of an IPv6 address, in the upper bits.
    Site(u64),
}

/// The bits of a /64 that name its /48.
const SITE_BITS: u64 = !0xFFFF;

impl Prefix {
    /// Of what has no address: no packet comes from 0.0.0.0.
    pub(super) const NOWHERE: Self = Self::V4(0);
    /// The first in their order, and the last.
    pub(super) const LOWEST: Self = Self::V4(0);
    /// See [`Self::LOWEST`].
    pub(super) const HIGHEST: Self = Self::Site(u64::MAX);

    /// The prefix of an address. An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) counts as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6((ip.to_bits() >> 64) as u64),
        }
    }

    /// The /48 that an IPv6 prefix is part of: its ceiling. IPv4 has none.
    pub fn site(self) -> Option<Self> {
        match self {
            Self::V4(_) => None,
            Self::V6(bits) | Self::Site(bits) => Some(Self::Site(bits & SITE_BITS)),
        }
    }

    /// Whether it is this machine itself. A developer's machine is many users behind one prefix, so limits of speed are off
    /// for it; bounds of memory are not.
    pub fn is_loopback(self) -> bool {
        match self {
            Self::V4(bits) => Ipv4Addr::from_bits(bits).is_loopback(),
            // `::1` is the only address of it that exists.
            Self::V6(bits) => bits == 0,
            Self::Site(_) => false,
        }
    }

    /// How much of something this prefix may have where one prefix may have `share`.
    pub fn allowance(self, share: u32) -> u32 {
        if let Self::Site(_) = self { share.saturating_mul(limits::PREFIXES_OF_SITE) } else { share }
    }
}

/// As people write it: `192.0.2.1`, `2001:db8:1:2::/64`, `2001:db8:1::/48`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits) => Ipv4Addr::from_bits(bits).fmt(f),
            Self::V6(bits) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(bits) << 64)),
            Self::Site(bits) => write!(f, "{}/48", Ipv6Addr::from_bits(u128::from(bits) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::of(text.parse().expect("an address"))
    }

    #[test]
    fn ipv4_counts_whole_and_ipv6_by_its_first_64_bits() {
        assert_eq!(prefix("192.0.2.1"), prefix("::ffff:192.0.2.1"), "the same machine in the other notation");
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:3::1"));
        assert_ne!(prefix("0.0.0.1"), prefix("::1"), "an IPv4 address is never an IPv6 prefix");
    }

    #[test]
    fn a_site_is_the_48_bits_above_its_prefixes_and_may_have_more() {
        let (one, other) = (prefix("2001:db8:1:2::1"), prefix("2001:db8:1:ffff::1"));
        assert_eq!(one.site(), other.site());
        assert_ne!(one.site(), prefix("2001:db8:2:2::1").site());
        assert_eq!(prefix("192.0.2.1").site(), None);
        assert!(
            prefix("127.1.2.3").is_loopback() && prefix("::1").is_loopback() && !prefix("2001:db8::1").is_loopback()
        );
        let site = one.site().expect("IPv6 has one");
        assert_eq!(site.site(), Some(site));
        assert_eq!((one.allowance(10), site.allowance(10)), (10, 10 * limits::PREFIXES_OF_SITE));
    }

    #[test]
    fn prefixes_are_written_as_people_write_them() {
        let all =
            [prefix("::ffff:192.0.2.1"), prefix("2001:db8:1:2::1"), prefix("2001:db8:1:2::1").site().expect("one")];
        assert_eq!(all.map(|one| one.to_string()), ["192.0.2.1", "2001:db8:1:2::/64", "2001:db8:1::/48"]);
    }
}
