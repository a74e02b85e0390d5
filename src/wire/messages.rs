//! The message table (protocol.md 1.5, 1.6 and 3.1, 3.2). A message is one row: type, name and fields; its decoder, its
//! encoder, its name in logs and its golden test come from the row.

use super::error::{Fault, WireError};
use super::field::{Blob, Field, Reader, Writer};
use super::header::{Header, Program};
use super::list::List;
use super::profile::{Profile, PublicProfile};
use super::record::record;
use super::{Dialect, FIRST_ADDED_TYPE};
use crate::limits::HEADER_BYTES;

record! {
    /// One move of a friend to a group (0x09).
    Move [] {
        /// Whom.
        friend: u32,
        /// Where to.
        group: u8,
    }
    /// A message that the application has (0x41).
    ReceivedId [] {
        /// Its sender.
        from: u32,
        /// Its id.
        id: u64,
    }
    /// A friend in a group of 0x02.
    FriendEntry ['a] {
        /// Service number.
        number: u32,
        /// Portrait.
        portrait: u8,
        /// Visible status.
        status: u8,
        /// Nickname.
        nickname: &'a str,
    }
    /// A group of 0x02.
    GroupEntry ['a] {
        /// Its name.
        name: &'a str,
        /// Its number.
        group: u8,
        /// Who is in it.
        friends: List<'a, FriendEntry<'a>>,
    }
    /// Somebody found: who is online (0x09), who fits a search (0x0A).
    Found ['a] {
        /// Service number.
        number: u32,
        /// Nickname.
        nickname: &'a str,
        /// Portrait.
        portrait: u16,
        /// Province.
        province: u8,
        /// City.
        city: &'a str,
    }
}

/// Fields before `;` are those of 1999; those after it are added by part 3, read only over the link, and may be absent.
macro_rules! messages {
    ($(#[$meta:meta])* $way:ident from $sender:ident to $receiver:ident {$(
        $(#[$row_meta:meta])*
        $kind:literal $name:ident $label:literal {
            $($field:ident: $type:ty),* $(; $($added:ident: $added_type:ty),*)?
        }
    )*}) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[allow(missing_docs, reason = "the fields are those of the table in protocol.md 1.5 and 1.6")]
        pub enum $way<'a> {
            $($(#[$row_meta])* $name { $($field: $type,)* $($($added: Option<$added_type>,)*)? },)*
        }

        impl<'a> $way<'a> {
            /// The types of this direction with their names, in order.
            pub const TYPES: &'static [(u8, &'static str)] = &[$(($kind, $label),)*];

            /// Reads a whole frame: a datagram, or what was cut from a stream.
            pub fn decode(bytes: &'a [u8], dialect: Dialect) -> Result<Self, WireError> {
                let header = Header::decode(bytes, Program::$sender, Program::$receiver)?;
                Self::decode_content(header, dialect)
            }

            /// Reads the content of a frame whose header is read.
            pub fn decode_content(header: Header<'a>, dialect: Dialect) -> Result<Self, WireError> {
                let mut reader = Reader::new(header.content, HEADER_BYTES);
                let reader = &mut reader;
                match header.kind {
                    $($kind if dialect == Dialect::Link || $kind < FIRST_ADDED_TYPE => Ok(Self::$name {
                        $($field: Field::read(reader)?,)*
                        $($($added: added_field(reader, dialect)?,)*)?
                    }),)*
                    other => Err(WireError {
                        fault: Fault::UnknownType,
                        offset: 3,
                        need: usize::from(Self::TYPES[Self::TYPES.len() - 1].0),
                        have: usize::from(other),
                    }),
                }
            }

            /// Appends it as a whole frame to `bytes`.
            #[inline]
            pub fn encode(&self, bytes: &mut Vec<u8>) {
                let start = Header::begin(bytes, Program::$sender, Program::$receiver, self.kind());
                let mut writer = Writer::new(bytes);
                let writer = &mut writer;
                match self {
                    $(Self::$name { $($field,)* $($($added,)*)? } => {
                        $($field.write(writer);)*
                        // A reader knows them by their order alone: one that is left out ends the frame.
                        $(let mut _ended = false;
                        $(match $added {
                            Some($added) => {
                                debug_assert!(!_ended, "a field before `{}` is missing", stringify!($added));
                                $added.write(writer);
                            }
                            None => _ended = true,
                        })*)?
                    })*
                }
                Header::finish(bytes, start);
            }

            /// Its message type (报文类型).
            pub fn kind(&self) -> u8 {
                match self { $(Self::$name { .. } => $kind,)* }
            }

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => $label,)* }
            }

            /// Its fields by name, as `frames.json` has them.
            #[cfg(test)]
            pub(super) fn to_json(self) -> serde_json::Value {
                use super::tests::ToJson;
                let mut map = serde_json::Map::new();
                match self {
                    $(Self::$name { $($field,)* $($($added,)*)? } => {
                        $(map.insert(stringify!($field).into(), $field.to_json());)*
                        $($(if let Some($added) = $added {
                            map.insert(stringify!($added).into(), $added.to_json());
                        })*)?
                    })*
                }
                map.into()
            }
        }
    };
}

