//! `/api/v1/server`: what a front end has to know before anything else.

use aimate_core::engine::MAX_BYTES;
use aimate_core::user::User;
use aimate_core::{ErrorKind, Role, Scope, Timestamp};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::callers::Callers;
use crate::error::Result;
use crate::json::{Json, not_stored};
use crate::scope::Caller;

/// What a front end has to know before anything else.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AboutServer {
    /// The server's version.
    version: &'static str,
    /// How one signs in.
    sign_in: SignIn,
    /// Who may make an account; with accounts alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<RegistrationState>,
    /// Whether nobody has an account yet: who makes the first one becomes an admin. With accounts
    /// alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_first_user: Option<bool>,
    /// The names of the OpenID providers by which one can sign in.
    oidc_providers: Vec<String>,
    /// Who asks; `null` for nobody who is known.
    user: Option<User>,
    /// How much may be sent.
    limits: SendLimits,
    /// When the process that answers began; for admins alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
}

/// How one signs in.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignIn {
    /// Not at all: local mode has one user.
    None,
    /// With an account of this server.
    #[cfg_attr(not(feature = "accounts"), expect(dead_code, reason = "there are none"))]
    Accounts,
    /// As the application around this server says.
    Application,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(feature = "accounts"), expect(dead_code, reason = "there are no accounts"))]
pub(crate) enum RegistrationState {
    /// Anybody.
    Open,
    /// Who has an invite.
    Invite,
    /// Nobody.
    Closed,
}

/// How much may be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SendLimits {
    /// Bytes that a document may have.
    document_bytes: u64,
    /// Bytes that the body of any other request may have.
    body_bytes: u64,
}

/// Returns what a front end has to know before anything else: how one signs in, and who asks.
/// It needs no credential; one that is good for nothing is that of nobody.
#[utoipa::path(get, path = "/api/v1/server", tag = "service", security(()),
    responses((status = 200, body = AboutServer)))]
pub(crate) async fn get(State(app): State<App>, request: Request) -> Result<Response> {
    let (mut head, _) = request.into_parts();
    let scope = match Caller::from_request_parts(&mut head, &app).await {
        Ok(Caller(scope)) => Some(scope),
        Err(failure) if failure.error.kind() == ErrorKind::Unauthenticated => None,
        Err(failure) => return Err(failure),
    };
    let user = match scope {
        Some(scope) => user(&app, scope).await?,
        None => None,
    };
    let is_admin = scope.is_some_and(|scope| scope.role == Role::Admin);
    let mut info = AboutServer {
        version: env!("CARGO_PKG_VERSION"),
        sign_in: match app.options.callers {
            Callers::Local => SignIn::None,
            Callers::Extension | Callers::Resolver(_) => SignIn::Application,
            #[cfg(feature = "accounts")]
            Callers::Accounts(_) => SignIn::Accounts,
        },
        registration: None,
        needs_first_user: None,
        oidc_providers: Vec::new(),
        user,
        started_at: is_admin.then_some(app.started_at),
        limits: SendLimits {
            document_bytes: MAX_BYTES,
            body_bytes: app.options.body_limit.try_into().unwrap_or(u64::MAX),
        },
    };
    add_accounts(&app, &mut info).await?;
    Ok(not_stored(Json(info).into_response()))
}

/// An application may know users of whom aiMate has no row.
async fn user(app: &App, scope: Scope) -> Result<Option<User>> {
    match app.engine.users(&scope).get(scope.user).await {
        Ok(user) => Ok(Some(user)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(feature = "accounts")]
async fn add_accounts(app: &App, info: &mut AboutServer) -> Result<()> {
    use aimate_accounts::{Oidc, RegistrationRule};

    let Callers::Accounts(accounts) = &app.options.callers else { return Ok(()) };
    let is_first = !accounts.has_accounts().await?;
    info.needs_first_user = Some(is_first);
    info.registration = Some(match accounts.settings().registration {
        RegistrationRule::Open => RegistrationState::Open,
        RegistrationRule::First if is_first => RegistrationState::Open,
        RegistrationRule::First | RegistrationRule::Invite => RegistrationState::Invite,
        RegistrationRule::Closed => RegistrationState::Closed,
    });
    info.oidc_providers = app.options.oidc.iter().flat_map(Oidc::names).map(str::to_owned).collect();
    Ok(())
}

#[cfg(not(feature = "accounts"))]
#[expect(clippy::unused_async, reason = "with accounts it asks the store")]
async fn add_accounts(_: &App, _: &mut AboutServer) -> Result<()> {
    Ok(())
}
