//! `/health` and `/ready`.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::json::Json;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, or `unhealthy` when the database is away.
    status: &'static str,
    /// The server's version.
    version: &'static str,
    /// `ok` or `unavailable`.
    database: &'static str,
}

/// Whether the server takes new work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `draining` when the server is about to stop.
    status: &'static str,
}

/// Tells whether the server and its database work.
#[utoipa::path(get, path = "/health", tag = "service",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Response {
    let is_well = matches!(timeout(PATIENCE, app.engine.ping()).await, Ok(Ok(())));
    let (code, status, database) = if is_well {
        (StatusCode::OK, "healthy", "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "unavailable")
    };
    let version = env!("CARGO_PKG_VERSION");
    let health = Health { status, version, database };
    (code, Json(health)).into_response()
}

/// Tells whether the server takes new turns.
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
