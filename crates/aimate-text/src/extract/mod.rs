//! Extracts the text of documents, with the positions of pages and headings.
//!
//! [`extract`] reads in this process; [`Extractor`] reads risky formats in a
//! child process with limits on memory, time and output.
//!
//! Plain text, Markdown, source code, tables of text and JSON are always read.
//! Each other format needs its feature, such as `extract-pdf`; without it a file
//! of that format is `Unsupported`, and the error names the feature.

#![cfg_attr(
    not(feature = "extract"),
    allow(dead_code, reason = "the formats share helpers, which some of them alone do not use up")
)]

#[cfg(any(feature = "extract-office", feature = "extract-epub"))]
mod archive;
mod bytes;
mod decode;
#[cfg(feature = "extract-office")]
mod doc;
mod document;
#[cfg(feature = "extract-office")]
mod docx;
#[cfg(feature = "extract-office")]
mod drawing;
#[cfg(feature = "extract-epub")]
mod epub;
#[cfg(feature = "extract-office")]
mod equation;
mod error;
mod extractor;
#[cfg(any(feature = "extract-html", feature = "extract-office"))]
mod grid;
#[cfg(feature = "extract-html")]
mod html;
mod json;
mod limits;
mod line;
#[cfg(feature = "extract-mail")]
mod mail;
mod markdown;
mod media;
#[cfg(feature = "extract-office")]
mod number;
#[cfg(feature = "extract-office")]
mod numeral;
#[cfg(feature = "extract-office")]
mod odf;
#[cfg(feature = "extract-office")]
mod ole;
#[cfg(feature = "extract-office")]
mod ooxml;
mod output;
#[cfg(feature = "extract-pdf")]
mod pdf;
#[cfg(any(feature = "extract-html", feature = "extract-office"))]
mod picture;
#[cfg(feature = "extract-office")]
mod ppt;
#[cfg(feature = "extract-office")]
mod pptx;
mod progress;
mod read;
#[cfg(feature = "extract-office")]
mod rtf;
#[cfg(feature = "extract-office")]
mod sheet;
mod source;
#[cfg(feature = "extract-office")]
mod symbol;
mod table;
mod worker;
#[cfg(any(feature = "extract-office", feature = "extract-epub"))]
mod xml;

pub use document::{Extracted, Heading, PageMark, TextKind};
pub use error::{ExtractError, ExtractErrorKind};
pub use extractor::Extractor;
pub use limits::Limits;
pub use media::media_type;
pub use progress::ReadProgress;
pub use read::extract;
pub use worker::worker_main;
