//! What was said a moment ago, so that a receipt can show which words it is about.

use crate::show::clean;
use std::collections::VecDeque;

/// How many are remembered.
const REMEMBERED: usize = 1_000;
/// Letters that are shown of each.
const LETTERS: usize = 24;

/// The beginnings of what was said, by id.
#[derive(Default)]
pub struct Said(VecDeque<(u64, String)>);

impl Said {
    /// Notes a message.
    pub fn note(&mut self, id: u64, text: &str) {
        let text = clean(text);
        let mut start: String = text.chars().take(LETTERS).collect();
        if start.len() < text.len() {
            start.push('…');
        }
        self.0.push_back((id, start));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// How it begins; a message of an earlier run is not known.
    pub fn start(&self, id: u64) -> &str {
        self.0.iter().rev().find(|(of, _)| *of == id).map_or("an earlier message", |(_, start)| start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_remembered() {
        let mut said = Said::default();
        (0..=REMEMBERED as u64).for_each(|id| said.note(id, &format!("{id}\nis a number that is good for nothing")));
        assert_eq!((said.start(5), said.start(0)), ("5 / is a number that is …", "an earlier message"));
    }
}
