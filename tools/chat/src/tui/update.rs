//! What happens changes what is shown: everything but keys and the mouse.

use super::chat::{Chat, PAGE};
use super::effect::{Effect, Known, Message};
use super::lang::fill;
use super::model::{FileLine, Focus, Link, Model};
use super::popup::{Action, Form, Kind, Menu, Page, Popup, Purpose, Question};
use super::text;
use crate::engine::{FileState, News};
use crate::history::{Entry, State};
use crate::notice::{self, Meaning, meaning};
use crate::show::clean;
use oicq::client::{Event, Group, ReceiptState, Status, fingerprint};
use oicq::limits::{FIRST_GROUP, FIRST_USER};

impl Model {
    /// Takes a message, and leaves what is to be done in `effects`.
    pub fn update(&mut self, message: Message) {
        match message {
            Message::Key(key) => self.key(key),
            Message::Mouse(mouse) => self.mouse(mouse),
            Message::Paste(text) => self.paste(&text),
            Message::End => self.act(Action::Quit),
            Message::Resize(width, height) => {
                self.size = (width, height);
                self.measure();
            }
            Message::Waiting(waiting) => self.waiting = waiting,
            Message::Tick { up, tcp, trip, waiting } => {
                self.waiting = waiting;
                if waiting == 0 {
                    self.slowed = false;
                }
                if up && matches!(self.link, Link::Up { .. }) {
                    self.link = Link::Up { tcp, trip };
                }
                self.fade();
            }
            Message::News(news) => self.news(news),
            Message::Groups(groups) => self.take_groups(groups),
            Message::Server(Ok(line)) => {
                self.place = line.place();
                self.ask_account();
            }
            Message::Server(Err(error)) => self.ask_server(Some(error)),
            Message::Known(number, known) => self.known(number, *known),
            Message::SignedIn { number, groups, hidden } => {
                self.link = Link::Up { tcp: false, trip: None };
                self.status = if hidden { Status::Hidden } else { Status::Online };
                self.close_setup();
                self.me = Some(number);
                self.take_groups(groups);
                self.look_up(number);
                self.look_up_others();
                if self.chosen.is_none() {
                    self.chosen = self.people().first().copied();
                }
            }
            Message::Away(error) => {
                self.link = Link::Away;
                self.flash = Some(error);
            }
            Message::NeedPassword { number, hidden, error } => {
                self.link = Link::Out;
                self.need_password(number, hidden, error);
            }
            Message::NotSignedIn(error) => {
                self.link = Link::Out;
                self.submit_failed(&error);
            }
            Message::Barred { number, code, text } => {
                self.link = Link::Out;
                self.close_setup();
                let words = self.words;
                let said = words.server_said(code, &text);
                let (title, template) = match code {
                    notice::NOT_OPEN => (words.pending_title, words.pending),
                    _ => (words.banned_title, words.banned),
                };
                let text = fill(template, &[&said]).replace("NUMBER", &number.to_string());
                self.bar(title, &text);
            }
            Message::KeyChanged { number, pinned, shown, hidden } => {
                self.link = Link::OtherKey;
                self.ask_trust(number, &pinned, shown, hidden);
            }
            Message::Opened { peer, entries, draft } => self.opened(peer, entries, &draft),
            Message::Around { peer, row, entries, at_end } => self.around(peer, row, entries, at_end),
            Message::Older(peer, entries) => {
                if self.is_open(peer) {
                    self.older(entries);
                    self.loaded();
                }
            }
            Message::Newer(peer, entries) => {
                if self.is_open(peer) {
                    if let Some(chat) = &mut self.chat {
                        chat.at_end |= entries.len() < PAGE;
                    }
                    self.newer(entries);
                    self.loaded();
                }
            }
            Message::NotSaid { to, text, error } => {
                // It goes back where it was written, before anything that was written since.
                if self.is_open(to) {
                    let written = self.input.text().to_owned();
                    self.input.set(&if written.is_empty() { text } else { format!("{text}\n{written}") });
                } else {
                    self.drafts.insert(to, text);
                }
                self.notice("{}", &[&self.words.said(&error)]);
            }
            Message::Found { words, entries } => {
                if let Some(Popup::Search(search)) = self.popups.last_mut()
                    && search.editor.text() == words
                {
                    search.found = entries;
                    search.at = 0;
                }
            }
            Message::Name(number, name) => {
                self.names.insert(number, name);
                self.measure();
            }
            Message::Done { request, form, result } => self.done(request, form, result),
            Message::Exported(Ok(path)) => {
                let path = path.display().to_string();
                self.notice(self.words.exported, &[&path]);
            }
            Message::Exported(Err(error)) | Message::Trouble(error) => self.notice("{}", &[&self.words.said(&error)]),
        }
    }

