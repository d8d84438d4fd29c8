//! Documents that are fetched from a URL.

use super::{Knowledge, MAX_BYTES};
use crate::error::{Error, Result};
use crate::id::CollectionId;
use crate::knowledge::{Document, NewDocument};
use crate::limit;
use crate::media_type::MediaType;

impl Knowledge {
    /// Fetches `url` and adds what comes to a collection; it is `pending` then.
    /// An empty name means the one it has there. The source is `url` unless
    /// `new` has one: the same URL fetched again replaces the document.
    ///
    /// # Errors
    /// `Unsupported` without a fetcher; what the fetcher says; see
    /// [`Knowledge::add`].
    pub async fn add_url(
        &self,
        collection: CollectionId,
        url: &str,
        mut new: NewDocument,
    ) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        let inner = &self.engine.inner;
        let fetcher = inner.knowledge.fetcher.as_ref().ok_or_else(|| {
            Error::unsupported("this server fetches no URLs; send the file or its text instead")
        })?;
        limit::name("url", url, limit::DOCUMENT_NAME)?;
        let is_named = !new.name.trim().is_empty();
        NewDocument { name: if is_named { new.name.clone() } else { url.to_owned() }, ..new.clone() }
            .check()?;
        // Before anything is fetched: a wrong id should cost nothing.
        self.owner_of(collection).await?;
        let fetched = fetcher.fetch(url, MAX_BYTES).await?;
        if !is_named {
            new.name = fetched.name;
        }
        new.source.get_or_insert_with(|| url.to_owned());
        // What a web server states is a hint: one that is none is left out.
        let stated = fetched.media_type.filter(|stated| MediaType::parse(stated).is_some());
        new.media_type = new.media_type.or(stated);
        self.add(collection, new, fetched.bytes).await
    }
}
