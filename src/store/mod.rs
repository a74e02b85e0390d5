//! What is durable. A shard asks with a [`Request`] and gets an [`Answer`]; it never touches the disk.
//!
//! Requests of one shard are done in its order: a read sees every change that the same shard asked for before it. A
//! change is answered only after it is synced, so an answer can be shown to a user (protocol.md 3.3).
//!
//! One [`Store`] owns a data directory:
//!
//! - `journal-…`: every change, synced before it is answered. What is durable is in here or in the base.
//! - `base-…`: all that was before the oldest journal file, so that the journal can be trimmed.
//! - `index/`: the same in sled, to be looked up, but for the last second or so, which is in memory until sled has it.
//!   It is made anew whenever it cannot be trusted, and may be deleted.
//! - `audit.log`: what happened about monitoring (protocol.md 4.3), sealed with a key of the store.
//!
//! [`spawn`] runs it in a thread of its own. [`Store::in_memory`] is one for tests, which can lose power.

mod accounts;
mod audit;
mod ban;
mod base;
mod behind;
#[cfg(any(test, feature = "sim"))]
mod check;
mod disk;
mod draft;
mod error;
mod index;
mod invite;
mod journal;
mod key;
mod layout;
mod ledger;
mod lists;
mod mailboxes;
mod open;
mod ops;
mod plan;
mod read;
mod record;
mod runner;
mod salvage;
mod scrub;
mod seen;
mod session;
mod stalled;
#[allow(clippy::module_inception)]
mod store;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod utc;

pub use accounts::{Accounts, MailView, VisitAccount, VisitMail};
pub use audit::{AuditBreak, AuditCheck, AuditHead, NAME as AUDIT_LOG, SetAside};
pub use ban::{Ban, Banned, Network};
pub use base::{Compacted, Compaction};
pub use disk::{Disk, FsDisk, SimDisk, boot_id};
pub use error::OpenError;
pub use index::{Index, Lookup, MemoryIndex, Op, Packed, SledIndex, Visit, is_index_thread, panics_are_caught};
pub use invite::Invite;
pub use layout::{distrust_index, is_store};
pub use open::{Progress, Step};
pub use record::{Account, AccountView, Card, Grant, Limits, Mail, StoredProfile, UserRecord, details, reach};
pub use runner::{StoreEvent, spawn};
pub use salvage::{Loss, Salvaged, salvage};
pub use scrub::Scrub;
pub use seen::Seen;
pub use session::SessionRecord;
pub use stalled::Stalled;
pub use store::{DirStore, MemoryStore, Store};
pub use text::Text;
pub use utc::Utc;

use std::net::SocketAddr;

/// What a shard asks of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The lists of a user: [`Answer::User`].
    User(u32),
    /// One account: [`Answer::Account`].
    Account(u32),
    /// One account as `viewer` may read it, without the details that are not for them (protocol.md 3.1):
    /// [`Answer::Account`].
    View {
        /// Whose.
        number: u32,
        /// Who reads it.
        viewer: u32,
    },
    /// The cards of these users, those without an account left out, in the order asked: [`Answer::Cards`].
    Cards(Vec<u32>),
    /// The oldest messages in a mailbox, as many as a page holds (`limits::MAILBOX_PAGE`): [`Answer::Mail`].
    Mail(u32),
    /// The same, of the messages whose `Mail::seq` is beyond this one.
    MailAfter(u32, u64),
    /// Who lists this user, in order of number: [`Answer::Numbers`].
    ListedBy(u32),
    /// Whether `owner` takes nothing from `other`, whom they block or do not list: [`Answer::Refuses`].
    Refuses {
        /// To whom something is sent.
        owner: u32,
        /// By whom.
        other: u32,
    },
    /// Whether `asker` has an open request to `target`, and until when (ms since 1970 UTC): [`Answer::Until`].
    Asked {
        /// Who was asked.
        target: u32,
        /// Who asked.
        asker: u32,
    },
    /// The grant of `monitor` for `target`: [`Answer::Grant`].
    Grant {
        /// Who wants to monitor.
        monitor: u32,
        /// Whom.
        target: u32,
    },
    /// What is known of this token of the account: [`Answer::Token`].
    Token {
        /// Whose.
        number: u32,
        /// Its SHA-256.
        hash: [u8; 32],
    },
    /// The session that is kept for this number, the newest if there are two: [`Answer::Session`].
    Session(u32),
    /// A new account gets the next free number: [`Answer::Registered`]. Its group 1, "My Friends", comes with it.
    Register(Box<Account>),
    /// The same, if the invite with this hash is good when the account is made: it is used once more.
    RegisterInvited(Box<Account>, [u8; 32]),
    /// Until when the invite with this hash is good (ms since 1970 UTC), if it is: [`Answer::Until`].
    Invite {
        /// The SHA-256 of its code.
        hash: [u8; 32],
        /// When it should be.
        now_ms: u64,
    },
    /// Changes, all or none: [`Answer::Done`], [`Answer::Mailed`] or [`Answer::Refused`].
    Commit(Vec<Change>),
    /// Appends an event to the audit log (protocol.md 4.3): [`Answer::Done`].
    Audit(AuditEvent),
}

