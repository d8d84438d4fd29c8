//! `/api/v1/audit`.

use aimate_core::audit::{AuditFilter, AuditRecord};
use aimate_core::{Timestamp, UserId};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::page::{List, page};
use crate::path::Query;
use crate::scope::Caller;

/// The filters and the page of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Start, inclusive, RFC 3339.
    from: Option<Timestamp>,
    /// End, exclusive, RFC 3339.
    to: Option<Timestamp>,
    /// Only what this user did.
    actor_id: Option<UserId>,
    /// Only what was done to the user, connection or other thing of this id.
    target_id: Option<Uuid>,
    /// Only this action, such as `user.login`.
    action: Option<String>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Lists what happened that matters for security, newest first; for admins. Each record
/// has the hash of itself and of the one before it: `aimate doctor --audit` tells
/// whether any was changed.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = List<AuditRecord>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<AuditQuery>,
) -> Result<List<AuditRecord>> {
    let page = page("audit", query.limit, query.cursor.as_deref())?;
    let mut filter = AuditFilter::default();
    (filter.actor, filter.target, filter.action) = (query.actor_id, query.target_id, query.action);
    (filter.from, filter.to) = (query.from, query.to);
    Ok(List::of("audit", app.engine.audit(&scope, &filter, page).await?))
}
