//! The errors of model servers. No message contains a key, a body that is not
//! JSON, or a line break; what a vendor sent goes to the log, redacted.

use std::time::Duration;

use aimate_core::provider::Endpoint;
use aimate_core::{Error, ErrorKind, ErrorReason, Secret};
use serde_json::Value;

use super::address_guard::RefusedAddress;
use super::vendor_error::VendorError;

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
    /// What the connection's url might lack.
    hint: Option<String>,
}

/// The error of a status or of an error object.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// Because of the account, the key or the prompt: a retry cannot succeed.
    pub(crate) is_permanent: bool,
    /// Because the server is loading the model: a retry will succeed.
    pub(crate) is_loading: bool,
}

impl UpstreamErrors {
    pub(crate) fn new(endpoint: &Endpoint, model: &str) -> Self {
        Self {
            name: endpoint.name.clone(),
            model: model.to_owned(),
            key: endpoint.api_key.clone(),
            hint: hint(endpoint),
        }
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
        let hint = self.hint();
        self.error(
            ErrorKind::Upstream,
            format_args!(
                "the server answered with a web page; the connection's url should be that of its API, which often \
                 ends in `/v1`{hint}"
            ),
        )
    }

    /// The response is empty, which some servers send if the prompt is too long.
    pub(crate) fn empty_response(&self) -> Error {
        self.error(
            ErrorKind::Upstream,
            "the server answered with nothing; the prompt may be too long for the model",
        )
    }

    /// The response has nothing of an answer; `data` is what it has.
    pub(crate) fn no_answer(&self, data: &[u8]) -> Error {
        if data.starts_with(b"<") {
            return self.web_page();
        }
        let body = serde_json::from_slice(data).unwrap_or(Value::Null);
        let vendor = VendorError::new(&body);
        if !vendor.message.is_empty() {
            return self.error_object(&body);
        }
        let what = if body.is_object() {
            "the response has no `choices`"
        } else {
            "the response does not follow OpenAI's API"
        };
        self.invalid_response(what, data)
    }

    /// Whether JSON in place of an answer is an error.
    pub(crate) fn is_error(&self, body: &Value) -> bool {
        VendorError::new(body).is_error(body)
    }

    /// Logs a piece of a response that cannot be read.
    pub(crate) fn log_unread(&self, data: &[u8]) {
        tracing::warn!(connection = %self.name, data = %self.for_log(data), "a piece of an answer cannot be read; it is skipped");
    }

