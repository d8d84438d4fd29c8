//! `/api/v1/knowledge/collections`.

use aimate_core::knowledge::{Collection, CollectionChange, EmbeddingSpace, NewCollection};
use aimate_core::{CollectionId, WorkspaceId};
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

const LIST: &str = "collections";

/// The filter of the list of collections.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CollectionQuery {
    /// All of this workspace, whoever made them.
    workspace_id: Option<WorkspaceId>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Lists the collections that the caller made and the shared ones, newest first.
#[utoipa::path(get, path = "/api/v1/knowledge/collections", tag = "knowledge", params(CollectionQuery),
    responses((status = 200, body = List<Collection>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<CollectionQuery>,
) -> Result<List<Collection>> {
    let page = page(LIST, query.limit, query.cursor.as_deref())?;
    let knowledge = app.engine.knowledge(&scope);
    let collections = match query.workspace_id {
        None => knowledge.collections(page).await?,
        Some(workspace) => knowledge.collections_of(workspace, page).await?,
    };
    Ok(List::of(LIST, collections))
}

/// Adds a collection.
#[utoipa::path(post, path = "/api/v1/knowledge/collections", tag = "knowledge", request_body = NewCollection,
    responses((status = 201, body = Collection)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewCollection>,
) -> Result<Response> {
    let collection = app.engine.knowledge(&scope).create_collection(new).await?;
    Ok(json::created(&format!("/api/v1/knowledge/collections/{}", collection.id), collection))
}

/// Returns one collection.
#[utoipa::path(get, path = "/api/v1/knowledge/collections/{id}", tag = "knowledge",
    params(("id" = CollectionId, Path)), responses((status = 200, body = Collection)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<Collection>> {
    Ok(Json(app.engine.knowledge(&scope).collection(&id.to_string()).await?))
}

/// Changes the fields that are present. A new `embedder` gets its vectors built
/// in the background; searches use the old ones until they are complete.
#[utoipa::path(patch, path = "/api/v1/knowledge/collections/{id}", tag = "knowledge",
    params(("id" = CollectionId, Path)), request_body = CollectionChange,
    responses((status = 200, body = Collection)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<CollectionId>,
    Json(change): Json<CollectionChange>,
) -> Result<Json<Collection>> {
    Ok(Json(app.engine.knowledge(&scope).update_collection(id, change).await?))
}

/// Deletes a collection with all its documents.
#[utoipa::path(delete, path = "/api/v1/knowledge/collections/{id}", tag = "knowledge",
    params(("id" = CollectionId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<CollectionId>,
) -> Result<StatusCode> {
    app.engine.knowledge(&scope).delete_collection(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the embedding spaces of a collection, newest first: the active one, one
/// being built, and former ones.
#[utoipa::path(get, path = "/api/v1/knowledge/collections/{id}/spaces", tag = "knowledge",
    params(("id" = CollectionId, Path)), responses((status = 200, body = List<EmbeddingSpace>)))]
pub(crate) async fn spaces(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<CollectionId>,
) -> Result<List<EmbeddingSpace>> {
    Ok(List::single_page(app.engine.knowledge(&scope).spaces(id).await?))
}
