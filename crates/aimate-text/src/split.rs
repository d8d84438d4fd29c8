//! Splits text into chunks, the passages that are embedded and retrieved.
//!
//! A chunk ends at a natural break of the text, the clearest one that leaves it at
//! least half full: before a heading, else between paragraphs, list items,
//! sentences, lines or words. One cheap pass finds these breaks. The
//! segmenters of ICU know the words of scripts without spaces, but are slow, so they
//! are used only where there are no others.

mod cut;
mod mark;

use serde::{Deserialize, Serialize};

use crate::extract::{Extracted, TextKind};
use cut::{ChunkSpan, Cutter};
use mark::marks;

/// Maximum characters of a heading in a path.
const MAX_HEADING: usize = 200;

/// How documents are split into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Chunking {
    /// Maximum characters (Unicode code points) of a chunk, 100 to 8,000. Default:
    /// 1,000.
    pub size: u32,
    /// Maximum characters repeated from the previous chunk, less than half of
    /// `size`. Default: 200. Nothing is repeated across a heading.
    pub overlap: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { size: 1_000, overlap: 200 }
    }
}

/// A field of [`Chunking`] that is outside its limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {message}")]
pub struct ChunkingError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl Chunking {
    /// Checks the limits. [`split`] clamps values that are outside of them.
    ///
    /// # Errors
    /// Returns the first field that is outside.
    pub fn check(&self) -> Result<(), ChunkingError> {
        let Self { size, overlap } = self;
        if !(100..=8_000).contains(size) {
            let message = format!("is {size}; it must be 100 to 8000 characters");
            return Err(ChunkingError { field: "size", message });
        }
        if *overlap >= size.div_ceil(2) {
            let message = format!("is {overlap}; it must be less than half of `size`, which is {size}");
            return Err(ChunkingError { field: "overlap", message });
        }
        Ok(())
    }
}

/// The position of a chunk in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// The byte offset of its start.
    pub start: usize,
    /// The byte offset after its end.
    pub end: usize,
    /// `start` in Unicode code points.
    pub start_char: usize,
    /// `end` in Unicode code points.
    pub end_char: usize,
    /// The number of the page that it starts on, if the document has pages.
    pub page: Option<u32>,
    /// The path of headings that it is under, the outermost first, including one
    /// that it starts with.
    pub headings: Vec<String>,
}

/// Splits a document into chunks of at most `chunking.size` characters and
/// `max_tokens` tokens, as counted by `count`, in order.
///
/// Every character that is not white space is in a chunk, and no chunk starts or
/// ends with white space. Only a single character can exceed `max_tokens`. `count`
/// is not called for text of at most `max_tokens` bytes, since a token has at
/// least one byte.
pub fn split(
    document: &Extracted,
    chunking: Chunking,
    max_tokens: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Piece> {
    let text = document.text.as_str();
    let marks = marks(document);
    let cutter = Cutter::new(text, &marks, document.kind == TextKind::Code);
    let size = (chunking.size as usize).max(1);
    let overlap = (chunking.overlap as usize).min(size.div_ceil(2).saturating_sub(1));
    let mut locator = Locator::new(document);
    let mut pieces = Vec::new();
    let (mut start, mut covered) = (cutter.next_visible(0), 0);
    while start < text.len() {
        let mut piece = fit(&cutter, start, size, max_tokens, count);
        if piece.end <= covered {
            // The overlap filled the whole chunk: continue without it.
            start = cutter.next_visible(covered);
            piece = fit(&cutter, start, size, max_tokens, count);
        }
        covered = piece.end;
        pieces.push(locator.piece(piece));
        let next = cutter.next_visible(piece.end);
        if next >= text.len() {
            break;
        }
        // In proportion to the chunk, so that each chunk has new text.
        let repeated = overlap * piece.characters / size;
        start = cutter.overlap_start(&piece, repeated).filter(|at| *at > start).unwrap_or(next);
    }
    pieces
}

/// Returns the chunk at `start`, shortened until it has at most `max_tokens`.
fn fit(
    cutter: &Cutter<'_>,
    start: usize,
    size: usize,
    max_tokens: usize,
    count: &dyn Fn(&str) -> usize,
) -> ChunkSpan {
    let mut span = cutter.span(start, size);
    loop {
        let text = cutter.slice(span.start, span.end);
        if text.len() <= max_tokens || span.characters <= 1 {
            return span;
        }
        let tokens = count(text);
        if tokens <= max_tokens {
            return span;
        }
        // In proportion, by at least a tenth, so that few rounds are needed.
        let fitting = span.characters * max_tokens / tokens;
        let smaller = fitting.min(span.characters * 9 / 10).max(1);
        span = cutter.span(start, smaller);
    }
}

/// Finds the page, the headings and the character offset of chunks, in one pass
/// over the document.
struct Locator<'d> {
    document: &'d Extracted,
    /// The last position, in bytes and in characters.
    counted: (usize, usize),
    next_page: usize,
    next_heading: usize,
    path: Vec<(u8, String)>,
}

impl<'d> Locator<'d> {
    fn new(document: &'d Extracted) -> Self {
        Self { document, counted: (0, 0), next_page: 0, next_heading: 0, path: Vec::new() }
    }

    fn piece(&mut self, span: ChunkSpan) -> Piece {
        let ChunkSpan { start, end, characters, .. } = span;
        let (bytes, counted) = self.counted;
        let start_char =
            counted + self.document.text.get(bytes..start).map_or(0, |text| text.chars().count());
        self.counted = (start, start_char);
        self.advance(start);
        let page = self.next_page.checked_sub(1).and_then(|page| self.document.pages.get(page));
        Piece {
            start,
            end,
            start_char,
            end_char: start_char + characters,
            page: page.map(|page| page.number),
            headings: self.path.iter().map(|(_, title)| title.clone()).collect(),
        }
    }

    fn advance(&mut self, start: usize) {
        let pages = self.document.pages.get(self.next_page..).unwrap_or_default();
        self.next_page += pages.iter().take_while(|page| page.start <= start).count();
        let headings = self.document.headings.get(self.next_heading..).unwrap_or_default();
        for heading in headings.iter().take_while(|heading| heading.start <= start) {
            self.next_heading += 1;
            while self.path.last().is_some_and(|(level, _)| *level >= heading.level) {
                self.path.pop();
            }
            self.path.push((heading.level, heading.title.chars().take(MAX_HEADING).collect()));
        }
    }
}

#[cfg(test)]
mod tests;
