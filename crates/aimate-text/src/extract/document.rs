//! What is extracted from a document.

use serde::{Deserialize, Serialize};

/// How the text of a document is written, which decides how it is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// Paragraphs and lines without markup.
    Plain,
    /// Markdown: headings, lists, tables, fenced code.
    Markdown,
    /// The source of a program, or a configuration file.
    Code,
}

/// The start of a page, slide, chapter or sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PageMark {
    /// The byte offset in the text.
    pub start: usize,
    /// Its number in the document, from 1.
    pub number: u32,
    /// Its name, if it has one, such as that of a sheet.
    pub label: Option<String>,
}

/// A heading, the start of a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Heading {
    /// The byte offset of the heading's line in the text.
    pub start: usize,
    /// The level, from 1 (the outermost) to 6.
    pub level: u8,
    /// The heading without its markup.
    pub title: String,
}

/// An extracted document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Extracted {
    /// The title of the document's metadata, else its first heading.
    pub title: Option<String>,
    /// The media type of the content, which may differ from that of the name.
    pub media_type: String,
    /// How `text` is written.
    pub kind: TextKind,
    /// The text: lines end in `\n`, a form feed stands between the pages of a PDF,
    /// and the tab is the only other control character.
    pub text: String,
    /// The pages, sorted by `start`, on character boundaries of `text`; empty if
    /// the format has none.
    pub pages: Vec<PageMark>,
    /// The headings, sorted by `start`, on character boundaries of `text`.
    pub headings: Vec<Heading>,
    /// What was unusual about the file or could not be read, one sentence each.
    pub warnings: Vec<String>,
}
