//! An open conversation: the messages that are loaded, how many rows each takes, and which of them are in sight.

use super::model::Model;
use super::text::{self, wrap};
use crate::history::{Entry, State};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use std::collections::VecDeque;

/// Messages that are loaded at a time.
pub const PAGE: usize = 200;

/// An open conversation.
#[derive(Debug, Clone, Default)]
pub struct Chat {
    pub peer: u32,
    pub entries: VecDeque<Entry>,
    /// Rows that each takes in the present width.
    heights: VecDeque<u16>,
    width: usize,
    /// Rows below the last one in sight.
    pub scroll: usize,
    /// Whether there is nothing older, and nothing newer, than what is loaded.
    pub at_start: bool,
    pub at_end: bool,
    /// Whether more is being read already.
    pub loading: bool,
}

impl Chat {
    /// With nothing loaded yet.
    pub fn new(peer: u32) -> Self {
        Self { peer, at_end: true, ..Self::default() }
    }

    /// Rows in all that is loaded.
    pub fn rows(&self) -> usize {
        self.heights.iter().map(|height| usize::from(*height)).sum()
    }

    /// The first row that is loaded, and the last.
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.entries.front()?.row, self.entries.back()?.row))
    }
}

impl Model {
    /// Counts anew how many rows each message takes.
    pub fn measure(&mut self) {
        let Some(mut chat) = self.chat.take() else { return };
        let width = self.talk_width();
        chat.width = width;
        chat.heights = (0..chat.entries.len()).map(|at| self.height(&chat, at)).collect();
        self.chat = Some(chat);
        self.hold_scroll();
    }

    /// The scroll must not go past what is loaded.
    pub fn hold_scroll(&mut self) {
        let height = usize::from(self.areas().talk.height);
        if let Some(chat) = &mut self.chat {
            chat.scroll = chat.scroll.min(chat.rows().saturating_sub(height));
        }
    }

    fn height(&self, chat: &Chat, at: usize) -> u16 {
        u16::try_from(self.lines_of(chat, at).len()).unwrap_or(u16::MAX)
    }

    /// Puts older messages before those that are loaded; what is in sight stays where it is.
    pub fn older(&mut self, entries: Vec<Entry>) {
        let Some(mut chat) = self.chat.take() else { return };
        chat.at_start = entries.len() < PAGE;
        let count = entries.len();
        for entry in entries.into_iter().rev() {
            chat.entries.push_front(entry);
        }
        // The day above the first one may be told already.
        if !chat.heights.is_empty() {
            chat.heights.pop_front();
        }
        for at in (0..(count + 1).min(chat.entries.len())).rev() {
            let height = self.height(&chat, at);
            chat.heights.push_front(height);
        }
        chat.heights.truncate(chat.entries.len());
        self.chat = Some(chat);
    }

    /// Puts newer messages behind those that are loaded. Where the last one was in sight, it is so again.
    pub fn newer(&mut self, entries: Vec<Entry>) {
        let Some(mut chat) = self.chat.take() else { return };
        let last = chat.entries.back().map_or(0, |entry| entry.row);
        let mut added = 0;
        for entry in entries.into_iter().filter(|entry| entry.row > last) {
            chat.entries.push_back(entry);
            let height = self.height(&chat, chat.entries.len() - 1);
            chat.heights.push_back(height);
            added += usize::from(height);
        }
        if chat.scroll > 0 {
            chat.scroll += added;
        }
        self.chat = Some(chat);
    }

    /// A message's receipt; tells whether the message is loaded.
    pub fn receipt(&mut self, id: u64, state: State) -> bool {
        let Some(mut chat) = self.chat.take() else { return false };
        let known = chat.entries.iter().rposition(|entry| entry.mine && entry.id == id);
        if let Some(at) = known {
            let is_final = matches!(chat.entries[at].state, State::Delivered | State::Refused(_));
            if !is_final {
                chat.entries[at].state = state;
                chat.heights[at] = self.height(&chat, at);
            }
        }
        self.chat = Some(chat);
        known.is_some()
    }

    /// A message as lines: the day if it is another than that of the one before, then the words beside time and name.
    pub fn lines_of(&self, chat: &Chat, at: usize) -> Vec<Line<'static>> {
        let entry = &chat.entries[at];
        let width = self.talk_width().max(20);
        let day = self.zone.day(entry.time);
        let before = at.checked_sub(1).map(|before| self.zone.day(chat.entries[before].time));
        let mut lines = Vec::new();
        let dim = Style::new().fg(Color::DarkGray);
        if before.as_ref() != Some(&day) {
            lines.push(Line::styled(format!("── {day} ──"), dim));
        }
        let (name, style) = match entry.mine {
            true => (self.words.me.to_owned(), Style::new().fg(Color::Green)),
            false => (self.name(entry.peer), Style::new().fg(Color::Cyan)),
        };
        let name = text::cut(&name, 12.min(width / 3));
        let indent = 6 + text::width(&name) + 1;
        let (mark, mark_style) = mark(entry.state);
        let room = width.saturating_sub(indent + text::width(mark) + usize::from(!mark.is_empty())).max(4);
        let words = wrap(&entry.text, room);
        let last = words.len() - 1;
        for (row, words) in words.into_iter().enumerate() {
            let mut spans = match row {
                0 => vec![
                    Span::styled(format!("{} ", self.zone.minute(entry.time)), dim),
                    Span::styled(format!("{name} "), style.add_modifier(Modifier::BOLD)),
                ],
                _ => vec![Span::raw(" ".repeat(indent))],
            };
            spans.push(Span::raw(words));
            if row == last && !mark.is_empty() {
                spans.push(Span::styled(format!(" {mark}"), mark_style));
            }
            lines.push(Line::from(spans));
        }
        if let State::Refused(code) = entry.state {
            let why = super::lang::fill(self.words.refused, &[self.words.reason(code)]);
            lines.push(Line::styled(format!("{}{why}", " ".repeat(indent)), Style::new().fg(Color::Red)));
        }
        lines
    }

    /// The rows that are in sight, the first one first.
    pub fn in_sight(&self, height: usize) -> Vec<Line<'static>> {
        let Some(chat) = &self.chat else { return Vec::new() };
        let mut below = 0;
        let mut lines: VecDeque<Line<'static>> = VecDeque::new();
        for at in (0..chat.entries.len()).rev() {
            let rows = usize::from(chat.heights[at]);
            if below + rows <= chat.scroll {
                below += rows;
                continue;
            }
            if below >= chat.scroll + height {
                break;
            }
            for line in self.lines_of(chat, at).into_iter().rev() {
                if (chat.scroll..chat.scroll + height).contains(&below) {
                    lines.push_front(line);
                }
                below += 1;
            }
        }
        lines.into()
    }
}

fn mark(state: State) -> (&'static str, Style) {
    match state {
        State::Waiting => ("…", Style::new().fg(Color::DarkGray)),
        State::Stored | State::Taken => ("✓", Style::new().fg(Color::DarkGray)),
        State::Delivered => ("✓✓", Style::new().fg(Color::Green)),
        State::Refused(_) => ("✗", Style::new().fg(Color::Red)),
        State::Unread | State::Read => ("", Style::new()),
    }
}
