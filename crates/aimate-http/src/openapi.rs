//! The OpenAPI document, and the page that shows it.

use aimate_core::usage::UsageGroup;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response as Answer, ResponseBuilder};

use crate::error::{OpenAiError, Problem};
use crate::{json, model, openai};

/// What the document says of itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "aiMate",
        description = "Chat with any model server, stored and resumable: the product's own API under `/api/v1`, \
            and OpenAI's under `/v1`. In local mode no credential is needed and any is ignored.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "connections", description = "Model servers."),
        (name = "models", description = "What the model servers offer."),
        (name = "conversations", description = "Trees of messages."),
        (name = "messages", description = "The messages of a conversation, and the turns that add to them."),
        (name = "runs", description = "The generation of answers: look, listen again, stop."),
        (name = "knowledge", description = "Collections of documents, and what is found in them."),
        (name = "workspaces", description = "Groups of conversations and prompts."),
        (name = "prompts", description = "Stored system prompts."),
        (name = "usage", description = "What answers used and cost."),
        (name = "chat", description = "OpenAI's chat completions and embeddings."),
        (name = "service", description = "The server itself."),
    ),
    paths(model::enable, model::disable, openai::model),
    components(schemas(Problem<'static>, OpenAiError<'static>, UsageGroup)),
)]
struct Base;

/// The document without its paths.
pub(crate) fn base() -> Document {
    Base::openapi()
}

/// The document as it is served: written once, kept as bytes.
#[derive(Clone)]
pub(crate) struct Finished(Bytes);

impl IntoResponse for Finished {
    fn into_response(self) -> Response {
        json::bytes(self.0)
    }
}

/// Adds to every operation how it can fail.
pub(crate) fn finished(mut document: Document) -> Finished {
    for (path, item) in &mut document.paths.paths {
        let Some(face) = Face::of(path) else { continue };
        for operation in operations(item) {
            for (status, meaning) in face.failures(operation.request_body.is_some()) {
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(face.response(meaning)));
            }
        }
    }
    Finished(serde_json::to_vec(&document).unwrap_or_default().into())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Whose errors a path gives.
#[derive(Clone, Copy)]
enum Face {
    Product,
    OpenAi,
}

impl Face {
    fn of(path: &str) -> Option<Self> {
        if path.starts_with("/api/v1/") {
            Some(Self::Product)
        } else if path.starts_with("/v1/") {
            Some(Self::OpenAi)
        } else {
            None
        }
    }

    fn failures(self, has_body: bool) -> Vec<(&'static str, &'static str)> {
        let mut failures = vec![
            ("400", "The request is not valid."),
            ("403", "This is not allowed, or not from there."),
            ("404", "There is no such thing."),
            ("405", "Not this method."),
            ("409", "This clashes with what is stored."),
            ("422", "This cannot be done, or does not fit the model."),
            ("429", "Too many requests; `Retry-After` says when."),
            ("500", "The server failed."),
            ("502", "The model server failed."),
            ("503", "Not available at the moment; `Retry-After` says when."),
            ("504", "A deadline passed."),
        ];
        if has_body {
            failures.extend([
                ("408", "The body took too long to arrive."),
                ("413", "The body is too large."),
                ("415", "The body is of a media type that is not taken."),
            ]);
        }
        failures
    }

    fn response(self, meaning: &str) -> Answer {
        let (media_type, schema) = match self {
            Self::Product => ("application/problem+json", "Problem"),
            Self::OpenAi => ("application/json", "OpenAiError"),
        };
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        ResponseBuilder::new().description(meaning).content(media_type, content).build()
    }
}

/// The page that shows the document; its files are part of the program.
#[cfg(feature = "docs")]
pub(crate) fn page() -> axum::Router {
    let config = utoipa_swagger_ui::Config::from("/openapi.json");
    utoipa_swagger_ui::SwaggerUi::new("/docs").config(config).into()
}
