//! The suite's resources.

use rmcp::model::*;
use serde_json::json;

use crate::server::TTL_MS;

/// A red PNG of one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";
/// A WAV file without a sample.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
const TEMPLATE: (&str, &str) = ("test://template/", "/data");

pub(crate) fn all() -> Vec<Resource> {
    vec![
        Resource::new(TEXT, "Static text").with_description("A text").with_mime_type("text/plain"),
        Resource::new(BINARY, "Static binary").with_description("A picture").with_mime_type("image/png"),
    ]
}

pub(crate) fn template() -> ResourceTemplate {
    let (before, after) = TEMPLATE;
    ResourceTemplate::new(format!("{before}{{id}}{after}"), "Template").with_mime_type("application/json")
}

pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let of_template = uri.strip_prefix(TEMPLATE.0).and_then(|rest| rest.strip_suffix(TEMPLATE.1));
    let contents = match (uri, of_template) {
        (TEXT, _) => ResourceContents::text("This is the content of the static text resource.", uri),
        (BINARY, _) => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        (_, Some(id)) => {
            let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            ResourceContents::text(text.to_string(), uri).with_mime_type("application/json")
        }
        _ => {
            let message = format!("there is no resource {uri}");
            return Err(ErrorData::resource_not_found(message, Some(json!({ "uri": uri }))));
        }
    };
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
}
