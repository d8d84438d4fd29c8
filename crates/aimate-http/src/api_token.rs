//! `/api/v1/auth/tokens`.

use aimate_accounts::ApiTokenRequest;
use aimate_core::api_token::{ApiToken, TokenScope};
use aimate_core::{ApiTokenId, Timestamp};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Result;
use crate::json::{self, Json, not_stored};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::principal::Known;

const LIST: &str = "tokens";

/// A new API token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiToken {
    /// What it is for, 1 to 200 characters.
    name: String,
    /// What its bearer may do: `read`, `write`, `admin`; at least one.
    scopes: Vec<TokenScope>,
    /// When it ends; default: never.
    expires_at: Option<Timestamp>,
}

/// An API token that was made, with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownApiToken {
    #[serde(flatten)]
    listed: ApiToken,
    /// The whole token, `aim_…`. It is shown this once.
    token: String,
}

/// Lists the caller's API tokens, newest first.
#[utoipa::path(get, path = "/api/v1/auth/tokens", tag = "auth", params(PageQuery),
    responses((status = 200, body = List<ApiToken>)))]
pub(crate) async fn list(known: Known, Query(query): Query<PageQuery>) -> Result<List<ApiToken>> {
    let page = known.accounts.tokens(&known.principal, query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
}

/// Makes an API token, which is shown once. An API token makes no other one.
#[utoipa::path(post, path = "/api/v1/auth/tokens", tag = "auth", request_body = NewApiToken,
    responses((status = 201, body = ShownApiToken)))]
pub(crate) async fn create(known: Known, Json(new): Json<NewApiToken>) -> Result<Response> {
    let new = ApiTokenRequest::new(new.name, new.scopes).expires_at(new.expires_at);
    let made = known.accounts.create_token(&known.principal, new).await?;
    let address = format!("/api/v1/auth/tokens/{}", made.token.id);
    let shown = ShownApiToken { token: made.secret.expose().to_owned(), listed: made.token };
    Ok(not_stored(json::created(&address, shown)))
}

/// Deletes an API token of the caller; it is good for nothing from now on.
#[utoipa::path(delete, path = "/api/v1/auth/tokens/{id}", tag = "auth",
    params(("id" = ApiTokenId, Path)), responses((status = 204)))]
pub(crate) async fn delete(known: Known, Path(id): Path<ApiTokenId>) -> Result<StatusCode> {
    known.accounts.revoke_token(&known.principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
