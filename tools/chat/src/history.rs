//! What was said, kept in SQLite: pages of a conversation, full-text search, and what has no receipt yet.
//!
//! A message is written before it counts as taken, and (me, peer, direction, id) is unique: so none is lost by a crash,
//! and none is shown twice. Words of three letters and more are found by an index of trigrams, which knows nothing of
//! blanks and so finds Chinese; shorter ones by reading.

use crate::keep;
use oicq::client::{ReceiptState, Recipient, Unsent};
use rusqlite::{Connection, Error, ErrorCode, OptionalExtension, Row, named_params, params};
use std::path::Path;
use std::time::Duration;

/// How long another program may hold the file.
const BUSY: Duration = Duration::from_secs(5);
/// Letters from which on the index is of use.
const TRIGRAM: usize = 3;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages(
        id INTEGER PRIMARY KEY, me INTEGER NOT NULL, peer INTEGER NOT NULL, mine INTEGER NOT NULL, message INTEGER,
        via INTEGER, time INTEGER NOT NULL, text TEXT NOT NULL, state INTEGER NOT NULL, reason INTEGER NOT NULL DEFAULT 0,
        UNIQUE(me, peer, mine, message));
    CREATE INDEX IF NOT EXISTS conversations ON messages(me, peer, id);
    CREATE INDEX IF NOT EXISTS unread ON messages(me, peer) WHERE state = 5;
    CREATE INDEX IF NOT EXISTS waiting ON messages(me, message) WHERE state = 0;
    CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='messages', content_rowid='id', tokenize='trigram');
    CREATE TRIGGER IF NOT EXISTS index_words AFTER INSERT ON messages BEGIN
        INSERT INTO words(rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER IF NOT EXISTS forget_words AFTER DELETE ON messages BEGIN
        INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TABLE IF NOT EXISTS kept(me INTEGER, name TEXT, value TEXT NOT NULL, PRIMARY KEY(me, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS names(number INTEGER PRIMARY KEY, nickname TEXT NOT NULL);";

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Ours, without a receipt.
    Waiting,
    /// Ours, in the other one's mailbox.
    Stored,
    /// Ours, and the other one's program has it.
    Delivered,
    /// Ours, refused, with the notice code.
    Refused(u8),
    /// Ours, a broadcast that the server has taken; nobody told more.
    Taken,
    /// Theirs, not looked at yet.
    Unread,
    /// Theirs.
    Read,
}

impl State {
    fn codes(self) -> (u8, u8) {
        match self {
            Self::Waiting => (0, 0),
            Self::Stored => (1, 0),
            Self::Delivered => (2, 0),
            Self::Refused(code) => (3, code),
            Self::Taken => (4, 0),
            Self::Unread => (5, 0),
            Self::Read => (6, 0),
        }
    }

    fn from_codes(code: u8, reason: u8) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Stored,
            2 => Self::Delivered,
            3 => Self::Refused(reason),
            4 => Self::Taken,
            5 => Self::Unread,
            _ => Self::Read,
        }
    }
}

impl From<ReceiptState> for State {
    fn from(state: ReceiptState) -> Self {
        match state {
            ReceiptState::Sending => Self::Waiting,
            ReceiptState::Stored => Self::Stored,
            ReceiptState::Delivered => Self::Delivered,
            ReceiptState::Refused { code } => Self::Refused(code),
        }
    }
}

/// A message as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place: rises with time.
    pub row: i64,
    /// The other side.
    pub peer: u32,
    /// Whether we said it.
    pub mine: bool,
    /// The sender's id of it; 0 for one without.
    pub id: u64,
    /// When, in milliseconds since 1970 UTC.
    pub time: i64,
    /// What.
    pub text: String,
    /// What is known of it.
    pub state: State,
}

/// A message that has come.
pub struct Arrived<'a> {
    /// Whose.
    pub from: u32,
    /// The sender's id; 0 for none.
    pub id: u64,
    /// When, in milliseconds since 1970 UTC.
    pub time: i64,
    /// What.
    pub text: &'a str,
}

/// A message to be kept before it is sent.
pub struct Said<'a> {
    /// To whom.
    pub to: &'a [u32],
    /// The group, if it goes to a whole one.
    pub via: Option<u8>,
    /// Its id.
    pub id: u64,
    /// When, in milliseconds since 1970 UTC.
    pub time: i64,
    /// What.
    pub text: &'a str,
}

