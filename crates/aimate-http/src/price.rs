//! `/api/v1/prices`.

use aimate_core::PriceId;
use aimate_core::price::{ModelPrice, NewPrice};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "prices";

/// Lists the prices that admins have set, oldest first.
#[utoipa::path(get, path = "/api/v1/prices", tag = "usage", params(PageQuery),
    responses((status = 200, body = List<ModelPrice>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<ModelPrice>> {
    Ok(List::of(LIST, app.engine.prices(&scope).list(query.page(LIST)?).await?))
}

/// Sets what a model costs from a moment on; for admins. It counts before what the model's
/// server lists or says; calls that are over keep their cost.
#[utoipa::path(post, path = "/api/v1/prices", tag = "usage", request_body = NewPrice,
    responses((status = 201, body = ModelPrice)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewPrice>,
) -> Result<Response> {
    let price = app.engine.prices(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/prices/{}", price.id), price))
}

/// Deletes a price; for admins. The one before it counts again, or what the server says.
#[utoipa::path(delete, path = "/api/v1/prices/{id}", tag = "usage",
    params(("id" = PriceId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<PriceId>,
) -> Result<StatusCode> {
    app.engine.prices(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
