//! Files on their way: what is offered, what comes in, and where it may be written.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest name that file systems take, less room for what is added to it.
const NAME_BYTES: usize = 200;
/// Longest name that can be offered (protocol.md 1.5).
const OFFERED_BYTES: usize = 255;
/// How many numbers are tried for a new name.
const NUMBERED: usize = 1_000;

/// A transfer: the user at the other end, and the number of the offer.
pub type Key = (u32, u32);

/// Files on their way.
#[derive(Default)]
pub struct Transfers {
    /// Offered by us, not answered yet.
    pub offered: HashMap<Key, Outgoing>,
    /// Offered to us: name and size.
    pub offers: BTreeMap<Key, (String, u32)>,
    /// Taken, arriving.
    pub arriving: HashMap<Key, Incoming>,
    /// Being sent now.
    pub sending: usize,
    /// Bytes that have come or gone in all, to see whether anything still moves.
    pub moved: u64,
}

/// A file that we offer.
pub struct Outgoing {
    /// Open for reading, where the next byte to send is.
    pub file: File,
    /// Where it is.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u32,
    /// Bytes that the other side has from before a break.
    pub from: u32,
    /// What it is called here: its first offer. After a break it is offered under another number.
    pub id: u32,
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
        Ok(Self { file, path: path.to_owned(), name, size, from: 0, id: 0 })
    }

    /// What is left after a break: everything from this byte on, or the whole again if that cannot be said.
    pub fn resume(&mut self, from: u32) -> Result<(), String> {
        self.from = if rest_name(&self.name, from).len() > OFFERED_BYTES { 0 } else { from };
        let sought = self.file.seek(SeekFrom::Start(self.from.into()));
        sought.map(drop).map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// The name and the size to offer.
    pub fn offer(&self) -> (String, u32) {
        match self.from {
            0 => (self.name.clone(), self.size),
            from => (rest_name(&self.name, from), self.size - from),
        }
    }
}

/// How the rest of a file is offered. The protocol has no place for an offset; a program that does not know this form
/// keeps the rest as a file of its own, whose name says what it is.
fn rest_name(name: &str, from: u32) -> String {
    format!("{name} (from byte {from})")
}

/// The name of the whole file and where the rest begins, if this is the name of a rest.
pub fn rest_of(offered: &str) -> Option<(&str, u32)> {
    let (name, rest) = offered.rsplit_once(" (from byte ")?;
    Some((name, rest.strip_suffix(')')?.parse().ok().filter(|from| *from > 0)?))
}

/// A file that comes in. Until it is whole it has a name of its own, which says whose it is and how large it will be.
pub struct Incoming {
    file: File,
    part: PathBuf,
    directory: PathBuf,
    /// Its name when it is whole, unless there is one already.
    pub name: String,
    /// Bytes of the whole file.
    pub size: u32,
    /// Bytes that are there.
    pub received: u32,
    /// What it is called here: its first offer.
    pub id: u32,
    /// When something of it came last.
    moved: Instant,
}

impl Incoming {
    /// Begins to take what is offered, or goes on with what has come of it before a break. `in_use` says which parts others
    /// are being written to.
    pub fn create(
        directory: &Path,
        (peer, id): Key,
        (offered, size): (&str, u32),
        in_use: impl Fn(&Path) -> bool,
    ) -> Result<Self, String> {
        if let Some((whole, from)) = rest_of(offered)
            && let Some(total) = size.checked_add(from)
        {
            let part = part_path(directory, peer, &safe_name(whole), total, 0);
            let has_come = part.symlink_metadata().is_ok_and(|there| there.is_file() && there.len() >= from.into());
            if has_come && !in_use(&part) {
                return Self::open(directory, part, safe_name(whole), total, from, id);
            }
        }
        let name = safe_name(offered);
        let mut parts = (0..NUMBERED).map(|number| part_path(directory, peer, &name, size, number));
        let part = parts.find(|part| !in_use(part));
        let part = part.ok_or_else(|| format!("there are {NUMBERED} files called {name} already; move some away"))?;
        Self::open(directory, part, name, size, 0, id)
    }

    fn open(directory: &Path, part: PathBuf, name: String, size: u32, from: u32, id: u32) -> Result<Self, String> {
        let said = |error: io::Error| format!("{}: {error}", part.display());
        let mut options = OpenOptions::new();
        options.write(true);
        // No link is followed: what is there is ours from before, and a file, or it is made.
        match part.symlink_metadata() {
            Ok(there) if there.is_file() => {}
            Ok(_) => return Err(format!("{} is no file; move it away", part.display())),
            Err(_) => drop(options.create_new(true)),
        }
        let mut file = options.open(&part).map_err(said)?;
        file.seek(SeekFrom::Start(from.into())).map_err(said)?;
        let moved = Instant::now();
        Ok(Self { file, part, directory: directory.to_owned(), name, size, received: from, id, moved })
    }

