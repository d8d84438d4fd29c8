//! The one error type, and the one table that says what each kind means on
//! every face: code, HTTP status, whether to try again, Python class.

use std::borrow::Cow;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a caller acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed; sending it again unchanged fails again.
    Invalid,
    /// No credential, or one that is not accepted.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// No such thing in the caller's scope.
    NotFound,
    /// It clashes with what is stored.
    Conflict,
    /// Larger than a limit.
    TooLarge,
    /// The prompt does not fit the model's window.
    ContextOverflow,
    /// Well-formed, but this model, provider or build cannot do it.
    Unsupported,
    /// Too many requests, here or at the provider.
    RateLimited,
    /// A fault of aiMate.
    Internal,
    /// The model server failed or answered nonsense.
    Upstream,
    /// The database or a model server cannot be reached, or the process is
    /// draining.
    Unavailable,
    /// A deadline passed.
    Timeout,
}

impl ErrorKind {
    /// Every kind, in the order of the contract's table.
    pub const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::ContextOverflow,
        Self::Unsupported,
        Self::RateLimited,
        Self::Internal,
        Self::Upstream,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// `(code, HTTP status, worth trying again, Python class)`.
    fn row(self) -> (&'static str, u16, bool, &'static str) {
        match self {
            Self::Invalid => ("invalid", 400, false, "InvalidError"),
            Self::Unauthenticated => ("unauthenticated", 401, false, "UnauthenticatedError"),
            Self::Forbidden => ("forbidden", 403, false, "ForbiddenError"),
            Self::NotFound => ("not_found", 404, false, "NotFoundError"),
            Self::Conflict => ("conflict", 409, false, "ConflictError"),
            Self::TooLarge => ("too_large", 413, false, "TooLargeError"),
            Self::ContextOverflow => ("context_overflow", 422, false, "ContextOverflowError"),
            Self::Unsupported => ("unsupported", 422, false, "UnsupportedError"),
            Self::RateLimited => ("rate_limited", 429, true, "RateLimitedError"),
            Self::Internal => ("internal", 500, false, "InternalError"),
            Self::Upstream => ("upstream", 502, true, "UpstreamError"),
            Self::Unavailable => ("unavailable", 503, true, "UnavailableError"),
            Self::Timeout => ("timeout", 504, true, "TimeoutError"),
        }
    }

    /// The stable code of the wire.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// Whether the same request may succeed later.
    pub fn retryable(self) -> bool {
        self.row().2
    }

    /// The exception class of the Python package.
    pub fn python_class(self) -> &'static str {
        self.row().3
    }

    /// The kind with this code, if there is one.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Where: a JSON pointer-like path such as `content` or `messages[0].role`.
    pub path: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

/// A failure: a kind, a sentence for the caller, and (for the log only) its
/// cause.
///
/// `Display` prints the sentence alone; the cause is reached through
/// [`std::error::Error::source`] and never leaves the process.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorKind::$kind, message)
        }
    )*};
}

impl Error {
    /// An error of `kind` with a sentence that says what was wrong and what
    /// would be right.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }

    constructors! {
        /// [`ErrorKind::Invalid`].
        invalid = Invalid;
        /// [`ErrorKind::Forbidden`].
        forbidden = Forbidden;
        /// [`ErrorKind::NotFound`].
        not_found = NotFound;
        /// [`ErrorKind::Conflict`].
        conflict = Conflict;
        /// [`ErrorKind::TooLarge`].
        too_large = TooLarge;
        /// [`ErrorKind::ContextOverflow`].
        context_overflow = ContextOverflow;
        /// [`ErrorKind::Unsupported`].
        unsupported = Unsupported;
        /// [`ErrorKind::RateLimited`].
        rate_limited = RateLimited;
        /// [`ErrorKind::Internal`].
        internal = Internal;
        /// [`ErrorKind::Upstream`].
        upstream = Upstream;
        /// [`ErrorKind::Unavailable`].
        unavailable = Unavailable;
        /// [`ErrorKind::Timeout`].
        timeout = Timeout;
    }

    /// "No `noun` `id`", the one wording for what is absent or another's.
    pub fn missing(noun: &str, id: impl std::fmt::Display) -> Self {
        Self::not_found(format!("there is no {noun} {id}"))
    }

    /// [`ErrorKind::Invalid`] on one named field.
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        let (path, message) = (path.into(), message.into());
        let mut error = Self::invalid(format!("`{path}`: {message}"));
        error.0.fields.push(FieldError { path, message });
        error
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says how long to wait before trying again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that are wrong; empty unless the kind is
    /// [`ErrorKind::Invalid`].
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// How long to wait before trying again, where the other side said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}
