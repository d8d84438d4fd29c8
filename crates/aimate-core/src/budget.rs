//! Budgets: what calls of models may cost in a day or a month.

use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{BudgetId, GroupId, UsageId, UserId, WorkspaceId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::text::{names, shorten};
use crate::usage::{Cost, TokenUsage};

/// Whose calls a budget counts.
///
/// ```
/// use aimate_core::budget::BudgetSubject;
/// // All models of one connection.
/// let subject = BudgetSubject::Model("openai/*".into());
/// # let _ = subject;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "value", rename_all = "snake_case", deny_unknown_fields)]
pub enum BudgetSubject {
    /// All calls of the tenant.
    Tenant,
    /// Those of a user.
    User(UserId),
    /// Those of the members of a group, together: who joins or leaves it is counted from then on.
    Group(GroupId),
    /// Those in the conversations of a workspace.
    Workspace(WorkspaceId),
    /// Those of a model, as `CONNECTION/MODEL`, or of all models of a connection, as
    /// `CONNECTION/*`.
    Model(String),
    /// Those with a tag ([`Turn::tag`](crate::chat::Turn::tag)).
    Tag(String),
}

impl BudgetSubject {
    /// Checks the limits of its name.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self) -> Result<()> {
        let path = "subject.value";
        match self {
            Self::Model(name) => {
                limit::name(path, name, limit::MODEL)?;
                if name
                    .split_once('/')
                    .is_none_or(|(connection, model)| connection.is_empty() || model.is_empty())
                {
                    return Err(Error::field(path, "is no `CONNECTION/MODEL` and no `CONNECTION/*`"));
                }
                Ok(())
            }
            Self::Tag(tag) => limit::name(path, tag, limit::TAG),
            Self::Tenant | Self::User(_) | Self::Group(_) | Self::Workspace(_) => Ok(()),
        }
    }
}

impl BudgetSubject {
    /// "of this user" and so on, for a sentence.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Tenant => "of the tenant".to_owned(),
            Self::User(_) => "of this user".to_owned(),
            Self::Group(_) => "of a group of this user".to_owned(),
            Self::Workspace(_) => "of this workspace".to_owned(),
            Self::Model(name) => format!("of the model `{}`", shorten(name, 100)),
            Self::Tag(tag) => format!("of the tag `{}`", shorten(tag, 100)),
        }
    }
}

/// As a column has it: `user:` and the id without hyphens, `tag:` and the tag.
impl std::fmt::Display for BudgetSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant:"),
            Self::User(id) => write!(f, "user:{}", id.0.simple()),
            Self::Group(id) => write!(f, "group:{}", id.0.simple()),
            Self::Workspace(id) => write!(f, "workspace:{}", id.0.simple()),
            Self::Model(name) => write!(f, "model:{}", limit::without_nul(name)),
            Self::Tag(tag) => write!(f, "tag:{}", limit::without_nul(tag)),
        }
    }
}

impl FromStr for BudgetSubject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::invalid("this is not what a budget is for");
        let (kind, value) = text.split_once(':').ok_or_else(unknown)?;
        let id = || value.parse::<Uuid>().map_err(|error| unknown().with_source(error));
        Ok(match kind {
            "tenant" => Self::Tenant,
            "user" => Self::User(id()?.into()),
            "group" => Self::Group(id()?.into()),
            "workspace" => Self::Workspace(id()?.into()),
            "model" => Self::Model(value.to_owned()),
            "tag" => Self::Tag(value.to_owned()),
            _ => return Err(unknown()),
        })
    }
}

/// Who makes a call, of what: what says which budgets count it. The user's groups are
/// not in it: the store knows who is a member.
#[derive(Clone, Copy, Debug)]
pub struct BudgetedCall<'c> {
    /// The user.
    pub user: UserId,
    /// The workspace of the conversation.
    pub workspace: Option<WorkspaceId>,
    /// The model, as `CONNECTION/MODEL`.
    pub model: &'c str,
    /// Its tags.
    pub tags: &'c [String],
}

impl BudgetedCall<'_> {
    /// Every subject that it belongs to, as columns have them.
    pub fn subjects(&self) -> Vec<String> {
        let connection = self.model.split_once('/').map(|(connection, _)| format!("{connection}/*"));
        let names = connection.into_iter().chain([self.model.to_owned()]).map(BudgetSubject::Model);
        let subjects = [BudgetSubject::Tenant, BudgetSubject::User(self.user)].into_iter();
        let subjects = subjects.chain(self.workspace.map(BudgetSubject::Workspace)).chain(names);
        let subjects = subjects.chain(self.tags.iter().cloned().map(BudgetSubject::Tag));
        subjects.map(|subject| subject.to_string()).collect()
    }
}

/// How often a budget begins anew, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// At midnight.
    Day,
    /// At the midnight that a month begins with.
    Month,
}

names! { BudgetPeriod { Day = "day", Month = "month" } }

