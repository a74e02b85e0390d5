//! Why a request was not done (protocol.md 3.2). In a classic session the words are told as 0x03 (1.8).

use crate::limits::NOTICE_AGAIN;
use crate::store::Refusal;
use crate::wire::ProfileFault;

/// Notice codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    Malformed = 1,
    NotSignedIn = 2,
    WrongPassword = 3,
    NoSuchUser = 4,
    RefusedByOther = 5,
    TooFast = 6,
    TooLarge = 7,
    NotPermitted = 8,
    Busy = 9,
    StorageFailed = 10,
    BadQuery = 11,
    NoSuchEntry = 12,
    NoSuchTransfer = 13,
    UnknownType = 14,
    NoSuchProgram = 15,
    MailboxFull = 16,
    NotOpen = 18,
    Banned = 19,
}

impl Code {
    /// What it means, for the log.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotSignedIn => "not signed in",
            Self::WrongPassword => "wrong number, password or token",
            Self::NoSuchUser => "no such user",
            Self::RefusedByOther => "refused by the other one",
            Self::TooFast => "too fast",
            Self::TooLarge => "too large",
            Self::NotPermitted => "not permitted",
            Self::Busy => "busy",
            Self::StorageFailed => "storing failed",
            Self::BadQuery => "a bad search",
            Self::NoSuchEntry => "no such entry",
            Self::NoSuchTransfer => "no such transfer",
            Self::UnknownType => "unknown type",
            Self::NoSuchProgram => "no such program",
            Self::MailboxFull => "the mailbox is full",
            Self::NotOpen => "registration is not open",
            Self::Banned => "banned",
        }
    }
}

/// When something was last told that is told once a minute at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hush {
    /// In seconds of the shard's clock, and one more: 0 is never.
    told_secs: u32,
}

impl Hush {
    /// Whether it may be told now; if so, it is.
    pub fn allows(&mut self, now_ms: u64) -> bool {
        let now_secs = (now_ms / 1_000) as u32 + 1;
        let again = u64::from(now_secs.saturating_sub(self.told_secs)) >= NOTICE_AGAIN.as_secs();
        let allowed = self.told_secs == 0 || again;
        if allowed {
            self.told_secs = now_secs;
        }
        allowed
    }
}

/// A request that was not done: the code for programs, the words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub code: Code,
    pub text: String,
}

impl Refused {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub fn no_such_user(number: u32) -> Self {
        Self::new(Code::NoSuchUser, format!("there is no user {number}"))
    }

    pub fn too_fast() -> Self {
        Self::new(Code::TooFast, "too many in a short time: try again in a minute")
    }

    pub fn blocked() -> Self {
        Self::from(Refusal::Blocked)
    }

    pub fn storage() -> Self {
        Self::new(Code::StorageFailed, "the server could not store this; nothing was changed")
    }

    pub fn busy() -> Self {
        Self::new(Code::Busy, "the server is busy; try again in a moment")
    }
}

impl From<ProfileFault> for Refused {
    fn from(fault: ProfileFault) -> Self {
        match fault {
            ProfileFault::TooLong(text) => Self::new(Code::TooLarge, text),
            ProfileFault::NotAllowed(text) => Self::new(Code::Malformed, text),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchUser => Self::new(Code::NoSuchUser, "there is no such user"),
            Refusal::MailboxFull => Self::new(Code::MailboxFull, "that user's mailbox is full"),
            Refusal::TooManyAsks => Self::new(Code::Busy, "too many requests wait for that user already"),
            Refusal::NoSuchAsk => Self::new(Code::NoSuchEntry, "that request is not open any more"),
            Refusal::NoNumberLeft => Self::new(Code::Busy, "all numbers are given out"),
            Refusal::Blocked => Self::new(Code::RefusedByOther, "that user takes nothing from you"),
            Refusal::BadInvite => Self::new(Code::NotOpen, "this invite code is not good"),
            Refusal::TooManyInvites | Refusal::TooManyBans | Refusal::NoSuchBan => {
                Self::new(Code::NotPermitted, "only the operator can do that")
            }
            Refusal::AuditBroken => Self::new(Code::NotPermitted, "monitoring is switched off"),
            Refusal::TooManyBlocks => {
                let why = format!("you block {} people already; nobody can block more", crate::limits::BLOCKS);
                Self::new(Code::NotPermitted, why)
            }
        }
    }
}
