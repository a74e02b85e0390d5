//! What the full screen knows, and where things stand on it. Nothing here does anything: `update` changes it, `view` shows it.

use super::chat::Chat;
use super::editor::Editor;
use super::effect::Effect;
use super::lang::{Words, fill};
use super::popup::{Form, Popup};
use super::text::Zone;
use oicq::client::{Group, Status};
use oicq::limits::FIRST_GROUP;
use ratatui::layout::Rect;
use std::collections::BTreeMap;

/// Below this many columns there is room for the list or the conversation, not for both.
const NARROW: u16 = 60;
/// The least that anything can be shown in.
pub const LEAST: (u16, u16) = (24, 8);
/// Most lines that the input line grows to.
const INPUT_ROWS: u16 = 6;
/// How the server calls the first group of a new user.
const FIRST_GROUP_NAME: &str = "My Friends";
/// How long a notice covers the hints, in ms.
const FLASH_MS: i64 = 15_000;
/// Notices that are remembered.
const NOTICES: usize = 500;

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// The friend list.
    List,
    /// The input line.
    Input,
}

/// The connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Nobody is signed in, and nobody tries.
    Out,
    /// It is being made.
    Connecting,
    /// The server is there, and lets the sign-in wait.
    Delayed,
    /// The server does not answer; it is tried again.
    Away,
    /// It stands: over TCP, and the round trip in ms.
    Up {
        /// Not over UDP.
        tcp: bool,
        /// Round trip in ms.
        trip: Option<u64>,
    },
    /// It stands, and nothing comes.
    Silent,
    /// The server shows another key.
    OtherKey,
}

/// A file on its way.
#[derive(Debug, Clone)]
pub struct FileLine {
    /// The other side.
    pub peer: u32,
    /// Which of those with that side.
    pub id: u32,
    /// Whether it comes in.
    pub incoming: bool,
    /// Its name.
    pub name: String,
    /// Bytes that are there.
    pub done: u32,
    /// Bytes in all.
    pub size: u32,
    /// Bytes a second.
    pub speed: u64,
    /// When it was so far, and how far: for the speed.
    pub since: (i64, u32),
    /// Whether it has come to an end, one way or the other.
    pub ended: bool,
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A group: its name, how many are there, how many there are.
    Group(String, usize, usize),
    /// A person.
    Person(u32),
}

/// Everything the full screen knows.
pub struct Model {
    pub words: &'static Words,
    pub zone: Zone,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Now, in milliseconds since 1970 UTC.
    pub now: i64,
    /// The server's host and port.
    pub place: String,
    /// Whose program this is.
    pub me: Option<u32>,
    /// One's own status, as it was asked for.
    pub status: Status,
    pub link: Link,
    /// Messages of ours without a receipt, as it was told last.
    pub waiting: usize,
    /// The server has asked us to slow down, and some of them still wait.
    pub slowed: bool,
    pub groups: Vec<Group>,
    /// People who are not in the list, with whom something was said.
    pub others: Vec<u32>,
    pub unread: BTreeMap<u32, u32>,
    pub names: BTreeMap<u32, String>,
    pub filter: Editor,
    /// The person in the list on whom the mark stands.
    pub chosen: Option<u32>,
    pub chat: Option<Chat>,
    pub input: Editor,
    pub drafts: BTreeMap<u32, String>,
    pub focus: Focus,
    pub popups: Vec<Popup>,
    /// A form whose request is under way: it comes back if that fails.
    pub submitted: Option<Form>,
    /// Whether of one's own profile only that was asked for which says what others may do.
    pub privacy: bool,
    /// The field of one's own profile that was changed last.
    pub changed: Option<&'static str>,
    pub notices: Vec<(i64, String)>,
    pub unseen: usize,
    /// The last notice, until the next key, and since when.
    pub flash: Option<String>,
    pub flash_at: i64,
    /// What is wrong with this machine, until it is right again.
    pub trouble: Option<String>,
    pub files: Vec<FileLine>,
    /// Files that are offered: from whom and which offer of theirs, name, size.
    pub offers: Vec<((u32, u32), String, u32)>,
    /// Who asks to add this user, and why; and who has added them.
    pub requests: Vec<(u32, Option<String>)>,
    pub effects: Vec<Effect>,
    pub quit: bool,
}

