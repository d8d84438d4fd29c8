//! Usage: what answers used and cost.

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ConversationId, RunId, UsageId};
use crate::scope::Scope;
use crate::text::names;

/// An amount of US dollars, kept as whole billionths so that sums are exact;
/// a JSON number of dollars outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(pub i64);

impl Cost {
    /// From dollars; rounded to a billionth.
    #[allow(clippy::cast_possible_truncation, reason = "an `as` cast of a float saturates")]
    pub fn from_dollars(dollars: f64) -> Self {
        Self((dollars * 1e9).round() as i64)
    }

    /// In dollars.
    #[allow(clippy::cast_precision_loss, reason = "exact to 9 million dollars")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from_dollars)
    }
}

/// What one answer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenUsage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of the tokens read, those the provider had cached.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Of the tokens written, those of reasoning.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// What it cost, in US dollars, where the provider or the model's prices say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub cost: Option<Cost>,
    /// Whether aiMate counted because the provider did not say.
    #[serde(default)]
    pub estimated: bool,
}

impl TokenUsage {
    /// Tokens of one call at most, of each kind: no model reads or writes as many.
    pub const MAX_TOKENS: u64 = 1_000_000_000;
    /// What one call may cost at most: 10,000 dollars.
    pub const MAX_COST: Cost = Cost(10_000_000_000_000);

    /// What a server reported, where that can be true. A count beyond
    /// [`TokenUsage::MAX_TOKENS`] is replaced by what `counted` says, and the usage
    /// is `estimated` then; a cost below zero or beyond [`TokenUsage::MAX_COST`] is
    /// left out.
    #[must_use]
    pub fn bounded(self, counted: &Self) -> Self {
        let is_wrong = |tokens: u64| tokens > Self::MAX_TOKENS;
        let or = |tokens: u64, counted: u64| if is_wrong(tokens) { counted } else { tokens };
        let output_tokens = or(self.output_tokens, counted.output_tokens);
        let input_tokens = or(self.input_tokens, counted.input_tokens);
        Self {
            input_tokens,
            output_tokens,
            cached_tokens: or(self.cached_tokens, 0),
            reasoning_tokens: or(self.reasoning_tokens, 0),
            cost: self.cost.filter(|cost| (Cost(0)..=Self::MAX_COST).contains(cost)),
            estimated: self.estimated || is_wrong(self.input_tokens) || is_wrong(self.output_tokens),
        }
    }
}

/// How the call that a usage record stands for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageOutcome {
    /// The provider finished.
    Completed,
    /// It was stopped.
    Cancelled,
    /// It failed.
    Failed,
    /// It broke off.
    Interrupted,
}

names! {
    UsageOutcome {
        Completed = "completed", Cancelled = "cancelled", Failed = "failed", Interrupted = "interrupted",
    }
}

/// One call of a model server: there is a record for each, however it ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageRecord {
    /// Its id.
    pub id: UsageId,
    /// The run it belongs to; `None` for a call that is not stored.
    pub run_id: Option<RunId>,
    /// The conversation it belongs to.
    pub conversation_id: Option<ConversationId>,
    /// The model, as `CONNECTION/MODEL`.
    pub model: String,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// What it used.
    pub usage: TokenUsage,
    /// When it ended.
    pub created_at: Timestamp,
}

/// What a usage report is grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageGroup {
    /// One row for each model.
    #[default]
    Model,
    /// One row for each user.
    User,
    /// One row for each day in UTC.
    Day,
}

names! { UsageGroup { Model = "model", User = "user", Day = "day" } }

/// Which usage is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UsageFilter {
    /// From this moment on; `None` from the beginning.
    pub from: Option<Timestamp>,
    /// Before this moment; `None` until now.
    pub to: Option<Timestamp>,
    /// What the rows stand for.
    pub group_by: UsageGroup,
}

/// One row of a usage report: sums over its group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageSum {
    /// The model, the user's id or the day.
    pub key: String,
    /// How many calls.
    pub calls: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Of the tokens read, those the provider had cached.
    pub cached_tokens: u64,
    /// What they cost, in US dollars, as far as it is known.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    pub cost: Cost,
    /// How many of the calls aiMate counted itself.
    pub estimated_calls: u64,
}

/// Where usage is kept. A run's record is stored by
/// [`RunStore::finish`](crate::run::RunStore::finish), in the same commit.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Stores the records of calls that belong to no run, all or none. A
    /// record whose id is already stored is skipped, so a retry is safe.
    async fn record(&self, records: &[(Scope, UsageRecord)]) -> Result<()>;
    /// Sums of the scope's user, or of the whole tenant for an admin; ordered
    /// by key, at most 1,000 rows.
    async fn summarize(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_cannot_be_true_are_replaced() {
        let counted =
            TokenUsage { input_tokens: 7, output_tokens: 3, estimated: true, ..TokenUsage::default() };
        let said =
            TokenUsage { input_tokens: 8, output_tokens: 4, cached_tokens: 2, ..TokenUsage::default() };
        assert_eq!(said.bounded(&counted), said);
        let wrong = TokenUsage { input_tokens: u64::MAX, cached_tokens: u64::MAX, ..said };
        let bounded = wrong.bounded(&counted);
        assert_eq!((bounded.input_tokens, bounded.output_tokens, bounded.cached_tokens), (7, 4, 0));
        assert!(bounded.estimated);
        for cost in [-1, i64::MAX] {
            assert_eq!(TokenUsage { cost: Some(Cost(cost)), ..said }.bounded(&counted).cost, None);
        }
        let dear = TokenUsage { cost: Some(TokenUsage::MAX_COST), ..said };
        assert_eq!(dear.bounded(&counted), dear);
    }
}
