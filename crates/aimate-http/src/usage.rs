//! `/api/v1/usage`.

use aimate_core::usage::{ListedUsage, UsageFilter, UsageGroup, UsageSum};
use aimate_core::{ConversationId, Error, RunId, Timestamp, UserId};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::Result;
use crate::page::{List, page};
use crate::path::Query;
use crate::scope::Caller;

/// The period, the grouping and the filters of a usage report.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// Start, inclusive, RFC 3339.
    from: Option<Timestamp>,
    /// End, exclusive, RFC 3339.
    to: Option<Timestamp>,
    /// What each row sums: `model`, `user`, `day`, `conversation`, `workspace`, `tag`, or several of
    /// them with commas between, a row for each combination; default `model`. A call
    /// with several tags counts for each.
    #[param(example = "user,day")]
    group_by: Option<String>,
    /// Only calls of this user.
    user_id: Option<UserId>,
    /// Only calls of this model, as `CONNECTION/MODEL`.
    model: Option<String>,
    /// Only calls with this tag.
    tag: Option<String>,
    /// Only calls of this run.
    run_id: Option<RunId>,
    /// Only calls of this conversation.
    conversation_id: Option<ConversationId>,
}

/// The period, the filters and the page of a list of calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageRecordQuery {
    /// Start, inclusive, RFC 3339.
    from: Option<Timestamp>,
    /// End, exclusive, RFC 3339.
    to: Option<Timestamp>,
    /// Only calls of this user.
    user_id: Option<UserId>,
    /// Only calls of this model, as `CONNECTION/MODEL`.
    model: Option<String>,
    /// Only calls with this tag.
    tag: Option<String>,
    /// Only calls of this run.
    run_id: Option<RunId>,
    /// Only calls of this conversation.
    conversation_id: Option<ConversationId>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Sums up tokens and cost of model calls: a user's own, the whole tenant's for an
/// admin. At most 10,000 rows.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = List<UsageSum>)))]
pub(crate) async fn summarize(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<UsageQuery>,
) -> Result<List<UsageSum>> {
    let mut filter = UsageFilter::new();
    if let Some(groups) = query.group_by.as_deref() {
        filter = filter.group_by(groups.split(',').map(group).collect::<Result<Vec<_>>>()?);
    }
    (filter.from, filter.to) = (query.from, query.to);
    (filter.user, filter.model, filter.tag) = (query.user_id, query.model, query.tag);
    (filter.run, filter.conversation) = (query.run_id, query.conversation_id);
    Ok(List::single_page(app.engine.usage(&scope, &filter).await?))
}

/// Lists model calls, newest first: a user's own, the whole tenant's for an admin.
#[utoipa::path(get, path = "/api/v1/usage/records", tag = "usage", params(UsageRecordQuery),
    responses((status = 200, body = List<ListedUsage>)))]
pub(crate) async fn records(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<UsageRecordQuery>,
) -> Result<List<ListedUsage>> {
    let page = page("usage/records", query.limit, query.cursor.as_deref())?;
    let mut filter = UsageFilter::new();
    (filter.from, filter.to) = (query.from, query.to);
    (filter.user, filter.model, filter.tag) = (query.user_id, query.model, query.tag);
    (filter.run, filter.conversation) = (query.run_id, query.conversation_id);
    Ok(List::of("usage/records", app.engine.usage_records(&scope, &filter, page).await?))
}

fn group(name: &str) -> Result<UsageGroup> {
    name.trim().parse().map_err(|_| {
        let right =
            "`model`, `user`, `day`, `conversation`, `workspace` or `tag`, several with commas between";
        Error::field(
            "group_by",
            format!("has `{}`; it is {right}", name.trim().chars().take(64).collect::<String>()),
        )
        .into()
    })
}
