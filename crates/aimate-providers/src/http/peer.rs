//! The server of a call, and the sentences for what goes wrong with it. No
//! sentence holds a key, a body that is not JSON, or a line break.

use std::time::Duration;

use aimate_core::provider::Endpoint;
use aimate_core::{Error, ErrorKind, ErrorReason, Secret};
use serde_json::Value;

use super::Refused;

/// The most characters of a vendor's own sentence.
const VENDOR_LIMIT: usize = 300;

/// The most bytes of a body that go to the log.
const LOG_LIMIT: usize = 8 * 1024;

/// Whom a call asks, as far as errors need it.
#[derive(Clone)]
pub(crate) struct Peer {
    name: String,
    model: String,
    key: Option<Secret>,
}

/// A status or error object that says no.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// The account, the key or the prompt is the reason: no other try helps.
    pub(crate) is_final: bool,
}

/// What a vendor says of an error.
#[derive(Default)]
struct Complaint {
    /// Its code and its type, in lower case.
    codes: [String; 2],
    message: String,
}

impl Peer {
    pub(crate) fn new(endpoint: &Endpoint, model: &str) -> Self {
        Self { name: endpoint.name.clone(), model: model.to_owned(), key: endpoint.api_key.clone() }
    }

    /// "connection `NAME`: `sentence`".
    pub(crate) fn error(&self, kind: ErrorKind, sentence: impl std::fmt::Display) -> Error {
        Error::new(kind, format!("connection `{}`: {sentence}", self.name))
    }

    /// The answer makes no sense; `data` goes to the log.
    pub(crate) fn nonsense(&self, what: impl std::fmt::Display, data: &[u8]) -> Error {
        self.error(ErrorKind::Upstream, what).with_source(self.for_log(data))
    }

    /// A web page came instead of an answer.
    pub(crate) fn web_page(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            "the server answered with a web page; the connection's url should be that of its API, which often ends in `/v1`",
        )
    }

    /// The answer is empty: what some servers do when the prompt is too long.
    pub(crate) fn empty(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            "the server answered with nothing; the prompt may be too long for the model",
        )
    }

    /// The answer ended before it was whole.
    pub(crate) fn cut_off(&self) -> Error {
        self.error(ErrorKind::Upstream, "the answer broke off before it was whole; try again")
    }

    pub(super) fn timeout(&self, what: &str, after: Duration) -> Error {
        self.error(ErrorKind::Timeout, format_args!("the server {what} for {} ms", after.as_millis()))
    }

    pub(super) fn too_long(&self, limit: usize) -> Error {
        self.error(ErrorKind::Upstream, format_args!("the answer is longer than {limit} bytes"))
    }

    /// A line or event is longer than its limit.
    pub(crate) fn too_long_frame(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            format_args!("one line of the answer is longer than {} bytes", crate::frame::LIMIT),
        )
    }

    /// The address policy does not let this server be asked.
    pub(super) fn forbidden(&self, refused: &Refused) -> Error {
        self.error(ErrorKind::Forbidden, refused)
    }

    /// No answer came.
    pub(super) fn unreached(&self, error: reqwest::Error) -> Error {
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

    /// What a status that is no success means.
    pub(crate) fn refusal(&self, status: u16, path: &str, body: &[u8]) -> Refusal {
        let complaint = serde_json::from_slice(body).map(|body| Complaint::new(&body)).unwrap_or_default();
        let refusal = self.refuse(status, path, &complaint);
        Refusal { error: refusal.error.with_source(self.for_log(body)), ..refusal }
    }

    /// What an error object in the middle of an answer means.
    pub(crate) fn complaint(&self, error: &Value) -> Error {
        let complaint = Complaint::new(error);
        let refusal = self.refuse(complaint.status(), "", &complaint);
        refusal.error.with_source(self.for_log(error.to_string().as_bytes()))
    }

    fn refuse(&self, status: u16, path: &str, complaint: &Complaint) -> Refusal {
        use ErrorKind::{
            ContextOverflow, Invalid, NotFound, RateLimited, Timeout, TooLarge, Unsupported, Upstream,
        };
        let said = self.quoted(complaint);
        let model =
            if self.model.is_empty() { String::new() } else { format!(" for model `{}`", self.model) };
        let is_broke = status == 402 || complaint.says(&["insufficient_quota", "insufficient_credits"]);
        let (kind, sentence) = match status {
            300..400 => (
                Upstream,
                format!("the server redirects ({status}); put the final address into the connection's url"),
            ),
            401 | 403 => (
                Upstream,
                format!("the server refused the key ({status}); put the right one into the connection"),
            ),
            _ if is_broke => (Upstream, format!("the account has no credits left ({status}){said}")),
            400 | 413 | 422 | 500 if complaint.is_overflow() => {
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
            400 | 422 if complaint.is_unknown_model() && !self.model.is_empty() => {
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
            is_final: is_broke || matches!(status, 401 | 403) || kind == ContextOverflow,
        }
    }

    /// ": the vendor's sentence", on one line, short and without the key.
    fn quoted(&self, complaint: &Complaint) -> String {
        let words: Vec<_> = complaint
            .message
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let line = self.redact(&words.join(" "));
        match line.chars().next() {
            None | Some('<') => String::new(),
            Some(_) if line.chars().count() > VENDOR_LIMIT => {
                format!(": {}…", line.chars().take(VENDOR_LIMIT - 1).collect::<String>())
            }
            Some(_) => format!(": {line}"),
        }
    }

    /// Redacted before it is cut: half a key is a key's half.
    fn for_log(&self, body: &[u8]) -> String {
        let mut text = self.redact(&String::from_utf8_lossy(body));
        text.truncate(text.floor_char_boundary(LOG_LIMIT));
        text
    }

    fn redact(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text))
    }
}

impl Complaint {
    /// Out of `{"error": {…}}`, `{"error": "…"}`, `{"message": "…"}`,
    /// `{"detail": "…"}`, or the inner object itself.
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

    fn says(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    /// The status that an error in the middle of an answer stands for; 0 if it
    /// does not tell.
    fn status(&self) -> u16 {
        let number =
            self.codes.iter().find_map(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
        match number {
            Some(status) => status,
            None if self.is_overflow() => 400,
            None if self.says(&[
                "rate_limit_exceeded",
                "rate_limit_error",
                "rate_limited",
                "too_many_requests",
            ]) =>
            {
                429
            }
            None if self.says(&["invalid_api_key", "authentication_error"]) => 401,
            None if self.says(&["model_not_found", "not_found_error"]) => 404,
            None if self.says(&["invalid_request_error", "invalid_prompt"]) => 400,
            None if self.says(&["timeout", "timeout_error"]) => 504,
            None => 0,
        }
    }

    /// Whether the server does not know the model: not all of them say so by
    /// the status 404.
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
        self.says(&CODES) || PHRASES.iter().any(|phrase| message.contains(phrase))
    }

    fn is_overflow(&self) -> bool {
        const TELLS: [&str; 9] = [
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
            || TELLS.iter().any(|tell| message.contains(tell))
    }
}
