//! What menus, forms and written commands do.

use super::effect::{Effect, Request};
use super::forms::home;
use super::lang::fill;
use super::model::{Link, Model};
use super::popup::{Action, Confirm, Form, Kind, Menu, Page, Popup, Purpose, Question, Search};
use super::text;
use crate::fields;
use crate::plain::command::{self, Command};
use crossterm::event::{KeyCode, KeyEvent};
use oicq::client::{Friend, Status};
use oicq::limits::FIRST_GROUP;

impl Model {
    fn ask(&mut self, request: Request) {
        self.effects.push(Effect::Ask { request, form: false });
    }

    fn person_menu(&self, number: u32) -> Vec<(String, Action)> {
        let words = self.words;
        if self.me == Some(number) {
            return vec![
                (words.m_profile_of.to_owned(), Action::View(number)),
                (words.m_my_profile.to_owned(), Action::Profile),
            ];
        }
        let mut items = vec![(words.m_profile_of, Action::View(number)), (words.m_send_file, Action::SendFile(number))];
        if self.status_of(number).is_some() {
            items.push((words.m_move, Action::PickGroup(number)));
            items.push((words.m_delete, Action::Delete(number)));
        } else {
            items.push((words.m_add, Action::AddNumber(number)));
        }
        items.extend([
            (words.m_block, Action::Block(number)),
            (words.m_unblock, Action::Unblock(number)),
            (words.m_export, Action::Export(number)),
        ]);
        let name = self.name(number);
        items.into_iter().map(|(label, action)| (format!("{name}: {label}"), action)).collect()
    }

    /// The menu of everything.
    pub fn open_menu(&mut self) {
        let words = self.words;
        let whom = self.chat.as_ref().map(|chat| chat.peer).or(self.chosen);
        let mut items = whom.map(|number| self.person_menu(number)).unwrap_or_default();
        let rest = [
            (words.m_add, Action::Add),
            (words.m_chat, Action::Talk),
            (words.m_requests, Action::Requests),
            (words.m_online, Action::Online),
            (words.m_find, Action::Find),
            (words.m_files, Action::Files),
            (words.m_broadcast, Action::PickBroadcast),
            (words.m_group_add, Action::GroupAdd),
            (words.m_group_rename, Action::PickRename),
            (words.m_group_delete, Action::PickDelete),
            (words.m_status, Action::PickStatus),
            (words.m_my_profile, Action::Profile),
            (words.m_privacy, Action::Privacy),
            (words.m_password, Action::Password),
            (words.m_history, Action::History),
            (words.m_notices, Action::Notices),
            (words.m_help, Action::Help),
            (words.m_sign_out, Action::SignOut),
            (words.m_quit, Action::Quit),
        ];
        if self.link == Link::Out {
            items.push((words.sign_in.to_owned(), Action::SignIn(false)));
            items.push((words.sign_up.to_owned(), Action::SignUp(false)));
        }
        let count = self.requests.len();
        items.extend(rest.into_iter().map(|(label, action)| match action {
            Action::Requests if count > 0 => (format!("{label} ({count})"), action),
            _ => (label.to_owned(), action),
        }));
        self.popups.push(Popup::Menu(Menu::new(words.menu, items)));
    }

    /// Signs in with the token that was kept, or asks for the password.
    pub fn sign_in_again(&mut self) {
        match self.me {
            Some(number) if !matches!(self.link, Link::Up { .. } | Link::Connecting | Link::Delayed) => {
                self.link = Link::Connecting;
                let hidden = self.status == Status::Hidden;
                self.effects.push(Effect::SignIn { number, password: None, hidden });
            }
            Some(_) => {}
            None => self.ask_account(),
        }
    }

    fn form(&mut self, purpose: Purpose, title: &str, questions: Vec<Question>) {
        self.popups.push(Popup::Form(Form::new(purpose, title, questions)));
    }

    fn question(&self, label: &str, hint: &str, kind: Kind) -> Vec<Question> {
        vec![Question::new(label, hint, kind)]
    }

    /// Of the groups from this number on; 0 is all friends.
    fn pick_group(&mut self, from: u8, action: impl Fn(u8) -> Action) {
        let all = (0, self.words.all_friends.to_owned());
        let groups = self.groups.iter().map(|group| (group.number, self.group_name(group)));
        let chosen = std::iter::once(all).chain(groups).filter(|(number, _)| *number >= from);
        let mut items: Vec<(String, Action)> = chosen.map(|(number, name)| (name, action(number))).collect();
        if items.is_empty() {
            items.push((self.words.no_groups.to_owned(), Action::Nothing));
        }
        self.popups.push(Popup::Menu(Menu::new(self.words.choose_group, items)));
    }

