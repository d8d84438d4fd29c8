//! What went wrong at a tool server, in the engine's terms.

use std::error::Error as StdError;
use std::time::Duration;

use aimate_core::tool::{ToolAccess, ToolEndpoint};
use aimate_core::{Error, ErrorKind, ErrorReason, Secret};
use aimate_providers::Transport;
use rmcp::ServiceError;
use rmcp::model::{ErrorCode, ErrorData};
use rmcp::service::ClientInitializeError;
use rmcp::transport::auth::AuthError;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, InsufficientScopeError, StreamableHttpError,
};

/// Characters of a server's own sentence that callers are shown.
const MAX_QUOTED: usize = 400;

/// The errors of one server.
#[derive(Clone, Copy)]
pub(super) struct Errors<'a>(pub(super) &'a ToolEndpoint);

impl Errors<'_> {
    /// It could not be connected to.
    pub(super) fn connecting(self, error: ClientInitializeError) -> Error {
        if let Some(known) = self.known(&error) {
            return known.with_source(error);
        }
        let name = &self.0.name;
        let made = match &error {
            ClientInitializeError::JsonRpcError(data) => self.answered(data),
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => match fallback.as_ref() {
                ClientInitializeError::JsonRpcError(data) => self.answered(data),
                _ => self.no_protocol(),
            },
            ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
                let theirs: Vec<_> = server_supported.iter().map(|version| version.as_str()).collect();
                let theirs = self.quoted(&theirs.join(", "));
                Error::upstream(format!("tool server `{name}` speaks no known revision of MCP, but {theirs}"))
            }
            ClientInitializeError::ConnectionClosed(_) => self.ended_early(),
            ClientInitializeError::TransportError { .. } if self.is_process() => self.ended_early(),
            _ => self.no_protocol(),
        };
        made.with_source(error)
    }

    /// A request failed.
    pub(super) fn request(self, error: ServiceError) -> Error {
        if let Some(known) = self.known(&error) {
            return known.with_source(error);
        }
        let name = &self.0.name;
        let made = match &error {
            ServiceError::McpError(data) => self.answered(data),
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } => {
                Error::unavailable(format!("the connection to tool server `{name}` ended before it answered"))
            }
            ServiceError::TransportSend(_) => {
                Error::upstream(format!("tool server `{name}` failed to answer over HTTP"))
            }
            _ => Error::upstream(format!("tool server `{name}` answered something else than was asked for")),
        };
        made.with_source(error)
    }

    /// What a cause of `error` says plainly.
    fn known(self, error: &(dyn StdError + 'static)) -> Option<Error> {
        causes(error).find_map(|cause| self.known_cause(cause))
    }

    fn known_cause(self, cause: &(dyn StdError + 'static)) -> Option<Error> {
        if cause.is::<AuthRequiredError>() {
            return Some(self.login_wanted());
        }
        if let Some(scope) = cause.downcast_ref::<InsufficientScopeError>() {
            return Some(self.scope_wanted(scope.required_scope.as_deref()));
        }
        if let Some(error) = cause.downcast_ref::<AuthError>() {
            return Some(self.login(error));
        }
        // These do not name their cause as one.
        match cause.downcast_ref::<ClientInitializeError>() {
            Some(ClientInitializeError::TransportError { error, .. }) => return self.known(error),
            Some(ClientInitializeError::LegacyFallbackFailed { fallback, .. }) => {
                return self.known(fallback.as_ref());
            }
            _ => {}
        }
        match cause.downcast_ref::<StreamableHttpError<reqwest::Error>>()? {
            StreamableHttpError::ResponseBodyTooLarge { max_size } => Some(self.too_large(*max_size)),
            StreamableHttpError::Client(error) => self.unsent(error),
            StreamableHttpError::HttpStatus(status) => Some(self.status(status)),
            _ => None,
        }
    }

    /// A request that did not reach it.
    fn unsent(self, error: &reqwest::Error) -> Option<Error> {
        let name = &self.0.name;
        if let Some(why) = Transport::refusal(error) {
            return Some(Error::forbidden(format!("tool server `{name}`: {why}")));
        }
        error.is_connect().then(|| Error::unavailable(format!("tool server `{name}` cannot be reached")))
    }

    /// It could not be sent to.
    pub(super) fn unreachable(self, error: reqwest::Error) -> Error {
        let known = self.known(&error);
        let name = &self.0.name;
        let made =
            known.unwrap_or_else(|| Error::unavailable(format!("tool server `{name}` cannot be reached")));
        made.with_source(error.without_url())
    }

    /// It wants a login, or another one.
    pub(super) fn login_wanted(self) -> Error {
        let name = &self.0.name;
        let (tokens, has_own) = match &self.0.access {
            ToolAccess::Http { tokens, headers, .. } => (tokens.is_some(), has_authorization(headers.keys())),
            _ => (false, false),
        };
        let sentence = if has_own {
            format!("tool server `{name}` refuses the authorization that is set for it; set another one")
        } else if tokens {
            format!("tool server `{name}` wants a login; sign in there")
        } else {
            format!("tool server `{name}` wants an authorization; set one for it")
        };
        Error::upstream(sentence).with_reason(ErrorReason::KeyRefused)
    }

    fn scope_wanted(self, scope: Option<&str>) -> Error {
        let name = &self.0.name;
        let wanted = scope.map(|scope| format!(" (`{}`)", self.quoted(scope))).unwrap_or_default();
        Error::upstream(format!("tool server `{name}` wants a wider permission{wanted}; sign in there again"))
            .with_reason(ErrorReason::KeyRefused)
    }

    fn status(self, status: &HttpStatusError) -> Error {
        let name = &self.0.name;
        let wait = status.retry_after.as_ref().and_then(|seconds| seconds.trim().parse().ok());
        let error = match status.status {
            429 => Error::rate_limited(format!("tool server `{name}` has too many requests (429)")),
            503 => Error::unavailable(format!("tool server `{name}` is unavailable (503)")),
            status => Error::upstream(format!("tool server `{name}` failed ({status})")),
        };
        match wait {
            Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
            None => error,
        }
    }

    /// Something of an OAuth login failed.
    pub(super) fn login(self, error: &AuthError) -> Error {
        let name = &self.0.name;
        match error {
            AuthError::AuthorizationRequired | AuthError::TokenExpired => self.login_wanted(),
            AuthError::CredentialStoreError(_) => Error::unavailable(format!(
                "what is kept of the login at tool server `{name}` cannot be read"
            )),
            AuthError::TokenRefreshFailed(_) | AuthError::HttpError(_) => Error::unavailable(format!(
                "the authorization server of tool server `{name}` did not renew the login; try again"
            )),
            AuthError::AuthorizationServerMismatch { .. }
            | AuthError::AuthorizationServerMissingIssuer { .. } => Error::upstream(format!(
                "tool server `{name}`: the authorization server is not the one that it says it is"
            )),
            AuthError::PkceUnsupported => Error::upstream(format!(
                "tool server `{name}`: its authorization server does not take PKCE with S256, which is needed"
            )),
            AuthError::RegistrationFailed(_) => Error::upstream(format!(
                "tool server `{name}`: its authorization server does not let applications register themselves; \
                 register aiMate there and set the client id"
            )),
            _ => Error::upstream(format!("the login at tool server `{name}` failed")),
        }
    }

    /// It answered with an error of JSON-RPC.
    fn answered(self, data: &ErrorData) -> Error {
        let (name, said) = (&self.0.name, self.quoted(&data.message));
        match data.code {
            ErrorCode::METHOD_NOT_FOUND => {
                Error::new(ErrorKind::Unsupported, format!("tool server `{name}` has no such thing: {said}"))
            }
            ErrorCode::INVALID_PARAMS | ErrorCode::INVALID_REQUEST => {
                Error::invalid(format!("tool server `{name}` refuses the request: {said}"))
            }
            ErrorCode::RESOURCE_NOT_FOUND => {
                Error::not_found(format!("tool server `{name}` has no such resource: {said}"))
            }
            ErrorCode(code) => Error::upstream(format!("tool server `{name}` failed ({code}): {said}")),
        }
    }

    /// It took too long for `what`.
    pub(super) fn too_slow(self, what: &str) -> Error {
        let (name, wait) = (&self.0.name, self.0.timeout.as_secs_f64());
        Error::timeout(format!("tool server `{name}` did not {what} within {wait} s"))
    }

    pub(super) fn too_large(self, max: usize) -> Error {
        let name = &self.0.name;
        Error::upstream(format!("tool server `{name}` answered with more than the maximum of {max} bytes"))
    }

    /// It cannot do `what`.
    pub(super) fn without(self, what: &str) -> Error {
        Error::new(ErrorKind::Unsupported, format!("tool server `{}` has no {what}", self.0.name))
    }

    /// It answered in a way that the protocol does not know.
    pub(super) fn nonsense(self, what: &str) -> Error {
        Error::upstream(format!("tool server `{}` {what}", self.0.name))
    }

    fn is_process(self) -> bool {
        matches!(self.0.access, ToolAccess::Stdio { .. })
    }

    fn ended_early(self) -> Error {
        Error::unavailable(format!("tool server `{}` ended the connection before it was made", self.0.name))
    }

    fn no_protocol(self) -> Error {
        if self.is_process() {
            return self.nonsense("does not answer as an MCP server does");
        }
        Error::upstream(format!(
            "tool server `{}` does not answer as an MCP server does; its address usually ends in `/mcp`",
            self.0.name
        ))
    }

    /// What the server says, for callers: one line, shortened, without what it was given as a
    /// secret.
    pub(super) fn quoted(self, text: &str) -> String {
        let secrets: Vec<&Secret> = match &self.0.access {
            ToolAccess::Http { headers, .. } => headers.values().collect(),
            ToolAccess::Stdio { environment, .. } => environment.values().collect(),
            _ => Vec::new(),
        };
        let head: String = text.chars().take(4 * MAX_QUOTED).collect();
        let head = secrets.iter().fold(head, |text, secret| secret.redact(&text));
        let words: Vec<&str> = head.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(MAX_QUOTED) {
            Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
            None => line,
        }
    }
}

/// `error` and what caused it.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether one of the names of headers is `authorization`.
pub(super) fn has_authorization<'a>(mut names: impl Iterator<Item = &'a String>) -> bool {
    names.any(|name| name.eq_ignore_ascii_case("authorization"))
}
