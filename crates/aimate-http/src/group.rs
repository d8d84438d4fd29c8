//! `/api/v1/groups`.

use aimate_core::group::{Group, GroupChange, GroupMember, NewGroup};
use aimate_core::{GroupId, UserId};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "groups";
const MEMBERS: &str = "group_members";

/// Lists the groups, newest first: all of them for an admin, for others those they are in.
#[utoipa::path(get, path = "/api/v1/groups", tag = "groups", params(PageQuery),
    responses((status = 200, body = List<Group>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<Group>> {
    Ok(List::of(LIST, app.engine.groups(&scope).list(query.page(LIST)?).await?))
}

/// Adds a group; for admins.
#[utoipa::path(post, path = "/api/v1/groups", tag = "groups", request_body = NewGroup,
    responses((status = 201, body = Group)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewGroup>,
) -> Result<Response> {
    let group = app.engine.groups(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/groups/{}", group.id), group))
}

/// Returns one group.
#[utoipa::path(get, path = "/api/v1/groups/{id}", tag = "groups",
    params(("id" = GroupId, Path)), responses((status = 200, body = Group)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<GroupId>,
) -> Result<Json<Group>> {
    Ok(Json(app.engine.groups(&scope).get(id).await?))
}

/// Changes the fields that are present; for admins.
#[utoipa::path(method(put, patch), path = "/api/v1/groups/{id}", tag = "groups",
    params(("id" = GroupId, Path)), request_body = GroupChange,
    responses((status = 200, body = Group)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<GroupId>,
    Json(change): Json<GroupChange>,
) -> Result<Json<Group>> {
    Ok(Json(app.engine.groups(&scope).update(id, change).await?))
}

/// Deletes a group; for admins. Who was in a workspace only by it is in it no more.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "groups",
    params(("id" = GroupId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<GroupId>,
) -> Result<StatusCode> {
    app.engine.groups(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists who is in a group, by their id.
#[utoipa::path(get, path = "/api/v1/groups/{id}/members", tag = "groups",
    params(("id" = GroupId, Path), PageQuery), responses((status = 200, body = List<GroupMember>)))]
pub(crate) async fn members(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<GroupId>,
    Query(query): Query<PageQuery>,
) -> Result<List<GroupMember>> {
    Ok(List::of(MEMBERS, app.engine.groups(&scope).members(id, query.page(MEMBERS)?).await?))
}

/// Puts a user into a group; for admins.
#[utoipa::path(put, path = "/api/v1/groups/{id}/members/{user}", tag = "groups",
    params(("id" = GroupId, Path), ("user" = UserId, Path)), responses((status = 204)))]
pub(crate) async fn add_member(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, user)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    app.engine.groups(&scope).add_member(id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a user out of a group; for admins.
#[utoipa::path(delete, path = "/api/v1/groups/{id}/members/{user}", tag = "groups",
    params(("id" = GroupId, Path), ("user" = UserId, Path)), responses((status = 204)))]
pub(crate) async fn remove_member(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, user)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    app.engine.groups(&scope).remove_member(id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
