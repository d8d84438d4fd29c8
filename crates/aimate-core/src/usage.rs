//! Usage: what answers used and cost.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{ConversationId, RunId, TenantId, UsageId, UserId, WorkspaceId};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::setters::setters;
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

    /// Both together, with the cost of those of which it is known.
    #[must_use]
    pub(crate) fn plus(self, more: Self) -> Self {
        if self == Self::default() {
            return more;
        }
        Self {
            input_tokens: self.input_tokens.saturating_add(more.input_tokens),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens),
            cached_tokens: self.cached_tokens.saturating_add(more.cached_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(more.reasoning_tokens),
            cost: match (self.cost, more.cost) {
                (Some(one), Some(other)) => Some(Cost(one.0.saturating_add(other.0))),
                (one, other) => one.or(other),
            },
            estimated: self.estimated || more.estimated,
        }
    }

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
    /// What the application wants it summed by ([`Turn::tag`](crate::chat::Turn::tag)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The workspace of its conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// What it used.
    pub usage: TokenUsage,
    /// When it ended.
    pub created_at: Timestamp,
}

/// A usage record in a list, with whose it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedUsage {
    /// The user who asked.
    pub user_id: UserId,
    /// The record.
    #[serde(flatten)]
    pub record: UsageRecord,
}

/// What a usage report is grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageGroup {
    /// By model.
    #[default]
    Model,
    /// By user.
    User,
    /// By day in UTC.
    Day,
    /// By conversation; what is not stored has none.
    Conversation,
    /// By tag: a call with several counts in the row of each, one without any in a
    /// row of its own.
    Tag,
    /// By workspace; what is in none has none.
    Workspace,
    /// By tenant, for the operator alone
    /// ([`Engine::usage_of_all`](crate::Engine::usage_of_all)).
    Tenant,
}

names! {
    UsageGroup {
        Model = "model", User = "user", Day = "day", Conversation = "conversation", Tag = "tag",
        Workspace = "workspace", Tenant = "tenant",
    }
}

/// Which usage is reported, and how it is summed; every field narrows it down.
///
/// ```
/// use aimate_core::usage::{UsageFilter, UsageGroup};
/// let filter = UsageFilter::new().group_by([UsageGroup::User, UsageGroup::Day]).tag("ticket:42");
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UsageFilter {
    /// From this moment on; `None` from the beginning.
    pub from: Option<Timestamp>,
    /// Before this moment; `None` until now.
    pub to: Option<Timestamp>,
    /// What a row stands for: one row for each combination that there is. None: one
    /// row for everything. Default: the model. Lists of records take no notice of it.
    pub group_by: Vec<UsageGroup>,
    /// Of this tenant; for the operator.
    pub tenant: Option<TenantId>,
    /// Of this user; a user sees none but their own.
    pub user: Option<UserId>,
    /// Of this model, as `CONNECTION/MODEL`.
    pub model: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of this conversation.
    pub conversation: Option<ConversationId>,
}

impl Default for UsageFilter {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            group_by: vec![UsageGroup::default()],
            tenant: None,
            user: None,
            model: None,
            tag: None,
            run: None,
            conversation: None,
        }
    }
}

impl UsageFilter {
    /// Everything that the scope may see, by model.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a row for each combination of these, in place of the model; with one row
    /// for everything, of none.
    #[must_use]
    pub fn group_by(mut self, groups: impl IntoIterator<Item = UsageGroup>) -> Self {
        self.group_by = groups.into_iter().collect();
        self
    }

    setters! {
        /// From this moment on.
        optional from: Timestamp;
        /// Before this moment.
        optional to: Timestamp;
        /// Of this tenant, for the operator.
        optional tenant: TenantId;
        /// Of this user.
        optional user: UserId;
        /// Of this model, as `CONNECTION/MODEL`.
        optional model: String;
        /// With this tag.
        optional tag: String;
        /// Of this run.
        optional run: RunId;
        /// Of this conversation.
        optional conversation: ConversationId;
    }

    /// The filter with each grouping once, if its period is one.
    pub(crate) fn checked(&self) -> Result<Self> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Error::field("from", "is not before `to`"));
        }
        let mut filter = self.clone();
        let mut seen = HashSet::new();
        filter.group_by.retain(|group| seen.insert(*group));
        Ok(filter)
    }

    /// [`checked`](Self::checked) for a caller within a tenant.
    pub(crate) fn checked_for(&self, scope: &Scope) -> Result<Self> {
        let filter = self.checked()?;
        if filter.group_by.contains(&UsageGroup::Tenant) {
            return Err(Error::field("group_by", "`tenant` is for the operator; a caller sees one tenant"));
        }
        if filter.tenant.is_some_and(|tenant| tenant != scope.tenant) {
            return Err(Error::field("tenant", "is another one; a caller sees their own"));
        }
        Ok(filter)
    }
}

/// One row of a usage report: sums over its group. What it is not grouped by is
/// absent, and so is what the calls of its group do not have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageSum {
    /// What the row stands for in the first grouping: the model, the user's id, the
    /// day and so on. Empty without a grouping, or where it has none.
    pub key: String,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The model, as `CONNECTION/MODEL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The day in UTC, such as `2026-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
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

impl UsageSum {
    /// With the key of the first of these groupings.
    #[must_use]
    pub fn with_key(mut self, groups: &[UsageGroup]) -> Self {
        self.key = groups.first().map(|group| self.of(*group)).unwrap_or_default();
        self
    }

    /// What the row stands for in a grouping; empty where it has none.
    pub fn of(&self, group: UsageGroup) -> String {
        match group {
            UsageGroup::Model => self.model.clone(),
            UsageGroup::User => self.user_id.map(|id| id.to_string()),
            UsageGroup::Day => self.day.clone(),
            UsageGroup::Conversation => self.conversation_id.map(|id| id.to_string()),
            UsageGroup::Tag => self.tag.clone(),
            UsageGroup::Workspace => self.workspace_id.map(|id| id.to_string()),
            UsageGroup::Tenant => self.tenant_id.map(|id| id.to_string()),
        }
        .unwrap_or_default()
    }
}

/// Where usage is kept. A run's record is stored by
/// [`RunStore::finish`](crate::run::RunStore::finish), in the same commit.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Stores the records of calls that belong to no run, all or none. A
    /// record whose id is already stored is skipped, so a retry is safe.
    async fn record(&self, records: &[(Scope, UsageRecord)]) -> Result<()>;
    /// Sums of the scope's user, or for an admin of the whole tenant or the filter's
    /// user; at most 10,000 rows, in any order. Another tenant or user than the scope
    /// may see has none. A record with several tags counts in the row of each.
    async fn summarize(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>>;
    /// Sums over all tenants, or the filter's, for the operator; at most 10,000 rows,
    /// in any order.
    async fn summarize_all(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>>;
    /// The records that [`summarize`](Self::summarize) sums, newest first (then by id,
    /// descending). The cursor is `(created_at, id)`.
    async fn records(
        &self,
        scope: &Scope,
        filter: &UsageFilter,
        page: PageRequest,
    ) -> Result<Page<ListedUsage>>;
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