    /// The model's server says that it broke off.
    pub(crate) fn broke_off(&self, reason: &str) -> Error {
        let reason = self.redact(reason).chars().filter(|c| !c.is_control()).take(60).collect::<String>();
        self.error(
            ErrorKind::Upstream,
            format_args!("the server failed in the middle of its answer (`{reason}`); try again"),
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

    /// The error of a status that is not a success; `is_page` for HTML.
    pub(crate) fn status_error(&self, status: u16, path: &str, body: &[u8], is_page: bool) -> Refusal {
        let vendor = match serde_json::from_slice(body) {
            Ok(body) => VendorError::new(&body),
            Err(_) if is_page => VendorError::default(),
            Err(_) => VendorError::of_text(&String::from_utf8_lossy(body)),
        };
        let refusal = self.refuse(status, path, &vendor);
        Refusal { error: refusal.error.with_source(self.for_log(body)), ..refusal }
    }

    /// The error of an error object in place of an answer or in the middle of it.
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
        let shown = if status == 0 { String::new() } else { format!(" ({status})") };
        let model =
            if self.model.is_empty() { String::new() } else { format!(" for model `{}`", self.model) };
        let is_out_of_credits = status == 402 || vendor.is_out_of_credits();
        let is_key = status == 401 || (matches!(status, 0 | 400 | 403) && vendor.is_key());
        let is_loading = matches!(status, 0 | 425 | 503) && vendor.is_loading();
        let (kind, sentence) = match status {
            300..400 => (
                Upstream,
                format!("the server redirects ({status}); put the final address into the connection's url"),
            ),
            _ if is_out_of_credits => (Upstream, format!("the account has no credits left{shown}{said}")),
            _ if is_key => (
                Upstream,
                format!("the server refused the key{shown}; put the right one into the connection{said}"),
            ),
            403 => (Upstream, format!("the server does not allow this request (403){said}")),
            0 | 400 | 404 | 413 | 422 | 500..504 if vendor.is_overflow() => {
                (ContextOverflow, format!("the prompt does not fit the window of the model{model}{said}"))
            }
            404 | 405 if self.model.is_empty() => (
                NotFound,
                format!(
                    "the server knows no `{path}` ({status}); the connection's url is wrong{}{said}",
                    self.hint()
                ),
            ),
            404 => (
                NotFound,
                format!(
                    "the server has no model `{}`, or another address (404){}{said}",
                    self.model,
                    self.hint()
                ),
            ),
            400 | 422 if vendor.is_unknown_model() && !self.model.is_empty() => {
                (NotFound, format!("the server has no model `{}` ({status}){said}", self.model))
            }
            _ if is_loading => {
                (ErrorKind::Unavailable, format!("the server is still loading the model{model}{shown}{said}"))
            }
            408 | 504 | 524 => (Timeout, format!("the server took too long ({status}){said}")),
            413 => (TooLarge, format!("the request is too large for the server (413){said}")),
            429 => (RateLimited, format!("the server has too many requests (429){said}")),
            405 => (Invalid, format!("the server refused the request{model} (405){}{said}", self.hint())),
            501 => (Unsupported, format!("the server cannot do this (501){said}")),
            400..500 => (Invalid, format!("the server refused the request{model} ({status}){said}")),
            0 => (Upstream, format!("the server failed in the middle of its answer{said}")),
            _ => (Upstream, format!("the server failed ({status}){said}")),
        };
        let reason = match kind {
            Upstream if is_key && !is_out_of_credits => Some(ErrorReason::KeyRefused),
            NotFound if !self.model.is_empty() => Some(ErrorReason::UnknownModel),
            Invalid | Unsupported | Upstream if vendor.is_about_image() => Some(ErrorReason::ImageRefused),
            _ => None,
        };
        let mut error = self.error(kind, sentence);
        if let Some(reason) = reason {
            error = error.with_reason(reason);
        }
        if let Some(overflow) = vendor.overflow().filter(|_| kind == ContextOverflow) {
            error = error.with_overflow(overflow);
        }
        Refusal {
            error,
            is_permanent: is_out_of_credits || is_key || status == 403 || kind == ContextOverflow,
            is_loading,
        }
    }

    /// "; try `…/v1`", where the connection's url might lack it.
    fn hint(&self) -> String {
        self.hint.as_ref().map(|url| format!("; try `{url}`")).unwrap_or_default()
    }

    /// Returns ": " and the vendor's message, on one line, short and redacted.
    fn quoted(&self, vendor: &VendorError) -> String {
        let words: Vec<_> = vendor
            .message
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let line = self.redact(&words.join(" "));
        let is_key = |word: &str| word.contains("[key]") || self.is_part_of_key(word);
        let words: Vec<_> = line.split(' ').map(|word| if is_key(word) { "[key]" } else { word }).collect();
        let line = words.join(" ");
        match line.chars().next() {
            None | Some('<') => String::new(),
            Some(_) if line.chars().count() > MAX_VENDOR_MESSAGE => {
                format!(": {}…", line.chars().take(MAX_VENDOR_MESSAGE - 1).collect::<String>())
            }
            Some(_) => format!(": {line}"),
        }
    }

    /// Whether a word shows a part of the key, as in `sk-pr***cdef`.
    fn is_part_of_key(&self, word: &str) -> bool {
        let Some(key) = self.key.as_ref().map(Secret::expose) else { return false };
        let is_masked =
            word.contains("**") || word.contains("...") || word.contains('…') || word.contains("xxx");
        let shares = |length: usize| {
            key.is_ascii()
                && key
                    .as_bytes()
                    .windows(length)
                    .any(|part| memchr::memmem::find(word.as_bytes(), part).is_some())
        };
        is_masked && shares(3)
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

/// What the url of a connection might lack: most servers have their API below
/// `/v1`.
fn hint(endpoint: &Endpoint) -> Option<String> {
    let url = endpoint.url.trim_end_matches('/');
    let is_versioned = url.split('/').any(|part| {
        part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    (endpoint.provider.as_str() == "openai" && !is_versioned && !url.is_empty()).then(|| format!("{url}/v1"))
}
