//! Bans: of accounts, addresses and networks.

use super::{Done, Office, Show, check_words, commit, now_ms, say};
use crate::shard::{Bans, Control};
use crate::store::{Ban, Banned, Change, Request, Utc};
use serde_json::json;
use std::sync::Arc;

/// How long a ban that has ended stays in the list.
const KEEP_MS: u64 = 30 * 24 * 3_600_000;

/// Bans somebody. What was hardly meant, this machine itself or half the world, needs `force`.
pub(super) fn add(
    office: &mut dyn Office,
    who: &str,
    until_ms: u64,
    reason: &str,
    force: bool,
    show: Show<'_>,
) -> Done {
    let (now_ms, who) = (now_ms(), read(who)?);
    check_words("reason", reason, 1)?;
    if until_ms <= now_ms {
        return Err("that time is over already".to_owned());
    }
    if let Banned::Network(network) = who
        && network.is_alarming()
        && !force
    {
        return Err(format!(
            "{network} has addresses of this machine itself, or very many: nothing was done; say --force if it is meant"
        ));
    }
    let ban = Ban { who, since_ms: now_ms, until_ms, reason: reason.into() };
    let old = office.accounts().bans().map_err(|error| error.to_string())?;
    let over = |old: &&Ban| old.until_ms.saturating_add(KEEP_MS) < now_ms && old.who != who;
    let mut changes: Vec<Change> = old.iter().filter(over).map(|old| Change::LiftBan(old.who)).collect();
    let words = format!("{who} is {}", ban.words());
    changes.push(Change::PutBan(ban));
    commit(office, Request::Commit(changes))?;
    spread(office)?;
    say(show, &words)
}

/// All bans.
pub(super) fn list(office: &mut dyn Office, json: bool, show: Show<'_>) -> Done {
    let now_ms = now_ms();
    let mut bans = office.accounts().bans().map_err(|error| error.to_string())?;
    bans.sort_by_key(|ban| ban.who);
    for ban in bans {
        let Ban { who, since_ms, until_ms, reason } = &ban;
        let ended = !ban.holds(now_ms);
        if json {
            let object = json!({
                "account": if let Banned::Account(number) = who { Some(number) } else { None },
                "network": if let Banned::Network(network) = who { Some(network.to_string()) } else { None },
                "since_ms": since_ms,
                "until_ms": Some(*until_ms).filter(|until_ms| *until_ms != u64::MAX),
                "ended": ended,
                "reason": reason,
            });
            say(show, &object.to_string())?;
            continue;
        }
        let end = match *until_ms {
            u64::MAX => "for good".to_owned(),
            until_ms => format!("until {}", Utc(until_ms)),
        };
        let ended = if ended { "  (ended)" } else { "" };
        say(show, &format!("{who}  since {}  {end}{ended}: {}", Utc(*since_ms), reason.escape_debug()))?;
    }
    Ok(())
}

/// Ends a ban.
pub(super) fn lift(office: &mut dyn Office, who: &str, show: Show<'_>) -> Done {
    let who = read(who)?;
    let banned = office.accounts().bans().map_err(|error| error.to_string())?.iter().any(|ban| ban.who == who);
    if !banned {
        return Err(format!("{who} is not banned: `oicqd ban list` lists who is"));
    }
    commit(office, Request::Commit(vec![Change::LiftBan(who)]))?;
    spread(office)?;
    say(show, &format!("{who} is not banned any more"))
}

fn read(who: &str) -> Result<Banned, String> {
    who.parse().map_err(|wrong| format!("{who:?} is no account, address or network: {wrong}"))
}

/// Gives all shards the bans that are in force now.
fn spread(office: &mut dyn Office) -> Done {
    let bans = Bans::of(office.accounts().bans().map_err(|error| error.to_string())?);
    office.tell(Control::Bans(Arc::new(bans)));
    Ok(())
}
