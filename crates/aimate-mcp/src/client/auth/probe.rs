//! Asks a server whether it wants an authorization.

use aimate_core::Result;
use aimate_core::tool::{ToolAccess, ToolEndpoint};
use reqwest::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, StatusCode};

use crate::client::errors::Errors;
use crate::client::headers::headers;

/// A request that every server may refuse, and that changes nothing.
const PING: &str = r#"{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// How a server answered a request without a token.
pub(in crate::client) struct Probed {
    status: StatusCode,
    /// What it said that it wants.
    pub(super) challenge: Option<String>,
}

impl Probed {
    /// Whether it wants an authorization.
    pub(in crate::client) fn is_refusal(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }
}

/// Sends a request without a token.
pub(in crate::client) async fn probe(client: &Client, endpoint: &ToolEndpoint) -> Result<Probed> {
    let errors = Errors(endpoint);
    let ToolAccess::Http { url, .. } = &endpoint.access else { return Err(errors.without("address")) };
    let mut request = client
        .post(url)
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "server/discover")
        .body(PING);
    for (name, value) in headers(endpoint)? {
        request = request.header(name, value);
    }
    let answer = tokio::time::timeout(endpoint.timeout, request.send()).await;
    let answer = answer.map_err(|_| errors.too_slow("answer"))?.map_err(|error| errors.unreachable(error))?;
    let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    Ok(Probed { status: answer.status(), challenge: challenge.map(str::to_owned) })
}
