//! Sign-ins in progress: how many there may be, what waits for them, and how they end.

use super::notice::Refused;
use super::prefix::Prefix;
use super::user::Fingerprint;
use super::way::Origin;
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::link::CloseCode;

/// A sign-in in progress.
pub(super) struct Attempt {
    pub id: u64,
    pub from: Origin,
    /// Of the address that it came from, as far as that has proven itself.
    pub prefix: Prefix,
    /// It has a token rather than a password.
    pub by_token: bool,
    /// The status after it: online or hidden.
    pub status: u8,
    pub request: Fingerprint,
    /// The token that was signed in with, and the session in which it was given.
    pub by: Option<([u8; 32], u32)>,
    /// The next token, which the answer brings (links only).
    pub token: Box<str>,
    /// The account waits for the operator's approval: whoever has the password is told so.
    pub pending: bool,
    /// Something has been put into the mailbox since.
    pub mail_came: bool,
    /// Password or token was right.
    pub proven: bool,
    /// Nobody waits for it any more.
    pub abandoned: bool,
    /// Frames that came after it, for the session.
    pub held: Vec<Box<[u8]>>,
    held_bytes: usize,
}

impl Attempt {
    pub fn new(id: u64, from: Origin, prefix: Prefix, by_token: bool, status: u8, request: Fingerprint) -> Self {
        let (token, held, held_bytes) = ("".into(), Vec::new(), 0);
        Self {
            id,
            from,
            prefix,
            by_token,
            status,
            request,
            by: None,
            token,
            pending: false,
            mail_came: false,
            proven: false,
            abandoned: false,
            held,
            held_bytes,
        }
    }

    fn holds_enough(&self) -> bool {
        !self.abandoned && (self.held.len() >= limits::HELD_FRAMES || self.held_bytes >= limits::HELD_BYTES)
    }
}

impl Shard {
    /// The sign-ins in progress of a number.
    pub(super) fn attempts_of(&self, number: u32) -> &[Attempt] {
        self.attempts.get(&number).map_or(&[], Vec::as_slice)
    }

    pub(super) fn attempt(&self, number: u32, id: u64) -> Option<&Attempt> {
        self.attempts_of(number).iter().find(|one| one.id == id)
    }

    pub(super) fn attempt_mut(&mut self, number: u32, id: u64) -> Option<&mut Attempt> {
        self.attempts.get_mut(&number)?.iter_mut().find(|one| one.id == id)
    }

    /// Whether as many sign-ins of this account from this prefix are being checked as may be. Tokens are never held up by
    /// passwords.
    pub(super) fn too_many_attempts(&self, number: u32, prefix: Prefix, by_token: bool) -> bool {
        let same = |one: &&Attempt| one.prefix == prefix && one.by_token == by_token;
        self.attempts_of(number).iter().filter(same).count() >= limits::SIGN_IN_ATTEMPTS
            || self.pending.len() >= limits::QUESTIONS
    }

    /// A sign-in begins. What is behind it does not give way to newer links and connections while it is checked.
    pub(super) fn begin_attempt(&mut self, number: u32, attempt: Attempt) {
        if let Origin::Link(key) = attempt.from {
            self.spare_link(key, true);
        }
        self.attempts.entry(number).or_default().push(attempt);
    }

    /// Ends an attempt.
    pub(super) fn take_attempt(&mut self, number: u32, id: u64) -> Option<Attempt> {
        let attempts = self.attempts.get_mut(&number)?;
        let at = attempts.iter().position(|one| one.id == id)?;
        let attempt = attempts.swap_remove(at);
        if attempts.is_empty() {
            self.attempts.remove(&number);
        }
        Some(attempt)
    }

    pub(super) fn attempt_failed(&mut self, cx: &mut Cx<'_>, number: u32, id: u64, why: &Refused) {
        let Some(attempt) = self.take_attempt(number, id) else { return };
        if !attempt.abandoned {
            self.sign_in_refused(cx, attempt.from, number, Some(why));
        }
        if let Origin::Link(key) = attempt.from
            && !self.linked_session(key)
            && !self.attempts_of(number).iter().any(|one| one.from == attempt.from)
        {
            self.spare_link(key, false);
            if self.channel(key).is_some_and(|channel| !channel.link.narrow()) {
                self.end_link(cx, key, CloseCode::Idle, "sign in again");
            }
        }
    }

    /// Refuses whoever is signing in to this number.
    pub(super) fn refuse_attempts(&mut self, cx: &mut Cx<'_>, number: u32, why: &Refused) {
        let waiting: Vec<Origin> =
            self.attempts_of(number).iter().filter(|one| !one.abandoned).map(|one| one.from).collect();
        for from in waiting {
            self.sign_in_refused(cx, from, number, Some(why));
        }
        self.abandon_attempts(number, |_| true);
    }

    /// Nobody waits for these attempts any more. They keep their places until their checks are done: whoever gives up
    /// and tries again must not fill the password pool.
    pub(super) fn abandon_attempts(&mut self, number: u32, which: impl Fn(&Attempt) -> bool) {
        for attempt in self.attempts.get_mut(&number).into_iter().flatten().filter(|one| which(one)) {
            attempt.abandoned = true;
            attempt.held = Vec::new();
        }
    }

    /// Keeps a frame for the session that its sender is signing in to: on a stream it follows the sign-in at once.
    /// False if nobody signs in from there.
    pub(super) fn hold_frame(&mut self, me: u32, from: Origin, bytes: &[u8]) -> bool {
        let attempts = self.attempts.get_mut(&me).map_or(&mut [][..], Vec::as_mut_slice);
        let Some(attempt) = attempts.iter_mut().rfind(|one| one.from == from && !one.abandoned) else { return false };
        // A link is not even read while it holds enough.
        if matches!(from, Origin::Link(_)) || !attempt.holds_enough() {
            attempt.held_bytes += bytes.len();
            attempt.held.push(bytes.into());
        }
        true
    }

    /// Whether a sign-in over this link is being checked.
    pub(super) fn is_checked(&self, key: SessionKey) -> bool {
        self.attempts_of(key.number).iter().any(|one| one.from == Origin::Link(key) && !one.abandoned)
    }

    /// Whether a link that signs in has sent as much for its session as may wait: before the password was right, nothing
    /// beyond the packet that the sign-in came with.
    pub(super) fn attempt_holds_enough(&self, key: SessionKey) -> bool {
        let full = |one: &Attempt| if one.proven { one.holds_enough() } else { !one.abandoned };
        self.attempts_of(key.number).iter().any(|one| one.from == Origin::Link(key) && full(one))
    }
}
