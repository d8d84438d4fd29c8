//! Writes messages one below the other, each under a heading.

use super::super::document::{Extracted, Heading, TextKind};
use super::super::error;
use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::line::clean_line;
use super::super::markdown;
use super::super::output::Output;
use super::item::{Item, Section};

/// Names of files that a warning tells.
const MAX_TOLD: usize = 20;

/// Writes `sections`: one message, or those of a mailbox.
pub(super) fn write(
    sections: &[Section],
    warnings: Vec<String>,
    media_type: &str,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let kind = match sections.iter().flat_map(|section| &section.items).any(Item::is_markdown) {
        true => TextKind::Markdown,
        false => TextKind::Plain,
    };
    let mut writer =
        MessageWriter { output: Output::new(limits), kind, headings: Vec::new(), unread: Vec::new() };
    let one = match sections {
        [one] => Some(one),
        _ => None,
    };
    let outcome = match one {
        Some(section) => writer.message(section),
        None => sections.iter().try_for_each(|section| writer.one_of_many(section)),
    };
    writer.output.keep(outcome)?;
    writer.finish(one, warnings, media_type)
}

struct MessageWriter {
    output: Output,
    kind: TextKind,
    headings: Vec<Heading>,
    unread: Vec<String>,
}

impl MessageWriter {
    fn message(&mut self, section: &Section) -> Result<(), ExtractError> {
        self.output.title(&section.subject);
        self.section(section, 0)
    }

    fn one_of_many(&mut self, section: &Section) -> Result<(), ExtractError> {
        self.output.end_paragraph();
        let title = if section.subject.is_empty() { "Message" } else { section.subject.as_str() };
        self.heading(1, title);
        self.section(section, 1)
    }

    /// Marks the next line as a heading.
    fn heading(&mut self, level: usize, title: &str) {
        let level = u8::try_from(level.clamp(1, 6)).unwrap_or(6);
        self.headings.push(Heading { start: self.output.len(), level, title: clean_line(title) });
    }

    /// Writes a heading's line.
    fn title(&mut self, level: usize, label: &str, title: &str) -> Result<(), ExtractError> {
        self.output.end_paragraph();
        let shown = if title.is_empty() { label } else { title };
        self.heading(level, shown);
        let marks =
            if self.kind == TextKind::Markdown { "#".repeat(level.clamp(1, 6)) + " " } else { String::new() };
        let line =
            if title.is_empty() { label.to_owned() } else { format!("{label}: {}", clean_line(title)) };
        self.output.push(&format!("{marks}{line}\n"))
    }

    /// `level` is that of the message's own heading, 0 if it has none.
    fn section(&mut self, section: &Section, level: usize) -> Result<(), ExtractError> {
        self.header("Subject", &section.subject)?;
        self.body(section, level)
    }

    fn body(&mut self, section: &Section, level: usize) -> Result<(), ExtractError> {
        for (label, value) in &section.headers {
            self.header(label, value)?;
        }
        // What is said stands before what is attached.
        for item in &section.items {
            match item {
                Item::Text(text) => self.output.paragraph(text.trim_matches(['\r', '\n']))?,
                Item::Markdown(text) => self.markdown(text)?,
                Item::Message(_) | Item::Document { .. } | Item::Unread { .. } => {}
            }
        }
        for item in &section.items {
            match item {
                Item::Message(inner) => {
                    self.title(level + 1, "Attached message", &inner.subject)?;
                    self.body(inner, level + 1)?;
                }
                Item::Document { name, document } => self.document(name, document, level + 1)?,
                Item::Text(_) | Item::Markdown(_) | Item::Unread { .. } => {}
            }
        }
        let mut names = Vec::new();
        for item in &section.items {
            if let Item::Unread { name, reason } = item {
                names.push(name.as_str());
                self.unread.push(format!("{name} ({reason})"));
            }
        }
        if !names.is_empty() {
            self.output.paragraph(&format!("Attachments: {}", names.join(", ")))?;
        }
        Ok(())
    }

    fn header(&mut self, label: &str, value: &str) -> Result<(), ExtractError> {
        let value = clean_line(value);
        if value.is_empty() {
            return Ok(());
        }
        self.output.end_line();
        self.output.push(&format!("{label}: {value}"))?;
        self.output.end_line();
        Ok(())
    }

    fn markdown(&mut self, text: &str) -> Result<(), ExtractError> {
        self.output.end_paragraph();
        let start = self.output.len();
        self.output.paragraph(text)?;
        let written = markdown::headings(text).into_iter();
        self.headings.extend(written.map(|heading| Heading { start: heading.start + start, ..heading }));
        Ok(())
    }

    fn document(&mut self, name: &str, document: &Extracted, level: usize) -> Result<(), ExtractError> {
        self.title(level, "Attachment", name)?;
        self.output.end_paragraph();
        let start = self.output.len();
        self.output.paragraph(&document.text)?;
        for heading in &document.headings {
            let level = u8::try_from((usize::from(heading.level) + level).min(6)).unwrap_or(6);
            self.headings.push(Heading { start: heading.start + start, level, title: heading.title.clone() });
        }
        for warning in &document.warnings {
            self.output.warn(format!("{name}: {warning}"));
        }
        Ok(())
    }

    fn finish(
        mut self,
        one: Option<&Section>,
        warnings: Vec<String>,
        media_type: &str,
    ) -> Result<Extracted, ExtractError> {
        if let Some(one) = one
            && one.items.is_empty()
            && one.headers.is_empty()
            && one.subject.is_empty()
        {
            return Err(error::damaged("e-mail", "it has neither a header nor a text"));
        }
        for warning in warnings {
            self.output.warn(warning);
        }
        if !self.unread.is_empty() {
            let count = self.unread.len();
            let told = self.unread.get(..MAX_TOLD.min(count)).unwrap_or_default().join(", ");
            let more = if count > MAX_TOLD { ", …" } else { "" };
            let (noun, verb) = if count == 1 { ("attachment", "is") } else { ("attachments", "are") };
            self.output.warn(format!(
                "{count} {noun} of the e-mail {verb} not read: {told}{more}; upload what matters of it as files"
            ));
        }
        let mut document = self.output.finish(media_type, self.kind)?;
        let end = document.text.len();
        self.headings.retain(|heading| heading.start < end);
        document.headings = self.headings;
        Ok(document)
    }
}
