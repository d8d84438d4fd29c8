//! The one error type. Its kinds are the same on every face, which maps them to
//! its own terms (an HTTP status, an exit code, an exception).

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::text::names;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a caller acts on. The thirteen are fixed, so a
/// `match` may name them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
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
    /// Every kind, in the order of the documented table.
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

    /// Whether the same request may succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Upstream | Self::Unavailable | Self::Timeout)
    }
}

names! {
    ErrorKind {
        Invalid = "invalid", Unauthenticated = "unauthenticated", Forbidden = "forbidden",
        NotFound = "not_found", Conflict = "conflict", TooLarge = "too_large",
        ContextOverflow = "context_overflow", Unsupported = "unsupported", RateLimited = "rate_limited",
        Internal = "internal", Upstream = "upstream", Unavailable = "unavailable", Timeout = "timeout",
    }
}

/// A code that this version does not know is read as [`ErrorKind::Internal`], so
/// that what a newer version stored can be read.
impl<'de> Deserialize<'de> for ErrorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = <Cow<'de, str>>::deserialize(deserializer)?;
        Ok(code.parse().unwrap_or(Self::Internal))
    }
}

/// What more a program may need to know of a failure than its kind.
///
/// A reason has no code of its own on the wire: the engine and its faces act on
/// it, for example by asking for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorReason {
    /// The model server refused the connection's key, or got none and needs one.
    KeyRefused,
    /// The connection has a key that this process cannot use: it cannot be
    /// opened, or was in the memory of another process.
    KeyUnavailable,
    /// No encryption key is configured, so no connection's key can be stored or
    /// opened.
    NoEncryptionKey,
    /// There is no model of this name, or its server has none.
    UnknownModel,
    /// The model server cannot do with a picture of the prompt.
    ImageRefused,
    /// The embedder that a collection names is not loaded in this process.
    EmbedderNotLoaded,
    /// The model's answer is no value of the type that was asked for.
    NotOfType,
    /// The user may not act: they or their tenant are disabled or being deleted, or
    /// there is no such user.
    UserInactive,
    /// A budget that counts the call has too little left.
    BudgetExceeded,
    /// A user, or a whole tenant, keeps as much as they may.
    QuotaExceeded,
    /// The `client_id` was used for another turn.
    ClientIdUsed,
}

/// What a model server says of a prompt that does not fit, in its own tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The model's window.
    pub window: u32,
    /// The prompt, where the server says it.
    pub prompt: Option<u32>,
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    reason: Option<ErrorReason>,
    message: Cow<'static, str>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    overflow: Option<Overflow>,
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
        Self(Box::new(Repr {
            kind,
            reason: None,
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            overflow: None,
            source: None,
        }))
    }

    constructors! {
        /// [`ErrorKind::Invalid`].
        invalid = Invalid;
        /// [`ErrorKind::Unauthenticated`].
        unauthenticated = Unauthenticated;
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

    /// A stored secret that cannot be opened, for [`ErrorReason::KeyUnavailable`]; `why` goes on
    /// from "the stored key cannot be opened: ".
    pub fn key_unavailable(why: &str) -> Self {
        Self::unavailable(format!("the stored key cannot be opened: {why}; enter the key again"))
            .with_reason(ErrorReason::KeyUnavailable)
    }

    /// "No `noun` `id`", the one wording for what is absent or another's.
    pub fn missing(noun: &str, id: impl std::fmt::Display) -> Self {
        Self::not_found(format!("there is no {noun} {id}"))
    }

    /// [`ErrorKind::Invalid`] on one named field.
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::on_field(ErrorKind::Invalid, path.into(), message.into())
    }

    /// [`ErrorKind::Unsupported`] on one named field.
    pub fn unsupported_field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::on_field(ErrorKind::Unsupported, path.into(), message.into())
    }

    fn on_field(kind: ErrorKind, path: String, message: String) -> Self {
        let mut error = Self::new(kind, format!("`{path}`: {message}"));
        error.0.fields.push(FieldError { path, message });
        error
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says why, for the engine and its faces.
    #[must_use]
    pub fn with_reason(mut self, reason: ErrorReason) -> Self {
        self.0.reason = Some(reason);
        self
    }

    /// With more said to the caller, after `; `.
    #[must_use]
    pub fn with_advice(mut self, advice: &str) -> Self {
        self.0.message = format!("{}; {advice}", self.0.message).into();
        self
    }

    /// Says how long to wait before trying again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says by how much the prompt does not fit.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.0.overflow = Some(overflow);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Why, where a program may act on more than the kind.
    pub fn reason(&self) -> Option<ErrorReason> {
        self.0.reason
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

    /// By how much a prompt does not fit, where the model server said so.
    pub fn overflow(&self) -> Option<Overflow> {
        self.0.overflow
    }

    /// How long to wait before trying again, where the other side said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl From<aimate_index::DataCorruption> for Error {
    fn from(error: aimate_index::DataCorruption) -> Self {
        Self::internal(error.to_string()).with_source(error)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in ErrorKind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
            assert_eq!(serde_json::from_str::<ErrorKind>(&json).unwrap(), kind);
        }
        assert_eq!(serde_json::from_str::<ErrorKind>("\"of_a_newer_version\"").unwrap(), ErrorKind::Internal);
    }
}
