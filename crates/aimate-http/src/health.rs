//! `/health`, `/ready` and `/metrics`.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::json::Json;

/// How long the database may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, or `unhealthy` when the database does not answer.
    status: &'static str,
    /// The server's version.
    version: &'static str,
    /// `ok` or `unavailable`.
    database: &'static str,
}

/// Whether the server accepts new turns.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `draining` when the server is shutting down.
    status: &'static str,
}

/// Returns whether the server and its database work.
#[utoipa::path(get, path = "/health", tag = "service",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Response {
    let is_well = matches!(timeout(PING_TIMEOUT, app.engine.ping()).await, Ok(Ok(())));
    let (code, status, database) = if is_well {
        (StatusCode::OK, "healthy", "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "unavailable")
    };
    let version = env!("CARGO_PKG_VERSION");
    let health = Health { status, version, database };
    (code, Json(health)).into_response()
}

/// Returns whether the server accepts new turns.
#[utoipa::path(get, path = "/ready", tag = "service",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let (code, status) = if app.engine.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else {
        (StatusCode::OK, "ready")
    };
    (code, Json(Readiness { status })).into_response()
}

/// Returns the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics.render(app.engine.running());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
