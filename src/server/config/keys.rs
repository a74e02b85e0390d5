//! The keys of the configuration file: a row each, which says all that there is to say about it.

use super::{DEFAULT_FILTER, Settings};
use crate::server::logging;
use crate::shard::{Budgets, Rate, RegistrationMode};
use toml::de::DeValue;

/// One key.
pub struct Key {
    /// Its tables and its name.
    pub path: &'static str,
    /// What it means, as the beginning of a sentence.
    pub what: &'static str,
    /// What it can be.
    pub values: Values,
    /// Its default, as TOML.
    pub default: fn() -> String,
    /// Sets it; the error says what is wrong with the value.
    pub read: fn(&DeValue<'_>, &mut Settings) -> Result<(), String>,
}

/// What a key can be.
pub enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    /// Text that is described like this.
    Text(&'static str),
}

impl Key {
    /// What it can be, in words.
    pub fn range(&self) -> String {
        match &self.values {
            Values::Words(words) => {
                let (last, others) = words.split_last().expect("a choice has words");
                format!("{} or {last}", others.join(", "))
            }
            Values::Text(what) => (*what).to_owned(),
        }
    }
}

/// All keys, by table.
pub const KEYS: &[Key] = &[
    Key {
        path: "registration.mode",
        what: "Who may register",
        values: Values::Words(&["open", "invite", "approve", "closed"]),
        default: || text(word_of(RegistrationMode::default())),
        read: |value, settings| {
            settings.policy.registration = match value.as_str() {
                Some("open") => RegistrationMode::Open,
                Some("invite") => RegistrationMode::Invite,
                Some("approve") => RegistrationMode::Approve,
                Some("closed") => RegistrationMode::Closed,
                _ => return Err("there is no such mode".to_owned()),
            };
            Ok(())
        },
    },
    Key {
        path: "budgets.messages",
        what: "Messages of an account, one for each recipient, and offers of files",
        values: Values::Text(RATE),
        default: || text(Budgets::default().messages),
        read: |value, settings| {
            settings.policy.budgets.messages = rate(value)?;
            Ok(())
        },
    },
    Key {
        path: "budgets.writes",
        what: "Requests of an account that write",
        values: Values::Text(RATE),
        default: || text(Budgets::default().writes),
        read: |value, settings| {
            settings.policy.budgets.writes = rate(value)?;
            Ok(())
        },
    },
    Key {
        path: "budgets.reads",
        what: "Requests of an account that read",
        values: Values::Text(RATE),
        default: || text(Budgets::default().reads),
        read: |value, settings| {
            settings.policy.budgets.reads = rate(value)?;
            Ok(())
        },
    },
    Key {
        path: "budgets.file-bytes",
        what: "Bytes of the files that an account sends",
        values: Values::Text(RATE),
        default: || text(Budgets::default().file_bytes),
        read: |value, settings| {
            settings.policy.budgets.file_bytes = rate(value)?;
            Ok(())
        },
    },
    Key {
        path: "log.filter",
        what: "What to log to standard error",
        values: Values::Text("a level (error, warn, info, debug) or a filter such as oicq=debug"),
        default: || text(DEFAULT_FILTER),
        read: |value, settings| {
            let filter = value.as_str().ok_or("it is not text")?;
            logging::parse(filter)?;
            settings.log_filter = filter.to_owned();
            Ok(())
        },
    },
];

/// As the file and the command line call it.
pub fn word_of(mode: RegistrationMode) -> &'static str {
    match mode {
        RegistrationMode::Open => "open",
        RegistrationMode::Invite => "invite",
        RegistrationMode::Approve => "approve",
        RegistrationMode::Closed => "closed",
    }
}

/// What a rate is.
const RATE: &str = "so many a second and so many at once, such as 20/200, or unlimited";

fn rate(value: &DeValue<'_>) -> Result<Rate, String> {
    value.as_str().ok_or("it is not text")?.parse()
}

fn text(word: impl std::fmt::Display) -> String {
    format!("\"{word}\"")
}
