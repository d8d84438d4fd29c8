//! How far a text that is still being written will stay as it is.

use pulldown_cmark::{Event, Parser};

use crate::formula::{Marked, without_marks};
use crate::html::SYNTAX;
use crate::shape;

/// The beginning of a text that consists of whole blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WholeBlocks {
    /// Its length in bytes.
    pub bytes: usize,
    /// Its length in UTF-16 code units, as scripts of web pages count.
    pub utf16: usize,
}

/// How much of a text consists of blocks (paragraphs, lists, tables, code) that nothing which
/// may still come changes. A block is whole once another one has begun: the last one never
/// is. What is rendered of the beginning, and later of the rest, is what is rendered of the
/// text as one, but for footnotes and links that are defined elsewhere in it.
///
/// ```
/// let text = "Whole.\n\n- a list\n- that goes on";
/// assert_eq!(aimate_markdown::whole_blocks(text).bytes, "Whole.\n\n".len());
/// ```
pub fn whole_blocks(text: &str) -> WholeBlocks {
    // What a line is, its end may still change: `#` becomes a heading or `#tag`.
    let lines = text.get(..text.rfind('\n').map_or(0, |at| at + 1)).unwrap_or_default();
    let text_of_lines = without_marks(lines);
    if shape::is_deep(&text_of_lines) {
        return WholeBlocks::default();
    }
    let marked = Marked::begun(&text_of_lines);
    let (mut blocks, mut depth, mut last) = (0_usize, 0_usize, 0);
    for (event, range) in Parser::new_ext(&marked.text, SYNTAX).into_offset_iter() {
        if depth == 0 {
            blocks += 1;
            last = range.start;
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if blocks < 2 {
        return WholeBlocks::default();
    }
    let at = marked.source_offset(last);
    // A block of code begins with the blanks before it.
    let bytes = lines.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    WholeBlocks { bytes, utf16: lines.get(..bytes).unwrap_or_default().encode_utf16().count() }
}