/// The history of all accounts at one server.
pub struct History(Connection);

impl History {
    /// Opens it, and makes it if there is none: readable by its owner alone.
    pub fn open(path: &Path) -> Result<Self, String> {
        let said = |error: Error| format!("the history {} cannot be opened: {}", path.display(), words(&error));
        if !path.exists() {
            let made =
                keep::make_directory(path.parent().unwrap_or(Path::new("."))).and_then(|()| keep::open_private(path));
            // Another program of this user may have made it a moment ago.
            made.map_err(|error| format!("the history {} cannot be made: {error}", path.display()))?;
        }
        let db = Connection::open(path).map_err(said)?;
        let prepared = db.busy_timeout(BUSY).and_then(|()| {
            // What the server is told to be received must not be lost by a power cut either.
            db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8000;")?;
            db.set_prepared_statement_cache_capacity(32);
            let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version == 0 {
                db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = 1; COMMIT;"))?;
            }
            Ok(())
        });
        prepared.map_err(said)?;
        Ok(Self(db))
    }

    /// Keeps messages that have come, all of them or none; tells for each whether it is new.
    pub fn arrived(&mut self, me: u32, messages: &[Arrived<'_>]) -> Result<Vec<bool>, String> {
        let keep = |db: &mut Connection| {
            let transaction = db.transaction()?;
            let mut new = Vec::new();
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR IGNORE INTO messages(me, peer, mine, message, time, text, state)
                     VALUES (?1, ?2, 0, ?3, ?4, ?5, 5)",
                )?;
                for message in messages {
                    let id = (message.id > 0).then_some(message.id as i64);
                    new.push(insert.execute(params![me, message.from, id, message.time, message.text])? > 0);
                }
            }
            transaction.commit()?;
            Ok(new)
        };
        keep(&mut self.0).map_err(|error| not_written(&error))
    }

    /// Keeps a message of ours that is about to be sent.
    pub fn said(&mut self, me: u32, said: &Said<'_>) -> Result<(), String> {
        let keep = |db: &mut Connection| {
            let transaction = db.transaction()?;
            for to in said.to {
                transaction
                    .prepare_cached(
                        "INSERT INTO messages(me, peer, mine, message, via, time, text, state)
                         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, 0)",
                    )?
                    .execute(params![me, to, said.id as i64, said.via, said.time, said.text])?;
            }
            transaction.commit()
        };
        keep(&mut self.0).map_err(|error| not_written(&error))
    }

    /// Forgets a message of ours that could not be sent at all.
    pub fn unsay(&mut self, me: u32, id: u64) {
        // If it cannot be forgotten, it is sent with the next start.
        let _ =
            self.0.execute("DELETE FROM messages WHERE me = ?1 AND mine = 1 AND message = ?2", params![me, id as i64]);
    }

    /// Keeps what has become of a message. What is final stays.
    pub fn receipt(&mut self, me: u32, to: u32, id: u64, state: State) -> Result<(), String> {
        let (code, reason) = state.codes();
        let update = "UPDATE messages SET state = ?4, reason = ?5
             WHERE me = ?1 AND peer = ?2 AND mine = 1 AND message = ?3 AND state < 2";
        let done = self
            .0
            .prepare_cached(update)
            .and_then(|mut update| update.execute(params![me, to, id as i64, code, reason]));
        done.map(drop).map_err(|error| not_written(&error))
    }

    /// Our messages without a receipt, in order; of a broadcast that some have answered, the whole.
    pub fn waiting(&self, me: u32) -> Result<Vec<Unsent>, String> {
        let read = || {
            let mut query = self.0.prepare_cached(
                "SELECT message, peer, via, text FROM messages WHERE me = ?1 AND state = 0 GROUP BY message ORDER BY message",
            )?;
            let rows = query.query_map([me], |row| {
                let to = match row.get::<_, Option<u8>>(2)? {
                    Some(group) => Recipient::Group(group),
                    None => Recipient::User(row.get(1)?),
                };
                Ok(Unsent { id: row.get::<_, i64>(0)? as u64, from: me, to, text: row.get(3)? })
            })?;
            rows.collect::<Result<Vec<_>, Error>>()
        };
        read().map_err(|error| not_read(&error))
    }

    /// Broadcasts that wait though the library has let go of them are with the server: it tells no more.
    pub fn settle(&mut self, me: u32, still_held: &[u64]) {
        let Ok(waiting) = self.waiting(me) else { return };
        for unsent in waiting.iter().filter(|unsent| matches!(unsent.to, Recipient::Group(_))) {
            if !still_held.contains(&unsent.id) {
                let settle = "UPDATE messages SET state = 4 WHERE me = ?1 AND message = ?2 AND mine = 1 AND state = 0";
                // It is asked again the next time.
                let _ = self.0.execute(settle, params![me, unsent.id as i64]);
            }
        }
    }

    /// How a message of ours begins, for a line about its receipt.
    pub fn text_of(&self, me: u32, to: u32, id: u64) -> Option<String> {
        let select = "SELECT text FROM messages WHERE me = ?1 AND peer = ?2 AND mine = 1 AND message = ?3";
        self.0.query_row(select, params![me, to, id as i64], |row| row.get(0)).optional().ok().flatten()
    }

    /// The last messages with `peer` before a row, the oldest first.
    pub fn page(&self, me: u32, peer: u32, before: i64, most: usize) -> Result<Vec<Entry>, String> {
        let read = || {
            let mut query = self.0.prepare_cached(
                "SELECT id, peer, mine, message, time, text, state, reason FROM messages
                 WHERE me = ?1 AND peer = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
            )?;
            let rows = query.query_map(params![me, peer, before, most as i64], entry)?;
            let mut entries = rows.collect::<Result<Vec<_>, Error>>()?;
            entries.reverse();
            Ok(entries)
        };
        read().map_err(|error| not_read(&error))
    }

    /// The first messages with `peer` behind a row.
    pub fn after(&self, me: u32, peer: u32, after: i64, most: usize) -> Result<Vec<Entry>, String> {
        let read = || {
            let mut query = self.0.prepare_cached(
                "SELECT id, peer, mine, message, time, text, state, reason FROM messages
                 WHERE me = ?1 AND peer = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            )?;
            let rows = query.query_map(params![me, peer, after, most as i64], entry)?;
            rows.collect::<Result<Vec<_>, Error>>()
        };
        read().map_err(|error| not_read(&error))
    }

    /// Everything with `peer`, or everything, in order.
    pub fn all(&self, me: u32, peer: Option<u32>, mut each: impl FnMut(Entry)) -> Result<(), String> {
        let mut read = || {
            let mut query = self.0.prepare(
                "SELECT id, peer, mine, message, time, text, state, reason FROM messages
                 WHERE me = :me AND (:peer IS NULL OR peer = :peer) ORDER BY id",
            )?;
            let mut rows = query.query_map(named_params! {":me": me, ":peer": peer}, entry)?;
            rows.try_for_each(|row| row.map(&mut each))
        };
        read().map_err(|error| not_read(&error))
    }

    /// Messages that contain these words, each as it stands; the newest first.
    pub fn find(&self, me: u32, words: &str, most: usize) -> Result<Vec<Entry>, String> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let long: Vec<String> = words
            .iter()
            .filter(|word| word.chars().count() >= TRIGRAM)
            .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
            .collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut conditions = vec!["me = :me".to_owned()];
        // Both go from the newest to the oldest and stop when there are enough.
        let (table, order) = if long.is_empty() {
            conditions.push(":long = ''".into());
            ("messages NOT INDEXED", "messages.id")
        } else {
            conditions.push("words MATCH :long".into());
            ("words CROSS JOIN messages ON messages.id = words.rowid", "words.rowid")
        };
        // Short words cannot do harm here: each is one parameter of the statement.
        let short: Vec<String> = words
            .iter()
            .filter(|word| word.chars().count() < TRIGRAM)
            .map(|word| format!("%{}%", word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")))
            .collect();
        conditions.extend((0..short.len()).map(|at| format!("messages.text LIKE :short{at} ESCAPE '\\'")));
        let select = format!(
            "SELECT messages.id, peer, mine, message, time, messages.text, state, reason FROM {table}
             WHERE {} ORDER BY {order} DESC LIMIT :most",
            conditions.join(" AND ")
        );
        let read = || {
            let mut query = self.0.prepare_cached(&select)?;
            let names: Vec<String> = (0..short.len()).map(|at| format!(":short{at}")).collect();
            let (long, most) = (long.join(" "), most as i64);
            let mut values: Vec<(&str, &dyn rusqlite::ToSql)> = vec![(":me", &me), (":long", &long), (":most", &most)];
            values.extend(names.iter().zip(&short).map(|(name, value)| (name.as_str(), value as &dyn rusqlite::ToSql)));
            let rows = query.query_map(&values[..], entry)?;
            rows.collect::<Result<Vec<_>, Error>>()
        };
        read().map_err(|error| not_read(&error))
    }

    /// Notes that what `peer` has said was looked at.
    pub fn read(&mut self, me: u32, peer: u32) -> Result<(), String> {
        let update = "UPDATE messages SET state = 6 WHERE me = ?1 AND peer = ?2 AND state = 5";
        self.0.execute(update, params![me, peer]).map(drop).map_err(|error| not_written(&error))
    }

    /// Who has said how much that was not looked at.
    pub fn unread(&self, me: u32) -> Vec<(u32, u32)> {
        self.pairs("SELECT peer, count(*) FROM messages WHERE me = ?1 AND state = 5 GROUP BY peer", me)
    }

    /// Everybody with whom anything was said, and the last row with them. One step in the index for each, whatever
    /// was said.
    pub fn peers(&self, me: u32) -> Vec<u32> {
        let select = "WITH RECURSIVE one(peer) AS (
                SELECT min(peer) FROM messages WHERE me = ?1
                UNION ALL SELECT (SELECT min(peer) FROM messages WHERE me = ?1 AND peer > one.peer) FROM one
                WHERE one.peer IS NOT NULL)
            SELECT peer, 0 FROM one WHERE peer IS NOT NULL";
        self.pairs(select, me).into_iter().map(|(peer, _)| peer).collect()
    }

    fn pairs(&self, select: &str, me: u32) -> Vec<(u32, u32)> {
        let read = || {
            let mut query = self.0.prepare_cached(select)?;
            let rows = query.query_map([me], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<_>, Error>>()
        };
        // Marks beside names: without them everything else still works, and reading a conversation tells the fault.
        read().unwrap_or_default()
    }

    /// Keeps a value under a name: drafts, the friend list of the last time.
    pub fn keep(&mut self, me: u32, name: &str, value: &str) -> Result<(), String> {
        let insert = "INSERT OR REPLACE INTO kept(me, name, value) VALUES (?1, ?2, ?3)";
        self.0.execute(insert, params![me, name, value]).map(drop).map_err(|error| not_written(&error))
    }

    /// What is kept under a name.
    pub fn kept(&self, me: u32, name: &str) -> Option<String> {
        let select = "SELECT value FROM kept WHERE me = ?1 AND name = ?2";
        self.0.query_row(select, params![me, name], |row| row.get(0)).optional().ok().flatten()
    }

    /// Keeps somebody's nickname.
    pub fn learn(&mut self, number: u32, nickname: &str) {
        let insert = "INSERT INTO names VALUES (?1, ?2) ON CONFLICT DO UPDATE SET nickname = ?2 WHERE nickname <> ?2";
        // Without it the number is shown.
        let _ = self.0.execute(insert, params![number, nickname]);
    }

    /// Somebody's nickname, if it was ever seen.
    pub fn name(&self, number: u32) -> Option<String> {
        let select = "SELECT nickname FROM names WHERE number = ?1";
        self.0.query_row(select, [number], |row| row.get(0)).optional().ok().flatten()
    }
}

