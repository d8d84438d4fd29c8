//! The errors of model servers. No message contains a key, a body that is not
//! JSON, or a line break; what a vendor sent goes to the log, redacted.

use std::time::Duration;

use aimate_core::provider::Endpoint;
use aimate_core::{Error, ErrorKind, ErrorReason, Secret};
use serde_json::Value;

use super::address_guard::RefusedAddress;

/// Maximum characters of a vendor's own message.
const MAX_VENDOR_MESSAGE: usize = 300;

/// Maximum bytes of a body in the log.
const MAX_LOGGED: usize = 8 * 1024;

/// Makes the errors of one server: it knows the names that a message needs, and
/// the key that no message may contain.
#[derive(Clone)]
pub(crate) struct UpstreamErrors {
    name: String,
    model: String,
    key: Option<Secret>,
}

/// The error of a status or of an error object.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// Because of the account, the key or the prompt: a retry cannot succeed.
    pub(crate) is_permanent: bool,
}

/// A vendor's description of an error.
#[derive(Default)]
struct VendorError {
    /// Its code and its type, in lower case.
    codes: [String; 2],
    message: String,
}

impl UpstreamErrors {
    pub(crate) fn new(endpoint: &Endpoint, model: &str) -> Self {
        Self { name: endpoint.name.clone(), model: model.to_owned(), key: endpoint.api_key.clone() }
    }

    /// "connection `NAME`: `sentence`".
    pub(crate) fn error(&self, kind: ErrorKind, sentence: impl std::fmt::Display) -> Error {
        // A sentence may quote what the server sent, such as a value of a wrong type.
        Error::new(kind, format!("connection `{}`: {}", self.name, self.redact(&sentence.to_string())))
    }

    /// The response is not what the API specifies; `data` goes to the log.
    pub(crate) fn invalid_response(&self, what: impl std::fmt::Display, data: &[u8]) -> Error {
        self.error(ErrorKind::Upstream, what).with_source(self.for_log(data))
    }

    /// The response is a web page.
    pub(crate) fn web_page(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            "the server answered with a web page; the connection's url should be that of its API, which often ends in `/v1`",
        )
    }

    /// The response is empty, which some servers send if the prompt is too long.
    pub(crate) fn empty_response(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            "the server answered with nothing; the prompt may be too long for the model",
        )
    }

    /// The response ended before it was complete.
    pub(crate) fn truncated(&self) -> Error {
        self.error(ErrorKind::Upstream, "the answer broke off before it was whole; try again")
    }

    pub(super) fn timeout(&self, what: &str, after: Duration) -> Error {
        self.error(ErrorKind::Timeout, format_args!("the server {what} for {} ms", after.as_millis()))
    }

    pub(crate) fn too_long(&self, limit: usize) -> Error {
        self.error(ErrorKind::Upstream, format_args!("the answer is longer than {limit} bytes"))
    }

    /// A line or event is longer than its limit.
    pub(crate) fn too_long_frame(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            format_args!("one line of the answer is longer than {} bytes", crate::frame::LIMIT),
        )
    }

    /// The address policy refuses this server.
    pub(super) fn forbidden(&self, refused: &RefusedAddress) -> Error {
        self.error(ErrorKind::Forbidden, refused)
    }

    /// No response arrived.
    pub(super) fn unreachable(&self, error: reqwest::Error) -> Error {
        let error = error.without_url();
        let (kind, sentence) = match (error.is_connect(), error.is_timeout()) {
            (true, true) => (
                ErrorKind::Timeout,
                "the server cannot be reached in time; is it running at the connection's url?",
            ),
            (true, false) => (
                ErrorKind::Unavailable,
                "the server cannot be reached; is it running at the connection's url?",
            ),
            _ => (ErrorKind::Unavailable, "the server closed the connection without an answer"),
        };
        self.error(kind, sentence).with_source(error)
    }

    /// The error of a status that is not a success.
    pub(crate) fn status_error(&self, status: u16, path: &str, body: &[u8]) -> Refusal {
        let vendor = serde_json::from_slice(body).map(|body| VendorError::new(&body)).unwrap_or_default();
        let refusal = self.refuse(status, path, &vendor);
        Refusal { error: refusal.error.with_source(self.for_log(body)), ..refusal }
    }

    /// The error of an error object in the middle of a response.
    pub(crate) fn error_object(&self, error: &Value) -> Error {
        let vendor = VendorError::new(error);
        let refusal = self.refuse(vendor.status(), "", &vendor);
        refusal.error.with_source(self.for_log(error.to_string().as_bytes()))
    }

    fn refuse(&self, status: u16, path: &str, vendor: &VendorError) -> Refusal {
        use ErrorKind::{
            ContextOverflow, Invalid, NotFound, RateLimited, Timeout, TooLarge, Unsupported, Upstream,
        };
        let said = self.quoted(vendor);
        let model =
            if self.model.is_empty() { String::new() } else { format!(" for model `{}`", self.model) };
        let is_out_of_credits =
            status == 402 || vendor.has_code(&["insufficient_quota", "insufficient_credits"]);
        let (kind, sentence) = match status {
            300..400 => (
                Upstream,
                format!("the server redirects ({status}); put the final address into the connection's url"),
            ),
            401 | 403 => (
                Upstream,
                format!("the server refused the key ({status}); put the right one into the connection"),
            ),
            _ if is_out_of_credits => (Upstream, format!("the account has no credits left ({status}){said}")),
            400 | 413 | 422 | 500 if vendor.is_overflow() => {
                (ContextOverflow, format!("the prompt does not fit the window of the model{model}{said}"))
            }
            404 | 405 if self.model.is_empty() => (
                NotFound,
                format!("the server knows no `{path}` ({status}); the connection's url is wrong{said}"),
            ),
            404 => (
                NotFound,
                format!("the server has no model `{}`, or another address ({status}){said}", self.model),
            ),
            400 | 422 if vendor.is_unknown_model() && !self.model.is_empty() => {
                (NotFound, format!("the server has no model `{}` ({status}){said}", self.model))
            }
            408 | 504 => (Timeout, format!("the server took too long ({status}){said}")),
            413 => (TooLarge, format!("the request is too large for the server (413){said}")),
            429 => (RateLimited, format!("the server has too many requests (429){said}")),
            501 => (Unsupported, format!("the server cannot do this (501){said}")),
            400..500 => (Invalid, format!("the server refused the request{model} ({status}){said}")),
            0 => (Upstream, format!("the server failed in the middle of its answer{said}")),
            _ => (Upstream, format!("the server failed ({status}){said}")),
        };
        let reason = match kind {
            Upstream if matches!(status, 401 | 403) => Some(ErrorReason::KeyRefused),
            NotFound if !self.model.is_empty() => Some(ErrorReason::UnknownModel),
            _ => None,
        };
        let error = self.error(kind, sentence);
        Refusal {
            error: match reason {
                Some(reason) => error.with_reason(reason),
                None => error,
            },
            is_permanent: is_out_of_credits || matches!(status, 401 | 403) || kind == ContextOverflow,
        }
    }

    /// Returns ": " and the vendor's message, on one line, short and redacted.
    fn quoted(&self, vendor: &VendorError) -> String {
        let words: Vec<_> = vendor
            .message
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let line = self.redact(&words.join(" "));
        match line.chars().next() {
            None | Some('<') => String::new(),
            Some(_) if line.chars().count() > MAX_VENDOR_MESSAGE => {
                format!(": {}…", line.chars().take(MAX_VENDOR_MESSAGE - 1).collect::<String>())
            }
            Some(_) => format!(": {line}"),
        }
    }

    /// Redacted before it is cut: a cut key would no longer be recognized.
    fn for_log(&self, body: &[u8]) -> String {
        let mut text = self.redact(&String::from_utf8_lossy(body));
        text.truncate(text.floor_char_boundary(MAX_LOGGED));
        text
    }

    fn redact(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text))
    }
}

