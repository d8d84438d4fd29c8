//! OAuth 2.1 at servers that want a login: whose tokens are sent where, and how they are got.
//!
//! Metadata of authorization servers comes over the guarded client. A token is kept under its
//! issuer and sent to the server that it was got for, and to no other; nothing else that a user
//! or a provider has is.

mod access;
mod login;
mod oauth_http;
mod probe;
mod record;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aimate_core::ToolServerId;
use aimate_core::tool::{ToolAccess, ToolEndpoint};
use aimate_providers::Transport;

pub(super) use access::Access;
pub(super) use probe::probe;

use super::errors::has_authorization;
use super::pool::{Key, key};

/// Users and servers whose logins are kept in memory.
const MAX_KEPT: usize = 4_096;

/// The logins of all users at all servers.
pub(super) struct Logins {
    transport: Transport,
    client_metadata_url: Option<String>,
    kept: Mutex<HashMap<Key, Arc<Access>>>,
}

impl Logins {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, client_metadata_url: None, kept: Mutex::default() }
    }

    pub(super) fn client_metadata_url(self, url: String) -> Self {
        Self { client_metadata_url: Some(url), ..self }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Arc<Access>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the endpoint's user has at its server. `None` where tokens of a login are never
    /// sent: the server has no place for them, or an authorization is set for it.
    pub(super) fn access(&self, endpoint: &ToolEndpoint) -> Option<Arc<Access>> {
        let ToolAccess::Http { url, source, headers, tokens: Some(tokens) } = &endpoint.access else {
            return None;
        };
        if has_authorization(headers.keys()) {
            return None;
        }
        let (key, mut kept) = (key(endpoint), self.kept());
        if let Some(access) = kept.get(&key).filter(|access| access.is_for(endpoint.version, url, *source)) {
            return Some(access.clone());
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let access = Access::new(&self.transport, endpoint, url, *source, tokens.clone());
        let access = Arc::new(access);
        kept.insert(key, access.clone());
        Some(access)
    }

    /// Forgets what is in memory of all users at a server.
    pub(super) fn forget(&self, id: ToolServerId) {
        self.kept().retain(|key, _| key.2 != id);
    }
}
