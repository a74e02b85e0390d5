//! What the operator keeps: invites, bans, approvals.

use super::{Plan, Planned, Stop};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::invite::id_of;
use crate::store::key::{self, Key};
use crate::store::{Account, Ban, Banned, Invite, Refusal, read};

impl<I: Lookup> Plan<'_, I> {
    /// Plans a new account for whoever has this code. Code and account go together: it is never used twice, nor used up
    /// for nothing.
    pub(in crate::store) fn register_invited(&mut self, account: &Account, hash: &[u8; 32]) -> Planned<u32> {
        let key = key::invite(id_of(hash));
        let invite = self.draft.get(self.index, key)?.map(|value| Invite::decode(&value).ok_or_else(read::malformed));
        let invite = invite.transpose()?.filter(|invite| invite.hash == *hash && invite.is_good(account.created_ms));
        let Some(mut invite) = invite else { return Err(Stop::Refused(Refusal::BadInvite)) };
        let number = self.register(account)?;
        (invite.used, invite.last) = (invite.used + 1, number);
        self.draft.put(key, invite.encode());
        Ok(number)
    }

    pub(super) fn put_invite(&mut self, invite: &Invite) -> Planned<()> {
        if self.draft.keys(self.index, key::invites())?.len() >= limits::INVITES {
            return Err(Stop::Refused(Refusal::TooManyInvites));
        }
        self.draft.put(key::invite(invite.id()), invite.encode());
        Ok(())
    }

    pub(super) fn delete_invite(&mut self, id: u64) -> Planned<()> {
        if !self.draft.has(self.index, key::invite(id))? {
            return Err(Stop::Refused(Refusal::BadInvite));
        }
        self.draft.delete(key::invite(id));
        Ok(())
    }

    pub(super) fn approve(&mut self, number: u32) -> Planned<()> {
        self.change_account(number, |account| account.pending = false)
    }

    /// Bans somebody, instead of an earlier ban. The session of a banned account is not kept; its tokens are good again when
    /// the ban has ended.
    pub(super) fn put_ban(&mut self, ban: &Ban) -> Planned<()> {
        let earlier = self.ban_of(ban.who)?;
        let next = self.draft.last(self.index, key::bans())?.map_or(0, |(key, _)| Key::last_number(&key).unwrap_or(0));
        if earlier.is_none() && self.draft.keys(self.index, key::bans())?.len() >= limits::BANS {
            return Err(Stop::Refused(Refusal::TooManyBans));
        }
        if let Banned::Account(number) = ban.who {
            self.must_exist(number)?;
            self.end_sessions(number)?;
        }
        self.draft.put(earlier.unwrap_or_else(|| key::ban(next.saturating_add(1))), ban.encode());
        Ok(())
    }

    pub(super) fn lift_ban(&mut self, who: Banned) -> Planned<()> {
        let Some(key) = self.ban_of(who)? else { return Err(Stop::Refused(Refusal::NoSuchBan)) };
        self.draft.delete(key);
        Ok(())
    }

    /// Where the ban of these is kept. Bans are made by hand: there are never many.
    fn ban_of(&self, who: Banned) -> Planned<Option<Key>> {
        for key in self.draft.keys(self.index, key::bans())? {
            let Some(value) = self.draft.get(self.index, key)? else { continue };
            if Ban::decode(&value).ok_or_else(read::malformed)?.who == who {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}
