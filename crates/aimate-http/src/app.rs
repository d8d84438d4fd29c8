//! The state that all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use aimate_core::{Engine, Error, Scope};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::Duration;

use crate::error::{Failure, Result};
use crate::event_frame::LargeEvents;
use crate::metrics::Metrics;
use crate::options::Options;

/// The unit in which room for bodies is given; and what each may have without.
pub(crate) const BODY_UNIT: usize = 64 * 1024;
/// When somebody who found no seat may try again.
const SEAT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The state of the router. Clones share it.
#[derive(Clone)]
pub(crate) struct App(Arc<AppState>);

/// The fields of an [`App`].
pub(crate) struct AppState {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// The scope of local mode, after its first use.
    pub(crate) local_scope: OnceCell<Scope>,
    pub(crate) large_events: Arc<LargeEvents>,
    seats: Arc<Semaphore>,
    /// Room for what is large of requests' bodies while they arrive, a permit for
    /// [`BODY_UNIT`] bytes.
    pub(crate) body_room: Arc<Semaphore>,
}

/// A place among those who listen to events or wait for an answer, until it is
/// dropped; see [`Options::max_listeners`].
pub(crate) struct Seat(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit);

impl App {
    pub(crate) fn new(engine: Engine, options: Options) -> Self {
        let seats = options.max_listeners.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(AppState {
            body_room: Arc::new(Semaphore::new(
                (options.bodies_limit / BODY_UNIT).min(Semaphore::MAX_PERMITS),
            )),
            seats: Arc::new(Semaphore::new(seats)),
            large_events: Arc::default(),
            engine,
            options,
            metrics: Metrics::default(),
            local_scope: OnceCell::new(),
        }))
    }

    /// A seat for who listens or waits. It is taken before anything is begun, so
    /// that who is refused can just try again.
    ///
    /// # Errors
    /// `Unavailable`, after which the connection is closed: those who come back
    /// must not keep others out meanwhile.
    pub(crate) fn seat(&self) -> Result<Seat> {
        self.seats.clone().try_acquire_owned().map(Seat).map_err(|_| {
            let most = self.options.max_listeners;
            let error =
                format!("{most} clients listen or wait for answers already, the most; try again in a moment");
            Failure::closing(Error::unavailable(error).with_retry_after(SEAT_RETRY_AFTER))
        })
    }
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}
