//! `/api/v1/shares` and what they open, `/api/v1/shared/{token}`.

use aimate_core::share::{CreatedShare, NewShare, Share, SharedConversation};
use aimate_core::{ConversationId, ShareId};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, REFERRER_POLICY};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::{Failure, Result};
use crate::json::{Json, OptionalJson};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "shares";
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// Lists the links by which a conversation is shared, newest first; for who writes to it.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/shares", tag = "shares",
    params(("id" = ConversationId, Path), PageQuery), responses((status = 200, body = List<Share>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
    Query(query): Query<PageQuery>,
) -> Result<List<Share>> {
    Ok(List::of(LIST, app.engine.shares(&scope).list(id, query.page(LIST)?).await?))
}

/// Shares a branch of a conversation, as it is now, by a link. The `token` of the link is in
/// this response alone: who has it reads the snapshot at `/api/v1/shared/{token}`. The body
/// is optional.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/shares", tag = "shares",
    params(("id" = ConversationId, Path)), request_body = Option<NewShare>,
    responses((status = 201, body = CreatedShare)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
    OptionalJson(new): OptionalJson<NewShare>,
) -> Result<Response> {
    let created = app.engine.shares(&scope).create(id, new).await?;
    let mut response = (StatusCode::CREATED, Json(created)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Revokes a link: it opens nothing any more.
#[utoipa::path(delete, path = "/api/v1/shares/{id}", tag = "shares",
    params(("id" = ShareId, Path)), responses((status = 204)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ShareId>,
) -> Result<StatusCode> {
    app.engine.shares(&scope).revoke(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a shared conversation is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SharedQuery {
    /// Whether each part of type `text` has its text as HTML that is safe to show too, as `html`;
    /// default false. A part without it is too long.
    #[cfg(feature = "markdown")]
    html: Option<bool>,
}

/// Returns what a link shows. It needs no credential: the token is all that is asked for.
#[utoipa::path(get, path = "/api/v1/shared/{token}", tag = "shares", security(()),
    params(("token" = String, Path, description = "The `token` of the link"), SharedQuery),
    responses((status = 200, body = SharedConversation)))]
pub(crate) async fn shared(
    State(app): State<App>,
    Path(token): Path<String>,
    query: Result<Query<SharedQuery>>,
) -> Response {
    let opened = match query {
        Ok(Query(query)) => open(&app, &token, &query).await,
        Err(failure) => Err(failure),
    };
    let mut response = opened.unwrap_or_else(Failure::into_response);
    // The address is the secret: it is not to be kept, told to others or found again.
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex, nofollow, noarchive"));
    response
}

/// What a link shows, with its room until it is sent.
async fn open(app: &App, token: &str, query: &SharedQuery) -> Result<Response> {
    let room = app.room_for_shared()?;
    let shown: SharedConversation = app.engine.shared(token).await?;
    #[cfg(feature = "markdown")]
    let shown = match query.html {
        Some(true) => crate::markdown::with_html(app, shown, "messages").await?.into_response(),
        _ => Json(shown).into_response(),
    };
    #[cfg(not(feature = "markdown"))]
    let (shown, SharedQuery {}) = (Json(shown).into_response(), query);
    Ok(shown.map(|body| {
        let held = body.map_frame(move |frame| {
            let _ = &room;
            frame
        });
        Body::new(held)
    }))
}
