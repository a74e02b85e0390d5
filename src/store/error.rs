//! Why a store could not be opened, in words for the operator.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a store could not be opened. Nothing was overwritten. Its text is one line that says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has the directory open.
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory was written by a newer version of this program.
    Newer {
        /// The version of its format.
        version: String,
    },
    /// The directory was written by an older version of this program, in a format that is read no more.
    Older {
        /// The version of its format.
        version: String,
    },
    /// A file does not hold what was synced into it.
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        fault: &'static str,
    },
    /// The system refused something.
    Io {
        /// What was tried.
        doing: String,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { path } => write!(
                f,
                "data directory {} is in use by another process; stop that one first, or choose another directory",
                path.display()
            ),
            Self::Newer { version } => write!(
                f,
                "data directory has format {version:?}, which this version does not know; run the version that wrote it, or a newer one"
            ),
            Self::Older { version } => write!(
                f,
                "data directory has the old format {version:?}, which this version does not read; run the version that wrote it, or choose another directory"
            ),
            Self::Damaged { file, offset, fault } => write!(
                f,
                "data directory is damaged: {file} at byte {offset}: {fault}; nothing was changed; restore the directory from a backup, or recover what is whole with `oicqd salvage`"
            ),
            Self::Io { doing, error } if error.kind() == io::ErrorKind::StorageFull => {
                write!(f, "cannot {doing}: the disk is full; make room and start again")
            }
            Self::Io { doing, error } if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "cannot {doing}: {error}; check who owns the data directory")
            }
            Self::Io { doing, error } => write!(f, "cannot {doing}: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Locked { .. } | Self::Newer { .. } | Self::Older { .. } | Self::Damaged { .. } => None,
        }
    }
}

impl OpenError {
    /// For `map_err`: the system refused what was being done.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |error| Self::Io { doing: doing.into(), error }
    }

    /// This file is damaged here.
    pub(super) fn damaged(file: impl Into<String>, offset: u64, fault: &'static str) -> Self {
        Self::Damaged { file: file.into(), offset, fault }
    }
}
