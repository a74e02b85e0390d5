//! Reads journal and base through at leisure, so that damage is noticed while the index is still good: then a new base is
//! written from that, and the damaged files go. Noticed later, when the index is to be made anew, it would be a loss.

use super::disk::Disk;
use super::journal::{self, Position};
use super::layout::Layout;
use super::{OpenError, base};
use std::io;
use std::ops::ControlFlow;

/// One pass over what was synced when it began. It can be done by another thread.
#[derive(Debug)]
pub struct Scrub<D> {
    disk: D,
    end: Position,
}

impl<D: Disk> Scrub<D> {
    pub(super) fn new(disk: D, end: Position) -> Self {
        Self { disk, end }
    }

    /// Reads all of it; the first damage, if there is any. `pace` is called with the bytes read since the last call, to
    /// wait or to break off.
    pub fn run(&self, pace: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Option<OpenError> {
        // Files come and go meanwhile: only what is found twice is damage.
        let found = self.pass(pace).err().filter(is_damage);
        found.and_then(|_| self.pass(&mut |_| ControlFlow::Continue(())).err()).filter(is_damage)
    }

    fn pass(&self, pace: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<(), OpenError> {
        let mut before = 0;
        let mut read = |bytes: u64| {
            let more = bytes.saturating_sub(std::mem::replace(&mut before, bytes));
            if pace(more).is_continue() {
                Ok(())
            } else {
                Err(OpenError::io("read on")(io::ErrorKind::Interrupted.into()))
            }
        };
        let Some(layout) = Layout::read(&self.disk)? else { return Ok(()) };
        if let Some(generation) = layout.base {
            base::read(&self.disk, generation, &mut |_, bytes| read(bytes))?;
        }
        for generation in layout.journals.into_iter().filter(|generation| *generation <= self.end.generation) {
            let end = if generation == self.end.generation {
                self.end.offset
            } else {
                let name = journal::name(generation);
                self.disk.size(&name).map_err(OpenError::io(format!("read {name}")))?.unwrap_or(0)
            };
            read(0)?;
            journal::verify(&self.disk, generation, end, &mut |position, _| read(position.offset))?;
        }
        Ok(())
    }
}

fn is_damage(error: &OpenError) -> bool {
    matches!(error, OpenError::Damaged { .. })
}
