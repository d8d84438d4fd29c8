//! The responses of OpenAI-compatible servers: one type for chunks and whole
//! answers, in which any field may be missing, null or of another type.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::usage::Usage;
use crate::json::{Number, Text, list, shape_list, shape_object};

/// A `chat.completion.chunk` or a `chat.completion`.
#[derive(Deserialize)]
pub(crate) struct Chunk<'a> {
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) choices: Vec<Choice<'a>>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    /// Where Groq puts the usage of a stream.
    #[serde(default)]
    pub(crate) x_groq: Option<Groq>,
    #[serde(default)]
    pub(crate) error: Option<Value>,
    /// The sources of Perplexity and others: what `[1]` in the text points at.
    #[serde(default)]
    pub(crate) citations: Option<Value>,
    #[serde(default)]
    pub(crate) search_results: Option<Value>,
    #[serde(default)]
    pub(crate) images: Option<Value>,
    #[serde(default)]
    pub(crate) related_questions: Option<Value>,
    /// GLM's sources.
    #[serde(default)]
    pub(crate) web_search: Option<Value>,
    /// Qwen's sources.
    #[serde(default)]
    pub(crate) search_info: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Groq {
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    #[serde(default)]
    pub(crate) error: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default)]
    pub(crate) index: Number,
    /// In a stream.
    #[serde(borrow, default)]
    pub(crate) delta: Option<Delta<'a>>,
    /// In a whole answer; boxed so that pieces of a stream stay small.
    #[serde(borrow, default)]
    pub(crate) message: Option<Box<Delta<'a>>>,
    /// In the API before chats.
    #[serde(borrow, default)]
    pub(crate) text: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) finish_reason: Text<'a>,
    /// OpenRouter's: what the model's own server said.
    #[serde(borrow, default)]
    pub(crate) native_finish_reason: Text<'a>,
    /// Where Kimi puts the usage of a stream.
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    #[serde(default)]
    pub(crate) error: Option<Value>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(crate) content: AnswerContent<'a>,
    #[serde(borrow, default)]
    pub(crate) reasoning: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) reasoning_content: Text<'a>,
    #[serde(default)]
    pub(crate) reasoning_details: Option<Value>,
    /// LiteLLM's form of `reasoning_details`.
    #[serde(default)]
    pub(crate) thinking_blocks: Option<Value>,
    /// Copilot's.
    #[serde(default)]
    pub(crate) reasoning_opaque: Option<Value>,
    /// Gemini's.
    #[serde(default)]
    pub(crate) extra_content: Option<Value>,
    #[serde(borrow, default)]
    pub(crate) refusal: Text<'a>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) tool_calls: Vec<CallPiece<'a>>,
    /// The single call of the API before `tool_calls`.
    #[serde(borrow, default)]
    pub(crate) function_call: Option<FunctionPiece<'a>>,
    #[serde(default)]
    pub(crate) images: Option<Value>,
    #[serde(default)]
    pub(crate) audio: Option<Value>,
    #[serde(default)]
    pub(crate) annotations: Option<Value>,
    #[serde(default)]
    pub(crate) citations: Option<Value>,
}

/// The content of a message.
pub(crate) enum AnswerContent<'a> {
    Text(Cow<'a, str>),
    /// A list of parts, or one part.
    Parts(Value),
}

/// A piece of a tool call.
#[derive(Deserialize)]
pub(crate) struct CallPiece<'a> {
    #[serde(default)]
    pub(crate) index: Number,
    #[serde(borrow, default)]
    pub(crate) id: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) function: Option<FunctionPiece<'a>>,
    /// What else there is: Gemini wants its `extra_content` back with the call.
    #[serde(flatten)]
    pub(crate) extra: Map<String, Value>,
}

#[derive(Deserialize)]
pub(crate) struct FunctionPiece<'a> {
    #[serde(borrow, default)]
    pub(crate) name: Text<'a>,
    /// A piece of JSON in a string, or from some servers the object itself.
    #[serde(borrow, default)]
    pub(crate) arguments: Option<&'a RawValue>,
}

impl Default for AnswerContent<'_> {
    fn default() -> Self {
        Self::Text(Cow::Borrowed(""))
    }
}

impl AnswerContent<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

impl Delta<'_> {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            content, reasoning, reasoning_content, refusal, tool_calls, function_call, images, ..
        } = self;
        content.is_empty()
            && [reasoning, reasoning_content, refusal].into_iter().all(Text::is_empty)
            && tool_calls.is_empty()
            && function_call.is_none()
            && images.is_none()
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = AnswerContent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(AnswerContent::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(AnswerContent::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(AnswerContent::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(AnswerContent::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(AnswerContent::Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(AnswerContent::Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(AnswerContent::Text(Cow::Owned(number.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(parts)).map(AnswerContent::Parts)
    }

    fn visit_map<A: MapAccess<'de>>(self, part: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(part)).map(AnswerContent::Parts)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AnswerContent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// Gives JSON the shape of [`Chunk`] and leaves out what does not fit.
pub(crate) fn shape(value: &mut Value) {
    let Value::Object(chunk) = value else { return };
    shape_list(chunk, "choices", |choice| {
        for name in ["delta", "message"] {
            if let Some(Value::String(text)) = choice.get_mut(name) {
                let text = std::mem::take(text);
                choice.insert(name.to_owned(), Map::from_iter([("content".to_owned(), text.into())]).into());
            }
            shape_object(choice, name, shape_delta);
        }
        shape_object(choice, "usage", Usage::shape);
    });
    shape_object(chunk, "usage", Usage::shape);
    shape_object(chunk, "x_groq", |groq| shape_object(groq, "usage", Usage::shape));
}

fn shape_delta(delta: &mut Map<String, Value>) {
    shape_list(delta, "tool_calls", |call| {
        // Some servers leave out `function` around its fields.
        if !call.contains_key("function") && call.contains_key("name") {
            let function = ["name", "arguments"].into_iter().filter_map(|name| call.remove_entry(name));
            let function: Map<_, _> = function.collect();
            call.insert("function".to_owned(), function.into());
        }
        shape_object(call, "function", |_| {});
    });
    shape_object(delta, "function_call", |_| {});
}
