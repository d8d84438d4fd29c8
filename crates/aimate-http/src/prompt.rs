//! `/api/v1/prompts`.

use aimate_core::prompt::{NewPrompt, Prompt, PromptChange};
use aimate_core::{PromptId, WorkspaceId};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, page};
use crate::path::{Path, Query};
use crate::scope::Caller;

/// The filter of the list of prompts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PromptQuery {
    /// Only those of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

const LIST: &str = "prompts";

/// Lists the caller's prompts, oldest first.
#[utoipa::path(get, path = "/api/v1/prompts", tag = "prompts", params(PromptQuery),
    responses((status = 200, body = List<Prompt>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PromptQuery>,
) -> Result<List<Prompt>> {
    let page = page(LIST, query.limit, query.cursor.as_deref())?;
    let prompts = app.engine.prompts(&scope);
    Ok(List::of(LIST, prompts.list(query.workspace_id, page).await?))
}

/// Adds a prompt.
#[utoipa::path(post, path = "/api/v1/prompts", tag = "prompts", request_body = NewPrompt,
    responses((status = 201, body = Prompt)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewPrompt>,
) -> Result<Response> {
    let prompt = app.engine.prompts(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/prompts/{}", prompt.id), prompt))
}

/// Returns one prompt.
#[utoipa::path(get, path = "/api/v1/prompts/{id}", tag = "prompts",
    params(("id" = PromptId, Path)), responses((status = 200, body = Prompt)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<PromptId>,
) -> Result<Json<Prompt>> {
    Ok(Json(app.engine.prompts(&scope).get(id).await?))
}

/// Changes the fields that are present.
#[utoipa::path(method(put, patch), path = "/api/v1/prompts/{id}", tag = "prompts",
    params(("id" = PromptId, Path)), request_body = PromptChange,
    responses((status = 200, body = Prompt)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<PromptId>,
    Json(change): Json<PromptChange>,
) -> Result<Json<Prompt>> {
    Ok(Json(app.engine.prompts(&scope).update(id, change).await?))
}

/// Deletes a prompt.
#[utoipa::path(delete, path = "/api/v1/prompts/{id}", tag = "prompts",
    params(("id" = PromptId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<PromptId>,
) -> Result<StatusCode> {
    app.engine.prompts(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