    /// Whether `offered` is this file again, or its rest: then it goes on from there, and nobody need be asked again. One
    /// that still arrives has not broken off: then it is another file with the same name.
    pub fn goes_on(&mut self, offered: &str, size: u32, quiet: Duration) -> bool {
        if self.moved.elapsed() < quiet {
            return false;
        }
        let (name, from) = rest_of(offered).unwrap_or((offered, 0));
        let same = safe_name(name) == self.name && size.checked_add(from) == Some(self.size) && from <= self.received;
        if !same || self.file.seek(SeekFrom::Start(from.into())).is_err() {
            return false;
        }
        self.received = from;
        true
    }

    /// Writes the next piece; never more than was offered.
    pub fn write(&mut self, data: &[u8]) -> Result<(), String> {
        let length = data.len().min((self.size - self.received) as usize);
        self.file.write_all(&data[..length]).map_err(|error| format!("{}: {error}", self.part.display()))?;
        self.received += length as u32;
        self.moved = Instant::now();
        Ok(())
    }

    /// Whether all of it has come.
    pub fn is_complete(&self) -> bool {
        self.received == self.size
    }

    /// Where it is until it is whole.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Gives the whole file its name, or the next one that is free; tells that name and the checksum.
    pub fn finish(self) -> Result<(PathBuf, String), String> {
        let said = |error: io::Error| format!("{}: {error}", self.part.display());
        self.file.set_len(self.size.into()).and_then(|()| self.file.sync_all()).map_err(said)?;
        let sum = checksum(&self.part)?;
        for number in 0..NUMBERED {
            let path = self.directory.join(numbered(&self.name, number));
            // Only ever a new file: nothing is overwritten, and no link is followed.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => {
                    std::fs::rename(&self.part, &path).map_err(said)?;
                    return Ok((path, sum));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
        Err(format!("there are {NUMBERED} files called {} already; move some away", self.name))
    }
}

fn part_path(directory: &Path, peer: u32, name: &str, size: u32, number: usize) -> PathBuf {
    directory.join(numbered(&format!("{name}.{peer}-{size}.part"), number))
}

/// The SHA-256 of a file, in hex.
pub fn checksum(path: &Path) -> Result<String, String> {
    let said = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(said)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).map_err(said)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
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

    fn take(directory: &Path, id: u32, offered: &str, size: u32) -> Incoming {
        Incoming::create(directory, (10_001, id), (offered, size), |_| false).unwrap()
    }

    #[test]
    fn two_files_with_one_name_arrive_beside_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let mut one = take(directory.path(), 1, "a.txt", 3);
        let part = one.part().to_owned();
        let mut other = Incoming::create(directory.path(), (10_001, 2), ("a.txt", 3), |path| path == part).unwrap();
        assert_ne!(one.part(), other.part());
        one.write(b"one").unwrap();
        other.write(b"two").unwrap();
        assert!(!one.goes_on("a.txt", 3, Duration::from_secs(3_600)), "it still arrives: this is another");
        let paths = [other.finish().unwrap().0, one.finish().unwrap().0];
        let contents: Vec<_> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(contents, ["two", "one"]);
        assert_eq!(paths.map(|path| path.file_name().unwrap().to_owned()), ["a.txt", "a (1).txt"]);
    }

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
        let mut incoming = take(directory.path(), 1, "x/a.txt", 3);
        incoming.write(b"newer").unwrap();
        assert!(incoming.is_complete());
        let (path, sum) = incoming.finish().unwrap();
        assert_eq!(path, directory.path().join("a (1).txt"));
        assert_eq!(sum, "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437");
        assert_eq!(std::fs::read(directory.path().join("a.txt")).unwrap(), b"old");
        assert_eq!(std::fs::read(path).unwrap(), b"new");
    }

    #[test]
    fn a_broken_file_goes_on_where_it_broke_off() {
        let (directory, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = source.path().join("b.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut outgoing = Outgoing::open(&path).unwrap();
        let mut incoming = take(directory.path(), 1, "b.bin", 10);
        incoming.write(b"01234").unwrap();
        outgoing.resume(4).unwrap();
        let (name, size) = outgoing.offer();
        assert_eq!((name.as_str(), size), ("b.bin (from byte 4)", 6));
        assert!(
            !incoming.goes_on("c.bin (from byte 4)", 6, Duration::ZERO) && !incoming.goes_on(&name, 7, Duration::ZERO)
        );
        assert!(!incoming.goes_on("b.bin (from byte 6)", 4, Duration::ZERO), "a byte would be missing");
        assert!(incoming.goes_on(&name, size, Duration::ZERO));
        drop(incoming);
        // The program was started anew meanwhile.
        let mut incoming = take(directory.path(), 1, &name, size);
        let mut rest = Vec::new();
        outgoing.file.read_to_end(&mut rest).unwrap();
        incoming.write(&rest).unwrap();
        let (whole, sum) = incoming.finish().unwrap();
        assert_eq!(std::fs::read(&whole).unwrap(), b"0123456789");
        assert_eq!(sum, checksum(&path).unwrap());
        assert!(whole.ends_with("b.bin"));
        let other = take(directory.path(), 1, "d (from byte 3)", 7);
        assert_eq!((other.name.as_str(), other.received), ("d (from byte 3)", 0), "nothing to go on with");
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
