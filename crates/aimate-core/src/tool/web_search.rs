//! The port through which the engine searches the web.

use async_trait::async_trait;

use crate::error::Result;

/// A page that a search engine found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebHit {
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
    /// What the search engine shows of it; may be empty.
    pub snippet: String,
    /// When it was published, as the search engine says it.
    pub published: Option<String>,
}

impl WebHit {
    /// A page of which nothing more is known.
    pub fn new(title: impl Into<String>, url: impl Into<String>, snippet: impl Into<String>) -> Self {
        Self { title: title.into(), url: url.into(), snippet: snippet.into(), published: None }
    }
}

/// Searches the web.
///
/// What it returns is untrusted text of strangers.
#[async_trait]
pub trait WebSearch: Send + Sync {
    /// The pages that fit `query` best, best first, `limit` at most.
    ///
    /// # Errors
    /// `RateLimited`, `Upstream`, `Unavailable` or `Timeout` if the search engine fails;
    /// `Upstream` if it does not accept the key.
    async fn search(&self, query: &str, limit: u32) -> Result<Vec<WebHit>>;
}
