//! Leave to monitor, and the audit log of it.

use super::{Done, Office, Show, account, check_words, commit, now_ms, say};
use crate::shard::Control;
use crate::store::{AUDIT_LOG, Answer, AuditAction, AuditEvent, Change, Grant, Request, Utc};
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// What everyone who grants monitoring must know.
const MONITOR_NOTE: &str = "note: the server cannot read what clients encrypt end to end; only messages that it \
                            relays in the clear are copied";

/// The audit log has it before it takes effect.
fn audit(office: &mut dyn Office, action: AuditAction, monitor: u32, target: u32, detail: &str) -> Done {
    let event = AuditEvent { time_ms: now_ms(), action, monitor, target, detail: detail.to_owned() };
    commit(office, Request::Audit(event)).map(drop)
}

/// Lets someone monitor somebody until a time.
pub(super) fn grant(
    office: &mut dyn Office,
    monitor: u32,
    target: u32,
    until_ms: u64,
    reason: &str,
    show: Show<'_>,
) -> Done {
    check_words("reason", reason, 1)?;
    if until_ms <= now_ms() {
        return Err("that time is over already".to_owned());
    }
    if monitor == target {
        return Err("nobody needs leave to read their own messages".to_owned());
    }
    account(office, monitor)?;
    account(office, target)?;
    // Refused while the audit log is broken: then the log must not say that it was granted.
    commit(office, Request::Grant { monitor, target })?;
    audit(office, AuditAction::Grant, monitor, target, reason)?;
    let grant = Grant { monitor, target, until_ms, reason: reason.into() };
    commit(office, Request::Commit(vec![Change::PutGrant(grant)]))?;
    say(show, &format!("{monitor} may monitor {target} until {}", Utc(until_ms)))?;
    say(show, MONITOR_NOTE)
}

/// Takes it back.
pub(super) fn revoke(office: &mut dyn Office, monitor: u32, target: u32, show: Show<'_>) -> Done {
    let Answer::Grant(Some(_)) = commit(office, Request::Grant { monitor, target })? else {
        return Err(format!("{monitor} has no leave to monitor {target}"));
    };
    audit(office, AuditAction::Revoke, monitor, target, "by the operator")?;
    commit(office, Request::Commit(vec![Change::DeleteGrant { monitor, target }]))?;
    office.tell(Control::Revoke { monitor, target });
    say(show, &format!("{monitor} may no longer monitor {target}"))
}

/// All grants.
pub(super) fn list(office: &mut dyn Office, show: Show<'_>) -> Done {
    let now = now_ms();
    for grant in office.accounts().grants().map_err(|error| error.to_string())? {
        let ended = if grant.until_ms <= now { "  (ended)" } else { "" };
        let Grant { monitor, target, until_ms, reason } = &grant;
        say(show, &format!("{monitor} monitors {target} until {}{ended}: {}", Utc(*until_ms), reason.escape_debug()))?;
    }
    Ok(())
}

/// Shows the audit log and checks it against what the store knows; and that it still holds an end that was noted before.
pub(super) fn audit_log(office: &mut dyn Office, expected: &str, show: Show<'_>) -> Done {
    let path = office.data().join(AUDIT_LOG);
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    // What the store knows comes first: what is appended meanwhile is in the file.
    let check = office.accounts().audit().map_err(|error| error.to_string())?;
    let open = || match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        log => log.map(|log| Some(BufReader::new(log))),
    };
    let mut found = expected.is_empty();
    for line in open().map_err(failed)?.into_iter().flat_map(|log| log.split(b'\n')) {
        let line = line.map_err(failed)?;
        let line = String::from_utf8_lossy(&line);
        found |= expected
            .split_once(':')
            .is_some_and(|(seq, mac)| line.split(' ').next() == Some(seq) && line.rsplit(' ').next() == Some(mac));
        say(show, &line)?;
    }
    let end = match open().map_err(failed)? {
        Some(log) => check.verify(log).map_err(failed)?,
        None => check.verify(io::empty()).map_err(failed)?,
    };
    let end = end.map_err(|broken| format!("the audit log {} was changed: {broken}", path.display()))?;
    if !found {
        return Err(format!("the audit log {} does not hold {expected}: it is another one", path.display()));
    }
    match check.set_aside() {
        Some(aside) => Err(format!(
            "this log is whole ({} lines), but the one before it was not, and is {} now: {}; nobody monitors until `oicqd grant acknowledge`",
            end.seq, aside.name, aside.fault
        )),
        None if end.seq == 0 => say(show, "the audit log is empty"),
        None if end.seq == 1 => say(show, &format!("whole: 1 line, not changed; its end is {end}")),
        None => say(show, &format!("whole: {} lines, none changed; its end is {end}", end.seq)),
    }
}

/// The operator knows that the log was broken.
pub(super) fn acknowledge(office: &mut dyn Office, show: Show<'_>) -> Done {
    let check = office.accounts().audit().map_err(|error| error.to_string())?;
    let aside = check.set_aside().ok_or("the audit log is not known to be broken: there is nothing to acknowledge")?;
    audit(office, AuditAction::Acknowledge, 0, 0, &format!("{} was broken", aside.name))?;
    commit(office, Request::Commit(vec![Change::AcknowledgeAudit]))?;
    say(show, &format!("acknowledged: grants count again; the broken log stays where it is: {}", aside.name))
}
