//! `/api/v1/auth/oidc`: signing in with an OpenID provider, for browsers.

use aimate_accounts::{Oidc, OidcAnswer};
use aimate_core::{Error, Secret};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::Visitor;
use crate::cookie;
use crate::error::Result;
use crate::json::{Json, not_stored};
use crate::path::{Path, Query};

/// The OpenID providers that this server signs in with.
#[derive(Serialize, ToSchema)]
pub(crate) struct OidcProviders {
    /// One of each name.
    data: Vec<OidcProvider>,
}

/// An OpenID provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct OidcProvider {
    /// What it is called in the address of its `start`.
    name: String,
}

/// Where to go afterwards.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StartQuery {
    /// The path of this server that the browser goes to when it is signed in; default and
    /// for what is none: `/`.
    return_to: Option<String>,
}

/// What the provider sends the browser back with. Providers add what they like.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    /// What `start` gave the provider.
    #[serde(default)]
    state: String,
    /// What is exchanged for the ID token, if somebody signed in.
    #[param(value_type = Option<String>)]
    code: Option<Secret>,
    /// Who the provider says it is (RFC 9207).
    iss: Option<String>,
}

fn oidc(app: &App) -> Result<&Oidc> {
    let none = || Error::not_found("this server signs in with no OpenID provider");
    Ok(app.options.oidc.as_ref().ok_or_else(none)?)
}

/// Lists the OpenID providers by which one can sign in.
#[utoipa::path(get, path = "/api/v1/auth/oidc", tag = "auth", responses((status = 200, body = OidcProviders)))]
pub(crate) async fn list(State(app): State<App>) -> Json<OidcProviders> {
    let names = app.options.oidc.iter().flat_map(Oidc::names);
    Json(OidcProviders { data: names.map(|name| OidcProvider { name: name.to_owned() }).collect() })
}

/// Sends the browser to an OpenID provider to sign in there, within ten minutes.
#[utoipa::path(get, path = "/api/v1/auth/oidc/{provider}/start", tag = "auth",
    params(("provider" = String, Path, description = "The provider's name"), StartQuery),
    responses((status = 303, description = "The provider's page, as `Location`")))]
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Path(provider): Path<String>,
    Query(query): Query<StartQuery>,
) -> Result<Response> {
    let started = oidc(&app)?.start(&provider, query.return_to.as_deref()).await?;
    let mut response = see_other(started.location.as_str())?;
    visitor.cookies.set_attempt(response.headers_mut(), &provider, Some(&started.cookie));
    Ok(response)
}

/// Signs in whom the provider sent back, with cookies that no script can read, and sends the
/// browser on.
#[utoipa::path(get, path = "/api/v1/auth/oidc/{provider}/callback", tag = "auth",
    params(("provider" = String, Path, description = "The provider's name"), CallbackQuery),
    responses((status = 303, description = "The path that `start` was given, as `Location`")))]
pub(crate) async fn callback(
    State(app): State<App>,
    visitor: Visitor,
    Path(provider): Path<String>,
    Query(query): Query<CallbackQuery>,
) -> Result<Response> {
    let oidc = oidc(&app)?;
    let attempt = cookie::read(&visitor.head.headers, cookie::ATTEMPT).unwrap_or_default();
    let answer = OidcAnswer::new(query.state, query.code, query.iss);
    let come = oidc.finish(&provider, attempt, &answer, &visitor.client).await?;
    let mut response = see_other(&come.return_to)?;
    visitor.cookies.set(response.headers_mut(), &come.signed_in);
    visitor.cookies.set_attempt(response.headers_mut(), &provider, None);
    Ok(response)
}

fn see_other(location: &str) -> Result<Response> {
    let location = HeaderValue::from_str(location)
        .map_err(|error| Error::internal("an address cannot be sent").with_source(error))?;
    Ok(not_stored((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()))
}
