//! What the operator's commands do: the same with a running server and on a store that the command itself has opened.

mod accounts;
mod bans;
mod figures;
mod grants;
mod invites;
mod mailboxes;

use super::protocol::Order;
use crate::limits::SHORT_TEXT_BYTES;
use crate::server::figures::Report;
use crate::shard::{Control, Presence};
use crate::store::{Account, Accounts, Answer, Change, Refusal, Request};
use std::io;
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
    /// Tells everyone online, and gives back how many were told; `None` if no server runs.
    fn announce(&mut self, text: &str) -> Option<u64>;
    /// How a user is signed in now, if so.
    fn presence(&mut self, number: u32) -> Option<Presence>;
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
    /// How often journal or base were found damaged.
    pub store_damages: u64,
}

/// Where the answer's lines go.
type Show<'a> = &'a mut dyn FnMut(&str) -> io::Result<()>;
type Done = Result<(), String>;

/// Does one command.
pub fn run(order: Order, office: &mut dyn Office, show: Show<'_>) -> Done {
    match order {
        Order::Add(nickname, hash) => accounts::add(office, &nickname, &hash, show),
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
        Order::Limits(number, default, rates) => accounts::limits(office, number, default, rates, show),
        Order::Approve(number) => accounts::approve(office, number, show),
        Order::Delete(number, purge) => accounts::delete(office, number, purge, show),
        Order::Mailbox(number) => mailboxes::show(office, number, show),
        Order::Purge(number, from) => mailboxes::purge(office, number, from, show),
        Order::Accounts(pending, json) => accounts::list(office, pending, json, show),
        Order::Show(number, json) => accounts::show_one(office, number, json, show),
        Order::Sessions(number) => accounts::sessions(office, number, show),
        Order::SignOut(number) => accounts::sign_out(office, number, show),
        Order::Invite(uses, until_ms, note) => invites::add(office, uses, until_ms, &note, show),
        Order::Invites(json) => invites::list(office, json, show),
        Order::Uninvite(which) => invites::revoke(office, &which, show),
        Order::Ban(who, until_ms, reason, force) => bans::add(office, &who, until_ms, &reason, force, show),
        Order::Bans(json) => bans::list(office, json, show),
        Order::Lift(who) => bans::lift(office, &who, show),
        Order::Reload => say(show, &office.reload().ok_or("no server is running")??),
        Order::Line => say(show, &office.line().ok_or("no server is running")?),
        Order::Stop(end_sessions) => stop(office, end_sessions, show),
        Order::Grant(monitor, target, until_ms, reason) => {
            grants::grant(office, monitor, target, until_ms, &reason, show)
        }
        Order::Revoke(monitor, target) => grants::revoke(office, monitor, target, show),
        Order::Grants => grants::list(office, show),
        Order::Audit(expected) => grants::audit_log(office, &expected, show),
        Order::Acknowledge => grants::acknowledge(office, show),
        Order::Announce(text) => figures::announce(office, &text, show),
        Order::Stats(json) => figures::stats(office, json, show),
    }
}

fn say(show: Show<'_>, text: &str) -> Done {
    show(text).map_err(|error| error.to_string())
}

/// Words that the operator gives a reason or a note: they go to terminals, and must not command them.
fn check_words(what: &str, words: &str, least: usize) -> Done {
    if words.trim().len() < least || words.len() > SHORT_TEXT_BYTES {
        return Err(format!("a {what} has {least} to {SHORT_TEXT_BYTES} bytes"));
    }
    if words.chars().any(char::is_control) {
        return Err(format!("a {what} is one line without control characters"));
    }
    Ok(())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Asks for a change, and puts in words why it was not done.
fn commit(office: &mut dyn Office, request: Request) -> Result<Answer, String> {
    match office.ask(request) {
        Some(Answer::Refused(why)) => Err(match why {
            Refusal::NoSuchUser => "there is no such account",
            Refusal::MailboxFull => "the mailbox is full",
            Refusal::TooManyAsks => "too many requests wait for this account",
            Refusal::NoSuchAsk => "there is no such request",
            Refusal::NoNumberLeft => "all numbers are given out",
            Refusal::Blocked => "this account blocks the other one",
            Refusal::BadInvite => "there is no such invite",
            Refusal::TooManyInvites => "there are as many invites as there may be: revoke some",
            Refusal::TooManyBans => "there are as many bans as there may be: lift some, or ban a network",
            Refusal::NoSuchBan => "these are not banned",
            Refusal::AuditBroken => "the audit log is broken: see `oicqd grant audit`, then `oicqd grant acknowledge`",
            Refusal::TooManyBlocks => "this account blocks as many others as it may",
        }
        .to_owned()),
        Some(Answer::Failed) => Err("the store failed, and nothing was changed; the server's log says why".to_owned()),
        Some(answer) => Ok(answer),
        None => Err("the server is ending; try again when it has ended".to_owned()),
    }
}

fn account(office: &mut dyn Office, number: u32) -> Result<Box<Account>, String> {
    match commit(office, Request::Account(number))? {
        Answer::Account(Some(account)) => Ok(account),
        _ => Err(format!("there is no account {number}")),
    }
}

/// Changes an account and ends its session.
fn change(office: &mut dyn Office, number: u32, words: &str, change: Change) -> Done {
    account(office, number)?;
    commit(office, Request::Commit(vec![change]))?;
    office.tell(Control::SignOut(number, words.into()));
    Ok(())
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
