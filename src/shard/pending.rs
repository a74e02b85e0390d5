//! Questions to the store and the password pool, and what is to happen when the answer comes.

use super::changes::After;
use super::custody::MessageId;
use super::io::{Applicant, PasswordJob, PasswordOutcome, Ticket};
use super::messages::Tell;
use super::monitor::Monitoring;
use super::password::PasswordChange;
use super::registration::Registering;
use super::search::Query;
use super::user::Asker;
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::store::{Answer, Card, Change, Request, StoredProfile};

/// What an answer is for.
pub(super) enum Pending {
    /// Whether the invite of a new account, with this password, is good.
    RegisterInvite(Registering, Box<str>),
    /// The hash of a new account's password.
    RegisterHash(Registering),
    /// The number of a new account.
    Register(Registering),
    /// What is known of the token of somebody who signs in.
    SignInToken { number: u32, attempt: u64 },
    /// The token and the session of somebody whose password or token was right.
    SignInKept { number: u32, attempt: u64 },
    /// The status of a session over the link.
    StatusKept { asker: Asker, status: u8 },
    /// The lists of a session that was kept from before the server started.
    Wake(SessionKey),
    /// The account that somebody wants to sign in to.
    SignInAccount { number: u32, attempt: u64, password: Box<str> },
    /// Whether the password fits.
    SignInCheck { number: u32, attempt: u64 },
    /// The lists of a user whose password was right.
    SignInLists { number: u32, attempt: u64 },
    /// The lists of a user who is offline, for changes that others cause.
    Lists { number: u32 },
    /// The account that somebody reads.
    View { asker: Asker, number: u32 },
    /// The cards of those who are online.
    Online(Asker),
    /// Who lists somebody who searches by details.
    SearchListed { asker: Asker, query: Query },
    /// Who fits a search.
    Search(Asker),
    /// Whether somebody who is offline refuses the one who offers a file.
    OfferOffline { to: u32, from: u32, offer: u32 },
    /// The card of somebody to be added.
    AddCard { asker: Asker, friend: u32 },
    /// The card of somebody who is asked.
    AskCard { target: u32, applicant: u32, reason: Box<str> },
    /// Whether the applicant has an open request already.
    AskAgain { target: u32, applicant: u32, reason: Box<str> },
    /// A request for authorization, being stored; whether the user is online to be told.
    Ask { target: u32, applicant: u32, reason: Box<str>, tell: bool },
    /// Whether a request that is answered was open.
    Asked { asker: Asker, friend: u32, agree: bool },
    /// The card of somebody who has agreed.
    AnswerCard { applicant: u32, by: u32 },
    /// The account of somebody who gives a new password, and the old one.
    UpdateAccount { change: Box<PasswordChange>, old: Box<str> },
    /// Whether the old password fits.
    UpdateCheck(Box<PasswordChange>),
    /// The hash of a user's new password, to be stored with the profile.
    UpdateHash { asker: Asker, profile: StoredProfile },
    /// A change of a user's lists or account.
    Change { number: u32, changes: Vec<Change>, after: After },
    /// A page of a mailbox.
    Mail(SessionKey),
    /// A page that was delivered, being deleted.
    MailDeleted(SessionKey),
    /// A message, being stored for a user who is offline.
    Message { from: u32, to: u32, id: MessageId },
    /// A message for a user who is online and has not said in time to have it.
    Custody { key: SessionKey, from: u32, id: MessageId },
    /// Words of the system, being stored for a user who is offline.
    Tell(Tell),
    /// Nothing follows: messages in the middle of a page, which the end of the page deletes again; the audit line of an
    /// end.
    Nothing,
    /// Leave to monitor.
    Grant { asker: Asker, target: u32 },
    /// The audit line that must be on disk before monitoring starts.
    AuditStart { asker: Asker, monitoring: Monitoring },
    /// The audit line that must be on disk before a refusal is told.
    AuditRefuse { asker: Asker, text: String },
}