    fn confirm(&mut self, template: &str, number: u32, action: Action) {
        let text = fill(template, &[&self.person(number)]);
        self.popups.push(Popup::Confirm(Confirm { text, action }));
    }

    /// Does what was chosen.
    pub fn act(&mut self, action: Action) {
        let words = self.words;
        match action {
            Action::Add => {
                self.form(Purpose::Add, words.m_add, self.question(words.number, words.other_hint, Kind::Number));
            }
            Action::AddNumber(number) => self.ask(Request::Add(number)),
            Action::Talk => {
                self.form(Purpose::Talk, words.m_chat, self.question(words.number, words.other_hint, Kind::Number));
            }
            Action::Open(number) => {
                self.popups.clear();
                self.open(number);
            }
            Action::Delete(number) => self.confirm(words.sure_delete, number, action),
            Action::View(number) => self.ask(Request::View(number)),
            Action::PickGroup(number) => self.pick_group(FIRST_GROUP, |group| Action::Move(number, group)),
            Action::Move(number, group) => self.ask(Request::Move { number, group }),
            Action::Block(number) => self.confirm(words.sure_block, number, action),
            Action::Unblock(number) => self.ask(Request::Block { number, on: false }),
            Action::SendFile(number) => {
                let title = format!("{} → {}", words.m_send_file, self.person(number));
                self.form(
                    Purpose::SendFile(number),
                    &title,
                    self.question(words.file_path, words.file_path_hint, Kind::Text),
                );
            }
            Action::Files => self.files_menu(),
            Action::TakeFile(number, offer) => self.ask(Request::TakeFile(number, Some(offer))),
            Action::RejectFile(number, offer) => self.ask(Request::RejectFile(number, Some(offer))),
            Action::GroupAdd => {
                self.form(Purpose::GroupAdd, words.m_group_add, self.question(words.name, "", Kind::Text));
            }
            Action::PickRename => self.pick_group(FIRST_GROUP, Action::Rename),
            Action::Rename(group) => {
                self.form(Purpose::Rename(group), words.m_group_rename, self.question(words.name, "", Kind::Text));
            }
            // The first one stays.
            Action::PickDelete => self.pick_group(FIRST_GROUP + 1, Action::DeleteGroup),
            Action::DeleteGroup(group) => self.ask(Request::DeleteGroup(group)),
            Action::PickBroadcast => self.pick_group(0, Action::Broadcast),
            Action::Broadcast(group) => {
                self.form(Purpose::Broadcast(group), words.m_broadcast, self.question(words.text, "", Kind::Text));
            }
            Action::Online => self.ask(Request::Online(0)),
            Action::OnlineFrom(start) => self.ask(Request::Online(start)),
            Action::Find => {
                self.form(Purpose::Find, words.m_find, self.question(words.condition, "", Kind::Text));
                if let Some(Popup::Form(form)) = self.popups.last_mut() {
                    form.about = words.find_examples.to_owned();
                }
            }
            Action::Requests => self.requests_menu(),
            Action::Answer(number, agree) => self.ask(Request::Answer { number, agree }),
            Action::PickStatus => {
                let items = [Status::Online, Status::Busy, Status::Hidden];
                let items =
                    items.into_iter().map(|status| (words.status(status).to_owned(), Action::Status(status))).collect();
                self.popups.push(Popup::Menu(Menu::new(words.m_status, items)));
            }
            Action::Status(status) => self.ask(Request::SetStatus(status)),
            Action::Profile => self.ask(Request::Mine { privacy: false }),
            Action::Privacy => self.ask(Request::Mine { privacy: true }),
            Action::Field(field, answer) if !fields::choices(field).is_empty() => {
                let items: Vec<(String, Action)> = fields::choices(field)
                    .iter()
                    .map(|word| (words.choice(field, word).to_owned(), Action::Choose(field, word)))
                    .collect();
                let at = fields::choices(field).iter().position(|word| *word == answer).unwrap_or(0);
                self.popups.push(Popup::Menu(Menu { at, ..Menu::new(words.field(field), items) }));
            }
            Action::Choose(field, word) => {
                self.ask(Request::SetField { field: field.to_owned(), value: word.to_owned() });
            }
            Action::Field(field, answer) => {
                let kind = if field == "nickname" { Kind::Text } else { Kind::Optional };
                let question = Question::new(words.field(field), &words.meaning(field), kind);
                let question = Question { field: Some(field), answer, ..question };
                self.form(Purpose::Field(field), words.m_my_profile, vec![question]);
            }
            Action::Password => {
                let questions = vec![
                    Question::new(words.old_password, words.password_hint, Kind::Secret),
                    Question::new(words.new_password, words.new_password_hint, Kind::NewSecret),
                    Question::new(words.password_again, words.password_hint, Kind::Again),
                ];
                self.form(Purpose::NewPassword, words.m_password, questions);
            }
            Action::History => self.popups.push(Popup::Search(Search::default())),
            Action::Export(number) => {
                let items = vec![
                    (words.as_text.to_owned(), Action::ExportAs(number, false)),
                    (words.as_json.to_owned(), Action::ExportAs(number, true)),
                ];
                let title = format!("{} · {}", words.m_export, self.person(number));
                self.popups.push(Popup::Menu(Menu::new(&title, items)));
            }
            Action::ExportAs(peer, json) => self.effects.push(Effect::Export { peer, json }),
            Action::Notices => self.show_notices(),
            Action::Help => self.show_page(words.m_help, words.help),
            Action::SignIn(hidden) => {
                let number = Question::new(words.number, words.number_hint, Kind::Number);
                let questions = vec![
                    Question { answer: self.me.map_or(String::new(), |number| number.to_string()), ..number },
                    Question::new(words.password, words.password_hint, Kind::Secret),
                ];
                self.form(Purpose::SignIn { hidden }, words.sign_in, questions);
            }
            Action::SignUp(full) => self.sign_up(full),
            Action::OtherServer => self.ask_server(None),
            Action::SignOut => self.ask(Request::SignOut),
            Action::Quit => {
                self.put_away();
                self.quit = true;
            }
            Action::Nothing => {}
        }
    }

