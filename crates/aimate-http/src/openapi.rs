//! The OpenAPI document, and the page that shows it.

use axum::response::Response;
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{
    Content, OpenApi as OpenApiDocument, Ref, RefOr, Response as ResponseObject, ResponseBuilder,
};

use crate::error::{ErrorFormat, OpenAiError, Problem};
use crate::{json, model, openai, openapi_object};

/// The document without the routes that `router` adds.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "aiMate",
        description = "Chat with any model server, stored and resumable: the product's own API under `/api/v1`, \
            an OpenAI-compatible one under `/v1`. Local mode needs no credential and ignores any; with accounts, \
            `POST /api/v1/auth/login` gives an access token for `Authorization: Bearer`, or with `\"cookie\": true` \
            cookies for a page of this server; an application that has the API within it says what it needs.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "auth", description = "Accounts: registering, signing in and out, sessions and API tokens."),
        (name = "users", description = "Users and invites, for admins."),
        (name = "connections", description = "Model servers."),
        (name = "models", description = "The models of the model servers."),
        (name = "tools", description = "What models may call: tool servers, their tools, and what of them is approved."),
        (name = "conversations", description = "Trees of messages."),
        (name = "shares", description = "Links by which anybody reads a conversation as it was."),
        (name = "messages", description = "The messages of a conversation, and the turns that add to them."),
        (name = "runs", description = "The generation of answers: status, events, cancellation."),
        (name = "knowledge", description = "Collections of documents, and search in them."),
        (name = "workspaces", description = "Conversations, prompts, collections and connections that members share."),
        (name = "groups", description = "Users who are let into workspaces together."),
        (name = "prompts", description = "Stored system prompts."),
        (name = "usage", description = "Tokens and cost of model calls."),
        (name = "audit", description = "What happened that matters for security."),
        (name = "responses", description = "OpenAI's Responses: answers that can be followed, read again and resumed."),
        (name = "chat", description = "OpenAI's chat completions and embeddings."),
        (name = "openai conversations", description = "OpenAI's conversations and their items: those of `/api/v1`, as OpenAI's clients see them."),
        (name = "files", description = "Uploaded files, in OpenAI's form."),
        (name = "vector stores", description = "Collections and their documents, in OpenAI's form."),
        (name = "service", description = "The server itself."),
    ),
    paths(model::enable, model::disable, openai::model),
    components(schemas(Problem<'static>, OpenAiError<'static>)),
)]
struct Base;

/// The document that routes are added to.
pub(crate) fn base() -> OpenApiDocument {
    Base::openapi()
}

/// The document as it is served: serialized once, since it never changes.
#[derive(Clone)]
pub(crate) struct SerializedDocument(Bytes);

impl SerializedDocument {
    /// The document of a router that is nested under `prefix`.
    pub(crate) fn under(&self, prefix: &str) -> Response {
        if prefix.is_empty() {
            return json::bytes(self.0.clone());
        }
        let servers = serde_json::json!([{ "url": prefix }]);
        let members = self.0.strip_prefix(b"{").unwrap_or_default();
        json::bytes([format!("{{\"servers\":{servers},").as_bytes(), members].concat().into())
    }
}

/// Adds the error responses of every operation, says of each whether it needs a
/// credential, where there are accounts, and serializes the document.
pub(crate) fn finish(mut document: OpenApiDocument, with_accounts: bool) -> SerializedDocument {
    if with_accounts {
        secure(&mut document);
    }
    if let Some(components) = &mut document.components {
        openapi_object::merge(components);
    }
    for (path, item) in &mut document.paths.paths {
        let Some(format) = ErrorFormat::of(path) else { continue };
        for operation in operations(item) {
            for (status, meaning) in failures(operation.request_body.is_some()) {
                let responses = &mut operation.responses.responses;
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(error_response(format, meaning)));
            }
        }
    }
    SerializedDocument(serde_json::to_vec(&document).unwrap_or_default().into())
}

/// Every operation needs a token, but those that are open.
#[cfg(feature = "accounts")]
fn secure(document: &mut OpenApiDocument) {
    use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};

    use crate::access::{self, Access};

    const BEARER: &str = "bearer";
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token of a session, or an API token (`aim_…`)."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    document.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (http::Method::GET, &mut item.get),
            (http::Method::PUT, &mut item.put),
            (http::Method::POST, &mut item.post),
            (http::Method::DELETE, &mut item.delete),
            (http::Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation
                && access::of(&method, path) == Access::Open
            {
                operation.security = Some(Vec::new());
            }
        }
    }
}

#[cfg(not(feature = "accounts"))]
fn secure(_: &mut OpenApiDocument) {}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// The status and meaning of every error that an operation may return.
fn failures(has_body: bool) -> Vec<(&'static str, &'static str)> {
    let mut failures = vec![
        ("400", "The request is invalid."),
        ("401", "Nobody is signed in with this request."),
        ("403", "Not allowed, or not from this host or origin."),
        ("404", "Not found."),
        ("405", "The path does not support this method."),
        ("409", "The request conflicts with what is stored."),
        ("422", "Unsupported, or the prompt exceeds the model's context window."),
        ("429", "Too many requests; see `Retry-After`."),
        ("500", "The server failed."),
        ("502", "The model server failed."),
        ("503", "Temporarily unavailable; see `Retry-After`."),
        ("504", "The model server or the database took too long."),
    ];
    if has_body {
        failures.extend([
            ("408", "The body took too long to arrive."),
            ("413", "The body is too large."),
            ("415", "The media type of the body is not supported."),
        ]);
    }
    failures
}

fn error_response(format: ErrorFormat, meaning: &str) -> ResponseObject {
    let (media_type, schema) = match format {
        ErrorFormat::Problem => ("application/problem+json", "Problem"),
        ErrorFormat::OpenAi => ("application/json", "OpenAiError"),
    };
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new().description(meaning).content(media_type, content).build()
}

/// The page that shows the document and tries it: one file, which needs no other
/// server.
#[cfg(feature = "docs")]
pub(crate) async fn page() -> Response {
    use axum::response::IntoResponse as _;

    let policy = http::HeaderValue::from_static(PAGE_POLICY);
    let headers = [(http::header::CONTENT_SECURITY_POLICY, policy)];
    (headers, axum::response::Html(PAGE)).into_response()
}

#[cfg(feature = "docs")]
const PAGE: &str = include_str!("docs.html");

/// The page runs its own script alone, asks this server alone, and is shown in no
/// frame. The hashes are those of its `<script>` and `<style>`.
#[cfg(feature = "docs")]
const PAGE_POLICY: &str = "default-src 'none'; script-src 'sha256-n14dTm96WggID9CJYy9UhwLfsuBAmVm6kZFWReK2308='; \
    style-src 'sha256-dvXj/sYPnXPXfr8Kku/l6uls+7ECezV/l1XhVoMShE4='; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

#[cfg(all(test, feature = "docs"))]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn policy_names_the_hash_of_each_script_and_style() {
        for (directive, tag) in [("script-src", "script"), ("style-src", "style")] {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            assert_eq!((PAGE.matches(&format!("<{tag}")).count(), PAGE.matches(&close).count()), (1, 1));
            let text = PAGE.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).unwrap().0;
            let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
            assert!(PAGE_POLICY.contains(&format!("{directive} 'sha256-{hash}'")), "{tag}: {hash}");
        }
    }
}
