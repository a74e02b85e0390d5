//! How far it is, for whoever watches.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(100);

/// A line at the bottom of a terminal; nothing where standard error is none. It goes away with this value.
pub struct Bar {
    what: &'static str,
    total: u64,
    shown: Cell<Option<Instant>>,
    terminal: bool,
}

impl Bar {
    /// So many of something are to come; 0 if that is not known.
    pub fn new(what: &'static str, total: u64) -> Self {
        Self { what, total, shown: Cell::new(None), terminal: std::io::stderr().is_terminal() }
    }

    /// So many are done, of so many.
    pub fn at(&self, done: u64, total: u64) {
        if !self.terminal || self.shown.get().is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.shown.set(Some(Instant::now()));
        let total = if total > 0 { total } else { self.total };
        let _ = if total > 0 {
            write!(std::io::stderr(), "\r{done} of {total} {}\x1b[K", self.what)
        } else {
            write!(std::io::stderr(), "\r{done} {}\x1b[K", self.what)
        };
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown.get().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
