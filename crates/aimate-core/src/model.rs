//! Models: what a connection's server offers.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::ConnectionId;
use crate::scope::Scope;
use crate::text::names;
use crate::usage::{Cost, TokenUsage};

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Answers chats.
    Chat,
    /// Calls tools.
    Tools,
    /// Sees images.
    Vision,
    /// Thinks before it answers.
    Reasoning,
    /// Answers in JSON of a given schema.
    JsonSchema,
    /// Makes embeddings.
    Embedding,
}

names! {
    Capability {
        Chat = "chat", Tools = "tools", Vision = "vision", Reasoning = "reasoning",
        JsonSchema = "json_schema", Embedding = "embedding",
    }
}

/// Prices in US dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Prices {
    /// Of tokens read.
    pub input: f64,
    /// Of tokens written.
    pub output: f64,
    /// Of tokens read that the provider had cached; like `input` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
}

impl Prices {
    /// What `usage` costs at these prices: input and output tokens times their
    /// price, where cached input tokens count at their own.
    #[allow(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    pub fn cost(&self, usage: &TokenUsage) -> Cost {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let fresh = usage.input_tokens - cached;
        let millions = fresh as f64 * self.input
            + cached as f64 * self.cached.unwrap_or(self.input)
            + usage.output_tokens as f64 * self.output;
        Cost::from_dollars(millions / 1e6).clamp(Cost(0), TokenUsage::MAX_COST)
    }
}

/// One model of a connection, as its server lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Model {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The server's own id of it.
    pub model_id: String,
    /// The name to show.
    pub name: String,
    /// Tokens of its context window, where the server says.
    pub context_window: Option<u32>,
    /// What it can do, as far as the server says.
    pub capabilities: Vec<Capability>,
    /// Whether it is offered; a person switches this.
    pub is_active: bool,
    /// What it costs, where the server says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
}

/// Where the last good model list of each connection is kept. Visibility is
/// that of the connection.
#[async_trait]
pub trait ModelStore: Send + Sync {
    /// All models of the connections the user sees, by connection and then
    /// model id. A tenant has hundreds, not millions: the list is not paged.
    async fn list(&self, scope: &Scope) -> Result<Vec<Model>>;
    /// Makes `models` the connection's list, in one commit: new ones are added
    /// as they are, known ones keep their `is_active`, others go; the
    /// connection's `models_fetched_at` becomes `now`, its `stale_since` none
    /// and its status `ok`. `NotFound` if the user does not see the connection.
    async fn replace(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        models: &[Model],
        now: Timestamp,
    ) -> Result<()>;
    /// Switches one model on or off; `NotFound` if the user does not see it.
    async fn set_active(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        model_id: &str,
        is_active: bool,
    ) -> Result<Model>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_cost_their_own_price() {
        let prices = Prices { input: 2.0, output: 8.0, cached: Some(0.5) };
        let usage = TokenUsage {
            input_tokens: 1_000_000,
            cached_tokens: 400_000,
            output_tokens: 100_000,
            ..TokenUsage::default()
        };
        assert_eq!(prices.cost(&usage), Cost::from_dollars(1.2 + 0.2 + 0.8));
    }
}
