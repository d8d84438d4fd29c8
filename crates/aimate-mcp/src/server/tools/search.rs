//! `search`.

use aimate_core::knowledge::{SearchMode, SearchRequest, SearchResponse};
use aimate_core::{ChunkId, CollectionId, DocumentId, Engine, Error, Result, Scope};
use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::resources;
use super::super::schema;
use super::{SEARCH, reading, result};

/// Passages at most: a model has to read them.
const MAX_LIMIT: u32 = 50;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    /// The question, in plain words: no character is an operator.
    query: String,
    /// The collections to look in, by name or id; all of the user's if left out.
    #[serde(default)]
    collections: Option<Vec<String>>,
    /// How many passages to return, 1 to 50; 10 if left out.
    #[serde(default)]
    limit: Option<u32>,
    /// How passages are found: by words and by meaning, by meaning alone, or by words alone; `hybrid` if left out.
    #[serde(default)]
    mode: Option<WantedMode>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WantedMode {
    Hybrid,
    Vector,
    Text,
}

#[derive(Serialize, JsonSchema)]
struct FoundPassages {
    /// The passages, best first.
    passages: Vec<FoundPassage>,
    /// What the search could not do; a sentence each.
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct FoundPassage {
    /// Its number in this result, from 1.
    n: u32,
    /// The document, for `get_document`.
    #[schemars(with = "String")]
    document_id: DocumentId,
    /// The document as a resource.
    uri: String,
    /// The passage's own id.
    #[schemars(with = "String")]
    chunk_id: ChunkId,
    /// The collection.
    #[schemars(with = "String")]
    collection_id: CollectionId,
    /// The document's title.
    title: String,
    /// The headings that it stands under, outermost first.
    headings: Vec<String>,
    /// The page, slide or sheet, from 1, where the format has them.
    page: Option<u32>,
    /// The text.
    text: String,
    /// How well it fits, 0 to 1.
    score: f32,
}

pub(super) fn tool() -> Tool {
    let schemas = (schema::input::<SearchArguments>(), schema::output::<FoundPassages>());
    reading(
        SEARCH,
        "Search documents",
        "Finds the passages of the user's documents that answer a question best, by words and by meaning. Returns \
         them numbered, with title, page and text, to be cited.",
        schemas,
    )
}

pub(super) async fn call(
    engine: &Engine,
    scope: &Scope,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let arguments: SearchArguments = schema::arguments(arguments)?;
    if arguments.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
        return Err(Error::field("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let mut request =
        SearchRequest::new(arguments.query).collections(arguments.collections.unwrap_or_default());
    request.limit = arguments.limit;
    request.mode = match arguments.mode {
        Some(WantedMode::Vector) => SearchMode::Vector,
        Some(WantedMode::Text) => SearchMode::Text,
        Some(WantedMode::Hybrid) | None => SearchMode::Hybrid,
    };
    let response = engine.knowledge(scope).search(&request).await?;
    let text = written(&response);
    let hits = (1..).zip(response.hits);
    let passages = hits.map(|(n, hit)| FoundPassage {
        n,
        document_id: hit.document_id,
        uri: resources::uri(hit.document_id),
        chunk_id: hit.chunk_id,
        collection_id: hit.collection_id,
        title: hit.title,
        headings: hit.headings,
        page: hit.page,
        text: hit.text,
        score: hit.score,
    });
    result(&FoundPassages { passages: passages.collect(), warnings: response.warnings }, Some(text))
}

/// The passages as a model reads them.
fn written(response: &SearchResponse) -> String {
    let mut text = String::new();
    for (n, hit) in (1..).zip(&response.hits) {
        let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
        text.push_str(&format!("[{n}] {}{page} (document {})\n{}\n\n", hit.title, hit.document_id, hit.text));
    }
    if response.hits.is_empty() {
        text.push_str("No passage was found.\n");
    }
    for warning in &response.warnings {
        text.push_str(&format!("Note: {warning}\n"));
    }
    text.trim_end().to_owned()
}
