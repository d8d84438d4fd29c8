//! `/api/v1/users`, for admins.

use aimate_core::UserId;
use aimate_core::deletion::DeletedCounts;
use aimate_core::user::{User, UserChange};
use aimate_core::{Role, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Result;
use crate::json::Json;
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::principal::Known;

const LIST: &str = "users";

/// What to change about a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// The name to show, 1 to 200 characters.
    name: Option<String>,
    /// What the user may do.
    role: Option<Role>,
    /// Whether the user may act at all.
    is_active: Option<bool>,
}

/// The receipt of a deletion.
#[derive(Serialize, ToSchema)]
pub(crate) struct Receipt {
    /// How many of each noun are gone.
    counts: DeletedCounts,
    /// When it began.
    started_at: Timestamp,
    /// When it was over.
    finished_at: Timestamp,
}

/// Lists the users, oldest first.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(PageQuery),
    responses((status = 200, body = List<User>)))]
pub(crate) async fn list(known: Known, Query(query): Query<PageQuery>) -> Result<List<User>> {
    let page = known.accounts.users(&known.principal, query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
}

/// Returns one user.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = User)))]
pub(crate) async fn get(known: Known, Path(id): Path<UserId>) -> Result<Json<User>> {
    Ok(Json(known.accounts.user(&known.principal, id).await?))
}

/// Changes the fields that are present. Who is disabled is signed out everywhere, and
/// their answers are cancelled; API tokens are good again once they are enabled.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = UserId, Path)),
    request_body = UserBody, responses((status = 200, body = User)))]
pub(crate) async fn update(
    known: Known,
    Path(id): Path<UserId>,
    Json(body): Json<UserBody>,
) -> Result<Json<User>> {
    let UserBody { name, role, is_active } = body;
    let change = UserChange { name, role, is_active, settings: None };
    Ok(Json(known.accounts.update_user(&known.principal, id, change).await?))
}

/// Deletes a user with all they have, and gives a receipt. It goes on if the caller goes
/// away, and can be asked for again.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Receipt)))]
pub(crate) async fn delete(known: Known, Path(id): Path<UserId>) -> Result<Json<Receipt>> {
    let deleted = known.accounts.delete_user(&known.principal, id).await?;
    let (counts, started_at, finished_at) = (deleted.counts, deleted.started_at, deleted.finished_at);
    Ok(Json(Receipt { counts, started_at, finished_at }))
}

/// Forgives a user's failed attempts to sign in.
#[utoipa::path(post, path = "/api/v1/users/{id}/unlock", tag = "users", params(("id" = UserId, Path)),
    responses((status = 204)))]
pub(crate) async fn unlock(known: Known, Path(id): Path<UserId>) -> Result<StatusCode> {
    known.accounts.unlock_user(&known.principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
