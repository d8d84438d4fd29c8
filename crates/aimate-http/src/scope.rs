//! Authentication: the only place that turns a request into the [`Scope`] of who
//! asks.

use aimate_core::rate_limit::RateBucket;
use aimate_core::{Error, Scope};
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::app::App;
use crate::callers::Callers;
use crate::error::Failure;
#[cfg(feature = "accounts")]
use crate::principal;
use crate::request_class;

/// The scope of the caller, from the request head alone, so that no body is read
/// before its sender is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) Scope);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, Failure> {
        let scope = scope_of(head, app).await?;
        let class = request_class::of(&head.method, head.uri.path());
        app.pass(RateBucket::of_user(&scope, class)).await?;
        Ok(Self(scope))
    }
}

/// Who asks, which counts for no rate limit.
pub(crate) async fn scope_of(head: &mut Parts, app: &App) -> Result<Scope, Failure> {
    let scope = match &app.options.callers {
        Callers::Extension => head.extensions.get::<Scope>().copied(),
        Callers::Resolver(resolver) => resolver.resolve(head).await?,
        Callers::Local => {
            let local = app.local_scope.get_or_try_init(|| app.engine.local_scope()).await?;
            Some(*local)
        }
        #[cfg(feature = "accounts")]
        Callers::Accounts(accounts) => Some(principal::authenticate(app, accounts, head).await?.scope),
    };
    Ok(scope.ok_or_else(unknown)?)
}

fn unknown() -> Error {
    Error::unauthenticated("nobody is signed in with this request; sign in and send what proves it")
}