impl BudgetPeriod {
    /// When the period began that `now` is in.
    pub fn begin(self, now: Timestamp) -> Timestamp {
        const DAY: i64 = 86_400_000_000;
        let midnight = now.0.div_euclid(DAY).saturating_mul(DAY);
        let day_of_month =
            OffsetDateTime::from_unix_timestamp(now.unix_seconds()).map_or(1, |date| date.day());
        match self {
            Self::Day => Timestamp(midnight),
            Self::Month => {
                Timestamp(midnight.saturating_sub(i64::from(day_of_month - 1).saturating_mul(DAY)))
            }
        }
    }

    /// "daily", "monthly".
    pub(crate) fn adjective(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Month => "monthly",
        }
    }

    /// When the next one begins.
    pub fn end(self, now: Timestamp) -> Timestamp {
        let days = match self {
            Self::Day => 1,
            // In the next month, whatever it is.
            Self::Month => 32,
        };
        self.begin(self.begin(now).plus(std::time::Duration::from_secs(days * 86_400)))
    }
}

/// What calls cost: dollars, where prices are known, and tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Amount {
    /// In US dollars.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    pub cost: Cost,
    /// Tokens read and written.
    pub tokens: u64,
}

impl Amount {
    /// What `usage` adds to a budget: of each kind of tokens and of dollars no more than a
    /// call can have ([`TokenUsage::MAX_TOKENS`], [`TokenUsage::MAX_COST`]), so that no
    /// record breaks a sum.
    pub fn of(usage: &TokenUsage) -> Self {
        let tokens = |tokens: u64| tokens.min(TokenUsage::MAX_TOKENS);
        Self {
            cost: usage.cost.unwrap_or_default().clamp(Cost(0), TokenUsage::MAX_COST),
            tokens: tokens(usage.input_tokens) + tokens(usage.output_tokens),
        }
    }
}

/// What may be spent in a period: dollars, tokens or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BudgetLimits {
    /// US dollars at most; `null` for as many as there are. Calls whose price nobody
    /// knows cost none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub max_cost: Option<Cost>,
    /// Tokens read and written at most; `null` for as many as there are.
    pub max_tokens: Option<u64>,
}

impl BudgetLimits {
    /// A million dollars, and as many tokens as no month has.
    const MAX_COST: Cost = Cost(1_000_000_000_000_000);
    const MAX_TOKENS: u64 = 1_000_000_000_000_000;

    /// At most so many dollars.
    pub fn dollars(dollars: f64) -> Self {
        Self { max_cost: Some(Cost::from_dollars(dollars)), max_tokens: None }
    }

    /// At most so many tokens.
    pub fn tokens(tokens: u64) -> Self {
        Self { max_cost: None, max_tokens: Some(tokens) }
    }

    /// Checks that there is a limit, within bounds.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self) -> Result<()> {
        if self.max_cost.is_none() && self.max_tokens.is_none() {
            return Err(Error::field(
                "max_cost",
                "is missing, and so is `max_tokens`; a budget has one or both",
            ));
        }
        if self.max_cost.is_some_and(|cost| !(Cost(0)..=Self::MAX_COST).contains(&cost)) {
            return Err(Error::field("max_cost", "is a number of dollars from 0 to 1,000,000"));
        }
        if self.max_tokens.is_some_and(|tokens| tokens > Self::MAX_TOKENS) {
            return Err(Error::field("max_tokens", format!("is at most {}", Self::MAX_TOKENS)));
        }
        Ok(())
    }
}

/// A limit of what calls may cost in a day or a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// Whose calls it counts.
    pub subject: BudgetSubject,
    /// How often it begins anew.
    pub period: BudgetPeriod,
    /// What may be spent in a period.
    #[serde(flatten)]
    pub limits: BudgetLimits,
    /// When the period began that is counted.
    pub begins_at: Timestamp,
    /// What calls that are over have cost in it.
    pub spent: Amount,
    /// What is set aside for calls under way.
    pub reserved: Amount,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its limits last changed.
    pub updated_at: Timestamp,
}

impl Budget {
    /// The budget at `now`: of a new period, in which nothing is spent yet, where the
    /// counted one is over.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        let begins_at = self.period.begin(now);
        if begins_at <= self.begins_at { self } else { Self { begins_at, spent: Amount::default(), ..self } }
    }
}

/// Parameters for making a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBudget {
    /// Whose calls it counts.
    pub subject: BudgetSubject,
    /// How often it begins anew.
    pub period: BudgetPeriod,
    /// What may be spent in a period.
    pub limits: BudgetLimits,
}

impl NewBudget {
    /// A budget for a day, in UTC.
    pub fn daily(subject: BudgetSubject, limits: BudgetLimits) -> Self {
        Self { subject, period: BudgetPeriod::Day, limits }
    }

    /// A budget for a month, in UTC.
    pub fn monthly(subject: BudgetSubject, limits: BudgetLimits) -> Self {
        Self { subject, period: BudgetPeriod::Month, limits }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self) -> Result<()> {
        self.subject.check()?;
        self.limits.check()
    }
}

