//! `/api/v1/runs`.

use aimate_core::chat::CallDecision;
use aimate_core::run::Run;
use aimate_core::tool::ElicitationAnswer;
use aimate_core::{RunId, chat};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::path::{Path, Query};
use crate::scope::Caller;
use crate::sse;

/// Which events of a run are sent.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// The sequence number of the last event received; the header
    /// `Last-Event-ID` takes precedence. Default 0: from the beginning.
    after: Option<u64>,
}

/// Returns a run, with the manifest of its prompt.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = RunId, Path)),
    responses((status = 200, body = Run)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<RunId>,
) -> Result<Json<Run>> {
    Ok(Json(app.engine.runs(&scope).get(id).await?))
}

/// Streams the events of a run, those of the past first; `204` if the run is
/// finished and its last event was received.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = RunId, Path), EventQuery,
        ("last-event-id" = Option<u64>, Header, description = "The sequence number of the last event received")),
    responses((status = 200, content_type = "text/event-stream", body = chat::event::ChatEvent),
        (status = 204, description = "No more events")))]
pub(crate) async fn events(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<RunId>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let after = sse::last_event_id(&headers)?.or(query.after).unwrap_or(0);
    let seat = app.seat(&scope)?;
    let runs = app.engine.runs(&scope);
    let is_over = runs.get(id).await?.status.is_final();
    let answer = runs.attach(id, after).await?;
    if is_over {
        Ok(sse::finished_answer(&app, answer, seat).await)
    } else {
        Ok(sse::answer(&app, answer, seat))
    }
}

/// Cancels a run and keeps its partial answer. A finished run stays as it is.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs", params(("id" = RunId, Path)),
    responses((status = 200, body = Run)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<RunId>,
) -> Result<Json<Run>> {
    Ok(Json(app.engine.runs(&scope).cancel(id).await?))
}

/// Lets a tool be called that waits for the person, or not. The run goes on once each of its
/// calls is decided; the same again changes nothing.
#[utoipa::path(post, path = "/api/v1/runs/{id}/approvals/{call_id}", tag = "runs",
    params(("id" = RunId, Path), ("call_id" = String, Path)), request_body = CallDecision,
    responses((status = 200, body = Run)))]
pub(crate) async fn approve(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, call)): Path<(RunId, String)>,
    Json(decision): Json<CallDecision>,
) -> Result<Json<Run>> {
    Ok(Json(app.engine.runs(&scope).decide(id, &call, decision).await?))
}

/// Answers what a tool asks while it runs (`input_required`).
#[utoipa::path(post, path = "/api/v1/runs/{id}/inputs/{call_id}", tag = "runs",
    params(("id" = RunId, Path), ("call_id" = String, Path)), request_body = ElicitationAnswer,
    responses((status = 204, description = "The tool has the answer")))]
pub(crate) async fn input(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, call)): Path<(RunId, String)>,
    Json(answer): Json<ElicitationAnswer>,
) -> Result<StatusCode> {
    app.engine.runs(&scope).answer_tool(id, &call, answer).await?;
    Ok(StatusCode::NO_CONTENT)
}
