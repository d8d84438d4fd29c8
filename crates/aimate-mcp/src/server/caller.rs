//! Who calls.

use aimate_core::Scope;
use rmcp::model::{ErrorData, Extensions};

/// Who calls, and whether they may change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McpCaller {
    /// The scope that every tool acts in.
    pub scope: Scope,
    /// Whether tools that store something may be called: what only reads is offered
    /// otherwise.
    pub may_write: bool,
}

impl McpCaller {
    /// Somebody who may do whatever the scope's user may.
    pub fn new(scope: Scope) -> Self {
        Self { scope, may_write: true }
    }

    /// Somebody who may only read.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { may_write: false, ..self }
    }

    /// The caller of one HTTP request, as [`HttpServer`](super::HttpServer) put it in.
    pub(super) fn of_request(extensions: &Extensions) -> Result<Self, ErrorData> {
        let parts = extensions.get::<::http::request::Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get::<Self>()).copied();
        caller.ok_or_else(|| ErrorData::internal_error("the request came without its caller", None))
    }
}
