//! Documents as resources.

use aimate_core::knowledge::{Document, DocumentFilter, DocumentStatus};
use aimate_core::{DocumentId, Engine, PageRequest, Scope};
use rmcp::model::{
    ErrorData, ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};

use super::document_text;
use super::error::request_failure;

const PREFIX: &str = "aimate://documents/";
/// Characters of a document that one read gives: there are no pages of a resource, and
/// clients take events of a mebibyte.
const MAX_TEXT: usize = 200_000;
/// What the text of every document is read as.
const MEDIA_TYPE: &str = "text/plain";

/// The address of a document.
pub(super) fn uri(id: DocumentId) -> String {
    format!("{PREFIX}{id}")
}

/// The address of any document.
pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{PREFIX}{{document_id}}"), "document")
        .with_title("Document")
        .with_description("The text of a document, by its id as `search` and `list_documents` give it")
        .with_mime_type(MEDIA_TYPE)
}

/// One page of the documents that can be read.
pub(super) async fn list(
    engine: &Engine,
    scope: &Scope,
    page: PageRequest,
) -> Result<ListResourcesResult, ErrorData> {
    let filter = DocumentFilter { status: Some(DocumentStatus::Ready), ..DocumentFilter::default() };
    let page = engine.knowledge(scope).documents(&filter, page).await;
    let page = page.map_err(|error| request_failure(&error))?;
    let mut list = ListResourcesResult::with_all_items(page.data.iter().map(resource).collect());
    list.next_cursor = page.next.map(|cursor| cursor.encode());
    Ok(list)
}

/// The text of the document at this address.
pub(super) async fn read(engine: &Engine, scope: &Scope, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let missing = || {
        let message = format!("there is no such resource; documents are at `{PREFIX}ID`");
        ErrorData::resource_not_found(message, Some(serde_json::json!({ "uri": uri })))
    };
    let id: DocumentId = uri.strip_prefix(PREFIX).and_then(|id| id.parse().ok()).ok_or_else(missing)?;
    let found = document_text::read(&engine.knowledge(scope), id, 0, MAX_TEXT).await;
    let found = found.map_err(|error| match error.kind() {
        aimate_core::ErrorKind::NotFound => missing(),
        _ => request_failure(&error),
    })?;
    let mut text = found.text;
    if let Some(next) = found.next {
        text.push_str(&format!(
            "\n\n[The document goes on: `get_document` reads it from passage {next} on.]"
        ));
    }
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(MEDIA_TYPE)]))
}

fn resource(document: &Document) -> Resource {
    Resource::new(uri(document.id), &document.name)
        .with_title(&document.title)
        .with_description(format!("{}, {} bytes as it was added", document.media_type, document.size))
        .with_mime_type(MEDIA_TYPE)
}
