//! The server's static key (protocol.md 2.2): made at the first start, kept in the data directory for its owner alone, and
//! told to clients as one line.

use super::Fatal;
use crate::link::public_key;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The file with the private key, in base64url.
const NAME: &str = "link.key";

/// The private key of this data directory. The first call makes it; but not where there are accounts, whose clients know
/// the server by the key that is missing.
pub fn private_key(directory: &Path, has_accounts: bool) -> Result<[u8; 32], Fatal> {
    let path = directory.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let key = URL_SAFE_NO_PAD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let key = key.ok_or_else(|| {
                Fatal(format!(
                    "{} is no key: put back the file as it was, or delete it and make a new one with `oicqd new-key` (then every client must learn that)",
                    path.display()
                ))
            })?;
            if fs::metadata(&path).is_ok_and(|data| data.mode() & 0o077 != 0) {
                return Err(Fatal(format!("others can read {}: chmod 600 it", path.display())));
            }
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && has_accounts => Err(Fatal(format!(
            "{} is missing, and clients know this server by it: put it back from a backup, or make a new one with `oicqd new-key` (then every client must learn that)",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_new(directory),
        Err(error) => Err(Fatal(format!("cannot read {}: {error}; it belongs to the server's user", path.display()))),
    }
}

/// Makes a key where there is none.
pub fn make_new(directory: &Path) -> Result<[u8; 32], Fatal> {
    let path = directory.join(NAME);
    if path.exists() {
        let path = path.display();
        return Err(Fatal(format!("{path} is there: a new key would lock out every client; move it away first")));
    }
    make(directory).map_err(|error| {
        Fatal(format!("cannot write {}: {error}; make room, or choose another directory with --data", path.display()))
    })
}

/// It is there whole or not at all: clients would not know the server by another one.
fn make(directory: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    OsRng.fill_bytes(&mut key);
    let (new, path) = (directory.join(".link.key.new"), directory.join(NAME));
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(key))?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}

/// What a client is given: where the server is, and its public key.
pub fn server_line(address: SocketAddr, private: &[u8; 32]) -> String {
    format!("oicq://{address}/?key={}", URL_SAFE_NO_PAD.encode(public_key(private)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_is_the_owners() {
        let place = tempfile::tempdir().expect("a directory");
        let key = private_key(place.path(), false).expect("made");
        assert_eq!(private_key(place.path(), true).expect("read"), key);
        assert!(make_new(place.path()).expect_err("there is one").to_string().contains("lock out"));
        let path = place.path().join(NAME);
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let line = server_line("[::1]:8000".parse().expect("an address"), &key);
        assert!(line.starts_with("oicq://[::1]:8000/?key=") && line.len() == 23 + 43, "{line}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(private_key(place.path(), false).expect_err("readable for others").to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        fs::write(&path, "rubbish").expect("written");
        assert!(private_key(place.path(), false).expect_err("no key").to_string().contains("is no key"));
        fs::remove_file(&path).expect("removed");
        assert!(private_key(place.path(), true).expect_err("it is lost").to_string().contains("from a backup"));
        assert!(!path.exists());
        let new = make_new(place.path()).expect("made");
        assert_eq!(private_key(place.path(), true).expect("read"), new);
    }
}
