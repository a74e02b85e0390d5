//! What the store keeps: accounts, friend lists, messages, requests for authorization and grants.

use super::Text;
use crate::wire::{Field, Found, Profile, PublicProfile, Reader, WireError, Writer};

/// One account. The profile is kept as the bytes of a [`PublicProfile`]: a search reads a million of them in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    profile: Box<[u8]>,
    /// 0 anyone may add me, 1 ask me first, 2 nobody may (身份验证).
    pub authorization: u8,
    /// Who may write to me (protocol.md 3.1): one of [`reach`].
    pub reach: u8,
    /// Who sees my details, and finds me by them: one of [`details`].
    pub details: u8,
    /// The password as an Argon2id PHC string.
    pub password: Box<str>,
    /// The operator has shut it: nobody can sign in.
    pub disabled: bool,
    /// It waits for the operator's approval: nobody can sign in yet.
    pub pending: bool,
    /// When it was registered, in milliseconds since 1970 UTC.
    pub created_ms: u64,
    /// What the operator lets it do, where that is not what everybody may.
    pub limits: Limits,
}

/// Limits of one account: of messages, requests that write, requests that read, and bytes of files; each so many a second
/// (0: unlimited) and so many at once, or none of its own.
pub type Limits = [Option<[u32; 2]>; 4];

/// As a limit is written that is none.
const NO_LIMIT: [u32; 2] = [u32::MAX, 0];

/// Flags of an account's record.
const DISABLED: u8 = 1;
const PENDING: u8 = 2;

/// Who may write to a user (protocol.md 3.1).
pub mod reach {
    /// Everybody: so it is if nothing was said.
    pub const EVERYBODY: u8 = 0;
    /// Those whom the user lists.
    pub const LISTED: u8 = 1;
}

/// Who sees a user's real name, address, postcode, telephone, pager and e-mail (protocol.md 3.1).
pub mod details {
    /// Everybody.
    pub const EVERYBODY: u8 = 0;
    /// Those whom the user lists: so it is if nothing was said.
    pub const LISTED: u8 = 1;
    /// Nobody.
    pub const NOBODY: u8 = 2;
}

/// A profile as it is kept: without the password, which only stands as a hash in its [`Account`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProfile {
    public: Box<[u8]>,
    authorization: u8,
    /// `None`: as it was.
    reach: Option<u8>,
    details: Option<u8>,
}

impl StoredProfile {
    /// What is kept of a profile, with who may write and who sees the details, where that is said.
    pub fn of(profile: &Profile<'_>, reach: Option<u8>, details: Option<u8>) -> Self {
        let mut bytes = Vec::new();
        profile.public().write(&mut Writer::new(&mut bytes));
        Self { public: bytes.into(), authorization: profile.authorization, reach, details }
    }

    /// Who may write from now on, if that changes.
    pub fn reach(&self) -> Option<u8> {
        self.reach
    }
}

impl Account {
    /// An account with this profile. `password` is its Argon2id PHC string; the one inside the profile is ignored.
    pub fn new(profile: &Profile<'_>, password: Box<str>, created_ms: u64) -> Self {
        Self::of(StoredProfile::of(profile, None, None), password, created_ms)
    }

    /// The same, with a profile as it is kept.
    pub fn of(profile: StoredProfile, password: Box<str>, created_ms: u64) -> Self {
        let StoredProfile { public, authorization, reach, details } = profile;
        let (reach, details) = (reach.unwrap_or(reach::EVERYBODY), details.unwrap_or(details::LISTED));
        let limits = Limits::default();
        Self {
            profile: public,
            authorization,
            reach,
            details,
            password,
            disabled: false,
            pending: false,
            created_ms,
            limits,
        }
    }

    /// Takes another profile. The password stays as it is.
    pub fn set_profile(&mut self, profile: StoredProfile) {
        self.profile = profile.public;
        self.authorization = profile.authorization;
        self.reach = profile.reach.unwrap_or(self.reach);
        self.details = profile.details.unwrap_or(self.details);
    }

