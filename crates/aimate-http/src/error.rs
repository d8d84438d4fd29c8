//! Errors on the wire: RFC 9457 problems under `/api/v1`, OpenAI's error object
//! under `/v1`. The HTTP status of each kind of error is defined here alone.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::rate_limit::{RateLimit, RequestClass};
use aimate_core::{Error, ErrorKind, ErrorReason, FieldError};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// The result of a handler.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// `Retry-After` of an error without a time of its own.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// OpenAI's clients try a 429 again, unless this says that it is of no use.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// RFC 9457 `application/problem+json`.
    Problem,
    /// OpenAI's error object.
    OpenAi,
}

impl ErrorFormat {
    /// The format of the API that `path` belongs to; `None` outside of both.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let is_below =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_below("/api/v1") {
            Some(Self::Problem)
        } else if is_below("/v1") {
            Some(Self::OpenAi)
        } else {
            None
        }
    }
}

/// Why a request failed. A handler returns it without a body: the middleware
/// writes the body, since it knows which API was called.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The status, if it is not that of the error's kind.
    status: Option<StatusCode>,
    /// The field at fault, if the error does not name one.
    param: Option<String>,
    /// OpenAI's code, where it has one of its own for this.
    code: Option<&'static str>,
    /// Whether the connection is closed behind it.
    closes: bool,
    /// Whether it comes in crowds, for want of room.
    is_crowded: bool,
    /// The rate limit that it exceeds.
    rate: Option<(RequestClass, RateLimit)>,
}

impl Failure {
    /// A failure behind which the connection is closed.
    pub(crate) fn closing(error: Error) -> Self {
        Self { closes: true, ..Self::from(error) }
    }

    /// A failure for want of room, which comes in crowds and is no news for the log.
    pub(crate) fn crowded(error: Error) -> Self {
        Self { is_crowded: true, ..Self::from(error) }
    }

    /// The failure of a handler that panicked.
    pub(crate) fn unexpected() -> Self {
        Error::internal("the server failed unexpectedly; see its log for details").into()
    }

    /// Tells the log, which alone has the cause: it may hold internals. `what` failed; of a request
    /// by itself, the middleware tells more.
    pub(crate) fn log(&self, what: &str) {
        let (error, code) = (&self.error, self.error.kind().as_str());
        // Who finds no room comes in crowds, and must not fill the log too.
        if self.status().is_server_error() && !self.is_crowded() {
            tracing::error!(code, cause = ?error, "{what} failed");
        } else {
            tracing::debug!(code, cause = ?error, "{what} was refused");
        }
    }

    /// Whether it is one of a crowd.
    pub(crate) fn is_crowded(&self) -> bool {
        self.is_crowded || self.closes
    }

    /// The refusal of a request by a rate limit.
    pub(crate) fn rate_limited(error: Error, class: RequestClass, limit: RateLimit) -> Self {
        Self { rate: Some((class, limit)), ..Self::from(error) }
    }

    /// A failure with another status than that of the error's kind.
    pub(crate) fn with_status(error: Error, status: StatusCode) -> Self {
        Self { status: Some(status), ..Self::from(error) }
    }

    /// A 422: `param` is understood but not supported.
    pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        let (param, message) = (param.into(), message.into());
        Self { param: Some(param.clone()), ..Self::from(Error::unsupported(format!("`{param}`: {message}"))) }
    }

    /// With a code of OpenAI's own, under `/v1`.
    pub(crate) fn coded(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Whether it has this code of OpenAI's.
    pub(crate) fn is_coded(&self, code: &str) -> bool {
        self.code == Some(code)
    }

    /// With the field at fault.
    pub(crate) fn of_param(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| status(self.error.kind()))
    }

    /// Seconds to wait, for errors that may pass by themselves.
    fn retry_after(&self) -> Option<u64> {
        // Who waits a second for a new month has it used up as before.
        if self.is_used_up() {
            return None;
        }
        let waits = matches!(self.error.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable);
        let wait = self.error.retry_after().or(waits.then_some(DEFAULT_RETRY_AFTER))?;
        Some(wait.as_millis().div_ceil(1_000).try_into().unwrap_or(1))
    }

    /// Whether a budget is used up.
    fn is_used_up(&self) -> bool {
        self.error.reason() == Some(ErrorReason::BudgetExceeded)
    }

    /// The response in `format`.
    pub(crate) fn response_as(&self, format: ErrorFormat) -> Response {
        match format {
            ErrorFormat::Problem => self.problem(),
            ErrorFormat::OpenAi => self.openai(),
        }
    }

    fn problem(&self) -> Response {
        self.response(&self.as_problem(), "application/problem+json")
    }

    /// The problem under `/api/v1`.
    pub(crate) fn as_problem(&self) -> Problem<'_> {
        let code = self.error.kind().as_str();
        let status = self.status();
        let from_param = self
            .param
            .iter()
            .map(|path| FieldError { path: path.clone(), message: self.error.message().to_owned() });
        Problem {
            kind: format!("urn:aimate:error:{code}"),
            title: title(self.error.kind()),
            status: status.as_u16(),
            detail: self.error.message(),
            code,
            errors: self.error.fields().iter().cloned().chain(from_param).collect(),
            reason: reason(&self.error),
            retry_after: self.retry_after(),
        }
    }

    fn openai(&self) -> Response {
        let mut response = self.response(&self.openai_error(), "application/json");
        *response.status_mut() = self.openai_status();
        response
    }

    /// The error object under `/v1`.
    pub(crate) fn openai_error(&self) -> OpenAiError<'_> {
        let mut error = OpenAiError::new(&self.error, self.param.as_deref());
        if let Some(code) = self.code {
            error.error.code = code;
        }
        error
    }

    /// The HTTP status under `/v1`, where OpenAI answers every bad request with 400: its
    /// clients know no 422 for what cannot be done, and send a 409 again by themselves, though
    /// what clashes clashes again.
    pub(crate) fn openai_status(&self) -> StatusCode {
        match self.status() {
            StatusCode::CONFLICT | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY => {
                StatusCode::BAD_REQUEST
            }
            status => status,
        }
    }

    fn response(&self, body: &impl Serialize, media_type: &'static str) -> Response {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.is_used_up() {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
            for (name, value) in self.rate_headers(seconds) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl Failure {
    /// What the limit is and when there is more, as in
    /// draft-ietf-httpapi-ratelimit-headers-10.
    fn rate_headers(&self, seconds: u64) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let headers = self.rate.map(|(class, limit)| {
            let policy = format!("\"{class}\";q={};w=60", limit.per_minute);
            [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, format!("\"{class}\";r=0;t={seconds}"))]
        });
        headers.into_iter().flatten().filter_map(|(name, value)| Some((name, value.try_into().ok()?)))
    }
}