    fn show_page(&mut self, title: &str, text: &str) {
        let page = Page { title: title.to_owned(), text: text.to_owned(), scroll: 0 };
        self.popups.push(Popup::Page(page));
    }

    fn sign_up(&mut self, full: bool) {
        let words = self.words;
        let mut questions = vec![
            Question::new(words.nickname, words.nickname_hint, Kind::Text),
            Question::new(words.password, words.new_password_hint, Kind::NewSecret),
            Question::new(words.password_again, words.password_hint, Kind::Again),
        ];
        if full {
            questions.extend(fields::questions().map(|(field, _)| {
                let hint = match words.meaning(field) {
                    meaning if meaning.is_empty() => words.optional.to_owned(),
                    meaning => fill(words.optional_meaning, &[&meaning]),
                };
                Question { field: Some(field), ..Question::new(words.field(field), &hint, Kind::Optional) }
            }));
        }
        self.form(Purpose::SignUp, words.sign_up, questions);
    }

    /// The list with the numbers of groups and people, which commands take.
    fn show_list(&mut self) {
        let mut lines = Vec::new();
        for group in &self.groups {
            lines.push(format!("{} {}", group.number, self.group_name(group)));
            let friend = |friend: &Friend| format!("    {}", self.person(friend.number));
            lines.extend(group.friends.iter().map(friend));
        }
        self.show_page(self.words.friends, &lines.join("\n"));
    }

    fn show_notices(&mut self) {
        self.unseen = 0;
        let line = |(time, text): &(i64, String)| format!("{} {text}", self.zone.minute(*time));
        let lines: Vec<String> = self.notices.iter().rev().map(line).collect();
        let text = if lines.is_empty() { self.words.no_notices.to_owned() } else { lines.join("\n") };
        self.show_page(self.words.notices, &text);
    }

    fn requests_menu(&mut self) {
        let words = self.words;
        let mut items = Vec::new();
        for (number, reason) in &self.requests {
            let person = self.person(*number);
            match reason {
                Some(reason) => {
                    items.push((format!("{}: {person}: {reason}", words.accept), Action::Answer(*number, true)));
                    items.push((format!("{}: {person}", words.refuse), Action::Answer(*number, false)));
                }
                None => items.push((fill(words.add_back, &[&person]), Action::AddNumber(*number))),
            }
        }
        if items.is_empty() {
            items.push((words.no_requests.to_owned(), Action::Nothing));
        }
        self.popups.push(Popup::Menu(Menu::new(words.m_requests, items)));
    }

