//! `/api/v1/auth/sessions`.

use aimate_accounts::Credential;
use aimate_core::SessionId;
use aimate_core::session::Session;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::principal::Known;

const LIST: &str = "sessions";

/// A session as its user sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedSession {
    #[serde(flatten)]
    session: Session,
    /// Whether it is the one that asks.
    is_current: bool,
}

/// Lists the caller's sessions, newest first.
#[utoipa::path(get, path = "/api/v1/auth/sessions", tag = "auth", params(PageQuery),
    responses((status = 200, body = List<ListedSession>)))]
pub(crate) async fn list(known: Known, Query(query): Query<PageQuery>) -> Result<List<ListedSession>> {
    let page = known.accounts.sessions(&known.principal, query.page(LIST)?).await?;
    let current = known.principal.credential;
    let listed =
        page.map(|session| ListedSession { is_current: current == Credential::Session(session.id), session });
    Ok(List::of(LIST, listed))
}

/// Ends all sessions of the caller but the one that asks.
#[utoipa::path(delete, path = "/api/v1/auth/sessions", tag = "auth", responses((status = 204)))]
pub(crate) async fn delete_others(known: Known) -> Result<StatusCode> {
    let keep = match known.principal.credential {
        Credential::Session(session) => Some(session),
        Credential::ApiToken { .. } => None,
    };
    known.accounts.revoke_sessions(&known.principal, keep).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a session of the caller: its tokens are good for nothing, and its streams end.
#[utoipa::path(delete, path = "/api/v1/auth/sessions/{id}", tag = "auth",
    params(("id" = SessionId, Path)), responses((status = 204)))]
pub(crate) async fn delete(known: Known, Path(id): Path<SessionId>) -> Result<StatusCode> {
    known.accounts.revoke_session(&known.principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
