//! Authentication: the only place that turns a request's credential into a
//! [`Scope`].

use aimate_core::Scope;
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::app::App;
use crate::error::Failure;

/// The scope of the caller, from the request head alone, so that no body is read
/// before its sender is known.
///
/// Local mode has one user and ignores any credential: SDKs insist on sending
/// one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) Scope);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Failure> {
        let scope = app.local_scope.get_or_try_init(|| app.engine.local_scope()).await?;
        Ok(Self(*scope))
    }
}
