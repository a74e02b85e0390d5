//! What must hold before the server starts: each check says in one line what is wrong and what would be right.

use super::sys::{self, Resource};
use super::{Fatal, args::Serve};
use crate::limits::DESCRIPTORS_KEPT;
use crate::store;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Locked memory without which the executor does not start.
const LOCKED_BYTES: u64 = 512 * 1024;

/// Checks the arguments that clap cannot check.
pub fn arguments(serve: &Serve) -> Result<(), Fatal> {
    let mut seen = BTreeSet::new();
    match serve.listen.iter().find(|address| address.port() != 0 && !seen.insert(**address)) {
        Some(twice) => Err(Fatal(format!("--listen {twice} is given twice; give each address once"))),
        None => Ok(()),
    }
}

/// Checks what the system lets this process do.
pub fn system() -> Result<(), Fatal> {
    // With fewer files there are fewer connections, but it works.
    let _ = sys::raise_limit(Resource::OpenFiles);
    let locked = sys::raise_limit(Resource::LockedMemory).unwrap_or(u64::MAX);
    if locked < LOCKED_BYTES {
        return Err(Fatal(format!(
            "only {} KiB of memory may be locked, and io_uring needs {}: raise it (ulimit -l, LimitMEMLOCK=)",
            locked / 1024,
            LOCKED_BYTES / 1024
        )));
    }
    sys::probe_io_uring().map_err(|error| {
        Fatal(match error.raw_os_error() {
            Some(libc::ENOSYS) => "this kernel has no io_uring: Linux 5.8 or newer is needed".into(),
            Some(libc::EPERM | libc::EACCES) => {
                "io_uring is forbidden here: allow it (sysctl kernel.io_uring_disabled=0, or the container's seccomp profile)"
                    .into()
            }
            Some(libc::ENOMEM) => "too little memory may be locked for io_uring: raise it (ulimit -l)".into(),
            _ => format!("io_uring does not work here: {error}; Linux 5.8 or newer is needed"),
        })
    })
}

/// How many connections each shard may have, so that they never take the descriptors that the server itself needs.
pub fn connections(shards: usize, addresses: usize) -> Result<usize, Fatal> {
    let most = sys::raise_limit(Resource::OpenFiles).unwrap_or(1024).try_into().unwrap_or(usize::MAX);
    // An executor has rings and events; each address has two sockets a shard, one of them twice.
    let needed = DESCRIPTORS_KEPT + shards * (16 + 3 * addresses);
    match most.checked_sub(needed) {
        Some(left) if left >= shards => Ok(left / shards),
        _ => Err(Fatal(format!(
            "only {most} files may be open, and {shards} shards need {}: raise it (ulimit -n)",
            needed + shards
        ))),
    }
}

/// What another user wrote here could not be read later by the one whose directory it is.
pub fn owner(directory: &Path) -> Result<(), Fatal> {
    let me = sys::effective_user();
    match fs::metadata(directory) {
        Ok(data) if data.uid() != me => Err(Fatal(format!(
            "the data directory {} belongs to user {}, and this is user {me}: run it as that user",
            directory.display(),
            data.uid()
        ))),
        _ => Ok(()),
    }
}

/// Commands that only look or change create nothing: they need a directory that is one of ours.
pub fn has_store(directory: &Path) -> Result<(), Fatal> {
    if store::is_store(directory) {
        return Ok(());
    }
    Err(Fatal(format!("{} is no data directory of oicqd; name it with --data", directory.display())))
}

/// Something that keeps a store from being begun in a directory: it is somebody else's. What a first start leaves when it
/// is cut off, and what operators put beside a store, is not.
fn stranger(directory: &Path) -> io::Result<Option<String>> {
    if store::is_store(directory) {
        return Ok(None);
    }
    const OURS: [&str; 8] = ["lock", "link.key", "control.sock", "index", "journal-", "audit", "format", "lost+found"];
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let ours = OURS.iter().any(|ours| name.starts_with(ours)) || name.starts_with('.') || name.ends_with(".toml");
        if !ours {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Creates the data directory if need be, for the owner alone, and makes sure that it can be written.
pub fn data_directory(directory: &Path) -> Result<(), Fatal> {
    let refused = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a directory that this user may write, with --data"
            }
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "it is not a directory: choose another with --data"
            }
            io::ErrorKind::StorageFull => "the disk is full: make room",
            _ => "choose another directory with --data",
        };
        Fatal(format!("cannot use the data directory {}: {error}; {advice}", directory.display()))
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
    owner(directory)?;
    if let Some(name) = stranger(directory).map_err(refused)? {
        return Err(Fatal(format!(
            "{} holds something else ({name}) and no store: choose an empty directory with --data",
            directory.display()
        )));
    }
    let probe = directory.join(".writable");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(refused)?;
    Ok(())
}

/// Warns if others can read what users wrote.
pub fn privacy(directory: &Path) {
    if fs::metadata(directory).is_ok_and(|data| data.permissions().mode() & 0o077 != 0) {
        tracing::warn!(directory = %directory.display(), "others on this machine can read the data directory: chmod 700");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_directory() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("file");
        fs::write(&file, b"x").expect("written");
        for bad in [file.clone(), file.join("below")] {
            let error = data_directory(&bad).expect_err("not a directory").to_string();
            assert!(error.contains("--data") && !error.contains('\n'), "{error}");
        }
        data_directory(&place.path().join("new/one")).expect("it can be made");
        let error = data_directory(place.path()).expect_err("somebody else's").to_string();
        assert!(error.contains("something else") && error.contains("--data"), "{error}");
    }

    #[test]
    fn this_machine_can_run_it() {
        system().expect("io_uring works here");
    }
}
