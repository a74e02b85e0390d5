//! What opens above the conversation: menus, questions asked one at a time, people who were found, pages of text.

use super::editor::Editor;
use crate::history::Entry;
use oicq::client::{Person, Status};

/// Something that has the keys until it is closed.
#[derive(Debug, Clone)]
pub enum Popup {
    /// Something to choose from.
    Menu(Menu),
    /// Questions.
    Form(Form),
    /// People who were found.
    People(People),
    /// Text to read.
    Page(Page),
    /// The history, searched as one types.
    Search(Search),
    /// A question with yes and no.
    Confirm(Confirm),
}

/// What a choice does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Add,
    AddNumber(u32),
    Talk,
    Open(u32),
    Delete(u32),
    View(u32),
    PickGroup(u32),
    Move(u32, u8),
    Block(u32),
    Unblock(u32),
    SendFile(u32),
    Files,
    TakeFile(u32, u32),
    RejectFile(u32, u32),
    GroupAdd,
    PickRename,
    Rename(u8),
    PickDelete,
    DeleteGroup(u8),
    PickBroadcast,
    Broadcast(u8),
    Online,
    OnlineFrom(u32),
    Find,
    Requests,
    Answer(u32, bool),
    PickStatus,
    Status(Status),
    Profile,
    /// What of it says what others may do.
    Privacy,
    /// A field of one's own profile, and what stands there.
    Field(&'static str, String),
    /// The word that was chosen for a field.
    Choose(&'static str, &'static str),
    Password,
    History,
    Export(u32),
    ExportAs(u32, bool),
    Notices,
    Help,
    SignIn(bool),
    SignUp(bool),
    OtherServer,
    SignOut,
    Quit,
    Nothing,
}

/// Something to choose from.
#[derive(Debug, Clone)]
pub struct Menu {
    pub title: String,
    pub items: Vec<(String, Action)>,
    pub at: usize,
    /// At the first start something must be chosen: Esc goes back to the question before.
    pub stays: bool,
}

impl Menu {
    pub fn new(title: &str, items: Vec<(String, Action)>) -> Self {
        Self { title: title.to_owned(), items, at: 0, stays: false }
    }
}

/// What the answers are for.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    Server,
    SignIn { hidden: bool },
    Password { number: u32, hidden: bool },
    SignUp,
    Add,
    Talk,
    AskFor(u32),
    GroupAdd,
    Rename(u8),
    Broadcast(u8),
    Find,
    Field(&'static str),
    NewPassword,
    SendFile(u32),
    Trust { key: [u8; 32], number: u32, hidden: bool },
}

/// What an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something.
    Text,
    /// Something or nothing.
    Optional,
    /// A service number.
    Number,
    /// An invite code.
    Invite,
    /// Not shown.
    Secret,
    /// The same for a new one, which must be long enough.
    NewSecret,
    /// The same as the answer before, not shown.
    Again,
}

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    pub label: String,
    pub hint: String,
    pub kind: Kind,
    pub answer: String,
    /// The field of a profile that it is about.
    pub field: Option<&'static str>,
}

impl Question {
    pub fn new(label: &str, hint: &str, kind: Kind) -> Self {
        Self { label: label.to_owned(), hint: hint.to_owned(), kind, answer: String::new(), field: None }
    }

    /// Whether the answer is hidden.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::NewSecret | Kind::Again)
    }
}

/// Questions, asked one at a time.
#[derive(Debug, Clone)]
pub struct Form {
    pub purpose: Purpose,
    pub title: String,
    /// What stands above the questions.
    pub about: String,
    pub questions: Vec<Question>,
    pub at: usize,
    pub editor: Editor,
    pub error: Option<String>,
}

impl Form {
    pub fn new(purpose: Purpose, title: &str, questions: Vec<Question>) -> Self {
        let editor = Editor::new(questions.first().map_or("", |question| &question.answer));
        Self { purpose, title: title.to_owned(), about: String::new(), questions, at: 0, editor, error: None }
    }

    /// The answer to the question at this place.
    pub fn answer(&self, at: usize) -> &str {
        self.questions.get(at).map_or("", |question| &question.answer)
    }

    /// The question before. Tells whether there is one.
    pub fn back(&mut self) -> bool {
        self.error = None;
        if self.at == 0 {
            return false;
        }
        self.questions[self.at].answer = self.editor.text().to_owned();
        self.at -= 1;
        self.editor = Editor::new(&self.questions[self.at].answer);
        true
    }

    /// Goes back to a question, with what is wrong with its answer.
    pub fn again(&mut self, at: usize, error: String) {
        self.at = at.min(self.questions.len().saturating_sub(1));
        self.error = Some(error);
        let question = &self.questions[self.at];
        self.editor = Editor::new(if question.is_secret() { "" } else { &question.answer });
    }
}

/// People who were found.
#[derive(Debug, Clone)]
pub struct People {
    pub title: String,
    pub people: Vec<Person>,
    pub at: usize,
    /// Whether there may be more beyond the last: from who is online.
    pub more: bool,
}

/// Text to read.
#[derive(Debug, Clone)]
pub struct Page {
    pub title: String,
    pub text: String,
    pub scroll: usize,
}

/// The history, searched as one types.
#[derive(Debug, Clone, Default)]
pub struct Search {
    pub editor: Editor,
    pub found: Vec<Entry>,
    pub at: usize,
}

/// A question with yes and no.
#[derive(Debug, Clone)]
pub struct Confirm {
    pub text: String,
    pub action: Action,
}
