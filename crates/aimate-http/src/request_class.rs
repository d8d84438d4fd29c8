//! Which rate limit a request counts for.

use aimate_core::rate_limit::RequestClass;
use http::Method;

/// The class of a request of somebody who is known. `path` is the router's own, without
/// the prefix that it is nested under.
pub(crate) fn of(method: &Method, path: &str) -> RequestClass {
    // Every message is posted; those that do more than read are counted once they are known.
    if path == "/mcp" {
        return RequestClass::Read;
    }
    let parts: Vec<&str> = parts(path).collect();
    match parts.as_slice() {
        ["auth", "password"] => RequestClass::Auth,
        ["knowledge", "search"] | ["conversations", "search"] | ["vector_stores", _, "search"] => {
            RequestClass::Search
        }
        ["markdown"] => RequestClass::Read,
        // It is read anew each time.
        ["vector_stores", _, "files", _, "content"] => RequestClass::Ingest,
        _ if is_read(method) => RequestClass::Read,
        ["messages"]
        | ["conversations", _, "messages", ..]
        | ["chat", "completions"]
        | ["completions" | "embeddings" | "responses"]
        | ["responses", "compact"] => RequestClass::Chat,
        ["responses", "input_tokens"] => RequestClass::Read,
        ["knowledge", "collections", _, "documents"] | ["files"] => RequestClass::Ingest,
        ["uploads", _, "parts" | "complete"] => RequestClass::Ingest,
        // It may come with files.
        ["vector_stores"] | ["vector_stores", _, "files" | "file_batches"] => RequestClass::Ingest,
        _ => RequestClass::Write,
    }
}

/// The class in which a request counts for the machine that it comes from: of routes that
/// need nobody to be signed in, and do work.
pub(crate) fn of_public(method: &Method, path: &str) -> Option<RequestClass> {
    let mut parts = parts(path);
    match (parts.next()?, parts.next()) {
        ("auth", Some("register" | "login" | "refresh" | "oidc")) => Some(RequestClass::Auth),
        ("shared", Some(_)) | ("server", None) if is_read(method) => Some(RequestClass::Read),
        _ => None,
    }
}

/// Whether a request changes something at once, so that it is handled to its end. An
/// answer of a model is the engine's own, and an upload ends with its client.
pub(crate) fn is_change(method: &Method, path: &str) -> bool {
    // The store is made before its files are attached.
    let is_store = || parts(path).eq(["vector_stores"]);
    of_public(method, path) == Some(RequestClass::Auth)
        || !is_read(method) && is_store()
        || !is_read(method) && matches!(of(method, path), RequestClass::Write | RequestClass::Auth)
}

