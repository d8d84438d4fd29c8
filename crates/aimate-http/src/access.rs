//! What each route needs of an API token: the one list, which a test compares with the
//! routes that there are.
//!
//! A route that is not on it needs `admin`, so that one that was forgotten is closed and
//! not open. Sessions may do whatever their user may; the engine says what that is.

use std::collections::HashMap;
use std::sync::LazyLock;

use aimate_core::api_token::TokenScope::{self, Admin, Read, Write};
use http::Method;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody has to be known.
    Open,
    /// A credential that is good for this.
    Scope(TokenScope),
}

use Access::{Open, Scope};

/// Routes by method and path. `PUT` and `PATCH` of a path are the same. Whoever only
/// reads, also by `POST`, needs `read`.
const ROUTES: &[(&str, &str, Access)] = &[
    ("GET", "/health", Open),
    ("GET", "/ready", Open),
    ("GET", "/metrics", Open),
    ("GET", "/api/v1/server", Open),
    ("POST", "/api/v1/auth/register", Open),
    ("POST", "/api/v1/auth/login", Open),
    ("POST", "/api/v1/auth/refresh", Open),
    ("GET", "/api/v1/auth/oidc", Open),
    ("GET", "/api/v1/auth/oidc/{provider}/start", Open),
    ("GET", "/api/v1/auth/oidc/{provider}/callback", Open),
    ("POST", "/api/v1/auth/logout", Scope(Write)),
    ("GET", "/api/v1/auth/me", Scope(Read)),
    ("PATCH", "/api/v1/auth/me", Scope(Write)),
    ("POST", "/api/v1/auth/password", Scope(Write)),
    ("GET", "/api/v1/auth/sessions", Scope(Read)),
    ("DELETE", "/api/v1/auth/sessions", Scope(Write)),
    ("DELETE", "/api/v1/auth/sessions/{id}", Scope(Write)),
    ("GET", "/api/v1/auth/tokens", Scope(Read)),
    ("POST", "/api/v1/auth/tokens", Scope(Write)),
    ("DELETE", "/api/v1/auth/tokens/{id}", Scope(Write)),
    ("GET", "/api/v1/users", Scope(Admin)),
    ("GET", "/api/v1/users/{id}", Scope(Admin)),
    ("PATCH", "/api/v1/users/{id}", Scope(Admin)),
    ("DELETE", "/api/v1/users/{id}", Scope(Admin)),
    ("POST", "/api/v1/users/{id}/unlock", Scope(Admin)),
    ("GET", "/api/v1/invites", Scope(Admin)),
    ("POST", "/api/v1/invites", Scope(Admin)),
    ("DELETE", "/api/v1/invites/{id}", Scope(Admin)),
    ("GET", "/api/v1/audit", Scope(Admin)),
    ("GET", "/api/v1/connections", Scope(Read)),
    ("POST", "/api/v1/connections", Scope(Write)),
    ("GET", "/api/v1/connections/{id}", Scope(Read)),
    ("PATCH", "/api/v1/connections/{id}", Scope(Write)),
    ("DELETE", "/api/v1/connections/{id}", Scope(Write)),
    ("POST", "/api/v1/connections/{id}/test", Scope(Write)),
    ("POST", "/api/v1/connections/{id}/models/refresh", Scope(Write)),
    ("GET", "/api/v1/models", Scope(Read)),
    ("POST", "/api/v1/models/{id}/enable", Scope(Write)),
    ("POST", "/api/v1/models/{id}/disable", Scope(Write)),
    ("GET", "/api/v1/tools", Scope(Read)),
    ("GET", "/api/v1/tools/servers", Scope(Read)),
    ("POST", "/api/v1/tools/servers", Scope(Write)),
    ("GET", "/api/v1/tools/servers/{id}", Scope(Read)),
    ("PATCH", "/api/v1/tools/servers/{id}", Scope(Write)),
    ("DELETE", "/api/v1/tools/servers/{id}", Scope(Write)),
    ("POST", "/api/v1/tools/servers/{id}/test", Scope(Write)),
    ("PATCH", "/api/v1/tools/servers/{id}/policy", Scope(Write)),
    ("GET", "/api/v1/tools/servers/{id}/resources", Scope(Read)),
    ("GET", "/api/v1/tools/servers/{id}/resources/content", Scope(Read)),
    ("GET", "/api/v1/tools/servers/{id}/prompts", Scope(Read)),
    ("POST", "/api/v1/tools/servers/{id}/prompts", Scope(Read)),
    ("POST", "/api/v1/tools/servers/{id}/login", Scope(Write)),
    ("DELETE", "/api/v1/tools/servers/{id}/login", Scope(Write)),
    // Of the browser that began the login: its cookie says whose it is.
    ("GET", "/api/v1/tools/login/callback", Open),
    ("GET", "/api/v1/conversations", Scope(Read)),
    ("POST", "/api/v1/conversations", Scope(Write)),
    ("GET", "/api/v1/conversations/search", Scope(Read)),
    ("GET", "/api/v1/conversations/{id}", Scope(Read)),
    ("PATCH", "/api/v1/conversations/{id}", Scope(Write)),
    ("DELETE", "/api/v1/conversations/{id}", Scope(Write)),
    ("POST", "/api/v1/conversations/{id}/fork", Scope(Write)),
    ("POST", "/v1/conversations", Scope(Write)),
    ("GET", "/v1/conversations/{id}", Scope(Read)),
    ("POST", "/v1/conversations/{id}", Scope(Write)),
    ("DELETE", "/v1/conversations/{id}", Scope(Write)),
    ("GET", "/v1/conversations/{id}/items", Scope(Read)),
    ("POST", "/v1/conversations/{id}/items", Scope(Write)),
    ("GET", "/v1/conversations/{id}/items/{item}", Scope(Read)),
    ("DELETE", "/v1/conversations/{id}/items/{item}", Scope(Write)),
    ("GET", "/api/v1/conversations/{id}/shares", Scope(Read)),
    ("POST", "/api/v1/conversations/{id}/shares", Scope(Write)),
    ("DELETE", "/api/v1/shares/{id}", Scope(Write)),
    // Of whoever has the link.
    ("GET", "/api/v1/shared/{token}", Open),
    ("GET", "/api/v1/conversations/{id}/messages", Scope(Read)),
    ("POST", "/api/v1/conversations/{id}/messages", Scope(Write)),
    ("PATCH", "/api/v1/conversations/{id}/messages/{mid}", Scope(Write)),
    ("POST", "/api/v1/conversations/{id}/messages/{mid}/regenerate", Scope(Write)),
    ("POST", "/api/v1/messages", Scope(Write)),
    #[cfg(feature = "markdown")]
    ("POST", "/api/v1/markdown", Scope(Read)),
    ("GET", "/api/v1/runs/{id}", Scope(Read)),
    ("GET", "/api/v1/runs/{id}/events", Scope(Read)),
    ("POST", "/api/v1/runs/{id}/cancel", Scope(Write)),
    ("POST", "/api/v1/runs/{id}/approvals/{call_id}", Scope(Write)),
    ("POST", "/api/v1/runs/{id}/inputs/{call_id}", Scope(Write)),
    ("GET", "/api/v1/workspaces", Scope(Read)),
    ("POST", "/api/v1/workspaces", Scope(Write)),
    ("GET", "/api/v1/workspaces/{id}", Scope(Read)),
    ("PATCH", "/api/v1/workspaces/{id}", Scope(Write)),
    ("DELETE", "/api/v1/workspaces/{id}", Scope(Write)),
    ("GET", "/api/v1/workspaces/{id}/members", Scope(Read)),
    ("POST", "/api/v1/workspaces/{id}/members", Scope(Write)),
    ("PATCH", "/api/v1/workspaces/{id}/members", Scope(Write)),
    ("DELETE", "/api/v1/workspaces/{id}/members/{member}", Scope(Write)),
    ("GET", "/api/v1/groups", Scope(Read)),
    ("POST", "/api/v1/groups", Scope(Admin)),
    ("GET", "/api/v1/groups/{id}", Scope(Read)),
    ("PATCH", "/api/v1/groups/{id}", Scope(Admin)),
    ("DELETE", "/api/v1/groups/{id}", Scope(Admin)),
    ("GET", "/api/v1/groups/{id}/members", Scope(Read)),
    ("PATCH", "/api/v1/groups/{id}/members/{user}", Scope(Admin)),
    ("DELETE", "/api/v1/groups/{id}/members/{user}", Scope(Admin)),
    ("GET", "/api/v1/prompts", Scope(Read)),
    ("POST", "/api/v1/prompts", Scope(Write)),
    ("GET", "/api/v1/prompts/{id}", Scope(Read)),
    ("PATCH", "/api/v1/prompts/{id}", Scope(Write)),
    ("DELETE", "/api/v1/prompts/{id}", Scope(Write)),
    ("GET", "/api/v1/knowledge/collections", Scope(Read)),
    ("POST", "/api/v1/knowledge/collections", Scope(Write)),
    ("GET", "/api/v1/knowledge/collections/{id}", Scope(Read)),
    ("PATCH", "/api/v1/knowledge/collections/{id}", Scope(Write)),
    ("DELETE", "/api/v1/knowledge/collections/{id}", Scope(Write)),
    ("GET", "/api/v1/knowledge/collections/{id}/spaces", Scope(Read)),
    ("POST", "/api/v1/knowledge/collections/{id}/documents", Scope(Write)),
    ("GET", "/api/v1/knowledge/documents", Scope(Read)),
    ("GET", "/api/v1/knowledge/documents/{id}", Scope(Read)),
    ("DELETE", "/api/v1/knowledge/documents/{id}", Scope(Write)),
    ("POST", "/api/v1/knowledge/documents/{id}/cancel", Scope(Write)),
    ("POST", "/api/v1/knowledge/documents/{id}/retry", Scope(Write)),
    ("GET", "/api/v1/knowledge/documents/{id}/chunks", Scope(Read)),
    ("GET", "/api/v1/knowledge/documents/{id}/content", Scope(Read)),
    ("GET", "/api/v1/knowledge/documents/{id}/events", Scope(Read)),
    ("POST", "/api/v1/knowledge/search", Scope(Read)),
    ("GET", "/api/v1/usage", Scope(Read)),
    ("GET", "/api/v1/usage/records", Scope(Read)),
    ("GET", "/api/v1/budgets", Scope(Admin)),
    ("POST", "/api/v1/budgets", Scope(Admin)),
    ("GET", "/api/v1/budgets/{id}", Scope(Admin)),
    ("PATCH", "/api/v1/budgets/{id}", Scope(Admin)),
    ("DELETE", "/api/v1/budgets/{id}", Scope(Admin)),
    ("GET", "/api/v1/prices", Scope(Read)),
    ("POST", "/api/v1/prices", Scope(Admin)),
    ("DELETE", "/api/v1/prices/{id}", Scope(Admin)),
    // The tool that stores something asks for `write` by itself.
    ("GET", "/mcp", Scope(Read)),
    ("POST", "/mcp", Scope(Read)),
    ("DELETE", "/mcp", Scope(Read)),
    ("POST", "/api/v1/chat/completions", Scope(Write)),
    ("POST", "/v1/chat/completions", Scope(Write)),
    ("POST", "/v1/completions", Scope(Write)),
    ("POST", "/v1/embeddings", Scope(Write)),
    // The `WebSocket`s on which turns and responses are begun.
    ("GET", "/api/v1/ws", Scope(Write)),
    ("GET", "/v1/responses", Scope(Write)),
    ("POST", "/v1/responses", Scope(Write)),
    ("POST", "/v1/responses/input_tokens", Scope(Read)),
    ("POST", "/v1/responses/compact", Scope(Write)),
    ("GET", "/v1/responses/{id}", Scope(Read)),
    ("DELETE", "/v1/responses/{id}", Scope(Write)),
    ("POST", "/v1/responses/{id}/cancel", Scope(Write)),
    ("GET", "/v1/responses/{id}/input_items", Scope(Read)),
    ("GET", "/v1/models", Scope(Read)),
    ("GET", "/v1/files", Scope(Read)),
    ("POST", "/v1/files", Scope(Write)),
    ("GET", "/v1/files/{file_id}", Scope(Read)),
    ("DELETE", "/v1/files/{file_id}", Scope(Write)),
    ("GET", "/v1/files/{file_id}/content", Scope(Read)),
    ("POST", "/v1/uploads", Scope(Write)),
    ("POST", "/v1/uploads/{upload_id}/parts", Scope(Write)),
    ("POST", "/v1/uploads/{upload_id}/complete", Scope(Write)),
    ("POST", "/v1/uploads/{upload_id}/cancel", Scope(Write)),
    ("GET", "/v1/vector_stores", Scope(Read)),
    ("POST", "/v1/vector_stores", Scope(Write)),
    ("GET", "/v1/vector_stores/{vector_store_id}", Scope(Read)),
    ("POST", "/v1/vector_stores/{vector_store_id}", Scope(Write)),
    ("DELETE", "/v1/vector_stores/{vector_store_id}", Scope(Write)),
    ("POST", "/v1/vector_stores/{vector_store_id}/search", Scope(Read)),
    ("GET", "/v1/vector_stores/{vector_store_id}/files", Scope(Read)),
    ("POST", "/v1/vector_stores/{vector_store_id}/files", Scope(Write)),
    ("GET", "/v1/vector_stores/{vector_store_id}/files/{file_id}", Scope(Read)),
    ("POST", "/v1/vector_stores/{vector_store_id}/files/{file_id}", Scope(Write)),
    ("DELETE", "/v1/vector_stores/{vector_store_id}/files/{file_id}", Scope(Write)),
    ("GET", "/v1/vector_stores/{vector_store_id}/files/{file_id}/content", Scope(Read)),
    ("POST", "/v1/vector_stores/{vector_store_id}/file_batches", Scope(Write)),
    ("GET", "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}", Scope(Read)),
    ("POST", "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel", Scope(Write)),
    ("GET", "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files", Scope(Read)),
    ("GET", "/v1/models/{id}", Scope(Read)),
    // As axum has the two whose ids have slashes.
    ("GET", "/v1/models/{*id}", Scope(Read)),
    ("POST", "/api/v1/models/{*rest}", Scope(Write)),
];

