//! All accounts in order of number, for a search in another thread and for the operator.

use super::behind::Behind;
use super::index::{Index, Lookup, Visit};
use super::key::{self, Key};
use super::ledger::Counters;
use super::{AuditCheck, AuditHead, Ban, Grant, Invite, Mail, Seen, SessionRecord, read};
use std::fmt;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Reads accounts beside the writer. Whoever begins after a change was answered sees it; an account is never seen half
/// changed. It keeps the store from closing only while it reads; afterwards its calls fail.
#[derive(Clone)]
pub struct Accounts(Arc<dyn Source>);

/// The index of a store, whichever it is.
trait Source: Send + Sync {
    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()>;
    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()>;
    fn counters(&self) -> io::Result<Option<Counters>>;
    fn grants(&self) -> io::Result<Vec<Grant>>;
    fn sessions(&self, visit: &mut dyn FnMut(SessionRecord)) -> io::Result<()>;
    fn audit(&self) -> io::Result<AuditCheck>;
    fn bans(&self) -> io::Result<Vec<Ban>>;
    fn invites(&self) -> io::Result<Vec<Invite>>;
    fn seen(&self, number: u32) -> io::Result<Option<Seen>>;
    fn tokens(&self, number: u32) -> io::Result<usize>;
}

impl<I: Index> Source for Behind<I> {
    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        Lookup::scan(self, range, visit)
    }

    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()> {
        Lookup::scan_down(self, range, visit)
    }

    fn counters(&self) -> io::Result<Option<Counters>> {
        Ok(self.get(&key::counters())?.and_then(|value| Counters::decode(value.as_ref())))
    }

    fn grants(&self) -> io::Result<Vec<Grant>> {
        read::grants(self)
    }

    fn sessions(&self, visit: &mut dyn FnMut(SessionRecord)) -> io::Result<()> {
        read::sessions(self, visit)
    }

    fn audit(&self) -> io::Result<AuditCheck> {
        let known = self.counters()?.map_or_else(AuditHead::default, |counters| counters.audit);
        Ok(AuditCheck::new(known, read::audit_seal(self)?))
    }

    fn bans(&self) -> io::Result<Vec<Ban>> {
        read::bans(self)
    }

    fn invites(&self) -> io::Result<Vec<Invite>> {
        read::invites(self)
    }

    fn seen(&self, number: u32) -> io::Result<Option<Seen>> {
        read::seen(self, number)
    }

    fn tokens(&self, number: u32) -> io::Result<usize> {
        read::token_count(self, number)
    }
}

/// A message in a mailbox, but for its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailView {
    /// Whose mailbox it is in.
    pub owner: u32,
    /// See [`Mail::seq`](super::Mail::seq).
    pub seq: u64,
    /// Who sent or caused it.
    pub from: u32,
    /// When the server took it, in ms since 1970 UTC.
    pub time_ms: u64,
    /// The bytes of its text.
    pub bytes: u32,
}

/// Called with each message; it says whether to go on.
pub type VisitMail<'a> = &'a mut dyn FnMut(MailView) -> ControlFlow<()>;

/// Called with the number and the record of each account (see [`AccountView::decode`](super::AccountView::decode)); it
/// says whether to go on.
pub type VisitAccount<'a> = &'a mut dyn FnMut(u32, &[u8]) -> ControlFlow<()>;

impl Accounts {
    pub(super) fn new<I: Index>(index: Behind<I>) -> Self {
        Self(Arc::new(index))
    }

    /// Visits the accounts with this number or a higher one, upwards.
    pub fn scan(&self, from: u32, visit: VisitAccount<'_>) -> io::Result<()> {
        let range = key::accounts_from(from);
        self.0.scan(&range.start..&range.end, &mut with_number(visit))
    }

    /// Visits the accounts with a number below this one, downwards.
    pub fn scan_down(&self, below: u32, visit: VisitAccount<'_>) -> io::Result<()> {
        let range = key::accounts_below(below);
        self.0.scan_down(&range.start..&range.end, &mut with_number(visit))
    }

    /// How many accounts there are.
    pub fn count(&self) -> io::Result<u32> {
        Ok(self.0.counters()?.map_or(0, |counters| counters.accounts))
    }

    /// Visits the messages in a mailbox, oldest first.
    pub fn mailbox(&self, number: u32, visit: VisitMail<'_>) -> io::Result<()> {
        self.mails(key::mail_from(number, 0), visit)
    }

    /// Visits the messages that somebody has sent or caused, in all mailboxes. It walks everything that is stored.
    pub fn mail_from(&self, from: u32, visit: VisitMail<'_>) -> io::Result<()> {
        self.mails(key::mails(), &mut |mail| if mail.from == from { visit(mail) } else { ControlFlow::Continue(()) })
    }

    fn mails(&self, range: Range<Key>, visit: VisitMail<'_>) -> io::Result<()> {
        let mut whole = true;
        self.0.scan(&range.start..&range.end, &mut |key, record| {
            let (key::What::Mail(owner, seq), Ok((mail, apart))) = (key::what(key), Mail::decode(0, record)) else {
                whole = false;
                return ControlFlow::Break(());
            };
            let bytes = apart.map_or(mail.text.len() as u32, u32::from);
            visit(MailView { owner, seq, from: mail.from, time_ms: mail.time_ms, bytes })
        })?;
        if whole { Ok(()) } else { Err(read::malformed()) }
    }

    /// All grants, in order of monitor and target.
    pub fn grants(&self) -> io::Result<Vec<Grant>> {
        self.0.grants()
    }

    /// Visits the sessions that are kept, in order of number.
    pub fn sessions(&self, visit: &mut dyn FnMut(SessionRecord)) -> io::Result<()> {
        self.0.sessions(visit)
    }

    /// What the audit log is to be checked against.
    pub fn audit(&self) -> io::Result<AuditCheck> {
        self.0.audit()
    }

    /// All bans, those that have ended included.
    pub fn bans(&self) -> io::Result<Vec<Ban>> {
        self.0.bans()
    }

    /// All invites, those that are good no more included.
    pub fn invites(&self) -> io::Result<Vec<Invite>> {
        self.0.invites()
    }

    /// When and where a user was last here, as far as it was written.
    pub fn seen(&self, number: u32) -> io::Result<Option<Seen>> {
        self.0.seen(number)
    }

    /// How many tokens of an account there are.
    pub fn tokens(&self, number: u32) -> io::Result<usize> {
        self.0.tokens(number)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

fn with_number(visit: VisitAccount<'_>) -> impl FnMut(&[u8], &[u8]) -> ControlFlow<()> {
    |key, value| Key::last_number(key).map_or(ControlFlow::Continue(()), |number| visit(number, value))
}
