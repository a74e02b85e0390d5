//! What the operator can set while the server runs: every shard gets it at its start, and again at each reload.

use super::budget::Kind;
use crate::limits;
use crate::store::Limits;
use std::fmt;
use std::str::FromStr;

/// How fast something may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many a second in the long run. 0: as fast as may be.
    pub per_second: u32,
    /// So many at once.
    pub burst: u32,
}

impl Rate {
    /// As fast as may be.
    pub const UNLIMITED: Self = Self { per_second: 0, burst: 0 };

    /// Whether it is no bound.
    pub fn is_unlimited(self) -> bool {
        self.per_second == 0
    }

    /// In how many microseconds so many come together.
    pub(super) fn micros(self, tokens: u32) -> u64 {
        u64::from(tokens) * 1_000_000 / u64::from(self.per_second.max(1))
    }
}

/// As in the configuration: so many a second, so many at once.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() { f.write_str("unlimited") } else { write!(f, "{}/{}", self.per_second, self.burst) }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::UNLIMITED);
        }
        let numbers = text.split_once('/').and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        match numbers {
            Some((per_second @ 1.., burst @ 1..)) => Ok(Self { per_second, burst }),
            _ => Err(format!("{text:?} is no rate; one is 20/200, so many a second and so many at once, or unlimited")),
        }
    }
}

/// How much an account may do (protocol.md 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Messages, one for each recipient, and offers of files.
    pub messages: Rate,
    /// Requests that write.
    pub writes: Rate,
    /// Requests that read.
    pub reads: Rate,
    /// Bytes of files.
    pub file_bytes: Rate,
}

impl Budgets {
    /// No bounds: for those who measure the server.
    pub const UNLIMITED: Self = Self {
        messages: Rate::UNLIMITED,
        writes: Rate::UNLIMITED,
        reads: Rate::UNLIMITED,
        file_bytes: Rate::UNLIMITED,
    };

    /// The same for an account with these limits of its own.
    #[must_use]
    pub(super) fn with(mut self, own: &Limits) -> Self {
        let rates = [&mut self.messages, &mut self.writes, &mut self.reads, &mut self.file_bytes];
        for (rate, own) in rates.into_iter().zip(own) {
            if let Some([per_second, burst]) = *own {
                *rate = Rate { per_second, burst };
            }
        }
        self
    }

    pub(super) fn rate(&self, kind: Kind) -> Rate {
        match kind {
            Kind::Message => self.messages,
            Kind::Write => self.writes,
            Kind::Read => self.reads,
            Kind::FileByte => self.file_bytes,
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            messages: rate(limits::MESSAGES_PER_SECOND, limits::MESSAGES_BURST),
            writes: rate(limits::WRITES_PER_SECOND, limits::WRITES_BURST),
            reads: rate(limits::READS_PER_SECOND, limits::READS_BURST),
            file_bytes: rate(limits::FILE_BYTES_PER_SECOND, limits::FILE_BYTES_BURST),
        }
    }
}

/// Who may register (protocol.md 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistrationMode {
    /// Everybody.
    #[default]
    Open,
    /// Whoever has an invite code.
    Invite,
    /// Everybody, but nobody can sign in until the operator has approved the account.
    Approve,
    /// Nobody: the operator adds accounts.
    Closed,
}

/// What the operator has set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Who may register.
    pub registration: RegistrationMode,
    /// How much each account may do, unless it has limits of its own.
    pub budgets: Budgets,
}
