//! `/health`, `/ready` and `/metrics`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::json::Json;

/// The state of the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, or `unhealthy` when the database does not store what it is given.
    status: &'static str,
    /// The server's version.
    version: &'static str,
    /// `ok` or `unavailable`.
    database: &'static str,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether the server accepts new turns and can store them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`; `draining` when the server is shutting down; `unavailable` when the
    /// database does not answer or does not store what it is given.
    status: &'static str,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Returns whether the server and its database work.
#[utoipa::path(get, path = "/health", tag = "service",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Response {
    let trouble = match app.engine.ready().await {
        Err(error) if !app.engine.is_draining() => Some(error.message().to_owned()),
        _ => None,
    };
    let (code, status, database) = match trouble {
        None => (StatusCode::OK, "healthy", "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "unavailable"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let health = Health { status, version, database, reason: trouble };
    (code, Json(health)).into_response()
}

/// Returns whether the server accepts new turns and can store them.
#[utoipa::path(get, path = "/ready", tag = "service",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let (code, status, reason) = match app.engine.ready().await {
        Ok(()) => (StatusCode::OK, "ready", None),
        Err(error) => {
            let status = if app.engine.is_draining() { "draining" } else { "unavailable" };
            (StatusCode::SERVICE_UNAVAILABLE, status, Some(error.message().to_owned()))
        }
    };
    (code, Json(Readiness { status, reason })).into_response()
}

/// Returns the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let mut text = app.metrics.render(app.engine.running(), app.work.count());
    if let Some(more) = &app.options.more_metrics {
        text.push_str(&more.render());
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
