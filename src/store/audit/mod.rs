//! The audit log (protocol.md 4.3): one line of text for each event, chained and sealed.
//!
//! ```text
//! seq time action monitor target "detail" previous mac
//! ```
//!
//! `mac` is the HMAC-SHA-256 of the line up to it, without the space before it, and `previous` the mac of the line before.
//! The key is in the store ([`AuditSeal`]), and so is the end of the log. What that is worth:
//!
//! - Who can write the log alone can change nothing that is not found: a line that was changed, put in or taken out has no
//!   fitting mac, and a log that was cut, emptied, deleted or replaced by an older one ends before the end in the store.
//! - Who can write the whole data directory has the key as well, and can forge a log. Against that only a copy of the end
//!   helps that is kept elsewhere: `oicqd grant audit` prints it.
//!
//! Version 0.1.0 wrote an unkeyed SHA-256 instead of the mac. Those lines stay good up to the number that the seal records.
//!
//! A log that is broken is never appended to. It is set aside under another name, a new one begins, and nobody monitors
//! anybody until the operator has acknowledged it.

mod line;
mod seal;

pub use seal::{AuditCheck, AuditSeal, SetAside};

use super::disk::{Disk, Window};
use super::{AuditAction, AuditEvent, OpenError, Utc};
use std::io;

/// The file.
pub const NAME: &str = "audit.log";

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditHead {
    /// Bytes of the file.
    pub bytes: u64,
    /// The number of the last line; 0 if there is none.
    pub seq: u64,
    /// The mac of the last line; zero if there is none.
    pub hash: [u8; 32],
}

/// What is wrong with an audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBreak {
    /// The first broken line; the first line is 1.
    pub line: u64,
    /// Where it begins.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: String,
}

impl std::fmt::Display for AuditBreak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} (at byte {}): {}", self.line, self.offset, self.fault)
    }
}

impl AuditHead {
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
    /// `None` before the first server or command that writes has made one: nothing is appended without.
    seal: Option<AuditSeal>,
    /// There may be more in the file than was synced, and it must go before anything is appended.
    dirty: bool,
    /// What is wrong with the file. It is left as it is until it is set aside.
    broken: Option<AuditBreak>,
    /// Nobody was told of that yet.
    alarm: bool,
}

impl Audit {
    /// Opens the log, whose end was `known` when the journal last spoke of it. All of it is checked. Lines after that end
    /// were not answered: good ones are kept, and what is left of a torn one goes.
    pub(super) fn open<D: Disk>(disk: &mut D, known: AuditHead, seal: Option<AuditSeal>) -> Result<Self, OpenError> {
        let failed = || OpenError::io(format!("read {NAME}"));
        let size = disk.size(NAME).map_err(failed())?.unwrap_or(0);
        let mut window = Window::new(disk, NAME);
        let mut check = AuditCheck::new(known, seal.clone()).begin();
        let mut torn = false;
        while check.head.bytes < size && !check.is_over() {
            // A line is read back in one piece, however long its escapes have made it.
            let bytes = window.at(check.head.bytes, line::MOST_BYTES).map_err(failed())?;
            let length = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            // What a crash has left of an append ends nowhere, or has places that were never written.
            torn = !bytes[..length].ends_with(b"\n") || bytes[..length].contains(&0);
            check.line(&bytes[..length]);
        }
        let (head, broken) = match check.end() {
            Ok(head) => (head, None),
            Err(broken) if torn && broken.line > known.seq && broken.offset >= known.bytes => (check.head, None),
            Err(broken) => (known, Some(broken)),
        };
        let dirty = broken.is_none() && size > head.bytes;
        let mut audit = Self { head, seal, dirty, alarm: broken.is_some(), broken };
        audit.repair(disk).map_err(OpenError::io(format!("write to {NAME}")))?;
        Ok(audit)
    }

    pub(super) fn head(&self) -> AuditHead {
        self.head
    }

    /// What is wrong with the file, if anything is.
    pub(super) fn broken(&self) -> Option<&AuditBreak> {
        self.broken.as_ref()
    }

    /// The same, once.
    pub(super) fn take_alarm(&mut self) -> Option<AuditBreak> {
        std::mem::take(&mut self.alarm).then(|| self.broken.clone()).flatten()
    }

    /// Whether something can be appended: the file is as long as it should be, and there is a key.
    pub(super) fn is_ready<D: Disk>(&mut self, disk: &D) -> bool {
        if self.broken.is_none() && !self.dirty {
            let size = disk.size(NAME).ok().map(Option::unwrap_or_default);
            if size.is_some_and(|size| size != self.head.bytes) {
                let AuditHead { bytes, seq, .. } = self.head;
                let fault = format!("the file has {} bytes where the store knows {bytes}", size.unwrap_or_default());
                (self.broken, self.alarm) = (Some(AuditBreak { line: seq, offset: bytes, fault }), true);
            }
        }
        self.broken.is_none() && self.seal.is_some()
    }

    /// This is the seal from now on.
    pub(super) fn set_seal(&mut self, seal: AuditSeal) {
        self.seal = Some(seal);
    }

    /// Gives the file another name, and begins a new one.
    pub(super) fn set_aside<D: Disk>(&mut self, disk: &mut D, name: &str) -> io::Result<()> {
        if disk.size(NAME)?.is_some() {
            disk.rename(NAME, name)?;
            disk.sync_dir()?;
        }
        (self.head, self.dirty, self.broken, self.alarm) = (AuditHead::default(), false, None, false);
        Ok(())
    }

    /// Appends these events and syncs them; [`Self::rewind`] takes them back.
    pub(super) fn append<'a, D: Disk>(
        &mut self,
        disk: &mut D,
        events: impl Iterator<Item = &'a AuditEvent>,
    ) -> io::Result<()> {
        let Some(seal) = self.seal.as_ref().filter(|_| self.broken.is_none()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the audit log cannot be appended to"));
        };
        let (mut head, mut log) = (self.head, String::new());
        events.for_each(|event| head = line::write(&head, seal, event, &mut log));
        self.repair(disk)?;
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

/// The name under which a broken log is set aside: the first that is free.
pub(super) fn aside_name(time_ms: u64, taken: &[String]) -> String {
    let time: String = Utc(time_ms).rfc3339().chars().filter(|char| *char != ':').collect();
    let mut name = format!("audit-broken-{time}.log");
    for nth in 2_u32.. {
        if !taken.contains(&name) {
            break;
        }
        name = format!("audit-broken-{time}-{nth}.log");
    }
    name
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
            Self::Broken => "broken",
            Self::Acknowledge => "acknowledge",
        }
    }
}
