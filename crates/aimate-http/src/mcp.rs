//! `/mcp`: the engine as an MCP server, for the callers, within the limits, and under the
//! rules for hosts and origins of every other route.

use aimate_core::Scope;
use aimate_core::rate_limit::{RateBucket, RequestClass};
use aimate_mcp::server::{CalledTool, McpCaller, ResponseBody};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Extensions;

use crate::app::{App, Seat};
use crate::error::Result;
use crate::json::{self, MaxBody};
use crate::scope::Caller;

/// Bytes of a message at most: a question, not a file.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// A message of a client.
pub(crate) async fn send(
    State(app): State<App>,
    Caller(scope): Caller,
    request: Request,
) -> Result<Response> {
    let (head, body) = request.into_parts();
    let mut unread = Request::new(body);
    unread.headers_mut().clone_from(&head.headers);
    unread.extensions_mut().insert(MaxBody(MAX_MESSAGE));
    let message = json::read(unread, &app).await?;
    let called = CalledTool::of_message(&message);
    let class = match called {
        Some(CalledTool::Ask) => Some(RequestClass::Chat),
        Some(CalledTool::Search) => Some(RequestClass::Search),
        _ => None,
    };
    if let Some(class) = class {
        app.pass(RateBucket::of_user(&scope, class)).await?;
    }
    // It waits for a model.
    let seat = (called == Some(CalledTool::Ask)).then(|| app.seat(&scope)).transpose()?;
    let caller = caller(scope, &head.extensions);
    let response = app.mcp.handle(caller, http::Request::from_parts(head, message)).await;
    Ok(with_seat(response, seat))
}

/// The stream of what a session tells by itself.
pub(crate) async fn listen(
    State(app): State<App>,
    Caller(scope): Caller,
    request: Request,
) -> Result<Response> {
    let seat = app.seat(&scope)?;
    let (head, _) = request.into_parts();
    let caller = caller(scope, &head.extensions);
    let response = app.mcp.handle(caller, http::Request::from_parts(head, Bytes::new())).await;
    Ok(with_seat(response, Some(seat)))
}

/// The end of a session.
pub(crate) async fn end(State(app): State<App>, Caller(scope): Caller, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let caller = caller(scope, &head.extensions);
    with_seat(app.mcp.handle(caller, http::Request::from_parts(head, Bytes::new())).await, None)
}

/// Who calls, and whether their credential lets them store something.
#[cfg(feature = "accounts")]
fn caller(scope: Scope, extensions: &Extensions) -> McpCaller {
    use aimate_core::api_token::TokenScope;

    use crate::principal::{PrincipalSlot, check};

    let caller = McpCaller::new(scope);
    let let_in = extensions.get::<PrincipalSlot>().and_then(PrincipalSlot::get);
    match let_in.map(|let_in| check(&let_in.principal, TokenScope::Write)) {
        Some(Err(_)) => caller.read_only(),
        // Whoever has no token of accounts may do whatever their user may.
        Some(Ok(())) | None => caller,
    }
}

#[cfg(not(feature = "accounts"))]
fn caller(scope: Scope, _: &Extensions) -> McpCaller {
    McpCaller::new(scope)
}

/// The response; whoever listens to it keeps the seat.
fn with_seat(response: http::Response<ResponseBody>, seat: Option<Seat>) -> Response {
    let Some(seat) = seat else { return response.map(Body::new) };
    response.map(|body| {
        let frames = Body::new(body).into_data_stream();
        Body::from_stream(stream::unfold((frames, seat), |(mut frames, seat)| async move {
            frames.next().await.map(|frame| (frame, (frames, seat)))
        }))
    })
}
