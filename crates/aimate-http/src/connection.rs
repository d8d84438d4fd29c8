//! `/api/v1/connections`.

use aimate_core::ConnectionId;
use aimate_core::connection::{Connection, ConnectionChange, NewConnection};
use aimate_core::engine::{ConnectionTest, OfferedModel};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "connections";

/// Lists the caller's connections and the shared ones, by name.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(PageQuery),
    responses((status = 200, body = List<Connection>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<Connection>> {
    let page = app.engine.connections(&scope).list(query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
}

/// Adds a connection. Its models are read at their first use.
#[utoipa::path(post, path = "/api/v1/connections", tag = "connections", request_body = NewConnection,
    responses((status = 201, body = Connection)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewConnection>,
) -> Result<Response> {
    let connection = app.engine.connections(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/connections/{}", connection.id), connection))
}

/// Returns one connection.
#[utoipa::path(get, path = "/api/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path)), responses((status = 200, body = Connection)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Connection>> {
    Ok(Json(app.engine.connections(&scope).get(id).await?))
}

/// Changes the fields that are present. A `url` of another origin drops the key:
/// it must not reach a server that it was not meant for.
#[utoipa::path(method(put, patch), path = "/api/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path)), request_body = ConnectionChange,
    responses((status = 200, body = Connection)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConnectionId>,
    Json(change): Json<ConnectionChange>,
) -> Result<Json<Connection>> {
    let connections = app.engine.connections(&scope);
    Ok(Json(connections.update(id, change).await?))
}

/// Deletes a connection and its models.
#[utoipa::path(delete, path = "/api/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConnectionId>,
) -> Result<StatusCode> {
    app.engine.connections(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests a connection by listing its models.
#[utoipa::path(post, path = "/api/v1/connections/{id}/test", tag = "connections",
    params(("id" = ConnectionId, Path)), responses((status = 200, body = ConnectionTest)))]
pub(crate) async fn test(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConnectionId>,
) -> Result<Json<ConnectionTest>> {
    Ok(Json(app.engine.connections(&scope).test(id).await?))
}

/// Reads the models of a connection from its server now. If that fails, or the
/// list is empty, the last good list stays.
#[utoipa::path(post, path = "/api/v1/connections/{id}/models/refresh", tag = "models",
    params(("id" = ConnectionId, Path)), responses((status = 200, body = List<OfferedModel>)))]
pub(crate) async fn refresh_models(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConnectionId>,
) -> Result<List<OfferedModel>> {
    Ok(List::single_page(app.engine.models(&scope).refresh(id).await?))
}