/// A field of part 3: absent in a classic frame, and where the content has ended (protocol.md 1.2).
fn added_field<'a, T: Field<'a>>(reader: &mut Reader<'a>, dialect: Dialect) -> Result<Option<T>, WireError> {
    if dialect == Dialect::Classic || reader.rest().is_empty() {
        return Ok(None);
    }
    T::read(reader).map(Some)
}

messages! {
    /// User to server (protocol.md 1.5, 3.2).
    User from User to Server {
        /// Register.
        0x01 Register "register" { profile: Profile<'a>; reach: u8, details: u8, invite: &'a str }
        /// Sign in.
        0x02 SignIn "sign in" { me: u32, password: &'a str, mode: u8; token: &'a str }
        /// Message to one user.
        0x03 Message "message" { me: u32, to: u32, text: &'a str; id: u64 }
        /// Message to a group of friends; 0 is all.
        0x04 Broadcast "broadcast" { me: u32, group: u32, text: &'a str; id: u64 }
        /// Read a profile.
        0x05 View "view" { me: u32, friend: u32 }
        /// Add a group.
        0x06 AddGroup "add group" { me: u32, name: &'a str }
        /// Rename a group.
        0x07 RenameGroup "rename group" { me: u32, group: u8, name: &'a str }
        /// Delete a group.
        0x08 DeleteGroup "delete group" { me: u32, group: u8 }
        /// Move friends.
        0x09 MoveFriends "move friends" { me: u32, moves: List<'a, Move> }
        /// Who is online.
        0x0A Online "who is online" { me: u32, start: u32, count: u8, direction: u8 }
        /// Custom search.
        0x0B Search "search" { me: u32, sql: &'a str }
        /// Add a friend.
        0x0C AddFriend "add friend" { me: u32, friend: u32 }
        /// Ask for authorization.
        0x0D Ask "ask" { me: u32, friend: u32, reason: &'a str }
        /// Delete a friend.
        0x0E DeleteFriend "delete friend" { me: u32, friend: u32 }
        /// Change status.
        0x10 SetStatus "set status" { me: u32, status: u8 }
        /// Monitor a conversation.
        0x11 Monitor "monitor" { me: u32, target: u32 }
        /// Change my profile.
        0x12 Update "update profile" { me: u32, profile: Profile<'a>; reach: u8, details: u8, old_password: &'a str }
        /// Offer a file.
        0x13 OfferFile "offer file" { me: u32, friend: u32, name: &'a str, size: u32; offer: u32 }
        /// Answer an offer.
        0x14 AnswerFile "answer file" { me: u32, friend: u32, allow: u8; offer: u32 }
        /// A piece of a file.
        0x15 FileData "file data" { me: u32, friend: u32, data: Blob<'a>; offer: u32 }
        /// Connection test.
        0x16 Test "test" { me: u32 }
        /// Answer a request for authorization.
        0x17 Answer "answer" { me: u32, friend: u32, agree: u8 }
        /// The application has these messages.
        0x41 Received "received" { me: u32, messages: List<'a, ReceivedId> }
        /// Refuse or accept anything from someone.
        0x44 Block "block" { me: u32, other: u32, on: u8 }
        /// Bytes of the file that have arrived.
        0x46 Progress "progress" { me: u32, peer: u32, received: u32; offer: u32 }
    }
}

messages! {
    /// Server to user (protocol.md 1.6, 3.2).
    Server from Server to User {
        /// Registered.
        0x01 Registered "registered" { ok: u8, number: u32 }
        /// Signed in: groups and friends.
        0x02 SignedIn "signed in" { ok: u8, groups: List<'a, GroupEntry<'a>>; token: &'a str }
        /// A message, from a user or the system.
        0x03 Message "message" { flag: u8, sender: u32, text: &'a str, kind: u8; id: u64, time: u64 }
        /// A profile; one's own ends with who may write and who sees details.
        0x04 Profile "profile" { ok: u8, number: u32, profile: PublicProfile<'a>; reach: u8, details: u8 }
        /// Group added.
        0x05 GroupAdded "group added" { ok: u8, group: u8, name: &'a str }
        /// Group renamed.
        0x06 GroupRenamed "group renamed" { ok: u8, group: u8, name: &'a str }
        /// Group deleted.
        0x07 GroupDeleted "group deleted" { ok: u8, group: u8 }
        /// Friends moved.
        0x08 FriendsMoved "friends moved" { ok: u8 }
        /// Who is online.
        0x09 OnlineList "online list" { ok: u8, users: List<'a, Found<'a>> }
        /// Who fits a search.
        0x0A Found "found" { ok: u8, users: List<'a, Found<'a>> }
        /// What came of adding a friend.
        0x0B AddResult "add result" { result: u8, friend: u32 }
        /// A friend to add to the list now shown.
        0x0C NewFriend "new friend" { friend: u32, nickname: &'a str, portrait: u16, status: u8 }
        /// Friend deleted.
        0x0E FriendDeleted "friend deleted" { ok: u8, friend: u32 }
        /// Status changed.
        0x10 StatusSet "status set" { me: u32, status: u8 }
        /// Profile changed.
        0x11 Updated "updated" { ok: u8 }
        /// A file is offered.
        0x12 FileOffered "file offered" { sender: u32, name: &'a str, size: u32; offer: u32 }
        /// An offer is answered.
        0x13 FileAnswered "file answered" { sender: u32, allow: u8; offer: u32 }
        /// A piece of a file.
        0x14 FileData "file data" { sender: u32, data: Blob<'a>; offer: u32 }
        /// A friend's status changed.
        0x15 FriendStatus "friend status" { friend: u32, status: u8 }
        /// Connection test answered.
        0x16 TestReply "test reply" { me: u32 }
        /// What became of a message.
        0x40 Receipt "receipt" { to: u32, id: u64, state: u8, reason: u8 }
        /// A request was not done.
        0x42 Notice "notice" { about: u8, code: u8, text: &'a str }
        /// Block set.
        0x44 Blocked "blocked" { ok: u8, other: u32, on: u8 }
        /// Bytes of the file that the other side has.
        0x46 Progress "progress" { peer: u32, received: u32; offer: u32 }
    }
}

impl<'a> User<'a> {
    /// A registration without the fields of part 3.
    pub fn register(profile: Profile<'a>) -> Self {
        Self::Register { profile, reach: None, details: None, invite: None }
    }

    /// A change of one's profile without the fields of part 3.
    pub fn update(me: u32, profile: Profile<'a>) -> Self {
        Self::Update { me, profile, reach: None, details: None, old_password: None }
    }
}
