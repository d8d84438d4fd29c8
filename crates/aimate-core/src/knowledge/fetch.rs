//! Fetchers: documents that come from a URL.

use async_trait::async_trait;

use super::ByteStream;
use crate::error::Result;

/// What a URL leads to.
#[non_exhaustive]
pub struct Fetched {
    /// Its name: the last part of the URL that it came from after all
    /// redirects.
    pub name: String,
    /// The media type that its server states.
    pub media_type: Option<String>,
    /// Its bytes, as they come.
    pub bytes: ByteStream<'static>,
}

impl Fetched {
    /// A document of this name whose server states no media type.
    pub fn new(name: impl Into<String>, bytes: ByteStream<'static>) -> Self {
        Self { name: name.into(), media_type: None, bytes }
    }

    /// With the media type that its server states.
    #[must_use]
    pub fn media_type(mut self, media_type: Option<String>) -> Self {
        self.media_type = media_type;
        self
    }
}

/// Fetches documents by URLs that users give.
///
/// URLs are untrusted: implementations must prevent server-side request forgery
/// (SSRF), on every redirect too, and bound how long they wait.
#[async_trait]
pub trait Fetcher: Send + Sync {
    /// Requests `url` and returns what comes, at most `max` bytes.
    ///
    /// # Errors
    /// `Invalid` if it is no `http:` or `https:` URL, or its server says that
    /// there is nothing; `Forbidden` if it may not be reached; `TooLarge`;
    /// `Upstream`, `Unavailable` or `Timeout` if its server fails. The bytes end
    /// with the same errors.
    async fn fetch(&self, url: &str, max: u64) -> Result<Fetched>;
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched").field("name", &self.name).finish_non_exhaustive()
    }
}
