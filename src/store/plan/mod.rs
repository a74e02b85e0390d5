//! Turns what is asked into changes of keys, or refuses it. Here lists and reverse lists are kept in step.

mod asks;
mod blocks;
pub(super) mod friends;
pub(super) mod mail;
mod office;
mod sessions;
pub(super) mod shares;
mod texts;

pub(super) use asks::read_until;

use super::audit::AuditSeal;
use super::draft::Draft;
use super::index::Lookup;
use super::key::{self, Key};
use super::ledger::Ledger;
use super::{Account, Banned, Change, Grant, Refusal, read};
use crate::limits;
use std::io;

/// Why a commit is not done.
#[derive(Debug)]
pub(super) enum Stop {
    /// It may not be.
    Refused(Refusal),
    /// The index failed.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

type Planned<T> = Result<T, Stop>;

/// The changes of a group, while it is planned.
pub(super) struct Plan<'a, I> {
    index: &'a I,
    ledger: &'a mut Ledger,
    draft: Draft,
    /// Where the present commit has put mail.
    places: Vec<u64>,
}

impl<'a, I: Lookup> Plan<'a, I> {
    pub(super) fn new(index: &'a I, ledger: &'a mut Ledger) -> Self {
        ledger.begin_group();
        Self { index, ledger, draft: Draft::default(), places: Vec::new() }
    }

    /// All that was planned.
    pub(super) fn finish(self) -> Draft {
        self.draft
    }

    /// Plans a new account.
    pub(super) fn register(&mut self, account: &Account) -> Planned<u32> {
        let number = self.ledger.counters.next_number;
        if number > limits::LAST_USER {
            return Err(Stop::Refused(Refusal::NoNumberLeft));
        }
        self.draft.begin();
        self.ledger.counters.next_number += 1;
        self.ledger.counters.accounts += 1;
        self.draft.put_first(key::account(number), account.encode());
        Ok(number)
    }

    /// Plans these changes, all or none. Gives the places of the mail that they add.
    pub(super) fn commit(&mut self, changes: &[Change]) -> Planned<Vec<u64>> {
        self.draft.begin();
        self.ledger.begin_commit();
        self.places.clear();
        let planned = changes.iter().try_for_each(|change| self.change(change));
        if planned.is_err() {
            self.draft.take_back();
            self.ledger.take_back_commit();
        }
        planned.map(|()| std::mem::take(&mut self.places))
    }

    fn change(&mut self, change: &Change) -> Planned<()> {
        match change {
            Change::PutProfile(number, profile, password) => {
                self.change_account(*number, |account| {
                    account.set_profile(profile.clone());
                    if let Some(password) = password {
                        account.password.clone_from(password);
                    }
                })?;
                if profile.reach().is_some() {
                    let refuses = self.refuses_anybody(*number)?;
                    self.ledger.set_refuses(*number, refuses);
                }
            }
            Change::PutPassword(number, password) => {
                self.change_account(*number, |account| account.password.clone_from(password))?;
                self.shut_out(*number)?;
            }
            Change::SetLimits(number, limits) => self.change_account(*number, |account| account.limits = *limits)?,
            Change::SetDisabled(number, disabled) => {
                self.change_account(*number, |account| account.disabled = *disabled)?;
                if *disabled {
                    self.shut_out(*number)?;
                }
            }
            Change::Approve(number) => self.approve(*number)?,
            Change::PutInvite(invite) => self.put_invite(invite)?,
            Change::DeleteInvite(id) => self.delete_invite(*id)?,
            Change::PutBan(ban) => self.put_ban(ban)?,
            Change::LiftBan(who) => self.lift_ban(*who)?,
            Change::PutSeen(number, seen) => {
                // Who is gone is seen no more.
                if self.draft.has(self.index, key::account(*number))? {
                    self.draft.put(key::seen(*number), seen.encode());
                }
            }
            Change::PutGroup(owner, group, name) => {
                self.must_exist(*owner)?;
                self.draft.put(key::group(*owner, *group), name.as_bytes());
            }
            Change::DeleteGroup(owner, group) => self.delete_group(*owner, *group)?,
            Change::PutFriend { owner, friend, group } => self.put_friend(*owner, *friend, *group)?,
            Change::DeleteFriend { owner, friend } => self.delete_friend(*owner, *friend)?,
            Change::PutAsk { target, asker, until_ms } => self.put_ask(*target, *asker, *until_ms)?,
            Change::DeleteAsk { target, asker } => {
                if !self.draft.has(self.index, key::ask(*target, *asker))? {
                    return Err(Stop::Refused(Refusal::NoSuchAsk));
                }
                self.delete_ask(*target, *asker)?;
            }
            Change::AddMail(number, mail) => self.add_mail(*number, mail)?,
            Change::DeleteMail(number, through) => self.delete_mail(*number, *through)?,
            Change::DeleteMailAt(number, places) => self.delete_mail_at(*number, places)?,
            Change::GiveMail(number, through) => self.give_mail(*number, *through)?,
            Change::GiveMailAt(number, places) => self.give_mail_at(*number, places)?,
            Change::DeleteGiven(number) => self.delete_given(*number)?,
            Change::PutBlock { owner, other } => self.put_block(*owner, *other)?,
            Change::DeleteBlock { owner, other } => self.delete_block(*owner, *other)?,
            Change::PutToken(token) => self.put_token(token)?,
            Change::EndTokens { number, session } => self.end_tokens(*number, *session)?,
            Change::KeepOnly { number, session } => self.keep_only(*number, *session)?,
            Change::DeleteTokens(number) => self.delete(key::tokens(*number))?,
            Change::PutSession(record, beside) => {
                self.must_exist(record.number)?;
                for key in self.draft.keys(self.index, key::sessions_of(record.number))? {
                    if Key::session_parts(&key).map(|(_, session)| session) != *beside {
                        self.draft.delete(key);
                    }
                }
                self.draft.put(key::session(record.number, record.session), record.encode());
            }
            Change::DeleteSession { number, session } => {
                self.delete(key::session(*number, *session))?;
            }
            Change::SetSessionAddress { number, session, address } => {
                self.change_session(*number, *session, |record| record.address = *address)?;
            }
            Change::SetSessionStatus { number, session, status } => {
                self.change_session(*number, *session, |record| record.status = *status)?;
            }
            Change::PutGrant(grant) => self.put_grant(grant)?,
            Change::DeleteGrant { monitor, target } => self.delete(key::grant(*monitor, *target))?,
            Change::DeleteAccount(number) => self.delete_account(*number)?,
            Change::AcknowledgeAudit => {
                if let Some(mut seal) = self.audit_seal()? {
                    seal.acknowledge();
                    self.draft.put(key::audit_seal(), seal.encode());
                }
            }
        }
        Ok(())
    }

