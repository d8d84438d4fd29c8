//! From the content blocks of MCP to those of the engine. What is damaged or of an unknown
//! type becomes a text that says so, and the blocks beside it stay.

use aimate_core::tool::{ToolContent, ToolOutput};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents, ServerResult};
use serde_json::Value;

/// What a tool returned.
pub(super) fn output(result: ServerResult) -> ToolOutput {
    match result {
        ServerResult::CallToolResult(result) => typed(result),
        // An answer without content, which the protocol does not know but servers send.
        ServerResult::EmptyResult(_) | ServerResult::TaskAckResult(_) => ToolOutput::default(),
        ServerResult::CustomResult(result) => lenient(result.0),
        other => lenient(serde_json::to_value(other).unwrap_or_default()),
    }
}

fn typed(result: CallToolResult) -> ToolOutput {
    let mut output = ToolOutput::content(result.content.into_iter().map(block));
    output.structured = result.structured_content;
    output.is_error = result.is_error.unwrap_or(false);
    output
}

/// A result some of whose parts are damaged.
fn lenient(mut result: Value) -> ToolOutput {
    let content = match result.get_mut("content").map(Value::take) {
        Some(Value::Array(blocks)) => blocks.iter().map(any_block).collect(),
        Some(Value::String(text)) => vec![ToolContent::Text { text }],
        Some(other @ Value::Object(_)) => vec![any_block(&other)],
        _ => Vec::new(),
    };
    let mut output = ToolOutput::content(content);
    output.structured = result.get_mut("structuredContent").map(Value::take);
    output.is_error = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
    if output.content.is_empty() && output.structured.is_none() && !is_bare(&result) {
        output.content.push(ToolContent::Text { text: result.to_string() });
    }
    output
}

/// Whether a result says nothing.
fn is_bare(result: &Value) -> bool {
    result.as_object().is_none_or(|fields| {
        fields.keys().all(|name| matches!(name.as_str(), "content" | "isError" | "_meta" | "resultType"))
    })
}

/// One block as the SDK read it.
pub(super) fn block(block: ContentBlock) -> ToolContent {
    match block {
        ContentBlock::Text(text) => ToolContent::Text { text: text.text },
        ContentBlock::Image(image) => ToolContent::Image { data: image.data, media_type: image.mime_type },
        ContentBlock::Audio(audio) => ToolContent::Audio { data: audio.data, media_type: audio.mime_type },
        ContentBlock::Resource(embedded) => resource(embedded.resource),
        ContentBlock::ResourceLink(link) => ToolContent::ResourceLink {
            uri: link.uri,
            name: link.name,
            description: link.description,
            media_type: link.mime_type,
        },
        other => any_block(&serde_json::to_value(other).unwrap_or_default()),
    }
}

/// The content of a resource as the SDK read it.
pub(super) fn resource(contents: ResourceContents) -> ToolContent {
    match contents {
        ResourceContents::TextResourceContents { uri, mime_type, text, .. } => {
            ToolContent::Resource { uri, media_type: mime_type, text: Some(text), data: None }
        }
        ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
            ToolContent::Resource { uri, media_type: mime_type, text: None, data: Some(blob) }
        }
        other => any_block(&serde_json::to_value(other).unwrap_or_default()),
    }
}

/// One block, whatever it is.
pub(super) fn any_block(block: &Value) -> ToolContent {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    let known = match kind {
        "text" => field(block, "text").map(|text| ToolContent::Text { text }),
        "image" => data(block).map(|(data, media_type)| ToolContent::Image { data, media_type }),
        "audio" => data(block).map(|(data, media_type)| ToolContent::Audio { data, media_type }),
        "resource" => block.get("resource").and_then(any_resource),
        "resource_link" => link(block),
        _ => None,
    };
    known.unwrap_or_else(|| {
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
        let length = block.to_string().len();
        let text = match kind.as_str() {
            "" => format!("[content without a type, {length} bytes]"),
            "text" | "image" | "audio" | "resource" | "resource_link" => {
                format!("[damaged content of the type `{kind}`, {length} bytes]")
            }
            _ => format!("[content of the unknown type `{kind}`, {length} bytes]"),
        };
        ToolContent::Text { text }
    })
}

