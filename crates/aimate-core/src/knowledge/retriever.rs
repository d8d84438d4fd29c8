//! Passages that come from elsewhere than aiMate's own index: an application's own
//! search, and what it finds.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::SearchHit;
use crate::error::Result;
use crate::id::{ChunkId, DocumentId, FileId};
use crate::scope::Scope;

/// A passage of the application's own, for a model to answer from. It is cited as
/// one of the knowledge is.
///
/// ```
/// use aimate_core::knowledge::SourcePassage;
/// let passage = SourcePassage::new("ticket:42", "The pump was replaced in March.")
///     .title("Ticket 42")
///     .url("https://helpdesk.example.org/tickets/42");
/// # let _ = passage;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SourcePassage {
    /// The application's own key of where it stands, such as `ticket:42` or an
    /// address: comes back as the citation's `source`. At most 2,000 characters.
    pub source: String,
    /// The passage; at most 16,000 characters, and within a turn's tokens for
    /// passages.
    pub text: String,
    /// What people and the model are shown as its title; default: `source`. At most
    /// 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where people can read it: an `http:` or `https:` address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The page on which it stands, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// How well it fits, for people; passages are taken in the order in which they
    /// are given. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The chunk that it is, where it is one of the user's documents.
    #[serde(skip)]
    pub chunk: Option<PassageChunk>,
}

/// A chunk of a document of aiMate as a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassageChunk {
    /// The document.
    pub document_id: DocumentId,
    /// The file that the document was attached from; `None` for one that was added by itself.
    pub file_id: Option<FileId>,
    /// The chunk; one that is not the user's is left out.
    pub chunk_id: ChunkId,
    /// First character of the passage in the document's text.
    pub start: u64,
}

impl SourcePassage {
    /// A passage with nothing but its text and the key of where it stands.
    pub fn new(source: impl Into<String>, text: impl Into<String>) -> Self {
        Self { source: source.into(), text: text.into(), ..Self::default() }
    }

    /// Under this title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// With the address at which people can read it.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// On this page, from 1.
    #[must_use]
    pub fn page(mut self, page: u32) -> Self {
        self.page = Some(page);
        self
    }

    /// With this score.
    #[must_use]
    pub fn score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }
}

/// What a search of the knowledge found, to be given with passages of other sources.
impl From<SearchHit> for SourcePassage {
    fn from(hit: SearchHit) -> Self {
        let SearchHit { document_id, file_id, chunk_id, start, .. } = hit;
        Self {
            source: document_id.to_string(),
            text: hit.text,
            title: Some(hit.title),
            url: None,
            page: hit.page,
            score: Some(hit.score.into()),
            chunk: Some(PassageChunk { document_id, file_id, chunk_id, start }),
        }
    }
}

/// A search of the application's own, which turns may ask by the name under which it
/// is registered ([`EngineBuilder::retriever`](crate::EngineBuilder::retriever),
/// [`Turn::retrievers`](crate::chat::Turn::retrievers)).
///
/// ```
/// use aimate_core::knowledge::{Retriever, SourcePassage};
/// use aimate_core::{Result, Scope};
///
/// struct Tickets;
///
/// #[async_trait::async_trait]
/// impl Retriever for Tickets {
///     async fn retrieve(&self, _: &Scope, question: &str, _: u32) -> Result<Vec<SourcePassage>> {
///         Ok(vec![SourcePassage::new("ticket:42", format!("Somebody asked: {question}"))])
///     }
/// }
/// ```
#[async_trait]
pub trait Retriever: Send + Sync {
    /// At most about `limit` passages that help to answer `question`, best first, and
    /// none that `scope`'s user may not see: nobody else looks after that.
    ///
    /// A retriever that fails, panics or takes longer than the engine lets it
    /// ([`EngineBuilder::retriever_timeout`](crate::EngineBuilder::retriever_timeout))
    /// gives none; the turn goes on with a warning that quotes the error's sentence.
    async fn retrieve(&self, scope: &Scope, question: &str, limit: u32) -> Result<Vec<SourcePassage>>;
}
