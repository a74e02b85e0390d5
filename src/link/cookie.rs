//! Cookies (protocol.md 2.2): under pressure a client proves its address before the server computes anything for it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use std::fmt;
use std::net::SocketAddr;

const COOKIE_BYTES: usize = 16;
/// How long a secret makes cookies; it checks them for as long again.
const SECRET_MS: u64 = 60_000;

/// Makes and checks cookies. It keeps nothing of those who got one.
pub struct Cookies {
    present: hmac::Key,
    previous: hmac::Key,
    since_ms: u64,
}

impl Cookies {
    /// With two fresh secrets.
    pub fn new(now_ms: u64, secrets: [[u8; 32]; 2]) -> Self {
        let [present, previous] = secrets.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret));
        Self { present, previous, since_ms: now_ms }
    }

    /// Whether the present secret has served its minute. After a long rest the previous one has, too: ask again.
    pub fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.since_ms + SECRET_MS
    }

    /// Takes a fresh secret for the next minute.
    pub fn renew(&mut self, now_ms: u64, secret: [u8; 32]) {
        let present = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        self.previous = std::mem::replace(&mut self.present, present);
        // Of a rest of hours the last two minutes are enough.
        self.since_ms = (self.since_ms + SECRET_MS).max(now_ms.saturating_sub(2 * SECRET_MS - 1));
    }

    /// The cookie of this address for this number.
    pub fn make(&self, from: SocketAddr, number: u32) -> [u8; COOKIE_BYTES] {
        mac(&self.present, from, number)
    }

    /// Whether this is a cookie that was made for this address and number, at most two minutes ago.
    pub fn check(&self, from: SocketAddr, number: u32, cookie: &[u8]) -> bool {
        [&self.present, &self.previous]
            .into_iter()
            .any(|key| verify_slices_are_equal(&mac(key, from, number), cookie).is_ok())
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookies")
    }
}

fn mac(key: &hmac::Key, from: SocketAddr, number: u32) -> [u8; COOKIE_BYTES] {
    let mut context = hmac::Context::with_key(key);
    match from {
        SocketAddr::V4(from) => context.update(&from.ip().octets()),
        SocketAddr::V6(from) => context.update(&from.ip().octets()),
    }
    context.update(&from.port().to_be_bytes());
    context.update(&number.to_be_bytes());
    let tag = context.sign();
    tag.as_ref()[..COOKIE_BYTES].try_into().expect("SHA-256 is longer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_fits_its_address_its_number_and_its_time() {
        let mut cookies = Cookies::new(0, [[1; 32], [2; 32]]);
        let (here, there): (SocketAddr, SocketAddr) =
            ("10.0.0.1:5".parse().expect("an address"), "10.0.0.1:6".parse().expect("an address"));
        let cookie = cookies.make(here, 10_001);
        assert!(cookies.check(here, 10_001, &cookie));
        assert!(!cookies.check(there, 10_001, &cookie) && !cookies.check(here, 10_002, &cookie));
        assert!(!cookies.check(here, 10_001, &cookie[..15]) && !cookies.check(here, 10_001, &[]));
        assert!(!cookies.is_due(59_999) && cookies.is_due(60_000));
        cookies.renew(60_000, [3; 32]);
        assert!(cookies.check(here, 10_001, &cookie) && cookies.make(here, 10_001) != cookie);
        cookies.renew(120_000, [4; 32]);
        assert!(!cookies.check(here, 10_001, &cookie));
        // Nobody has asked for an hour.
        let cookie = cookies.make(here, 10_001);
        let mut renewed = 0;
        while cookies.is_due(3_600_000) {
            cookies.renew(3_600_000, [5 + renewed; 32]);
            renewed += 1;
        }
        assert!((2..=3).contains(&renewed) && !cookies.check(here, 10_001, &cookie));
    }
}
