//! What the store knows of the audit log beside the file: the key of its lines, its end, and whether an earlier log was
//! found broken.

use super::line::{self, Hex};
use super::{AuditBreak, AuditHead};
use crate::wire::{Field, Reader, Writer};
use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead};

const VERSION: u8 = 1;

/// The record of the store about the log.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditSeal {
    key: [u8; 32],
    /// The first line with a mac: those before it were written by version 0.1.0, which had none.
    since: u64,
    /// The log before this one was broken, and the operator has not said that he knows.
    broken: Option<SetAside>,
}

/// A broken log, set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// When, in ms since 1970 UTC.
    pub time_ms: u64,
    /// The file, in the data directory.
    pub name: Box<str>,
    /// What was wrong with it.
    pub fault: Box<str>,
}

/// The key is not shown.
impl std::fmt::Debug for AuditSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditSeal").field("since", &self.since).field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl AuditSeal {
    /// For a log that has so many lines already; the key should be random.
    pub(in crate::store) fn new(key: [u8; 32], lines: u64) -> Self {
        Self { key, since: lines + 1, broken: None }
    }

    /// What a line ends with, after this text.
    pub(super) fn proof(&self, seq: u64, text: &[u8]) -> [u8; 32] {
        if seq < self.since {
            return Sha256::digest(text).into();
        }
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), text);
        tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// The log that was set aside and is not acknowledged.
    pub fn broken(&self) -> Option<&SetAside> {
        self.broken.as_ref()
    }

    /// The log was set aside. The new one has macs from its first line on.
    pub(in crate::store) fn set_aside(&mut self, broken: SetAside) {
        (self.since, self.broken) = (1, Some(broken));
    }

    /// The operator knows.
    pub(in crate::store) fn acknowledge(&mut self) {
        self.broken = None;
    }

    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        VERSION.write(&mut writer);
        writer.put(&self.key);
        self.since.write(&mut writer);
        u8::from(self.broken.is_some()).write(&mut writer);
        if let Some(SetAside { time_ms, name, fault }) = &self.broken {
            time_ms.write(&mut writer);
            (&**name).write(&mut writer);
            (&**fault).write(&mut writer);
        }
        bytes
    }

    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, bytes) = bytes.split_first()?;
        let (key, bytes) = bytes.split_first_chunk()?;
        let mut reader = Reader::new(bytes, 0);
        let since = u64::read(&mut reader).ok()?;
        let broken = match u8::read(&mut reader).ok()? {
            0 => None,
            _ => Some(SetAside {
                time_ms: u64::read(&mut reader).ok()?,
                name: <&str>::read(&mut reader).ok()?.into(),
                fault: <&str>::read(&mut reader).ok()?.into(),
            }),
        };
        (*version == VERSION).then_some(Self { key: *key, since, broken })
    }
}

/// What a log is checked against.
#[derive(Debug, Clone)]
pub struct AuditCheck {
    known: AuditHead,
    seal: Option<AuditSeal>,
}

impl AuditCheck {
    pub(in crate::store) fn new(known: AuditHead, seal: Option<AuditSeal>) -> Self {
        Self { known, seal }
    }

    /// The log that was set aside and is not acknowledged.
    pub fn set_aside(&self) -> Option<&SetAside> {
        self.seal.as_ref()?.broken()
    }

    /// Reads a log, and gives back its end, or what is wrong with its first broken line. Good lines after the end that the
    /// store knows are on their way there.
    pub fn verify(&self, mut log: impl BufRead) -> io::Result<Result<AuditHead, AuditBreak>> {
        let mut checking = self.clone().begin();
        let mut line = Vec::new();
        while !checking.is_over() {
            line.clear();
            let length = log.read_until(b'\n', &mut line)?;
            // The last line may be on its way to the file just now.
            if length == 0 || (!line.ends_with(b"\n") && checking.head.seq >= self.known.seq) {
                break;
            }
            checking.line(&line);
        }
        Ok(checking.end())
    }

    pub(super) fn begin(self) -> Checking {
        Checking { against: self, head: AuditHead::default(), broken: None }
    }
}

/// A log that is being read.
pub(super) struct Checking {
    against: AuditCheck,
    /// The end of what was read.
    pub(super) head: AuditHead,
    broken: Option<AuditBreak>,
}

impl Checking {
    /// Whether something was wrong already.
    pub(super) fn is_over(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        let known = &self.against.known;
        match line::follow(&self.head, self.against.seal.as_ref(), line) {
            Ok(head) if head.seq == known.seq && head != *known => {
                self.fault("it is not the line that the store knows".to_owned());
            }
            Ok(head) => self.head = head,
            Err(fault) => self.fault(fault.to_owned()),
        }
    }

    fn fault(&mut self, fault: String) {
        self.broken = Some(AuditBreak { line: self.head.seq + 1, offset: self.head.bytes, fault });
    }

    /// What it has come to.
    pub(super) fn end(&mut self) -> Result<AuditHead, AuditBreak> {
        let (first, last) = (self.head.seq + 1, self.against.known.seq);
        if self.broken.is_none() && first <= last {
            self.fault(match last - first {
                0 => "it is missing".to_owned(),
                _ => format!("lines {first} to {last} are missing"),
            });
        }
        self.broken.clone().map_or(Ok(self.head), Err)
    }
}

/// The end as the operator writes it down elsewhere.
impl std::fmt::Display for AuditHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, Hex(&self.hash))
    }
}