impl Shard {
    pub(super) fn ticket(&mut self, pending: Pending) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, pending);
        ticket
    }

    /// Asks the store; `pending` says what the answer is for.
    pub(super) fn ask_store(&mut self, cx: &mut Cx<'_>, request: Request, pending: Pending) {
        let ticket = self.ticket(pending);
        cx.out.store.push((ticket, request));
    }

    /// Gives the password pool a job.
    pub(super) fn ask_password(&mut self, cx: &mut Cx<'_>, who: Applicant, job: PasswordJob, pending: Pending) {
        let ticket = self.ticket(pending);
        cx.out.passwords.push((ticket, who, job));
    }

    /// A ticket for a search.
    pub(super) fn search_ticket(&mut self, asker: Asker) -> Ticket {
        self.ticket(Pending::Search(asker))
    }

    pub(super) fn stored(&mut self, cx: &mut Cx<'_>, ticket: Ticket, answer: Answer) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        match pending {
            Pending::RegisterInvite(registering, password) => {
                self.register_invite(cx, registering, password, &answer);
            }
            Pending::Register(registering) => self.registered(cx, registering, &answer),
            Pending::SignInAccount { number, attempt, password } => {
                self.sign_in_account(cx, number, attempt, password, answer);
            }
            Pending::SignInLists { number, attempt } => self.sign_in_lists(cx, number, attempt, answer),
            Pending::Lists { number } => self.lists_loaded(cx, number, answer),
            Pending::View { asker, number } => self.viewed(cx, asker, number, &answer),
            Pending::Online(asker) => self.online_cards(cx, asker, &answer),
            Pending::SearchListed { asker, query } => self.search_listed(cx, asker, query, answer),
            Pending::OfferOffline { to, from, offer } => self.offer_offline(cx, to, from, offer, &answer),
            Pending::AddCard { asker, friend } => self.add_card(cx, asker, friend, answer),
            Pending::AskCard { target, applicant, reason } => self.ask_card(cx, target, applicant, reason, &answer),
            Pending::AskAgain { target, applicant, reason } => {
                self.store_ask(cx, target, applicant, reason, &answer);
            }
            Pending::Ask { target, applicant, reason, tell } => {
                self.ask_stored(cx, target, applicant, &reason, tell, &answer);
            }
            Pending::Asked { asker, friend, agree } => self.answer_open(cx, asker, friend, agree, &answer),
            Pending::AnswerCard { applicant, by } => self.answer_card(cx, applicant, by, answer),
            Pending::Change { number, changes, after } => self.changed(cx, number, &changes, after, &answer),
            Pending::UpdateAccount { change, old } => self.update_account(cx, change, old, answer),
            Pending::Mail(key) => self.mail_page(cx, key, answer),
            Pending::MailDeleted(key) => self.mail_deleted(cx, key, &answer),
            Pending::Message { from, to, id } => self.message_stored(cx, from, to, id, &answer),
            Pending::Custody { key, from, id } => self.custody_stored(cx, key, from, id, &answer),
            Pending::SignInToken { number, attempt } => self.sign_in_token(cx, number, attempt, &answer),
            Pending::SignInKept { number, attempt } => self.sign_in_kept(cx, number, attempt, &answer),
            Pending::StatusKept { asker, status } => self.status_kept(cx, asker, status, &answer),
            Pending::Wake(key) => self.awake(cx, key, answer),
            Pending::Tell(tell) => self.told(cx, tell, &answer),
            Pending::Nothing => {}
            Pending::Grant { asker, target } => self.monitor_granted(cx, asker, target, answer),
            Pending::AuditStart { asker, monitoring } => self.monitor_started(cx, asker, monitoring, &answer),
            Pending::AuditRefuse { asker, text } => self.monitor_refused(cx, asker, text, &answer),
            Pending::RegisterHash(_)
            | Pending::SignInCheck { .. }
            | Pending::UpdateCheck(_)
            | Pending::UpdateHash { .. }
            | Pending::Search(_) => unreachable!("the store was not asked for this"),
        }
    }

    pub(super) fn password(&mut self, cx: &mut Cx<'_>, ticket: Ticket, outcome: PasswordOutcome) {
        match self.pending.remove(&ticket) {
            Some(Pending::RegisterHash(registering)) => self.register_hashed(cx, registering, outcome),
            Some(Pending::SignInCheck { number, attempt }) => self.sign_in_checked(cx, number, attempt, &outcome),
            Some(Pending::UpdateCheck(change)) => self.update_checked(cx, *change, &outcome),
            Some(Pending::UpdateHash { asker, profile }) => self.update_hashed(cx, asker, profile, outcome),
            Some(_) => unreachable!("the pool was not asked for this"),
            None => {}
        }
    }

    pub(super) fn searched(&mut self, cx: &mut Cx<'_>, ticket: Ticket, found: Option<Vec<Card>>) {
        if let Some(Pending::Search(asker)) = self.pending.remove(&ticket) {
            self.found(cx, asker, found);
        }
    }
}
