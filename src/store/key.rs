//! The keys of the index: a byte for the kind, then numbers, big-endian, so that a scan is in order of number.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Deref, Range};

const LONGEST: usize = 13;

const META: u8 = 1;
const ACCOUNT: u8 = 2;
const GROUP: u8 = 3;
const FRIENDS: u8 = 4;
const WATCHERS: u8 = 5;
const ASK: u8 = 6;
const ASKED: u8 = 7;
const MAIL: u8 = 8;
const GRANT: u8 = 9;
const BLOCK: u8 = 10;
const BLOCKER: u8 = 11;
const TOKENS: u8 = 12;
const NAME: u8 = 14;
const SHARE: u8 = 15;
const TOTAL: u8 = 16;
const TEXT: u8 = 17;
const TEXT_USES: u8 = 18;
const ASKS: u8 = 19;
/// 13 was once that of sessions whose keys stood there as they are.
const SESSION: u8 = 23;
const BAN: u8 = 20;
const INVITE: u8 = 21;
const SEEN: u8 = 22;
/// What is about this index and no other: never in the journal nor in a base.
const LOCAL: u8 = 0xFF;

/// A key, kept in place: most of a group's work is handling keys.
#[derive(Clone, Copy)]
pub(super) struct Key {
    length: u8,
    bytes: [u8; LONGEST],
}

impl Key {
    fn new(kind: u8) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[0] = kind;
        Self { length: 1, bytes }
    }

    fn with(mut self, part: &[u8]) -> Self {
        let from = usize::from(self.length);
        self.bytes[from..from + part.len()].copy_from_slice(part);
        self.length += part.len() as u8;
        self
    }

    fn number(self, number: u32) -> Self {
        self.with(&number.to_be_bytes())
    }

    /// The last number of a key that ends with one.
    pub(super) fn last_number(bytes: &[u8]) -> Option<u32> {
        bytes.last_chunk().copied().map(u32::from_be_bytes)
    }

    /// Number and session, of a session's key.
    pub(super) fn session_parts(bytes: &[u8]) -> Option<(u32, u32)> {
        let number = bytes.get(1..5)?.try_into().ok()?;
        Some((u32::from_be_bytes(number), Self::last_number(bytes)?))
    }

    /// The place in the mailbox, of a mail's key.
    pub(super) fn mail_seq(bytes: &[u8]) -> Option<u64> {
        bytes.last_chunk().copied().map(u64::from_be_bytes)
    }

    /// The two numbers of a key that consists of them: monitor and target of a grant, owner and other of a block.
    pub(super) fn two_numbers(bytes: &[u8]) -> Option<(u32, u32)> {
        let monitor = bytes.get(1..5)?.try_into().ok()?;
        Some((u32::from_be_bytes(monitor), Self::last_number(bytes)?))
    }

    /// Whether keys of this kind begin with a user's number, and each user has few of them: of others there can be any
    /// number for one user.
    pub(super) fn is_of_few(kind: u8) -> bool {
        matches!(kind, ACCOUNT | GROUP | FRIENDS | WATCHERS | TOKENS | SESSION | SEEN)
    }

    /// A key that was read from the index, if it can be one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        (rest.len() < LONGEST).then(|| Self::new(*kind).with(rest))
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &**self)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

pub(super) fn counters() -> Key {
    Key::new(META).with(&[0])
}

/// What is known of the audit log beside the file.
pub(super) fn audit_seal() -> Key {
    Key::new(META).with(&[16])
}

pub(super) fn account(number: u32) -> Key {
    Key::new(ACCOUNT).number(number)
}

pub(super) fn group(owner: u32, group: u8) -> Key {
    Key::new(GROUP).number(owner).with(&[group])
}

/// The friend list of a user; there is none if it is empty.
pub(super) fn friends(owner: u32) -> Key {
    Key::new(FRIENDS).number(owner)
}

/// A block of the reverse of [`friends`]: those who list this user, from the number `first` on and below that of the next
/// block.
pub(super) fn watchers(friend: u32, first: u32) -> Key {
    Key::new(WATCHERS).number(friend).number(first)
}

pub(super) fn ask(target: u32, asker: u32) -> Key {
    Key::new(ASK).number(target).number(asker)
}

