//! The models a user can choose from.

use serde::Serialize;
use std::time::Duration;

use tokio::sync::watch;

use super::Engine;
use super::catalog::Catalog;
use crate::clock::Timestamp;
use crate::connection::{Connection, ConnectionStatus, ProviderKind};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::id::ConnectionId;
use crate::model::{Capability, Model, Prices};
use crate::provider::ListedModel;
use crate::scope::{Role, Scope};

/// How old a model list may be before it is read again in the background.
const OLD: Duration = Duration::from_secs(600);
/// How long a caller waits for a list that was never read.
const WAIT: Duration = Duration::from_secs(5);
/// How soon the same server is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// A model as it is offered to a user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferedModel {
    /// `CONNECTION/MODEL`: what a turn's `model` takes.
    pub id: String,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The server's own id of it.
    pub model_id: String,
    /// The name to show.
    pub name: String,
    /// Tokens of its context window, where the server says.
    pub context_window: Option<u32>,
    /// What it can do, as far as the server says.
    pub capabilities: Vec<Capability>,
    /// Whether turns may use it.
    pub is_active: bool,
    /// What it costs, in US dollars per million tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// Since when reading its connection's list has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_since: Option<crate::Timestamp>,
}

impl OfferedModel {
    fn new(connection: &Connection, model: Model) -> Self {
        Self {
            id: format!("{}/{}", connection.name, model.model_id),
            connection_id: model.connection_id,
            model_id: model.model_id,
            name: model.name,
            context_window: model.context_window,
            capabilities: model.capabilities,
            is_active: model.is_active,
            prices: model.prices,
            stale_since: connection.stale_since,
        }
    }
}

/// The models of a scope; see [`Engine::models`].
#[derive(Debug)]
pub struct Models<'a> {
    engine: &'a Engine,
    scope: Scope,
}

