//! What the full screen wants done, and what it is told. Effects are done by `runtime`; nothing else touches the world.

use crate::engine::News;
use crate::history::Entry;
use crossterm::event::{KeyEvent, MouseEvent};
use oicq::client::{AddOutcome, Group, OwnedProfile, Person, ServerLine, Status};
use std::path::PathBuf;

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Use this server from now on.
    Server(ServerLine),
    /// Sign in: with the password, or the token that was kept.
    SignIn { number: u32, password: Option<String>, hidden: bool },
    /// Accept the server's new key, and sign in.
    Trust { key: [u8; 32], number: u32, hidden: bool },
    /// Read what is kept of this account.
    Begin(u32),
    /// Read the newest messages with somebody, and note that they were seen.
    Open(u32),
    /// Read messages around a place in the history.
    Around { peer: u32, row: i64 },
    /// Read what is older.
    Older { peer: u32, before: i64 },
    /// Read what is newer.
    Newer { peer: u32, after: i64 },
    /// What somebody has said was seen.
    Seen(u32),
    /// Say something.
    Say { to: u32, text: String },
    /// Keep what is being written.
    Draft { to: u32, text: String },
    /// Keep the open requests.
    KeepRequests(String),
    /// Search the history.
    Search(String),
    /// Find out a name.
    LookUp(u32),
    /// Ask the server for something; from a form, which comes back if it fails.
    Ask { request: Request, form: bool },
    /// Write a conversation to a file, as JSON or text.
    Export { peer: u32, json: bool },
}

/// What can be asked of the server. Each runs on a thread of its own: an answer may take a while.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Of a new user, with an invite code if one was asked for.
    SignUp {
        profile: Box<OwnedProfile>,
        invite: Option<String>,
    },
    SignOut,
    SetStatus(Status),
    Add(u32),
    AskFor {
        number: u32,
        reason: String,
    },
    Answer {
        number: u32,
        agree: bool,
    },
    Delete(u32),
    AddGroup(String),
    RenameGroup {
        group: u8,
        name: String,
    },
    DeleteGroup(u8),
    Move {
        number: u32,
        group: u8,
    },
    Broadcast {
        group: u8,
        text: String,
    },
    View(u32),
    /// One's own profile, or what of it says what others may do.
    Mine {
        privacy: bool,
    },
    SetField {
        field: String,
        value: String,
    },
    SetPassword {
        old: String,
        new: String,
    },
    Online(u32),
    Find(String),
    Block {
        number: u32,
        on: bool,
    },
    OfferFile {
        number: u32,
        path: PathBuf,
    },
    /// From somebody, this offer; of several the first, if none is said.
    TakeFile(u32, Option<u32>),
    RejectFile(u32, Option<u32>),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done,
    Registered {
        number: u32,
        password: String,
    },
    /// Nobody was signed up: registration is closed, or a good invite code is wanted. The server's words.
    NotOpen {
        invite: bool,
        text: String,
    },
    /// The password that was given as the present one is another.
    OtherPassword,
    Added(AddOutcome),
    People(Vec<Person>),
    Profile(u32, Box<OwnedProfile>),
    /// One's own, and who may add oneself, if that is known.
    Mine {
        number: u32,
        profile: Box<OwnedProfile>,
        authorization: Option<u8>,
    },
    /// Nobody has answered the offer yet.
    Offered {
        id: u32,
        name: String,
        size: u32,
    },
}

/// Everything that is kept of an account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    pub groups: Vec<Group>,
    pub others: Vec<u32>,
    pub unread: Vec<(u32, u32)>,
    pub names: Vec<(u32, String)>,
    pub requests: String,
}

/// What the full screen is told.
#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// The terminal has gone, or the program is to end.
    End,
    Resize(u16, u16),
    /// Time has passed: what the connection looks like.
    Tick {
        up: bool,
        tcp: bool,
        trip: Option<u64>,
        /// Messages that have no receipt.
        waiting: usize,
    },
    /// The same, alone.
    Waiting(usize),
    News(News),
    /// The friend list may have changed.
    Groups(Vec<Group>),
    Server(Result<ServerLine, String>),
    Known(u32, Box<Known>),
    SignedIn {
        number: u32,
        groups: Vec<Group>,
        hidden: bool,
    },
    /// The server cannot be reached; it is tried again.
    Away(String),
    NeedPassword {
        number: u32,
        hidden: bool,
        error: Option<String>,
    },
    NotSignedIn(String),
    /// The operator does not let this account in: not yet, or not any more. The server's words.
    Barred {
        number: u32,
        code: u8,
        text: String,
    },
    KeyChanged {
        number: u32,
        pinned: [u8; 32],
        shown: [u8; 32],
        hidden: bool,
    },
    Opened {
        peer: u32,
        entries: Vec<Entry>,
        draft: String,
    },
    Around {
        peer: u32,
        row: i64,
        entries: Vec<Entry>,
        at_end: bool,
    },
    Older(u32, Vec<Entry>),
    Newer(u32, Vec<Entry>),
    NotSaid {
        to: u32,
        text: String,
        error: String,
    },
    Found {
        words: String,
        entries: Vec<Entry>,
    },
    Name(u32, String),
    Done {
        request: Request,
        form: bool,
        result: Result<Answer, String>,
    },
    Exported(Result<PathBuf, String>),
    Trouble(String),
}
