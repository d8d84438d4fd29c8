//! Fetchers: what brings documents in by their address.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::error::Result;

/// What an address leads to.
pub struct Fetched {
    /// What to call it: the last part of the address that it came from in the
    /// end.
    pub name: String,
    /// The media type that its server tells.
    pub media_type: Option<String>,
    /// Its bytes, as they come.
    pub bytes: BoxStream<'static, Result<Vec<u8>>>,
}

/// Fetches documents by addresses that users give.
///
/// Whoever may give one is not always who may see what this process can reach:
/// an implementation decides which addresses those are, after every redirection
/// again, and bounds how long it waits.
#[async_trait]
pub trait Fetcher: Send + Sync {
    /// Asks for `url` and gives what comes, of at most `max` bytes.
    ///
    /// # Errors
    /// `Invalid` if it is no `http:` or `https:` address, or its server says that
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
