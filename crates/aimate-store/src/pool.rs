//! Sessions that are kept open between calls.
//!
//! sqlx has a pool too. This one gives a session back only when the work on it
//! has ended, and then without the round trip by which sqlx's pool finds out
//! whether it did: half of what a small statement costs.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aimate_core::{Error, Result};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::is_lost;

/// A session that nobody used for this long is asked whether it still works.
const DOUBTFUL_AFTER: Duration = Duration::from_secs(15);
/// A session that nobody used for this long is closed.
const IDLE_FOR: Duration = Duration::from_secs(10 * 60);
/// A session that is this old is closed: servers and proxies like that.
const LIVES_FOR: Duration = Duration::from_secs(30 * 60);

/// Sessions that are kept open between calls.
pub(crate) struct Pool<C: Connection>(Arc<Shared<C>>);

/// What a session is told when it is opened.
pub(crate) trait Settings: Connection {
    /// Nothing.
    fn settle_in(&mut self) -> impl Future<Output = sqlx::Result<()>> + Send {
        async { Ok(()) }
    }
}

struct Shared<C: Connection> {
    options: C::Options,
    size: usize,
    timeout: Duration,
    permits: Arc<Semaphore>,
    /// The one used last is at the end and is used next, so that a load that
    /// needs few sessions lets the others grow old.
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    connection: C,
    opened: Instant,
    since: Instant,
}

impl<C: Connection> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Settings> Pool<C> {
    /// A pool of at most `size` sessions, each opened when it is first needed.
    pub(crate) fn new(options: C::Options, size: u32, timeout: Duration) -> Self {
        let size = size.max(1) as usize;
        Self(Arc::new(Shared {
            options,
            size,
            timeout,
            permits: Arc::new(Semaphore::new(size)),
            idle: Mutex::new(Vec::new()),
        }))
    }

    /// Sessions in use at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.0.size.saturating_sub(self.0.permits.available_permits())
    }

    /// Waits for a turn. This alone happens in the caller's own future: if it
    /// is dropped here, nothing was begun.
    pub(crate) async fn turn(&self) -> Result<Turn<C>> {
        let permit = tokio::time::timeout(self.0.timeout, Arc::clone(&self.0.permits).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Turn { permit, pool: self.clone() }),
            Ok(Err(_)) => Err(Error::unavailable("the store is closed")),
            Err(_) => Err(Error::unavailable(format!(
                "all {} database sessions were busy for {} s; try again",
                self.0.size,
                self.0.timeout.as_secs()
            ))),
        }
    }

    /// Opens a session beside the pool.
    pub(crate) async fn open(&self) -> sqlx::Result<C> {
        let opened = async {
            let mut connection = self.0.options.connect().await?;
            connection.settle_in().await?;
            Ok(connection)
        };
        match tokio::time::timeout(self.0.timeout, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// Closes the sessions nobody uses; those in use close when they come back.
    pub(crate) async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for session in idle {
            // Closed either way; the server need not confirm.
            let _ = session.connection.close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn session(&self) -> sqlx::Result<(C, Instant)> {
        loop {
            let Some(mut idle) = self.idle().pop() else {
                return Ok((self.open().await?, Instant::now()));
            };
            if idle.opened.elapsed() > LIVES_FOR {
                continue;
            }
            if idle.since.elapsed() < DOUBTFUL_AFTER {
                return Ok((idle.connection, idle.opened));
            }
            if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(2), idle.connection.ping()).await {
                return Ok((idle.connection, idle.opened));
            }
        }
    }

    fn put_back(&self, connection: C, opened: Instant) {
        if self.0.permits.is_closed() {
            return;
        }
        let mut idle = self.idle();
        let old = idle.iter().take_while(|idle| idle.since.elapsed() > IDLE_FOR).count();
        idle.drain(..old);
        idle.push(Idle { connection, opened, since: Instant::now() });
    }
}

/// The right to use one session of a pool.
pub(crate) struct Turn<C: Connection> {
    permit: OwnedSemaphorePermit,
    pool: Pool<C>,
}

impl<C: Settings> Turn<C> {
    /// A session: one that is open already, or a new one.
    pub(crate) async fn session(self) -> sqlx::Result<Session<C>> {
        let (connection, opened) = self.pool.session().await?;
        Ok(Session { connection, opened, turn: self })
    }
}

/// A session in use. Dropped, it is closed; [`Session::settle`] keeps it.
pub(crate) struct Session<C: Connection> {
    connection: C,
    opened: Instant,
    turn: Turn<C>,
}

impl<C: Settings> Session<C> {
    /// Gives the session back after its work has ended with `result`, unless
    /// that says that it is lost. Then the server is probably gone, and the
    /// other sessions with it.
    pub(crate) fn settle<T>(self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        let Self { connection, opened, turn } = self;
        match &result {
            Err(error) if is_lost(error) => turn.pool.idle().clear(),
            _ => turn.pool.put_back(connection, opened),
        }
        drop(turn.permit);
        result
    }
}

impl<C: Connection> Deref for Session<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C: Connection> DerefMut for Session<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}