/// `error` as a response for routes of an application: its status, and its sentence
/// as an RFC 9457 problem, as under `/api/v1`.
pub fn problem(error: Error) -> Response {
    Failure::from(error).response_as(ErrorFormat::Problem)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, status: None, param: None, code: None, closes: false, is_crowded: false, rate: None }
    }
}

impl IntoResponse for Failure {
    /// A response without a body; the middleware writes it.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The HTTP status of a kind of error.
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
        ErrorKind::Invalid => "Invalid request",
        ErrorKind::Unauthenticated => "Authentication required",
        ErrorKind::Forbidden => "Forbidden",
        ErrorKind::NotFound => "Not found",
        ErrorKind::Conflict => "Conflict",
        ErrorKind::TooLarge => "Too large",
        ErrorKind::ContextOverflow => "Context window exceeded",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::RateLimited => "Too many requests",
        ErrorKind::Internal => "Internal server error",
        ErrorKind::Upstream => "Model server error",
        ErrorKind::Unavailable => "Temporarily unavailable",
        ErrorKind::Timeout => "Timed out",
    }
}

/// An error under `/api/v1`, in the form of RFC 9457.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// `urn:aimate:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of error, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what would be right.
    detail: &'a str,
    /// The kind of error, for programs.
    code: &'static str,
    /// The invalid fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// What more a program may need to know: `budget_exceeded`, `quota_exceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Seconds to wait before a retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// An error under `/v1`, in OpenAI's form.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError<'a> {
    error: OpenAiErrorBody<'a>,
}

#[derive(Serialize, ToSchema)]
struct OpenAiErrorBody<'a> {
    /// What is wrong and what would be right.
    message: &'a str,
    /// OpenAI's class of the error.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field at fault.
    param: Option<&'a str>,
    /// The kind of error.
    code: &'static str,
}

impl<'a> OpenAiError<'a> {
    pub(crate) fn new(error: &'a Error, param: Option<&'a str>) -> Self {
        let named = error.fields().first().map(|field| field.path.as_str());
        let is_used_up = error.reason() == Some(ErrorReason::BudgetExceeded);
        Self {
            error: OpenAiErrorBody {
                message: error.message(),
                kind: if is_used_up { NO_QUOTA } else { class(error.kind()) },
                param: param.or(named),
                code: match error.kind() {
                    // The codes that clients act on: they shorten the prompt, or do not try
                    // again.
                    ErrorKind::ContextOverflow => "context_length_exceeded",
                    ErrorKind::RateLimited if is_used_up => NO_QUOTA,
                    kind => kind.as_str(),
                },
            },
        }
    }
}

/// What OpenAI says where there is no money left.
const NO_QUOTA: &str = "insufficient_quota";

/// What a program may act on beside the kind.
fn reason(error: &Error) -> Option<&'static str> {
    match error.reason()? {
        ErrorReason::BudgetExceeded => Some("budget_exceeded"),
        ErrorReason::QuotaExceeded => Some("quota_exceeded"),
        _ => None,
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

    #[test]
    fn bad_input_is_400_for_openai_whatever_is_bad_about_it() {
        let status = |error: Error| Failure::from(error).response_as(ErrorFormat::OpenAi).status();
        for error in [
            Error::invalid("no"),
            Error::unsupported("no"),
            Error::conflict("no"),
            Error::context_overflow("no"),
        ] {
            assert_eq!(status(error), StatusCode::BAD_REQUEST);
        }
        assert_eq!(status(Error::too_large("no")), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
