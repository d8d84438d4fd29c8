//! `/api/v1/knowledge/collections`.

use aimate_core::CollectionId;
use aimate_core::knowledge::{Collection, CollectionChange, EmbeddingSpace, NewCollection};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "collections";

/// Lists the caller's collections, newest first.
#[utoipa::path(get, path = "/api/v1/knowledge/collections", tag = "knowledge", params(PageQuery),
    responses((status = 200, body = List<Collection>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<Collection>> {
    let page = app.engine.knowledge(&scope).collections(query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
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
