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

/// Which usage is reported, and how it is summed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// From this time on, RFC 3339.
    from: Option<Timestamp>,
    /// Before this time, RFC 3339.
    to: Option<Timestamp>,
    /// What a row stands for; default `model`.
    #[serde(default)]
    #[param(required = false)]
    group_by: UsageGroup,
}

/// Tells what calls used and cost, in sums.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = List<UsageSum>)))]
pub(crate) async fn summarize(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(UsageQuery { from, to, group_by }): Query<UsageQuery>,
) -> Result<List<UsageSum>> {
    let filter = UsageFilter { from, to, group_by };
    Ok(List::whole(app.engine.usage(&scope, &filter).await?))
}
