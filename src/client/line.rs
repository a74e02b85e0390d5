//! The server line: where a server is and which key it has, in one line that can be handed on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "oicq://";
const EXAMPLE: &str = "oicq://example.org:8000/?key=…, or example.org:8000 to learn the key on first use";

/// Where a server is and which key it has: `oicq://host:port/?key=…`, the key as 43 letters of base64url. Written without
/// a key, or as `host:port` alone, it is learnt on first use.
///
/// ```
/// use oicq::client::ServerLine;
///
/// let line: ServerLine = "oicq://example.org:8000/?key=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE".parse()?;
/// assert_eq!((line.host.as_str(), line.port, line.key), ("example.org", 8000, Some([1; 32])));
/// let plain: ServerLine = "[::1]:8000".parse()?;
/// assert_eq!((plain.host.as_str(), plain.key), ("::1", None));
/// # Ok::<(), oicq::client::ServerLineError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLine {
    /// Name or address; one of IPv6 without brackets.
    pub host: String,
    /// Port, UDP and TCP.
    pub port: u16,
    /// The server's public key, if the line has it.
    pub key: Option<[u8; 32]>,
}

/// A server line that cannot be read; the text says what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLineError(String);

impl fmt::Display for ServerLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ServerLineError {}

impl FromStr for ServerLine {
    type Err = ServerLineError;

    fn from_str(line: &str) -> Result<Self, ServerLineError> {
        let wrong = |what: &str| ServerLineError(format!("{what}; a server is written like {EXAMPLE}"));
        let rest = line.trim();
        let rest = rest.strip_prefix(SCHEME).unwrap_or(rest);
        let (place, query) = match rest.split_once(['/', '?']) {
            Some((place, query)) => (place, query.trim_start_matches('?')),
            None => (rest, ""),
        };
        let Some((host, port)) = place.rsplit_once(':') else { return Err(wrong("the port is missing")) };
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong("the port is no number"))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host,
            None if host.contains(':') => return Err(wrong("an address of IPv6 stands in brackets")),
            None => host,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '@') {
            return Err(wrong("the host is missing"));
        }
        let key = match query {
            "" => None,
            _ => {
                let text = query.strip_prefix("key=").ok_or_else(|| wrong("only `key=` can follow the port"))?;
                Some(key(text).ok_or_else(|| wrong("the key is not 43 letters of base64url (or 64 of hex)"))?)
            }
        };
        Ok(Self { host: host.to_owned(), port, key })
    }
}

impl fmt::Display for ServerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.place())?;
        match &self.key {
            Some(key) => write!(f, "/?key={}", URL_SAFE_NO_PAD.encode(key)),
            None => Ok(()),
        }
    }
}

impl ServerLine {
    /// Host and port alone, as addresses are written.
    pub fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// A key as people write it: base64url without padding, or hex.
pub fn key(text: &str) -> Option<[u8; 32]> {
    let bytes = if text.len() == 64 {
        let pair = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        (0..64).step_by(2).map(pair).collect::<Option<Vec<u8>>>()?
    } else {
        URL_SAFE_NO_PAD.decode(text).ok()?
    };
    bytes.try_into().ok()
}

/// A key as people compare it: eight groups of eight hex digits.
pub fn fingerprint(key: &[u8; 32]) -> String {
    let group = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    key.chunks(4).map(group).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        let key: [u8; 32] = std::array::from_fn(|i| i as u8 * 7);
        for host in ["example.org", "127.0.0.1", "::1"] {
            for key in [None, Some(key)] {
                let line = ServerLine { host: host.into(), port: 8000, key };
                assert_eq!(line.to_string().parse(), Ok(line));
            }
        }
        let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        let line: ServerLine = format!("oicq://h:1?key={hex}").parse().unwrap();
        assert_eq!(line.key, Some(key));
        assert_eq!(fingerprint(&[0xab; 32]).split(' ').collect::<Vec<_>>(), ["abababab"; 8]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, what) in [
            ("nowhere", "the port is missing"),
            ("host:port", "the port is no number"),
            ("host:0", "the port is no number"),
            ("::1:8000", "an address of IPv6 stands in brackets"),
            (":8000", "the host is missing"),
            ("oicq://user@host:8000", "the host is missing"),
            ("host:8000/path", "only `key=` can follow the port"),
            ("host:8000/?key=AQEB", "the key is not"),
            ("host:8000/?key=+234567890123456789012345678901234567890123456789012345678901234", "the key is not"),
        ] {
            let error = line.parse::<ServerLine>().unwrap_err().to_string();
            assert!(error.starts_with(what) && error.contains("example.org:8000"), "{line}: {error}");
        }
    }
}
