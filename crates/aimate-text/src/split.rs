//! Text into chunks: passages that are embedded and found one by one.
//!
//! A chunk ends where the text itself makes a break, the clearest that leaves
//! it at least half full: before a heading, between paragraphs, list items,
//! sentences, lines, words. One cheap pass finds these breaks; the
//! `text-splitter` crate, which knows the words of scripts without spaces but
//! reads 1.5 MB of Markdown a second, looks only at places that have none.

mod cut;
mod mark;

use serde::{Deserialize, Serialize};

use crate::extract::{Extracted, TextKind};
use cut::{Cutter, Window};
use mark::marks;

/// The most characters of a heading that are kept in a path.
const MAX_HEADING: usize = 200;

/// How documents are cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Chunking {
    /// Characters (Unicode code points) of a chunk at most, 100 to 8,000;
    /// default 1,000.
    pub size: u32,
    /// Characters that a chunk repeats of the one before, less than half of
    /// `size`; default 200. Nothing is repeated across a heading that ends a
    /// chunk.
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
    /// Checks the limits; [`split`] brings what is outside to the nearest value.
    ///
    /// # Errors
    /// The first field that is outside.
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

/// One chunk's place in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The byte of the text at which it starts.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// `start` in Unicode code points.
    pub start_char: usize,
    /// `end` in Unicode code points.
    pub end_char: usize,
    /// The number of the page it starts on, if the document has pages.
    pub page: Option<u32>,
    /// The headings it starts under, the outermost first; one that it starts
    /// with is the last of them.
    pub headings: Vec<String>,
}

/// Cuts a document into chunks of at most `chunking.size` characters and at most
/// `max_tokens` tokens as `count` counts them, in order.
///
/// Every character that is not white space lies in a chunk; no chunk starts or
/// ends with white space. Only a single character can be over `max_tokens`.
/// `count` is not called for text of at most `max_tokens` bytes: a token is at
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
    let mut places = Places::new(document);
    let mut pieces = Vec::new();
    let (mut start, mut covered) = (cutter.next_visible(0), 0);
    while start < text.len() {
        let mut piece = fit(&cutter, start, size, max_tokens, count);
        if piece.end <= covered {
            // The overlap filled the whole chunk: go on without.
            start = cutter.next_visible(covered);
            piece = fit(&cutter, start, size, max_tokens, count);
        }
        covered = piece.end;
        pieces.push(places.piece(piece));
        let next = cutter.next_visible(piece.end);
        if next >= text.len() {
            break;
        }
        // In proportion, so that each chunk says something new.
        let repeated = overlap * piece.characters / size;
        start = cutter.overlap_start(&piece, repeated).filter(|at| *at > start).unwrap_or(next);
    }
    pieces
}

/// The chunk that starts at `start`, made shorter until it has few enough tokens.
fn fit(
    cutter: &Cutter<'_>,
    start: usize,
    size: usize,
    max_tokens: usize,
    count: &dyn Fn(&str) -> usize,
) -> Window {
    let mut window = cutter.window(start, size);
    loop {
        let text = cutter.slice(window.start, window.end);
        if text.len() <= max_tokens || window.characters <= 1 {
            return window;
        }
        let tokens = count(text);
        if tokens <= max_tokens {
            return window;
        }
        // By proportion, and by a tenth at least, so that few rounds are needed.
        let fitting = window.characters * max_tokens / tokens;
        let smaller = fitting.min(window.characters * 9 / 10).max(1);
        window = cutter.window(start, smaller);
    }
}

/// Finds out where chunks are, going through the document once.
struct Places<'d> {
    document: &'d Extracted,
    /// A place already counted, in bytes and in characters.
    counted: (usize, usize),
    next_page: usize,
    next_heading: usize,
    path: Vec<(u8, String)>,
}

impl<'d> Places<'d> {
    fn new(document: &'d Extracted) -> Self {
        Self { document, counted: (0, 0), next_page: 0, next_heading: 0, path: Vec::new() }
    }

    fn piece(&mut self, window: Window) -> Piece {
        let Window { start, end, characters, .. } = window;
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
