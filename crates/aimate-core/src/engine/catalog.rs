//! The connections, model lists and prices of a scope, kept in memory for a few seconds
//! so that a call need not ask the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Engine;
use super::provider::Providers;
use crate::clock::Timestamp;
use crate::connection::{Connection, NewConnection};
use crate::error::{ErrorKind, Result};
use crate::id::{ConnectionId, TenantId, UserId};
use crate::model::Model;
use crate::page::PageRequest;
use crate::price::ModelPrice;
use crate::provider::ProviderProfile;
use crate::scope::{Role, Scope};

/// How long a catalog may be older than the database: another process may have
/// changed it.
const FRESH: Duration = Duration::from_secs(5);
/// Catalogs kept at most.
const MAX_CATALOGS: usize = 10_000;

/// The catalogs of the scopes that were active lately.
#[derive(Default)]
pub(super) struct Catalogs {
    known: Mutex<HashMap<(TenantId, UserId), Arc<Catalog>>>,
    /// How often something was forgotten: what was read before that is old.
    changes: AtomicU64,
}

impl Catalogs {
    fn known(&self) -> MutexGuard<'_, HashMap<(TenantId, UserId), Arc<Catalog>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what a tenant's users have: something changed.
    pub(super) fn forget(&self, tenant: TenantId) {
        let mut known = self.known();
        self.changes.fetch_add(1, Ordering::AcqRel);
        known.retain(|(other, _), _| *other != tenant);
    }
}

/// The connections and models of one scope.
pub(super) struct Catalog {
    read_at: Timestamp,
    pub(super) connections: Vec<Arc<Connection>>,
    pub(super) models: Vec<Model>,
    /// Set by an admin, in force or to come.
    pub(super) prices: Vec<ModelPrice>,
    /// Whether the tenant has budgets: without any, calls need not ask for them.
    pub(super) has_budgets: bool,
    providers: Arc<Providers>,
}

impl Catalog {
    pub(super) fn enabled(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.connections.iter().filter(|connection| connection.is_enabled)
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    /// What the connection's server lists.
    pub(super) fn models_of(&self, connection: &Connection) -> impl Iterator<Item = &Model> {
        let id = connection.id;
        self.models.iter().filter(move |model| model.connection_id == id)
    }

    /// What the connection's provider said of itself.
    pub(super) fn profile(&self, connection: &Connection) -> &ProviderProfile {
        self.providers.profile(&connection.provider)
    }

    /// Whether the connection only stands in where there is no model.
    pub(super) fn is_fallback(&self, connection: &Connection) -> bool {
        self.profile(connection).is_fallback
    }
}

impl Engine {
    /// The scope's catalog, at most a few seconds old.
    pub(super) async fn catalog(&self, scope: &Scope) -> Result<Arc<Catalog>> {
        let (inner, key) = (&self.inner, (scope.tenant, scope.user));
        let now = inner.sources.now();
        let known = inner.catalogs.known().get(&key).cloned();
        if let Some(catalog) = known
            && now.since(catalog.read_at) < FRESH
        {
            return Ok(catalog);
        }
        let changes = inner.catalogs.changes.load(Ordering::Acquire);
        let mut connections = self.all_connections(scope).await?;
        if self.add_configured(scope, &connections).await? {
            connections = self.all_connections(scope).await?;
        }
        connections.retain(|connection| !self.is_left_over(connection));
        let (models, prices, has_budgets) = tokio::try_join!(
            inner.stores.models.list(scope),
            inner.stores.prices.current(scope, now),
            inner.stores.budgets.any(scope),
        )?;
        let catalog = Arc::new(Catalog {
            read_at: now,
            connections: connections.into_iter().map(Arc::new).collect(),
            models,
            prices,
            has_budgets,
            providers: inner.providers.clone(),
        });
        let mut known = inner.catalogs.known();
        if known.len() >= MAX_CATALOGS {
            known.clear();
        }
        // Something may have changed while this was read.
        if inner.catalogs.changes.load(Ordering::Acquire) == changes {
            known.insert(key, catalog.clone());
        }
        Ok(catalog)
    }

    /// Whether an earlier process stored this connection to what stands in for a
    /// model, and this one was not asked to have it.
    fn is_left_over(&self, connection: &Connection) -> bool {
        let is_fallback = self.inner.providers.profile(&connection.provider).is_fallback;
        is_fallback
            && connection.is_shared
            && !self.inner.configured.iter().any(|configured| configured.name == connection.name)
    }

    async fn all_connections(&self, scope: &Scope) -> Result<Vec<Connection>> {
        let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
        let mut all = Vec::new();
        loop {
            let found = self.inner.stores.connections.list(scope, page).await?;
            all.extend(found.data);
            match found.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        // A user's own connection hides that of a workspace of the same name, and both
        // hide the shared one.
        let rank = |one: &Connection| (one.is_shared, one.workspace_id);
        all.sort_by(|a, b| (&a.name, rank(a)).cmp(&(&b.name, rank(b))));
        Ok(all)
    }

    /// Stores the builder's connections that this tenant does not have yet, and
    /// moves those whose address changed. Returns whether anything was stored.
    async fn add_configured(&self, scope: &Scope, known: &[Connection]) -> Result<bool> {
        let admin = Scope { role: Role::Admin, ..*scope };
        let mut changed = false;
        for wanted in &self.inner.configured {
            let stored = known.iter().find(|c| c.is_shared && c.name == wanted.name);
            let outcome = match stored {
                Some(stored) if stored.provider == wanted.provider && stored.url == wanted.url => {
                    continue;
                }
                Some(stored) => {
                    let moved = Connection {
                        id: stored.id,
                        is_enabled: stored.is_enabled,
                        ..self.configured_row(wanted)
                    };
                    self.inner.stores.connections.update(&admin, stored, &moved).await
                }
                None => self.inner.stores.connections.create(&admin, &self.configured_row(wanted)).await,
            };
            match outcome {
                // Another process was first.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                other => other?,
            }
            changed = true;
        }
        Ok(changed)
    }

    fn configured_row(&self, wanted: &NewConnection) -> Connection {
        let now = self.inner.sources.now();
        Connection {
            id: self.inner.sources.id(),
            name: wanted.name.clone(),
            provider: wanted.provider.clone(),
            url: wanted.url.clone(),
            has_key: wanted.api_key.is_some(),
            key_hint: wanted.api_key.as_ref().and_then(crate::Secret::hint),
            sealed_key: None,
            is_enabled: wanted.is_enabled,
            is_shared: true,
            workspace_id: None,
            settings: wanted.settings.clone(),
            status: crate::connection::ConnectionStatus::Unknown,
            models_fetched_at: None,
            stale_since: None,
            created_at: now,
            updated_at: now,
        }
    }
}
