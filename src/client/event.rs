//! What a client learns: answers to its requests, and what the server tells by itself. All of it owns its texts.

use super::profile::OwnedProfile;
use crate::wire::{Found, GroupEntry, Server};

/// Status of a user (protocol.md 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Online (在线).
    Online,
    /// Hidden (隐身): online, and told to others as offline.
    Hidden,
    /// Do not disturb.
    Busy,
    /// Offline.
    Offline,
}

impl Status {
    /// From its code. One that the protocol does not have counts as offline: nothing can be said about that user.
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Online,
            2 => Self::Hidden,
            3 => Self::Busy,
            _ => Self::Offline,
        }
    }

    /// Its code.
    pub fn code(self) -> u8 {
        match self {
            Self::Online => 1,
            Self::Hidden => 2,
            Self::Busy => 3,
            Self::Offline => 4,
        }
    }
}

/// Somebody in the friend list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// Service number.
    pub number: u32,
    /// Nickname.
    pub nickname: String,
    /// Portrait.
    pub portrait: u16,
    /// Visible status.
    pub status: Status,
}

/// A group of the friend list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number; 1 is the one that everybody has.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Who is in it.
    pub friends: Vec<Friend>,
}

impl From<GroupEntry<'_>> for Group {
    fn from(entry: GroupEntry<'_>) -> Self {
        let friends = entry.friends.iter().map(|friend| Friend {
            number: friend.number,
            nickname: friend.nickname.to_owned(),
            portrait: u16::from(friend.portrait),
            status: Status::from_code(friend.status),
        });
        Self { number: entry.group, name: entry.name.to_owned(), friends: friends.collect() }
    }
}

/// Somebody found: who is online, who fits a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Service number.
    pub number: u32,
    /// Nickname.
    pub nickname: String,
    /// Portrait.
    pub portrait: u16,
    /// Province, a code.
    pub province: u8,
    /// City.
    pub city: String,
}

impl From<Found<'_>> for Person {
    fn from(found: Found<'_>) -> Self {
        Self {
            number: found.number,
            nickname: found.nickname.to_owned(),
            portrait: found.portrait,
            province: found.province,
            city: found.city.to_owned(),
        }
    }
}

/// What came of adding a friend (0x0B).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOutcome {
    /// In the list now.
    Done,
    /// That person wants to be asked first.
    NeedsAuthorization,
    /// That person lets nobody add them.
    Nobody,
    /// That person wants to be asked first, and is offline: the answer may take a while.
    NeedsAuthorizationOffline,
}

impl AddOutcome {
    /// `None` is a refusal: no such user, or it could not be stored.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Done),
            2 => Some(Self::NeedsAuthorization),
            3 => Some(Self::Nobody),
            4 => Some(Self::NeedsAuthorizationOffline),
            _ => None,
        }
    }
}

/// The answer to a request that was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Registered: one's own new number.
    Registered(u32),
    /// Signed in: the friend list.
    SignedIn(Vec<Group>),
    /// Somebody's profile, without password and authorization.
    Profile(u32, Box<OwnedProfile>),
    /// A group that was added or renamed.
    Group(u8, String),
    /// People who were found.
    People(Vec<Person>),
    /// What came of adding this friend.
    Added(u32, AddOutcome),
    /// One's own status now.
    Status(Status),
    /// Done; there is no more to tell. For a request that has no answer: nobody objected.
    Done,
}

/// What has become of a message (protocol.md 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// No receipt yet: the client holds the message, and sends it again if it must.
    Sending,
    /// On disk in the recipient's mailbox: a crash of the server loses nothing.
    Stored,
    /// The recipient's program has it.
    Delivered,
    /// It will never be delivered.
    Refused {
        /// A notice code; [`reason`](super::reason) has it in words.
        code: u8,
    },
}

impl ReceiptState {
    /// From a receipt's fields; `None` for a state that the protocol does not have.
    pub(super) fn from_code(state: u8, reason: u8) -> Option<Self> {
        match state {
            1 => Some(Self::Stored),
            2 => Some(Self::Delivered),
            3 => Some(Self::Refused { code: reason }),
            _ => None,
        }
    }

    /// Whether nothing can come after it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Refused { .. })
    }
}

