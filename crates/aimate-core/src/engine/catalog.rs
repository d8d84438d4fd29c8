//! Which models a user has: the connections and model lists of a scope, kept in
//! memory for a few seconds so that a call need not ask the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Engine;
use super::model::Reading;
use crate::clock::Timestamp;
use crate::connection::{Connection, NewConnection, ProviderKind, origin};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::id::{ConnectionId, TenantId, UserId};
use crate::model::{Capability, Model};
use crate::page::PageRequest;
use crate::provider::Endpoint;
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
    /// When each connection's model list was last asked for, well or not.
    asked: Mutex<HashMap<ConnectionId, Reading>>,
    /// How often something was forgotten: what was read before that is old.
    changes: AtomicU64,
}

impl Catalogs {
    pub(super) fn asked(&self) -> MutexGuard<'_, HashMap<ConnectionId, Reading>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
#[derive(Debug)]
pub(super) struct Catalog {
    read_at: Timestamp,
    pub(super) connections: Vec<Arc<Connection>>,
    pub(super) models: Vec<Model>,
}

/// A model that a call goes to.
#[derive(Clone, Debug)]
pub(super) struct ResolvedModel {
    pub(super) connection: Arc<Connection>,
    /// What the connection's list says of it, if it has one.
    pub(super) model: Option<Model>,
    /// The server's own id of it.
    pub(super) model_id: String,
}

impl ResolvedModel {
    /// `CONNECTION/MODEL`.
    pub(super) fn label(&self) -> String {
        format!("{}/{}", self.connection.name, self.model_id)
    }
}

/// Why no model was found.
enum Miss {
    /// It may be there since the list was read.
    Unlisted(Arc<Connection>, Error),
    Final(Error),
}

impl Catalog {
    fn enabled(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.connections.iter().filter(|connection| connection.is_enabled)
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    fn has_models(&self, connection: &Connection) -> bool {
        self.models.iter().any(|model| model.connection_id == connection.id)
    }

    fn find(&self, name: &str) -> Result<ResolvedModel, Miss> {
        let named = name.split_once('/').and_then(|(connection, model)| {
            Some((self.connections.iter().find(|known| known.name == connection)?, model))
        });
        match named {
            Some((connection, model)) => self.find_in(connection, model),
            None => self.find_bare(name),
        }
    }

    fn find_in(&self, connection: &Arc<Connection>, model_id: &str) -> Result<ResolvedModel, Miss> {
        let name = &connection.name;
        if !connection.is_enabled {
            return Err(Miss::Final(Error::not_found(format!(
                "the connection `{name}` is disabled; enable it first"
            ))));
        }
        let target =
            |model| ResolvedModel { connection: connection.clone(), model, model_id: model_id.to_owned() };
        let listed = self
            .models
            .iter()
            .find(|model| model.connection_id == connection.id && model.model_id == model_id);
        match listed {
            Some(model) if model.is_active => Ok(target(Some(model.clone()))),
            Some(_) => Err(Miss::Final(Error::not_found(format!(
                "the model `{name}/{model_id}` is disabled; enable it with `POST /api/v1/models/{name}/{model_id}/enable`"
            )))),
            // A server without a model list may have any model.
            None if model_id.is_empty() || self.has_models(connection) => Err(Miss::Unlisted(
                connection.clone(),
                Error::not_found(format!(
                    "the connection `{name}` has no model `{model_id}`; `GET /api/v1/models` lists what there is"
                )),
            )),
            None => Ok(target(None)),
        }
    }

    fn find_bare(&self, name: &str) -> Result<ResolvedModel, Miss> {
        let having: Vec<_> = self
            .enabled()
            .filter(|connection| {
                self.models.iter().any(|model| model.connection_id == connection.id && model.model_id == name)
            })
            .collect();
        match having.as_slice() {
            [connection] => self.find_in(connection, name),
            [] => {
                let mut unknown =
                    self.enabled().filter(|c| c.provider != ProviderKind::Builtin && !self.has_models(c));
                match (unknown.next(), unknown.next()) {
                    (Some(only), None) => self.find_in(only, name),
                    _ => Err(self.no_such_model(name)),
                }
            }
            several => Err(Miss::Final(Error::invalid(format!(
                "several connections have a model `{name}`; say which: {}",
                several.iter().map(|c| format!("`{}/{name}`", c.name)).collect::<Vec<_>>().join(", ")
            )))),
        }
    }

    fn no_such_model(&self, name: &str) -> Miss {
        let error = Error::not_found(format!(
            "there is no model `{}`; `GET /api/v1/models` lists what there is, as `CONNECTION/MODEL`",
            crate::text::shorten(name, 200)
        ));
        match self.enabled().find(|connection| connection.provider != ProviderKind::Builtin) {
            Some(connection) => Miss::Unlisted(connection.clone(), error),
            None => Miss::Final(error),
        }
    }

    /// The model of a turn that names none: the first active one that can chat,
    /// of the preferred kind first, `builtin` last.
    fn default_target(&self, preferred: Option<ProviderKind>) -> Result<ResolvedModel> {
        let chats = |model: &&Model| {
            model.is_active
                && (model.capabilities.is_empty() || model.capabilities.contains(&Capability::Chat))
        };
        let mut connections: Vec<_> = self.enabled().collect();
        connections.sort_by_key(|c| {
            (Some(c.provider) != preferred, c.provider == ProviderKind::Builtin, c.created_at, c.id)
        });
        connections
            .into_iter()
            .find_map(|connection| {
                let model =
                    self.models.iter().filter(chats).find(|model| model.connection_id == connection.id)?;
                Some(ResolvedModel {
                    connection: connection.clone(),
                    model: Some(model.clone()),
                    model_id: model.model_id.clone(),
                })
            })
            .ok_or_else(|| {
                Error::not_found("there is no model; add a connection with `POST /api/v1/connections`")
            })
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
        let models = inner.stores.models.list(scope).await?;
        let catalog = Arc::new(Catalog {
            read_at: now,
            connections: connections.into_iter().map(Arc::new).collect(),
            models,
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
        // A user's own connection hides the shared one of the same name.
        all.sort_by(|a, b| (&a.name, a.is_shared).cmp(&(&b.name, b.is_shared)));
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
                    self.inner.stores.connections.update(&admin, &moved, stored.updated_at).await
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
            provider: wanted.provider,
            url: wanted.url.clone(),
            has_key: wanted.api_key.is_some(),
            key_hint: wanted.api_key.as_ref().and_then(crate::Secret::hint),
            sealed_key: None,
            is_enabled: wanted.is_enabled,
            is_shared: true,
            settings: wanted.settings.clone(),
            status: crate::connection::ConnectionStatus::Unknown,
            models_fetched_at: None,
            stale_since: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The model that `name` means in this scope, or the default one. A name
    /// that is not known is looked for once more at its server.
    pub(super) async fn target(&self, scope: &Scope, name: Option<&str>) -> Result<ResolvedModel> {
        let catalog = self.catalog(scope).await?;
        let Some(name) = name else {
            let preferred = self.inner.preferred;
            let settled = |target: &ResolvedModel| {
                let kind = target.connection.provider;
                kind != ProviderKind::Builtin || preferred == Some(kind)
            };
            return match catalog.default_target(preferred) {
                Ok(target) if settled(&target) => Ok(target),
                other => {
                    self.refresh_unread(scope, &catalog).await;
                    self.catalog(scope).await?.default_target(preferred).or(other)
                }
            };
        };
        match catalog.find(name) {
            Ok(target) if target.model.is_some() => Ok(target),
            // A server without a list is asked for one now and then, but only
            // the first call waits.
            Ok(target) => {
                self.refresh_once(scope, &target.connection).await;
                match self.catalog(scope).await?.find(name) {
                    Ok(target) => Ok(target),
                    Err(Miss::Unlisted(_, error) | Miss::Final(error)) => Err(error),
                }
            }
            Err(Miss::Final(error)) => Err(error),
            Err(Miss::Unlisted(connection, error)) => {
                self.refresh_soon(scope, &connection).wait().await;
                self.catalog(scope).await?.find(name).map_err(|_| error)
            }
        }
    }

    /// The server of a target, with its key opened.
    pub(super) fn endpoint(&self, scope: &Scope, connection: &Connection) -> Result<Endpoint> {
        let configured = self
            .inner
            .configured
            .iter()
            .find(|c| connection.is_shared && c.name == connection.name && c.url == connection.url);
        let api_key = match (&connection.sealed_key, configured) {
            (Some(sealed), _) => {
                let keys = self.inner.keys.as_ref().ok_or_else(no_keys)?;
                Some(keys.open(sealed, &binding(scope, connection, &origin(connection.url.as_deref())))?)
            }
            (None, Some(configured)) => configured.api_key.clone(),
            (None, None) if connection.has_key => {
                return Err(Error::unavailable(format!(
                    "the key of connection `{}` was configured and never stored, and is not configured any \
                     more; configure it again or store one",
                    connection.name
                ))
                .with_reason(ErrorReason::KeyUnavailable));
            }
            (None, None) => None,
        };
        Ok(Endpoint {
            name: connection.name.clone(),
            provider: connection.provider,
            url: connection.url.clone().unwrap_or_default(),
            api_key,
            settings: connection.settings.clone(),
        })
    }
}

/// What a connection's key is sealed for.
pub(super) fn binding<'a>(scope: &Scope, connection: &Connection, origin: &'a str) -> crate::Binding<'a> {
    crate::Binding {
        table: "connections",
        column: "sealed_key",
        row: connection.id.uuid(),
        owner: if connection.is_shared { scope.tenant.uuid() } else { scope.user.uuid() },
        origin,
    }
}

pub(super) fn no_keys() -> Error {
    Error::unavailable("no encryption key is configured, so no key of a connection can be kept")
        .with_reason(ErrorReason::NoEncryptionKey)
}
