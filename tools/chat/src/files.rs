//! Files on their way: what is offered, what comes in, and where it may be written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Longest name that file systems take, less room for a number that makes it new.
const NAME_BYTES: usize = 240;
/// How many numbers are tried for a new name.
const NUMBERED: usize = 1_000;

/// Files on their way, by the user at the other end.
#[derive(Default)]
pub struct Transfers {
    /// Offered by us, not answered yet.
    pub offered: HashMap<u32, Outgoing>,
    /// Offered to us: name and size.
    pub offers: HashMap<u32, (String, u32)>,
    /// Taken, arriving.
    pub arriving: HashMap<u32, Incoming>,
    /// Being sent now.
    pub sending: usize,
    /// Bytes that have come or gone in all, to see whether anything still moves.
    pub moved: u64,
}

/// A file that we offer.
pub struct Outgoing {
    /// Open for reading.
    pub file: File,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u32,
}

impl Outgoing {
    /// Opens a file to be offered.
    pub fn open(path: &Path) -> Result<Self, String> {
        let said = |error: io::Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(said)?;
        let metadata = file.metadata().map_err(said)?;
        if !metadata.is_file() {
            return Err(format!("{} is no file; give the path of one", path.display()));
        }
        let size = u32::try_from(metadata.len()).map_err(|_| {
            format!("{} has {} bytes; at most {} can be sent", path.display(), metadata.len(), u32::MAX)
        })?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { file, name, size })
    }
}

/// A file that comes in.
pub struct Incoming {
    file: File,
    /// Where it is written.
    pub path: PathBuf,
    /// Bytes that were offered.
    pub size: u32,
    /// Bytes that have come.
    pub received: u32,
}

impl Incoming {
    /// Makes a new file in `directory` under the offered name, or the next name that is free.
    pub fn create(directory: &Path, offered: &str, size: u32) -> Result<Self, String> {
        let name = safe_name(offered);
        for number in 0..NUMBERED {
            let path = directory.join(numbered(&name, number));
            // Only ever a new file: nothing is overwritten, and no link is followed.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path, size, received: 0 }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
        Err(format!("there are {NUMBERED} files called {name} already; move some away"))
    }

    /// Writes the next piece; never more than was offered.
    pub fn write(&mut self, data: &[u8]) -> Result<(), String> {
        let length = data.len().min((self.size - self.received) as usize);
        self.file.write_all(&data[..length]).map_err(|error| format!("{}: {error}", self.path.display()))?;
        self.received += length as u32;
        Ok(())
    }

    /// Whether all of it has come.
    pub fn is_complete(&self) -> bool {
        self.received == self.size
    }
}

/// A name from someone else as a file's name in this directory: its last part, visible, without anything that a
/// terminal or another system would take for more than a letter.
fn safe_name(offered: &str) -> String {
    let last = offered.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String =
        crate::show::clean(last).chars().map(|c| if ":*?\"<>|".contains(c) { '_' } else { c }).collect();
    let mut name = plain.trim().trim_start_matches('.').to_owned();
    while name.len() > NAME_BYTES {
        name.pop();
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

fn numbered(name: &str, number: usize) -> String {
    match (number, name.rsplit_once('.')) {
        (0, _) => name.to_owned(),
        (_, Some((stem, extension))) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_the_directory() {
        for (offered, name) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\win.ini", "win.ini"),
            ("..", "file"),
            ("", "file"),
            ("/", "file"),
            (".bashrc", "bashrc"),
            ("a\u{1b}[2Jb", "a\u{fffd}[2Jb"),
            ("照片.jpg", "照片.jpg"),
        ] {
            assert_eq!(safe_name(offered), name, "{offered:?}");
        }
        assert!(safe_name(&"深".repeat(85)).len() <= NAME_BYTES);
    }

    #[test]
    fn nothing_is_overwritten_and_no_more_is_written_than_was_offered() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.txt"), "old").unwrap();
        let mut incoming = Incoming::create(directory.path(), "x/a.txt", 3).unwrap();
        assert_eq!(incoming.path, directory.path().join("a (1).txt"));
        incoming.write(b"newer").unwrap();
        assert!(incoming.is_complete());
        assert_eq!(std::fs::read(directory.path().join("a.txt")).unwrap(), b"old");
        assert_eq!(std::fs::read(&incoming.path).unwrap(), b"new");
    }

    #[test]
    fn only_files_are_offered() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Outgoing::open(directory.path()).err().unwrap().ends_with("give the path of one"));
        let path = directory.path().join("b.bin");
        std::fs::write(&path, [7; 10]).unwrap();
        let offer = Outgoing::open(&path).ok().unwrap();
        assert_eq!((offer.name.as_str(), offer.size), ("b.bin", 10));
    }
}
