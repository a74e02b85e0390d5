//! Bans: of an account, of an address, of a network, each with the operator's words and an end.

use super::Utc;
use crate::wire::{Field, Reader, Writer};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The bits of an IPv6 address that stand before an IPv4 address in it.
const MAPPED_BITS: u8 = 96;

/// A network: all addresses that begin with these bits. IPv4 addresses are `::ffff:a.b.c.d`, so one is never banned in one
/// notation and free in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    bits: u128,
    /// How many count, of 128.
    length: u8,
}

impl Network {
    /// The network of this length around an address, whose other bits are forgotten. `None` if no address has so many bits.
    pub fn new(ip: IpAddr, length: u8) -> Option<Self> {
        let length = match ip.to_canonical() {
            // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
            IpAddr::V4(_) if ip.is_ipv6() => {
                length.checked_sub(MAPPED_BITS).and_then(|length| length.checked_add(MAPPED_BITS))?
            }
            IpAddr::V4(_) => length.checked_add(MAPPED_BITS)?,
            IpAddr::V6(_) => length,
        };
        (length <= 128).then(|| Self { bits: bits_of(ip) & mask(length), length })
    }

    /// One address.
    pub fn host(ip: IpAddr) -> Self {
        Self { bits: bits_of(ip), length: 128 }
    }

    /// The network of this length, of 128, that an address is in.
    pub fn around(ip: IpAddr, length: u8) -> Self {
        Self { bits: bits_of(ip) & mask(length), length }
    }

    /// How many bits count, of 128.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether an address is in it.
    pub fn has(self, ip: IpAddr) -> bool {
        bits_of(ip) & mask(self.length) == self.bits
    }

    /// Whether all addresses of another one are in it.
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && other.bits & mask(self.length) == self.bits
    }

    /// Whether it has addresses of this machine itself, or so many that it was hardly meant.
    pub fn is_alarming(self) -> bool {
        let loopback = [Self::around([127, 0, 0, 0].into(), MAPPED_BITS + 8), Self::host(Ipv6Addr::LOCALHOST.into())];
        let least = if self.is_ipv4() { MAPPED_BITS + 8 } else { 16 };
        self.length < least || loopback.iter().any(|own| self.covers(*own) || own.covers(self))
    }

    fn is_ipv4(self) -> bool {
        self.length >= MAPPED_BITS && self.bits >> 32 == 0xFFFF
    }
}

fn bits_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = Ipv6Addr::from_bits(self.bits);
        let (ip, length, whole) = if self.is_ipv4() {
            (ip.to_canonical(), self.length - MAPPED_BITS, 32)
        } else {
            (ip.into(), self.length, 128)
        };
        if length == whole { ip.fmt(f) } else { write!(f, "{ip}/{length}") }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write an address, or an address and a length such as 192.0.2.0/24 or 2001:db8::/32";
        let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
        let ip: IpAddr = ip.parse().map_err(|_| WRONG)?;
        match length {
            None => Ok(Self::host(ip)),
            Some(length) => length.parse().ok().and_then(|length| Self::new(ip, length)).ok_or(WRONG),
        }
    }
}

/// Who is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Banned {
    /// An account.
    Account(u32),
    /// Whoever comes from there.
    Network(Network),
}

/// `10001`, `192.0.2.0/24`.
impl fmt::Display for Banned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(number) => number.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl FromStr for Banned {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Account).or_else(|_| text.parse().map(Self::Network))
    }
}

/// One ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub who: Banned,
    /// Since when, in ms since 1970 UTC.
    pub since_ms: u64,
    /// Until when; `u64::MAX` for ever.
    pub until_ms: u64,
    /// Why: the banned person is told so.
    pub reason: Box<str>,
}

impl Ban {
    /// Whether it is still in force.
    pub fn holds(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }

    /// What the banned person is told.
    pub fn words(&self) -> String {
        match self.until_ms {
            u64::MAX => format!("banned for good: {}", self.reason),
            until_ms => format!("banned until {}: {}", Utc(until_ms), self.reason),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(36 + self.reason.len());
        let mut writer = Writer::new(&mut bytes);
        match self.who {
            Banned::Account(number) => {
                0_u8.write(&mut writer);
                number.write(&mut writer);
            }
            Banned::Network(Network { bits, length }) => {
                1_u8.write(&mut writer);
                length.write(&mut writer);
                writer.put(&bits.to_be_bytes());
            }
        }
        self.since_ms.write(&mut writer);
        self.until_ms.write(&mut writer);
        (&*self.reason).write(&mut writer);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (who, rest) = match kind {
            0 => {
                let (number, rest) = rest.split_first_chunk()?;
                (Banned::Account(u32::from_be_bytes(*number)), rest)
            }
            1 => {
                let (length, rest) = rest.split_first()?;
                let (bits, rest) = rest.split_first_chunk()?;
                (Banned::Network(Network { bits: u128::from_be_bytes(*bits), length: *length }), rest)
            }
            _ => return None,
        };
        let mut reader = Reader::new(rest, 0);
        Some(Self {
            who,
            since_ms: u64::read(&mut reader).ok()?,
            until_ms: u64::read(&mut reader).ok()?,
            reason: <&str>::read(&mut reader).ok()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
    }

    #[test]
    fn a_network_is_the_same_however_it_is_written() {
        for (written, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8:1:2:3::/64", "2001:db8:1:2::/64"),
            ("::/0", "::/0"),
            ("2001:db8::1/128", "2001:db8::1"),
        ] {
            assert_eq!(network(written).to_string(), shown, "{written}");
        }
        for wrong in
            ["", "192.0.2.0/33", "::/129", "192.0.2", "192.0.2.0/", "/8", "192.0.2.0/-1", "::ffff:192.0.2.0/24"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_in_a_network_or_not() {
        let has = |net: &str, ip: &str| network(net).has(ip.parse().expect("an address"));
        assert!(has("192.0.2.0/24", "192.0.2.255") && has("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(!has("192.0.2.0/24", "192.0.3.0") && !has("192.0.2.0/24", "::c000:201"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1") && !has("2001:db8::/32", "2001:db9::"));
        assert!(has("::/0", "192.0.2.1") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(
            network("10.0.0.0/8").covers(network("10.1.0.0/16"))
                && !network("10.1.0.0/16").covers(network("10.0.0.0/8"))
        );
    }

    #[test]
    fn what_was_hardly_meant_is_known() {
        for alarming in
            ["127.0.0.1", "127.0.0.0/8", "127.3.0.0/16", "::1", "0.0.0.0/0", "::/0", "96.0.0.0/3", "::/8", "2000::/3"]
        {
            assert!(network(alarming).is_alarming(), "{alarming}");
        }
        for good in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "fe80::/16"] {
            assert!(!network(good).is_alarming(), "{good}");
        }
    }

    #[test]
    fn a_record_comes_back() {
        for who in [Banned::Account(10_001), Banned::Network(network("2001:db8::/32"))] {
            let ban = Ban { who, since_ms: 5, until_ms: 951_782_400_000, reason: "why".into() };
            assert_eq!(Ban::decode(&ban.encode()), Some(ban.clone()));
            assert_eq!(Ban::decode(&ban.encode()[..12]), None);
            assert_eq!(ban.words(), "banned until 2000-02-29 00:00:00 UTC: why");
            assert_eq!(Ban { until_ms: u64::MAX, ..ban }.words(), "banned for good: why");
        }
    }
}
