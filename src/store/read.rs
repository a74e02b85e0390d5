//! Reads of the index. A record that cannot be read means that the index is damaged: it is made anew.

use super::audit::AuditSeal;
use super::index::Lookup;
use super::invite::id_of;
use super::key::{self, Key};
use super::ledger::Ledger;
use super::plan::mail::WALK;
use super::plan::read_until;
use super::record::{Head, details, reach};
use super::token::{self, Token};
use super::{
    Account, AccountView, Answer, Ban, Card, Grant, Invite, KnownToken, Mail, Refusal, Request, Seen, SessionRecord,
    Text, UserRecord, lists,
};
use crate::limits;
use crate::wire::WireError;
use std::io;
use std::ops::{ControlFlow, Range};

/// Answers a request that only reads; `None` for the others.
pub(super) fn answer<I: Lookup>(index: &I, ledger: &mut Ledger, request: &Request) -> io::Result<Option<Answer>> {
    Ok(Some(match request {
        Request::User(number) => {
            let Some((user, first_mail)) = user(index, *number, ledger.mail_start(*number))? else {
                return Ok(Some(Answer::User(None)));
            };
            // What was deleted before it is not walked again.
            ledger.mail_starts(*number, first_mail);
            Answer::User(Some(Box::new(user)))
        }
        Request::Account(number) => Answer::Account(account(index, *number)?.map(Box::new)),
        Request::View { number, viewer } => Answer::Account(view(index, *number, *viewer)?.map(Box::new)),
        Request::Cards(numbers) => Answer::Cards(cards(index, numbers)?),
        Request::Mail(number) => {
            let page = mail(index, *number, ledger.mail_start(*number))?;
            ledger.mail_starts(*number, page.first().map(|mail| mail.seq));
            Answer::Mail(page)
        }
        Request::MailAfter(number, after) => {
            let from = ledger.mail_start(*number).max(after.saturating_add(1));
            Answer::Mail(mail(index, *number, from)?)
        }
        Request::Token { number, hash } => Answer::Token(token(index, *number, hash)?),
        Request::Session(number) => {
            let mut newest: Option<SessionRecord> = None;
            visit_sessions(index, key::sessions_of(*number), &mut |record| {
                if newest.as_ref().is_none_or(|newest| newest.started_ms <= record.started_ms) {
                    newest = Some(record);
                }
            })?;
            Answer::Session(newest.map(Box::new))
        }
        Request::ListedBy(number) => Answer::Numbers(listed_by(index, *number)?),
        Request::Refuses { owner, other } => Answer::Refuses(refuses(index, *owner, *other)?),
        Request::Asked { target, asker } => {
            Answer::Until(index.get(&key::ask(*target, *asker))?.and_then(|value| read_until(value.as_ref())))
        }
        Request::Grant { .. } if audit_seal(index)?.is_some_and(|seal| seal.broken().is_some()) => {
            Answer::Refused(Refusal::AuditBroken)
        }
        Request::Grant { monitor, target } => Answer::Grant(grant(index, *monitor, *target)?),
        Request::Invite { hash, now_ms } => {
            let invite = index.get(&key::invite(id_of(hash)))?;
            let invite = invite.map(|value| Invite::decode(value.as_ref()).ok_or_else(malformed)).transpose()?;
            let good = invite.filter(|invite| invite.hash == *hash && invite.is_good(*now_ms));
            Answer::Until(good.map(|invite| invite.until_ms))
        }
        Request::RegisterInvited(..) | Request::Register(_) | Request::Commit(_) | Request::Audit(_) => {
            return Ok(None);
        }
    }))
}

fn damaged(error: WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The name of the group that comes with an account. It is kept only once it has another one: a key less for each
/// account makes a new index in half the time.
const FIRST_GROUP_NAME: &str = "My Friends";

pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record is malformed")
}

/// Visits a range with a visitor that can fail.
fn each<I: Lookup>(
    index: &I,
    range: Range<Key>,
    mut visit: impl FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let mut failed = Ok(());
    index.scan(&range.start..&range.end, &mut |key, value| match visit(key, value) {
        Ok(flow) => flow,
        Err(error) => {
            failed = Err(error);
            ControlFlow::Break(())
        }
    })?;
    failed
}

fn account<I: Lookup>(index: &I, number: u32) -> io::Result<Option<Account>> {
    index.get(&key::account(number))?.map(|value| Account::decode(value.as_ref()).map_err(damaged)).transpose()
}

