//! The input line: several lines of text, a cursor, and what was entered before.

use super::text;
use unicode_segmentation::UnicodeSegmentation;

/// How many entries are remembered.
const REMEMBERED: usize = 200;

/// A text that is being written.
#[derive(Debug, Clone, Default)]
pub struct Editor {
    text: String,
    /// A byte between two letters.
    cursor: usize,
    past: Vec<String>,
    /// Which of the past is shown, and what was being written instead.
    shown: Option<(usize, String)>,
}

impl Editor {
    /// With a text, the cursor behind it.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len(), ..Self::default() }
    }

    /// What stands there.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts another text there.
    pub fn set(&mut self, text: &str) {
        self.text = text.to_owned();
        self.cursor = text.len();
    }

    /// Takes the text out and remembers it.
    pub fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.cursor = 0;
        self.shown = None;
        if !text.is_empty() && self.past.last() != Some(&text) {
            self.past.push(text.clone());
            if self.past.len() > REMEMBERED {
                self.past.remove(0);
            }
        }
        text
    }

    /// Writes at the cursor. Control characters but line breaks have no place in a message.
    pub fn insert(&mut self, text: &str) {
        let text: String = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\t', "    ")
            .chars()
            .filter(|c| *c == '\n' || !c.is_control())
            .collect();
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    /// Deletes the letter before the cursor.
    pub fn backspace(&mut self) {
        let end = self.cursor;
        self.left();
        self.text.replace_range(self.cursor..end, "");
    }

    /// Deletes the letter behind the cursor.
    pub fn delete(&mut self) {
        let start = self.cursor;
        self.right();
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// Deletes the word before the cursor.
    pub fn delete_word(&mut self) {
        let before = &self.text[..self.cursor];
        let word = before.trim_end().split_word_bound_indices().next_back().map_or(0, |(at, _)| at);
        self.text.replace_range(word..self.cursor, "");
        self.cursor = word;
    }

    /// Deletes everything before the cursor on its line.
    pub fn delete_to_start(&mut self) {
        let start = self.line_start();
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// One letter to the left.
    pub fn left(&mut self) {
        self.cursor = self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at);
    }

    /// One letter to the right.
    pub fn right(&mut self) {
        self.cursor += self.text[self.cursor..].graphemes(true).next().map_or(0, str::len);
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    /// To the start of the line.
    pub fn home(&mut self) {
        self.cursor = self.line_start();
    }

    /// To the end of the line.
    pub fn end(&mut self) {
        self.cursor = self.line_end();
    }

    /// A line up; from the first line to what was entered before.
    pub fn up(&mut self) {
        let start = self.line_start();
        if start > 0 {
            let cells = text::width(&self.text[start..self.cursor]);
            self.cursor = start - 1;
            let above = self.line_start();
            self.cursor = above;
            self.forward(cells);
            return;
        }
        let at = self.shown.as_ref().map_or(self.past.len(), |(at, _)| *at);
        if at > 0 {
            let written = self.shown.take().map_or_else(|| self.text.clone(), |(_, written)| written);
            let past = self.past[at - 1].clone();
            self.set(&past);
            self.shown = Some((at - 1, written));
        }
    }

    /// A line down; from the last line back to what was being written.
    pub fn down(&mut self) {
        let end = self.line_end();
        if end < self.text.len() {
            let cells = text::width(&self.text[self.line_start()..self.cursor]);
            self.cursor = end + 1;
            self.forward(cells);
            return;
        }
        if let Some((at, written)) = self.shown.take() {
            match self.past.get(at + 1).cloned() {
                Some(later) => {
                    self.set(&later);
                    self.shown = Some((at + 1, written));
                }
                None => self.set(&written),
            }
        }
    }

    fn forward(&mut self, cells: usize) {
        let (start, end) = (self.cursor, self.line_end());
        while self.cursor < end && text::width(&self.text[start..self.cursor]) < cells {
            self.right();
        }
    }

    /// The lines as they stand in so many cells, and where the cursor is: column and row.
    pub fn lines(&self, cells: usize) -> (Vec<String>, (usize, usize)) {
        let cells = cells.max(2);
        let (mut lines, mut place) = (vec![String::new()], (0, 0));
        let mut used = 0;
        let mut at = 0;
        for letter in self.text.graphemes(true) {
            let wide = text::width(letter);
            if letter == "\n" || used + wide > cells {
                if at == self.cursor && letter == "\n" {
                    place = (used, lines.len() - 1);
                }
                lines.push(String::new());
                used = 0;
            }
            if letter != "\n" {
                if at == self.cursor {
                    place = (used, lines.len() - 1);
                }
                if let Some(line) = lines.last_mut() {
                    line.push_str(letter);
                }
                used += wide;
            }
            at += letter.len();
        }
        if self.cursor == at {
            if used >= cells {
                lines.push(String::new());
                used = 0;
            }
            place = (used, lines.len() - 1);
        }
        (lines, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_what_people_see() {
        let mut editor = Editor::default();
        editor.insert("a👍🏽\t你\x07");
        editor.backspace();
        editor.left();
        assert_eq!(editor.text(), "a👍🏽    ");
        (0..5).for_each(|_| editor.backspace());
        assert_eq!(editor.text(), " ");
        editor.delete();
        editor.insert("one two");
        editor.delete_word();
        assert_eq!(editor.text(), "one ");
        editor.delete_to_start();
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn the_past_comes_back_and_what_was_written_is_not_lost() {
        let mut editor = Editor::default();
        for text in ["one", "two", "two"] {
            editor.set(text);
            assert_eq!(editor.take(), text);
        }
        editor.insert("three");
        editor.up();
        editor.up();
        editor.up();
        assert_eq!(editor.text(), "one");
        editor.down();
        assert_eq!(editor.text(), "two");
        editor.down();
        assert_eq!(editor.text(), "three");
        editor.down();
        assert_eq!(editor.text(), "three");
    }

    #[test]
    fn the_cursor_stands_where_the_next_letter_goes() {
        let mut editor = Editor::new("你好ab\ncd");
        assert_eq!(editor.lines(4), (vec!["你好".into(), "ab".into(), "cd".into()], (2, 2)));
        editor.up();
        assert_eq!(editor.lines(4).1, (2, 0));
        editor.end();
        assert_eq!(editor.lines(9).1, (6, 0));
        editor.down();
        editor.home();
        assert_eq!(editor.lines(9).1, (0, 1));
        assert_eq!(Editor::new("abcd").lines(4).1, (0, 1), "a full line goes on below");
    }
}