    /// Leaves out of its profile what is only for those who may see the details.
    pub(super) fn hide_details(&mut self) {
        let mut bytes = Vec::new();
        self.profile().without_details().write(&mut Writer::new(&mut bytes));
        self.profile = bytes.into();
    }

    /// Its public profile.
    pub fn profile(&self) -> PublicProfile<'_> {
        PublicProfile::read(&mut Reader::new(&self.profile, 0)).expect("written from a profile, or checked by decode")
    }

    /// Its record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.profile.len() + self.password.len() + 14);
        let mut writer = Writer::new(&mut bytes);
        self.authorization.write(&mut writer);
        let flags = if self.disabled { DISABLED } else { 0 } | if self.pending { PENDING } else { 0 };
        flags.write(&mut writer);
        self.created_ms.write(&mut writer);
        (&*self.password).write(&mut writer);
        writer.put(&self.profile);
        self.reach.write(&mut writer);
        self.details.write(&mut writer);
        if self.limits != Limits::default() {
            self.limits.iter().flat_map(|limit| limit.unwrap_or(NO_LIMIT)).for_each(|word| word.write(&mut writer));
        }
        bytes
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let view = AccountView::decode(bytes)?;
        Ok(Self {
            profile: view.profile_bytes.into(),
            authorization: view.authorization,
            reach: view.reach,
            details: view.details,
            password: view.password.into(),
            disabled: view.disabled,
            pending: view.pending,
            created_ms: view.created_ms,
            limits: view.limits,
        })
    }
}

/// An account read in place, without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct AccountView<'a> {
    /// See [`Account::authorization`].
    pub authorization: u8,
    /// See [`Account::reach`].
    pub reach: u8,
    /// See [`Account::details`].
    pub details: u8,
    /// See [`Account::disabled`].
    pub disabled: bool,
    /// See [`Account::pending`].
    pub pending: bool,
    /// See [`Account::created_ms`].
    pub created_ms: u64,
    /// See [`Account::limits`].
    pub limits: Limits,
    /// See [`Account::password`].
    pub password: &'a str,
    /// The public profile.
    pub profile: PublicProfile<'a>,
    profile_bytes: &'a [u8],
}

impl<'a> AccountView<'a> {
    /// Reads a record in place. One of a time before `reach` and `details` ends with the profile; one without limits of its
    /// own ends with those.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes, 0);
        let authorization = u8::read(&mut reader)?;
        let flags = u8::read(&mut reader)?;
        let (disabled, pending) = (flags & DISABLED != 0, flags & PENDING != 0);
        let created_ms = u64::read(&mut reader)?;
        let password = <&str>::read(&mut reader)?;
        let from_profile = reader.rest();
        let profile = PublicProfile::read(&mut reader)?;
        let profile_bytes = &from_profile[..from_profile.len() - reader.rest().len()];
        let (reach, details) = match reader.rest() {
            [] => (reach::EVERYBODY, details::LISTED),
            _ => (u8::read(&mut reader)?, u8::read(&mut reader)?),
        };
        let mut limits = Limits::default();
        if !reader.rest().is_empty() {
            for limit in &mut limits {
                *limit = Some([u32::read(&mut reader)?, u32::read(&mut reader)?]).filter(|one| *one != NO_LIMIT);
            }
        }
        Ok(Self {
            authorization,
            reach,
            details,
            disabled,
            pending,
            created_ms,
            limits,
            password,
            profile,
            profile_bytes,
        })
    }

    /// What a list of people shows of it.
    pub fn card(&self, number: u32) -> Card {
        Card {
            number,
            nickname: self.profile.nickname.into(),
            portrait: self.profile.portrait,
            province: self.profile.province,
            city: self.profile.city.into(),
            authorization: self.authorization,
        }
    }
}

