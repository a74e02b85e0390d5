//! What the operator's commands do: the same with a running server and on a store that the command itself has opened.

use super::mailboxes;
use super::protocol::Order;
use crate::limits::{NAME_BYTES, SHORT_TEXT_BYTES, TEXT_BYTES};
use crate::server::figures::Report;
use crate::shard::Control;
use crate::store::{
    AUDIT_LOG, Account, AccountView, Accounts, Answer, AuditAction, AuditEvent, Change, Grant, Refusal, Request,
};
use crate::wire::Profile;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where commands are done.
pub trait Office {
    /// Asks the store; `None` if it has ended.
    fn ask(&mut self, request: Request) -> Option<Answer>;
    /// All accounts.
    fn accounts(&self) -> &Accounts;
    /// The data directory.
    fn data(&self) -> &Path;
    /// Tells all shards.
    fn tell(&mut self, control: Control);
    /// What the server has counted; `None` if none runs.
    fn figures(&mut self) -> Option<Figures>;
    /// Whether users may be signed in.
    fn running(&self) -> bool;
    /// The line for clients; `None` if no server runs.
    fn line(&self) -> Option<String>;
    /// Has the server read its configuration file again: what is now so, or what is wrong with the file. `None` if no
    /// server runs.
    fn reload(&mut self) -> Option<Result<String, String>>;
    /// Begins to end the server.
    fn stop(&mut self);
}

/// What a running server has counted.
pub struct Figures {
    /// Of each shard.
    pub reports: Vec<Report>,
    /// How long the server has been running.
    pub uptime_secs: u64,
    /// How many accounts there are.
    pub accounts: u32,
    /// Requests that wait for the store.
    pub store_queue: usize,
    /// Passwords that wait for the pool.
    pub password_queue: usize,
    /// Searches that wait or run.
    pub searches: usize,
}

/// Where the answer's lines go.
pub(super) type Show<'a> = &'a mut dyn FnMut(&str) -> io::Result<()>;
pub(super) type Done = Result<(), String>;

/// What everyone who grants monitoring must know.
const MONITOR_NOTE: &str = "note: the server cannot read what clients encrypt end to end; only messages that it \
                            relays in the clear are copied";

/// Does one command.
pub fn run(order: Order, office: &mut dyn Office, show: Show<'_>) -> Done {
    match order {
        Order::Add(nickname, hash) => add(office, &nickname, &hash, show),
        Order::Password(number, hash) => {
            let password = Change::PutPassword(number, hash.into());
            change(office, number, "your password was changed: sign in again", password)?;
            say(show, &format!("account {number} has a new password"))
        }
        Order::Disable(number) => {
            change(office, number, "this account was shut by the operator", Change::SetDisabled(number, true))?;
            say(show, &format!("account {number} is disabled"))
        }
        Order::Enable(number) => {
            change(office, number, "this account was opened by the operator", Change::SetDisabled(number, false))?;
            say(show, &format!("account {number} is enabled"))
        }
        Order::Delete(number, purge) => delete(office, number, purge, show),
        Order::Accounts => list(office, show),
        Order::Sessions(number) => sessions(office, number, show),
        Order::Mailbox(number) => mailboxes::show(office, number, show),
        Order::Purge(number, from) => mailboxes::purge(office, number, from, show),
        Order::SignOut(number) => sign_out(office, number, show),
        Order::Reload => say(show, &office.reload().ok_or("no server is running")??),
        Order::Line => say(show, &office.line().ok_or("no server is running")?),
        Order::Stop(end_sessions) => stop(office, end_sessions, show),
        Order::Grant(monitor, target, until_ms, reason) => grant(office, monitor, target, until_ms, &reason, show),
        Order::Revoke(monitor, target) => revoke(office, monitor, target, show),
        Order::Grants => grants(office, show),
        Order::Audit(expected) => audit_log(office, &expected, show),
        Order::Acknowledge => acknowledge(office, show),
        Order::Announce(text) => announce(office, &text, show),
        Order::Stats(json) => stats(office, json, show),
    }
}

