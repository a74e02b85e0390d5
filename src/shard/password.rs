//! A new password (protocol.md 1.4; 3.1, 0x12). Over the link it takes the old one, which is checked as at a sign-in; in bare
//! frames, which have no place for it, a session is bound to the address that has shown it.

use super::changes::After;
use super::io::{Applicant, PasswordJob, PasswordOutcome};
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::user::Asker;
use super::{Cx, Shard};
use crate::store::{Answer, Change, Request, StoredProfile};

/// What a user has given for another password.
#[derive(PartialEq, Eq)]
pub(super) struct NewPassword {
    pub new: Box<str>,
    /// Over the link alone; empty where it was not given.
    pub old: Option<Box<str>>,
}

/// Passwords are never shown.
impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword")
    }
}

/// A change of profile and password that waits for a check or a hash.
pub(super) struct PasswordChange {
    asker: Asker,
    profile: StoredProfile,
    new: Box<str>,
}

impl Shard {
    /// Begins it; the user's other changes wait meanwhile, so a later update does not overtake it.
    pub(super) fn change_password(
        &mut self,
        cx: &mut Cx<'_>,
        asker: Asker,
        profile: StoredProfile,
        password: NewPassword,
    ) {
        let change = Box::new(PasswordChange { asker, profile, new: password.new });
        match password.old {
            None => self.hash_new_password(cx, *change),
            Some(old) if old.is_empty() => {
                let why = Refused::new(Code::WrongPassword, "a new password takes the old one: give that, too");
                self.password_refused(cx, asker, &why);
            }
            Some(old) => {
                let pending = Pending::UpdateAccount { change, old };
                self.ask_store(cx, Request::Account(asker.number), pending);
            }
        }
    }

    /// The account is there, with the hash of the old password.
    pub(super) fn update_account(
        &mut self,
        cx: &mut Cx<'_>,
        change: Box<PasswordChange>,
        old: Box<str>,
        answer: Answer,
    ) {
        let number = change.asker.number;
        let from = self.prefix_of_user(number);
        if self.failures.too_many(cx.now.mono_ms, self.territory, number, from) {
            return self.password_refused(cx, change.asker, &Refused::too_fast());
        }
        match answer {
            Answer::Account(Some(account)) => {
                let job = PasswordJob::Check { password: old, hash: account.password };
                self.ask_password(cx, Applicant { prefix: from, known: true }, job, Pending::UpdateCheck(change));
            }
            Answer::Account(None) => {
                self.password_refused(cx, change.asker, &Refused::no_such_user(number));
            }
            _ => self.password_refused(cx, change.asker, &Refused::storage()),
        }
    }

    /// The old password was checked. A wrong one counts as a failed sign-in: a stolen session must not be good for guessing.
    pub(super) fn update_checked(&mut self, cx: &mut Cx<'_>, change: PasswordChange, outcome: &PasswordOutcome) {
        match outcome {
            PasswordOutcome::Good => self.hash_new_password(cx, change),
            PasswordOutcome::Wrong => {
                let number = change.asker.number;
                let from = self.prefix_of_user(number);
                self.failures.count(cx.now.mono_ms, number, from);
                let why = Refused::new(Code::WrongPassword, "the old password is wrong: nothing was changed");
                self.password_refused(cx, change.asker, &why);
            }
            PasswordOutcome::Busy | PasswordOutcome::Hashed(_) => {
                self.password_refused(cx, change.asker, &Refused::busy());
            }
        }
    }

    fn hash_new_password(&mut self, cx: &mut Cx<'_>, change: PasswordChange) {
        let PasswordChange { asker, profile, new } = change;
        let from = self.prefix_of_user(asker.number);
        let job = PasswordJob::Hash { password: new };
        self.ask_password(cx, Applicant { prefix: from, known: true }, job, Pending::UpdateHash { asker, profile });
    }

    /// The hash of a new password is there: it is stored with the profile.
    pub(super) fn update_hashed(
        &mut self,
        cx: &mut Cx<'_>,
        asker: Asker,
        profile: StoredProfile,
        outcome: PasswordOutcome,
    ) {
        let PasswordOutcome::Hashed(hash) = outcome else {
            return self.password_refused(cx, asker, &Refused::busy());
        };
        // Whoever is signing in has shown the old password.
        self.refuse_attempts(cx, asker.number, &Refused::wrong_password());
        let Asker { number, session, .. } = asker;
        let linked = self.session(number).is_some_and(|session| session.way.link().is_some());
        // Whoever changes it goes on; nobody else comes in with what was given before. A bare session has no token.
        let end = if linked { Change::KeepOnly { number, session } } else { Change::DeleteTokens(number) };
        let change = Change::PutProfile(number, profile, Some(hash));
        self.commit_change(cx, number, vec![change, end], After::Updated { asker });
    }

    fn password_refused(&mut self, cx: &mut Cx<'_>, asker: Asker, why: &Refused) {
        self.change_ended(cx, asker.number, |shard, cx| shard.refuse(cx, asker, why));
    }
}
