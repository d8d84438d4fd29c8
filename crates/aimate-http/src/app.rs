//! The state that all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use aimate_core::engine::RateLimiter;
use aimate_core::rate_limit::RateBucket;
use aimate_core::{Engine, Error, ErrorKind, PerUser, Scope, Timestamp, UserPlace};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::Duration;

use crate::error::{Failure, Result};
use crate::event_frame::LargeEvents;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::sockets::Sockets;
use crate::work::{self, Work};

/// The unit in which room for bodies is given; and what each may have without.
pub(crate) const BODY_UNIT: usize = 64 * 1024;
/// When somebody who found no seat may try again.
const SEAT_RETRY_AFTER: Duration = Duration::from_secs(5);
/// When somebody may who was refused because there is too much to do.
const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Shared conversations that are sent at once.
const MAX_SHARED_AT_ONCE: usize = 64;

/// The state of the router. Clones share it.
#[derive(Clone)]
pub(crate) struct App(Arc<AppState>);

/// The fields of an [`App`].
pub(crate) struct AppState {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// When the router was made.
    pub(crate) started_at: Timestamp,
    /// The scope of local mode, after its first use.
    pub(crate) local_scope: OnceCell<Scope>,
    pub(crate) large_events: Arc<LargeEvents>,
    /// Those of `/api/v1/ws`.
    pub(crate) large_messages: LargeEvents,
    /// Room for shared conversations that are being sent.
    shared_room: Arc<Semaphore>,
    seats: Arc<Semaphore>,
    user_seats: PerUser,
    pub(crate) rate_limiter: RateLimiter,
    pub(crate) work: Work,
    pub(crate) sockets: Sockets,
    /// Room for what is large of requests' bodies while they arrive, a permit for
    /// [`BODY_UNIT`] bytes.
    pub(crate) body_room: Arc<Semaphore>,
    #[cfg(feature = "markdown")]
    pub(crate) rendering: crate::rendering::Rendering,
    #[cfg(feature = "mcp")]
    pub(crate) mcp: aimate_mcp::server::HttpServer,
}

/// A place among those who listen to events or wait for an answer, until it is
/// dropped; see [`Options::max_listeners`].
pub(crate) struct Seat {
    _seat: OwnedSemaphorePermit,
    _of_user: UserPlace,
}

impl App {
    pub(crate) fn new(engine: Engine, options: Options) -> Self {
        let seats = options.max_listeners.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(AppState {
            body_room: Arc::new(Semaphore::new(
                (options.bodies_limit / BODY_UNIT).min(Semaphore::MAX_PERMITS),
            )),
            seats: Arc::new(Semaphore::new(seats)),
            user_seats: PerUser::default(),
            rate_limiter: engine.rate_limiter(options.rate_limits),
            work: Work::new(options.max_requests),
            sockets: Sockets::default(),
            #[cfg(feature = "markdown")]
            rendering: crate::rendering::Rendering::default(),
            #[cfg(feature = "mcp")]
            mcp: crate::mcp_server::server(engine.clone(), &options),
            large_events: Arc::default(),
            large_messages: LargeEvents::default(),
            shared_room: Arc::new(Semaphore::new(MAX_SHARED_AT_ONCE)),
            started_at: engine.sources().now(),
            engine,
            options,
            metrics: Metrics::default(),
            local_scope: OnceCell::new(),
        }))
    }

    /// A seat for who listens or waits, who is not in work any more. It is taken before
    /// anything is begun, so that who is refused can just try again.
    ///
    /// # Errors
    /// `RateLimited` if the user has as many as one may have. `Unavailable`, after which
    /// the connection is closed: those who come back must not keep others out meanwhile.
    pub(crate) fn seat(&self, scope: &Scope) -> Result<Seat> {
        let of_user = self.options.max_listeners_per_user;
        let place = self.user_seats.one_more(scope, of_user).ok_or_else(|| {
            let error = format!(
                "this user listens to or waits for {of_user} answers already, the most at once; end one of them"
            );
            Error::rate_limited(error).with_retry_after(SEAT_RETRY_AFTER)
        })?;
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| {
            let most = self.options.max_listeners;
            let error =
                format!("{most} clients listen or wait for answers already, the most; try again in a moment");
            Failure::closing(Error::unavailable(error).with_retry_after(SEAT_RETRY_AFTER))
        })?;
        work::end();
        Ok(Seat { _seat: seat, _of_user: place })
    }

    /// Room for one more shared conversation, until it is sent: for one nobody has to be
    /// known, and it may be large.
    ///
    /// # Errors
    /// `Unavailable` if there is none.
    pub(crate) fn room_for_shared(&self) -> Result<OwnedSemaphorePermit> {
        self.shared_room.clone().try_acquire_owned().map_err(|_| {
            let error = Error::unavailable("too many shared conversations are read; try again in a moment");
            Failure::crowded(error.with_retry_after(OVERLOAD_RETRY_AFTER))
        })
    }

    /// Room for what is large of `bytes`, out of what all bodies together may have, until it is
    /// dropped; `None` for what is small enough to need none.
    ///
    /// # Errors
    /// `Unavailable` if others have it all.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>> {
        let units = bytes.saturating_sub(BODY_UNIT).div_ceil(BODY_UNIT);
        if units == 0 {
            return Ok(None);
        }
        let taken = u32::try_from(units).ok();
        let taken = taken.and_then(|units| self.body_room.clone().try_acquire_many_owned(units).ok());
        taken.map(Some).ok_or_else(no_room)
    }

    /// Whether one more request can be taken in work.
    ///
    /// # Errors
    /// `Unavailable`: there are as many as there may be, or too much waits for the
    /// database.
    pub(crate) fn has_room(&self) -> Result<()> {
        let waiting = self.engine.database_work();
        if self.work.has_room() && waiting <= self.options.max_database_work {
            return Ok(());
        }
        Err(self.overloaded())
    }

    /// Takes the request that this task handles in work.
    ///
    /// # Errors
    /// `Unavailable`: there are as many as there may be.
    pub(crate) fn begin_work(&self) -> Result<()> {
        if self.work.begin() { Ok(()) } else { Err(self.overloaded()) }
    }

    fn overloaded(&self) -> Failure {
        self.metrics.refuse_overload();
        let error = Error::unavailable("the server has more to do than it can; try again in a moment");
        Failure::crowded(error.with_retry_after(OVERLOAD_RETRY_AFTER))
    }

    /// Lets a request of a bucket through.
    ///
    /// # Errors
    /// `RateLimited`; what the store says.
    pub(crate) async fn pass(&self, bucket: RateBucket) -> Result<()> {
        let passed = self.rate_limiter.pass(bucket).await;
        passed.map_err(|error| match self.rate_limiter.limits().of(bucket.class) {
            Some(limit) if error.kind() == ErrorKind::RateLimited => {
                Failure::rate_limited(error, bucket.class, limit)
            }
            _ => error.into(),
        })
    }
}

/// That other requests take all the room that there is for bodies.
pub(crate) fn no_room() -> Failure {
    let error = "the bodies of other requests take all the room that there is; try again in a moment";
    Failure::closing(Error::unavailable(error))
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}
