//! Reading a web page, or another document at an address.

use std::sync::Arc;

use aimate_text::extract::{Extracted, Extractor};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::engine::knowledge::LocalFile;
use crate::error::{Error, ErrorKind, Result};
use crate::knowledge::{BlobContent, Fetcher};
use crate::limit;
use crate::media_type::MediaType;
use crate::text::shorten;
use crate::tool::{HostTool, ToolContext, ToolHandler, ToolHints, ToolOutput};

/// The tool's name.
const WEB_FETCH: &str = "web_fetch";

/// Bytes of a page at most.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Characters that one call returns.
const LENGTH: usize = 20_000;

/// The tool that reads what is at an address: pages, PDFs and whatever else documents are
/// read of.
pub(super) fn web_fetch(fetcher: Arc<dyn Fetcher>, extractor: Extractor) -> HostTool {
    let schema = json!({
        "type": "object",
        "properties": {
            "url": {"type": "string", "minLength": 1, "description": "The address, beginning with https:// or http://."},
            "offset": {"type": "integer", "minimum": 0,
                "description": "The character of the text to read on from; 0 if left out."},
        },
        "required": ["url"],
        "additionalProperties": false,
    });
    let description = "Reads the text of a web page or of a document on the web, such as a PDF: 20000 characters at once, \
        with the offset to read on from.";
    let hints = ToolHints { read_only: Some(true), open_world: Some(true), ..ToolHints::default() };
    HostTool::new(WEB_FETCH, description, schema, FetchPage { fetcher, extractor })
        .title("Read a web page")
        .hints(hints)
}

struct FetchPage {
    fetcher: Arc<dyn Fetcher>,
    extractor: Extractor,
}

#[async_trait]
impl ToolHandler for FetchPage {
    async fn call(&self, _: ToolContext, arguments: Value) -> Result<ToolOutput> {
        let url = arguments.get("url").and_then(Value::as_str).unwrap_or_default().trim();
        limit::name("url", url, limit::DOCUMENT_NAME)?;
        let offset = arguments.get("offset").and_then(Value::as_u64).unwrap_or_default();
        let page = self.read(url).await?;
        Ok(ToolOutput::text(part(url, &page, usize::try_from(offset).unwrap_or(usize::MAX))))
    }
}

impl FetchPage {
    async fn read(&self, url: &str) -> Result<Extracted> {
        let fetched = self.fetcher.fetch(url, MAX_BYTES).await?;
        // What a web server states is a hint: one that is none is left out.
        let stated = fetched.media_type.filter(|stated| MediaType::parse(stated).is_some());
        let file = LocalFile::of(BlobContent::from_stream(fetched.bytes, 0)).await?;
        let read = self.extractor.extract(file.path(), &fetched.name, stated.as_deref()).await;
        read.map_err(|error| {
            let kind = if error.kind == aimate_text::extract::ExtractErrorKind::Timeout {
                ErrorKind::Timeout
            } else {
                ErrorKind::Unsupported
            };
            Error::new(kind, format!("what is at this address cannot be read: {error}"))
        })
    }
}

/// The text of a page from a character on.
fn part(url: &str, page: &Extracted, offset: usize) -> String {
    let total = page.text.chars().count();
    let title = page.title.as_deref().map(|title| format!("{}\n", shorten(title, 300))).unwrap_or_default();
    let text: String = page.text.chars().skip(offset).take(LENGTH).collect();
    let end = offset.saturating_add(text.chars().count());
    let place = if offset >= total {
        format!("[There is no more text: it has {total} characters.]")
    } else if end < total {
        format!("[Characters {offset} to {end} of {total}; read on with offset {end}.]")
    } else if offset > 0 {
        format!("[Characters {offset} to {end} of {total}: the end.]")
    } else {
        String::new()
    };
    let whole =
        format!("{title}{} ({})\n\n{}\n\n{place}", shorten(url, 500), page.media_type, text.trim_end());
    whole.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use aimate_text::extract::Limits;
    use async_trait::async_trait;
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::knowledge::Fetched;

    /// Serves one text for every address.
    struct Page(&'static str, Option<&'static str>, &'static [u8]);

    #[async_trait]
    impl Fetcher for Page {
        async fn fetch(&self, _: &str, _: u64) -> Result<Fetched> {
            let bytes = stream::iter([Ok(Bytes::from_static(self.2))]).boxed();
            Ok(Fetched::new(self.0, bytes).media_type(self.1.map(str::to_owned)))
        }
    }

    async fn read(page: Page) -> Result<Extracted> {
        let extractor = Extractor::in_process(Limits::default());
        FetchPage { fetcher: Arc::new(page), extractor }.read("https://example.org/").await
    }

    #[tokio::test]
    async fn page_is_read_as_documents_are() {
        let page = read(Page("a.md", Some("text/markdown"), b"# Boiler\n\nServiced in May.")).await.unwrap();
        let shown = part("https://example.org/a.md", &page, 0);
        assert!(shown.starts_with("Boiler\nhttps://example.org/a.md (text/markdown)\n\n"), "{shown}");
        assert!(shown.ends_with("Serviced in May."), "{shown}");
        let error = read(Page("a.bin", Some("application/x-nothing"), b"\x00\x01\x02")).await.unwrap_err();
        assert!(error.message().starts_with("what is at this address cannot be read"), "{error}");
    }

    #[tokio::test]
    async fn long_page_is_read_part_by_part() {
        let long: &'static str = Box::leak("äb ".repeat(10_000).into_boxed_str());
        let page = read(Page("a.txt", Some("text/plain"), long.as_bytes())).await.unwrap();
        let total = page.text.chars().count();
        let first = part("https://example.org/", &page, 0);
        assert!(first.ends_with(&format!("[Characters 0 to 20000 of {total}; read on with offset 20000.]")));
        let last = part("https://example.org/", &page, 20_000);
        assert!(last.ends_with(&format!("[Characters 20000 to {total} of {total}: the end.]")), "{last}");
        let beyond = part("https://example.org/", &page, 99_999_999);
        assert!(beyond.contains("There is no more text"), "{beyond}");
    }
}