fn field(block: &Value, name: &str) -> Option<String> {
    block.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn data(block: &Value) -> Option<(String, String)> {
    let media_type = field(block, "mimeType").unwrap_or_else(|| "application/octet-stream".to_owned());
    Some((field(block, "data")?, media_type))
}

/// The content of a resource, whatever it is.
pub(super) fn any_resource(contents: &Value) -> Option<ToolContent> {
    let (text, data) = (field(contents, "text"), field(contents, "blob"));
    if text.is_none() && data.is_none() {
        return None;
    }
    let data = data.filter(|_| text.is_none());
    let uri = field(contents, "uri").unwrap_or_default();
    Some(ToolContent::Resource { uri, media_type: field(contents, "mimeType"), text, data })
}

fn link(block: &Value) -> Option<ToolContent> {
    let uri = field(block, "uri")?;
    let name = field(block, "name").unwrap_or_else(|| uri.clone());
    let (description, media_type) = (field(block, "description"), field(block, "mimeType"));
    Some(ToolContent::ResourceLink { uri, name, description, media_type })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(result: Value) -> ToolOutput {
        output(serde_json::from_value(result).unwrap())
    }

    fn texts(output: &ToolOutput) -> Vec<&str> {
        fn text(content: &ToolContent) -> &str {
            if let ToolContent::Text { text } = content { text } else { "" }
        }
        output.content.iter().map(text).collect()
    }

    #[test]
    fn every_known_block_is_kept() {
        let output = read(json!({"content": [
            {"type": "text", "text": "hello"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "BBBB", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "a://1", "mimeType": "text/plain", "text": "one"}},
            {"type": "resource", "resource": {"uri": "a://2", "blob": "CCCC"}},
            {"type": "resource_link", "uri": "a://3", "name": "three", "description": "the third"},
        ], "structuredContent": [1, null], "isError": true}));
        let mut expected = ToolOutput::content([
            ToolContent::Text { text: "hello".into() },
            ToolContent::Image { data: "AAAA".into(), media_type: "image/png".into() },
            ToolContent::Audio { data: "BBBB".into(), media_type: "audio/wav".into() },
            ToolContent::Resource {
                uri: "a://1".into(),
                media_type: Some("text/plain".into()),
                text: Some("one".into()),
                data: None,
            },
            ToolContent::Resource {
                uri: "a://2".into(),
                media_type: None,
                text: None,
                data: Some("CCCC".into()),
            },
            ToolContent::ResourceLink {
                uri: "a://3".into(),
                name: "three".into(),
                description: Some("the third".into()),
                media_type: None,
            },
        ]);
        expected.structured = Some(json!([1, null]));
        expected.is_error = true;
        assert_eq!(output, expected);
    }

    #[test]
    fn damaged_block_leaves_those_beside_it() {
        let output = read(json!({"isError": true, "content": [
            {"type": "text", "text": "good"},
            {"type": "hologram", "cube": [1, 2]},
            {"type": "image", "mimeType": "image/png"},
            "bare", 7,
        ]}));
        assert!(output.is_error);
        let texts = texts(&output);
        assert_eq!(texts[0], "good");
        assert!(texts[1].contains("unknown type `hologram`"), "{texts:?}");
        assert!(texts[2].contains("damaged content of the type `image`"), "{texts:?}");
        assert!(texts[3].contains("without a type") && texts[4].contains("without a type"), "{texts:?}");
    }

    #[test]
    fn result_of_the_wrong_shape_is_text() {
        assert_eq!(texts(&read(json!({"content": "words"}))), ["words"]);
        assert_eq!(texts(&read(json!({"content": {"type": "text", "text": "alone"}}))), ["alone"]);
        assert_eq!(texts(&read(json!({"answer": 42}))), [r#"{"answer":42}"#]);
        assert_eq!(read(json!({})), ToolOutput::default());
        assert_eq!(read(json!({"content": null})), ToolOutput::default());
        assert_eq!(read(json!({"structuredContent": null})).structured, Some(Value::Null));
        assert_eq!(read(json!({"structuredContent": 5})).structured, Some(json!(5)));
    }
}
