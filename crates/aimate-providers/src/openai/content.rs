//! The content of a message: a text, or parts of several kinds.

use std::borrow::Cow;

use serde_json::Value;

use super::wire::AnswerContent;
use crate::json::{says_something, text_in};

/// One piece of a message's content.
pub(crate) enum Piece<'a> {
    Text(Cow<'a, str>),
    /// What the model thought, as Mistral puts it between the texts.
    Thought(String),
    /// A part that is no text, under the name of the field that such parts have.
    Other(&'static str, Value),
}

/// Returns the pieces of `content` in their order.
pub(crate) fn pieces(content: AnswerContent<'_>) -> Vec<Piece<'_>> {
    match content {
        AnswerContent::Text(text) if text.is_empty() => Vec::new(),
        AnswerContent::Text(text) => vec![Piece::Text(text)],
        AnswerContent::Parts(Value::Array(parts)) => parts.into_iter().filter_map(piece).collect(),
        AnswerContent::Parts(part) => piece(part).into_iter().collect(),
    }
}

fn piece(part: Value) -> Option<Piece<'static>> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "thinking" | "reasoning" => Some(Piece::Thought(text_in(&part))),
        _ if kind.contains("image") => Some(Piece::Other("images", part)),
        _ if kind.contains("audio") => Some(Piece::Other("audio", part)),
        "reference" => Some(Piece::Other("references", part)),
        "refusal" => part.get("refusal").map(|text| Piece::Text(text_in(text).into())),
        _ => match text_in(&part) {
            text if !text.is_empty() => Some(Piece::Text(text.into())),
            _ if kind.contains("text") || !says_something(&part) => None,
            _ => Some(Piece::Other("parts", part)),
        },
    }
}