    fn must_exist(&mut self, number: u32) -> Planned<()> {
        if self.draft.has(self.index, key::account(number))? { Ok(()) } else { Err(Stop::Refused(Refusal::NoSuchUser)) }
    }

    /// Changes a part of an account and leaves the rest as it is, whoever else changes that.
    fn change_account(&mut self, number: u32, change: impl FnOnce(&mut Account)) -> Planned<()> {
        let Some(record) = self.draft.get(self.index, key::account(number))? else {
            return Err(Stop::Refused(Refusal::NoSuchUser));
        };
        let mut account = Account::decode(&record).map_err(io::Error::other)?;
        change(&mut account);
        self.draft.put(key::account(number), account.encode());
        Ok(())
    }

    /// Deletes a key if it is there.
    fn delete(&mut self, key: Key) -> Planned<()> {
        if self.draft.has(self.index, key)? {
            self.draft.delete(key);
        }
        Ok(())
    }

    fn numbers(&self, range: std::ops::Range<Key>) -> Planned<Vec<u32>> {
        Ok(self.draft.keys(self.index, range)?.iter().filter_map(|key| Key::last_number(key)).collect())
    }

    fn delete_group(&mut self, owner: u32, group: u8) -> Planned<()> {
        self.delete(key::group(owner, group))?;
        // A friend that the caller forgot would be in a list that nobody can see.
        self.empty_group(owner, group)
    }

    fn audit_seal(&self) -> Planned<Option<AuditSeal>> {
        let value = self.draft.get(self.index, key::audit_seal())?;
        Ok(value.map(|value| AuditSeal::decode(&value).ok_or_else(read::malformed)).transpose()?)
    }

    fn put_grant(&mut self, grant: &Grant) -> Planned<()> {
        if self.audit_seal()?.is_some_and(|seal| seal.broken().is_some()) {
            return Err(Stop::Refused(Refusal::AuditBroken));
        }
        self.must_exist(grant.monitor)?;
        self.must_exist(grant.target)?;
        self.draft.put(key::grant(grant.monitor, grant.target), grant.encode());
        Ok(())
    }

    fn delete_account(&mut self, number: u32) -> Planned<()> {
        self.must_exist(number)?;
        self.delete_friends(number)?;
        for asker in self.numbers(key::asks_to(number))? {
            self.delete_ask(number, asker)?;
        }
        for target in self.numbers(key::asks_by(number))? {
            self.delete_ask(target, number)?;
        }
        self.delete_mail(number, u64::MAX)?;
        self.delete_blocks(number)?;
        self.shut_out(number)?;
        self.delete(key::seen(number))?;
        if let Err(Stop::Failed(error)) = self.lift_ban(Banned::Account(number)) {
            return Err(error.into());
        }
        // The operator grants by hand: there are never many.
        for grant in self.draft.keys(self.index, key::grants())? {
            if Key::two_numbers(&grant).is_some_and(|(monitor, target)| monitor == number || target == number) {
                self.draft.delete(grant);
            }
        }
        for group in self.draft.keys(self.index, key::groups_of(number))? {
            self.draft.delete(group);
        }
        self.draft.delete(key::account(number));
        self.ledger.counters.accounts -= 1;
        // A mailbox that is remembered says that the account exists.
        self.ledger.forget_mailbox(number);
        Ok(())
    }
}