    fn is_open(&self, peer: u32) -> bool {
        self.chat.as_ref().is_some_and(|chat| chat.peer == peer)
    }

    fn loaded(&mut self) {
        if let Some(chat) = &mut self.chat {
            chat.loading = false;
        }
        self.hold_scroll();
    }

    fn known(&mut self, number: u32, known: Known) {
        self.me = Some(number);
        self.names.extend(known.names);
        self.others = known.others;
        self.unread = known.unread.into_iter().collect();
        self.drafts.clear();
        self.requests = known
            .requests
            .lines()
            .filter_map(|line| {
                let (number, reason) = line.split_once(' ').unwrap_or((line, ""));
                Some((number.parse().ok()?, reason.strip_prefix('?').map(str::to_owned)))
            })
            .collect();
        self.take_groups(known.groups);
        self.chat = None;
        self.input.set("");
        self.focus = Focus::List;
        self.chosen = self.people().first().copied();
    }

    fn take_groups(&mut self, groups: Vec<Group>) {
        let friends = groups.iter().flat_map(|group| &group.friends);
        self.names.extend(friends.map(|friend| (friend.number, friend.nickname.clone())));
        self.groups = groups;
        self.measure();
    }

    /// At the first start: which account.
    pub fn ask_account(&mut self) {
        let words = self.words;
        let items = [
            (words.sign_in, Action::SignIn(false)),
            (words.sign_in_hidden, Action::SignIn(true)),
            (words.sign_up, Action::SignUp(false)),
            (words.sign_up_full, Action::SignUp(true)),
            (words.other_server, Action::OtherServer),
            (words.m_quit, Action::Quit),
        ];
        let title = format!("{} · {}", words.welcome, self.place);
        let items = items.into_iter().map(|(label, action)| (label.to_owned(), action)).collect();
        self.popups = vec![Popup::Menu(Menu { stays: true, ..Menu::new(&title, items) })];
    }

    /// At the first start: which server.
    pub fn ask_server(&mut self, error: Option<String>) {
        let words = self.words;
        let mut question = Question::new(words.ask_server, words.ask_server_hint, Kind::Text);
        question.answer.clone_from(&self.place);
        let mut form = Form::new(Purpose::Server, words.welcome, vec![question]);
        form.error = error;
        self.popups = vec![Popup::Form(form)];
    }

    /// The questions and menus of the first start are done.
    pub fn close_setup(&mut self) {
        self.submitted = None;
        self.popups.retain(|popup| match popup {
            Popup::Menu(menu) => !menu.stays,
            Popup::Form(form) => !matches!(
                form.purpose,
                Purpose::Server
                    | Purpose::SignIn { .. }
                    | Purpose::Password { .. }
                    | Purpose::SignUp
                    | Purpose::Trust { .. }
            ),
            _ => true,
        });
    }

    fn need_password(&mut self, number: u32, hidden: bool, error: Option<String>) {
        let error = error.or_else(|| self.submitted.is_some().then(|| self.words.wrong_password.to_owned()));
        if let Some(mut form) = self.submitted.take().filter(|form| form.purpose == Purpose::SignIn { hidden }) {
            form.again(1, error.unwrap_or_default());
            return self.popups.push(Popup::Form(form));
        }
        let words = self.words;
        let question = Question::new(words.password, words.password_hint, Kind::Secret);
        let mut form =
            Form::new(Purpose::Password { number, hidden }, &format!("{} {number}", words.sign_in), vec![question]);
        form.error = error;
        self.popups.push(Popup::Form(form));
    }

