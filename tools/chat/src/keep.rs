//! What is kept between two runs, readable by its owner alone: the keys of servers, tokens, which account was the last.

use oicq::client::{ServerLine, parse_key};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where profiles are: each is a directory with what one person keeps.
#[derive(Debug, Clone)]
pub struct Profile(PathBuf);

impl Profile {
    /// A name is a directory beside the default one, anything with a slash in it is a path, and nothing is the default.
    pub fn new(name: Option<&str>) -> Result<Self, String> {
        let default = || default_directory().ok_or("there is no home directory; say where to keep keys: --profile DIR");
        match name {
            None => Ok(Self(default()?)),
            Some(path) if path.contains(['/', '\\']) => Ok(Self(path.into())),
            Some("" | "." | "..") => Err("--profile takes a name like `work`, or a path with a slash in it".into()),
            Some(name) => Ok(Self(default()?.join("profiles").join(name))),
        }
    }

    /// The server and the number of the last sign-in.
    pub fn last(&self) -> Option<(ServerLine, u32)> {
        let text = read(&self.0.join("last")).ok()??;
        let mut lines = text.lines();
        Some((lines.next()?.parse().ok()?, lines.next()?.parse().ok()?))
    }

    /// Keeps the server and the number of a sign-in.
    pub fn save_last(&self, line: &ServerLine, number: u32) -> Result<(), String> {
        // Its key is kept with the server, and may be another one later.
        let line = ServerLine { key: None, ..line.clone() };
        write(&self.0, "last", &format!("{line}\n{number}\n"))
    }
}

/// What is kept for one server: a directory with a file for each thing.
pub struct Keep {
    /// The profile that it belongs to.
    pub profile: Profile,
    directory: PathBuf,
    /// Held while something is written: several threads of the program do.
    writing: Mutex<()>,
}

impl Keep {
    /// Where things of the server at `place` are kept. Nothing is made before there is something to keep.
    pub fn new(profile: Profile, place: &str) -> Self {
        let name: String =
            place.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' }).collect();
        let directory = profile.0.join(name);
        Self { profile, directory, writing: Mutex::default() }
    }

    /// A file of this server.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Claims a number for this program, as long as what is given back lives; `None` if another has it.
    pub fn claim(&self, number: u32) -> Result<Option<fs::File>, String> {
        let path = self.file(&format!("lock-{number}"));
        let said = |error: io::Error| format!("{}: {error}", path.display());
        make_directory(&self.directory).map_err(said)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(said)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(said(error)),
        }
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
        self.replace_key(key)
    }

    /// Keeps another key from now on: for a person who has been asked, and has said that it is right.
    pub fn replace_key(&self, key: &[u8; 32]) -> Result<(), String> {
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

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        write(&self.directory, name, text)
    }
}

/// Writes a file as a whole: after a crash the old one or the new one is there.
fn write(directory: &Path, name: &str, text: &str) -> Result<(), String> {
    let (path, new) = (directory.join(name), directory.join(format!("{name}.new")));
    let written = make_directory(directory).and_then(|()| {
        let mut file = open_private(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    });
    written.map_err(|error| format!("{}: {error}", path.display()))
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

/// A directory that only its owner can look into.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A new file that only its owner can read. What was left under this name is no use to anybody.
pub fn open_private(path: &Path) -> io::Result<fs::File> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_is_nobody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let profile = Profile::new(directory.path().join("a/b").to_str()).unwrap();
        let keep = Keep::new(profile.clone(), "[::1]:8000");
        assert_eq!((keep.key(), keep.token(10_001)), (Ok(None), None));
        keep.save_key(&[7; 32]).unwrap();
        keep.save_key(&[8; 32]).unwrap();
        assert_eq!(keep.key(), Ok(Some([7; 32])), "a key is never replaced");
        keep.save_token(10_001, "one").unwrap();
        keep.save_token(10_001, "two").unwrap();
        assert_eq!(keep.token(10_001).as_deref(), Some("two"));
        keep.forget_token(10_001);
        assert_eq!(keep.token(10_001), None);
        let line: ServerLine = "[::1]:8000".parse().unwrap();
        assert_eq!(profile.last(), None);
        profile.save_last(&line, 10_001).unwrap();
        assert_eq!(profile.last(), Some((line, 10_001)));
        let claimed = keep.claim(10_001).unwrap();
        assert!(claimed.is_some() && keep.claim(10_001).unwrap().is_none());
        drop(claimed);
        assert!(keep.claim(10_001).unwrap().is_some());
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
        let keep = Keep::new(Profile::new(directory.path().to_str()).unwrap(), "a:1");
        keep.write("key", "nonsense").unwrap();
        assert!(keep.key().unwrap_err().contains("holds no key"));
        assert!(keep.save_key(&[7; 32]).is_err());
        keep.replace_key(&[8; 32]).unwrap();
        assert_eq!(keep.key(), Ok(Some([8; 32])));
    }
}
