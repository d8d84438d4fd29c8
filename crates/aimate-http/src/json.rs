//! JSON bodies: read within limits and parsed, with the path of an invalid field
//! in the error.

use aimate_core::Error;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, timeout};

use crate::app::{App, BODY_UNIT, no_room};
use crate::error::{Failure, Result};

/// How much of a refused body is still read, and for how long. A client that is
/// disconnected while it sends sees a reset connection, not the response.
const MAX_DRAIN: usize = 64 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum bytes of the body of a request that may have less than others, such as one whose
/// sender nobody knows yet: an extension of it.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(any(feature = "accounts", feature = "mcp")),
    allow(dead_code, reason = "only accounts and MCP have smaller bodies")
)]
pub(crate) struct MaxBody(pub(crate) usize);

/// A JSON body of a request or a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be missing: every field has a default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let is_json = is_json(request.headers());
        let bytes = read(request, app).await?;
        if !is_json {
            return Err(not_json());
        }
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let is_json = is_json(request.headers());
        let bytes = read(request, app).await?;
        match (bytes.trim_ascii(), is_json) {
            (b"" | b"null", _) => Ok(Self(T::default())),
            (_, false) => Err(not_json()),
            (_, true) => parse(&bytes).map(Self),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => bytes(body.into()),
            Err(error) => {
                Failure::from(Error::internal("the response could not be serialized").with_source(error))
                    .into_response()
            }
        }
    }
}

/// A response of serialized JSON.
pub(crate) fn bytes(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// What is of one caller and one moment: no cache keeps it.
pub(crate) fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `201` with the new resource and its `Location`.
pub(crate) fn created<T: Serialize>(address: &str, new: T) -> Response {
    with_location(StatusCode::CREATED, address, new)
}

/// `202` with the resource that is not ready yet and its `Location`.
pub(crate) fn accepted<T: Serialize>(address: &str, new: T) -> Response {
    with_location(StatusCode::ACCEPTED, address, new)
}

fn with_location<T: Serialize>(status: StatusCode, address: &str, new: T) -> Response {
    let mut response = Json(new).into_response();
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// Whether `Content-Type` is JSON. Anything else is refused: a web page of
/// another origin can send `text/plain` without a CORS preflight.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let subtype = essence
        .get(..12)
        .filter(|prefix| prefix.eq_ignore_ascii_case("application/"))
        .and_then(|_| essence.get(12..));
    subtype.is_some_and(|subtype| {
        subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json")
    })
}

fn not_json() -> Failure {
    let error = Error::invalid("the body must be JSON; send it with `Content-Type: application/json`");
    Failure::with_status(error, StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

/// Reads the whole body, within its limits of size and time. What it has beyond
/// [`BODY_UNIT`] comes out of what all bodies together may have.
pub(crate) async fn read(request: Request, app: &App) -> Result<Bytes> {
    let own = request.extensions().get::<MaxBody>().map_or(usize::MAX, |most| most.0);
    let limit = app.options.body_limit.min(own);
    let length = content_length(request.headers());
    let mut body = request.into_body();
    if length.is_some_and(|length| length > limit as u64) {
        drain(&mut body).await;
        return Err(too_large(limit));
    }
    let mut room = Vec::new();
    match timeout(app.options.body_timeout, read_within(&mut body, limit, app, &mut room)).await {
        Ok(Ok(read)) => app.begin_work().map(|()| read),
        Ok(Err(BodyError::TooLarge)) => {
            room.clear();
            drain(&mut body).await;
            Err(too_large(limit))
        }
        Ok(Err(BodyError::NoRoom)) => {
            room.clear();
            drain(&mut body).await;
            Err(no_room())
        }
        Ok(Err(BodyError::Ended(error))) => {
            Err(Error::invalid("the body ended early").with_source(error).into())
        }
        Err(_) => Err(Failure::with_status(
            Error::invalid("the body took too long to arrive"),
            StatusCode::REQUEST_TIMEOUT,
        )),
    }
}

/// Why a body could not be read.
enum BodyError {
    TooLarge,
    NoRoom,
    Ended(axum::Error),
}

async fn read_within(
    body: &mut Body,
    limit: usize,
    app: &App,
    room: &mut Vec<OwnedSemaphorePermit>,
) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut had = BODY_UNIT;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(BodyError::Ended)?.into_data() else { continue };
        let length = first.len().max(all.len()) + piece.len();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        while had < length {
            room.push(app.body_room.clone().try_acquire_owned().map_err(|_| BodyError::NoRoom)?);
            had += BODY_UNIT;
        }
        // Most bodies are one piece, which needs no copy.
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The announced length of the body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok())
}

fn too_large(limit: usize) -> Failure {
    Error::too_large(format!("the body is larger than the maximum of {limit} bytes")).into()
}

/// Reads the rest of a refused body and discards it; see [`MAX_DRAIN`].
pub(crate) async fn drain(body: &mut Body) {
    let rest = Limited::new(body, MAX_DRAIN);
    // The response is the same whether the body ended or not.
    let _ = timeout(DRAIN_TIMEOUT, async move {
        let mut rest = std::pin::pin!(rest);
        while let Some(Ok(_)) = rest.as_mut().frame().await {}
    })
    .await;
}

/// Parses `bytes`. The path of an error is found by a second, slower pass, which
/// valid bodies do not pay for.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // Serde would read a list as the fields in their order.
    let opens = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if opens.is_some_and(|byte| *byte != b'{') {
        return Err(Error::invalid("the body must be a JSON object").into());
    }
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if bytes.is_empty() {
        return Err(Error::invalid("the body is empty; it must be JSON").into());
    }
    if let Err(invalid) = std::str::from_utf8(bytes) {
        return Err(Error::invalid(format!(
            "the body is not UTF-8: byte {} is invalid",
            invalid.valid_up_to()
        ))
        .into());
    }
    if !error.is_data() {
        return Err(Error::invalid(format!("the body is not JSON: {error}")).into());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(found) => found.path().to_string(),
        Ok(_) => ".".to_owned(),
    };
    let sentence = error.to_string();
    let what = sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(what, _)| what);
    if path == "." {
        return Err(Error::invalid(what.to_owned()).into());
    }
    Err(Error::field(path, what).into())
}

