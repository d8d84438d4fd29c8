//! Failures on the wire: RFC 9457 problems under `/api/v1`, OpenAI's error
//! object under `/v1`. The HTTP status of each kind stands here alone.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::{Error, ErrorKind, FieldError};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// What a handler gives.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// How long to wait before trying again where nobody knows better.
const WAIT: Duration = Duration::from_secs(1);

/// Why a request was not done. It is written down by the guard around the
/// handlers, which knows which face was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The status, where it is not the one of the error's kind.
    status: Option<StatusCode>,
    /// The field it is about, where the error does not name one.
    param: Option<String>,
}

impl Failure {
    /// With another status than the kind's own.
    pub(crate) fn with_status(error: Error, status: StatusCode) -> Self {
        Self { status: Some(status), ..Self::from(error) }
    }

    /// A wish that is understood and cannot be granted.
    pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        let (param, message) = (param.into(), message.into());
        Self { param: Some(param.clone()), ..Self::from(Error::unsupported(format!("`{param}`: {message}"))) }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| status(self.error.kind()))
    }

    /// Seconds to wait, for failures that waiting may cure.
    fn retry_after(&self) -> Option<u64> {
        let waits = matches!(self.error.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable);
        let wait = self.error.retry_after().or(waits.then_some(WAIT))?;
        Some(wait.as_millis().div_ceil(1_000).try_into().unwrap_or(1))
    }

    /// As `application/problem+json`.
    pub(crate) fn problem(&self) -> Response {
        let code = self.error.kind().as_str();
        let status = self.status();
        let from_param = self
            .param
            .iter()
            .map(|path| FieldError { path: path.clone(), message: self.error.message().to_owned() });
        let problem = Problem {
            kind: format!("urn:aimate:error:{code}"),
            title: title(self.error.kind()),
            status: status.as_u16(),
            detail: self.error.message(),
            code,
            errors: self.error.fields().iter().cloned().chain(from_param).collect(),
            retry_after: self.retry_after(),
        };
        self.response(&problem, "application/problem+json")
    }

    /// As OpenAI's error object.
    pub(crate) fn openai(&self) -> Response {
        let error = OpenAiError::new(&self.error, self.param.as_deref());
        self.response(&error, "application/json")
    }

    fn response(&self, body: &impl Serialize, media_type: &'static str) -> Response {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, status: None, param: None }
    }
}

impl IntoResponse for Failure {
    /// A response without a body; the guard writes it.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The HTTP status of each kind.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::ContextOverflow | ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Upstream => StatusCode::BAD_GATEWAY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn title(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "The request is not valid",
        ErrorKind::Unauthenticated => "Who asks is not known",
        ErrorKind::Forbidden => "This is not allowed",
        ErrorKind::NotFound => "There is no such thing",
        ErrorKind::Conflict => "This clashes with what is stored",
        ErrorKind::TooLarge => "This is too large",
        ErrorKind::ContextOverflow => "The prompt does not fit the model",
        ErrorKind::Unsupported => "This cannot be done here",
        ErrorKind::RateLimited => "Too many requests",
        ErrorKind::Internal => "The server failed",
        ErrorKind::Upstream => "The model server failed",
        ErrorKind::Unavailable => "Not available at the moment",
        ErrorKind::Timeout => "A deadline passed",
    }
}

/// What went wrong, as RFC 9457 wants it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// `urn:aimate:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What kind of failure it is, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong and what would be right.
    detail: &'a str,
    /// What kind of failure it is, for programs.
    code: &'static str,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// What went wrong, as OpenAI's clients read it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError<'a> {
    error: OpenAiErrorBody<'a>,
}

#[derive(Serialize, ToSchema)]
struct OpenAiErrorBody<'a> {
    /// What was wrong and what would be right.
    message: &'a str,
    /// OpenAI's class of the failure.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field it is about.
    param: Option<&'a str>,
    /// What kind of failure it is.
    code: &'static str,
}

impl<'a> OpenAiError<'a> {
    pub(crate) fn new(error: &'a Error, param: Option<&'a str>) -> Self {
        let named = error.fields().first().map(|field| field.path.as_str());
        Self {
            error: OpenAiErrorBody {
                message: error.message(),
                kind: class(error.kind()),
                param: param.or(named),
                code: match error.kind() {
                    // The one code that clients act on.
                    ErrorKind::ContextOverflow => "context_length_exceeded",
                    kind => kind.as_str(),
                },
            },
        }
    }
}

fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Internal => "server_error",
        ErrorKind::Upstream | ErrorKind::Unavailable | ErrorKind::Timeout => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_of_each_kind_is_the_documented_one() {
        let statuses = ErrorKind::ALL.map(|kind| status(kind).as_u16());
        assert_eq!(statuses, [400, 401, 403, 404, 409, 413, 422, 422, 429, 500, 502, 503, 504]);
    }
}