/// The lists of a user, and the place of the first message in the mailbox.
pub(super) fn user<I: Lookup>(
    index: &I,
    number: u32,
    mail_start: u64,
) -> io::Result<Option<(UserRecord, Option<u64>)>> {
    let Some(account) = account(index, number)? else { return Ok(None) };
    let mut groups = Vec::new();
    each(index, key::groups_of(number), |key, name| {
        let group = *key.last().ok_or_else(malformed)?;
        groups.push((group, std::str::from_utf8(name).map_err(|_| malformed())?.into()));
        Ok(ControlFlow::Continue(()))
    })?;
    if groups.first().is_none_or(|(group, _)| *group != limits::FIRST_GROUP) {
        groups.insert(0, (limits::FIRST_GROUP, FIRST_GROUP_NAME.into()));
    }
    let friends = friends(index, number)?;
    let mut blocks = Vec::new();
    each(index, key::blocks_of(number), |key, _| {
        blocks.push(Key::last_number(key).ok_or_else(malformed)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut blockers = Vec::new();
    each(index, key::blockers_of(number), |key, _| {
        blockers.push(Key::last_number(key).ok_or_else(malformed)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let numbers: Vec<u32> = friends.iter().map(|(friend, _)| *friend).collect();
    let cards = cards(index, &numbers)?;
    let mut first_mail = None;
    each(index, key::mail_from(number, mail_start), |key, _| {
        first_mail = Some(Key::mail_seq(key).ok_or_else(malformed)?);
        Ok(ControlFlow::Break(()))
    })?;
    let has_mail = first_mail.is_some();
    Ok(Some((UserRecord { account, groups, friends, blocks, blockers, cards, has_mail }, first_mail)))
}

/// An account as somebody else reads it.
fn view<I: Lookup>(index: &I, number: u32, viewer: u32) -> io::Result<Option<Account>> {
    let Some(mut account) = account(index, number)? else { return Ok(None) };
    let shown = match account.details {
        _ if viewer == number => true,
        details::EVERYBODY => true,
        details::LISTED => lists_friend(index, number, viewer)? && index.get(&key::block(number, viewer))?.is_none(),
        _ => false,
    };
    if !shown {
        account.hide_details();
    }
    Ok(Some(account))
}

/// Who lists a user: the reverse list, which is in blocks of numbers.
fn listed_by<I: Lookup>(index: &I, number: u32) -> io::Result<Vec<u32>> {
    let mut owners = Vec::new();
    each(index, key::watchers_of(number), |_, block| {
        owners.extend(lists::read_watchers(block).ok_or_else(malformed)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(owners)
}

/// Whether `owner` takes nothing from `other` (protocol.md 3.1, 3.2).
fn refuses<I: Lookup>(index: &I, owner: u32, other: u32) -> io::Result<bool> {
    if index.get(&key::block(owner, other))?.is_some() {
        return Ok(true);
    }
    let Some(account) = index.get(&key::account(owner))? else { return Ok(false) };
    let reach = AccountView::decode(account.as_ref()).map_err(damaged)?.reach;
    Ok(reach == reach::LISTED && !lists_friend(index, owner, other)?)
}

fn lists_friend<I: Lookup>(index: &I, owner: u32, friend: u32) -> io::Result<bool> {
    Ok(friends(index, owner)?.binary_search_by_key(&friend, |entry| entry.0).is_ok())
}

pub(super) fn friends<I: Lookup>(index: &I, owner: u32) -> io::Result<Vec<(u32, u8)>> {
    let Some(value) = index.get(&key::friends(owner))? else { return Ok(Vec::new()) };
    lists::read_friends(value.as_ref()).ok_or_else(malformed)
}

fn cards<I: Lookup>(index: &I, numbers: &[u32]) -> io::Result<Vec<Card>> {
    let mut cards = Vec::with_capacity(numbers.len());
    for number in numbers {
        if let Some(value) = index.get(&key::account(*number))? {
            cards.push(AccountView::decode(value.as_ref()).map_err(damaged)?.card(*number));
        }
    }
    Ok(cards)
}

fn mail<I: Lookup>(index: &I, number: u32, from: u64) -> io::Result<Vec<Mail>> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    let mut apart = Vec::new();
    each(index, key::mail_from(number, from), |key, value| {
        if Head::of(value).map_err(damaged)?.given {
            return Ok(ControlFlow::Continue(()));
        }
        let (mail, elsewhere) = Mail::decode(Key::mail_seq(key).ok_or_else(malformed)?, value).map_err(damaged)?;
        bytes += value.len() + usize::from(elsewhere.unwrap_or(0));
        // A page holds at least one message, however long.
        if page.len() == limits::MAILBOX_PAGE || (bytes > limits::MAILBOX_PAGE_BYTES && !page.is_empty()) {
            return Ok(ControlFlow::Break(()));
        }
        if elsewhere.is_some() {
            apart.push(page.len());
        }
        page.push(mail);
        Ok(ControlFlow::Continue(()))
    })?;
    // The index may not be asked while it is scanned.
    for at in apart {
        let text = index.get(&key::text(page[at].from, page[at].id))?.ok_or_else(malformed)?;
        page[at].text = Text::Shared(std::str::from_utf8(text.as_ref()).map_err(|_| malformed())?.into());
    }
    Ok(page)
}

/// The mailboxes that are too long to be walked.
pub(super) fn long_mailboxes<I: Lookup>(index: &I) -> io::Result<Vec<u32>> {
    let (mut long, mut owner, mut messages) = (Vec::new(), 0, 0);
    each(index, key::mails(), |key, _| {
        let key::What::Mail(number, _) = key::what(key) else { return Err(malformed()) };
        messages = if number == owner { messages + 1 } else { 1 };
        owner = number;
        if messages == WALK + 1 {
            long.push(number);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(long)
}

fn grant<I: Lookup>(index: &I, monitor: u32, target: u32) -> io::Result<Option<Grant>> {
    let value = index.get(&key::grant(monitor, target))?;
    value.map(|value| Grant::decode(monitor, target, value.as_ref()).map_err(damaged)).transpose()
}

/// How many tokens of an account there are.
pub(super) fn token_count<I: Lookup>(index: &I, number: u32) -> io::Result<usize> {
    let Some(value) = index.get(&key::tokens(number))? else { return Ok(0) };
    token::decode(value.as_ref()).map(|tokens| tokens.len()).ok_or_else(malformed)
}

/// All bans.
pub(super) fn bans<I: Lookup>(index: &I) -> io::Result<Vec<Ban>> {
    let mut bans = Vec::new();
    each(index, key::bans(), |_, value| {
        bans.push(Ban::decode(value).ok_or_else(malformed)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(bans)
}

/// All invites.
pub(super) fn invites<I: Lookup>(index: &I) -> io::Result<Vec<Invite>> {
    let mut invites = Vec::new();
    each(index, key::invites(), |_, value| {
        invites.push(Invite::decode(value).ok_or_else(malformed)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(invites)
}

/// When and where a user was last here.
pub(super) fn seen<I: Lookup>(index: &I, number: u32) -> io::Result<Option<Seen>> {
    let value = index.get(&key::seen(number))?;
    value.map(|value| Seen::decode(value.as_ref()).ok_or_else(malformed)).transpose()
}

/// What is known of the audit log beside the file and its end.
pub(super) fn audit_seal<I: Lookup>(index: &I) -> io::Result<Option<AuditSeal>> {
    let value = index.get(&key::audit_seal())?;
    value.map(|value| AuditSeal::decode(value.as_ref()).ok_or_else(malformed)).transpose()
}

fn token<I: Lookup>(index: &I, number: u32, hash: &[u8; 32]) -> io::Result<Option<KnownToken>> {
    let Some(value) = index.get(&key::tokens(number))? else { return Ok(None) };
    let tokens = token::decode(value.as_ref()).ok_or_else(malformed)?;
    let found = tokens.into_iter().find(|token| token.hash == *hash);
    Ok(found.map(|Token { until_ms, session, .. }| KnownToken { until_ms, session }))
}

pub(super) fn session(key: &[u8], value: &[u8]) -> io::Result<SessionRecord> {
    let record = Key::session_parts(key).and_then(|(number, session)| SessionRecord::decode(number, session, value));
    record.ok_or_else(malformed)
}

/// Visits all sessions, in order of number.
pub(super) fn sessions<I: Lookup>(index: &I, visit: &mut dyn FnMut(SessionRecord)) -> io::Result<()> {
    visit_sessions(index, key::sessions(), visit)
}

fn visit_sessions<I: Lookup>(index: &I, range: Range<Key>, visit: &mut dyn FnMut(SessionRecord)) -> io::Result<()> {
    each(index, range, |key, value| {
        visit(session(key, value)?);
        Ok(ControlFlow::Continue(()))
    })
}

/// All grants, in order of monitor and target.
pub(super) fn grants<I: Lookup>(index: &I) -> io::Result<Vec<Grant>> {
    let mut grants = Vec::new();
    each(index, key::grants(), |key, value| {
        let (monitor, target) = Key::two_numbers(key).ok_or_else(malformed)?;
        grants.push(Grant::decode(monitor, target, value).map_err(damaged)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(grants)
}
