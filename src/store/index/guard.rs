//! Calls of sled that may panic. A damaged file makes sled panic as often as it makes it fail: both mean the same, that
//! the index is made anew from the journal.
//!
//! A program that ends at every panic does so in its panic hook, before any `catch_unwind` gets to see it. So its hook
//! must ask [`panics_are_caught`] first.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How the threads that sled starts by itself are called.
const THREADS: [&str; 2] = ["sled-io-", "log flusher"];

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is caught, and means no more than a damaged index.
pub fn panics_are_caught() -> bool {
    GUARDED.get()
}

/// Whether a thread of this name is sled's own: its panic cannot be caught, and means a damaged index as well.
pub fn is_index_thread(name: &str) -> bool {
    THREADS.iter().any(|prefix| name.starts_with(prefix))
}

/// Calls sled. Nothing else may be called in here: its bugs would pass for a damaged index.
pub(super) fn guarded<R>(call: impl FnOnce() -> R) -> io::Result<R> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(before);
    result.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the index is damaged: sled panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_an_error_and_known_to_be_caught() {
        assert!(!panics_are_caught());
        assert!(guarded(panics_are_caught).expect("no panic"));
        let error = guarded(|| panic!("as sled does")).expect_err("a panic");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(!panics_are_caught());
        assert!(is_index_thread("sled-io-3") && !is_index_thread("store"));
    }
}
