//! PDF, page by page.
//!
//! `hayro` reads the file and its fonts; what stands in which order on a page is
//! found here: glyphs at their places (`content`), lines (`segment`, `line`), columns
//! (`order`), paragraphs (`paragraph`).

mod annotation;
mod attachment;
mod bidi;
mod content;
mod font;
mod glyph;
mod heading;
mod hyphen;
mod line;
mod order;
mod page;
mod paragraph;
mod report;
mod running;
mod segment;
mod stopwatch;
mod string;
mod vertical;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_font::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use self::attachment::Attachment;
use self::font::Fonts;
use self::heading::Sizes;
use self::hyphen::{Join, Words, is_hyphen};
use self::page::PageText;
use self::report::Report;
use self::stopwatch::Stopwatch;
use super::document::{Extracted, Heading, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::line::clean_line;
use super::output::Output;
use super::source::Source;
use super::{error, media, progress};

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let clock = Stopwatch::new(limits.cpu, limits.wall);
    let bytes = source.bytes(limits.memory / 2)?;
    // A damaged file must not end the reader.
    let pdf = catch_unwind(AssertUnwindSafe(|| Pdf::new(bytes)))
        .map_err(|_| error::damaged("PDF", "its structure cannot be read"))?
        .map_err(failed)?;
    let mut report = Report::new(pdf.pages().len());
    let mut pages = read_pages(&pdf, limits, &clock, &mut report);
    report.refuse(&pages)?;
    running::remove(&mut pages);
    let mut words = Words::default();
    for line in pages.iter().flat_map(|page| &page.paragraphs).flat_map(|paragraph| &paragraph.lines) {
        words.learn(&line.text);
    }
    join_pages(&mut pages, &words);
    write(&pdf, &pages, &words, limits, report)
}

/// Reads pages until a limit is reached.
fn read_pages(pdf: &Pdf, limits: &Limits, clock: &Stopwatch, report: &mut Report) -> Vec<PageText> {
    let hidden = attachment::hidden_layers(pdf);
    let mut fonts = Fonts::new();
    let mut pages = Vec::new();
    let mut length = 0;
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        progress::reached(pages.len(), pdf.pages().len());
        if clock.is_over() {
            report.out_of_time(number);
            break;
        }
        if pages.len() >= limits.pages {
            report.too_many(number);
            break;
        }
        if length > limits.output {
            report.out_of_room(number);
            break;
        }
        // A damaged page must not cost the others.
        let read = AssertUnwindSafe(|| page::read(page, number, &mut fonts, &hidden, clock));
        if let Ok(page) = catch_unwind(read) {
            length += page.paragraphs.iter().map(|paragraph| paragraph.letters()).sum::<usize>();
            report.page(&page);
            pages.push(page);
        } else {
            report.failed(number);
            fonts = Fonts::new();
        }
    }
    pages
}

/// Joins words that are divided between two pages, on the first of them.
fn join_pages(pages: &mut [PageText], words: &Words) {
    for index in 1..pages.len() {
        let Ok([page, next]) = pages.get_disjoint_mut([index - 1, index]) else {
            return;
        };
        let last = page.paragraphs.last_mut().and_then(|paragraph| paragraph.lines.last_mut());
        let first = next.paragraphs.first_mut().and_then(|paragraph| paragraph.lines.first_mut());
        let (Some(last), Some(first)) = (last, first) else {
            continue;
        };
        let Some((head, rest)) = first.text.split_once(' ') else {
            continue;
        };
        let is_rest = head.starts_with(char::is_lowercase) && last.text.ends_with(is_hyphen);
        if is_rest && words.join(&last.text, &first.text) != Join::Space {
            paragraph::append(&mut last.text, head, words);
            first.text = rest.to_owned();
        }
    }
}

/// Writes the text of the pages, as much of it as may be.
fn write(
    pdf: &Pdf,
    pages: &[PageText],
    words: &Words,
    limits: &Limits,
    mut report: Report,
) -> Result<Extracted, ExtractError> {
    let mut output = Output::new(limits);
    if let Some(title) = pdf.metadata().title.as_deref() {
        let title = string::text_string(title);
        if heading::is_title(&title) {
            output.title(&title);
        }
    }
    let sizes = Sizes::new(pages);
    let mut headings: Vec<Heading> = Vec::new();
    'pages: for page in pages {
        output.page_break(page.number);
        for paragraph in &page.paragraphs {
            let text = paragraph.text(words);
            output.end_paragraph();
            if output.len() + text.len() > limits.output {
                report.out_of_room(page.number);
                break 'pages;
            }
            if let Some(level) = sizes.heading(paragraph) {
                headings.push(Heading { start: output.len(), level, title: clean_line(&text) });
            }
            output.push(&text)?;
        }
        for note in &page.notes {
            let author = note.author.as_deref().map(|author| format!(" ({})", clean_line(author)));
            let text = format!("Comment{}: {}", author.unwrap_or_default(), note.text.trim());
            if output.len() + text.len() <= limits.output {
                output.paragraph(&text)?;
            }
        }
    }
    let attachments = attachment::attachments(pdf);
    write_attachments(&attachments, limits, &mut output)?;
    report.attachments(&attachments);
    for warning in report.warnings(limits) {
        output.warn(warning);
    }
    let mut document = output.finish(media::PDF, TextKind::Plain)?;
    headings.retain(|heading| heading.start < document.text.len());
    document.title = document.title.or_else(|| headings.first().map(|heading| heading.title.clone()));
    document.headings = headings;
    Ok(document)
}

fn write_attachments(
    attachments: &[Attachment],
    limits: &Limits,
    output: &mut Output,
) -> Result<(), ExtractError> {
    for attachment in attachments {
        if let Some(text) = &attachment.text
            && output.len() + text.len() + attachment.name.len() + 20 <= limits.output
        {
            output.paragraph(&format!("Attached file {}:\n{text}", attachment.name))?;
        }
    }
    Ok(())
}

fn failed(failure: LoadPdfError) -> ExtractError {
    match failure {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => error::encrypted("PDF"),
        LoadPdfError::Decryption(_) => error::unsupported(
            "the PDF is encrypted in a way that is not supported; save it without encryption and upload it again",
        ),
        LoadPdfError::Invalid => error::damaged("PDF", "its structure cannot be read"),
    }
}
