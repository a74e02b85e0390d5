//! Invites: codes with which somebody may register.

use super::{Done, Office, Show, check_words, commit, now_ms, say};
use crate::store::{Change, Invite, Request, Utc};
use argon2::password_hash::rand_core::{OsRng, RngCore};
use serde_json::json;

/// How long an invite that is good no more stays in the list: a season, to see who has used it.
const KEEP_MS: u64 = 90 * 24 * 3_600_000;

/// Makes one, and tells its code, which is told only once.
pub(super) fn add(office: &mut dyn Office, uses: u32, until_ms: u64, note: &str, show: Show<'_>) -> Done {
    let now_ms = now_ms();
    check_words("note", note, 0)?;
    if uses == 0 {
        return Err("an invite is for one account at least".to_owned());
    }
    if until_ms <= now_ms {
        return Err("that time is over already".to_owned());
    }
    let mut random = [0; 10];
    OsRng.fill_bytes(&mut random);
    let code = Invite::code(random);
    let hash = Invite::hash_of(&code).ok_or("the code is none: this is a bug")?;
    let invite = Invite { hash, made_ms: now_ms, until_ms, uses, used: 0, last: 0, note: note.into() };
    let old = office.accounts().invites().map_err(|error| error.to_string())?;
    let old = old.iter().filter(|old| !old.is_good(now_ms) && old.made_ms + KEEP_MS < now_ms);
    let mut changes: Vec<Change> = old.map(|old| Change::DeleteInvite(old.id())).collect();
    changes.push(Change::PutInvite(invite));
    commit(office, Request::Commit(changes))?;
    say(show, &code)
}

/// All invites. Their codes are not kept.
pub(super) fn list(office: &mut dyn Office, json: bool, show: Show<'_>) -> Done {
    let now_ms = now_ms();
    for invite in office.accounts().invites().map_err(|error| error.to_string())? {
        let Invite { made_ms, until_ms, uses, used, last, note, .. } = &invite;
        let id = format!("{:016x}", invite.id());
        if json {
            let object = json!({
                "id": id,
                "made_ms": made_ms,
                "until_ms": Some(*until_ms).filter(|until_ms| *until_ms != u64::MAX),
                "uses": uses,
                "used": used,
                "last_account": Some(*last).filter(|last| *last != 0),
                "good": invite.is_good(now_ms),
                "note": note,
            });
            say(show, &object.to_string())?;
            continue;
        }
        let end = match *until_ms {
            u64::MAX => "for good".to_owned(),
            until_ms => format!("until {}", Utc(until_ms)),
        };
        let last = if *last == 0 { String::new() } else { format!(", last by {last}") };
        let over = if invite.is_good(now_ms) { "" } else { "  (good no more)" };
        let note = if note.is_empty() { String::new() } else { format!("  {}", note.escape_debug()) };
        say(show, &format!("{id}  {end}  used {used} of {uses}{last}{over}{note}"))?;
    }
    Ok(())
}

/// Takes one back, by its code or by what the list calls it.
pub(super) fn revoke(office: &mut dyn Office, which: &str, show: Show<'_>) -> Done {
    let listed = u64::from_str_radix(which, 16).ok().filter(|_| which.len() == 16);
    let all = office.accounts().invites().map_err(|error| error.to_string())?;
    let hash = Invite::hash_of(which);
    let invite = all.iter().find(|invite| Some(invite.id()) == listed || Some(invite.hash) == hash);
    let invite = invite.ok_or_else(|| format!("there is no invite {which:?}: `oicqd invite list` lists them"))?;
    commit(office, Request::Commit(vec![Change::DeleteInvite(invite.id())]))?;
    say(show, &format!("invite {:016x} is good no more", invite.id()))
}
