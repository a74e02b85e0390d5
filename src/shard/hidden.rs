//! Hidden is offline (protocol.md 1.4, 3.3): whoever is hidden gets everything at once, and nobody else can tell.
//!
//! What comes for somebody hidden goes into the mailbox first, like the mail of somebody who is offline, and is fetched from
//! there at once. Its sender gets receipt 1 and no other. What the user has then stays in the mailbox without its text, and
//! counts there, until the user is visible again: nobody sees a share of the mailbox become free.

use super::pending::Pending;
use super::user::{HIDDEN, Session};
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::store::{Change, Mail, Request};

impl Session {
    /// Whether others are told that this user is offline.
    pub fn is_hidden(&self) -> bool {
        self.status == HIDDEN
    }
}

impl Shard {
    /// Whether this user of the shard is there and hidden, in memory or kept over the start of the server.
    pub(super) fn is_hidden(&self, number: u32) -> bool {
        self.own_status(number) == HIDDEN
    }

    /// A session has another status than before.
    pub(super) fn turned(&mut self, cx: &mut Cx<'_>, number: u32, was_hidden: bool) {
        let Some(session) = self.session_mut(number) else { return };
        match (was_hidden, session.is_hidden()) {
            (false, true) => {
                // As if the session had ended: what is on its way is stored, and files are passed on no more.
                let transfers = session.transfers.take();
                self.end_transfers(cx, number, transfers);
                self.store_before_newer(cx, number);
                self.fetch_hidden(cx, number);
            }
            (true, false) => self.forget_given(cx, number),
            _ => {}
        }
    }

    /// A user is visible: what was given meanwhile need not count any more.
    pub(super) fn forget_given(&mut self, cx: &mut Cx<'_>, number: u32) {
        self.ask_store(cx, Request::Commit(vec![Change::DeleteGiven(number)]), Pending::Nothing);
    }

    /// Something is on its way into the mailbox of this user: if that is hidden, it comes from there at once.
    pub(super) fn fetch_hidden(&mut self, cx: &mut Cx<'_>, number: u32) {
        let Some(session) = self.session_mut(number).filter(|session| session.is_hidden()) else { return };
        let key = SessionKey { number, session: session.id };
        if session.way.link().is_some() {
            session.delivery.wait_for_room();
            self.more_mail(cx, key);
        } else if session.delivery.is_live() {
            // One that waits has yet to show that it is where it says.
            self.fetch_mail(cx, key);
        }
    }

    /// A message for somebody who is hidden, or not there, as it is stored.
    pub(super) fn mark_quiet(&self, to: u32, mail: &mut Mail) {
        if mail.kind != Mail::OWN_ID && self.is_hidden(to) {
            mail.kind = Mail::QUIET;
        }
    }

    /// The user has these messages of the mailbox.
    pub(super) fn take_from_mailbox(&mut self, cx: &mut Cx<'_>, number: u32, places: Vec<u64>) {
        if places.is_empty() {
            return;
        }
        let hidden = self.session(number).is_some_and(Session::is_hidden);
        let change = if hidden { Change::GiveMailAt(number, places) } else { Change::DeleteMailAt(number, places) };
        self.ask_store(cx, Request::Commit(vec![change]), Pending::Nothing);
    }
}
