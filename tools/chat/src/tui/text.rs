//! Texts on a screen of cells: widths of Chinese letters and emoji, wrapping, cutting, times.

use crate::show;
use chrono::{DateTime, Local, NaiveDateTime, TimeZone, Utc};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text of exactly so many cells: cut with … or filled with blanks.
pub fn fit(text: &str, cells: usize) -> String {
    let mut text = cut(text, cells);
    text.extend(std::iter::repeat_n(' ', cells.saturating_sub(width(&text))));
    text
}

/// A text of at most so many cells.
pub fn cut(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for letter in text.graphemes(true) {
        if used + width(letter) + 1 > cells {
            break;
        }
        used += width(letter);
        out.push_str(letter);
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// Lines of at most so many cells: broken at blanks where there are any, and between Chinese letters.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(2);
    let mut lines = Vec::new();
    for paragraph in text.replace("\r\n", "\n").split('\n') {
        let (mut line, mut used) = (String::new(), 0);
        for word in show::clean(paragraph).split_word_bounds() {
            let blank = word.chars().all(char::is_whitespace);
            if used + width(word) <= cells {
                line.push_str(word);
                used += width(word);
                continue;
            }
            if blank {
                // It would only stand at the end.
                lines.push(std::mem::take(&mut line));
                used = 0;
                continue;
            }
            if width(word) <= cells {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                line.push_str(word);
                used = width(word);
                continue;
            }
            // Longer than a line: an address, or a script that has no blanks.
            for letter in word.graphemes(true) {
                if used + width(letter) > cells {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push_str(letter);
                used += width(letter);
            }
        }
        lines.push(line);
    }
    lines
}

/// The same for a line like "  key     what it does": what does not fit goes on under where the second part begins.
pub fn wrap_under(line: &str, cells: usize) -> Vec<String> {
    let key = line.trim_start();
    let gap = key.find("  ").map(|at| at + key[at..].len() - key[at..].trim_start().len());
    let indent = gap.map_or(0, |gap| width(&line[..line.len() - key.len() + gap]));
    if indent == 0 || indent * 2 > cells || width(line) <= cells {
        return wrap(line, cells);
    }
    let (head, rest) = line.split_at(line.len() - key.len() + gap.unwrap_or(0));
    let rest = wrap(rest, cells - indent);
    let under =
        |(at, part): (usize, String)| if at == 0 { format!("{head}{part}") } else { " ".repeat(indent) + &part };
    rest.into_iter().enumerate().map(under).collect()
}

/// Where a clock hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Here.
    Local,
    /// In tests.
    #[cfg(test)]
    Utc,
}

impl Zone {
    /// Milliseconds since 1970 UTC as the clock shows it.
    pub fn at(self, time: i64) -> NaiveDateTime {
        let utc: DateTime<Utc> = DateTime::from_timestamp_millis(time).unwrap_or_default();
        match self {
            Self::Local => Local.from_utc_datetime(&utc.naive_utc()).naive_local(),
            #[cfg(test)]
            Self::Utc => utc.naive_utc(),
        }
    }

    /// The hour and minute.
    pub fn minute(self, time: i64) -> String {
        self.at(time).format("%H:%M").to_string()
    }

    /// The day.
    pub fn day(self, time: i64) -> String {
        self.at(time).format("%Y-%m-%d").to_string()
    }
}

/// Bytes as people read them.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_they_may() {
        assert_eq!(wrap("hello big world", 9), ["hello big", "world"]);
        assert_eq!(wrap("你好世界吗", 4), ["你好", "世界", "吗"]);
        assert_eq!(wrap("a\nb\r\nc\x1b[2J", 9), ["a", "b", "c\u{fffd}[2J"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("好 abc", 4), ["好", "abc"]);
        assert_eq!(wrap("", 5), [""]);
        for line in wrap("Das ist 一个 gemischter 文本 mit 👍🏽 emoji https://example.org/a/very/long/path", 10)
        {
            assert!(width(&line) <= 10, "{line:?}");
        }
    }

    #[test]
    fn an_explanation_goes_on_under_itself() {
        assert_eq!(wrap_under("  F1  help for you", 13), ["  F1  help", "      for you"]);
        assert_eq!(wrap_under("  菜单  全部功能都在", 16), ["  菜单  全部功能", "        都在"]);
        assert_eq!(wrap_under("  much too long  a b", 12), ["  much too", "long  a b"]);
        assert_eq!(wrap_under("plain text", 5), ["plain", "text"]);
    }

    #[test]
    fn cells_are_counted_not_letters() {
        assert_eq!((fit("你好", 6), fit("你好吗", 5), fit("ab", 1)), ("你好  ".into(), "你好…".into(), "…".into()));
        assert_eq!(width(&fit("👍 ok", 9)), 9);
        assert_eq!((bytes(999), bytes(1_500_000)), ("999 B".into(), "1.5 MB".into()));
        assert_eq!(Zone::Utc.minute(61_000), "00:01");
    }
}