    fn ask_trust(&mut self, number: u32, pinned: &[u8; 32], key: [u8; 32], hidden: bool) {
        let words = self.words;
        if self
            .popups
            .iter()
            .any(|popup| matches!(popup, Popup::Form(form) if matches!(form.purpose, Purpose::Trust { .. })))
        {
            return;
        }
        let question = Question::new("", "", Kind::Text);
        let mut form = Form::new(Purpose::Trust { key, number, hidden }, words.key_title, vec![question]);
        let place = self.place.clone();
        form.about = [
            fill(words.key_text, &[&place]),
            String::new(),
            fill(words.key_kept, &[&fingerprint(pinned)]),
            fill(words.key_shown, &[&fingerprint(&key)]),
            String::new(),
            words.key_question.to_owned(),
        ]
        .join("\n");
        self.note(words.key_title.to_owned());
        self.popups.push(Popup::Form(form));
    }

    fn opened(&mut self, peer: u32, entries: Vec<Entry>, draft: &str) {
        if !self.is_open(peer) {
            return;
        }
        let mut chat = Chat::new(peer);
        chat.at_start = entries.len() < PAGE;
        chat.entries = entries.into();
        self.chat = Some(chat);
        let draft = self.drafts.remove(&peer).unwrap_or_else(|| draft.to_owned());
        self.input.set(&draft);
        self.unread.remove(&peer);
        self.measure();
    }

    fn around(&mut self, peer: u32, row: i64, entries: Vec<Entry>, at_end: bool) {
        if !self.is_open(peer) {
            return;
        }
        let mut chat = Chat::new(peer);
        chat.entries = entries.into();
        chat.at_end = at_end;
        let behind = chat.entries.iter().rev().take_while(|entry| entry.row > row).count();
        let draft = self.drafts.remove(&peer).unwrap_or_default();
        if self.input.text().is_empty() {
            self.input.set(&draft);
        }
        self.chat = Some(chat);
        self.measure();
        // The place that was asked for stands in the middle.
        let first = self.chat.as_ref().map_or(0, |chat| chat.entries.len() - behind);
        let rows: usize = match &self.chat {
            Some(chat) => (first..chat.entries.len()).map(|at| self.lines_of(chat, at).len()).sum(),
            None => 0,
        };
        let half = usize::from(self.areas().talk.height) / 2;
        if let Some(chat) = &mut self.chat {
            chat.scroll = rows.saturating_sub(half);
        }
        self.hold_scroll();
    }

    fn news(&mut self, news: News) {
        match news {
            News::Event(event) => self.event(event),
            News::File { peer, id, incoming, name, state } => self.file((peer, id), incoming, &clean(&name), state),
            News::Trouble(text) => {
                let text = self.words.said(&text);
                self.note(text.clone());
                self.trouble = Some(text);
            }
            News::Well => {
                self.trouble = None;
                self.notice(self.words.history_well, &[]);
            }
        }
    }