/// Whether what a request sends along is read.
pub(crate) fn takes_a_body(method: &Method, path: &str) -> bool {
    if is_read(method) || method == Method::DELETE {
        return false;
    }
    let parts: Vec<&str> = parts(path).collect();
    !matches!(
        parts.as_slice(),
        ["models", .., "enable" | "disable"]
            | ["connections", _, "test"]
            | ["connections", _, "models", "refresh"]
            | ["users", _, "unlock"]
            | ["tools", "servers", _, "test"]
            | ["groups", _, "members", _]
            | ["runs" | "responses", _, "cancel"]
            | ["vector_stores", _, "file_batches", _, "cancel"]
            | ["uploads", _, "cancel"]
            | ["knowledge", "documents", _, "cancel" | "retry"]
    )
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Whether a request is answered however much there is to do, because it tells how the
/// server does.
pub(crate) fn is_service(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/metrics")
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix("/api").unwrap_or(path);
    path.strip_prefix("/v1/").unwrap_or_default().split('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_routes() {
        let class = |method: Method, path: &str| of(&method, path).as_str();
        for (method, path, expected) in [
            (Method::GET, "/api/v1/conversations", "read"),
            (Method::POST, "/api/v1/conversations", "write"),
            (Method::GET, "/api/v1/conversations/search", "search"),
            (Method::GET, "/api/v1/conversations/1/messages", "read"),
            (Method::POST, "/api/v1/conversations/1/messages", "chat"),
            (Method::PUT, "/api/v1/conversations/1/messages/2", "chat"),
            (Method::POST, "/api/v1/conversations/1/messages/2/regenerate", "chat"),
            (Method::POST, "/api/v1/messages", "chat"),
            (Method::POST, "/api/v1/chat/completions", "chat"),
            (Method::POST, "/v1/chat/completions", "chat"),
            (Method::POST, "/v1/completions", "chat"),
            (Method::POST, "/v1/responses", "chat"),
            (Method::POST, "/v1/responses/compact", "chat"),
            (Method::POST, "/v1/responses/input_tokens", "read"),
            (Method::POST, "/v1/responses/resp_1/cancel", "write"),
            (Method::DELETE, "/v1/responses/resp_1", "write"),
            (Method::POST, "/v1/embeddings", "chat"),
            (Method::GET, "/v1/models", "read"),
            (Method::POST, "/api/v1/knowledge/search", "search"),
            (Method::POST, "/api/v1/knowledge/collections", "write"),
            (Method::POST, "/api/v1/knowledge/collections/1/documents", "ingest"),
            (Method::DELETE, "/api/v1/knowledge/documents/1", "write"),
            (Method::POST, "/api/v1/auth/password", "auth"),
            (Method::GET, "/api/v1/auth/me", "read"),
            (Method::POST, "/v1/files", "ingest"),
            (Method::DELETE, "/v1/files/file-1", "write"),
            (Method::POST, "/v1/uploads", "write"),
            (Method::POST, "/v1/uploads/upload_1/parts", "ingest"),
            (Method::POST, "/v1/uploads/upload_1/complete", "ingest"),
            (Method::POST, "/v1/uploads/upload_1/cancel", "write"),
            (Method::POST, "/v1/vector_stores", "ingest"),
            (Method::GET, "/v1/vector_stores", "read"),
            (Method::POST, "/v1/vector_stores/vs_1", "write"),
            (Method::POST, "/v1/vector_stores/vs_1/search", "search"),
            (Method::POST, "/v1/vector_stores/vs_1/files", "ingest"),
            (Method::GET, "/v1/vector_stores/vs_1/files", "read"),
            (Method::GET, "/v1/vector_stores/vs_1/files/file-1/content", "ingest"),
            (Method::POST, "/v1/vector_stores/vs_1/files/file-1", "write"),
            (Method::POST, "/v1/vector_stores/vs_1/file_batches", "ingest"),
            (Method::POST, "/mcp", "read"),
            (Method::POST, "/api/v1/markdown", "read"),
        ] {
            assert_eq!(class(method.clone(), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn changes_are_handled_to_their_end_and_answers_are_not() {
        let is = |method: Method, path: &str| is_change(&method, path);
        for (method, path) in [
            (Method::DELETE, "/api/v1/shares/1"),
            (Method::PATCH, "/api/v1/users/1"),
            (Method::POST, "/api/v1/auth/login"),
            (Method::GET, "/api/v1/auth/oidc/acme/callback"),
        ] {
            assert!(is(method.clone(), path), "{method} {path}");
        }
        for (method, path) in [
            (Method::POST, "/v1/chat/completions"),
            (Method::POST, "/api/v1/conversations/1/messages"),
            (Method::POST, "/api/v1/knowledge/collections/1/documents"),
            (Method::GET, "/api/v1/runs/1/events"),
            (Method::POST, "/mcp"),
            (Method::DELETE, "/mcp"),
        ] {
            assert!(!is(method.clone(), path), "{method} {path}");
        }
    }

    #[test]
    fn bodies_are_read_where_the_document_says_so() {
        let (_, document) = crate::router::documented_routes(true).split_for_parts();
        let mut seen = 0;
        for (path, item) in &document.paths.paths {
            for (method, operation) in
                [(Method::POST, &item.post), (Method::PUT, &item.put), (Method::PATCH, &item.patch)]
            {
                let Some(operation) = operation else { continue };
                seen += 1;
                assert_eq!(takes_a_body(&method, path), operation.request_body.is_some(), "{method} {path}");
            }
        }
        assert!(seen > 40, "{seen}");
        assert!(!takes_a_body(&Method::DELETE, "/api/v1/conversations/1"));
    }

    #[test]
    fn public_work_counts_for_the_machine() {
        let class = |method: Method, path: &str| of_public(&method, path);
        for path in ["register", "login", "refresh", "oidc/acme/callback"] {
            let class = class(Method::POST, &format!("/api/v1/auth/{path}"));
            assert_eq!(class, Some(RequestClass::Auth), "{path}");
        }
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(class(method.clone(), "/api/v1/shared/token"), Some(RequestClass::Read));
            assert_eq!(class(method, "/api/v1/server"), Some(RequestClass::Read));
        }
        for path in ["/health", "/api/v1/auth/me", "/api/v1/auth/logout", "/v1/models", "/", "/login"] {
            assert_eq!(class(Method::GET, path), None, "{path}");
        }
    }
}
