//! OpenAI's chat request.

use std::fmt;

use aimate_core::provider::{ChatRequest, MaxTokensField, Sampling};
use aimate_core::{ConversationId, Error};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::function::{RequestTool, WireFormat, tool_choice};
#[allow(unused_imports, reason = "the schema names it")]
use super::message::{WireMessage, message};
use super::number::Whole;
use super::parsed::ParsedRequest;
use crate::content::Content;
use crate::error::{Failure, Result};

/// OpenAI's chat request with aiMate's own fields. Fields that are not listed are
/// passed on to OpenAI-compatible model servers unchanged.
#[derive(Debug, Default, ToSchema)]
pub(crate) struct ChatBody {
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the first
    /// active one.
    model: Option<String>,
    /// The chat, oldest message first.
    #[schema(value_type = Vec<WireMessage>, min_items = 1)]
    messages: Option<Vec<Value>>,
    /// Whether the answer is streamed; default false.
    stream: Option<bool>,
    /// Options of a stream.
    stream_options: Option<StreamOptions>,
    /// Tools that the model may call; a name is of one that the server calls itself within
    /// the answer.
    tools: Option<Vec<RequestTool>>,
    /// `none`, `auto`, `required`, or the function to call.
    tool_choice: Option<Value>,
    /// Whether the model may make several calls at once.
    parallel_tool_calls: Option<bool>,
    /// The format of the answer.
    response_format: Option<WireFormat>,
    /// Sampling temperature, 0 to 2.
    temperature: Option<f64>,
    /// Nucleus sampling: the probability mass to sample from, 0 to 1.
    top_p: Option<f64>,
    /// Maximum tokens of the answer; -1 is no limit.
    #[schema(value_type = Option<i64>)]
    max_tokens: Option<Whole>,
    /// The newer name of `max_tokens`; it takes precedence.
    #[schema(value_type = Option<i64>)]
    max_completion_tokens: Option<Whole>,
    /// A stop sequence, or several.
    #[schema(value_type = Option<StopSchema>)]
    stop: Option<Content<String>>,
    /// The random seed.
    #[schema(value_type = Option<i64>)]
    seed: Option<Whole>,
    /// Penalty on frequent tokens, -2 to 2.
    frequency_penalty: Option<f64>,
    /// Penalty on tokens that have occurred, -2 to 2.
    presence_penalty: Option<f64>,
    /// Reasoning effort.
    reasoning_effort: Option<String>,
    /// Number of answers: only 1 is supported.
    #[schema(minimum = 1, maximum = 1, value_type = Option<u32>)]
    n: Option<Whole>,
    /// Not supported; leave it out.
    logprobs: Option<bool>,
    /// Not supported; leave it out.
    #[schema(maximum = 0, value_type = Option<u32>)]
    top_logprobs: Option<Whole>,
    /// Whether question and answer are stored: default false under `/v1`, true
    /// under `/api/v1`.
    pub(super) store: Option<bool>,
    /// Stored with the question.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// The conversation to continue.
    pub(super) conversation_id: Option<ConversationId>,
    /// The collections, by id or name, to retrieve passages from; an empty list
    /// is none. Default: none, but all for the model `builtin` when question
    /// and answer are stored.
    knowledge: Option<Vec<String>>,
    /// Searches of the application to retrieve passages from too, by their names.
    retrievers: Option<Vec<String>>,
    /// What the usage can be summed by, such as `ticket:42`: at most 50 of 1 to 100
    /// characters.
    tags: Option<Vec<String>>,
    /// All other fields.
    #[schema(ignore)]
    extra: Map<String, Value>,
}

/// Options of a stream.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct StreamOptions {
    /// Whether the last chunk has the usage.
    include_usage: Option<bool>,
}

impl StreamOptions {
    /// Whether the last chunk has the usage.
    pub(super) fn include_usage(self) -> bool {
        self.include_usage.unwrap_or(false)
    }
}

/// A stop sequence, or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum StopSchema {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for ChatBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ChatBodyVisitor)
    }
}

struct ChatBodyVisitor;

/// Reads each named field into its place and every other into `extra`. Serde's
/// `flatten` would buffer the whole body first, inline images included.
macro_rules! read_fields {
    ($map:ident into $body:ident: $($name:ident)*) => {
        while let Some(key) = $map.next_key::<String>()? {
            match key.as_str() {
                $(stringify!($name) => $body.$name = $map.next_value()?,)*
                _ => {
                    let value: Value = $map.next_value()?;
                    if !value.is_null() {
                        $body.extra.insert(key, value);
                    }
                }
            }
        }
    };
}

impl<'de> Visitor<'de> for ChatBodyVisitor {
    type Value = ChatBody;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `messages`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ChatBody, A::Error> {
        let mut body = ChatBody::default();
        read_fields!(map into body:
            model messages stream stream_options tools tool_choice parallel_tool_calls
            response_format temperature top_p max_tokens max_completion_tokens stop seed
            frequency_penalty presence_penalty reasoning_effort n logprobs top_logprobs store
            metadata conversation_id knowledge retrievers tags);
        Ok(body)
    }
}

