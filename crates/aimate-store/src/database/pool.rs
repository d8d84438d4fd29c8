//! Connections that are kept open between calls.
//!
//! sqlx has a pool too. This one takes a connection back only when the work on it
//! has ended, so it knows what state the connection is in. sqlx's takes it back
//! whenever the future that holds it is dropped, has to ask the server whether a
//! statement is still under way, and pays a round trip for that: half of what a
//! small statement costs.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aimate_core::{Error, Result};
#[cfg(test)]
use aimate_interleave::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Kind, metrics};

/// A connection that was idle for this long is pinged before it is used again:
/// firewalls drop idle ones without a word.
const PING_AFTER: Duration = Duration::from_secs(15);
/// How long a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that was idle for this long is closed.
const MAX_IDLE: Duration = Duration::from_secs(10 * 60);
/// A connection that is this old is closed: a PostgreSQL process keeps what its
/// connection ever read of the catalog, and a proxy finds its new servers.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// Connections that are kept open between calls.
pub(crate) struct Pool<C: Poolable>(Arc<Shared<C>>);

/// A connection that a pool can hold.
pub(crate) trait Poolable: Sized + Send {
    /// What it is a connection to.
    const DATABASE: Kind;

    /// How one is opened.
    type Options: Send + Sync;

    /// Opens one and prepares it.
    fn open(options: &Self::Options) -> impl Future<Output = sqlx::Result<Self>> + Send;

    /// Asks the server whether it still works.
    fn ping(&mut self) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Closes it in order.
    fn close(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

struct Shared<C: Poolable> {
    options: C::Options,
    size: usize,
    timeout: Duration,
    permits: Arc<Semaphore>,
    /// The one used last is at the end and is used next, so that under a light
    /// load the others reach [`MAX_IDLE`].
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    connection: C,
    opened: Instant,
    since: Instant,
}

impl<C: Poolable> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Poolable> Pool<C> {
    /// A pool of at most `size` connections, each opened when it is first needed.
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

    /// How its connections are opened.
    pub(crate) fn options(&self) -> &C::Options {
        &self.0.options
    }

    /// Connections in use at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.0.size.saturating_sub(self.0.permits.available_permits())
    }

    /// Waits for the right to use a connection, first come, first served. This
    /// part of a call alone runs in the caller's own future: dropping it here
    /// leaves nothing half done.
    pub(crate) async fn permit(&self) -> Result<PoolPermit<C>> {
        let start = Instant::now();
        let permit = tokio::time::timeout(self.0.timeout, Arc::clone(&self.0.permits).acquire_owned()).await;
        metrics::waited(C::DATABASE, start.elapsed());
        match permit {
            Ok(Ok(permit)) => Ok(PoolPermit { permit, pool: self.clone() }),
            Ok(Err(_)) => Err(Error::unavailable("the store is closed")),
            Err(_) => Err(Error::unavailable(format!(
                "all {} database connections were busy for {} s; try again",
                self.0.size,
                self.0.timeout.as_secs()
            ))),
        }
    }

    /// Opens a connection beside the pool.
    pub(crate) async fn open(&self) -> sqlx::Result<C> {
        match tokio::time::timeout(self.0.timeout, C::open(&self.0.options)).await {
            Ok(opened) => opened,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// Closes the idle connections; those in use close when they are released.
    pub(crate) async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for idle in idle {
            // Closed either way; the server need not confirm.
            let _ = idle.connection.close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> sqlx::Result<(C, Instant)> {
        loop {
            let Some(mut idle) = self.idle().pop() else {
                return Ok((self.open().await?, Instant::now()));
            };
            if idle.opened.elapsed() > MAX_AGE {
                continue;
            }
            if idle.since.elapsed() < PING_AFTER {
                return Ok((idle.connection, idle.opened));
            }
            if let Ok(Ok(())) = tokio::time::timeout(PING_TIMEOUT, idle.connection.ping()).await {
                return Ok((idle.connection, idle.opened));
            }
        }
    }

    fn put_back(&self, connection: C, opened: Instant) {
        let mut idle = self.idle();
        // Asked under the lock: otherwise the pool could be closed in between, and
        // the connection would stay open in it.
        if self.0.permits.is_closed() {
            return;
        }
        let old = idle.iter().take_while(|idle| idle.since.elapsed() > MAX_IDLE).count();
        idle.drain(..old);
        idle.push(Idle { connection, opened, since: Instant::now() });
    }
}

/// The right to use one connection of a pool.
pub(crate) struct PoolPermit<C: Poolable> {
    permit: OwnedSemaphorePermit,
    pool: Pool<C>,
}

impl<C: Poolable> PoolPermit<C> {
    /// A connection: one that is open already, or a new one.
    pub(crate) async fn connection(self) -> sqlx::Result<PooledConnection<C>> {
        let (connection, opened) = self.pool.connection().await?;
        Ok(PooledConnection { connection, opened, permit: self })
    }
}

/// A connection in use. Dropped, it is closed; [`PooledConnection::release`]
/// keeps it.
pub(crate) struct PooledConnection<C: Poolable> {
    connection: C,
    opened: Instant,
    permit: PoolPermit<C>,
}

impl<C: Poolable> PooledConnection<C> {
    /// Gives the connection back after its work has ended, unless it `is_lost`.
    /// Then the server has probably restarted and the idle connections are lost
    /// with it: they are closed too, instead of failing one call each.
    pub(crate) fn release(self, is_lost: bool) {
        let Self { connection, opened, permit } = self;
        if is_lost {
            permit.pool.idle().clear();
        } else {
            permit.pool.put_back(connection, opened);
        }
        drop(permit.permit);
    }
}

impl<C: Poolable> Deref for PooledConnection<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C: Poolable> DerefMut for PooledConnection<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
