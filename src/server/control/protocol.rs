//! The lines between `oicqd` the command and `oicqd` the server, over the control socket.
//!
//! A request is one line: a word and its values, with a tab between. The answer is lines of text, each after a space,
//! and then `ok`, or `error` and why.

use crate::shard::Rate;
use std::io::{self, BufRead, Write};

/// Longest request.
pub const LINE_BYTES: usize = 64 * 1024;

/// What the operator wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A new account with this nickname and the PHC string of its password.
    Add(String, String),
    /// Another password, as its PHC string.
    Password(u32, String),
    /// Shuts an account.
    Disable(u32),
    /// Opens it again.
    Enable(u32),
    /// Lets an account do what everybody may (true), or so much.
    Limits(u32, bool, [Option<Rate>; 4]),
    /// Deletes an account; and what it has left in the mailboxes of others.
    Delete(u32, bool),
    /// Shows how much is in a mailbox, and of whom.
    Mailbox(u32),
    /// Deletes what is in a mailbox; of this sender, or all.
    Purge(u32, Option<u32>),
    /// Lets somebody in who waits for approval.
    Approve(u32),
    /// Lists the accounts: those that wait for approval alone, as JSON.
    Accounts(bool, bool),
    /// Shows an account; as JSON.
    Show(u32, bool),
    /// Makes an invite: for how many accounts, until when (ms since 1970 UTC), for whom.
    Invite(u32, u64, String),
    /// Lists the invites; as JSON.
    Invites(bool),
    /// Takes an invite back: its code, or its place in the list.
    Uninvite(String),
    /// Bans somebody: who, until when (ms since 1970 UTC), why, and whether it is meant.
    Ban(String, u64, String, bool),
    /// Lists the bans; as JSON.
    Bans(bool),
    /// Lifts a ban.
    Lift(String),
    /// Lists the sessions of an account; of all for 0.
    Sessions(u32),
    /// Ends the session of an account, and its tokens.
    SignOut(u32),
    /// Reads the configuration file again.
    Reload,
    /// The line for clients.
    Line,
    /// Stops the server; whether sessions end with it.
    Stop(bool),
    /// Lets someone monitor somebody until a time, in ms since 1970 UTC, for a reason.
    Grant(u32, u32, u64, String),
    /// Takes it back.
    Revoke(u32, u32),
    /// Lists the grants.
    Grants,
    /// Shows and checks the audit log; an end that it must hold, or nothing.
    Audit(String),
    /// Says that the operator knows of a broken audit log.
    Acknowledge,
    /// Tells everyone online.
    Announce(String),
    /// Shows the figures; as JSON or for people.
    Stats(bool),
}