/// A change of what is durable. List and reverse list change together: no caller can forget one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The account has this profile, and this password hash if one is given. What is to end with the old password is said
    /// by [`Change::KeepOnly`] or [`Change::DeleteTokens`] beside it.
    PutProfile(u32, StoredProfile, Option<Box<str>>),
    /// The operator gives the account this password hash. Its tokens and its session are gone.
    PutPassword(u32, Box<str>),
    /// The operator shuts the account, and its tokens and its session are gone; or opens it again.
    SetDisabled(u32, bool),
    /// The operator gives the account these limits.
    SetLimits(u32, Limits),
    /// The operator lets somebody in who has registered and waits for it.
    Approve(u32),
    /// The group has this name.
    PutGroup(u32, u8, Box<str>),
    /// The group is gone. Its friends must have been moved by the same commit.
    DeleteGroup(u32, u8),
    /// `owner` lists `friend` in `group`; the reverse list of `friend` has `owner`.
    PutFriend {
        /// Whose list.
        owner: u32,
        /// Who is on it.
        friend: u32,
        /// In which group.
        group: u8,
    },
    /// `owner` lists `friend` no more; nor has the reverse list `owner`.
    DeleteFriend {
        /// Whose list.
        owner: u32,
        /// Who was on it.
        friend: u32,
    },
    /// `asker` waits for an answer of `target`. Refused if `target` has too many open (`limits::ASKS_OPEN`), or blocks
    /// `asker`.
    PutAsk {
        /// Who is asked.
        target: u32,
        /// Who asks.
        asker: u32,
        /// Until when, in ms since 1970 UTC.
        until_ms: u64,
    },
    /// The request is answered. Refused if it is not open: nobody answers twice.
    DeleteAsk {
        /// Who was asked.
        target: u32,
        /// Who asked.
        asker: u32,
    },
    /// Appends to a mailbox; `Mail::seq` is set by the store. A user's message with an id is not added again while one of
    /// the same sender with the same id is there. A shared text is kept once for all messages with that sender and id.
    /// Refused if there is no such user, the mailbox or the sender's share of it is full (protocol.md 1.7), or its owner
    /// blocks the sender and it is a user's message or tells that the sender added the owner or asks to.
    AddMail(u32, Mail),
    /// Deletes the messages of a mailbox up to and including this one.
    DeleteMail(u32, u64),
    /// Deletes exactly these messages of a mailbox. Those that are not there are gone already.
    DeleteMailAt(u32, Vec<u64>),
    /// The recipient has the messages of a mailbox up to and including this one, and is hidden: those of users stay without
    /// their text and are given out no more, but count as before, and come again as known, until [`Change::DeleteGiven`].
    /// Who fills a share learns nothing by it.
    GiveMail(u32, u64),
    /// The same of exactly these messages.
    GiveMailAt(u32, Vec<u64>),
    /// The recipient is visible again: what was given is gone.
    DeleteGiven(u32),
    /// Grants leave to monitor.
    PutGrant(Grant),
    /// Takes that leave back.
    DeleteGrant {
        /// Who had it.
        monitor: u32,
        /// For whom.
        target: u32,
    },
    /// `owner` takes nothing from `other`. Refused if `owner` blocks too many (`limits::BLOCKS`).
    PutBlock {
        /// Who blocks.
        owner: u32,
        /// Whom.
        other: u32,
    },
    /// `owner` takes what `other` sends again.
    DeleteBlock {
        /// Who blocked.
        owner: u32,
        /// Whom.
        other: u32,
    },
    /// Whoever has this token can sign in. Of more than `limits::TOKENS` the one that ends first is gone.
    PutToken(NewToken),
    /// The tokens that were given in this session are gone, and those in place of which they were given.
    EndTokens {
        /// Whose.
        number: u32,
        /// Which session.
        session: u32,
    },
    /// All other sessions and their tokens are gone.
    KeepOnly {
        /// Whose.
        number: u32,
        /// The session that stays, with its tokens.
        session: u32,
    },
    /// All tokens of the account are gone.
    DeleteTokens(u32),
    /// A session begins. Of the others of that number only this one stays, until it is deleted.
    PutSession(Box<SessionRecord>, Option<u32>),
    /// The session has ended.
    DeleteSession {
        /// Whose.
        number: u32,
        /// Which.
        session: u32,
    },
    /// The session is reached here. Nothing is done if it is not kept.
    SetSessionAddress {
        /// Whose.
        number: u32,
        /// Which.
        session: u32,
        /// See [`SessionRecord::address`].
        address: Option<(SocketAddr, u16)>,
    },
    /// The user's status. Nothing is done if that session is not kept.
    SetSessionStatus {
        /// Whose.
        number: u32,
        /// Which.
        session: u32,
        /// See [`SessionRecord::status`].
        status: u8,
    },
    /// Deletes an account with everything that belongs to it, out of the lists of others too. The number is not used again.
    DeleteAccount(u32),
    /// Somebody may register with a code. Refused if there are too many (`limits::INVITES`).
    PutInvite(Invite),
    /// The invite with this id is good no more. Refused if there is none.
    DeleteInvite(u64),
    /// Somebody is banned, instead of an earlier ban of the same; an account's session is not kept. Refused if there are too
    /// many (`limits::BANS`).
    PutBan(Ban),
    /// These are banned no more. Refused if they are not.
    LiftBan(Banned),
    /// A user was here.
    PutSeen(u32, Seen),
    /// The operator knows that the audit log was broken: leave to monitor counts again.
    AcknowledgeAudit,
}