/// What is to be set aside for a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserve {
    /// The call: the id of its usage record, whose storing gives back what was set
    /// aside for it.
    pub call: UsageId,
    /// How often something was set aside for it before.
    pub step: u32,
    /// Whose budgets: see [`BudgetedCall::subjects`].
    pub subjects: Vec<String>,
    /// What the call may need. Of a budget that has less, the rest of it is set aside.
    pub wanted: Amount,
    /// What it needs at least.
    pub least: Amount,
    /// Now.
    pub now: Timestamp,
    /// When it counts as given back, if nobody does: the process died.
    pub expires_at: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reserved {
    /// No budget counts the call.
    Unlimited,
    /// Each budget that counts it, with what is set aside in it for the call by now.
    Granted(Vec<(Budget, Amount)>),
    /// Nothing was set aside, because this budget has less than the least.
    Refused(Box<Budget>),
}

/// Where budgets are kept: they are the tenant's, whoever of it asks. A foreign or
/// unknown id is `NotFound`. What calls cost is added where their usage is stored
/// ([`RunStore::finish`](crate::run::RunStore::finish),
/// [`UsageStore::record`](crate::usage::UsageStore::record)), in the same commit, which
/// also gives back what was set aside for them.
#[async_trait]
pub trait BudgetStore: Send + Sync {
    /// Stores a new budget with what its subject has spent in the period so far, by the
    /// usage records; no call that is recorded meanwhile is lost. `Conflict` if the
    /// subject has a budget of this period already; `NotFound` without the tenant.
    async fn create(&self, scope: &Scope, budget: &Budget) -> Result<Budget>;
    /// The budget with this id, as it was counted last.
    async fn get(&self, scope: &Scope, id: BudgetId) -> Result<Budget>;
    /// The tenant's budgets, by id.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Budget>>;
    /// Whether the tenant has any.
    async fn any(&self, scope: &Scope) -> Result<bool>;
    /// Sets the limits and `updated_at`. What is set aside stays.
    async fn update(
        &self,
        scope: &Scope,
        id: BudgetId,
        limits: &BudgetLimits,
        now: Timestamp,
    ) -> Result<Budget>;
    /// Deletes the budget with what is set aside in it.
    async fn delete(&self, scope: &Scope, id: BudgetId) -> Result<()>;
    /// Sets something aside in each budget that counts the call of the scope's user, those
    /// of the user's groups too, or in none, if one of them has less free than the least. Calls at the same moment, in several
    /// processes, never get more together than there is. Of a budget whose counted
    /// period is over, the next one begins.
    async fn reserve(&self, scope: &Scope, reserve: &Reserve) -> Result<Reserved>;
    /// Gives back what is set aside for a call that did not take place. Nothing happens
    /// if there is nothing.
    async fn release(&self, scope: &Scope, call: UsageId) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn periods_begin_at_midnight_in_utc() {
        for (now, day, month, next) in [
            (
                "2026-01-31T23:59:59.999999Z",
                "2026-01-31T00:00:00Z",
                "2026-01-01T00:00:00Z",
                "2026-02-01T00:00:00Z",
            ),
            ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(BudgetPeriod::Day.begin(time(now)), time(day));
            assert_eq!(BudgetPeriod::Month.begin(time(now)), time(month));
            assert_eq!(BudgetPeriod::Month.end(time(now)), time(next));
            assert_eq!(BudgetPeriod::Day.end(time(now)).since(time(day)).as_secs(), 86_400);
        }
    }

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let id = Uuid::from_u128(7);
        for subject in [
            BudgetSubject::Tenant,
            BudgetSubject::User(id.into()),
            BudgetSubject::Group(id.into()),
            BudgetSubject::Workspace(id.into()),
            BudgetSubject::Model("openai/ft:a:b".into()),
            BudgetSubject::Tag("ticket:42".into()),
        ] {
            assert_eq!(subject.to_string().parse::<BudgetSubject>().unwrap(), subject);
        }
        let call = BudgetedCall { user: id.into(), workspace: None, model: "o/m/x", tags: &["t".into()] };
        let user = format!("user:{}", id.simple());
        assert_eq!(call.subjects(), ["tenant:", &user, "model:o/*", "model:o/m/x", "tag:t"]);
    }

    #[test]
    fn new_budget_names_the_wrong_field() {
        let json = serde_json::json!({ "type": "model", "value": "openai/*" });
        let subject: BudgetSubject = serde_json::from_value(json).unwrap();
        assert_eq!(subject, BudgetSubject::Model("openai/*".into()));
        NewBudget::monthly(subject, BudgetLimits::dollars(5.5)).check().unwrap();
        let wrong = |subject, limits| NewBudget::daily(subject, limits).check().unwrap_err();
        let path = |error: Error| error.fields()[0].path.clone();
        assert_eq!(path(wrong(BudgetSubject::Model("gpt".into()), BudgetLimits::tokens(1))), "subject.value");
        assert_eq!(path(wrong(BudgetSubject::Tenant, BudgetLimits::default())), "max_cost");
        assert_eq!(path(wrong(BudgetSubject::Tenant, BudgetLimits::dollars(-1.0))), "max_cost");
        assert_eq!(path(wrong(BudgetSubject::Tenant, BudgetLimits::tokens(u64::MAX))), "max_tokens");
        wrong(BudgetSubject::Tenant, BudgetLimits::dollars(f64::INFINITY));
    }
}