    fn event(&mut self, event: Event) {
        let words = self.words;
        match event {
            Event::Message { from, .. } => {
                self.meet(from);
                match &self.chat {
                    Some(chat) if chat.peer == from && chat.at_end => {
                        let after = chat.span().map_or(0, |(_, last)| last);
                        self.effects.push(Effect::Newer { peer: from, after });
                        self.effects.push(Effect::Seen(from));
                    }
                    _ => *self.unread.entry(from).or_default() += 1,
                }
            }
            Event::Receipt { to, id, state } => {
                if state != ReceiptState::Sending && self.is_open(to) && !self.receipt(id, State::from(state)) {
                    // It was said by another program of this account.
                    let after = self.chat.as_ref().and_then(super::chat::Chat::span).map_or(0, |(_, last)| last);
                    self.effects.push(Effect::Newer { peer: to, after });
                }
            }
            Event::Words { text } => self.notice(words.server_says, &[&clean(&text)]),
            Event::Notice { about, code, text } => self.told_no(meaning(about, code), code, &text),
            Event::AddedBy { from } => {
                self.look_up(from);
                let person = self.person(from);
                if self.status_of(from).is_none() && !self.requests.iter().any(|(number, _)| *number == from) {
                    self.requests.push((from, None));
                    self.keep_requests();
                }
                self.notice(words.added_by, &[&person]);
            }
            Event::Asked { from, reason } => {
                self.look_up(from);
                self.requests.retain(|(number, _)| *number != from);
                self.requests.push((from, Some(clean(&reason))));
                self.keep_requests();
                let person = self.person(from);
                self.notice(words.wants_you, &[&person, &clean(&reason)]);
            }
            Event::AskAnswered { from, agreed } => {
                let person = self.person(from);
                self.notice(if agreed { words.agreed } else { words.disagreed }, &[&person]);
            }
            Event::Monitored { from, text } => {
                let text = format!("[monitor] {}: {}", self.person(from), clean(&text));
                self.note(text);
            }
            Event::System { from, text, .. } => {
                let text = format!("{from}: {}", clean(&text));
                self.note(text);
            }
            Event::FriendStatus { friend, status } => {
                let known = self.groups.iter_mut().flat_map(|group| &mut group.friends);
                known.filter(|known| known.number == friend).for_each(|known| known.status = status);
                let text = fill(words.is_now, &[&self.person(friend), words.status(status)]);
                self.note(text);
                self.unseen = self.unseen.saturating_sub(1);
            }
            Event::NewFriend(friend) => {
                let known = self.groups.iter_mut().flat_map(|group| &mut group.friends);
                let mut known = known.filter(|known| known.number == friend.number);
                if let Some(known) = known.next() {
                    known.clone_from(&friend);
                } else if let Some(first) = self.groups.iter_mut().find(|group| group.number == FIRST_GROUP) {
                    first.friends.push(friend.clone());
                }
                self.chosen.get_or_insert(friend.number);
                self.names.insert(friend.number, friend.nickname);
                self.requests.retain(|(number, reason)| *number != friend.number || reason.is_some());
                self.keep_requests();
                let person = self.person(friend.number);
                self.notice(words.new_friend, &[&person]);
            }
            Event::FileOffered { from, name, size, offer } => {
                self.meet(from);
                let key = (from, offer);
                self.offers.retain(|(known, ..)| *known != key);
                self.offers.push((key, clean(&name), size));
                let (person, size) = (self.person(from), text::bytes(size.into()));
                self.notice(words.offers_file, &[&person, &clean(&name), &size]);
                self.ask_about(self.offers.len() - 1);
            }
            Event::FileAnswered { from, allow, offer } => {
                if !allow {
                    let person = self.person(from);
                    self.notice(words.file_refused, &[&person]);
                    self.files.retain(|file| (file.peer, file.id, file.incoming) != (from, offer, false) || file.ended);
                }
            }
            Event::ServerKey { key } => self.notice(words.key_learnt, &[&fingerprint(&key)]),
            Event::KeyChanged { .. } => {
                self.link = Link::OtherKey;
                self.notice(words.key_refused, &[]);
            }
            Event::Restored { .. } => {
                self.link = Link::Up { tcp: false, trip: None };
                self.notice(words.restored, &[]);
            }
            Event::SignInAgain { reason } => {
                self.link = Link::Out;
                self.notice(words.elsewhere, &[&words.said(&clean(&reason))]);
            }
            Event::SignInDelayed { .. } => {
                self.link = Link::Delayed;
                self.notice(words.delayed_why, &[]);
            }
            Event::Silent => self.link = Link::Silent,
            Event::Heard => {
                self.link = Link::Up { tcp: false, trip: None };
                self.notice(words.heard, &[]);
            }
            Event::FilePiece { .. } | Event::Progress { .. } | Event::Token { .. } => {}
        }
    }

