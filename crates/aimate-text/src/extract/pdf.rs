//! PDF, page by page.

use std::ops::ControlFlow;

use unpdf::model::{Block, Page};
use unpdf::{ErrorMode, PageSelection, PageStreamOptions, ParseEvent, ParseOptions, PdfParser};

use super::document::{Extracted, Heading, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::line::clean_line;
use super::output::Output;
use super::source::Source;
use super::{error, media};

/// Fewer words a page than these, and what is there is a stamp on a scan.
const FEWEST_WORDS: usize = 5;

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let bytes = source.bytes(limits.memory / 2)?;
    let options = ParseOptions::new().lenient().with_resources(false).sequential();
    let parser = PdfParser::from_bytes_with_options(&bytes, options).map_err(failed)?;
    // The parser has its own copy.
    drop(bytes);
    let mut reading = Reading::new(limits);
    let mut outcome = Ok(());
    parser
        .for_each_page(stream_options(), |event| {
            outcome = reading.take(event);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .map_err(failed)?;
    outcome?;
    reading.finish()
}

/// One thread, one page at a time: other documents are read at the same time.
fn stream_options() -> PageStreamOptions {
    PageStreamOptions {
        error_mode: ErrorMode::Lenient,
        extract_text: true,
        extract_resources: false,
        min_image_dimension: 64,
        pages: PageSelection::All,
        password: None,
        parallel: false,
        suppress_low_confidence_ocr: true,
        window_size: 1,
        emit_progress_every: u32::MAX,
    }
}

struct Reading {
    output: Output,
    headings: Vec<Heading>,
    pages: usize,
    failed: usize,
    bare: usize,
    words: usize,
}

impl Reading {
    fn new(limits: &Limits) -> Self {
        Self { output: Output::new(limits), headings: Vec::new(), pages: 0, failed: 0, bare: 0, words: 0 }
    }

    fn take(&mut self, event: ParseEvent) -> Result<(), ExtractError> {
        match event {
            ParseEvent::DocumentStart { metadata, .. } => {
                if let Some(title) = metadata.title.as_deref().filter(|title| is_title(title)) {
                    self.output.title(title);
                }
                Ok(())
            }
            ParseEvent::PageParsed(page) => self.page(&page),
            ParseEvent::PageFailed { page, .. } => {
                self.pages += 1;
                self.failed += 1;
                self.output.warn(format!("page {page} could not be read"));
                Ok(())
            }
            ParseEvent::Progress { .. } | ParseEvent::DocumentEnd { .. } => Ok(()),
        }
    }

    fn page(&mut self, page: &Page) -> Result<(), ExtractError> {
        self.pages += 1;
        self.output.page(page.number, None);
        let mut words = 0;
        for block in &page.elements {
            let mut text = String::new();
            block.append_plain_text(&mut text);
            words += count_words(&text);
            if text.trim().is_empty() {
                continue;
            }
            self.output.end_paragraph();
            if let Block::Paragraph(paragraph) = block
                && let Some(level) = paragraph.heading_level()
            {
                let title = clean_line(&text);
                self.headings.push(Heading { start: self.output.len(), level: level.clamp(1, 6), title });
            }
            self.output.push(&text)?;
        }
        self.words += words;
        self.bare += usize::from(words < FEWEST_WORDS);
        Ok(())
    }

    fn finish(mut self) -> Result<Extracted, ExtractError> {
        let (pages, failed, bare) = (self.pages, self.failed, self.bare);
        let of_pages = if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") };
        if failed == pages {
            return Err(error::damaged("PDF", format_args!("none of its {of_pages} can be read")));
        }
        if self.words < FEWEST_WORDS * pages {
            return Err(error::no_text(format!(
                "the PDF has {of_pages} but no text, or hardly any; it needs OCR (text recognition) first"
            )));
        }
        if bare > 0 {
            self.output
                .warn(format!("{bare} of {of_pages} have no text; they may be pictures that need OCR"));
        }
        let mut document = self.output.finish(media::PDF, TextKind::Plain)?;
        self.headings.retain(|heading| heading.start < document.text.len());
        document.title =
            document.title.or_else(|| self.headings.first().map(|heading| heading.title.clone()));
        document.headings = self.headings;
        Ok(document)
    }
}

/// Words as white space makes them; where none is written, characters.
fn count_words(text: &str) -> usize {
    let wide = text.chars().filter(|character| u32::from(*character) >= 0x2e80).count();
    text.split_whitespace().count() + wide / 2
}

/// Whether a title was given by a person, not by a program.
fn is_title(title: &str) -> bool {
    let title = title.trim();
    let lower = title.to_ascii_lowercase();
    let file = [".doc", ".docx", ".tex", ".dvi", ".indd", ".qxd", ".pdf", ".ps", ".pptx", ".ppt"];
    let made = ["untitled", "(anonymous)", "microsoft word - ", "powerpoint presentation", "(unspecified)"];
    title.chars().any(char::is_alphanumeric)
        && !file.iter().any(|end| lower.ends_with(end))
        && !made.iter().any(|start| lower.starts_with(start))
}

fn failed(failure: unpdf::Error) -> ExtractError {
    use unpdf::ErrorKind as Kind;
    match failure.kind() {
        Kind::Encrypted | Kind::InvalidPassword => error::encrypted("PDF"),
        _ if failure.to_string().contains("decompression failed") => {
            error::too_large("the PDF unpacks to far more than its size, as no ordinary document does")
        }
        _ => error::damaged("PDF", failure),
    }
}
