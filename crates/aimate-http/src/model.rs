//! `/api/v1/models`.

use aimate_core::engine::OfferedModel;
use aimate_core::{Error, Scope};
use axum::extract::State;

use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::page::List;
use crate::path::Path;
use crate::scope::Caller;

/// Lists the models of all enabled connections.
#[utoipa::path(get, path = "/api/v1/models", tag = "models",
    responses((status = 200, body = List<OfferedModel>)))]
pub(crate) async fn list(State(app): State<App>, Caller(scope): Caller) -> Result<List<OfferedModel>> {
    Ok(List::single_page(app.engine.models(&scope).list().await?))
}

/// Activates a model. The slashes of its id may be sent as they are or as `%2F`.
#[utoipa::path(post, path = "/api/v1/models/{id}/enable", tag = "models",
    params(("id" = String, Path, description = "`CONNECTION/MODEL`")),
    responses((status = 200, body = OfferedModel)))]
pub(crate) async fn enable(app: &App, scope: &Scope, id: &str) -> Result<OfferedModel> {
    Ok(app.engine.models(scope).set_active(id, true).await?)
}

/// Deactivates a model. The slashes of its id may be sent as they are or as
/// `%2F`.
#[utoipa::path(post, path = "/api/v1/models/{id}/disable", tag = "models",
    params(("id" = String, Path, description = "`CONNECTION/MODEL`")),
    responses((status = 200, body = OfferedModel)))]
pub(crate) async fn disable(app: &App, scope: &Scope, id: &str) -> Result<OfferedModel> {
    Ok(app.engine.models(scope).set_active(id, false).await?)
}

/// [`enable`] or [`disable`]: a route cannot match a suffix after an id with
/// slashes.
pub(crate) async fn switch(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(rest): Path<String>,
) -> Result<Json<OfferedModel>> {
    match rest.rsplit_once('/') {
        Some((id, "enable")) => Ok(Json(enable(&app, &scope, id).await?)),
        Some((id, "disable")) => Ok(Json(disable(&app, &scope, id).await?)),
        _ => {
            Err(Error::not_found("a model has only `POST /api/v1/models/{id}/enable` and `/disable`").into())
        }
    }
}
