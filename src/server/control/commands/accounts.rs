//! What is done with accounts.

use super::{Done, Office, Show, account, change, commit, now_ms, say};
use crate::limits::NAME_BYTES;
use crate::shard::{Control, Rate};
use crate::store::{Account, AccountView, Answer, Ban, Banned, Change, Grant, MailView, Request, Utc};
use crate::wire::Profile;
use serde_json::json;
use std::net::SocketAddr;
use std::ops::ControlFlow;

/// A new account, with the hash of its password.
pub(super) fn add(office: &mut dyn Office, nickname: &str, hash: &str, show: Show<'_>) -> Done {
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

/// The account goes first, so that nobody signs in between; then every list in memory forgets it.
pub(super) fn delete(office: &mut dyn Office, number: u32, purge: bool, show: Show<'_>) -> Done {
    change(office, number, "this account was deleted by the operator", Change::DeleteAccount(number))?;
    office.tell(Control::Deleted(number));
    say(show, &format!("account {number} is deleted"))?;
    if purge { super::mailboxes::purge_sender(office, number, show) } else { Ok(()) }
}

/// Lets somebody in who has registered and waits for it.
pub(super) fn approve(office: &mut dyn Office, number: u32, show: Show<'_>) -> Done {
    if !account(office, number)?.pending {
        return Err(format!(
            "account {number} does not wait for approval: `oicqd account list --pending` lists who does"
        ));
    }
    commit(office, Request::Commit(vec![Change::Approve(number)]))?;
    say(show, &format!("account {number} is approved"))
}

/// Gives an account limits of its own, or takes all of them back. A session that stands has them at once.
pub(super) fn limits(
    office: &mut dyn Office,
    number: u32,
    default: bool,
    rates: [Option<Rate>; 4],
    show: Show<'_>,
) -> Done {
    let mut limits = account(office, number)?.limits;
    for (limit, rate) in limits.iter_mut().zip(rates) {
        let given = rate.map(|rate| [rate.per_second, rate.burst]);
        *limit = if default { None } else { given.or(*limit) };
    }
    commit(office, Request::Commit(vec![Change::SetLimits(number, limits)]))?;
    office.tell(Control::Limits(number, limits));
    let words = ["messages", "writes", "reads", "file-bytes"].iter().zip(limits).map(|(name, limit)| {
        let rate = limit.map(|[per_second, burst]| Rate { per_second, burst }.to_string());
        format!("{name} {}", rate.as_deref().unwrap_or("as everybody"))
    });
    say(show, &format!("account {number}: {}", words.collect::<Vec<_>>().join(", ")))
}

/// All accounts, or those that wait for approval.
pub(super) fn list(office: &mut dyn Office, pending: bool, json: bool, show: Show<'_>) -> Done {
    let mut failed = None;
    let visited = office.accounts().scan(0, &mut |number, record| {
        let line = match AccountView::decode(record) {
            Ok(account) if pending && !account.pending => return ControlFlow::Continue(()),
            Ok(account) if json => {
                let AccountView { disabled, pending, created_ms, profile, .. } = account;
                json!({
                    "number": number,
                    "nickname": profile.nickname,
                    "registered_ms": created_ms,
                    "disabled": disabled,
                    "pending": pending,
                })
                .to_string()
            }
            Ok(account) => {
                let shut = if account.disabled { "  (disabled)" } else { "" };
                let waits = if account.pending { "  (waits for approval)" } else { "" };
                format!("{number}  {}{shut}{waits}", account.profile.nickname.escape_debug())
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

/// All that is known of an account, but for what its owner has written.
pub(super) fn show_one(office: &mut dyn Office, number: u32, json: bool, show: Show<'_>) -> Done {
    let failed = |error: std::io::Error| error.to_string();
    let account = account(office, number)?;
    let present = office.presence(number);
    let session = match commit(office, Request::Session(number))? {
        Answer::Session(session) => session,
        _ => None,
    };
    let (now_ms, accounts) = (now_ms(), office.accounts());
    let seen = accounts.seen(number).map_err(failed)?;
    let tokens = accounts.tokens(number).map_err(failed)?;
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    let count = &mut |mail: MailView| {
        (messages, bytes) = (messages + 1, bytes + u64::from(mail.bytes));
        ControlFlow::Continue(())
    };
    accounts.mailbox(number, count).map_err(failed)?;
    let bans = accounts.bans().map_err(failed)?;
    let ban = bans.iter().find(|ban| ban.who == Banned::Account(number) && ban.holds(now_ms));
    let here = present.and_then(|one| one.address);
    let at = here.or_else(|| session.as_ref()?.address.map(|(address, _)| address));
    // Between the end of a session and its record is a moment in which it is neither.
    let signed_in = present.is_some() || session.is_some();
    let status = present.map(|one| one.status).or_else(|| Some(session.as_ref()?.status)).map(status_word);
    let way = if session.is_some() { "over the link" } else { "in bare frames" };
    let grants = accounts.grants().map_err(failed)?;
    let grants = grants.iter().filter(|one| (one.monitor == number || one.target == number) && one.until_ms > now_ms);
    if json {
        let object = json!({
            "number": number,
            "nickname": account.profile().nickname,
            "registered_ms": account.created_ms,
            "disabled": account.disabled,
            "pending": account.pending,
            "signed_in": signed_in,
            "over_link": session.is_some(),
            "status": status,
            "since_ms": session.as_ref().map(|session| session.started_ms),
            "address": at.map(|at| at.to_string()),
            "last_seen_ms": if signed_in { Some(now_ms) } else { seen.map(|seen| seen.at_ms) },
            "last_seen_at": seen.and_then(|seen| seen.address).or(at).map(|at| at.to_string()),
            "tokens": tokens,
            "stored_messages": messages,
            "stored_bytes": bytes,
            "ban": ban.map(|ban| json!({
                "since_ms": ban.since_ms,
                "until_ms": Some(ban.until_ms).filter(|until_ms| *until_ms != u64::MAX),
                "reason": ban.reason,
            })),
            "grants": grants.map(|one| json!({
                "monitor": one.monitor, "target": one.target, "until_ms": one.until_ms, "reason": one.reason,
            })).collect::<Vec<_>>(),
        });
        return say(show, &object.to_string());
    }
    let from = |at: Option<SocketAddr>| at.map_or_else(String::new, |at| format!(" from {at}"));
    let since = session.as_ref().map_or_else(String::new, |session| format!(" since {}", Utc(session.started_ms)));
    let state = match (account.disabled, account.pending) {
        (true, _) => "disabled",
        (false, true) => "waits for approval",
        (false, false) => "open",
    };
    say(show, &format!("account          {number}  {}", account.profile().nickname.escape_debug()))?;
    say(show, &format!("registered       {}", Utc(account.created_ms)))?;
    say(show, &format!("state            {state}"))?;
    match status {
        Some(status) => say(show, &format!("signed in        {way}{since}{}, {status}", from(at)))?,
        None => say(show, "signed in        no")?,
    }
    match seen {
        _ if signed_in => say(show, &format!("last seen        now{}", from(at)))?,
        Some(seen) => say(show, &format!("last seen        {}{}", Utc(seen.at_ms), from(seen.address)))?,
        None => say(show, "last seen        never, or before this was written down")?,
    }
    say(show, &format!("tokens           {tokens}"))?;
    say(show, &format!("stored messages  {messages} ({bytes} bytes)"))?;
    say(show, &format!("banned           {}", ban.map_or_else(|| "no".to_owned(), Ban::words)))?;
    for Grant { monitor, target, until_ms, reason } in grants {
        let until = Utc(*until_ms);
        say(show, &format!("grant            {monitor} monitors {target} until {until}: {}", reason.escape_debug()))?;
    }
    Ok(())
}

fn status_word(status: u8) -> &'static str {
    match status {
        1 => "online",
        2 => "hidden",
        _ => "do not disturb",
    }
}

/// Sessions over the link: those of bare frames are the running server's alone, and are not listed.
pub(super) fn sessions(office: &mut dyn Office, number: u32, show: Show<'_>) -> Done {
    if number != 0 {
        account(office, number)?;
    }
    let mut failed = None;
    let visited = office.accounts().sessions(&mut |record| {
        if failed.is_some() || (number != 0 && record.number != number) {
            return;
        }
        let at = record.address.map_or_else(|| "tcp".to_owned(), |(address, _)| address.to_string());
        let status = status_word(record.status);
        failed = show(&format!("{}  since {}  {at}  {status}", record.number, Utc(record.started_ms))).err();
    });
    visited.and(failed.map_or(Ok(()), Err)).map_err(|error| error.to_string())
}

/// Ends the session and the tokens of an account: whoever has the password can sign in again.
pub(super) fn sign_out(office: &mut dyn Office, number: u32, show: Show<'_>) -> Done {
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
