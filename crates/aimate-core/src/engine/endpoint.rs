//! From a stored connection to the server that is called, with its key opened.

use super::Engine;
use crate::connection::{Connection, origin};
use crate::error::{Error, ErrorReason, Result};
use crate::keyring::Binding;
use crate::provider::{AddressRule, Endpoint};
use crate::scope::Scope;

impl Engine {
    /// The server of a connection, with its key opened.
    ///
    /// # Errors
    /// `Unavailable` if its key cannot be used here; `Upstream` if it has none and
    /// needs one.
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
            api_key,
            settings: connection.settings.clone(),
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
    Binding {
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