impl ChatBody {
    /// Validates the request and converts it.
    pub(super) fn parse(self) -> Result<ParsedRequest> {
        self.check_supported()?;
        let messages = self.messages.filter(|messages| !messages.is_empty());
        let messages = messages
            .ok_or_else(|| Error::field("messages", "is missing or empty; it needs at least one message"))?;
        let messages = messages
            .into_iter()
            .enumerate()
            .map(|(n, written)| message(written, n))
            .collect::<Result<_>>()?;
        let (mut use_tools, mut tools) = (Vec::new(), Vec::new());
        for (n, tool) in self.tools.unwrap_or_default().into_iter().enumerate() {
            match tool {
                RequestTool::Named(name) => use_tools.push(name),
                RequestTool::Own(tool) => tools.push(tool.into_tool(n)?),
            }
        }
        let (max_tokens, max_tokens_field) = match (self.max_completion_tokens, self.max_tokens) {
            (Some(limit), _) => {
                (limit.limit("max_completion_tokens")?, Some(MaxTokensField::MaxCompletionTokens))
            }
            (None, Some(limit)) => (limit.limit("max_tokens")?, Some(MaxTokensField::MaxTokens)),
            (None, None) => (None, None),
        };
        let request = ChatRequest {
            messages,
            tools,
            tool_choice: self.tool_choice.map(|choice| tool_choice(&choice)).transpose()?,
            parallel_tool_calls: self.parallel_tool_calls,
            response_format: self.response_format.map_or(Ok(None), WireFormat::into_format)?,
            sampling: Sampling {
                temperature: self.temperature,
                top_p: self.top_p,
                max_tokens,
                stop: self.stop.map_or_else(Vec::new, |stop| stop.into_parts(|text| text)),
                seed: self.seed.map(|seed| seed.0),
                frequency_penalty: self.frequency_penalty,
                presence_penalty: self.presence_penalty,
                reasoning_effort: self.reasoning_effort,
            },
            stream: self.stream.unwrap_or(false),
            max_tokens_field,
            extra: self.extra,
            ..ChatRequest::default()
        };
        Ok(ParsedRequest {
            model: self.model,
            request,
            include_usage: self.stream_options.is_some_and(StreamOptions::include_usage),
            conversation: self.conversation_id,
            knowledge: self.knowledge,
            retrievers: self.retrievers.unwrap_or_default(),
            use_tools,
            tags: self.tags.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
        })
    }

    /// Refuses fields that would change the answer but are not supported: to
    /// ignore them would be a wrong answer without a sign.
    fn check_supported(&self) -> Result<()> {
        let refused = [
            ("n", self.n.is_some_and(|n| n.0 != 1), "must be 1; send the request again for another answer"),
            ("logprobs", self.logprobs == Some(true), "is not supported; leave it out"),
            ("top_logprobs", self.top_logprobs.is_some_and(|n| n.0 > 0), "is not supported; leave it out"),
            ("audio", self.extra.contains_key("audio"), "is not supported; answers are text"),
            ("functions", self.extra.contains_key("functions"), "is not supported; use `tools`"),
            (
                "function_call",
                self.extra.contains_key("function_call"),
                "is not supported; use `tool_choice`",
            ),
        ];
        match refused.into_iter().find(|(_, is_set, _)| *is_set) {
            None => Ok(()),
            Some((name, _, why)) => Err(Failure::unsupported(name, why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
    fn parse(body: Value) -> Result<ParsedRequest> {
        crate::json::parse::<ChatBody>(body.to_string().as_bytes())?.parse()
    }

    fn refused(body: Value) -> Failure {
        parse(body).err().unwrap()
    }

    #[test]
    fn unknown_fields_are_passed_on() {
        let parsed = parse(json!({
            "messages": [{"role": "user", "content": "a", "name": "x"}],
            "min_p": 0.1, "user": null, "temperature": null, "store": false,
        }))
        .unwrap();
        assert_eq!(Value::Object(parsed.request.extra), json!({"min_p": 0.1}));
    }

    #[test]
    fn numbers_are_taken_as_the_major_servers_take_them() {
        let with = |name: &str, value: Value| {
            let body = json!({"messages": [{"role": "user", "content": "a"}], name: value});
            parse(body).map(|parsed| parsed.request)
        };
        let limit = |value| with("max_tokens", value).map(|request| request.sampling.max_tokens);
        assert_eq!(limit(json!(-1)).unwrap(), None);
        assert_eq!(limit(json!(100.0)).unwrap(), Some(100));
        assert_eq!(limit(json!("100")).unwrap(), Some(100));
        assert_eq!(limit(json!(1e15)).unwrap(), Some(u32::MAX));
        assert!(limit(json!(-2)).is_err());
        assert!(limit(json!(1.5)).is_err());
        assert!(limit(json!("many")).is_err());
        assert_eq!(with("seed", json!(42.0)).unwrap().sampling.seed, Some(42));
        assert_eq!(with("seed", json!(-1)).unwrap().sampling.seed, Some(-1));
        assert!(with("n", json!(1.0)).is_ok());
        let named = |name: &str| with(name, json!(5)).unwrap().max_tokens_field;
        assert_eq!(named("max_tokens"), Some(MaxTokensField::MaxTokens));
        assert_eq!(named("max_completion_tokens"), Some(MaxTokensField::MaxCompletionTokens));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let messages = json!([{"role": "user", "content": "a"}]);
        for (name, value) in [("n", json!(2)), ("logprobs", json!(true)), ("functions", json!([]))] {
            let failure = refused(json!({"messages": messages, name: value}));
            assert_eq!(failure.status(), 422, "{name}");
        }
        assert!(parse(json!({"messages": messages, "n": 1, "logprobs": false})).is_ok());
    }

    #[test]
    fn wrong_type_is_named_by_its_path() {
        let failure = refused(json!({"messages": [{"role": "user", "content": "a"}, {"role": "usr"}]}));
        assert_eq!(failure.error.fields()[0].path, "messages[1].role");
        assert_eq!(refused(json!({})).error.fields()[0].path, "messages");
    }
}
