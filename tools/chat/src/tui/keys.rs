//! Keys, pasted text and the mouse.

use super::chat::PAGE;
use super::effect::Effect;
use super::model::{Areas, Focus, Model, Row};
use super::popup::{Action, Popup};
use super::view;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

/// Rows that a turn of the wheel scrolls.
const WHEEL: usize = 3;

impl Model {
    /// A key.
    pub fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.flash = None;
        let (control, alt) = (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
        if control && matches!(key.code, KeyCode::Char('q' | 'c')) {
            return self.act(Action::Quit);
        }
        if !self.popups.is_empty() {
            return self.popup_key(key, control);
        }
        match key.code {
            KeyCode::F(1) => self.act(Action::Help),
            KeyCode::F(2) => self.open_menu(),
            KeyCode::F(3) => self.act(Action::History),
            KeyCode::F(4) => self.act(Action::Notices),
            KeyCode::Char('n') if control => self.next_unread(),
            KeyCode::Char('r') if control => self.sign_in_again(),
            KeyCode::Up if alt => self.step(-1),
            KeyCode::Down if alt => self.step(1),
            KeyCode::PageUp => self.scroll_up(self.page()),
            KeyCode::PageDown => self.scroll_down(self.page()),
            KeyCode::Home if control => self.first(),
            KeyCode::End if control => self.last(),
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = if self.focus == Focus::List && self.chat.is_some() { Focus::Input } else { Focus::List };
                self.measure();
            }
            _ if self.focus == Focus::List => self.list_key(key, control),
            _ => self.input_key(key, control, alt),
        }
    }

    fn list_key(&mut self, key: KeyEvent, control: bool) {
        match key.code {
            KeyCode::Up => self.choose(-1),
            KeyCode::Down => self.choose(1),
            KeyCode::Home => self.chosen = self.people().first().copied(),
            KeyCode::End => self.chosen = self.people().last().copied(),
            KeyCode::Enter => {
                let people = self.people();
                if let Some(peer) = self.chosen.filter(|chosen| people.contains(chosen)).or(people.first().copied()) {
                    self.filter.set("");
                    self.open(peer);
                }
            }
            KeyCode::Esc if self.filter.text().is_empty() && self.chat.is_some() => {
                self.focus = Focus::Input;
                self.measure();
            }
            KeyCode::Esc => self.filter.set(""),
            KeyCode::Char('u') if control => self.filter.set(""),
            KeyCode::Backspace => {
                self.filter.backspace();
                self.choose_first();
            }
            KeyCode::Char(letter) if !control => {
                self.filter.insert(letter.encode_utf8(&mut [0; 4]));
                self.choose_first();
            }
            _ => {}
        }
    }

    fn choose_first(&mut self) {
        let people = self.people();
        if !self.chosen.is_some_and(|chosen| people.contains(&chosen)) {
            self.chosen = people.first().copied();
        }
    }

    /// Moves the mark in the list.
    fn choose(&mut self, by: isize) {
        let people = self.people();
        let at = self.chosen.and_then(|chosen| people.iter().position(|number| *number == chosen));
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(people.len().saturating_sub(1)));
        self.chosen = people.get(next).copied().or(self.chosen);
    }

    /// Opens the conversation before or after the open one.
    fn step(&mut self, by: isize) {
        self.choose(by);
        if let Some(peer) = self.chosen
            && self.chat.as_ref().is_none_or(|chat| chat.peer != peer)
        {
            self.open(peer);
        }
    }

    fn next_unread(&mut self) {
        let next = self.people().into_iter().find(|number| self.unread.contains_key(number));
        if let Some(peer) = next {
            self.open(peer);
        }
    }

    fn input_key(&mut self, key: KeyEvent, control: bool, alt: bool) {
        let input = &mut self.input;
        match key.code {
            KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => input.insert("\n"),
            KeyCode::Enter => self.send(),
            KeyCode::Char('j') if control => input.insert("\n"),
            KeyCode::Char('w') if control => input.delete_word(),
            KeyCode::Char('u') if control => input.delete_to_start(),
            KeyCode::Char('a') if control => input.home(),
            KeyCode::Char('e') if control => input.end(),
            KeyCode::Backspace if control || alt => input.delete_word(),
            KeyCode::Backspace => input.backspace(),
            KeyCode::Delete => input.delete(),
            KeyCode::Left => input.left(),
            KeyCode::Right => input.right(),
            KeyCode::Home => input.home(),
            KeyCode::End => input.end(),
            KeyCode::Up => input.up(),
            KeyCode::Down => input.down(),
            KeyCode::Esc => {
                self.last();
                self.focus = Focus::List;
            }
            KeyCode::Char(letter) if !control => input.insert(letter.encode_utf8(&mut [0; 4])),
            _ => {}
        }
        self.hold_scroll();
    }

    /// Says what stands in the input line, or does it.
    fn send(&mut self) {
        let text = self.input.text().to_owned();
        if text.trim().is_empty() {
            return;
        }
        if let Some(command) = text.strip_prefix('/').filter(|rest| !rest.starts_with('/')) {
            match self.command(command) {
                Ok(()) => drop(self.input.take()),
                Err(error) => self.flash = Some(error),
            }
            return;
        }
        let Some(to) = self.chat.as_ref().map(|chat| chat.peer) else {
            self.flash = Some(self.words.open_first.to_owned());
            return;
        };
        if self.chat.as_ref().is_some_and(|chat| !chat.at_end) {
            self.last();
        }
        let text = self.input.take();
        let text = text.strip_prefix("//").map_or(text.clone(), |rest| format!("/{rest}"));
        if let Some(chat) = &mut self.chat {
            chat.scroll = 0;
        }
        self.drafts.remove(&to);
        self.effects.push(Effect::Say { to, text });
        self.effects.push(Effect::Draft { to, text: String::new() });
    }

    /// Text from the clipboard goes where keys go.
    pub fn paste(&mut self, text: &str) {
        match (self.popups.last_mut(), self.focus) {
            (Some(Popup::Form(form)), _) => form.editor.insert(&text.replace(['\n', '\r'], " ")),
            (Some(Popup::Search(search)), _) => {
                search.editor.insert(&text.replace(['\n', '\r'], " "));
                self.effects.push(Effect::Search(search.editor.text().to_owned()));
            }
            (Some(_), _) => {}
            (None, Focus::Input) => self.input.insert(text),
            (None, Focus::List) => {
                self.filter.insert(text.lines().next().unwrap_or_default());
                self.choose_first();
            }
        }
        self.hold_scroll();
    }

    fn page(&self) -> usize {
        usize::from(self.areas().talk.height.saturating_sub(1)).max(1)
    }

    fn scroll_up(&mut self, by: usize) {
        let height = usize::from(self.areas().talk.height);
        let Some(chat) = &mut self.chat else { return };
        let most = chat.rows().saturating_sub(height);
        chat.scroll = (chat.scroll + by).min(most);
        // What is older is read before it is in sight.
        if chat.scroll + 2 * height >= most && !chat.at_start && !chat.loading {
            chat.loading = true;
            let (peer, before) = (chat.peer, chat.span().map_or(i64::MAX, |(first, _)| first));
            self.effects.push(Effect::Older { peer, before });
        }
    }

    fn scroll_down(&mut self, by: usize) {
        let Some(chat) = &mut self.chat else { return };
        chat.scroll = chat.scroll.saturating_sub(by);
        if chat.scroll < PAGE && !chat.at_end && !chat.loading {
            chat.loading = true;
            let (peer, after) = (chat.peer, chat.span().map_or(0, |(_, last)| last));
            self.effects.push(Effect::Newer { peer, after });
        }
    }

    fn first(&mut self) {
        if let Some(chat) = &self.chat {
            self.effects.push(Effect::Around { peer: chat.peer, row: 0 });
        }
    }

    fn last(&mut self) {
        if let Some(chat) = &mut self.chat {
            chat.scroll = 0;
            if !chat.at_end {
                let (peer, draft) = (chat.peer, self.input.text().to_owned());
                self.drafts.insert(peer, draft);
                self.effects.push(Effect::Open(peer));
            }
        }
    }

    /// The mouse: what a click or the wheel means where it is.
    pub fn mouse(&mut self, mouse: MouseEvent) {
        let at = Position::new(mouse.column, mouse.row);
        let areas = self.areas();
        match mouse.kind {
            MouseEventKind::ScrollUp if !self.popups.is_empty() => self.popup_move(-1),
            MouseEventKind::ScrollDown if !self.popups.is_empty() => self.popup_move(1),
            MouseEventKind::ScrollUp if areas.list.is_some_and(|list| list.contains(at)) => self.choose(-1),
            MouseEventKind::ScrollDown if areas.list.is_some_and(|list| list.contains(at)) => self.choose(1),
            MouseEventKind::ScrollUp => self.scroll_up(WHEEL),
            MouseEventKind::ScrollDown => self.scroll_down(WHEEL),
            MouseEventKind::Down(MouseButton::Left) => {
                // What lies over the hints is taken away first.
                let covered = self.trouble.is_some() || self.flash.take().is_some();
                self.click(at, areas, covered);
            }
            _ => {}
        }
    }

    fn click(&mut self, at: Position, areas: Areas, covered: bool) {
        if areas.keys.contains(at) {
            if !covered {
                self.click_keys(at);
            }
            return;
        }
        if !self.popups.is_empty() {
            if let Some(row) = view::popup_row(self, at) {
                self.popup_choose(row);
            }
            return;
        }
        if areas.input.contains(at) && self.chat.is_some() {
            self.focus = Focus::Input;
            return self.measure();
        }
        let Some(list) = areas.list.filter(|list| list.contains(at)) else { return };
        let body = view::list_body(list);
        if !body.contains(at) {
            self.focus = Focus::List;
            return;
        }
        let row = self.list_top(usize::from(body.height)) + usize::from(at.y - body.y);
        if let Some(Row::Person(number)) = self.rows().get(row) {
            self.open(*number);
        }
    }

    /// A click on a hint in the last row is the key that it names.
    fn click_keys(&mut self, at: Position) {
        let mut column = 0;
        let hint = view::hints(self).split("  ").find(|hint| {
            let from = column;
            column += super::text::width(hint) + 2;
            (from..column).contains(&usize::from(at.x))
        });
        let name = hint.and_then(|hint| hint.split(' ').next()).unwrap_or_default();
        let (code, modifiers) = match name {
            "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
            "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
            "Enter" | "回车" => (KeyCode::Enter, KeyModifiers::NONE),
            name => match (name.strip_prefix('F'), name.strip_prefix('^')) {
                (Some(number), _) => (KeyCode::F(number.parse().unwrap_or_default()), KeyModifiers::NONE),
                (_, Some(letter)) => {
                    let letter = letter.chars().next().unwrap_or_default();
                    (KeyCode::Char(letter.to_ascii_lowercase()), KeyModifiers::CONTROL)
                }
                _ if name.len() == 1 => (KeyCode::Char(name.chars().next().unwrap_or_default()), KeyModifiers::NONE),
                _ => return,
            },
        };
        self.key(KeyEvent::new(code, modifiers));
    }
}
