//! Reading the model lists of connections from their servers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Engine;
use super::catalog::Catalog;
use super::provider::RegisteredProvider;
use crate::caught::caught;
use crate::chat::model_call::broken;
use crate::clock::Timestamp;
use crate::connection::{Connection, ConnectionStatus};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::id::ConnectionId;
use crate::model::Model;
use crate::provider::{ListedModel, ProviderProfile};
use crate::scope::{Role, Scope};

/// How long a caller waits for a list that was never read.
const WAIT: Duration = Duration::from_secs(5);
/// How long reading a list may take.
const LIST_PATIENCE: Duration = Duration::from_secs(60);
/// How soon the same server is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// When each connection's list was last asked for, well or not.
#[derive(Default)]
pub(super) struct ModelLists(Mutex<HashMap<ConnectionId, Reading>>);

impl ModelLists {
    fn readings(&self) -> MutexGuard<'_, HashMap<ConnectionId, Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Reads the lists of connections that were never read; waits a little for
    /// those that were never asked.
    pub(super) async fn refresh_unread(&self, scope: &Scope, catalog: &Catalog) {
        let unread = catalog.enabled().filter(|connection| connection.models_fetched_at.is_none());
        futures_util::future::join_all(unread.map(|connection| self.refresh_once(scope, connection))).await;
    }

    /// Reads a connection's list, and waits a little for it if the server was
    /// never asked by this process before.
    pub(super) async fn refresh_once(&self, scope: &Scope, connection: &Connection) {
        let reading = self.refresh_soon(scope, connection);
        if reading.is_first {
            reading.wait().await;
        }
    }

    /// Reads a connection's list in the background, unless its server was asked
    /// a moment ago: then it gives that reading.
    pub(super) fn refresh_soon(&self, scope: &Scope, connection: &Connection) -> Reading {
        let now = self.inner.sources.now();
        let mut readings = self.inner.model_lists.readings();
        let last = readings.get(&connection.id);
        if let Some(last) = last.filter(|last| now.since(last.begun_at) < AGAIN) {
            return last.clone();
        }
        let (end, ended) = watch::channel(());
        let reading = Reading { begun_at: now, is_first: last.is_none(), ended };
        readings.insert(connection.id, reading.clone());
        let (engine, scope, id) = (self.for_task(), *scope, connection.id);
        self.inner.tasks.spawn(async move {
            let _end = end;
            tokio::select! {
                () = engine.inner.stop.cancelled() => {}
                // A failure is kept in the connection's status.
                _ = engine.refresh_models(&scope, id) => {}
            }
        });
        reading
    }

    /// Reads a connection's list in the background if the last good one is older
    /// than `age`.
    pub(super) fn refresh_if_older(&self, scope: &Scope, connection: &Connection, age: Duration) {
        let now = self.inner.sources.now();
        if connection.models_fetched_at.is_some_and(|at| now.since(at) > age) {
            self.refresh_soon(scope, connection);
        }
    }

    /// Reads a connection's list from its server now and stores it. A list that
    /// cannot be read, or is empty, leaves the last good one and marks it as
    /// stale.
    pub(super) async fn refresh_models(&self, scope: &Scope, connection: ConnectionId) -> Result<()> {
        let inner = &self.inner;
        let found = inner.stores.connections.get(scope, connection).await?;
        let admin = Scope { role: Role::Admin, ..*scope };
        match self.listed(scope, &found).await {
            Ok(models) => {
                let now = inner.sources.now();
                inner.stores.models.replace(&admin, connection, &models, now).await?;
                inner.catalogs.forget(scope.tenant);
                Ok(())
            }
            Err(error) => {
                self.mark_stale(&admin, found, &error).await?;
                Err(error)
            }
        }
    }

    /// What the connection's server lists; at least one model.
    async fn listed(&self, scope: &Scope, connection: &Connection) -> Result<Vec<Model>> {
        let endpoint = self.endpoint(scope, connection).await?;
        let RegisteredProvider { provider, profile } = self.inner.providers.get(&connection.provider)?;
        let listing = caught(async { provider.models(&endpoint).await });
        let listed = match timeout(LIST_PATIENCE, listing).await {
            Ok(listed) => listed.unwrap_or_else(|panic| Err(broken(&endpoint, panic)))?,
            Err(_) => {
                return Err(Error::timeout(format!(
                    "connection `{}`: its provider listed no models in {} s",
                    connection.name,
                    LIST_PATIENCE.as_secs()
                )));
            }
        };
        if listed.is_empty() {
            return Err(Error::upstream(format!(
                "connection `{}`: the server lists no models",
                connection.name
            )));
        }
        Ok(listed.into_iter().map(|listed| model(connection.id, profile, listed)).collect())
    }

    /// Notes that the list of `found` could not be read, and why.
    async fn mark_stale(&self, admin: &Scope, found: Connection, error: &Error) -> Result<()> {
        let inner = &self.inner;
        let status = match error.reason() {
            Some(ErrorReason::KeyRefused | ErrorReason::KeyUnavailable | ErrorReason::NoEncryptionKey) => {
                ConnectionStatus::NeedsKey
            }
            _ => ConnectionStatus::Unreachable,
        };
        let now = inner.sources.now();
        let marked = Connection { status, stale_since: found.stale_since.or(Some(now)), ..found.clone() };
        match inner.stores.connections.update(admin, &found, &marked).await {
            // Somebody changed or deleted it meanwhile: what they did counts.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            outcome => outcome.map(|()| inner.catalogs.forget(admin.tenant)),
        }
    }
}

/// A model list on its way, or read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    begun_at: Timestamp,
    /// Whether it is the first one of this connection in this process.
    is_first: bool,
    /// Closed when it is over.
    ended: watch::Receiver<()>,
}

impl Reading {
    /// Waits until it is over, but not for long.
    pub(super) async fn wait(mut self) {
        let _ = tokio::time::timeout(WAIT, self.ended.changed()).await;
    }
}

fn model(connection_id: ConnectionId, profile: &ProviderProfile, listed: ListedModel) -> Model {
    Model {
        connection_id,
        name: if listed.name.is_empty() { listed.id.clone() } else { listed.name },
        model_id: listed.id,
        context_window: listed.context_window,
        capabilities: if listed.capabilities.is_empty() {
            profile.capabilities.clone()
        } else {
            listed.capabilities
        },
        is_active: true,
        prices: listed.prices,
    }
}
