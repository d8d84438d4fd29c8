//! `list_documents` and `get_document`.

use aimate_core::knowledge::{Document, DocumentFilter, DocumentStatus};
use aimate_core::{CollectionId, DocumentId, Engine, Error, Result, Scope, Timestamp};
use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::document_text::{self, shortened};
use super::super::{resources, schema};
use super::{GET_DOCUMENT, LIST_DOCUMENTS, page, reading, result};

/// Characters of text that one call returns.
const TEXT: usize = 20_000;
const MAX_TEXT: usize = 100_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListDocuments {
    /// The collection, by name or id; all of the user's documents if left out.
    #[serde(default)]
    collection: Option<String>,
    /// The documents of this status alone.
    #[serde(default)]
    status: Option<WantedStatus>,
    /// How many to return, 1 to 200; 20 if left out.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; the first page if left out.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WantedStatus {
    Pending,
    Processing,
    Ready,
    Failed,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetDocument {
    /// The document's id, as `search` and `list_documents` give it.
    document_id: String,
    /// The passage to read from, counted from 0: `next` of the call before; the beginning if left out.
    #[serde(default)]
    from: Option<u32>,
    /// How many characters to return at most, 1 to 100000; 20000 if left out.
    #[serde(default)]
    max_characters: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct DocumentList {
    /// The documents, newest first.
    documents: Vec<DocumentInfo>,
    /// To be passed on as `cursor`; null on the last page.
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct DocumentInfo {
    /// Its id, for `get_document`.
    #[schemars(with = "String")]
    id: DocumentId,
    /// The document as a resource.
    uri: String,
    /// The collection that it is in.
    #[schemars(with = "String")]
    collection_id: CollectionId,
    /// The name that it was given.
    name: String,
    /// The title that its text gives it.
    title: String,
    /// Where it came from.
    source: Option<String>,
    /// Its media type.
    media_type: String,
    /// Its size in bytes.
    size: u64,
    /// `pending`, `processing`, `ready` (it can be found) or `failed`.
    status: String,
    /// Why it failed.
    error: Option<String>,
    /// How many passages it has.
    passages: u32,
    /// When it was added.
    #[schemars(with = "String")]
    created_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
struct DocumentPart {
    /// The document.
    document: DocumentInfo,
    /// Its text, from the passage that was asked for on.
    text: String,
    /// The first page that the text is on, where the format has pages.
    first_page: Option<u32>,
    /// The last one.
    last_page: Option<u32>,
    /// The passage to go on from, as `from`; null at the end of the document.
    next: Option<u32>,
}

pub(super) fn list_tool() -> Tool {
    let schemas = (schema::input::<ListDocuments>(), schema::output::<DocumentList>());
    reading(
        LIST_DOCUMENTS,
        "List documents",
        "Lists the user's documents, newest first, of one collection or of all, page by page.",
        schemas,
    )
}

pub(super) fn get_tool() -> Tool {
    let schemas = (schema::input::<GetDocument>(), schema::output::<DocumentPart>());
    reading(
        GET_DOCUMENT,
        "Read a document",
        "Reads the text of a document, part by part: `next` of a result is `from` of the call that reads on.",
        schemas,
    )
}

pub(super) async fn list(
    engine: &Engine,
    scope: &Scope,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let arguments: ListDocuments = schema::arguments(arguments)?;
    let page = page(arguments.limit, arguments.cursor.as_deref())?;
    let knowledge = engine.knowledge(scope);
    let collection = match &arguments.collection {
        Some(collection) => Some(knowledge.collection(collection).await?.id),
        None => None,
    };
    let status = arguments.status.map(|status| match status {
        WantedStatus::Pending => DocumentStatus::Pending,
        WantedStatus::Processing => DocumentStatus::Processing,
        WantedStatus::Ready => DocumentStatus::Ready,
        WantedStatus::Failed => DocumentStatus::Failed,
    });
    let found = knowledge
        .documents(&DocumentFilter { collection, status, ..DocumentFilter::default() }, page)
        .await?;
    let next_cursor = found.next.map(|cursor| cursor.encode());
    let documents = found.data.into_iter().map(DocumentInfo::from).collect();
    result(&DocumentList { documents, next_cursor }, None)
}

pub(super) async fn get(
    engine: &Engine,
    scope: &Scope,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let arguments: GetDocument = schema::arguments(arguments)?;
    let max = arguments.max_characters.map_or(TEXT, |max| max as usize);
    if !(1..=MAX_TEXT).contains(&max) {
        return Err(Error::field("max_characters", format!("must be 1 to {MAX_TEXT}")));
    }
    let id: DocumentId = arguments
        .document_id
        .parse()
        .map_err(|_| Error::missing("document", shortened(&arguments.document_id, 64)))?;
    let knowledge = engine.knowledge(scope);
    let document = knowledge.document(id).await?;
    let read = document_text::read(&knowledge, id, arguments.from.unwrap_or(0), max).await?;
    let mut shown = read.text.clone();
    if let Some(next) = read.next {
        shown.push_str(&format!("\n\n[The document goes on: read from {next}.]"));
    }
    if shown.is_empty() {
        shown = match document.status {
            DocumentStatus::Ready => "[There is no more text.]".to_owned(),
            status => format!("[The document is {status}: no text of it can be read yet.]"),
        };
    }
    let part = DocumentPart {
        document: document.into(),
        text: read.text,
        first_page: read.pages.map(|(first, _)| first),
        last_page: read.pages.map(|(_, last)| last),
        next: read.next,
    };
    result(&part, Some(shown))
}

impl From<Document> for DocumentInfo {
    fn from(document: Document) -> Self {
        Self {
            id: document.id,
            uri: resources::uri(document.id),
            collection_id: document.collection_id,
            name: document.name,
            title: document.title,
            source: document.source,
            media_type: document.media_type,
            size: document.size,
            status: document.status.as_str().to_owned(),
            error: document.error.map(|error| error.detail),
            passages: document.chunk_count,
            created_at: document.created_at,
        }
    }
}
