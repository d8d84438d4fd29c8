//! What could not be read, said in sentences.

use super::attachment::Attachment;
use super::page::PageText;
use crate::extract::error::{self, ExtractError, ExtractErrorKind};
use crate::extract::limits::Limits;

/// Fewer words on a page that is a picture, and what is there is a stamp on a scan.
const FEWEST_WORDS: usize = 5;
/// How much of a page the picture of a scan covers.
const SCAN: f64 = 0.5;
/// Maximum ranges of pages that a sentence names.
const MAX_RANGES: usize = 12;

/// What was met while reading.
pub(super) struct Report {
    pages: usize,
    failed: Vec<u32>,
    bare: Vec<u32>,
    cut: Vec<u32>,
    unknown: Vec<u32>,
    /// The first page that there was no time for.
    no_time: Option<u32>,
    /// The first page beyond those that are read of one document.
    too_many: Option<u32>,
    /// The first page that there was no room for.
    no_room: Option<u32>,
    words: usize,
    attachments: Vec<String>,
    unread: usize,
}

impl Report {
    pub(super) fn new(pages: usize) -> Self {
        Self {
            pages,
            failed: Vec::new(),
            bare: Vec::new(),
            cut: Vec::new(),
            unknown: Vec::new(),
            no_time: None,
            too_many: None,
            no_room: None,
            words: 0,
            attachments: Vec::new(),
            unread: 0,
        }
    }

    pub(super) fn failed(&mut self, page: u32) {
        self.failed.push(page);
    }

    pub(super) fn out_of_time(&mut self, page: u32) {
        self.no_time = self.no_time.or(Some(page));
    }

    pub(super) fn too_many(&mut self, page: u32) {
        self.too_many = Some(page);
    }

    pub(super) fn out_of_room(&mut self, page: u32) {
        self.no_room = Some(self.no_room.map_or(page, |first| first.min(page)));
    }

    pub(super) fn page(&mut self, page: &PageText) {
        let words = page.words();
        let is_bare = words == 0 || (page.picture > SCAN && words < FEWEST_WORDS);
        if is_bare {
            self.bare.push(page.number);
        } else {
            self.words += words;
        }
        if page.is_cut {
            self.cut.push(page.number);
        }
        let letters: usize = page.paragraphs.iter().map(|paragraph| paragraph.letters()).sum();
        if page.unknown > 20 && page.unknown * 10 > letters {
            self.unknown.push(page.number);
        }
    }

    pub(super) fn attachments(&mut self, attachments: &[Attachment]) {
        self.attachments = attachments.iter().map(|file| file.name.clone()).collect();
        self.unread = attachments.iter().filter(|file| file.text.is_none()).count();
    }

    /// Refuses a document of which nothing can be read.
    pub(super) fn refuse(&self, pages: &[PageText]) -> Result<(), ExtractError> {
        let of_pages = count(self.pages, "page");
        if self.no_time.is_some() && self.words == 0 {
            return Err(ExtractError::new(
                ExtractErrorKind::Timeout,
                format!(
                    "reading the first of its {of_pages} took longer than the limit; split the PDF, or raise the limit"
                ),
            ));
        }
        if !self.failed.is_empty() && self.failed.len() == self.pages {
            return Err(error::damaged("PDF", format_args!("none of its {of_pages} can be read")));
        }
        let has_notes = pages.iter().any(|page| !page.notes.is_empty());
        if self.words > 0 || has_notes {
            return Ok(());
        }
        if !self.unknown.is_empty() {
            return Err(error::no_text(format!(
                "the PDF has {of_pages}, but its fonts do not say which characters they show; print it anew as PDF, or run OCR (text recognition) on it"
            )));
        }
        Err(error::no_text(format!(
            "the PDF has {of_pages} but no text, or hardly any; it needs OCR (text recognition) first"
        )))
    }

    pub(super) fn warnings(&self, limits: &Limits) -> Vec<String> {
        let mut warnings = Vec::new();
        let last = u32::try_from(self.pages).unwrap_or(u32::MAX);
        let of = |pages: &[u32]| format!("{} of {}", named(pages), count(self.pages, "page"));
        if let Some(first) = self.no_time {
            let rest: Vec<u32> = (first..=last).collect();
            warnings.push(format!(
                "{} left out: reading them would take longer than the limit of {} s",
                was(&of(&rest), rest.len()),
                limits.cpu.as_secs().max(1)
            ));
        }
        if let Some(first) = self.too_many {
            let rest: Vec<u32> = (first..=last).collect();
            warnings.push(format!(
                "{} left out: the file has more than {} pages, the most for one document",
                was(&of(&rest), rest.len()),
                limits.pages
            ));
        }
        if let Some(first) = self.no_room {
            let rest: Vec<u32> = (first..=last).collect();
            warnings.push(format!(
                "{} left out, the first of them perhaps in part: the file holds more than {} of text, the most for one document",
                was(&of(&rest), rest.len()),
                error::size(limits.output as u64)
            ));
        }
        if !self.failed.is_empty() {
            warnings.push(format!("{} could not be read", of(&self.failed)));
        }
        if !self.cut.is_empty() {
            warnings.push(format!(
                "{} read in part: there is too much on one page",
                was(&of(&self.cut), self.cut.len())
            ));
        }
        if !self.bare.is_empty() {
            let (have, are) = if self.bare.len() == 1 {
                ("has", "it may be a picture that needs OCR")
            } else {
                ("have", "they may be pictures that need OCR")
            };
            warnings.push(format!("{} {have} no text; {are}", of(&self.bare)));
        }
        if !self.unknown.is_empty() {
            warnings.push(format!(
                "{}: the fonts do not say which characters they show, so text is missing there",
                of(&self.unknown)
            ));
        }
        if !self.attachments.is_empty() {
            let read = if self.unread == 0 {
                ""
            } else {
                "; what is not plain text is not read, upload it as a file"
            };
            let are = if self.attachments.len() == 1 { "is" } else { "are" };
            warnings.push(format!(
                "{} {are} attached ({}){read}",
                count(self.attachments.len(), "file"),
                self.attachments.join(", ")
            ));
        }
        warnings
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn was(pages: &str, count: usize) -> String {
    format!("{pages} {}", if count == 1 { "was" } else { "were" })
}

/// Pages by their numbers: `page 3`, `pages 2 to 13 and 20`.
fn named(pages: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for page in pages {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *page => *last = *page,
            _ => ranges.push((*page, *page)),
        }
    }
    let more = ranges.len().saturating_sub(MAX_RANGES);
    let mut texts: Vec<String> = ranges
        .iter()
        .take(MAX_RANGES)
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first} to {last}") })
        .collect();
    if more > 0 {
        texts.push("others".to_owned());
    }
    let last = texts.pop().unwrap_or_default();
    let list = if texts.is_empty() { last } else { format!("{} and {last}", texts.join(", ")) };
    format!("{} {list}", if pages.len() == 1 { "page" } else { "pages" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_by_ranges() {
        assert_eq!(named(&[3]), "page 3");
        assert_eq!(named(&[2, 3, 4, 9]), "pages 2 to 4 and 9");
        let odd: Vec<u32> = (0..40).map(|page| 2 * page + 1).collect();
        assert_eq!(named(&odd), "pages 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 and others");
    }
}
