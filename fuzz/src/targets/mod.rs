//! The targets. An input that stands for several things has them apart by NUL.

mod cursor;
mod document;
mod filter;
mod form;
mod frame;
mod header;
mod office;
mod segment;
mod tokenizer;

use crate::Target;

pub use cursor::cursor;
pub use document::{csv, docx, html, json, mail, markdown, pdf, pptx, xlsx};
pub use filter::filter;
pub use form::multipart;
pub use frame::{events, json_lines, thoughts};
pub use header::{content_type, file_name, origin, part_head, retry_after};
pub use office::{doc, ods, odt, ppt, rtf};
pub use segment::segment;
pub use tokenizer::{bert, terms};

/// Every target.
pub const ALL: &[Target] = &[
    cursor::CURSOR,
    document::CSV,
    document::DOCX,
    document::HTML,
    document::JSON,
    document::MAIL,
    document::MARKDOWN,
    document::PDF,
    document::PPTX,
    document::XLSX,
    office::DOC,
    office::ODS,
    office::ODT,
    office::PPT,
    office::RTF,
    filter::FILTER,
    form::MULTIPART,
    frame::EVENTS,
    frame::JSON_LINES,
    frame::THOUGHTS,
    header::CONTENT_TYPE,
    header::FILE_NAME,
    header::ORIGIN,
    header::PART_HEAD,
    header::RETRY_AFTER,
    segment::SEGMENT,
    tokenizer::BERT,
    tokenizer::TERMS,
];

/// Bytes of an input that say where its rest is cut.
const CUTS: usize = 8;

/// An input's first bytes as places at which its rest is cut, and that rest.
fn cut(input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (places, body) = input.split_at(input.len().min(CUTS));
    let mut places: Vec<usize> =
        places.iter().map(|place| usize::from(*place) * (body.len() + 1) / 256).collect();
    places.sort_unstable();
    let (mut pieces, mut from) = (Vec::new(), 0);
    for to in places.into_iter().chain([body.len()]) {
        pieces.push(&body[from..to]);
        from = to;
    }
    (pieces, body)
}

/// Seeds that [`cut`] cuts here and there.
fn with_cuts(bodies: &[&str]) -> Vec<Vec<u8>> {
    bodies.iter().map(|body| [b"\x10\x20\x40\x41\x80\xA0\xF0\xFF", body.as_bytes()].concat()).collect()
}

/// An input as text, and its parts.
fn texts(input: &[u8]) -> Vec<String> {
    input.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}
