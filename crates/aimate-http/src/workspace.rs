//! `/api/v1/workspaces`.

use aimate_core::workspace::{NewWorkspace, NewWorkspaceMember, Workspace, WorkspaceChange, WorkspaceMember};
use aimate_core::{MemberId, WorkspaceId};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "workspaces";
const MEMBERS: &str = "workspace_members";

/// Lists the workspaces that the caller is in, newest first, with what they may do there.
#[utoipa::path(get, path = "/api/v1/workspaces", tag = "workspaces", params(PageQuery),
    responses((status = 200, body = List<Workspace>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<Workspace>> {
    let page = app.engine.workspaces(&scope).list(query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
}

/// Adds a workspace.
#[utoipa::path(post, path = "/api/v1/workspaces", tag = "workspaces", request_body = NewWorkspace,
    responses((status = 201, body = Workspace)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewWorkspace>,
) -> Result<Response> {
    let workspace = app.engine.workspaces(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/workspaces/{}", workspace.id), workspace))
}

/// Returns one workspace.
#[utoipa::path(get, path = "/api/v1/workspaces/{id}", tag = "workspaces",
    params(("id" = WorkspaceId, Path)), responses((status = 200, body = Workspace)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<WorkspaceId>,
) -> Result<Json<Workspace>> {
    Ok(Json(app.engine.workspaces(&scope).get(id).await?))
}

/// Changes the fields that are present.
#[utoipa::path(method(put, patch), path = "/api/v1/workspaces/{id}", tag = "workspaces",
    params(("id" = WorkspaceId, Path)), request_body = WorkspaceChange,
    responses((status = 200, body = Workspace)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<WorkspaceId>,
    Json(change): Json<WorkspaceChange>,
) -> Result<Json<Workspace>> {
    let workspaces = app.engine.workspaces(&scope);
    Ok(Json(workspaces.update(id, change).await?))
}

/// Deletes a workspace with its prompts and connections; its conversations and collections
/// stay those of who made them.
#[utoipa::path(delete, path = "/api/v1/workspaces/{id}", tag = "workspaces",
    params(("id" = WorkspaceId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<WorkspaceId>,
) -> Result<StatusCode> {
    app.engine.workspaces(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists who is in a workspace, by their id.
#[utoipa::path(get, path = "/api/v1/workspaces/{id}/members", tag = "workspaces",
    params(("id" = WorkspaceId, Path), PageQuery), responses((status = 200, body = List<WorkspaceMember>)))]
pub(crate) async fn members(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<WorkspaceId>,
    Query(query): Query<PageQuery>,
) -> Result<List<WorkspaceMember>> {
    let page = app.engine.workspaces(&scope).members(id, query.page(MEMBERS)?).await?;
    Ok(List::of(MEMBERS, page))
}

/// Lets a user or a group into a workspace, or gives them another role.
#[utoipa::path(method(put, post), path = "/api/v1/workspaces/{id}/members", tag = "workspaces",
    params(("id" = WorkspaceId, Path)), request_body = NewWorkspaceMember,
    responses((status = 200, body = WorkspaceMember)))]
pub(crate) async fn put_member(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<WorkspaceId>,
    Json(member): Json<NewWorkspaceMember>,
) -> Result<Json<WorkspaceMember>> {
    Ok(Json(app.engine.workspaces(&scope).put_member(id, member).await?))
}

/// Takes a user or a group out of a workspace; everybody may leave it themselves.
#[utoipa::path(delete, path = "/api/v1/workspaces/{id}/members/{member}", tag = "workspaces",
    params(("id" = WorkspaceId, Path), ("member" = MemberId, Path)), responses((status = 204)))]
pub(crate) async fn remove_member(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, member)): Path<(WorkspaceId, MemberId)>,
) -> Result<StatusCode> {
    app.engine.workspaces(&scope).remove_member(id, member).await?;
    Ok(StatusCode::NO_CONTENT)
}
