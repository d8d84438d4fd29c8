//! The text of a document, put together from its passages.

use aimate_core::engine::Knowledge;
use aimate_core::{DocumentId, Result};

/// Passages that are read at once.
const BATCH: u32 = 50;

/// A stretch of a document's text.
pub(super) struct DocumentText {
    /// The text.
    pub(super) text: String,
    /// The pages that it is on, the first and the last, where the format has them.
    pub(super) pages: Option<(u32, u32)>,
    /// The passage that follows it; `None` at the end.
    pub(super) next: Option<u32>,
}

/// Reads a document's text from passage `from` on: whole passages, as many as `max`
/// characters hold, and at least one.
///
/// # Errors
/// `NotFound`.
pub(super) async fn read(
    knowledge: &Knowledge,
    id: DocumentId,
    from: u32,
    max: usize,
) -> Result<DocumentText> {
    let mut read = DocumentText { text: String::new(), pages: None, next: None };
    let (mut at, mut length, mut next) = (None::<u64>, 0, from);
    loop {
        let chunks = knowledge.chunks(id, next, BATCH).await?;
        let is_last = chunks.len() < BATCH as usize;
        for chunk in chunks {
            // Passages may overlap: what was read is not read again.
            let seen = at.map_or(0, |at| at.saturating_sub(chunk.start));
            let skipped = usize::try_from(seen).unwrap_or(usize::MAX);
            let new: String = chunk.text.chars().skip(skipped).collect();
            let count = new.chars().count();
            if length > 0 && length + count > max {
                read.next = Some(chunk.index);
                return Ok(read);
            }
            if at.is_some_and(|at| at < chunk.start) {
                read.text.push('\n');
            }
            length += count;
            read.text.push_str(&new);
            at = at.max(Some(chunk.end));
            next = chunk.index.saturating_add(1);
            if let Some(page) = chunk.page {
                let (first, last) = read.pages.unwrap_or((page, page));
                read.pages = Some((first.min(page), last.max(page)));
            }
        }
        if is_last {
            return Ok(read);
        }
    }
}

/// `text`, cut to `max` characters with a mark where more follows.
pub(super) fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