/// What lists of people show of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Service number.
    pub number: u32,
    /// Nickname.
    pub nickname: Box<str>,
    /// Portrait.
    pub portrait: u16,
    /// Province.
    pub province: u8,
    /// City.
    pub city: Box<str>,
    /// Who may add this user.
    pub authorization: u8,
}

impl Card {
    /// As an entry of a list on the wire.
    pub fn found(&self) -> Found<'_> {
        Found {
            number: self.number,
            nickname: &self.nickname,
            portrait: self.portrait,
            province: self.province,
            city: &self.city,
        }
    }
}

/// A user's own lists, as read at sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The account.
    pub account: Account,
    /// Groups in order of number, group 1 first.
    pub groups: Vec<(u8, Box<str>)>,
    /// Friends in order of number: who, and in which group.
    pub friends: Vec<(u32, u8)>,
    /// Who is blocked, in order of number.
    pub blocks: Vec<u32>,
    /// By whom the user is blocked, in order of number.
    pub blockers: Vec<u32>,
    /// Whether there is anything in the mailbox.
    pub has_mail: bool,
    /// The cards of those friends, in the same order. A friend whose account is gone has none and is not listed.
    pub cards: Vec<Card>,
}

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its place in the mailbox; the store gives it, rising.
    pub seq: u64,
    /// 1 system, 2 user (protocol.md 1.6, 0x03).
    pub flag: u8,
    /// The kind of a system message; of a user's message how it came to its id: 0, [`Mail::OWN_ID`] or
    /// [`Mail::CHOSEN_ZERO`]; or [`Mail::QUIET`].
    pub kind: u8,
    /// Who sent it; 0 is the server.
    pub from: u32,
    /// The sender's id for it, or the server's where the sender has given none.
    pub id: u64,
    /// When the server took it, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// Its text.
    pub text: Text,
}

/// What a record of a message says of it before its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) flag: u8,
    pub(super) kind: u8,
    pub(super) from: u32,
    pub(super) id: u64,
    /// Its text is kept under sender and id, once for all who have got it.
    pub(super) shared: bool,
    /// Its recipient has it, and was hidden then: it only counts still.
    pub(super) given: bool,
}

/// Beside the flag of a message: its text is kept apart, and in its place stands how many bytes that has.
const SHARED: u8 = 0x80;
/// Beside the flag of a message: its recipient has it, and it stays without its text until that is visible again, so that
/// nobody learns of it.
const GIVEN: u8 = 0x40;
/// Bytes of a record before the text.
const HEAD_BYTES: usize = 1 + 1 + 4 + 8 + 8;

impl Mail {
    /// The `kind` of a user's message whose id is the server's: its sender waits for no receipt.
    pub const OWN_ID: u8 = 0xFF;
    /// The `kind` of a user's message whose sender has chosen the id 0, as was allowed once.
    pub const CHOSEN_ZERO: u8 = 0xFE;
    /// The `kind` of a user's message that was taken while its recipient was hidden: its sender hears of no delivery.
    pub const QUIET: u8 = 0xFD;
    /// The `flag` of what the system tells.
    pub(super) const SYSTEM: u8 = 1;
    /// The `flag` of what a user says.
    pub(super) const USER: u8 = 2;

    /// The kinds of a system message that anyone can cause: "has added you" at will, "asks to be authorized" once a week.
    pub(super) const ADDED: u8 = 1;
    const ASKS: u8 = 2;