/// The reverse of [`ask`]: whom this user has asked.
pub(super) fn asked(asker: u32, target: u32) -> Key {
    Key::new(ASKED).number(asker).number(target)
}

/// How many requests are open to this user.
pub(super) fn asks(target: u32) -> Key {
    Key::new(ASKS).number(target)
}

pub(super) fn mail(number: u32, seq: u64) -> Key {
    Key::new(MAIL).number(number).with(&seq.to_be_bytes())
}

pub(super) fn grant(monitor: u32, target: u32) -> Key {
    Key::new(GRANT).number(monitor).number(target)
}

pub(super) fn block(owner: u32, other: u32) -> Key {
    Key::new(BLOCK).number(owner).number(other)
}

/// The reverse of [`block`]: who blocks this user.
pub(super) fn blocker(other: u32, owner: u32) -> Key {
    Key::new(BLOCKER).number(other).number(owner)
}

/// All tokens of an account: they are few, and go together.
pub(super) fn tokens(number: u32) -> Key {
    Key::new(TOKENS).number(number)
}

/// A session of a user. There are two while a sign-in replaces one by another.
pub(super) fn session(number: u32, session: u32) -> Key {
    Key::new(SESSION).number(number).number(session)
}

/// The names of the messages in a part of a mailbox, which begins at this place. Short mailboxes have none of it.
pub(super) fn names(number: u32, first: u64) -> Key {
    Key::new(NAME).number(number).with(&first.to_be_bytes())
}

/// A record of how many messages of each sender a mailbox holds. Short mailboxes have none of it.
pub(super) fn shares(number: u32, record: u8) -> Key {
    Key::new(SHARE).number(number).with(&[record])
}

/// How much of a mailbox is counted. A mailbox that has this has names and shares, too.
pub(super) fn total(number: u32) -> Key {
    Key::new(TOTAL).number(number)
}

/// The text of a broadcast, while it is in a mailbox.
pub(super) fn text(from: u32, id: u64) -> Key {
    Key::new(TEXT).number(from).with(&id.to_be_bytes())
}

/// In how many mailboxes that is.
pub(super) fn text_uses(from: u32, id: u64) -> Key {
    Key::new(TEXT_USES).number(from).with(&id.to_be_bytes())
}

pub(super) fn ban(id: u32) -> Key {
    Key::new(BAN).number(id)
}

pub(super) fn invite(id: u64) -> Key {
    Key::new(INVITE).with(&id.to_be_bytes())
}

/// When and where a user was last here.
pub(super) fn seen(number: u32) -> Key {
    Key::new(SEEN).number(number)
}

/// Ties an index to the record of how far it has come.
pub(super) fn nonce() -> Key {
    Key::new(LOCAL)
}

/// How much of the journal an index has, as it says itself.
pub(super) fn reached() -> Key {
    Key::new(LOCAL).with(&[1])
}

/// Everything that is durable: all but what is local to one index.
pub(super) fn everything() -> Range<Key> {
    Key::new(0)..Key::new(LOCAL)
}

/// Accounts from this number on.
pub(super) fn accounts_from(number: u32) -> Range<Key> {
    account(number)..Key::new(ACCOUNT + 1)
}

/// Accounts below this number.
pub(super) fn accounts_below(number: u32) -> Range<Key> {
    account(0)..account(number)
}

/// All grants.
pub(super) fn grants() -> Range<Key> {
    Key::new(GRANT)..Key::new(GRANT + 1)
}

/// All messages.
pub(super) fn mails() -> Range<Key> {
    all(MAIL)
}

/// All bans.
pub(super) fn bans() -> Range<Key> {
    Key::new(BAN)..Key::new(BAN + 1)
}

/// All invites.
pub(super) fn invites() -> Range<Key> {
    Key::new(INVITE)..Key::new(INVITE + 1)
}

/// All sessions.
pub(super) fn sessions() -> Range<Key> {
    Key::new(SESSION)..Key::new(SESSION + 1)
}

/// What a key is about, for those who look at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A message: whose, and its place.
    Mail(u32, u64),
    /// Something that follows from messages: names and numbers of those in a mailbox, or (`None`) the uses of a text.
    Count(Option<u32>),
    /// The text of a broadcast: of whom, and its id.
    Text(u32, u64),
    Other,
}

