//! Managing a user's connections.

use serde::Serialize;

use super::Engine;
use super::access::{may_change, owner};
use super::endpoint::{binding, no_keys};
use crate::audit::{AuditEvent, action};
use crate::connection::{
    Connection, ConnectionChange, ConnectionStatus, NewConnection, check_name, check_settings, clean_key,
    origin, validated_url,
};
use crate::error::{Error, Result};
use crate::id::ConnectionId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::workspace::WorkspaceRole;

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionTest {
    /// Whether the server answered with its models.
    pub ok: bool,
    /// How long that took.
    pub latency_ms: u64,
    /// The server's own ids of its models.
    pub models: Vec<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The connections of a scope; see [`Engine::connections`].
#[derive(Clone, Debug)]
pub struct Connections {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The connections that `scope` sees.
    pub fn connections(&self, scope: &Scope) -> Connections {
        Connections { engine: self.clone(), scope: *scope }
    }
}

impl Engine {
    /// Refuses to change a connection that is shared, unless to an admin, and one of a
    /// workspace, unless to its owners: also to an admin, who may as little there as others.
    pub(super) async fn may_change_connection(&self, scope: &Scope, connection: &Connection) -> Result<()> {
        may_change(scope, connection.is_shared, "connection")?;
        let Some(workspace) = connection.workspace_id else { return Ok(()) };
        match self.inner.stores.workspaces.get(scope, workspace).await?.role {
            WorkspaceRole::Owner => Ok(()),
            _ => Err(Error::forbidden("the connection is of a workspace; only owners of it change it")),
        }
    }
}

impl Connections {
    /// Stores a connection of the user, of a workspace, or of all users of the tenant. Its models are read when they are first
    /// asked for, or by [`Connections::test`].
    ///
    /// # Errors
    /// `Invalid`, `Conflict` if its owner has one of that name, `Forbidden` if it is to
    /// be shared and the scope is no admin's, or to be of a workspace that the user is no owner of, `Unavailable` if it has a key and no encryption key is configured.
    pub async fn create(&self, new: NewConnection) -> Result<Connection> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let new = inner.providers.validated(new)?;
        let now = inner.sources.now();
        owner(&self.scope, new.shared, "a connection")?;
        let mut connection = Connection {
            id: inner.sources.id(),
            name: new.name,
            provider: new.provider,
            url: new.url,
            has_key: false,
            key_hint: None,
            sealed_key: None,
            is_enabled: new.is_enabled,
            is_shared: new.shared,
            workspace_id: new.workspace_id,
            settings: new.settings,
            status: ConnectionStatus::Unknown,
            models_fetched_at: None,
            stale_since: None,
            created_at: now,
            updated_at: now,
        };
        self.set_key(&mut connection, new.api_key).await?;
        inner.stores.connections.create(&self.scope, &connection).await?;
        inner.catalogs.forget(self.scope.tenant);
        self.audit(action::CONNECTION_CREATED, &connection).await;
        Ok(connection)
    }

    /// One connection.
    ///
    /// # Errors
    /// `NotFound` if the user sees none with this id.
    pub async fn get(&self, id: ConnectionId) -> Result<Connection> {
        self.engine.admit(&self.scope).await?;
        let stored = self.engine.inner.stores.connections.get(&self.scope, id).await?;
        Ok(self.shown(stored).await)
    }

    /// The user's own connections, those of their workspaces and the shared ones, by name.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<Connection>> {
        self.engine.admit(&self.scope).await?;
        // Reading the catalog stores configured connections that are new here.
        self.engine.catalog(&self.scope).await?;
        let mut listed = self.engine.inner.stores.connections.list(&self.scope, page).await?;
        for connection in &mut listed.data {
            *connection = self.shown(connection.clone()).await;
        }
        Ok(listed)
    }

    /// Changes a connection. A new origin, or another proxy to an address that is not
    /// `https:`, drops the key unless a new key comes with it: a key never goes to a server
    /// it was not given for.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Forbidden` if it is shared and the scope is no admin's, or a
    /// workspace's and the user is no owner there, `Conflict` if the name is taken or somebody changed it at the same time.
    pub async fn update(&self, id: ConnectionId, change: ConnectionChange) -> Result<Connection> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let stored = inner.stores.connections.get(&self.scope, id).await?;
        self.engine.may_change_connection(&self.scope, &stored).await?;
        let mut next = Connection { updated_at: inner.sources.now(), ..stored.clone() };
        if let Some(name) = change.name {
            check_name(&name)?;
            next.name = name;
        }
        if let Some(url) = change.url {
            next.url = validated_url(&inner.providers.profile(&next.provider).address, Some(&url))?;
        }
        next.is_enabled = change.is_enabled.unwrap_or(next.is_enabled);
        if let Some(settings) = change.settings {
            settings.check()?;
            next.settings = settings;
        }
        let moved = is_moved(&stored, &next);
        check_settings(&next.settings)?;
        let is_given = change.api_key.is_some();
        if is_given || moved {
            self.set_key(&mut next, clean_key(change.api_key)?).await?;
        } else {
            self.renew_key(&mut next).await;
        }
        if moved || is_given {
            next.status = ConnectionStatus::Unknown;
        }
        inner.stores.connections.update(&self.scope, &stored, &next).await?;
        inner.catalogs.forget(self.scope.tenant);
        if is_given || moved {
            match (stored.has_key, next.has_key) {
                (false, false) => {}
                (_, true) => self.audit(action::KEY_SET, &next).await,
                (true, false) => self.audit(action::KEY_REMOVED, &next).await,
            }
        }
        Ok(self.shown(next).await)
    }

    /// Deletes a connection and its models. A configured one comes back when
    /// the process starts again with it.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if it is shared and the scope is no admin's, or a workspace's
    /// and the user is no owner there.
    pub async fn delete(&self, id: ConnectionId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let store = &self.engine.inner.stores.connections;
        self.engine.may_change_connection(&self.scope, &store.get(&self.scope, id).await?).await?;
        store.delete(&self.scope, id).await?;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        let event = AuditEvent::new(action::CONNECTION_DELETED).target("connection", id);
        self.engine.audit_of(&self.scope, event).await;
        Ok(())
    }

    /// Asks the server for its models, keeps the list, and says how it went.
    ///
    /// # Errors
    /// `NotFound`; the result says whether the server failed.
    pub async fn test(&self, id: ConnectionId) -> Result<ConnectionTest> {
        self.engine.admit(&self.scope).await?;
        self.get(id).await?;
        let begun = tokio::time::Instant::now();
        let outcome = self.engine.models(&self.scope).refresh(id).await;
        let latency_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        Ok(match outcome {
            Ok(models) => ConnectionTest {
                ok: true,
                latency_ms,
                models: models.into_iter().map(|model| model.model_id).collect(),
                error: None,
            },
            Err(error) => ConnectionTest {
                ok: false,
                latency_ms,
                models: Vec::new(),
                error: Some(error.message().to_owned()),
            },
        })
    }

    /// Records what was done to a connection: where it leads and who has it, not its key.
    async fn audit(&self, action: &str, connection: &Connection) {
        let event = AuditEvent::new(action)
            .target("connection", connection.id)
            .detail("origin", origin(connection.url.as_deref()))
            .detail("has_key", connection.has_key)
            .detail("is_shared", connection.is_shared);
        self.engine.audit_of(&self.scope, event).await;
    }

    async fn set_key(&self, connection: &mut Connection, key: Option<Secret>) -> Result<()> {
        let key = key.filter(|key| !key.expose().is_empty());
        connection.has_key = key.is_some();
        connection.key_hint = key.as_ref().and_then(Secret::hint);
        connection.sealed_key = match key {
            None => None,
            Some(key) => {
                let keys = self.engine.inner.keys.as_ref().ok_or_else(no_keys)?;
                let origin = origin(connection.url.as_deref());
                Some(keys.seal(&key, &binding(&self.scope, connection, &origin)).await?)
            }
        };
        Ok(())
    }

    /// Seals the key with the active encryption key if it is sealed with an older one, as the
    /// row is written anyway. What cannot be opened stays as it is.
    async fn renew_key(&self, connection: &mut Connection) {
        let (Some(keys), Some(sealed)) = (&self.engine.inner.keys, &connection.sealed_key) else { return };
        let is_active = |ids: &[u32]| ids.first() == Some(&sealed.key_id);
        if keys.key_ids().await.is_ok_and(|ids| is_active(&ids)) {
            return;
        }
        let origin = origin(connection.url.as_deref());
        let binding = binding(&self.scope, connection, &origin);
        let Ok(key) = keys.open(sealed, &binding).await else { return };
        if let Ok(renewed) = keys.seal(&key, &binding).await {
            connection.sealed_key = Some(renewed);
        }
    }

    /// The connection as its user is shown it: one whose key this process has no encryption
    /// key for needs it again.
    async fn shown(&self, connection: Connection) -> Connection {
        let Some(sealed) = &connection.sealed_key else { return connection };
        let is_usable = match &self.engine.inner.keys {
            // Whether the provider has it is not known while it does not answer.
            Some(keys) => keys.key_ids().await.map_or(true, |ids| ids.contains(&sealed.key_id)),
            None => false,
        };
        if is_usable { connection } else { Connection { status: ConnectionStatus::NeedsKey, ..connection } }
    }
}

/// Whether a key of `stored` would be read by another server at `next`: one at another
/// origin, or a proxy in between that sees what is not encrypted.
fn is_moved(stored: &Connection, next: &Connection) -> bool {
    let (from, to) = (origin(stored.url.as_deref()), origin(next.url.as_deref()));
    let is_open = stored.sealed_key.is_some() && !to.starts_with("https:");
    from != to || is_open && stored.settings.proxy != next.settings.proxy
}
