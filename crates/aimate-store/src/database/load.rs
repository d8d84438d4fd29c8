//! How much work waits for a database or is under way on it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Units of work that wait or are under way.
#[derive(Default)]
pub(crate) struct Load(AtomicUsize);

/// One of them, until it is dropped.
pub(crate) struct UnitOfWork<'l>(&'l Load);

impl Load {
    pub(crate) fn begin(&self) -> UnitOfWork<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        UnitOfWork(self)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for UnitOfWork<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