/// What this key is about.
pub(super) fn what(key: &[u8]) -> What {
    let number = || Some(u32::from_be_bytes(*key.get(1..)?.first_chunk()?));
    match (key.first(), number(), Key::mail_seq(key)) {
        (Some(&MAIL), Some(number), Some(seq)) => What::Mail(number, seq),
        (Some(&(NAME | SHARE | TOTAL)), number @ Some(_), _) => What::Count(number),
        (Some(&TEXT_USES), ..) => What::Count(None),
        (Some(&TEXT), Some(from), Some(id)) => What::Text(from, id),
        _ => What::Other,
    }
}

/// What a key is about, in words for somebody who has lost it.
pub(super) fn about(key: &[u8]) -> Option<String> {
    let number = u32::from_be_bytes(*key.get(1..)?.first_chunk()?);
    Some(match key[0] {
        ACCOUNT => format!("account {number}"),
        GROUP => format!("a group of {number}"),
        FRIENDS | WATCHERS => format!("the friends of {number}"),
        ASK | ASKED | ASKS => format!("a request of or to {number}"),
        MAIL | NAME | SHARE | TOTAL => format!("the mailbox of {number}"),
        GRANT => format!("a grant of {number}"),
        BLOCK | BLOCKER => format!("a block of {number}"),
        TOKENS | SESSION => format!("the tokens or the session of {number}"),
        TEXT | TEXT_USES => format!("a broadcast of {number}"),
        _ => return None,
    })
}

fn all(kind: u8) -> Range<Key> {
    Key::new(kind)..Key::new(kind + 1)
}

/// Keys that follow from others, and sessions, which a recovered directory does not go on with.
pub(super) fn derived() -> [Range<Key>; 9] {
    [WATCHERS, ASKED, BLOCKER, NAME, SHARE, TOTAL, TEXT_USES, ASKS, SESSION].map(all)
}

/// Keys that begin with the number of an account, and whether another one follows.
pub(super) fn of_accounts() -> [(Range<Key>, bool); 8] {
    [
        (GROUP, false),
        (FRIENDS, false),
        (MAIL, false),
        (TOKENS, false),
        (SEEN, false),
        (ASK, true),
        (BLOCK, true),
        (GRANT, true),
    ]
    .map(|(kind, both)| (all(kind), both))
}

pub(super) fn all_friends() -> Range<Key> {
    all(FRIENDS)
}

pub(super) fn all_blocks() -> Range<Key> {
    all(BLOCK)
}

pub(super) fn all_asks() -> Range<Key> {
    all(ASK)
}

/// All texts of broadcasts.
pub(super) fn texts() -> Range<Key> {
    all(TEXT)
}

fn of(kind: u8, number: u32) -> Range<Key> {
    let end = number.checked_add(1).map_or(Key::new(kind + 1), |next| Key::new(kind).number(next));
    Key::new(kind).number(number)..end
}

pub(super) fn groups_of(owner: u32) -> Range<Key> {
    of(GROUP, owner)
}

pub(super) fn sessions_of(number: u32) -> Range<Key> {
    of(SESSION, number)
}

pub(super) fn watchers_of(friend: u32) -> Range<Key> {
    of(WATCHERS, friend)
}

/// The blocks of those who list this user, up to and including the one that this owner would be in: the last of them.
pub(super) fn watchers_through(friend: u32, owner: u32) -> Range<Key> {
    let all = watchers_of(friend);
    let end = owner.checked_add(1).map_or(all.end, |next| watchers(friend, next));
    all.start..end
}

pub(super) fn asks_to(target: u32) -> Range<Key> {
    of(ASK, target)
}

pub(super) fn asks_by(asker: u32) -> Range<Key> {
    of(ASKED, asker)
}

pub(super) fn blocks_of(owner: u32) -> Range<Key> {
    of(BLOCK, owner)
}

pub(super) fn blockers_of(other: u32) -> Range<Key> {
    of(BLOCKER, other)
}

/// The mail of a user from this place on.
pub(super) fn mail_from(number: u32, from: u64) -> Range<Key> {
    mail(number, from)..of(MAIL, number).end
}

/// The mail of a user from this place up to and including that one.
pub(super) fn mail_between(number: u32, from: u64, through: u64) -> Range<Key> {
    let all = mail_from(number, from);
    let end = through.checked_add(1).map_or(all.end, |next| mail(number, next));
    all.start..end.max(all.start)
}
