//! `/api/v1/workspaces`.

use aimate_core::WorkspaceId;
use aimate_core::workspace::{NewWorkspace, Workspace, WorkspaceChange};
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

/// Lists the caller's workspaces, newest first.
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

/// Deletes a workspace and its prompts; its conversations stay.
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