    /// The server has not done something, or not yet.
    fn told_no(&mut self, meaning: Meaning, code: u8, text: &str) {
        let words = self.words;
        let waiting = self.waiting.to_string();
        match meaning {
            Meaning::SlowDown => {
                self.slowed = true;
                self.notice(words.slow_down, &[&waiting]);
            }
            Meaning::Later => self.notice(words.later, &[words.reason(code), &waiting]),
            Meaning::Banned => self.bar(words.banned_title, &fill(words.banned, &[&words.server_said(code, text)])),
            Meaning::Words => self.notice(words.server_says, &[&words.server_said(code, text)]),
        }
    }

    /// Says what keeps this account out: in a page, so that all of it can be read.
    pub fn bar(&mut self, title: &str, text: &str) {
        self.note(text.to_owned());
        self.popups.push(Popup::Page(Page { title: title.to_owned(), text: text.to_owned(), scroll: 0 }));
    }

    /// Requests stay open over the end of the program.
    pub fn keep_requests(&mut self) {
        let line = |(number, reason): &(u32, Option<String>)| match reason {
            Some(reason) => format!("{number} ?{reason}"),
            None => number.to_string(),
        };
        let lines: Vec<String> = self.requests.iter().map(line).collect();
        self.effects.push(Effect::KeepRequests(lines.join("\n")));
    }

    /// Asks about one of the files that are offered, if nothing else is asked.
    pub fn ask_about(&mut self, at: usize) {
        let words = self.words;
        // Keys that are on their way to something else must not answer it.
        if !self.popups.is_empty() || !self.input.text().is_empty() {
            return;
        }
        let Some(((from, offer), name, size)) = self.offers.get(at).cloned() else { return };
        let items = vec![
            (words.take.to_owned(), Action::TakeFile(from, offer)),
            (words.refuse.to_owned(), Action::RejectFile(from, offer)),
        ];
        let title = fill(words.offers_file, &[&self.person(from), &name, &text::bytes(size.into())]);
        self.popups.push(Popup::Menu(Menu::new(&title, items)));
    }

    fn file(&mut self, (peer, id): (u32, u32), incoming: bool, name: &str, state: FileState) {
        let words = self.words;
        let now = self.now;
        let known = self
            .files
            .iter()
            .position(|file| (file.peer, file.id, file.incoming, file.ended) == (peer, id, incoming, false));
        let at = known.unwrap_or_else(|| {
            let name = name.to_owned();
            self.files.push(FileLine {
                peer,
                id,
                incoming,
                name,
                done: 0,
                size: 0,
                speed: 0,
                since: (now, 0),
                ended: false,
            });
            self.files.len() - 1
        });
        let file = &mut self.files[at];
        match state {
            FileState::Moving(done, size) => {
                (file.done, file.size) = (done, size);
                let (since, before) = file.since;
                if now - since >= 1_000 {
                    file.speed = u64::from(done.saturating_sub(before)) * 1_000 / (now - since) as u64;
                    file.since = (now, done);
                }
            }
            FileState::Broken => {
                file.speed = 0;
                self.notice(words.file_broken, &[name]);
            }
            FileState::Done { path, size, checksum } => {
                (file.done, file.size, file.ended) = (size, size, true);
                let place = if incoming { path.display().to_string() } else { text::bytes(size.into()) };
                self.notice(words.file_done, &[name, &place, &checksum]);
            }
            FileState::Failed(error) => {
                file.ended = true;
                self.notice(words.file_failed, &[name, &words.said(&error)]);
            }
        }
    }

    /// Opens a conversation. What was being written in another is kept there.
    pub fn open(&mut self, peer: u32) {
        if peer < FIRST_USER {
            return;
        }
        self.put_away();
        self.meet(peer);
        self.chosen = Some(peer);
        self.focus = Focus::Input;
        self.chat = Some(Chat::new(peer));
        self.effects.push(Effect::Open(peer));
    }

    /// Keeps what is being written with the conversation that it is for.
    pub fn put_away(&mut self) {
        if let Some(chat) = &self.chat {
            let (to, text) = (chat.peer, self.input.text().to_owned());
            self.effects.push(Effect::Draft { to, text: text.clone() });
            self.drafts.insert(to, text);
            self.input.set("");
        }
    }
}
