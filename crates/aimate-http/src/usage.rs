//! `/api/v1/usage`.

use aimate_core::Timestamp;
use aimate_core::usage::{UsageFilter, UsageGroup, UsageSum};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::Result;
use crate::page::List;
use crate::path::Query;
use crate::scope::Caller;

/// The period and the grouping of a usage report.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// Start, inclusive, RFC 3339.
    from: Option<Timestamp>,
    /// End, exclusive, RFC 3339.
    to: Option<Timestamp>,
    /// What each row sums; default `model`.
    #[serde(default)]
    #[param(required = false)]
    group_by: UsageGroup,
}

/// Sums up tokens and cost of model calls.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = List<UsageSum>)))]
pub(crate) async fn summarize(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(UsageQuery { from, to, group_by }): Query<UsageQuery>,
) -> Result<List<UsageSum>> {
    let filter = UsageFilter { from, to, group_by };
    Ok(List::single_page(app.engine.usage(&scope, &filter).await?))
}
