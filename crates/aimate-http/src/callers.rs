//! Where a router learns who asks.

use std::sync::Arc;

use aimate_core::{Result, Scope};
use async_trait::async_trait;
use http::request::Parts;

/// Where a router learns who asks. Whoever is not known gets `401`; no request
/// ever falls back to the user of local mode.
///
/// `/health`, `/ready`, `/metrics`, `/openapi.json` and `/docs` tell nothing of any
/// user and need no caller; nor does `/api/v1/shared/{token}`, whose token is the secret of
/// a link that a user made for everybody who has it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Callers {
    /// The [`Scope`] that a middleware of the application put into the request's
    /// extensions.
    #[default]
    Extension,
    /// What this says of each request.
    Resolver(Arc<dyn ScopeResolver>),
    /// Local mode: one user, no login. Any credential is ignored, since SDKs insist
    /// on sending one. Only for a server on the loopback interface.
    Local,
    /// Accounts: whoever shows an access token of a session or an API token, as
    /// `Authorization: Bearer`, `x-api-key` or, of a browser, a cookie. The router has the
    /// routes `/api/v1/auth/…`, `/api/v1/users` and `/api/v1/invites` too, which need no
    /// caller where one registers, signs in or renews.
    #[cfg(feature = "accounts")]
    Accounts(aimate_accounts::Accounts),
}

impl Callers {
    /// Whether this is local mode.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// Whether these are accounts.
    pub(crate) fn are_accounts(&self) -> bool {
        #[cfg(feature = "accounts")]
        return matches!(self, Self::Accounts(_));
        #[cfg(not(feature = "accounts"))]
        false
    }
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Extension => "Extension",
            Self::Resolver(_) => "Resolver(..)",
            Self::Local => "Local",
            #[cfg(feature = "accounts")]
            Self::Accounts(_) => "Accounts(..)",
        })
    }
}

/// Says who sent a request, for applications that have no middleware of their own
/// around the router.
///
/// ```
/// use aimate_core::{Result, Scope};
/// use aimate_http::ScopeResolver;
///
/// struct Sessions(std::collections::HashMap<String, Scope>);
///
/// #[aimate_http::async_trait]
/// impl ScopeResolver for Sessions {
///     async fn resolve(&self, head: &http::request::Parts) -> Result<Option<Scope>> {
///         let session = head.headers.get("x-session").and_then(|value| value.to_str().ok());
///         Ok(session.and_then(|session| self.0.get(session).copied()))
///     }
/// }
/// ```
#[async_trait]
pub trait ScopeResolver: Send + Sync {
    /// Who sent the request with this head; `None` if nobody who is known, which
    /// becomes `401`. It is called before the body is read, once for each request.
    ///
    /// # Errors
    /// What the caller is told, such as `Forbidden`.
    async fn resolve(&self, head: &Parts) -> Result<Option<Scope>>;
}
