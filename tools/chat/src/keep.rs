//! What is kept between two runs, readable by its owner alone: the keys of servers, tokens, messages without a receipt.

use oicq::client::{Recipient, Unsent, parse_key};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is kept for one server: a directory with a file for each thing.
pub struct Keep {
    directory: PathBuf,
    /// Held while something is written: both threads of the program do.
    writing: Mutex<()>,
}

impl Keep {
    /// Where things of the server at `place` are kept. Nothing is made before there is something to keep.
    pub fn new(profile: Option<PathBuf>, place: &str) -> Result<Self, String> {
        let profile = match profile.or_else(default_directory) {
            Some(profile) => profile,
            None => return Err("there is no home directory; say where to keep keys: --profile DIR".into()),
        };
        let name: String =
            place.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' }).collect();
        Ok(Self { directory: profile.join(name), writing: Mutex::default() })
    }

    /// The file of the server's key.
    pub fn key_file(&self) -> PathBuf {
        self.directory.join("key")
    }

    /// The server's key, if it was kept. A file that holds none is an error: it must not count as no key.
    pub fn key(&self) -> Result<Option<[u8; 32]>, String> {
        let path = self.key_file();
        let Some(text) = read(&path)? else { return Ok(None) };
        let key = parse_key(text.trim());
        key.map(Some)
            .ok_or_else(|| format!("{} holds no key; mend it, or remove it to learn the key anew", path.display()))
    }

    /// Keeps the server's key. One that is kept already is never replaced.
    pub fn save_key(&self, key: &[u8; 32]) -> Result<(), String> {
        if self.key()?.is_some() {
            return Ok(());
        }
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.write("key", &format!("{hex}\n"))
    }

    /// The token of this number.
    pub fn token(&self, number: u32) -> Option<String> {
        let text = read(&self.directory.join(token_name(number))).ok()??;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    /// Keeps a token.
    pub fn save_token(&self, number: u32, token: &str) -> Result<(), String> {
        self.write(&token_name(number), &format!("{token}\n"))
    }

    /// Forgets the token of this number.
    pub fn forget_token(&self, number: u32) {
        // What is not there is forgotten.
        let _ = fs::remove_file(self.directory.join(token_name(number)));
    }

    /// Messages without a receipt from the last run.
    pub fn unsent(&self) -> Result<Vec<Unsent>, String> {
        let path = self.directory.join("unsent");
        let text = read(&path)?.unwrap_or_default();
        let lines = text.lines().map(message_of).collect::<Option<Vec<_>>>();
        lines.ok_or_else(|| format!("{} is damaged: mend it, or remove it to lose what it holds", path.display()))
    }

    /// Keeps messages without a receipt.
    pub fn save_unsent(&self, messages: &[Unsent]) -> Result<(), String> {
        let path = self.directory.join("unsent");
        if messages.is_empty() && !path.exists() {
            return Ok(());
        }
        self.write("unsent", &messages.iter().map(line_of).collect::<String>())
    }

    /// Writes a file as a whole: after a crash the old one or the new one is there.
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, new) = (self.directory.join(name), self.directory.join(format!("{name}.new")));
        let written = make_directory(&self.directory).and_then(|()| {
            let mut file = open_private(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        });
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn default_directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("oicq"))
}

fn token_name(number: u32) -> String {
    format!("token-{number}")
}

fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A new file that only its owner can read. What was left under this name is no use to anybody.
fn open_private(path: &Path) -> io::Result<fs::File> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A message as a line: id, sender, `u` or `g`, to whom, text.
fn line_of(message: &Unsent) -> String {
    let Unsent { id, from, to, text } = message;
    let (kind, to) = match to {
        Recipient::User(number) => ('u', *number),
        Recipient::Group(group) => ('g', u32::from(*group)),
    };
    let text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    format!("{id} {from} {kind} {to} {text}\n")
}

fn message_of(line: &str) -> Option<Unsent> {
    let mut words = line.splitn(5, ' ');
    let (id, from) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let to = match (words.next()?, words.next()?) {
        ("u", to) => Recipient::User(to.parse().ok()?),
        ("g", to) => Recipient::Group(to.parse().ok()?),
        _ => return None,
    };
    let mut text = String::new();
    let mut letters = words.next()?.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                other => other,
            },
            other => other,
        });
    }
    Some(Unsent { id, from, to, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_is_nobody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let keep = Keep::new(Some(directory.path().join("a/b")), "[::1]:8000").unwrap();
        assert_eq!((keep.key(), keep.token(10_001), keep.unsent()), (Ok(None), None, Ok(Vec::new())));
        keep.save_key(&[7; 32]).unwrap();
        keep.save_key(&[8; 32]).unwrap();
        assert_eq!(keep.key(), Ok(Some([7; 32])), "a key is never replaced");
        keep.save_token(10_001, "one").unwrap();
        keep.save_token(10_001, "two").unwrap();
        assert_eq!(keep.token(10_001).as_deref(), Some("two"));
        keep.forget_token(10_001);
        assert_eq!(keep.token(10_001), None);
        let messages = [
            Unsent { id: 7, from: 10_001, to: Recipient::User(10_002), text: "a\\n\n b\r".into() },
            Unsent { id: 8, from: 10_001, to: Recipient::Group(0), text: "你好".into() },
        ];
        keep.save_unsent(&messages).unwrap();
        assert_eq!(keep.unsent().unwrap(), messages);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&keep.key_file()), mode(&keep.directory)), (0o600, 0o700));
        }
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let keep = Keep::new(Some(directory.path().into()), "a:1").unwrap();
        keep.write("key", "nonsense").unwrap();
        assert!(keep.key().unwrap_err().contains("holds no key"));
        assert!(keep.save_key(&[7; 32]).is_err());
        keep.write("unsent", "7 x\n").unwrap();
        assert!(keep.unsent().unwrap_err().contains("is damaged"));
    }
}
