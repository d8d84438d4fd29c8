//! How much is done at once: what comes beyond it is refused at once, instead of waiting
//! in a queue that nobody bounds.
//!
//! A request is in work from when it has come whole until its answer begins. One that
//! waits for a model has a [`Seat`](crate::app::Seat) instead: it does nothing meanwhile.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

tokio::task_local! {
    /// The place in work of the request that this task handles.
    static PLACE: RefCell<Option<OwnedSemaphorePermit>>;
}

/// The places of requests in work.
pub(crate) struct Work {
    places: Arc<Semaphore>,
    most: usize,
}

impl Work {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// Whether there is a place.
    pub(crate) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Takes a place for the request that this task handles, if it has none yet; whether it
    /// has one now. A handler that is called by itself needs none.
    pub(crate) fn begin(&self) -> bool {
        let begun = PLACE.try_with(|place| {
            let mut place = place.borrow_mut();
            if place.is_none() {
                *place = self.places.clone().try_acquire_owned().ok();
            }
            place.is_some()
        });
        begun.unwrap_or(true)
    }

    /// Requests in work.
    pub(crate) fn count(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }
}

/// Runs what handles one request, which may take a place.
pub(crate) async fn handling<F: Future>(handler: F) -> F::Output {
    PLACE.scope(RefCell::new(None), handler).await
}

/// Gives up the place of the request that this task handles: it waits for a model from now
/// on.
pub(crate) fn end() {
    let _ = PLACE.try_with(|place| place.borrow_mut().take());
}