fn entry(row: &Row<'_>) -> Result<Entry, Error> {
    Ok(Entry {
        row: row.get(0)?,
        peer: row.get(1)?,
        mine: row.get(2)?,
        id: row.get::<_, Option<i64>>(3)?.unwrap_or_default() as u64,
        time: row.get(4)?,
        text: row.get(5)?,
        state: State::from_codes(row.get(6)?, row.get(7)?),
    })
}

fn words(error: &Error) -> String {
    match error {
        Error::SqliteFailure(failure, _) if failure.code == ErrorCode::DiskFull => "the disk is full".into(),
        Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    }
}

fn not_written(error: &Error) -> String {
    format!("the history cannot be written: {}", words(error))
}

fn not_read(error: &Error) -> String {
    format!("the history cannot be read: {}", words(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 10_000;

    fn history() -> (tempfile::TempDir, History) {
        let directory = tempfile::tempdir().unwrap();
        let history = History::open(&directory.path().join("a/history.db")).unwrap();
        (directory, history)
    }

    fn hears(history: &mut History, from: u32, id: u64, text: &str) -> bool {
        history.arrived(ME, &[Arrived { from, id, time: 5, text }]).unwrap()[0]
    }

    fn says(history: &mut History, to: &[u32], via: Option<u8>, id: u64, text: &str) {
        history.said(ME, &Said { to, via, id, time: 5, text }).unwrap();
    }

    #[test]
    fn nothing_is_kept_twice_and_reading_is_remembered() {
        let (directory, mut history) = history();
        assert!(hears(&mut history, 10_001, 7, "你好"));
        assert!(!hears(&mut history, 10_001, 7, "你好"));
        assert!(hears(&mut history, 10_002, 7, "hello"), "another's id says nothing");
        assert!(hears(&mut history, 10_002, 0, "a") && hears(&mut history, 10_002, 0, "a"), "no id, no same");
        drop(history);
        let mut history = History::open(&directory.path().join("a/history.db")).unwrap();
        assert!(!hears(&mut history, 10_001, 7, "你好"));
        assert_eq!(history.unread(ME), [(10_001, 1), (10_002, 3)]);
        history.read(ME, 10_002).unwrap();
        assert_eq!(history.unread(ME), [(10_001, 1)]);
        assert_eq!(history.peers(ME), [10_001, 10_002]);
        assert_eq!(history.peers(ME + 1), [0; 0]);
    }

    #[test]
    fn what_waits_is_known_until_its_receipt() {
        let (_directory, mut history) = history();
        says(&mut history, &[10_001], None, 1, "one");
        says(&mut history, &[10_001, 10_002], Some(0), 2, "all");
        let waiting = history.waiting(ME).unwrap();
        assert_eq!(waiting.iter().map(|unsent| unsent.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(waiting[1].to, Recipient::Group(0));
        history.receipt(ME, 10_001, 1, State::Delivered).unwrap();
        history.receipt(ME, 10_001, 1, State::Stored).unwrap();
        history.receipt(ME, 10_001, 2, State::Refused(5)).unwrap();
        assert_eq!(history.waiting(ME).unwrap().len(), 1);
        history.settle(ME, &[2]);
        assert_eq!(history.waiting(ME).unwrap().len(), 1);
        history.settle(ME, &[]);
        assert_eq!(history.waiting(ME).unwrap(), []);
        let states: Vec<State> =
            history.page(ME, 10_001, i64::MAX, 9).unwrap().into_iter().map(|entry| entry.state).collect();
        assert_eq!(states, [State::Delivered, State::Refused(5)], "what is final stays");
    }

    #[test]
    fn pages_follow_each_other() {
        let (_directory, mut history) = history();
        (1..=10).for_each(|id| says(&mut history, &[10_001], None, id, &id.to_string()));
        let page = history.page(ME, 10_001, i64::MAX, 4).unwrap();
        assert_eq!(page.iter().map(|entry| entry.id).collect::<Vec<_>>(), [7, 8, 9, 10]);
        let page = history.page(ME, 10_001, page[0].row, 4).unwrap();
        assert_eq!(page.iter().map(|entry| entry.id).collect::<Vec<_>>(), [3, 4, 5, 6]);
        let page = history.after(ME, 10_001, page[3].row, 2).unwrap();
        assert_eq!(page.iter().map(|entry| entry.id).collect::<Vec<_>>(), [7, 8]);
    }

    #[test]
    fn words_are_found_in_any_script() {
        let (_directory, mut history) = history();
        for (id, text) in [(1, "今天天气很好"), (2, "100% \"sure\""), (3, "Good Morning"), (4, "好")].into_iter()
        {
            hears(&mut history, 10_001, id, text);
        }
        let found = |words| history.find(ME, words, 9).unwrap().iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(found("天天气"), [1]);
        assert_eq!(found("好"), [4, 1]);
        assert_eq!(found("天气很 好"), [1]);
        assert_eq!(found("morn"), [3]);
        assert_eq!((found("\"sure\""), found("0%"), found("_")), (vec![2], vec![2], vec![]));
        assert_eq!((found(""), found("' OR")), (vec![], vec![]));
        history.unsay(ME, 9);
    }
}
