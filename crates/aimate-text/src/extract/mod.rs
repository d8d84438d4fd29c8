//! Documents into text: what a file holds, with the places of its pages and
//! headings.
//!
//! [`extract`] reads in this process; [`Extractor`] puts formats that are risky
//! to read into a child process with limits on memory, time and output.

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

use read::Subject;
use serde::{Deserialize, Serialize};

pub use error::{ExtractError, ExtractErrorKind};
pub use extractor::Extractor;
pub use limits::Limits;
pub use media::media_type;
pub use worker::worker_main;

/// How the text of a document is written, and so which splitter suits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// Paragraphs and lines without markup.
    Plain,
    /// Markdown: headings, lists, tables, fenced code.
    Markdown,
    /// The source of a program, or a configuration file.
    Code,
}

/// Where a page, a slide, a chapter or a sheet begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMark {
    /// The byte of the text at which it begins.
    pub start: usize,
    /// Its number in the document, from 1.
    pub number: u32,
    /// What it is called where it has a name: the name of a sheet, for one.
    pub label: Option<String>,
}

/// Where a section begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The byte of the text at which the heading's line begins.
    pub start: usize,
    /// 1 is the outermost; the most is 6.
    pub level: u8,
    /// The heading without its markup.
    pub title: String,
}

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// From the document's metadata, else its first heading.
    pub title: Option<String>,
    /// What the file is, which may not be what its name says.
    pub media_type: String,
    /// How `text` is written.
    pub kind: TextKind,
    /// UTF-8 with `\n` as the end of a line and no other control character but
    /// the tab.
    pub text: String,
    /// Sorted by `start`, on character boundaries of `text`; empty where the
    /// format has no pages.
    pub pages: Vec<PageMark>,
    /// Sorted by `start`, on character boundaries of `text`.
    pub headings: Vec<Heading>,
    /// What was odd about the file or could not be read, each a sentence.
    pub warnings: Vec<String>,
}

/// Reads the document at `path` in this process.
///
/// `name` is what its owner called it; only its extension is used. `media_type`
/// is what its owner said it is; the content decides where it can.
///
/// A panic in a parser becomes an error. A stack overflow or an allocation that
/// fails ends the process: read files of strangers through
/// [`Extractor::with_worker`].
pub fn extract(
    path: &Path,
    name: &str,
    media_type: Option<&str>,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let subject = Subject::open(path, name, media_type, limits)?;
    read_aside(&subject, limits)
}

/// The stack of the thread that reads a document: parsers go as deep as a
/// document is nested.
const STACK: usize = 64 << 20;

/// Reads on a thread with a large stack; its panic is an error.
fn read_aside(subject: &Subject<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("extract".to_owned()).stack_size(STACK);
        let reading =
            thread.spawn_scoped(scope, || subject.read(limits)).map_err(|failure| error::io(&failure))?;
        reading.join().unwrap_or_else(|_| {
            let noun = subject.noun();
            Err(error::crashed(format!(
                "the file made the reader of its format ({noun}) fail; save it again in its program, or as PDF"
            )))
        })
    })
}