/// Where things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    pub title: Rect,
    pub list: Option<Rect>,
    pub head: Rect,
    pub talk: Rect,
    pub input: Rect,
    pub keys: Rect,
}

impl Model {
    /// Nobody is signed in, and nothing is open.
    pub fn new(words: &'static Words, zone: Zone, size: (u16, u16), now: i64) -> Self {
        Self {
            words,
            zone,
            size,
            now,
            place: String::new(),
            me: None,
            status: Status::Online,
            link: Link::Out,
            waiting: 0,
            slowed: false,
            groups: Vec::new(),
            others: Vec::new(),
            unread: BTreeMap::new(),
            names: BTreeMap::new(),
            filter: Editor::default(),
            chosen: None,
            chat: None,
            input: Editor::default(),
            drafts: BTreeMap::new(),
            focus: Focus::List,
            popups: Vec::new(),
            submitted: None,
            privacy: false,
            changed: None,
            notices: Vec::new(),
            unseen: 0,
            flash: None,
            flash_at: now,
            trouble: None,
            files: Vec::new(),
            offers: Vec::new(),
            requests: Vec::new(),
            effects: Vec::new(),
            quit: false,
        }
    }

    /// Where things stand in the present size.
    pub fn areas(&self) -> Areas {
        let (width, height) = self.size;
        let narrow = width < NARROW;
        let side = match (narrow, self.focus) {
            (true, Focus::List) => width,
            (true, Focus::Input) => 0,
            (false, _) => (width / 4).clamp(22, 40),
        };
        let body = Rect::new(0, 1, width, height.saturating_sub(2));
        let (left, right) = (side, width.saturating_sub(side));
        let talk_width = if right == 0 { width } else { right };
        let rows = self.input.lines(usize::from(talk_width.saturating_sub(3))).0.len();
        let rows =
            u16::try_from(rows).unwrap_or(INPUT_ROWS).clamp(1, INPUT_ROWS).min(body.height.saturating_sub(4).max(1));
        let input_top = body.bottom().saturating_sub(rows + 1);
        Areas {
            title: Rect::new(0, 0, width, 1),
            list: (left > 0).then(|| Rect::new(0, 1, left, body.height)),
            head: Rect::new(left, 1, right, 1),
            talk: Rect::new(left, 2, right, input_top.saturating_sub(2)),
            input: Rect::new(left, input_top, right, rows + 1),
            keys: Rect::new(0, height.saturating_sub(1), width, 1),
        }
    }

    /// Columns in which messages are written.
    pub fn talk_width(&self) -> usize {
        let areas = self.areas();
        let width = if areas.talk.width == 0 { self.size.0 } else { areas.talk.width };
        usize::from(width.saturating_sub(2))
    }

    /// A nickname, or the number where none is known.
    pub fn name(&self, number: u32) -> String {
        match self.names.get(&number) {
            Some(name) if !name.is_empty() => crate::show::clean(name),
            _ => number.to_string(),
        }
    }

    /// Nickname and number.
    pub fn person(&self, number: u32) -> String {
        match self.names.get(&number) {
            Some(name) if !name.is_empty() => format!("{} ({number})", crate::show::clean(name)),
            _ => number.to_string(),
        }
    }

    /// A group's name; that of the first one in the language of the screen, as long as nobody has changed it.
    pub fn group_name(&self, group: &Group) -> String {
        let unchanged = group.number == FIRST_GROUP && group.name == FIRST_GROUP_NAME;
        if unchanged { self.words.friends.to_owned() } else { crate::show::clean(&group.name) }
    }