impl Engine {
    /// The models of what `scope` sees.
    pub fn models(&self, scope: &Scope) -> Models<'_> {
        Models { engine: self, scope: *scope }
    }

    /// Reads the lists of connections that were never read; waits a little for
    /// those that were never asked.
    pub(super) async fn refresh_unread(&self, scope: &Scope, catalog: &Catalog) {
        let unread = catalog
            .connections
            .iter()
            .filter(|connection| connection.is_enabled && connection.models_fetched_at.is_none());
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
        let mut asked = self.inner.catalogs.asked();
        let last = asked.get(&connection.id);
        if let Some(last) = last.filter(|last| now.since(last.begun_at) < AGAIN) {
            return last.clone();
        }
        let (end, ended) = watch::channel(());
        let reading = Reading { begun_at: now, is_first: last.is_none(), ended };
        asked.insert(connection.id, reading.clone());
        let (engine, scope, id) = (self.clone(), *scope, connection.id);
        self.inner.tasks.spawn(async move {
            // A failure is kept in the connection's status.
            let _ = engine.models(&scope).refresh(id).await;
            drop(end);
        });
        reading
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

impl Models<'_> {
    /// All models of the enabled connections, by connection and model. Lists
    /// never read are read now, old ones in the background.
    ///
    /// # Errors
    /// What the store says; a server that cannot be reached is no error.
    pub async fn list(&self) -> Result<Vec<OfferedModel>> {
        let (engine, scope) = (self.engine, &self.scope);
        let mut catalog = engine.catalog(scope).await?;
        if catalog.connections.iter().any(|c| c.is_enabled && c.models_fetched_at.is_none()) {
            engine.refresh_unread(scope, &catalog).await;
            catalog = engine.catalog(scope).await?;
        }
        let now = engine.inner.sources.now();
        let old = |connection: &&std::sync::Arc<Connection>| {
            connection.is_enabled && connection.models_fetched_at.is_some_and(|at| now.since(at) > OLD)
        };
        for connection in catalog.connections.iter().filter(old) {
            engine.refresh_soon(scope, connection);
        }
        Ok(offered(&catalog))
    }

    /// One offered model by its `CONNECTION/MODEL` id or bare name.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Invalid` if a bare name is several's.
    pub async fn get(&self, id: &str) -> Result<OfferedModel> {
        let all = self.list().await?;
        if let Some(model) = all.iter().find(|model| model.id == id) {
            return Ok(model.clone());
        }
        let mut named = all.iter().filter(|model| model.model_id == id);
        match (named.next(), named.next()) {
            (Some(model), None) => Ok(model.clone()),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "several connections have a model `{id}`; name it `CONNECTION/{id}`"
            ))),
            _ => Err(Error::missing("model", format!("`{}`", crate::text::shorten(id, 200)))),
        }
    }

    /// Switches a model on or off for everybody who sees its connection.
    ///
    /// # Errors
    /// `NotFound` if there is no such model; what the store says.
    pub async fn set_active(&self, id: &str, is_active: bool) -> Result<OfferedModel> {
        let model = self.get(id).await?;
        let store = &self.engine.inner.stores.models;
        store.set_active(&self.scope, model.connection_id, &model.model_id, is_active).await?;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        Ok(OfferedModel { is_active, ..model })
    }

    /// Reads the connection's list from its server now. A list that cannot be
    /// read, or is empty, leaves the last good one and marks it as stale.
    ///
    /// # Errors
    /// `NotFound` if there is no such connection; what the server or store says.
    pub async fn refresh(&self, connection: ConnectionId) -> Result<Vec<OfferedModel>> {
        let engine = self.engine;
        let found = engine.inner.stores.connections.get(&self.scope, connection).await?;
        let listed = match engine.endpoint(&self.scope, &found) {
            Ok(endpoint) => engine.inner.provider(found.provider)?.models(&endpoint).await,
            Err(error) => Err(error),
        };
        let outcome = match listed {
            Ok(listed) if listed.is_empty() => {
                Err(Error::upstream(format!("connection `{}`: the server lists no models", found.name)))
            }
            other => other,
        };
        let admin = Scope { role: Role::Admin, ..self.scope };
        match outcome {
            Ok(listed) => {
                let models: Vec<_> = listed.into_iter().map(|model| row(connection, model)).collect();
                let now = engine.inner.sources.now();
                engine.inner.stores.models.replace(&admin, connection, &models, now).await?;
                engine.inner.catalogs.forget(self.scope.tenant);
                Ok(offered(&*engine.catalog(&self.scope).await?)
                    .into_iter()
                    .filter(|model| model.connection_id == connection)
                    .collect())
            }
            Err(error) => {
                self.mark_stale(&admin, found, &error).await?;
                Err(error)
            }
        }
    }

    async fn mark_stale(&self, admin: &Scope, found: Connection, error: &Error) -> Result<()> {
        let inner = &self.engine.inner;
        let status = match error.reason() {
            Some(ErrorReason::KeyRefused | ErrorReason::KeyUnavailable | ErrorReason::NoEncryptionKey) => {
                ConnectionStatus::NeedsKey
            }
            _ => ConnectionStatus::Unreachable,
        };
        let read_at = found.updated_at;
        let now = inner.sources.now();
        let marked = Connection { status, stale_since: found.stale_since.or(Some(now)), ..found };
        match inner.stores.connections.update(admin, &marked, read_at).await {
            // Somebody changed or deleted it meanwhile: what they did counts.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            outcome => outcome.map(|()| inner.catalogs.forget(self.scope.tenant)),
        }
    }
}

fn row(connection_id: ConnectionId, listed: ListedModel) -> Model {
    Model {
        connection_id,
        name: if listed.name.is_empty() { listed.id.clone() } else { listed.name },
        model_id: listed.id,
        context_window: listed.context_window,
        capabilities: listed.capabilities,
        is_active: true,
        prices: listed.prices,
    }
}

fn offered(catalog: &Catalog) -> Vec<OfferedModel> {
    let mut offered: Vec<_> = catalog
        .models
        .iter()
        .filter_map(|model| {
            let connection = catalog.connection(model.connection_id).filter(|c| c.is_enabled)?;
            // What is no model comes last: clients take the first one they see.
            let is_last = connection.provider == ProviderKind::Builtin;
            Some((is_last, OfferedModel::new(connection, model.clone())))
        })
        .collect();
    offered.sort_by(|(a_last, a), (b_last, b)| (a_last, &a.id).cmp(&(b_last, &b.id)));
    offered.into_iter().map(|(_, model)| model).collect()
}
