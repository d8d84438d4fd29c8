//! Extracts the text of documents, with the positions of pages and headings.
//!
//! [`extract`] reads in this process; [`Extractor`] reads risky formats in a
//! child process with limits on memory, time and output.

mod archive;
mod decode;
mod docx;
mod epub;
mod error;
mod extractor;
mod html;
mod json;
mod limits;
mod line;
mod mail;
mod markdown;
mod media;
mod ooxml;
mod output;
mod pdf;
mod pptx;
mod read;
mod sheet;
mod table;
mod worker;
mod xml;

use std::path::Path;

use read::SourceFile;
use serde::{Deserialize, Serialize};

pub use error::{ExtractError, ExtractErrorKind};
pub use extractor::Extractor;
pub use limits::Limits;
pub use media::media_type;
pub use worker::worker_main;

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
    /// The text: lines end in `\n`, and the tab is the only other control
    /// character.
    pub text: String,
    /// The pages, sorted by `start`, on character boundaries of `text`; empty if
    /// the format has none.
    pub pages: Vec<PageMark>,
    /// The headings, sorted by `start`, on character boundaries of `text`.
    pub headings: Vec<Heading>,
    /// What was unusual about the file or could not be read, one sentence each.
    pub warnings: Vec<String>,
}

/// Extracts the document at `path` in this process.
///
/// `name` is the file name as the user knows it; only its extension is used.
/// `media_type` is the declared type; the content takes precedence over both.
///
/// A panic in a parser becomes an error. A stack overflow or a failed allocation
/// ends the process: read untrusted files through [`Extractor::with_worker`].
pub fn extract(
    path: &Path,
    name: &str,
    media_type: Option<&str>,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let file = SourceFile::open(path, name, media_type, limits)?;
    read_on_thread(&file, limits)
}

/// The stack size of the thread that reads a document: parsers recurse as deep as
/// the document is nested.
const STACK: usize = 64 << 20;

/// Reads on a thread with a large stack and converts its panic to an error.
fn read_on_thread(file: &SourceFile<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("extract".to_owned()).stack_size(STACK);
        let reading =
            thread.spawn_scoped(scope, || file.read(limits)).map_err(|failure| error::io(&failure))?;
        reading.join().unwrap_or_else(|_| {
            let noun = file.noun();
            Err(error::crashed(format!(
                "the file made the reader of its format ({noun}) fail; save it again in its program, or as PDF"
            )))
        })
    })
}
