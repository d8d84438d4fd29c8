//! `/api/v1/invites`, for admins.

use aimate_accounts::InviteRequest;
use aimate_core::invite::Invite;
use aimate_core::{EmailAddress, InviteId, Role};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Result;
use crate::json::{self, Json, not_stored};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::principal::Known;

const LIST: &str = "invites";

/// A new invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvite {
    /// The one address that may register with it; default: any.
    email: Option<EmailAddress>,
    /// What the new user may do; default `user`.
    #[serde(default)]
    #[schema(required = false)]
    role: Role,
}

/// An invite that was made, with its token.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownInvite {
    #[serde(flatten)]
    listed: Invite,
    /// What `POST /api/v1/auth/register` takes as `invite`. It is shown this once.
    token: String,
}

/// Lists the invites that nobody has used, newest first.
#[utoipa::path(get, path = "/api/v1/invites", tag = "users", params(PageQuery),
    responses((status = 200, body = List<Invite>)))]
pub(crate) async fn list(known: Known, Query(query): Query<PageQuery>) -> Result<List<Invite>> {
    let page = known.accounts.invites(&known.principal, query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
}

/// Makes an invite, with which one person may register.
#[utoipa::path(post, path = "/api/v1/invites", tag = "users", request_body = NewInvite,
    responses((status = 201, body = ShownInvite)))]
pub(crate) async fn create(known: Known, Json(new): Json<NewInvite>) -> Result<Response> {
    let made = known.accounts.invite(&known.principal, InviteRequest::new(new.email, new.role)).await?;
    let address = format!("/api/v1/invites/{}", made.invite.id);
    let shown = ShownInvite { token: made.token.expose().to_owned(), listed: made.invite };
    Ok(not_stored(json::created(&address, shown)))
}

/// Deletes an invite; nobody registers with it any more.
#[utoipa::path(delete, path = "/api/v1/invites/{id}", tag = "users", params(("id" = InviteId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(known: Known, Path(id): Path<InviteId>) -> Result<StatusCode> {
    known.accounts.delete_invite(&known.principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
