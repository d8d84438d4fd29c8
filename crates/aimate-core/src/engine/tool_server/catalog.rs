//! The tool servers of a scope and what they list, kept in memory for a few seconds so that
//! a turn need not ask the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::Engine;
use super::listing::ToolReadings;
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::id::{TenantId, ToolServerId, UserId};
use crate::page::PageRequest;
use crate::scope::{Role, Scope};
use crate::tool::{ServerTools, ToolServer, by_name};

/// How long it may be older than the database: another process may have changed it.
const FRESH: Duration = Duration::from_secs(5);
/// Catalogs kept at most.
const MAX_CATALOGS: usize = 10_000;
/// Lists of tools kept at most: each may be a megabyte.
const MAX_LISTS: usize = 100;

/// What is known of tool servers.
#[derive(Default)]
pub(in crate::engine) struct ToolCatalogs {
    known: Mutex<KnownCatalogs>,
    /// How often something was forgotten: what was read before that is old.
    changes: AtomicU64,
    /// The reading of lists from their servers.
    pub(super) readings: ToolReadings,
}

#[derive(Default)]
struct KnownCatalogs {
    catalogs: HashMap<(TenantId, UserId), Arc<ToolCatalog>>,
    lists: HashMap<(TenantId, ToolServerId), (Timestamp, Arc<ServerTools>)>,
}

/// The tool servers of one scope; of several of a name, the first is the one that it means.
pub(super) struct ToolCatalog {
    read_at: Timestamp,
    pub(super) servers: Vec<ToolServer>,
}

impl ToolCatalogs {
    fn known(&self) -> MutexGuard<'_, KnownCatalogs> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what a tenant's users have: something changed.
    pub(in crate::engine) fn forget(&self, tenant: TenantId) {
        let mut known = self.known();
        self.changes.fetch_add(1, Ordering::AcqRel);
        known.catalogs.retain(|(other, _), _| *other != tenant);
        known.lists.retain(|(other, _), _| *other != tenant);
    }
}

impl Engine {
    /// The scope's tool servers, as they were at most a few seconds ago.
    pub(super) async fn tool_catalog(&self, scope: &Scope) -> Result<Arc<ToolCatalog>> {
        let (inner, key) = (&self.inner, (scope.tenant, scope.user));
        let now = inner.sources.now();
        let known = inner.tool_catalogs.known().catalogs.get(&key).cloned();
        if let Some(catalog) = known
            && now.since(catalog.read_at) < FRESH
        {
            return Ok(catalog);
        }
        let changes = inner.tool_catalogs.changes.load(Ordering::Acquire);
        let mut servers = self.all_tool_servers(scope).await?;
        if self.add_configured_tool_servers(scope, &servers).await? {
            servers = self.all_tool_servers(scope).await?;
        }
        by_name(&mut servers);
        let catalog = Arc::new(ToolCatalog { read_at: now, servers });
        let mut known = inner.tool_catalogs.known();
        if known.catalogs.len() >= MAX_CATALOGS {
            known.catalogs.clear();
        }
        // Something may have changed while this was read.
        if inner.tool_catalogs.changes.load(Ordering::Acquire) == changes {
            known.catalogs.insert(key, catalog.clone());
        }
        Ok(catalog)
    }

    /// What a server of the scope's catalog lists, as it was at most a few seconds ago.
    pub(super) async fn known_tools(&self, scope: &Scope, server: ToolServerId) -> Result<Arc<ServerTools>> {
        let (inner, key) = (&self.inner, (scope.tenant, server));
        let now = inner.sources.now();
        let known = inner.tool_catalogs.known().lists.get(&key).cloned();
        if let Some((read_at, tools)) = known
            && now.since(read_at) < FRESH
        {
            return Ok(tools);
        }
        let changes = inner.tool_catalogs.changes.load(Ordering::Acquire);
        let tools = Arc::new(inner.stores.tool_servers.tools(scope, server).await?);
        let mut known = inner.tool_catalogs.known();
        if known.lists.len() >= MAX_LISTS {
            known.lists.clear();
        }
        if inner.tool_catalogs.changes.load(Ordering::Acquire) == changes {
            known.lists.insert(key, (now, tools.clone()));
        }
        Ok(tools)
    }

    async fn all_tool_servers(&self, scope: &Scope) -> Result<Vec<ToolServer>> {
        let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
        let mut all = Vec::new();
        loop {
            let found = self.inner.stores.tool_servers.list(scope, page).await?;
            all.extend(found.data);
            match found.next {
                Some(next) => page.after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Stores the builder's servers that this tenant does not have yet, and moves those whose
    /// address or authorization changed. Returns whether anything was stored.
    async fn add_configured_tool_servers(&self, scope: &Scope, known: &[ToolServer]) -> Result<bool> {
        let admin = Scope { role: Role::Admin, ..*scope };
        let store = &self.inner.stores.tool_servers;
        let mut changed = false;
        for wanted in &self.inner.configured_tools {
            let row = wanted.row(self.inner.sources.id(), self.inner.sources.now());
            let stored = known.iter().find(|one| one.is_shared && one.name == wanted.name());
            let outcome = match stored {
                // Of an admin of the tenant, who took the name first.
                Some(stored) if !stored.is_configured => continue,
                Some(stored) if stored.url == row.url && stored.auth_type == row.auth_type => continue,
                Some(stored) => {
                    let moved = ToolServer { id: stored.id, is_enabled: stored.is_enabled, ..row };
                    store.update(&admin, stored, &moved).await
                }
                None => store.create(&admin, &row).await,
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
}