/// A token to be kept (protocol.md 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewToken {
    /// Whose.
    pub number: u32,
    /// Its SHA-256: the token itself is not kept.
    pub hash: [u8; 32],
    /// Until when it is good, in ms since 1970 UTC.
    pub until_ms: u64,
    /// The session in which it is given.
    pub session: u32,
    /// The SHA-256 of the token that its owner has signed in with. It is good until this one is used.
    pub instead_of: Option<[u8; 32]>,
}

/// What is known of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownToken {
    /// Until when it is good, in ms since 1970 UTC.
    pub until_ms: u64,
    /// The session in which it was given; 0 if nobody knows.
    pub session: u32,
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The user's lists; `None` if there is no such account.
    User(Option<Box<UserRecord>>),
    /// The account, if there is one.
    Account(Option<Box<Account>>),
    /// The cards.
    Cards(Vec<Card>),
    /// Messages, oldest first; empty if there are no more.
    Mail(Vec<Mail>),
    /// Until when the request is open, if it is.
    Until(Option<u64>),
    /// Service numbers.
    Numbers(Vec<u32>),
    /// Whether what is sent is refused.
    Refuses(bool),
    /// The token, if it is known; it may have ended.
    Token(Option<KnownToken>),
    /// The grant, if there is one; it may have ended.
    Grant(Option<Grant>),
    /// The session, if one is kept.
    Session(Option<Box<SessionRecord>>),
    /// The number of the new account.
    Registered(u32),
    /// Done and synced.
    Done,
    /// Done and synced: a commit that added mail. For each, in order, its `Mail::seq`; where it was there already, the
    /// one that it has.
    Mailed(Vec<u64>),
    /// Nothing of it was done.
    Refused(Refusal),
    /// The disk failed: nothing of it was done, and nothing that was done before is lost. It may be done later: whoever
    /// asked can ask again. So is a message answered that would overtake an earlier one which failed.
    Failed,
}

impl Answer {
    /// Whether a commit, or an event for the audit log, was done and synced.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Mailed(_))
    }
}

/// Why a commit was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such account.
    NoSuchUser,
    /// The mailbox holds as many messages as it may, or as many of this sender.
    MailboxFull,
    /// Too many requests for authorization wait for this user.
    TooManyAsks,
    /// There is no such request for authorization.
    NoSuchAsk,
    /// All numbers are given out.
    NoNumberLeft,
    /// The other side blocks the sender.
    Blocked,
    /// This user blocks as many people as one may.
    TooManyBlocks,
    /// There is no such invite, it has ended, or it is used up.
    BadInvite,
    /// There are as many invites as there may be.
    TooManyInvites,
    /// There are as many bans as there may be.
    TooManyBans,
    /// These are not banned.
    NoSuchBan,
    /// The audit log is or was broken, and the operator has not acknowledged it: nobody monitors anybody.
    AuditBroken,
}

/// What the audit log records (protocol.md 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// When, in ms since 1970 UTC.
    pub time_ms: u64,
    /// What happened.
    pub action: AuditAction,
    /// Who monitors or wants to.
    pub monitor: u32,
    /// Whom.
    pub target: u32,
    /// In words: the reason of a grant, why something was refused or has stopped.
    pub detail: String,
}

/// What can happen to monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    /// The operator granted it.
    Grant,
    /// The operator took it back.
    Revoke,
    /// It started.
    Start,
    /// It stopped.
    Stop,
    /// It was refused.
    Refuse,
    /// The log before this one was broken, and set aside.
    Broken,
    /// The operator has acknowledged that.
    Acknowledge,
}