/// What the server tells by itself, and what has become of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Words of another user. The same (`from`, `id`) is shown once.
    Message {
        /// Whose.
        from: u32,
        /// What.
        text: String,
        /// The sender's id of it.
        id: u64,
        /// When the server took it, in milliseconds since 1970 UTC; 0 if it does not say.
        time: u64,
    },
    /// What has become of a message; for a broadcast, of the one to this recipient.
    Receipt {
        /// To whom it goes.
        to: u32,
        /// Its id.
        id: u64,
        /// What is known of it now.
        state: ReceiptState,
    },
    /// Words of the server that belong to no request under way: an announcement.
    Words {
        /// What.
        text: String,
    },
    /// Something was not done that nobody waits for: a piece of a file, say.
    Notice {
        /// The type of the message that it is about (protocol.md 1.5).
        about: u8,
        /// The notice code.
        code: u8,
        /// The server's explanation.
        text: String,
    },
    /// Somebody has added this user as a friend.
    AddedBy {
        /// Who.
        from: u32,
    },
    /// Somebody asks to be authorized; to be answered within seven days.
    Asked {
        /// Who.
        from: u32,
        /// Why.
        reason: String,
    },
    /// Somebody answered this user's request for authorization.
    AskAnswered {
        /// Who.
        from: u32,
        /// Whether they agreed.
        agreed: bool,
    },
    /// A copy of a message that is monitored.
    Monitored {
        /// Its sender.
        from: u32,
        /// The message.
        text: String,
    },
    /// A system message of a kind that this library does not know.
    System {
        /// The kind.
        kind: u8,
        /// From whom, 0 for the server.
        from: u32,
        /// The text.
        text: String,
    },
    /// A friend's visible status has changed.
    FriendStatus {
        /// Whose.
        friend: u32,
        /// What it is now.
        status: Status,
    },
    /// A friend to add to the list that is shown.
    NewFriend(Friend),
    /// Somebody offers a file.
    FileOffered {
        /// Who.
        from: u32,
        /// Its name. It is the sender's word: never use it as a path as it is.
        name: String,
        /// Its size in bytes.
        size: u32,
        /// The sender's number for it: answers and pieces belong to it.
        offer: u32,
    },
    /// Somebody answered this user's offer of a file.
    FileAnswered {
        /// Who.
        from: u32,
        /// Whether they take it.
        allow: bool,
        /// Which offer.
        offer: u32,
    },
    /// A piece of a file.
    FilePiece {
        /// From whom.
        from: u32,
        /// Which offer it belongs to.
        offer: u32,
        /// The bytes.
        data: Vec<u8>,
    },
    /// How much of a file the other side has.
    Progress {
        /// Who.
        peer: u32,
        /// Which offer.
        offer: u32,
        /// Bytes.
        received: u32,
    },
    /// The server's key, learnt on first use and proven by a handshake since. Keep it, and give it to the next connection.
    ServerKey {
        /// The key.
        key: [u8; 32],
    },
    /// The server of an automatic reconnection shows another key than the one that was kept. The client goes on asking
    /// for the right one, and tells the other nothing.
    KeyChanged {
        /// The key that is shown.
        shown: [u8; 32],
    },
    /// A token to sign in with instead of the password, for 30 days. It is as secret as the password.
    Token {
        /// Whose.
        number: u32,
        /// The token.
        token: String,
    },
    /// The server is there, has taken the sign-in, and lets it wait: for up to half a minute if many wrong passwords of
    /// this account have been tried from wherever.
    SignInDelayed {
        /// Who signs in.
        number: u32,
    },
    /// Signed in anew by itself, after the connection had ended: the friend list as it is now.
    Restored {
        /// The friend list.
        groups: Vec<Group>,
    },
    /// The session has ended and is not opened again by itself.
    SignInAgain {
        /// Why, in words: signed in elsewhere, ended by the operator, the password was changed.
        reason: String,
    },
    /// The server does not answer. What is said meanwhile waits.
    Silent,
    /// The server answers again.
    Heard,
}

impl Event {
    /// The event that a frame is, if it is one that the server sends by itself and needs no bookkeeping.
    pub(super) fn from_frame(frame: &Server<'_>) -> Option<Self> {
        Some(match *frame {
            Server::Message { flag: 1, sender, text, kind, .. } => Self::from_system(kind, sender, text.to_owned()),
            Server::Message { sender, text, id, time, .. } => Self::Message {
                from: sender,
                text: text.to_owned(),
                id: id.unwrap_or_default(),
                time: time.unwrap_or_default(),
            },
            Server::NewFriend { friend, nickname, portrait, status } => Self::NewFriend(Friend {
                number: friend,
                nickname: nickname.to_owned(),
                portrait,
                status: Status::from_code(status),
            }),
            Server::FriendStatus { friend, status } => Self::FriendStatus { friend, status: Status::from_code(status) },
            Server::FileOffered { sender, name, size, offer } => {
                Self::FileOffered { from: sender, name: name.to_owned(), size, offer: offer.unwrap_or_default() }
            }
            Server::FileAnswered { sender, allow, offer } => {
                Self::FileAnswered { from: sender, allow: allow == 1, offer: offer.unwrap_or_default() }
            }
            Server::FileData { sender, data, offer } => {
                Self::FilePiece { from: sender, offer: offer.unwrap_or_default(), data: data.0.to_vec() }
            }
            Server::Progress { peer, received, offer } => {
                Self::Progress { peer, offer: offer.unwrap_or_default(), received }
            }
            Server::Receipt { to, id, state, reason } => {
                Self::Receipt { to, id, state: ReceiptState::from_code(state, reason)? }
            }
            Server::Notice { about, code, text } => Self::Notice { about, code, text: text.to_owned() },
            _ => return None,
        })
    }

    fn from_system(kind: u8, from: u32, text: String) -> Self {
        match kind {
            0 if from == 0 => Self::Words { text },
            1 => Self::AddedBy { from },
            2 => Self::Asked { from, reason: text },
            3 => Self::AskAnswered { from, agreed: true },
            4 => Self::AskAnswered { from, agreed: false },
            16 => Self::Monitored { from, text },
            _ => Self::System { kind, from, text },
        }
    }
}
