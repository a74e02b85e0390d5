//! The audit log (protocol.md 4.3): one line of text for each event, chained by hash.
//!
//! ```text
//! seq time action monitor target "detail" previous hash
//! ```
//!
//! `hash` is the SHA-256 of the line up to it, without the space before it, and `previous` the hash of the line before,
//! so no line can be changed, taken out or put in without a break. What the last line is stands in the journal too, so
//! the end cannot be cut off either.

use super::disk::Disk;
use super::{AuditAction, AuditEvent, OpenError};
use crate::limits;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{self, BufRead};

/// The file.
pub(super) const NAME: &str = "audit.log";

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditHead {
    /// Bytes of the file.
    pub bytes: u64,
    /// The number of the last line; 0 if there is none.
    pub seq: u64,
    /// The hash of the last line; zero if there is none.
    pub hash: [u8; 32],
}

/// What is wrong with an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditBreak {
    /// The first broken line; the first line is 1.
    pub line: u64,
    /// Where it begins.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// Reads an audit log and returns its end, or its first broken line. Compare the end with
/// [`Store::audit_head`](super::Store::audit_head): a log whose end was cut off is in itself whole.
pub fn verify_audit(mut log: impl BufRead) -> io::Result<Result<AuditHead, AuditBreak>> {
    let mut head = AuditHead::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if log.read_until(b'\n', &mut line)? == 0 {
            return Ok(Ok(head));
        }
        match head.follow(&line) {
            Ok(next) => head = next,
            Err(fault) => return Ok(Err(AuditBreak { line: head.seq + 1, offset: head.bytes, fault })),
        }
    }
}

impl AuditHead {
    /// Appends the line of an event.
    fn write(&mut self, event: &AuditEvent, log: &mut String) {
        let from = log.len();
        let _ = write!(
            log,
            "{} {} {} {} {} \"{}\" {} ",
            self.seq + 1,
            Utc(event.time_ms),
            event.action.word(),
            event.monitor,
            event.target,
            cut(&event.detail).escape_debug(),
            Hex(&self.hash),
        );
        let hash: [u8; 32] = Sha256::digest(&log.as_bytes()[from..log.len() - 1]).into();
        let _ = writeln!(log, "{}", Hex(&hash));
        *self = Self { bytes: self.bytes + (log.len() - from) as u64, seq: self.seq + 1, hash };
    }

    /// The end of the log if this line comes next.
    fn follow(&self, line: &[u8]) -> Result<Self, &'static str> {
        let Some(text) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else {
            return Err("it is cut off or not text");
        };
        let mut parts = text.rsplitn(3, ' ');
        let (Some(hash), Some(previous), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it has too few fields");
        };
        if body.split(' ').next() != Some(&(self.seq + 1).to_string()) {
            return Err("its number does not follow");
        }
        if previous != Hex(&self.hash).to_string() {
            return Err("it does not belong to the line before");
        }
        let own: [u8; 32] = Sha256::digest(&text.as_bytes()[..text.len() - hash.len() - 1]).into();
        if hash != Hex(&own).to_string() {
            return Err("its hash is wrong");
        }
        Ok(Self { bytes: self.bytes + line.len() as u64, seq: self.seq + 1, hash: own })
    }

    pub(super) fn encode(&self) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&self.bytes.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_be_bytes());
        bytes[16..].copy_from_slice(&self.hash);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; 48]) -> Self {
        Self {
            bytes: u64::from_be_bytes(*bytes.first_chunk().expect("48 bytes")),
            seq: u64::from_be_bytes(*bytes[8..].first_chunk().expect("40 bytes")),
            hash: *bytes.last_chunk().expect("48 bytes"),
        }
    }
}

/// The log, open for appending.
#[derive(Debug)]
pub(super) struct Audit {
    head: AuditHead,
    /// There may be more in the file than was synced, and it must go before anything is appended.
    dirty: bool,
}

impl Audit {
    /// Opens the log, whose end was `known` when the journal last spoke of it. Lines after it were not answered: whole
    /// ones are kept, a torn one goes.
    pub(super) fn open<D: Disk>(disk: &mut D, known: AuditHead) -> Result<Self, OpenError> {
        let failed = || OpenError::io(format!("read {NAME}"));
        let size = disk.size(NAME).map_err(failed())?.unwrap_or(0);
        if size < known.bytes {
            return Err(OpenError::damaged(NAME, size, "its end is missing"));
        }
        check_last_line(disk, known)?;
        let mut head = known;
        if size > known.bytes {
            let tail = disk.read(NAME, known.bytes, (size - known.bytes) as usize).map_err(failed())?;
            for line in tail.split_inclusive(|byte| *byte == b'\n') {
                let Ok(next) = head.follow(line) else { break };
                head = next;
            }
        }
        let mut audit = Self { head, dirty: size > known.bytes };
        audit.repair(disk).map_err(OpenError::io(format!("write to {NAME}")))?;
        Ok(audit)
    }

    pub(super) fn head(&self) -> AuditHead {
        self.head
    }

    /// Appends these events and syncs them; [`Self::rewind`] takes them back.
    pub(super) fn append<'a, D: Disk>(
        &mut self,
        disk: &mut D,
        events: impl Iterator<Item = &'a AuditEvent>,
    ) -> io::Result<()> {
        self.repair(disk)?;
        let (mut head, mut log) = (self.head, String::new());
        events.for_each(|event| head.write(event, &mut log));
        self.dirty = true;
        disk.append(NAME, log.as_bytes())?;
        disk.sync(NAME)?;
        if self.head.bytes == 0 {
            disk.sync_dir()?;
        }
        self.dirty = false;
        self.head = head;
        Ok(())
    }

    /// Goes back to this end.
    pub(super) fn rewind<D: Disk>(&mut self, disk: &mut D, head: AuditHead) {
        self.dirty |= self.head != head;
        self.head = head;
        // If it fails now it is tried again before the next line.
        let _ = self.repair(disk);
    }

    fn repair<D: Disk>(&mut self, disk: &mut D) -> io::Result<()> {
        if self.dirty {
            if disk.size(NAME)?.is_some() {
                disk.truncate(NAME, self.head.bytes)?;
                disk.sync(NAME)?;
                disk.sync_dir()?;
            }
            self.dirty = false;
        }
        Ok(())
    }
}

/// The line that the journal knows as the last must be there, with its hash.
fn check_last_line<D: Disk>(disk: &D, known: AuditHead) -> Result<(), OpenError> {
    if known.seq == 0 {
        return Ok(());
    }
    let expected = format!(" {}\n", Hex(&known.hash));
    let from = known.bytes - expected.len() as u64;
    let found = disk.read(NAME, from, expected.len()).map_err(OpenError::io(format!("read {NAME}")))?;
    if found == expected.as_bytes() {
        Ok(())
    } else {
        Err(OpenError::damaged(NAME, from, "it is not the line that was written"))
    }
}

impl AuditAction {
    /// How the log writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Refuse => "refuse",
        }
    }
}

fn cut(detail: &str) -> &str {
    let mut end = detail.len().min(limits::AUDIT_DETAIL_BYTES);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    &detail[..end]
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A time in milliseconds since 1970, as RFC 3339 writes it.
pub(super) struct Utc(pub(super) u64);

impl std::fmt::Display for Utc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        // Days since 1 March of the year 0, in eras of 400 years (Hinnant, chrono-compatible date algorithms).
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}
