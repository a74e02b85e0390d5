//! The thread that brings frozen tables into the index.

use super::{Behind, Shared};
use crate::store::index::Index;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Applies while it lives; when it is dropped, it leaves the rest to the journal.
#[derive(Debug)]
pub(in crate::store) struct Applier {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Applier {
    /// Starts the thread.
    pub(in crate::store) fn spawn<I: Index>(behind: &Behind<I>) -> io::Result<Self> {
        let (shared, works) = (Arc::clone(&behind.shared), behind.clone());
        let thread = Builder::new().name("store-index".into()).spawn(move || works.run())?;
        behind.tables().threaded = true;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        self.shared.tables.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }
}

impl<I: Index> Behind<I> {
    fn run(&self) {
        loop {
            let mut tables = self.tables();
            while !tables.stop && (tables.paused || tables.frozen.is_none() || tables.failed.is_some()) {
                tables = self.shared.work.wait(tables).unwrap_or_else(PoisonError::into_inner);
            }
            if tables.stop {
                return;
            }
            self.step_of(tables);
        }
    }
}