static BY_ROUTE: LazyLock<HashMap<(&str, &str), Access>> =
    LazyLock::new(|| ROUTES.iter().map(|(method, path, access)| ((*method, *path), *access)).collect());

/// What a route of the router needs, by its path there.
pub(crate) fn of(method: &Method, path: &str) -> Access {
    let method = match *method {
        Method::HEAD => "GET",
        Method::PUT => "PATCH",
        ref other => other.as_str(),
    };
    BY_ROUTE.get(&(method, path)).copied().unwrap_or(Scope(Admin))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sec_t06_every_route_says_what_it_needs() {
        let (_, document) = crate::router::documented_routes(true).split_for_parts();
        let mut there = BTreeSet::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PATCH", item.put.is_some() || item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            there.extend(operations.iter().filter(|(_, is)| *is).map(|(method, _)| (*method, path.as_str())));
        }
        // What the document has not: `/mcp`, whose protocol describes itself.
        let is_documented = |path: &str| !path.contains("{*") && path != "/mcp";
        let listed: BTreeSet<_> = BY_ROUTE.keys().copied().filter(|(_, path)| is_documented(path)).collect();
        let missing: Vec<_> = there.difference(&listed).collect();
        assert!(missing.is_empty(), "say in ROUTES what an API token needs for {missing:?}");
        let gone: Vec<_> = listed.difference(&there).collect();
        assert!(gone.is_empty(), "these routes are not there: {gone:?}");
        assert_eq!(BY_ROUTE.len(), ROUTES.len(), "a route is listed twice");
    }

    #[test]
    fn unknown_route_is_closed() {
        assert_eq!(of(&Method::GET, "/api/v1/new"), Scope(Admin));
        assert_eq!(of(&Method::HEAD, "/api/v1/users"), Scope(Admin));
        assert_eq!(of(&Method::PUT, "/api/v1/prompts/{id}"), Scope(Write));
    }
}