impl VendorError {
    /// Reads `{"error": {…}}`, `{"error": "…"}`, `{"message": "…"}`,
    /// `{"detail": "…"}`, or the inner object alone.
    fn new(body: &Value) -> Self {
        let inner = match body.get("error") {
            Some(error) if !error.is_null() => error,
            _ => body,
        };
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let message = match inner {
            Value::String(message) => message.clone(),
            _ => ["message", "detail", "error"]
                .into_iter()
                .map(|name| text(inner.get(name)))
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
        };
        Self { codes: ["code", "type"].map(|name| text(inner.get(name)).to_ascii_lowercase()), message }
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    /// Returns the status that an error object stands for; 0 if it does not say.
    fn status(&self) -> u16 {
        let number =
            self.codes.iter().find_map(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
        match number {
            Some(status) => status,
            None if self.is_overflow() => 400,
            None if self.has_code(&[
                "rate_limit_exceeded",
                "rate_limit_error",
                "rate_limited",
                "too_many_requests",
            ]) =>
            {
                429
            }
            None if self.has_code(&["invalid_api_key", "authentication_error"]) => 401,
            None if self.has_code(&["model_not_found", "not_found_error"]) => 404,
            None if self.has_code(&["invalid_request_error", "invalid_prompt"]) => 400,
            None if self.has_code(&["timeout", "timeout_error"]) => 504,
            None => 0,
        }
    }

    /// Whether the server does not know the model: not all of them report it with
    /// status 404.
    fn is_unknown_model(&self) -> bool {
        const CODES: [&str; 5] = [
            "model_not_found",
            "model_not_available",
            "unknown_model",
            "invalid_model",
            "deploymentnotfound",
        ];
        const PHRASES: [&str; 5] = [
            "not a valid model id",
            "model not found",
            "model not exist",
            "invalid model name",
            "no such model",
        ];
        let message = self.message.to_ascii_lowercase();
        self.has_code(&CODES) || PHRASES.iter().any(|phrase| message.contains(phrase))
    }

    fn is_overflow(&self) -> bool {
        const PHRASES: [&str; 9] = [
            "context length",
            "context_length",
            "context window",
            "context size",
            "maximum context",
            "prompt is too long",
            "prompt too long",
            "input length exceeds",
            "too many tokens",
        ];
        let message = self.message.to_ascii_lowercase();
        self.codes
            .iter()
            .any(|code| code.starts_with("context_length") || code == "exceed_context_size_error")
            || PHRASES.iter().any(|phrase| message.contains(phrase))
    }
}
