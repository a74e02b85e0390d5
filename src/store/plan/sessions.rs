//! What lets somebody in without a password: tokens, and the session that outlives the server.

use super::{Plan, Planned};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key;
use crate::store::{SessionRecord, read, token};

impl<I: Lookup> Plan<'_, I> {
    pub(super) fn put_token(&mut self, number: u32, hash: &[u8; 32], until_ms: u64) -> Planned<()> {
        self.must_exist(number)?;
        let record = self.draft.get(self.index, key::tokens(number))?;
        let mut tokens =
            record.map_or(Some(Vec::new()), |record| token::decode(&record)).ok_or_else(read::malformed)?;
        tokens.retain(|token| token.1 != *hash);
        // The new one stays even if the clock has gone back.
        while tokens.len() >= limits::TOKENS
            && let Some(oldest) = (0..tokens.len()).min_by_key(|at| tokens[*at].0)
        {
            tokens.remove(oldest);
        }
        tokens.push((until_ms, *hash));
        self.draft.put(key::tokens(number), token::encode(&tokens));
        Ok(())
    }

    /// Whoever is in, or has a token to come in, needs the password from now on.
    pub(super) fn shut_out(&mut self, number: u32) -> Planned<()> {
        self.delete(key::tokens(number))?;
        self.end_sessions(number)
    }

    /// No session of theirs is kept.
    pub(super) fn end_sessions(&mut self, number: u32) -> Planned<()> {
        for session in self.draft.keys(self.index, key::sessions_of(number))? {
            self.draft.delete(session);
        }
        Ok(())
    }

    pub(super) fn change_session(
        &mut self,
        number: u32,
        session: u32,
        change: impl FnOnce(&mut SessionRecord),
    ) -> Planned<()> {
        let key = key::session(number, session);
        let Some(before) = self.draft.get(self.index, key)? else { return Ok(()) };
        let before = read::session(&key, &before)?;
        let mut record = before.clone();
        change(&mut record);
        if record != before {
            self.draft.put(key, record.encode());
        }
        Ok(())
    }
}
