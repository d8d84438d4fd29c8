//! Failures and bodies of the routes that OpenAI's clients keep things with: what is wrong
//! with a request is always 400.

use aimate_core::{Error, ErrorKind};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::wire_id;
use crate::app::App;
use crate::error::Failure;
use crate::json;

/// Why a request was refused. OpenAI's clients know 400 for bad input, whatever is bad
/// about it, and send a 409 again by themselves: both, and 415 and 422, are 400 here.
#[derive(Debug)]
pub(crate) struct Refusal(Failure);

/// What comes of a request.
pub(crate) type Handled<T> = Result<T, Refusal>;

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let is_bad = matches!(
            failure.status(),
            StatusCode::CONFLICT | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY
        );
        Self(if is_bad { Failure::with_status(failure.error, StatusCode::BAD_REQUEST) } else { failure })
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// `error`, which says of what is not there that it is the `noun` with this id, as it was
/// sent.
pub(crate) fn about(error: Error, noun: &str, id: &str) -> Refusal {
    if error.kind() == ErrorKind::NotFound { wire_id::missing(noun, id).into() } else { error.into() }
}

/// A JSON object. No body is an empty one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonObject<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonObject<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Handled<Self> {
        let said = request.headers().get(CONTENT_TYPE).cloned();
        let is_json = json::is_json(request.headers());
        let bytes = json::read(request, app).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(json::parse(b"{}")?));
        }
        if !is_json {
            let said = said.as_ref().and_then(|said| said.to_str().ok()).unwrap_or("nothing");
            let said: String = said.chars().take(100).collect();
            return Err(Error::field("Content-Type", format!("is `{said}`; send `application/json`")).into());
        }
        Ok(Self(json::parse(&bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_input_is_400_whatever_is_bad_about_it() {
        for error in [
            Error::invalid("no"),
            Error::unsupported("no"),
            Error::conflict("no"),
            Error::context_overflow("no"),
        ] {
            assert_eq!(Refusal::from(error).into_response().status(), StatusCode::BAD_REQUEST);
        }
        let gone = about(Error::missing("collection", 1), "vector store", "vs_1");
        assert!(gone.0.error.message().contains("`vs_1`"));
        assert_eq!(gone.into_response().status(), StatusCode::NOT_FOUND);
        let other = about(Error::too_large("no"), "vector store", "vs_1").into_response();
        assert_eq!(other.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
