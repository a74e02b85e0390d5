//! One line of the audit log: how it is written, and whether it is the one that comes next.

use super::{AuditHead, AuditSeal};
use crate::limits;
use crate::store::{AuditEvent, Utc};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longer than any line: the detail can be escaped to ten times its length.
pub(super) const MOST_BYTES: usize = 10 * limits::AUDIT_DETAIL_BYTES + 512;

/// Appends the line of an event, and gives back the end of the log with it.
pub(super) fn write(head: &AuditHead, seal: &AuditSeal, event: &AuditEvent, log: &mut String) -> AuditHead {
    let (from, seq) = (log.len(), head.seq + 1);
    let _ = write!(
        log,
        "{seq} {} {} {} {} \"{}\" {} ",
        Utc(event.time_ms).rfc3339(),
        event.action.word(),
        event.monitor,
        event.target,
        cut(&event.detail).escape_debug(),
        Hex(&head.hash),
    );
    let hash = seal.proof(seq, &log.as_bytes()[from..log.len() - 1]);
    let _ = writeln!(log, "{}", Hex(&hash));
    AuditHead { bytes: head.bytes + (log.len() - from) as u64, seq, hash }
}

/// The end of the log if this line comes next.
pub(super) fn follow(head: &AuditHead, seal: Option<&AuditSeal>, line: &[u8]) -> Result<AuditHead, &'static str> {
    let Some(text) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else {
        return Err("it is cut off or not text");
    };
    let mut parts = text.rsplitn(3, ' ');
    let (Some(proof), Some(previous), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has too few fields");
    };
    let seq = head.seq + 1;
    if body.split(' ').next() != Some(&seq.to_string()) {
        return Err("its number does not follow: lines were taken out or put in before it");
    }
    if previous != Hex(&head.hash).to_string() {
        return Err("it does not belong to the line before");
    }
    let sealed = &text.as_bytes()[..text.len() - proof.len() - 1];
    let own = seal.map_or_else(|| Sha256::digest(sealed).into(), |seal| seal.proof(seq, sealed));
    if proof != Hex(&own).to_string() {
        return Err("it is not what the server has written");
    }
    Ok(AuditHead { bytes: head.bytes + line.len() as u64, seq, hash: own })
}

fn cut(detail: &str) -> &str {
    let mut end = detail.len().min(limits::AUDIT_DETAIL_BYTES);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    &detail[..end]
}

/// Bytes as the log writes them.
pub(super) struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