    /// Somebody's visible status, if they are in the list.
    pub fn status_of(&self, number: u32) -> Option<Status> {
        let mut friends = self.groups.iter().flat_map(|group| &group.friends);
        friends.find(|friend| friend.number == number).map(|friend| friend.status)
    }

    /// The list as it is shown: those who are there first, and only who fits what is searched.
    pub fn rows(&self) -> Vec<Row> {
        let wanted = self.filter.text().to_lowercase();
        let fits = |number: &u32| {
            wanted.is_empty()
                || number.to_string().contains(&wanted)
                || self.name(*number).to_lowercase().contains(&wanted)
        };
        let mut rows = Vec::new();
        for group in &self.groups {
            let mut friends: Vec<_> = group.friends.iter().collect();
            friends.sort_by_key(|friend| (friend.status == Status::Offline, self.name(friend.number).to_lowercase()));
            let numbers: Vec<u32> = friends.iter().map(|friend| friend.number).filter(fits).collect();
            let present = friends.iter().filter(|friend| friend.status != Status::Offline).count();
            if wanted.is_empty() || !numbers.is_empty() {
                rows.push(Row::Group(self.group_name(group), present, friends.len()));
                rows.extend(numbers.into_iter().map(Row::Person));
            }
        }
        let others: Vec<u32> =
            self.others.iter().copied().filter(|number| self.status_of(*number).is_none() && fits(number)).collect();
        if !others.is_empty() {
            rows.push(Row::Group(self.words.others.to_owned(), 0, 0));
            rows.extend(others.into_iter().map(Row::Person));
        }
        rows
    }

    /// The people of the list in the order in which they are shown.
    pub fn people(&self) -> Vec<u32> {
        let person = |row: &Row| if let Row::Person(number) = row { Some(*number) } else { None };
        self.rows().iter().filter_map(person).collect()
    }

    /// The first row of the list that is shown: so that the chosen one is in sight.
    pub fn list_top(&self, height: usize) -> usize {
        let rows = self.rows();
        let at = rows.iter().position(|row| self.chosen.is_some_and(|chosen| *row == Row::Person(chosen))).unwrap_or(0);
        at.saturating_sub(height.saturating_sub(2)).min(rows.len().saturating_sub(height))
    }

    /// Notes something, and shows it until the next key, or for a while.
    pub fn notice(&mut self, template: &str, values: &[&str]) {
        let text = fill(template, values);
        self.flash = Some(text.clone());
        self.flash_at = self.now;
        self.note(text);
    }

    /// Time has passed: what was shown for a while is in the notices, and the hints are in sight again.
    pub fn fade(&mut self) {
        if self.now - self.flash_at > FLASH_MS && matches!(self.link, Link::Up { .. }) {
            self.flash = None;
        }
    }

    /// Notes something without showing it at once.
    pub fn note(&mut self, text: String) {
        self.notices.push((self.now, text));
        self.unseen += 1;
        if self.notices.len() > NOTICES {
            self.notices.remove(0);
        }
    }

    /// Somebody with whom something is said is in the list from now on.
    pub fn meet(&mut self, number: u32) {
        if self.status_of(number).is_none() && !self.others.contains(&number) {
            self.others.push(number);
        }
        self.chosen.get_or_insert(number);
        self.look_up(number);
    }

    /// Finds out somebody's name, once.
    pub fn look_up(&mut self, number: u32) {
        let effects = &mut self.effects;
        self.names.entry(number).or_insert_with(|| {
            effects.push(Effect::LookUp(number));
            String::new()
        });
    }

    /// Names that could not be found out before there was a connection.
    pub fn look_up_others(&mut self) {
        let unknown = |number: &u32| self.names.get(number).is_none_or(String::is_empty);
        let asking = self.requests.iter().map(|(number, _)| *number);
        let numbers: Vec<u32> = self.others.iter().copied().chain(asking).filter(unknown).collect();
        self.effects.extend(numbers.into_iter().map(Effect::LookUp));
    }
}
