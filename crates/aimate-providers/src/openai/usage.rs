//! The usage of an answer, in the forms of many servers.

use aimate_core::usage::{Cost, TokenUsage};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::json::{Number, shape_object};

/// The usage of an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    total_tokens: Number,
    /// Anthropic's and the Responses API's name of `prompt_tokens`.
    #[serde(default)]
    input_tokens: Number,
    /// And of `completion_tokens`.
    #[serde(default)]
    output_tokens: Number,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for what was cached.
    #[serde(default)]
    prompt_cache_hit_tokens: Number,
    /// Kimi's.
    #[serde(default)]
    cached_tokens: Number,
    /// Perplexity's place for them.
    #[serde(default)]
    reasoning_tokens: Number,
    /// The price of the answer in dollars: OpenRouter's number, or Perplexity's
    /// object.
    #[serde(default)]
    cost: Price,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Number,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Number,
}

/// A price in dollars, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Price(Option<f64>);

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.get("total_cost").unwrap_or(&value);
        Ok(Self(Number::deserialize(number).unwrap_or_default().0.filter(|cost| *cost >= 0.0)))
    }
}

impl Usage {
    /// Leaves out what has no shape of a usage.
    pub(crate) fn shape(usage: &mut Map<String, Value>) {
        for name in ["prompt_tokens_details", "completion_tokens_details"] {
            shape_object(usage, name, |_| {});
        }
    }

    /// Adds what `later` says: servers spread a usage over several chunks, and
    /// fill in zeros for what they say elsewhere.
    pub(crate) fn merge(&mut self, later: Self) {
        fn merge(number: &mut Number, later: Number) {
            if later.0.is_some_and(|later| later != 0.0) || number.0.is_none() {
                *number = later;
            }
        }
        merge(&mut self.prompt_tokens, later.prompt_tokens);
        merge(&mut self.completion_tokens, later.completion_tokens);
        merge(&mut self.total_tokens, later.total_tokens);
        merge(&mut self.input_tokens, later.input_tokens);
        merge(&mut self.output_tokens, later.output_tokens);
        merge(&mut self.prompt_cache_hit_tokens, later.prompt_cache_hit_tokens);
        merge(&mut self.cached_tokens, later.cached_tokens);
        merge(&mut self.reasoning_tokens, later.reasoning_tokens);
        if let Some(details) = later.prompt_tokens_details {
            merge(
                &mut self.prompt_tokens_details.get_or_insert_default().cached_tokens,
                details.cached_tokens,
            );
        }
        if let Some(details) = later.completion_tokens_details {
            let all = self.completion_tokens_details.get_or_insert_default();
            merge(&mut all.reasoning_tokens, details.reasoning_tokens);
        }
        if later.cost.0.is_some() {
            self.cost = later.cost;
        }
    }

    /// Converts the usage; `None` if it has no tokens.
    pub(crate) fn tokens(&self) -> Option<TokenUsage> {
        let first = |numbers: &[Number]| {
            numbers.iter().filter_map(|number| number.count()).find(|count| *count > 0).unwrap_or(0)
        };
        let reasoning = self.completion_tokens_details.unwrap_or_default().reasoning_tokens;
        let reasoning_tokens = first(&[reasoning, self.reasoning_tokens]);
        let input_tokens = first(&[self.prompt_tokens, self.input_tokens]);
        let written = first(&[self.completion_tokens, self.output_tokens]);
        // xAI counts reasoning beside what was written, others within it.
        let with_reasoning = written.saturating_add(reasoning_tokens);
        let is_beside = reasoning_tokens > written
            || self.total_tokens.count().is_some_and(|total| {
                reasoning_tokens > 0 && total == input_tokens.saturating_add(with_reasoning)
            });
        let cached = self.prompt_tokens_details.unwrap_or_default().cached_tokens;
        let usage = TokenUsage {
            input_tokens,
            output_tokens: if is_beside { with_reasoning } else { written },
            cached_tokens: first(&[cached, self.prompt_cache_hit_tokens, self.cached_tokens]),
            reasoning_tokens,
            cost: self.cost.0.map(Cost::from_dollars),
            estimated: false,
        };
        (usage.input_tokens > 0 || usage.output_tokens > 0).then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(chunks: &[&str]) -> Option<TokenUsage> {
        let mut all = Usage::default();
        for chunk in chunks {
            all.merge(serde_json::from_str(chunk).unwrap());
        }
        all.tokens()
    }

    #[test]
    fn reasoning_beside_what_was_written_counts_as_written() {
        let xai = r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#;
        let usage = tokens(&[xai]).unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.reasoning_tokens), (32, 103, 94));
        let openai = r#"{"prompt_tokens":32,"completion_tokens":103,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#;
        assert_eq!(tokens(&[openai]).unwrap().output_tokens, 103);
        let few = r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":24,"completion_tokens_details":{"reasoning_tokens":5}}"#;
        assert_eq!(tokens(&[few]).unwrap().output_tokens, 14);
    }

    #[test]
    fn usages_are_merged_field_by_field() {
        let usage = tokens(&[
            r#"{"prompt_tokens":12,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":4}}"#,
            r#"{"prompt_tokens":0,"completion_tokens":7,"cost":0.5}"#,
        ])
        .unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_tokens), (12, 7, 4));
        assert_eq!(usage.cost, Some(Cost::from_dollars(0.5)));
    }

    #[test]
    fn names_of_others_are_read() {
        let usage = tokens(&[
            r#"{"input_tokens":3,"output_tokens":"4","cost":{"total_cost":0.1},"cached_tokens":2}"#,
        ]);
        let usage = usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_tokens), (3, 4, 2));
        assert_eq!(usage.cost, Some(Cost::from_dollars(0.1)));
        assert_eq!(tokens(&[r#"{"total_tokens":0,"cost":{}}"#]), None);
    }
}
