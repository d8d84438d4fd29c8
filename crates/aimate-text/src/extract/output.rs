//! Collects the text of a document, normalized and limited while it grows.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::document::{Extracted, PageMark, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::line::{clean_line, is_control};
use super::{error, markdown};

/// Maximum pages that are recorded, against a file of millions of empty slides.
const MAX_PAGES: usize = 100_000;

/// The text and the metadata that are collected.
pub(super) struct Output {
    text: String,
    pages: Vec<PageMark>,
    warnings: Vec<String>,
    title: Option<String>,
    max: usize,
}

impl Output {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { text: String::new(), pages: Vec::new(), warnings: Vec::new(), title: None, max: limits.output }
    }

    /// Adds text in NFC, without control characters and with `\n` as line end.
    pub(super) fn push(&mut self, piece: &str) -> Result<(), ExtractError> {
        if self.text.len().saturating_add(piece.len()) > self.max.saturating_mul(2) {
            return Err(error::too_much_text(self.max));
        }
        match is_nfc_quick(piece.chars()) {
            IsNormalized::Yes => self.push_clean(piece),
            _ => self.push_clean(&piece.nfc().collect::<String>()),
        }
        if self.text.len() > self.max {
            return Err(error::too_much_text(self.max));
        }
        Ok(())
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
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Ends the paragraph: a blank line precedes what follows.
    pub(super) fn end_paragraph(&mut self) {
        self.end_line();
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
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
        if self.pages.len() < MAX_PAGES {
            let label = label.map(clean_line).filter(|label| !label.is_empty());
            self.pages.push(PageMark { start: self.text.len(), number, label });
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

    /// Removes all text and pages after `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        self.pages.retain(|page| page.start <= length);
    }

    /// Returns the document, with the headings of its Markdown.
    pub(super) fn finish(mut self, media_type: &str, kind: TextKind) -> Result<Extracted, ExtractError> {
        self.text.truncate(self.text.trim_end().len());
        if !self.text.chars().any(is_visible) {
            return Err(error::no_text("the file holds no text"));
        }
        let end = self.text.len();
        for page in &mut self.pages {
            page.start = page.start.min(end);
        }
        let headings = match kind {
            TextKind::Markdown => markdown::headings(&self.text),
            TextKind::Plain | TextKind::Code => Vec::new(),
        };
        let first = headings.first().map(|heading| heading.title.clone());
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
    fn text_beyond_the_limit_is_an_error() {
        let mut output = Output::new(&Limits { output: 4, ..Limits::default() });
        output.push("1234").unwrap();
        assert_eq!(output.push("5").unwrap_err().kind, crate::extract::ExtractErrorKind::TooLarge);
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
