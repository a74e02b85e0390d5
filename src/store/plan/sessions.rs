//! What lets somebody in without a password: tokens, and the session that outlives the server.

use super::{Plan, Planned};
use crate::limits;
use crate::store::index::Lookup;
use crate::store::key;
use crate::store::token::{self, Token};
use crate::store::{NewToken, SessionRecord, read};

impl<I: Lookup> Plan<'_, I> {
    /// Gives a token, in place of the one that was signed in with. That one stays until this one is used: its owner may not
    /// have got this one. But what it was given in place of is of no use any more.
    pub(super) fn put_token(&mut self, new: &NewToken) -> Planned<()> {
        let NewToken { number, hash, until_ms, session, instead_of } = *new;
        self.must_exist(number)?;
        let mut tokens = self.tokens(number)?;
        let used = instead_of.and_then(|used| tokens.iter().find(|token| token.hash == used));
        let done = used.and_then(|used| used.parent);
        // The store has no clock, but the caller's can be seen: all tokens are good equally long.
        let now_ms = until_ms.saturating_sub(limits::TOKEN.as_millis() as u64);
        tokens.retain(|token| {
            token.hash != hash && token.until_ms > now_ms && done.is_none_or(|done| token::name(&token.hash) != done)
        });
        // The new one stays even if the clock has gone back.
        while tokens.len() >= limits::TOKENS
            && let Some(oldest) = (0..tokens.len()).min_by_key(|at| tokens[*at].until_ms)
        {
            tokens.remove(oldest);
        }
        tokens.push(Token { until_ms, hash, session, parent: instead_of.as_ref().map(token::name) });
        self.draft.put(key::tokens(number), token::encode(&tokens));
        Ok(())
    }

    /// The tokens that were given in this session are good no more, nor those in place of which they were given: they would
    /// let somebody into what was signed out of.
    pub(super) fn end_tokens(&mut self, number: u32, session: u32) -> Planned<()> {
        let before = self.tokens(number)?;
        let given: Vec<&Token> = before.iter().filter(|token| token.session == session).collect();
        let ended = |token: &Token| {
            let name = token::name(&token.hash);
            token.session == session || given.iter().any(|given| given.parent == Some(name))
        };
        let left = before.iter().filter(|token| !ended(token)).cloned().collect();
        self.leave_tokens(number, before.len(), left)
    }

    /// Only this session is left, and the tokens that were given in it.
    pub(super) fn keep_only(&mut self, number: u32, session: u32) -> Planned<()> {
        let before = self.tokens(number)?;
        let left = before.iter().filter(|token| token.session == session).cloned().collect();
        self.leave_tokens(number, before.len(), left)?;
        for other in self.draft.keys(self.index, key::sessions_of(number))? {
            if other != key::session(number, session) {
                self.draft.delete(other);
            }
        }
        Ok(())
    }

    fn tokens(&self, number: u32) -> Planned<Vec<Token>> {
        let record = self.draft.get(self.index, key::tokens(number))?;
        Ok(record.map_or(Some(Vec::new()), |record| token::decode(&record)).ok_or_else(read::malformed)?)
    }

    fn leave_tokens(&mut self, number: u32, before: usize, left: Vec<Token>) -> Planned<()> {
        if left.is_empty() {
            return self.delete(key::tokens(number));
        }
        if left.len() < before {
            self.draft.put(key::tokens(number), token::encode(&left));
        }
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