pub(super) fn say(show: Show<'_>, text: &str) -> Done {
    show(text).map_err(|error| error.to_string())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Asks for a change, and puts in words why it was not done.
pub(super) fn commit(office: &mut dyn Office, request: Request) -> Result<Answer, String> {
    match office.ask(request) {
        Some(Answer::Refused(why)) => Err(match why {
            Refusal::NoSuchUser => "there is no such account",
            Refusal::MailboxFull => "the mailbox is full",
            Refusal::TooManyAsks => "too many requests wait for this account",
            Refusal::NoSuchAsk => "there is no such request",
            Refusal::NoNumberLeft => "all numbers are given out",
            Refusal::Blocked => "this account blocks the other one",
            Refusal::AuditBroken => "the audit log is broken: see `oicqd grant audit`, then `oicqd grant acknowledge`",
            Refusal::TooManyBlocks => "this account blocks as many others as it may",
        }
        .to_owned()),
        Some(Answer::Failed) => Err("the store failed, and nothing was changed; the server's log says why".to_owned()),
        Some(answer) => Ok(answer),
        None => Err("the server is ending; try again when it has ended".to_owned()),
    }
}

pub(super) fn account(office: &mut dyn Office, number: u32) -> Result<Box<Account>, String> {
    match commit(office, Request::Account(number))? {
        Answer::Account(Some(account)) => Ok(account),
        _ => Err(format!("there is no account {number}")),
    }
}

fn add(office: &mut dyn Office, nickname: &str, hash: &str, show: Show<'_>) -> Done {
    if nickname.is_empty() || nickname.len() > NAME_BYTES {
        return Err(format!("a nickname has 1 to {NAME_BYTES} bytes"));
    }
    let account = Account::new(&blank_profile(nickname), hash.into(), now_ms());
    match commit(office, Request::Register(Box::new(account)))? {
        Answer::Registered(number) => say(show, &format!("account {number}")),
        other => Err(format!("the store gave a strange answer: {other:?}")),
    }
}

/// A profile that tells nothing but a nickname; its owner can fill it in.
fn blank_profile(nickname: &str) -> Profile<'_> {
    Profile { nickname, ..Profile::default() }
}

/// Changes an account and ends its session.
fn change(office: &mut dyn Office, number: u32, words: &str, change: Change) -> Done {
    account(office, number)?;
    commit(office, Request::Commit(vec![change]))?;
    office.tell(Control::SignOut(number, words.into()));
    Ok(())
}

/// The account goes first, so that nobody signs in between; then every list in memory forgets it.
fn delete(office: &mut dyn Office, number: u32, purge: bool, show: Show<'_>) -> Done {
    change(office, number, "this account was deleted by the operator", Change::DeleteAccount(number))?;
    office.tell(Control::Deleted(number));
    say(show, &format!("account {number} is deleted"))?;
    if purge { mailboxes::purge_sender(office, number, show) } else { Ok(()) }
}