impl Order {
    /// Its first word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Add(..) => "add",
            Self::Password(..) => "password",
            Self::Disable(_) => "disable",
            Self::Enable(_) => "enable",
            Self::Limits(..) => "limits",
            Self::Delete(..) => "delete",
            Self::Mailbox(_) => "mailbox",
            Self::Purge(..) => "purge",
            Self::Approve(_) => "approve",
            Self::Accounts(..) => "accounts",
            Self::Show(..) => "show",
            Self::Invite(..) => "invite",
            Self::Invites(_) => "invites",
            Self::Uninvite(_) => "uninvite",
            Self::Ban(..) => "ban",
            Self::Bans(_) => "bans",
            Self::Lift(_) => "lift",
            Self::Sessions(_) => "sessions",
            Self::SignOut(_) => "signout",
            Self::Reload => "reload",
            Self::Line => "line",
            Self::Stop(_) => "stop",
            Self::Grant(..) => "grant",
            Self::Revoke(..) => "revoke",
            Self::Grants => "grants",
            Self::Audit(_) => "audit",
            Self::Acknowledge => "acknowledge",
            Self::Announce(_) => "announce",
            Self::Stats(_) => "stats",
        }
    }

    /// Its line.
    pub fn line(&self) -> String {
        let values = match self {
            Self::Add(nickname, hash) => vec![escape(nickname), escape(hash)],
            Self::Password(number, hash) => vec![number.to_string(), escape(hash)],
            Self::Disable(number)
            | Self::Enable(number)
            | Self::Mailbox(number)
            | Self::Approve(number)
            | Self::Sessions(number)
            | Self::SignOut(number) => vec![number.to_string()],
            Self::Limits(number, default, rates) => {
                let rate = |rate: &Option<Rate>| rate.map(|rate| rate.to_string()).unwrap_or_default();
                [number.to_string(), default.to_string()].into_iter().chain(rates.iter().map(rate)).collect()
            }
            Self::Grants | Self::Acknowledge | Self::Reload | Self::Line => vec![],
            Self::Accounts(pending, json) => vec![pending.to_string(), json.to_string()],
            Self::Show(number, json) => vec![number.to_string(), json.to_string()],
            Self::Invite(uses, until_ms, note) => vec![uses.to_string(), until_ms.to_string(), escape(note)],
            Self::Ban(who, until_ms, reason, force) => {
                vec![escape(who), until_ms.to_string(), escape(reason), force.to_string()]
            }
            Self::Uninvite(text) | Self::Lift(text) => vec![escape(text)],
            Self::Delete(number, purge) => vec![number.to_string(), purge.to_string()],
            Self::Purge(number, from) => {
                vec![number.to_string(), from.map_or_else(String::new, |from| from.to_string())]
            }
            Self::Stop(end_sessions) => vec![end_sessions.to_string()],
            Self::Grant(monitor, target, until_ms, reason) => {
                vec![monitor.to_string(), target.to_string(), until_ms.to_string(), escape(reason)]
            }
            Self::Revoke(monitor, target) => vec![monitor.to_string(), target.to_string()],
            Self::Audit(text) | Self::Announce(text) => vec![escape(text)],
            Self::Invites(json) | Self::Bans(json) | Self::Stats(json) => vec![json.to_string()],
        };
        let mut line = self.word().to_owned();
        for value in values {
            line.push('\t');
            line.push_str(&value);
        }
        line.push('\n');
        line
    }

    /// What it is about, for the log: never a password, nor what is said to everyone.
    pub fn about(&self) -> String {
        match self {
            Self::Add(nickname, _) => format!("{nickname:?}"),
            Self::Password(number, _)
            | Self::Disable(number)
            | Self::Enable(number)
            | Self::Limits(number, ..)
            | Self::Delete(number, _)
            | Self::Mailbox(number)
            | Self::Purge(number, None)
            | Self::Approve(number)
            | Self::Sessions(number)
            | Self::Show(number, _)
            | Self::SignOut(number) => number.to_string(),
            Self::Grant(monitor, target, ..) | Self::Revoke(monitor, target) => format!("{monitor} {target}"),
            Self::Invite(uses, _, note) => format!("{uses} {note:?}"),
            Self::Ban(who, _, reason, _) => format!("{who} {reason:?}"),
            Self::Lift(who) => who.clone(),
            Self::Purge(number, Some(from)) => format!("{number} {from}"),
            Self::Stop(true) => "and all sessions".to_owned(),
            Self::Accounts(..)
            | Self::Invites(_)
            // It may be the code itself.
            | Self::Uninvite(_)
            | Self::Bans(_)
            | Self::Reload
            | Self::Line
            | Self::Stop(false)
            | Self::Grants
            | Self::Audit(_)
            | Self::Acknowledge
            | Self::Announce(_)
            | Self::Stats(_) => String::new(),
        }
    }

    /// Reads a line; `None` if it is none of ours.
    pub fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.strip_suffix('\n')?.split('\t').collect();
        Some(match fields[..] {
            ["add", nickname, hash] => Self::Add(unescape(nickname)?, unescape(hash)?),
            ["password", number, hash] => Self::Password(number.parse().ok()?, unescape(hash)?),
            ["disable", number] => Self::Disable(number.parse().ok()?),
            ["enable", number] => Self::Enable(number.parse().ok()?),
            ["limits", number, default, messages, writes, reads, file_bytes] => {
                let rate = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
                let rates = [rate(messages)?, rate(writes)?, rate(reads)?, rate(file_bytes)?];
                Self::Limits(number.parse().ok()?, default.parse().ok()?, rates)
            }
            ["delete", number, purge] => Self::Delete(number.parse().ok()?, purge.parse().ok()?),
            ["mailbox", number] => Self::Mailbox(number.parse().ok()?),
            ["purge", number, ""] => Self::Purge(number.parse().ok()?, None),
            ["purge", number, from] => Self::Purge(number.parse().ok()?, Some(from.parse().ok()?)),
            ["approve", number] => Self::Approve(number.parse().ok()?),
            ["accounts", pending, json] => Self::Accounts(pending.parse().ok()?, json.parse().ok()?),
            ["show", number, json] => Self::Show(number.parse().ok()?, json.parse().ok()?),
            ["invite", uses, until, note] => Self::Invite(uses.parse().ok()?, until.parse().ok()?, unescape(note)?),
            ["invites", json] => Self::Invites(json.parse().ok()?),
            ["uninvite", which] => Self::Uninvite(unescape(which)?),
            ["ban", who, until, reason, force] => {
                Self::Ban(unescape(who)?, until.parse().ok()?, unescape(reason)?, force.parse().ok()?)
            }
            ["bans", json] => Self::Bans(json.parse().ok()?),
            ["lift", who] => Self::Lift(unescape(who)?),
            ["sessions", number] => Self::Sessions(number.parse().ok()?),
            ["signout", number] => Self::SignOut(number.parse().ok()?),
            ["reload"] => Self::Reload,
            ["line"] => Self::Line,
            ["stop", end_sessions] => Self::Stop(end_sessions.parse().ok()?),
            ["grant", monitor, target, until, reason] => {
                Self::Grant(monitor.parse().ok()?, target.parse().ok()?, until.parse().ok()?, unescape(reason)?)
            }
            ["revoke", monitor, target] => Self::Revoke(monitor.parse().ok()?, target.parse().ok()?),
            ["grants"] => Self::Grants,
            ["audit", expected] => Self::Audit(unescape(expected)?),
            ["acknowledge"] => Self::Acknowledge,
            ["announce", text] => Self::Announce(unescape(text)?),
            ["stats", json] => Self::Stats(json.parse().ok()?),
            _ => return None,
        })
    }
}

