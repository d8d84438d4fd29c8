//! From what a tool returned to what its model reads.

use std::time::Duration;

use serde_json::Value;

use super::ToolLimits;
use super::output::{ToolContent, ToolOutput};
use crate::limit;
use crate::message::ToolResult;

/// Bytes of pictures, sounds and the like that are kept of one result.
const MAX_MEDIA: usize = 4 << 20;

/// A result, and the whole of it where the model is shown its beginning alone.
pub(crate) struct CappedResult {
    pub(crate) result: ToolResult,
    /// At most [`ToolLimits::kept`] bytes.
    pub(crate) whole: Option<String>,
}

/// What the model reads of `output`: its texts, else its value, and a word about each
/// picture and resource; no more than it may be shown.
pub(crate) fn capped(id: &str, output: ToolOutput, took: Duration, limits: &ToolLimits) -> CappedResult {
    let ToolOutput { content, structured, is_error } = output;
    let (mut texts, mut media, mut media_bytes) = (Vec::new(), Vec::new(), 0);
    for piece in content {
        match piece {
            ToolContent::Text { text } => texts.push(text),
            ToolContent::Resource { uri, text: Some(text), .. } => {
                texts.push(format!("[{uri}]\n{text}"));
            }
            other => {
                media_bytes += other.bytes();
                let is_kept = media_bytes <= MAX_MEDIA;
                texts.push(mention(&other, is_kept));
                media.extend(Some(other).filter(|_| is_kept));
            }
        }
    }
    let text = match (texts.is_empty(), structured) {
        (true, Some(value)) if value.to_string().len() <= limits.shown => {
            let result =
                ToolResult { is_error, duration_ms: Some(millis(took)), ..ToolResult::new(id, value) };
            return CappedResult { result, whole: None };
        }
        (true, Some(Value::String(text))) => text,
        (true, Some(value)) => value.to_string(),
        (_, None) | (false, Some(_)) => texts.join("\n\n"),
    };
    let mut text = limit::without_nul(&text).into_owned();
    let bytes = text.len();
    let mut result =
        ToolResult { is_error, duration_ms: Some(millis(took)), ..ToolResult::new(id, Value::Null) };
    result.content = media;
    if bytes <= limits.shown {
        result.output = text.into();
        return CappedResult { result, whole: None };
    }
    let head = text.get(..text.floor_char_boundary(limits.shown)).unwrap_or_default().to_owned();
    text.truncate(text.floor_char_boundary(limits.kept));
    text.shrink_to_fit();
    result.bytes = Some(bytes as u64);
    result.output = head.into();
    CappedResult { result, whole: Some(text) }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn mention(piece: &ToolContent, is_kept: bool) -> String {
    let what = match piece {
        ToolContent::Image { media_type, data } => {
            format!("picture, {media_type}, {} bytes", data.len() / 4 * 3)
        }
        ToolContent::Audio { media_type, data } => {
            format!("sound, {media_type}, {} bytes", data.len() / 4 * 3)
        }
        ToolContent::Resource { uri, media_type, .. } => {
            format!("resource {uri}, {}", media_type.as_deref().unwrap_or("of no stated type"))
        }
        ToolContent::ResourceLink { uri, name, .. } => format!("resource {name}: {uri}"),
        ToolContent::Text { text } => text.clone(),
    };
    if is_kept { format!("[{what}]") } else { format!("[{what}; too large to be kept]") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(output: ToolOutput) -> CappedResult {
        let limits = ToolLimits::default().shown(10_usize).kept(20_usize);
        capped("1", output, Duration::from_millis(7), &limits)
    }

    #[test]
    fn short_result_is_shown_whole() {
        let shown = result(ToolOutput::text("dry"));
        assert_eq!((shown.result.output, shown.whole), (json!("dry"), None));
        let value = result(ToolOutput::value(json!({"a": 1})));
        assert_eq!(value.result.output, json!({"a": 1}));
        assert_eq!(value.result.duration_ms, Some(7));
    }

    #[test]
    fn long_result_is_shown_in_part_and_kept_in_bounds() {
        let cut = result(ToolOutput::text("ä".repeat(30)));
        assert_eq!(cut.result.output, json!("ä".repeat(5)));
        assert_eq!(cut.result.bytes, Some(60));
        assert_eq!(cut.whole, Some("ä".repeat(10)));
    }

    #[test]
    fn pictures_are_kept_beside_the_text() {
        let picture = ToolContent::Image { data: "AAAA".to_owned(), media_type: "image/png".to_owned() };
        let output = ToolOutput::content([ToolContent::Text { text: "a".to_owned() }, picture.clone()]);
        let shown = capped("1", output, Duration::ZERO, &ToolLimits::default());
        assert_eq!(shown.result.content, [picture]);
        assert_eq!(shown.result.output, json!("a\n\n[picture, image/png, 3 bytes]"));
    }

    #[test]
    fn picture_that_is_too_large_is_named() {
        let picture =
            ToolContent::Image { data: "A".repeat(MAX_MEDIA + 1), media_type: "image/png".to_owned() };
        let shown = capped("1", ToolOutput::content([picture]), Duration::ZERO, &ToolLimits::default());
        assert!(shown.result.content.is_empty());
        assert!(shown.result.text().contains("too large"));
    }

    #[test]
    fn value_beside_text_is_not_shown_twice() {
        let output = ToolOutput { structured: Some(json!({"t": 1})), ..ToolOutput::text("{\"t\":1}") };
        assert_eq!(result(output).result.output, json!("{\"t\":1}"));
    }
}
