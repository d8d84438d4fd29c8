//! From a stored connection to the server that is called, with its key opened.

use uuid::Uuid;

use super::Engine;
use crate::connection::{Connection, origin};
use crate::error::{Error, ErrorReason, Result};
use crate::provider::{AddressRule, AddressSource, Endpoint};
use crate::scope::Scope;
use crate::sealing::{Binding, SecretKind};

impl Engine {
    /// The server of a connection, with its key opened.
    ///
    /// # Errors
    /// `Unavailable` if its key cannot be used here; `Upstream` if it has none and
    /// needs one.
    pub(super) async fn endpoint(&self, scope: &Scope, connection: &Connection) -> Result<Endpoint> {
        let configured = self
            .inner
            .configured
            .iter()
            .find(|c| connection.is_shared && c.name == connection.name && c.url == connection.url);
        let mut settings = connection.settings.clone();
        let api_key = match (&connection.sealed_key, configured) {
            (Some(sealed), _) => {
                let keys = self.inner.keys.as_ref().ok_or_else(no_keys)?;
                let origin = origin(connection.url.as_deref());
                Some(keys.open(sealed, &binding(scope, connection, &origin)).await?)
            }
            (None, Some(configured)) => {
                // The operator's key takes the operator's way: a tenant's admin may change the
                // row's settings, and a proxy of theirs would read it.
                settings.proxy.clone_from(&configured.settings.proxy);
                configured.api_key.clone()
            }
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
        if api_key.is_none() && self.needs_key(connection) {
            return Err(Error::upstream(format!(
                "connection `{}` has no key, and its server answers nobody without one; put one into the \
                 connection",
                connection.name
            ))
            .with_reason(ErrorReason::KeyRefused));
        }
        Ok(Endpoint {
            name: connection.name.clone(),
            provider: connection.provider.clone(),
            url: connection.url.clone().unwrap_or_default(),
            address_source: match configured {
                Some(_) => AddressSource::Operator,
                None => AddressSource::Untrusted,
            },
            api_key,
            settings,
        })
    }

    /// Whether the connection's server is the one that the provider says needs a
    /// key: another one at an address of its own may need none.
    fn needs_key(&self, connection: &Connection) -> bool {
        let profile = self.inner.providers.profile(&connection.provider);
        match &profile.address {
            AddressRule::Default(url) => profile.needs_key && connection.url.as_deref() == Some(url.as_ref()),
            _ => false,
        }
    }
}

/// What a connection's key is sealed for.
pub(super) fn binding<'a>(scope: &Scope, connection: &Connection, origin: &'a str) -> Binding<'a> {
    let owner = match connection.workspace_id {
        // Whoever made it: who that is may change.
        Some(workspace) => workspace.uuid(),
        None if connection.is_shared => scope.tenant.uuid(),
        None => scope.user.uuid(),
    };
    row_binding(SecretKind::ConnectionKey, connection.id.uuid(), owner, origin)
}

/// What the secret of a row is sealed for.
pub(super) fn row_binding(kind: SecretKind, row: Uuid, owner: Uuid, origin: &str) -> Binding<'_> {
    let (table, column) = kind.place();
    Binding { purpose: kind.purpose(), table, column, row, owner, origin }
}

pub(super) fn no_keys() -> Error {
    Error::unavailable("no encryption key is configured, so no key of a connection can be kept")
        .with_reason(ErrorReason::NoEncryptionKey)
}
