//! Collects the text of a document, normalized and limited while it grows.

use std::time::{Duration, Instant};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::document::{Extracted, Heading, PageMark, TextKind};
use super::error::{ExtractError, ExtractErrorKind};
use super::limits::Limits;
use super::line::{clean_line, is_control};
use super::{error, markdown};

/// Nine tenths of the time that a reader has, of the processor's and of the clock's:
/// the rest is for handing over what was read.
struct Deadline {
    start: Option<Duration>,
    allowed: Duration,
    began: Instant,
    patience: Duration,
}

impl Deadline {
    fn new(limits: &Limits) -> Self {
        Self { start: thread_time(), allowed: limits.cpu, began: Instant::now(), patience: limits.wall }
    }

    fn is_over(&self) -> bool {
        let worked = self.start.and_then(|start| thread_time()?.checked_sub(start));
        worked.is_some_and(|worked| worked > self.allowed.mul_f32(0.9))
            || self.began.elapsed() > self.patience.mul_f32(0.9)
    }
}

/// The time that the processor spent on this thread, where it is known.
#[cfg(unix)]
pub(super) fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(unix))]
pub(super) fn thread_time() -> Option<Duration> {
    None
}

/// The text and the metadata that are collected.
pub(super) struct Output {
    text: String,
    pages: Vec<PageMark>,
    /// Of a text that is not Markdown, whose headings are found in it.
    headings: Vec<Heading>,
    warnings: Vec<String>,
    title: Option<String>,
    max: usize,
    max_pages: usize,
    /// When reading must end, and every how many pieces the clock is asked.
    deadline: Deadline,
    pieces: u32,
    cut: Option<Cut>,
    /// The share of the document that was read before it was cut.
    share: Option<f64>,
    /// Why the first part that cannot be read cannot.
    damage: Option<ExtractError>,
}

/// Why a text is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Length,
    Pages,
    Time,
}