    /// Its record, with its text; the place in the mailbox is in the key.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + self.text.len());
        let mut writer = self.write(&mut bytes, self.flag);
        (&*self.text).write(&mut writer);
        bytes
    }

    /// Its record, where its text is kept apart.
    pub(super) fn encode_reference(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24);
        let mut writer = self.write(&mut bytes, self.flag | SHARED);
        (self.text.len() as u16).write(&mut writer);
        bytes
    }

    fn write<'a>(&self, bytes: &'a mut Vec<u8>, flag: u8) -> Writer<'a> {
        let mut writer = Writer::new(bytes);
        flag.write(&mut writer);
        self.kind.write(&mut writer);
        self.from.write(&mut writer);
        self.id.write(&mut writer);
        self.time_ms.write(&mut writer);
        writer
    }

    /// What its record says of it before its text.
    pub(super) fn head(&self) -> Head {
        Head { flag: self.flag, kind: self.kind, from: self.from, id: self.id, shared: false, given: false }
    }

    /// Reads a record at this place of a mailbox. A text that is kept apart is left empty, and its bytes are told.
    pub fn decode(seq: u64, bytes: &[u8]) -> Result<(Self, Option<u16>), WireError> {
        let mut reader = Reader::new(bytes, 0);
        let Head { flag, kind, from, id, shared, .. } = Head::read(&mut reader)?;
        let time_ms = u64::read(&mut reader)?;
        let (text, apart) = if shared {
            (Text::from(""), Some(u16::read(&mut reader)?))
        } else {
            (<&str>::read(&mut reader)?.into(), None)
        };
        Ok((Self { seq, flag, kind, from, id, time_ms, text }, apart))
    }
}

impl Head {
    /// Reads it from the record of a message.
    pub(super) fn of(record: &[u8]) -> Result<Self, WireError> {
        Self::read(&mut Reader::new(record, 0))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (flag, kind) = (u8::read(reader)?, u8::read(reader)?);
        let (from, id) = (u32::read(reader)?, u64::read(reader)?);
        let (shared, given) = (flag & SHARED != 0, flag & GIVEN != 0);
        Ok(Self { flag: flag & !(SHARED | GIVEN), kind, from, id, shared, given })
    }

    /// What is left of a message's record once its recipient has it, and is hidden.
    pub(super) fn given(record: &[u8]) -> Option<Vec<u8>> {
        let mut left = record.get(..HEAD_BYTES)?.to_vec();
        left[0] = left[0] & !SHARED | GIVEN;
        "".write(&mut Writer::new(&mut left));
        Some(left)
    }

    /// Sender and id of a user's message that has an id: it is the same message wherever it comes again.
    pub(super) fn name(&self) -> Option<(u32, u64)> {
        // Messages of bare frames were once kept with id 0 and kind 0; 0 is an id, too, where its sender has chosen it.
        let named = self.kind != Mail::OWN_ID && (self.id != 0 || self.kind == Mail::CHOSEN_ZERO);
        (self.flag == Mail::USER && named).then_some((self.from, self.id))
    }

    /// Whether anyone can cause it: then blocks keep it out.
    pub(super) fn is_unasked(&self) -> bool {
        self.takes_share() || (self.flag == Mail::SYSTEM && self.kind == Mail::ASKS)
    }

    /// Whether anyone can cause it at will: then it counts in the sender's share of the mailbox.
    pub(super) fn takes_share(&self) -> bool {
        self.flag == Mail::USER || (self.flag == Mail::SYSTEM && self.kind == Mail::ADDED)
    }
}

/// Leave to monitor, granted by the operator (protocol.md 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who may monitor.
    pub monitor: u32,
    /// Whose messages.
    pub target: u32,
    /// When the leave ends, in milliseconds since 1970 UTC.
    pub until_ms: u64,
    /// Why it was granted.
    pub reason: Box<str>,
}

impl Grant {
    /// Its record; the two numbers are in the key.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + self.reason.len());
        let mut writer = Writer::new(&mut bytes);
        self.until_ms.write(&mut writer);
        (&*self.reason).write(&mut writer);
        bytes
    }

    /// Reads a record.
    pub fn decode(monitor: u32, target: u32, bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes, 0);
        Ok(Self { monitor, target, until_ms: u64::read(&mut reader)?, reason: <&str>::read(&mut reader)?.into() })
    }
}
