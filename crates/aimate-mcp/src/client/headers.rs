//! The headers that are set for a server.

use std::collections::HashMap;

use aimate_core::tool::{ToolAccess, ToolEndpoint};
use aimate_core::{Error, Result};
use http::{HeaderName, HeaderValue};

/// Headers that the protocol sets itself.
const RESERVED: [&str; 5] =
    ["accept", "content-type", "last-event-id", "mcp-protocol-version", "mcp-session-id"];

/// Headers of every request.
pub(super) type Headers = HashMap<HeaderName, HeaderValue>;

/// The endpoint's own headers.
pub(super) fn headers(endpoint: &ToolEndpoint) -> Result<Headers> {
    let ToolAccess::Http { headers, .. } = &endpoint.access else { return Ok(Headers::new()) };
    let mut made = Headers::new();
    for (name, value) in headers {
        let wrong =
            |why: &str| Error::invalid(format!("tool server `{}`: the header `{name}` {why}", endpoint.name));
        let header: HeaderName = name.parse().map_err(|_| wrong("is no name of a header"))?;
        if RESERVED.contains(&header.as_str()) {
            return Err(wrong("is set by the protocol itself"));
        }
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| wrong("has characters that are not allowed in a header"))?;
        value.set_sensitive(true);
        made.insert(header, value);
    }
    Ok(made)
}
