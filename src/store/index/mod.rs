//! The index: what the journal says, in order of key, so that it can be looked up. It can always be made anew.

mod guard;
mod memory;
mod packed;
mod place;
mod sled;

pub use self::sled::SledIndex;
pub use guard::{is_index_thread, panics_are_caught};
pub use memory::MemoryIndex;
pub use packed::Packed;

use std::io;
use std::ops::{ControlFlow, Range};

/// A key, and its new value or `None` if it is gone.
pub type Op<'a> = (&'a [u8], Option<&'a [u8]>);
/// Called with each key and value of a scan; it says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered map from keys to values, to be looked up.
pub trait Lookup {
    /// How it gives out a value.
    type Value: AsRef<[u8]>;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> io::Result<Option<Self::Value>>;
    /// Visits what is in the range, upwards.
    fn scan(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()>;
    /// Visits what is in the range, downwards.
    fn scan_down(&self, range: Range<&[u8]>, visit: Visit<'_>) -> io::Result<()>;
}

/// Such a map that can be changed. A clone is another handle to the same map, for another thread.
pub trait Index: Lookup + Clone + Send + Sync + 'static {
    /// Does these changes, which are in order of key. An error leaves some of them done.
    fn apply(&self, ops: &[Op<'_>]) -> io::Result<()>;
    /// What was applied survives the end of the process.
    fn flush(&self) -> io::Result<()>;
    /// Opens it anew, as it was at the last flush or later.
    fn reopen(&self) -> io::Result<()>;
    /// Empties it, whatever state it is in.
    fn reset(&self) -> io::Result<()>;
    /// Closes it; all of it survives a power cut. No handle to it can be used any more.
    fn close(&self) -> io::Result<()>;
}