    fn files_menu(&mut self) {
        let words = self.words;
        let mut items = Vec::new();
        for ((from, offer), name, size) in &self.offers {
            let size = text::bytes((*size).into());
            let take = format!("{}: {name} ({size}) ← {}", words.take, self.person(*from));
            items.push((take, Action::TakeFile(*from, *offer)));
            items.push((format!("{}: {name}", words.refuse), Action::RejectFile(*from, *offer)));
        }
        for file in self.files.iter().rev() {
            let percent = u64::from(file.done) * 100 / u64::from(file.size.max(1));
            let arrow = if file.incoming { "←" } else { "→" };
            let peer = self.person(file.peer);
            items.push((format!("{percent:>3} % {} {arrow} {peer}", file.name), Action::Open(file.peer)));
        }
        if items.is_empty() {
            items.push((words.no_files.to_owned(), Action::Nothing));
        }
        self.popups.push(Popup::Menu(Menu::new(words.m_files, items)));
    }

    /// A key for what is open above the conversation.
    pub fn popup_key(&mut self, key: KeyEvent, control: bool) {
        let code = key.code;
        match self.popups.last_mut() {
            Some(Popup::Form(form)) => match code {
                KeyCode::Enter => self.next_question(),
                KeyCode::Esc => {
                    if !form.back() {
                        self.close_form();
                    }
                }
                _ => edit(&mut form.editor, code, control),
            },
            Some(Popup::Search(search)) => match code {
                KeyCode::Esc => drop(self.popups.pop()),
                KeyCode::Enter => self.popup_choose(usize::MAX),
                KeyCode::Up => search.at = search.at.saturating_sub(1),
                KeyCode::Down => search.at = (search.at + 1).min(search.found.len().saturating_sub(1)),
                _ => {
                    let before = search.editor.text().to_owned();
                    edit(&mut search.editor, code, control);
                    let words = search.editor.text().to_owned();
                    if words != before {
                        // Of letters that come together, only the last matters.
                        self.effects.retain(|effect| !matches!(effect, Effect::Search(_)));
                        self.effects.push(Effect::Search(words));
                    }
                }
            },
            Some(Popup::Confirm(_)) => match code {
                KeyCode::Char('y' | 'Y') | KeyCode::Enter => self.popup_choose(usize::MAX),
                KeyCode::Char('n' | 'N') | KeyCode::Esc => drop(self.popups.pop()),
                _ => {}
            },
            Some(Popup::Menu(menu)) => match code {
                KeyCode::Esc if menu.stays => self.act(Action::OtherServer),
                KeyCode::Esc => drop(self.popups.pop()),
                KeyCode::Enter => self.popup_choose(usize::MAX),
                KeyCode::Char(letter) if letter.is_ascii_digit() && letter != '0' && menu.stays => {
                    self.popup_choose(letter as usize - '1' as usize);
                }
                _ => self.popup_step(code),
            },
            Some(Popup::People(_)) if code == KeyCode::Enter => self.popup_choose(usize::MAX),
            Some(Popup::People(_) | Popup::Page(_)) => match code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::F(1) => drop(self.popups.pop()),
                _ => self.popup_step(code),
            },
            None => {}
        }
    }

    fn popup_step(&mut self, code: KeyCode) {
        let page = isize::try_from(self.size.1 / 2).unwrap_or(1);
        match code {
            KeyCode::Up | KeyCode::BackTab => self.popup_move(-1),
            KeyCode::Down | KeyCode::Tab => self.popup_move(1),
            KeyCode::PageUp => self.popup_move(-page),
            KeyCode::PageDown => self.popup_move(page),
            KeyCode::Home => self.popup_move(isize::MIN / 2),
            KeyCode::End => self.popup_move(isize::MAX / 2),
            _ => {}
        }
    }

    /// Moves the mark, or scrolls.
    pub fn popup_move(&mut self, by: isize) {
        let end = match self.popups.last() {
            Some(Popup::Page(page)) => super::view::page_end(self, &page.text),
            _ => 0,
        };
        let (at, count) = match self.popups.last_mut() {
            Some(Popup::Menu(menu)) => (&mut menu.at, menu.items.len()),
            Some(Popup::People(people)) => (&mut people.at, people.people.len() + usize::from(people.more)),
            Some(Popup::Search(search)) => (&mut search.at, search.found.len()),
            Some(Popup::Page(page)) => (&mut page.scroll, end + 1),
            _ => return,
        };
        *at = (*at).min(count.saturating_sub(1)).saturating_add_signed(by).min(count.saturating_sub(1));
    }

    /// Takes what the mark is on, or the row that was clicked.
    pub fn popup_choose(&mut self, row: usize) {
        let Some(popup) = self.popups.last_mut() else { return };
        match popup {
            Popup::Menu(menu) => {
                let at = if row == usize::MAX { menu.at } else { row };
                let Some((_, action)) = menu.items.get(at).cloned() else { return };
                if !menu.stays {
                    self.popups.pop();
                }
                self.act(action);
            }
            Popup::People(people) => {
                let at = if row == usize::MAX { people.at } else { row };
                match people.people.get(at) {
                    Some(person) => {
                        let number = person.number;
                        let mut items = self.person_menu(number);
                        if self.me != Some(number) {
                            items.insert(0, (self.words.m_open.to_owned(), Action::Open(number)));
                        }
                        let menu = Menu::new(&self.person(number), items);
                        self.popups.push(Popup::Menu(menu));
                    }
                    None if people.more => {
                        let last = people.people.last().map_or(0, |person| person.number);
                        self.popups.pop();
                        self.act(Action::OnlineFrom(last));
                    }
                    None => {}
                }
            }
            Popup::Search(search) => {
                let at = if row == usize::MAX { search.at } else { row };
                let Some((peer, row)) = search.found.get(at).map(|entry| (entry.peer, entry.row)) else { return };
                self.popups.clear();
                self.open(peer);
                self.effects.push(Effect::Around { peer, row });
            }
            Popup::Confirm(confirm) => {
                let action = confirm.action.clone();
                self.popups.pop();
                match action {
                    Action::Delete(number) => self.ask(Request::Delete(number)),
                    Action::Block(number) => self.ask(Request::Block { number, on: true }),
                    other => self.act(other),
                }
            }
            Popup::Form(_) | Popup::Page(_) => {}
        }
    }

    /// A command that was written instead of chosen.
    pub fn command(&mut self, line: &str) -> Result<(), String> {
        let parsed = command::parse(line, false).map_err(|error| self.words.wrong_command(line, error))?;
        let Some(command) = parsed else { return Ok(()) };
        let request = match command {
            Command::Add(number) => Request::Add(number),
            Command::Ask { number, reason } => Request::AskFor { number, reason },
            Command::Answer { number, agree } => Request::Answer { number, agree },
            Command::Delete(number) => Request::Delete(number),
            Command::AddGroup(name) => Request::AddGroup(name),
            Command::RenameGroup { group, name } => Request::RenameGroup { group, name },
            Command::DeleteGroup(group) => Request::DeleteGroup(group),
            Command::Move { number, group } => Request::Move { number, group },
            Command::All { group, text } => Request::Broadcast { group, text },
            Command::Online(start) => Request::Online(start),
            Command::Find(condition) => Request::Find(condition),
            Command::View(number) => Request::View(number),
            Command::Set { field, .. } if field == "password" => {
                self.act(Action::Password);
                return Ok(());
            }
            Command::Set { field, value } => Request::SetField { field, value },
            Command::Status(Status::Offline) | Command::SignOut => Request::SignOut,
            Command::Status(status) => Request::SetStatus(status),
            Command::Send { number, path } => Request::OfferFile { number, path: home(&path) },
            Command::Take { number, offer } => Request::TakeFile(number, offer),
            Command::Reject { number, offer } => Request::RejectFile(number, offer),
            Command::Block { number, on } => Request::Block { number, on },
            Command::Profile => Request::Mine { privacy: false },
            Command::Say { number, text } => {
                self.effects.push(Effect::Say { to: number, text });
                self.meet(number);
                return Ok(());
            }
            Command::To(Some(number)) => {
                self.input.set("");
                self.open(number);
                return Ok(());
            }
            Command::Help => {
                self.show_page(self.words.m_help, self.words.commands);
                return Ok(());
            }
            Command::Quit => {
                self.input.set("");
                self.act(Action::Quit);
                return Ok(());
            }
            Command::SignIn { .. } | Command::SignUp { .. } => {
                self.ask_account();
                return Ok(());
            }
            Command::List | Command::To(None) => {
                self.show_list();
                return Ok(());
            }
            Command::Plain(_) | Command::Wait(_) => return Ok(()),
        };
        self.ask(request);
        Ok(())
    }
}

fn edit(editor: &mut super::editor::Editor, code: KeyCode, control: bool) {
    match code {
        KeyCode::Char('u') if control => editor.delete_to_start(),
        KeyCode::Char('w') if control => editor.delete_word(),
        KeyCode::Char('a') if control => editor.home(),
        KeyCode::Char('e') if control => editor.end(),
        KeyCode::Backspace => editor.backspace(),
        KeyCode::Delete => editor.delete(),
        KeyCode::Left => editor.left(),
        KeyCode::Right => editor.right(),
        KeyCode::Home => editor.home(),
        KeyCode::End => editor.end(),
        KeyCode::Char(letter) if !control => editor.insert(letter.encode_utf8(&mut [0; 4])),
        _ => {}
    }
}
