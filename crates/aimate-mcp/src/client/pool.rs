//! The sessions of all users: one for each user and server, as long as it is used.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use aimate_core::tool::{ToolAccess, ToolEndpoint};
use aimate_core::{Error, Result, TenantId, ToolServerId, UserId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::session::ServerSession;

/// The first wait before a child process that ended is started again; it doubles.
const BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// How long a caller waits for that; a longer wait is an error.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a child process must have lived for its end to count as the first.
const STABLE: Duration = Duration::from_secs(60);

/// Whose session it is.
pub(super) type Key = (TenantId, UserId, ToolServerId);

pub(super) fn key(endpoint: &ToolEndpoint) -> Key {
    (endpoint.scope.tenant, endpoint.scope.user, endpoint.id)
}

/// The sessions.
pub(super) struct Pool {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    /// Sessions that are kept at most.
    limit: usize,
    /// How long an unused one is kept.
    idle: Duration,
    sweeper: Mutex<JoinSet<()>>,
}

/// The place of one session.
struct Slot {
    version: u64,
    used_at: Mutex<Instant>,
    /// Held while it is connected, so that only one caller does it.
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<ServerSession>>,
    connected_at: Option<Instant>,
    /// Times in a row that it ended soon.
    failures: u32,
    not_before: Option<Instant>,
}

impl Pool {
    pub(super) fn new(limit: usize, idle: Duration) -> Self {
        Self { slots: Mutex::default(), limit: limit.max(1), idle, sweeper: Mutex::default() }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of the endpoint's user with its server; `connect` makes it where there is
    /// none that is alive.
    pub(super) async fn session<Connecting>(
        self: &Arc<Self>,
        endpoint: &ToolEndpoint,
        connect: impl FnOnce() -> Connecting,
    ) -> Result<Arc<ServerSession>>
    where
        Connecting: Future<Output = Result<ServerSession>>,
    {
        let slot = self.slot(endpoint);
        let mut state = slot.state.lock().await;
        if let Some(session) = state.session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let is_process = matches!(endpoint.access, ToolAccess::Stdio { .. });
        if state.session.take().is_some() && is_process {
            state.failed();
        }
        state.wait(endpoint).await?;
        match connect().await {
            Ok(session) => {
                let session = Arc::new(session);
                state.session = Some(session.clone());
                state.connected_at = Some(Instant::now());
                Ok(session)
            }
            Err(error) => {
                if is_process {
                    state.failed();
                }
                Err(error)
            }
        }
    }

    /// Ends the session of the endpoint's user; the next call makes another.
    pub(super) fn drop_session(&self, endpoint: &ToolEndpoint) {
        drop(self.slots().remove(&key(endpoint)));
    }

    /// Ends all sessions with a server.
    pub(super) fn forget(&self, id: ToolServerId) {
        let gone: Vec<_> = self.slots().extract_if(|key, _| key.2 == id).collect();
        drop(gone);
    }

    fn slot(self: &Arc<Self>, endpoint: &ToolEndpoint) -> Arc<Slot> {
        self.sweep();
        let (key, now) = (key(endpoint), Instant::now());
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key).filter(|slot| slot.version == endpoint.version) {
            slot.touch(now);
            return slot.clone();
        }
        let slot =
            Arc::new(Slot { version: endpoint.version, used_at: now.into(), state: Default::default() });
        let mut gone = vec![slots.insert(key, slot.clone())];
        if slots.len() > self.limit {
            // Who waits for an answer would lose it.
            let others = || slots.iter().filter(|(other, _)| **other != key);
            let idle = others().filter(|(_, slot)| !slot.is_busy());
            let oldest = idle.min_by_key(|(_, slot)| slot.used_at());
            let oldest = oldest.or_else(|| others().min_by_key(|(_, slot)| slot.used_at()));
            let oldest = oldest.map(|(key, _)| *key);
            gone.push(oldest.and_then(|key| slots.remove(&key)));
        }
        drop(slots);
        drop(gone);
        slot
    }

    /// Starts the task that ends sessions which nobody uses, unless it runs.
    fn sweep(self: &Arc<Self>) {
        let mut sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        while sweeper.try_join_next().is_some() {}
        if sweeper.is_empty() {
            sweeper.spawn(sweep(Arc::downgrade(self), self.idle));
        }
    }
}

/// Ends sessions which nobody uses until there are none.
async fn sweep(pool: Weak<Pool>, idle: Duration) {
    loop {
        sleep((idle / 8).max(Duration::from_millis(100))).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let mut slots = pool.slots();
        let is_unused = |slot: &Slot| now.duration_since(slot.used_at()) >= idle && !slot.is_busy();
        let gone: Vec<_> = slots.extract_if(|_, slot| is_unused(slot)).collect();
        let is_empty = slots.is_empty();
        drop(slots);
        drop(gone);
        if is_empty {
            return;
        }
    }
}

impl Slot {
    fn used_at(&self) -> Instant {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, now: Instant) {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Whether it is being connected or waited for.
    fn is_busy(&self) -> bool {
        match self.state.try_lock() {
            Ok(state) => state.session.as_ref().is_some_and(|session| session.is_busy()),
            Err(_) => true,
        }
    }
}

impl State {
    /// It ended, or could not be connected.
    fn failed(&mut self) {
        let now = Instant::now();
        if self.connected_at.take().is_some_and(|at| now.duration_since(at) >= STABLE) {
            self.failures = 0;
        }
        let backoff = BACKOFF.saturating_mul(1 << self.failures.min(10)).min(MAX_BACKOFF);
        self.failures += 1;
        self.not_before = Some(now + backoff);
    }

    /// Waits until it may be connected again.
    async fn wait(&mut self, endpoint: &ToolEndpoint) -> Result<()> {
        let Some(at) = self.not_before else { return Ok(()) };
        let left = at.saturating_duration_since(Instant::now());
        if left > PATIENCE {
            let (name, seconds) = (&endpoint.name, left.as_secs() + 1);
            let error = format!(
                "tool server `{name}` ended {} times in a row; it is started again in {seconds} s",
                self.failures
            );
            return Err(Error::unavailable(error).with_retry_after(left));
        }
        sleep_until(at).await;
        Ok(())
    }
}