/// A backslash, and what would end the field or the line, as two characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// Writes text of an answer.
pub fn write_text(to: &mut impl Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(to, " {line}"))
}

/// Writes the end of an answer.
pub fn write_end(to: &mut impl Write, result: Result<(), String>) -> io::Result<()> {
    match result {
        Ok(()) => writeln!(to, "ok"),
        Err(why) => writeln!(to, "error {}", why.replace('\n', " ")),
    }
}

/// Reads an answer: its lines go to `show`, its end is the result.
pub fn read_answer(from: impl BufRead, show: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<Result<(), String>> {
    for line in from.lines() {
        let line = line?;
        if let Some(text) = line.strip_prefix(' ') {
            show(text)?;
        } else if line == "ok" {
            return Ok(Ok(()));
        } else {
            return Ok(Err(line.strip_prefix("error ").unwrap_or("the server's answer makes no sense").to_owned()));
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server broke off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_back_from_its_line() {
        let orders = [
            Order::Add("a\tb\\n\nc".into(), "$argon2id$".into()),
            Order::Password(10_000, "x".into()),
            Order::Disable(1),
            Order::Limits(1, true, [None; 4]),
            Order::Limits(1, false, [Some(Rate { per_second: 50, burst: 500 }), Some(Rate::UNLIMITED), None, None]),
            Order::Enable(2),
            Order::Delete(3, true),
            Order::Mailbox(4),
            Order::Purge(5, None),
            Order::Purge(6, Some(7)),
            Order::Approve(10_000),
            Order::Accounts(true, false),
            Order::Show(10_000, true),
            Order::Invite(3, u64::MAX, "for\tAnn".into()),
            Order::Invites(false),
            Order::Uninvite("a b".into()),
            Order::Ban("192.0.2.0/24".into(), 7, "because\nof that".into(), true),
            Order::Bans(true),
            Order::Lift("10001".into()),
            Order::Sessions(0),
            Order::SignOut(10_000),
            Order::Reload,
            Order::Line,
            Order::Stop(true),
            Order::Grant(1, 2, 3, "because\tof \\ that".into()),
            Order::Revoke(4, 5),
            Order::Grants,
            Order::Audit("3:ab".into()),
            Order::Audit(String::new()),
            Order::Acknowledge,
            Order::Announce("two\nlines 你好".into()),
            Order::Stats(true),
        ];
        for order in orders {
            let line = order.line();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(line.starts_with(order.word()));
            assert_eq!(Order::read(&line), Some(order));
        }
        for bad in ["", "add\n", "disable\tx\n", "announce\t\\x\n", "announce\t\\", "stats\ttrue"] {
            assert_eq!(Order::read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_answer_is_text_and_an_end() {
        let mut bytes = Vec::new();
        write_text(&mut bytes, "one\ntwo").expect("written");
        write_end(&mut bytes, Err("no\nmore".into())).expect("written");
        let mut seen = Vec::new();
        let end = read_answer(&bytes[..], &mut |line| {
            seen.push(line.to_owned());
            Ok(())
        });
        assert_eq!((end.expect("whole"), seen), (Err("no more".into()), vec!["one".to_owned(), "two".to_owned()]));
        assert!(read_answer(&bytes[..5], &mut |_| Ok(())).is_err());
    }
}
