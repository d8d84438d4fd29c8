//! The OpenAPI document, and the page that shows it.

use aimate_core::usage::UsageGroup;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{
    Content, OpenApi as OpenApiDocument, Ref, RefOr, Response as ResponseObject, ResponseBuilder,
};

use crate::error::{ErrorFormat, OpenAiError, Problem};
use crate::{json, model, openai};

/// The document without the routes that `router` adds.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "aiMate",
        description = "Chat with any model server, stored and resumable: the product's own API under `/api/v1`, \
            an OpenAI-compatible one under `/v1`. Local mode needs no credential and ignores any.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "connections", description = "Model servers."),
        (name = "models", description = "The models of the model servers."),
        (name = "conversations", description = "Trees of messages."),
        (name = "messages", description = "The messages of a conversation, and the turns that add to them."),
        (name = "runs", description = "The generation of answers: status, events, cancellation."),
        (name = "knowledge", description = "Collections of documents, and search in them."),
        (name = "workspaces", description = "Groups of conversations and prompts."),
        (name = "prompts", description = "Stored system prompts."),
        (name = "usage", description = "Tokens and cost of model calls."),
        (name = "chat", description = "OpenAI's chat completions and embeddings."),
        (name = "service", description = "The server itself."),
    ),
    paths(model::enable, model::disable, openai::model),
    components(schemas(Problem<'static>, OpenAiError<'static>, UsageGroup)),
)]
struct Base;

/// The document that routes are added to.
pub(crate) fn base() -> OpenApiDocument {
    Base::openapi()
}

/// The document as it is served: serialized once, since it never changes.
#[derive(Clone)]
pub(crate) struct SerializedDocument(Bytes);

impl IntoResponse for SerializedDocument {
    fn into_response(self) -> Response {
        json::bytes(self.0)
    }
}

/// Adds the error responses of every operation and serializes the document.
pub(crate) fn finish(mut document: OpenApiDocument) -> SerializedDocument {
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

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// The status and meaning of every error that an operation may return.
fn failures(has_body: bool) -> Vec<(&'static str, &'static str)> {
    let mut failures = vec![
        ("400", "The request is invalid."),
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
pub(crate) async fn page() -> axum::response::Html<&'static str> {
    axum::response::Html(include_str!("docs.html"))
}
