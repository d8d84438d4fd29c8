//! Authentication: the only place that turns a request into the [`Scope`] of who
//! asks.

use std::sync::Arc;

use aimate_core::{Error, Result, Scope};
use async_trait::async_trait;
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::app::App;
use crate::error::Failure;

/// Where a router learns who asks. Whoever is not known gets `401`; no request
/// ever falls back to the user of local mode.
///
/// `/health`, `/ready`, `/metrics`, `/openapi.json` and `/docs` tell nothing of any
/// user and need no caller.
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
}

impl Callers {
    /// Whether this is local mode.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Extension => "Extension",
            Self::Resolver(_) => "Resolver(..)",
            Self::Local => "Local",
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

/// The scope of the caller, from the request head alone, so that no body is read
/// before its sender is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) Scope);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, Failure> {
        let scope = match &app.options.callers {
            Callers::Extension => head.extensions.get::<Scope>().copied(),
            Callers::Resolver(resolver) => resolver.resolve(head).await?,
            Callers::Local => {
                let local = app.local_scope.get_or_try_init(|| app.engine.local_scope()).await?;
                Some(*local)
            }
        };
        Ok(Self(scope.ok_or_else(unknown)?))
    }
}

fn unknown() -> Error {
    Error::unauthenticated("nobody is signed in with this request; sign in and send what proves it")
}
