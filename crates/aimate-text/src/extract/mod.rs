//! Extracts the text of documents, with the positions of pages and headings.
//!
//! [`extract`] reads in this process; [`Extractor`] reads risky formats in a
//! child process with limits on memory, time and output.

mod archive;
mod decode;
mod document;
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

pub use document::{Extracted, Heading, PageMark, TextKind};
pub use error::{ExtractError, ExtractErrorKind};
pub use extractor::Extractor;
pub use limits::Limits;
pub use media::media_type;
pub use read::extract;
pub use worker::worker_main;