impl Output {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            pages: Vec::new(),
            headings: Vec::new(),
            warnings: Vec::new(),
            title: None,
            max: limits.output,
            max_pages: limits.pages,
            deadline: Deadline::new(limits),
            pieces: 0,
            cut: None,
            share: None,
            damage: None,
        }
    }

    /// Adds text in NFC, without control characters and with `\n` as line end.
    ///
    /// Of text beyond the limit, what fits is added before the error; so it is kept
    /// by a reader that goes on with [`keep`](Self::keep).
    pub(super) fn push(&mut self, piece: &str) -> Result<(), ExtractError> {
        self.check_time()?;
        if self.cut == Some(Cut::Pages) {
            return Err(error::too_many_pages(self.max_pages));
        }
        let room = self.max.saturating_sub(self.text.len());
        // What is dropped or composed of it may let more fit, but never so much more.
        let fitting = piece.get(..piece.floor_char_boundary(room.saturating_mul(4))).unwrap_or(piece);
        match is_nfc_quick(fitting.chars()) {
            IsNormalized::Yes => self.push_clean(fitting),
            _ => self.push_clean(&fitting.nfc().collect::<String>()),
        }
        if self.text.len() > self.max || fitting.len() < piece.len() {
            self.text.truncate(self.text.floor_char_boundary(self.max));
            self.cut.get_or_insert(Cut::Length);
            return Err(error::too_much_text(self.max));
        }
        Ok(())
    }

    /// Fails when the time for reading is nearly over: what was read can still be
    /// kept. Readers call it where much is read of which nothing is written.
    pub(super) fn check_time(&mut self) -> Result<(), ExtractError> {
        self.pieces = self.pieces.wrapping_add(1);
        if self.pieces.is_multiple_of(64) && self.deadline.is_over() {
            self.cut = Some(Cut::Time);
        }
        if self.cut == Some(Cut::Time) {
            return Err(error::too_slow(self.deadline.allowed));
        }
        Ok(())
    }

    /// Keeps what was read where reading ended because of a limit on the text or on
    /// the time; [`finish`](Self::finish) warns of it.
    pub(super) fn keep(&self, outcome: Result<(), ExtractError>) -> Result<(), ExtractError> {
        match outcome {
            Err(failure)
                if self.cut.is_some()
                    && matches!(failure.kind, ExtractErrorKind::TooLarge | ExtractErrorKind::Timeout) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Leaves a damaged part out, with a warning: it must not cost the others. `part`
    /// names it ("part 2").
    pub(super) fn spare(
        &mut self,
        part: impl std::fmt::Display,
        outcome: Result<(), ExtractError>,
    ) -> Result<(), ExtractError> {
        match outcome {
            Err(damage) if damage.kind == ExtractErrorKind::Damaged => {
                self.warn(format!("{part} is damaged and was left out, at least from there on"));
                self.damage.get_or_insert(damage);
                Ok(())
            }
            other => other,
        }
    }

    /// Whether no more is taken.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Says which share of the document, 0 to 1, was read before it was cut.
    pub(super) fn read_until(&mut self, share: f64) {
        self.share = Some(share);
    }

    /// What of the document is left out: by the section that it begins in, and about
    /// how much of it, where these are known.
    fn rest(&self, last: Option<&Heading>) -> String {
        let under = last.map(|heading| format!("begins under \"{}\"", heading.title));
        // A part of a percent is still left out.
        let percent = self.share.map(|share| ((1.0 - share.clamp(0.0, 1.0)) * 100.0).ceil().max(1.0));
        let about = percent.map(|percent| format!("is about {percent:.0}% of the document"));
        match (under, about) {
            (Some(under), Some(about)) => format!("the rest, which {under} and {about},"),
            (Some(what), None) | (None, Some(what)) => format!("the rest, which {what},"),
            (None, None) => "the rest".to_owned(),
        }
    }

    /// Says that the file has more than was given to this text.
    pub(super) fn cut_short(&mut self) {
        self.cut.get_or_insert(Cut::Length);
    }

    fn push_clean(&mut self, piece: &str) {
        let mut rest = piece;
        while let Some(at) = rest.find(is_control) {
            let (clean, tail) = rest.split_at(at);
            self.text.push_str(clean);
            let mut characters = tail.chars();
            match characters.next() {
                Some('\r') if characters.as_str().starts_with('\n') => {}
                Some('\r' | '\u{c}' | '\u{85}') => self.text.push('\n'),
                _ => {}
            }
            rest = characters.as_str();
        }
        self.text.push_str(rest);
    }

    /// Ends the line, if one is open.
    pub(super) fn end_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(['\n', '\u{c}']) {
            self.text.push('\n');
        }
    }

    /// Ends the paragraph: a blank line precedes what follows.
    pub(super) fn end_paragraph(&mut self) {
        self.end_line();
        if !self.text.is_empty() && !self.text.ends_with("\n\n") && !self.text.ends_with('\u{c}') {
            self.text.push('\n');
        }
    }

    /// Adds a paragraph, unless it is blank.
    pub(super) fn paragraph(&mut self, text: &str) -> Result<(), ExtractError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        self.end_paragraph();
        self.push(text)?;
        self.end_line();
        Ok(())
    }

    /// Begins a page.
    pub(super) fn page(&mut self, number: u32, label: Option<&str>) {
        self.end_paragraph();
        if self.pages.len() >= self.max_pages {
            self.cut.get_or_insert(Cut::Pages);
            return;
        }
        let label = label.map(clean_line).filter(|label| !label.is_empty());
        self.pages.push(PageMark { start: self.text.len(), number, label });
    }

    /// Adds a line that is a heading of a text without markup, unless it is blank.
    pub(super) fn heading(&mut self, level: u8, title: &str) -> Result<(), ExtractError> {
        let title = clean_line(title);
        if !title.is_empty() {
            self.end_paragraph();
            if self.headings.len() < self.max_pages {
                self.headings.push(Heading { start: self.text.len(), level, title: title.clone() });
            }
            self.push(&title)?;
            self.end_line();
        }
        Ok(())
    }

    /// Begins a page of a format whose text runs on over pages: a form feed stands
    /// between the two, so that a chunk of both tells where the second one begins.
    pub(super) fn page_break(&mut self, number: u32) {
        self.page(number, None);
        if self.pages.len() > 1
            && let Some(page) = self.pages.last_mut()
        {
            self.text.push('\u{c}');
            page.start = self.text.len();
        }
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        if self.warnings.len() < 20 {
            self.warnings.push(warning.into());
        }
    }

    /// Sets the title, unless one is set or this one is blank.
    pub(super) fn title(&mut self, title: &str) {
        let title = clean_line(title);
        if self.title.is_none() && !title.is_empty() {
            self.title = Some(title);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Removes all text, pages and headings after `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        self.cut = self.cut.filter(|cut| *cut != Cut::Length);
        self.pages.retain(|page| page.start <= length);
        self.headings.retain(|heading| heading.start < length);
    }

    /// Returns the document, with the headings of its Markdown.
    pub(super) fn finish(mut self, media_type: &str, kind: TextKind) -> Result<Extracted, ExtractError> {
        self.text.truncate(self.text.trim_end().len());
        if !self.text.chars().any(is_visible) {
            return Err(match (self.cut, self.damage) {
                (Some(Cut::Time), _) => error::too_slow(self.deadline.allowed),
                (_, Some(damage)) => damage,
                _ => error::no_text("the file holds no text"),
            });
        }
        let end = self.text.len();
        for page in &mut self.pages {
            page.start = page.start.min(end);
        }
        let headings = match kind {
            TextKind::Markdown => markdown::headings(&self.text),
            TextKind::Plain | TextKind::Code => {
                let mut headings = std::mem::take(&mut self.headings);
                headings.retain(|heading| heading.start < end);
                headings
            }
        };
        let rest = self.rest(headings.last());
        let warning = match self.cut {
            Some(Cut::Length) => Some(format!(
                "the document has more than {} of text, the most that is read of one; {rest} is left out: split it",
                error::size(self.max as u64)
            )),
            Some(Cut::Pages) => Some(format!(
                "the document has more than {} pages, the most that are read of one; {rest} is left out: split it",
                self.max_pages
            )),
            Some(Cut::Time) => {
                Some(format!("reading took as long as it may; {rest} is left out: split the document"))
            }
            None => None,
        };
        self.warnings.splice(0..0, warning);
        // The first sheet of a workbook does not say what the workbook is.
        let first =
            headings.first().filter(|_| kind == TextKind::Markdown).map(|heading| heading.title.clone());
        Ok(Extracted {
            title: self.title.or(first),
            media_type: media_type.to_owned(),
            kind,
            text: self.text,
            pages: self.pages,
            headings,
            warnings: self.warnings,
        })
    }
}

/// Whether a character is visible, unlike white space, byte order marks, direction
/// marks, soft hyphens and zero-width spaces.
fn is_visible(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    );
    !character.is_whitespace() && !character.is_control() && !has_no_width
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(pieces: &[&str]) -> String {
        let mut output = Output::new(&Limits::default());
        for piece in pieces {
            output.push(piece).unwrap();
        }
        output.text
    }

    #[test]
    fn control_characters_go_and_lines_end_in_newline() {
        assert_eq!(pushed(&["a\0b\r\nc\rd\u{c}e\tf\u{7}\u{feff}"]), "ab\nc\nd\ne\tf");
    }

    #[test]
    fn composed_forms_are_used() {
        assert_eq!(pushed(&["e\u{301}"]), "\u{e9}");
    }

    #[test]
    fn text_beyond_the_limit_is_an_error_or_cut() {
        let mut output = Output::new(&Limits { output: 4, ..Limits::default() });
        output.push("12").unwrap();
        let failure = output.push("3é5").unwrap_err();
        assert_eq!(failure.kind, crate::extract::ExtractErrorKind::TooLarge);
        output.keep(Err(failure)).unwrap();
        assert!(output.keep(Err(error::encrypted("PDF"))).is_err());
        let document = output.finish("text/plain", TextKind::Plain).unwrap();
        assert_eq!(document.text, "123");
        assert_eq!(
            document.warnings,
            [
                "the document has more than 4 bytes of text, the most that is read of one; the rest is left out: split it"
            ]
        );
    }

    #[test]
    fn pages_beyond_the_limit_are_left_out() {
        let mut output = Output::new(&Limits { pages: 2, ..Limits::default() });
        for number in 1..=3 {
            output.page(number, None);
            let outcome = output.push("words");
            output.keep(outcome).unwrap();
        }
        let document = output.finish("text/plain", TextKind::Plain).unwrap();
        assert_eq!((document.text.as_str(), document.pages.len()), ("words\n\nwords", 2));
        assert!(
            document.warnings[0].starts_with("the document has more than 2 pages"),
            "{:?}",
            document.warnings
        );
    }

    #[test]
    fn what_was_read_until_the_time_was_over_is_kept() {
        let mut output = Output::new(&Limits { cpu: Duration::from_millis(20), ..Limits::default() });
        let failure = loop {
            if let Err(failure) = output.push("word ") {
                break failure;
            }
        };
        assert_eq!(failure.kind, ExtractErrorKind::Timeout);
        output.keep(Err(failure)).unwrap();
        let document = output.finish("text/plain", TextKind::Plain).unwrap();
        assert!(document.text.starts_with("word word"));
        assert!(
            document.warnings[0].starts_with("reading took as long as it may"),
            "{:?}",
            document.warnings
        );
    }

    #[test]
    fn characters_without_a_mark_are_no_text() {
        for (text, is_text) in [
            (" \u{200b}\n", false),
            ("\u{200e}\u{2060}\u{ad}", false),
            ("", false),
            (".", true),
            ("\u{2060}あ", true),
        ] {
            let mut output = Output::new(&Limits::default());
            output.push(text).unwrap();
            let kind = output.finish("text/plain", TextKind::Plain).map_err(|error| error.kind);
            assert_eq!(kind.is_ok(), is_text, "{text:?}");
            assert!(is_text || kind.unwrap_err() == crate::extract::ExtractErrorKind::NoText);
        }
    }
}