fn list(office: &mut dyn Office, show: Show<'_>) -> Done {
    let mut failed = None;
    let visited = office.accounts().scan(0, &mut |number, record| {
        let line = match AccountView::decode(record) {
            Ok(account) => {
                let shut = if account.disabled { "  (disabled)" } else { "" };
                format!("{number}  {}{shut}", account.profile.nickname.escape_debug())
            }
            Err(error) => format!("{number}  (unreadable: {error})"),
        };
        match show(&line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match visited.and(failed.map_or(Ok(()), Err)) {
        Ok(()) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Sessions over the link: those of bare frames are the running server's alone, and are not listed.
fn sessions(office: &mut dyn Office, number: u32, show: Show<'_>) -> Done {
    if number != 0 {
        account(office, number)?;
    }
    let mut failed = None;
    let visited = office.accounts().sessions(&mut |record| {
        if failed.is_some() || (number != 0 && record.number != number) {
            return;
        }
        let at = record.address.map_or_else(|| "tcp".to_owned(), |(address, _)| address.to_string());
        let status = match record.status {
            1 => "online",
            2 => "hidden",
            _ => "do not disturb",
        };
        failed = show(&format!("{}  since {}  {at}  {status}", record.number, time(record.started_ms))).err();
    });
    visited.and(failed.map_or(Ok(()), Err)).map_err(|error| error.to_string())
}

/// Ends the session and the tokens of an account: whoever has the password can sign in again.
fn sign_out(office: &mut dyn Office, number: u32, show: Show<'_>) -> Done {
    account(office, number)?;
    let mut changes = vec![Change::DeleteTokens(number)];
    while let Answer::Session(Some(record)) = commit(office, Request::Session(number))? {
        changes.push(Change::DeleteSession { number, session: record.session });
        commit(office, Request::Commit(std::mem::take(&mut changes)))?;
    }
    commit(office, Request::Commit(changes))?;
    office.tell(Control::SignOut(number, "signed out by the operator".into()));
    say(show, &format!("account {number} is signed out; its tokens are good no more"))
}

fn stop(office: &mut dyn Office, end_sessions: bool, show: Show<'_>) -> Done {
    if !office.running() {
        return Err("no server is running".to_owned());
    }
    if end_sessions {
        office.tell(Control::SignOutAll);
    }
    office.stop();
    say(show, "the server ends")
}

/// The audit log has it before it takes effect.
fn audit(office: &mut dyn Office, action: AuditAction, monitor: u32, target: u32, detail: &str) -> Done {
    let event = AuditEvent { time_ms: now_ms(), action, monitor, target, detail: detail.to_owned() };
    commit(office, Request::Audit(event)).map(drop)
}

fn grant(office: &mut dyn Office, monitor: u32, target: u32, until_ms: u64, reason: &str, show: Show<'_>) -> Done {
    if reason.trim().is_empty() || reason.len() > SHORT_TEXT_BYTES {
        return Err(format!("a reason has 1 to {SHORT_TEXT_BYTES} bytes"));
    }
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
    say(show, &format!("{monitor} may monitor {target} until {}", time(until_ms)))?;
    say(show, MONITOR_NOTE)
}

fn revoke(office: &mut dyn Office, monitor: u32, target: u32, show: Show<'_>) -> Done {
    let Answer::Grant(Some(_)) = commit(office, Request::Grant { monitor, target })? else {
        return Err(format!("{monitor} has no leave to monitor {target}"));
    };
    audit(office, AuditAction::Revoke, monitor, target, "by the operator")?;
    commit(office, Request::Commit(vec![Change::DeleteGrant { monitor, target }]))?;
    office.tell(Control::Revoke { monitor, target });
    say(show, &format!("{monitor} may no longer monitor {target}"))
}

fn grants(office: &mut dyn Office, show: Show<'_>) -> Done {
    let now = now_ms();
    for grant in office.accounts().grants().map_err(|error| error.to_string())? {
        let ended = if grant.until_ms <= now { "  (ended)" } else { "" };
        let Grant { monitor, target, until_ms, reason } = &grant;
        say(show, &format!("{monitor} monitors {target} until {}{ended}: {}", time(*until_ms), reason.escape_debug()))?;
    }
    Ok(())
}

/// Shows the audit log and checks it against what the store knows; and that it still holds an end that was noted before.
fn audit_log(office: &mut dyn Office, expected: &str, show: Show<'_>) -> Done {
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
        None => say(show, &format!("whole: {} lines, none changed; its end is {end}", end.seq)),
    }
}

/// The operator knows that the log was broken.
fn acknowledge(office: &mut dyn Office, show: Show<'_>) -> Done {
    let check = office.accounts().audit().map_err(|error| error.to_string())?;
    let aside = check.set_aside().ok_or("the audit log is not known to be broken: there is nothing to acknowledge")?;
    audit(office, AuditAction::Acknowledge, 0, 0, &format!("{} was broken", aside.name))?;
    commit(office, Request::Commit(vec![Change::AcknowledgeAudit]))?;
    say(show, &format!("acknowledged: grants count again; the broken log stays where it is: {}", aside.name))
}

fn announce(office: &mut dyn Office, text: &str, show: Show<'_>) -> Done {
    if text.is_empty() || text.len() > TEXT_BYTES {
        return Err(format!("an announcement has 1 to {TEXT_BYTES} bytes"));
    }
    if !office.running() {
        return Err("no server is running".to_owned());
    }
    office.tell(Control::Announce(text.into()));
    say(show, "announced to everyone online")
}

fn stats(office: &mut dyn Office, json: bool, show: Show<'_>) -> Done {
    let figures = office.figures().ok_or("no server is running")?;
    let mut total = Report::default();
    for report in &figures.reports {
        total += report;
    }
    let server = [
        ("uptime_secs", figures.uptime_secs),
        ("accounts", u64::from(figures.accounts)),
        ("store_queue", figures.store_queue as u64),
        ("password_queue", figures.password_queue as u64),
        ("searches", figures.searches as u64),
    ];
    if json {
        return say(show, &as_json(&server, &total, &figures.reports));
    }
    for (name, value) in server {
        say(show, &format!("{name:<20}{value:>14}"))?;
    }
    let mut head = format!("\n{:<20}{:>14}", "", "total");
    for report in &figures.reports {
        let _ = write!(head, "{:>14}", format!("shard {}", report.shard));
    }
    say(show, &head)?;
    for (at, (name, value)) in total.fields().into_iter().enumerate() {
        let mut line = format!("{name:<20}{value:>14}");
        for report in &figures.reports {
            let _ = write!(line, "{:>14}", report.fields()[at].1);
        }
        say(show, &line)?;
    }
    Ok(())
}

fn as_json(server: &[(&str, u64)], total: &Report, reports: &[Report]) -> String {
    let object = |fields: &[(&str, u64)]| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let shards: Vec<String> = reports.iter().map(|report| object(&report.fields())).collect();
    let server = object(server);
    format!(
        "{},\"total\":{},\"shards\":[{}]}}",
        server.trim_end_matches('}'),
        object(&total.fields()),
        shards.join(",")
    )
}

/// A time in words, UTC.
pub(super) fn time(ms: u64) -> String {
    let (days, seconds) = (ms / 86_400_000, ms / 1000 % 86_400);
    // Days since 1970 to a date: years that begin in March make the leap day the last one.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_dates() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_399_000), "2000-02-28 23:59:59 UTC");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(1_735_689_599_999), "2024-12-31 23:59:59 UTC");
    }

    #[test]
    fn figures_are_sound_json() {
        let report = Report::default();
        let json = as_json(&[("uptime_secs", 5)], &report, &[report, report]);
        let value: serde_json::Value = serde_json::from_str(&json).expect("sound");
        assert_eq!(value["uptime_secs"], 5);
        assert_eq!(value["total"]["wrong_shard"], 0);
        assert_eq!(value["shards"].as_array().map(Vec::len), Some(2));
    }
}