/// Reads a part of a body that stands at `path`.
pub(crate) fn part<T: DeserializeOwned>(part: &Value, path: &str) -> Result<T> {
    serde_path_to_error::deserialize(part).map_err(|error| {
        let inner = error.path().to_string();
        let path = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
        Error::field(path, error.inner().to_string()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aimate_core::conversation::NewConversation;

    fn wrong(body: &[u8]) -> Error {
        parse::<NewConversation>(body).unwrap_err().error
    }

    #[test]
    fn error_names_the_path_of_its_field() {
        let error = wrong(br#"{"tags":["a",1]}"#);
        assert_eq!(error.fields()[0].path, "tags[1]");
        assert!(!error.message().contains("line"), "{error}");
    }

    #[test]
    fn unknown_field_is_named_with_the_known_ones() {
        let error = wrong(br#"{"titel":"x"}"#);
        assert_eq!(error.fields()[0].path, "titel");
        assert!(error.message().contains("`title`"), "{error}");
    }

    #[test]
    fn body_that_is_not_json_is_refused_as_such() {
        assert!(wrong(b"").message().contains("empty"));
        assert!(wrong(b"{").message().contains("not JSON"));
        assert!(wrong(b"{\"title\":\"\xff\"}").message().contains("not UTF-8"));
        assert!(wrong(b" [\"a\"]").message().contains("must be a JSON object"));
        let deep = format!("{{\"metadata\":{{\"a\":{}", "[".repeat(100_000));
        assert!(wrong(deep.as_bytes()).message().contains("not JSON"));
    }
}
