//! The configuration file (`--config FILE`): what can be set while the server runs.
//!
//! Every key is one row of [`keys::KEYS`], with its default, unit and range, from which the file is read, checked and
//! printed. A file is taken whole or not at all, and what is wrong in it is told in one line.

mod keys;

use super::Fatal;
use crate::shard::Policy;
use keys::{KEYS, Key};
use std::fs;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the file says, or the defaults where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// For the rules.
    pub policy: Policy,
    /// What to log; `--log` goes before it.
    pub log_filter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { policy: Policy::default(), log_filter: DEFAULT_FILTER.to_owned() }
    }
}

/// What is logged unless the operator says otherwise.
pub const DEFAULT_FILTER: &str = "warn";

/// Largest file that is read: the longest sensible one has a few kilobytes.
const MOST_BYTES: u64 = 1 << 20;

/// Reads a file. The error is one line that says where in it what is wrong, and what would be right.
pub fn read(path: &Path) -> Result<Settings, Fatal> {
    let failed = |error: std::io::Error| Fatal(format!("cannot read the configuration {}: {error}", path.display()));
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MOST_BYTES {
        return Err(Fatal(format!("{} is no configuration: it has {size} bytes", path.display())));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    parse(&text).map_err(|wrong| Fatal(format!("{}:{wrong}", path.display())))
}

/// What a file with this text says; otherwise the line, and what is wrong in it.
fn parse(text: &str) -> Result<Settings, String> {
    let at = |offset: usize, what: &str| {
        let line = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        format!("{line}: {}", what.replace('\n', " "))
    };
    let table = DeTable::parse(text).map_err(|error| {
        at(error.span().map_or(0, |span| span.start), &format!("this is no TOML: {}", error.message()))
    })?;
    let mut settings = Settings::default();
    read_table(table.get_ref(), "", &mut settings).map_err(|(offset, what)| at(offset, &what))?;
    Ok(settings)
}

/// Reads a table; an error has the place in the file.
fn read_table(table: &DeTable<'_>, path: &str, settings: &mut Settings) -> Result<(), (usize, String)> {
    for (name, value) in table {
        let full = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
        read_entry(&full, value, settings).map_err(|(offset, what)| (offset.unwrap_or(name.span().start), what))?;
    }
    Ok(())
}

/// Reads one entry; an error has its place in the file if that is not the entry's name.
fn read_entry(
    path: &str,
    value: &Spanned<DeValue<'_>>,
    settings: &mut Settings,
) -> Result<(), (Option<usize>, String)> {
    if let Some(key) = KEYS.iter().find(|key| key.path == path) {
        let wrong = |why: String| (Some(value.span().start), format!("{path}: {why}; it is {}", key.range()));
        return (key.read)(value.get_ref(), settings).map_err(wrong);
    }
    let inside = format!("{path}.");
    match value.get_ref().as_table() {
        Some(table) if KEYS.iter().any(|key| key.path.starts_with(&inside)) => {
            read_table(table, path, settings).map_err(|(offset, what)| (Some(offset), what))
        }
        None if KEYS.iter().any(|key| key.path.starts_with(&inside)) => {
            Err((None, format!("{path} is a table: write [{path}] and its keys below")))
        }
        _ => Err((None, format!("there is no key {path}{}", nearest(path)))),
    }
}

/// What may have been meant.
fn nearest(path: &str) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let close = KEYS.iter().map(|key| (distance(&last(path), &last(key.path)), key.path)).min();
    match close {
        Some((distance, key)) if distance <= 3 => format!("; there is {key}"),
        _ => format!("; the keys are {}", KEYS.iter().map(|key| key.path).collect::<Vec<_>>().join(", ")),
    }
}

/// How many letters must be put in, taken out or changed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (nth, there) in other.iter().enumerate() {
            let change = corner + usize::from(*there != char);
            corner = row[nth + 1];
            row[nth + 1] = change.min(corner + 1).min(row[nth] + 1);
        }
    }
    row[other.len()]
}

/// A file with every key, what it means, and its default: what the server does without a file.
pub fn defaults() -> String {
    let mut text = String::from("# The configuration of oicqd: every key with its default. SIGHUP reads it again.\n");
    let mut section = "";
    for Key { path, what, .. } in KEYS {
        let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
        if table != section {
            section = table;
            text.push_str(&format!("\n[{table}]\n"));
        }
        let key = KEYS.iter().find(|key| key.path == *path).expect("it is one of them");
        text.push_str(&format!("# {what}: {}.\n{name} = {}\n", key.range(), (key.default)()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::RegistrationMode;

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        assert_eq!(parse(&defaults()), Ok(Settings::default()));
        assert_eq!(parse(""), Ok(Settings::default()));
    }

    #[test]
    fn every_key_is_in_the_manual() {
        let manual = include_str!("../../../docs/operating.md");
        for key in KEYS {
            let row = format!("| `{}` | `{}` |", key.path, (key.default)());
            assert!(manual.contains(&row), "docs/operating.md lacks a row that begins {row}");
        }
    }

    #[test]
    fn what_a_file_says_is_taken() {
        let settings = parse("[registration]\nmode = \"invite\"\n[log]\nfilter = \"oicq=debug\"\n").expect("good");
        assert_eq!(settings.policy.registration, RegistrationMode::Invite);
        assert_eq!(settings.log_filter, "oicq=debug");
        let dotted = parse("registration.mode = \"closed\"").expect("good");
        assert_eq!(dotted.policy.registration, RegistrationMode::Closed);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, words) in [
            ("[registration]\nmode = \"opened\"\n", ["2:", "open, invite, approve or closed"]),
            ("[registration]\nmode = 1\n", ["2:", "open, invite, approve or closed"]),
            ("\n\n[registratoin]\nmode = \"open\"\n", ["3:", "no key registratoin"]),
            ("[registration]\n\nmood = \"open\"\n", ["3:", "there is registration.mode"]),
            ("registration = \"open\"\n", ["1:", "[registration]"]),
            ("[log]\nfilter = \"a=b=c\"\n", ["2:", "log.filter"]),
            ("[log]\nfilter = \n", ["2:", "TOML"]),
            ("[log]\nfilter = \"warn\"\nfilter = \"info\"\n", ["3:", "TOML"]),
            ("\u{0}", ["1:", "TOML"]),
        ] {
            let wrong = parse(text).expect_err(text);
            assert!(words.iter().all(|word| wrong.contains(word)) && wrong.lines().count() == 1, "{text:?}: {wrong}");
        }
    }

    #[test]
    fn letters_apart() {
        for (one, other, apart) in [("", "abc", 3), ("mode", "mood", 2), ("mode", "mode", 0), ("ab", "ba", 2)] {
            assert_eq!(distance(one, other), apart, "{one} {other}");
        }
    }
}
