//! Converts Word documents to Markdown.

mod lists;
mod styles;

use lists::Lists;
use styles::Styles;

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::ooxml::{self, Relations};
use super::output::Output;
use super::source::Source;
use super::xml::{Element, Node, Walker};
use super::{markdown, media};

const WHAT: &str = "Word document";

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut archive = Archive::open(source, WHAT, limits)?;
    let part = ooxml::main_part(&mut archive, "word/document.xml", WHAT, limits)?;
    let relations = Relations::of(&mut archive, &part, WHAT, limits)?;
    let linked = |kind: &str, archive: &mut Archive| match relations.of_type(kind) {
        Some(name) => archive.text(name),
        None => Ok(None),
    };
    let styles = Styles::read(linked("styles", &mut archive)?.as_deref(), limits)?;
    let lists = Lists::read(linked("numbering", &mut archive)?.as_deref(), limits)?;
    let mut output = Output::new(limits);
    if let Some(title) = ooxml::title(&mut archive, WHAT, limits) {
        output.title(&title);
    }
    let mut body = Body { styles, lists, output, limits, was_item: false };
    let text = archive.need(&part)?;
    body.read(&text)?;
    for kind in ["footnotes", "endnotes"] {
        if let Some(notes) = linked(kind, &mut archive)? {
            body.notes(&notes)?;
        }
    }
    body.output.finish(media::DOCX, TextKind::Markdown)
}

/// Elements whose text is not the document's: what was deleted, field codes,
/// pictures' names, the copy of a shape for old readers, phonetic guides.
const SKIPPED: [&str; 8] =
    ["del", "moveFrom", "instrText", "Fallback", "sectPr", "rt", "docPartObj", "graphicFrameLocks"];

struct Body<'a> {
    styles: Styles,
    lists: Lists,
    output: Output,
    limits: &'a Limits,
    was_item: bool,
}

/// A paragraph under construction.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline: Option<u8>,
    list: Option<(String, usize)>,
}

impl Body<'_> {
    fn read(&mut self, text: &str) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, WHAT, self.limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "p" => {
                    let mut inner = Vec::new();
                    let paragraph = self.paragraph(&mut walker, &mut inner)?;
                    self.write(&paragraph)?;
                    self.write_all(&inner)?;
                }
                "tbl" => {
                    let rows = self.table(&mut walker)?;
                    self.was_item = false;
                    self.write_table(&rows)?;
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads to the end of a paragraph; paragraphs of text boxes in it go to
    /// `inner`.
    fn paragraph(
        &self,
        walker: &mut Walker<'_>,
        inner: &mut Vec<Paragraph>,
    ) -> Result<Paragraph, ExtractError> {
        let inside = walker.depth();
        let mut paragraph = Paragraph::default();
        let mut number = None;
        let mut level = 0;
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "t" => paragraph.text.push_str(&walker.inner_text()?),
                "tab" if paragraph.text.is_empty() => {}
                "tab" | "ptab" => paragraph.text.push('\t'),
                "br" | "cr" => paragraph.text.push('\n'),
                "noBreakHyphen" => paragraph.text.push('-'),
                "sym" => paragraph.text.extend(symbol(&element)),
                "footnoteReference" | "endnoteReference" => {
                    paragraph.text.push_str(&note_mark(&element, element.name() == "endnoteReference"));
                }
                "pStyle" => paragraph.style = element.attribute("val"),
                "outlineLvl" => {
                    let level = element.attribute("val").and_then(|level| level.parse::<u8>().ok());
                    paragraph.outline = level.filter(|level| *level < 9).map(|level| level + 1);
                }
                "numId" => number = element.attribute("val"),
                "ilvl" => level = element.attribute("val").and_then(|level| level.parse().ok()).unwrap_or(0),
                "p" => {
                    let boxed = self.paragraph(walker, inner)?;
                    inner.push(boxed);
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        let inherited = || self.styles.list(paragraph.style.as_deref());
        // A list numbered 0 takes a paragraph out of the list of its style.
        paragraph.list =
            number.map(|number| (number, level)).or_else(inherited).filter(|(number, _)| number != "0");
        Ok(paragraph)
    }

    /// The rows of a table, each cell's paragraphs in one line.
    fn table(&self, walker: &mut Walker<'_>) -> Result<Vec<Vec<String>>, ExtractError> {
        let inside = walker.depth();
        let mut rows: Vec<Vec<String>> = Vec::new();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                // A table in a cell gives its cells to that cell.
                "tr" if walker.depth() == inside + 1 => rows.push(Vec::new()),
                "tc" if walker.depth() == inside + 2 => {
                    if let Some(row) = rows.last_mut() {
                        row.push(String::new());
                    }
                }
                "p" => {
                    let mut inner = Vec::new();
                    let paragraph = self.paragraph(walker, &mut inner)?;
                    if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                        for paragraph in std::iter::once(&paragraph).chain(&inner) {
                            cell.push(' ');
                            cell.push_str(&paragraph.text);
                        }
                    }
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
        Ok(rows)
    }

    fn write_table(&mut self, rows: &[Vec<String>]) -> Result<(), ExtractError> {
        // A table of one cell is a frame around text.
        match rows {
            [row] if row.len() == 1 => self.output.paragraph(&row.concat()),
            _ => self.output.paragraph(&markdown::table(rows)),
        }
    }

    fn write_all(&mut self, paragraphs: &[Paragraph]) -> Result<(), ExtractError> {
        paragraphs.iter().try_for_each(|paragraph| self.write(paragraph))
    }

    fn write(&mut self, paragraph: &Paragraph) -> Result<(), ExtractError> {
        let text = paragraph.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let style = paragraph.style.as_deref();
        if self.styles.is_contents(style) {
            return Ok(());
        }
        if self.styles.is_title(style) {
            self.output.title(text);
        }
        if let Some(level) = paragraph.outline.or_else(|| self.styles.heading(style)) {
            self.was_item = false;
            let marks = "#".repeat(usize::from(level.min(6)));
            return self.output.paragraph(&format!("{marks} {}", text.replace('\n', " ")));
        }
        let Some((number, level)) = &paragraph.list else {
            self.was_item = false;
            return self.output.paragraph(&markdown::escape(text));
        };
        let mark = self.lists.mark(number, *level);
        if !self.was_item {
            self.output.end_paragraph();
        }
        self.was_item = true;
        self.output.end_line();
        self.output.push(&format!("{}{mark} {}", "  ".repeat((*level).min(8)), text.replace('\n', " ")))?;
        self.output.end_line();
        Ok(())
    }

    /// The footnotes, at the end of the text.
    fn notes(&mut self, text: &str) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, WHAT, self.limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            if !["footnote", "endnote"].contains(&element.name()) {
                continue;
            }
            // Separators have a type; notes have none.
            if element.attribute("type").is_some_and(|kind| kind != "normal") {
                walker.skip()?;
                continue;
            }
            let mark = note_mark(&element, element.name() == "endnote");
            let inside = walker.depth();
            let mut note = String::new();
            while walker.depth() >= inside {
                let Some(node) = walker.next()? else { break };
                if matches!(&node, Node::Start(element) if element.name() == "p") {
                    let mut inner = Vec::new();
                    note.push(' ');
                    note.push_str(self.paragraph(&mut walker, &mut inner)?.text.trim());
                }
            }
            if !note.trim().is_empty() {
                self.output.paragraph(&format!("{mark}: {}", note.trim()))?;
            }
        }
        Ok(())
    }
}

fn note_mark(element: &Element<'_>, is_end: bool) -> String {
    let id = element.attribute("id").unwrap_or_default();
    if is_end { format!("[^e{id}]") } else { format!("[^{id}]") }
}

/// A character of a symbol font; private-use ones mean nothing without the font.
fn symbol(element: &Element<'_>) -> Option<char> {
    let code = u32::from_str_radix(&element.attribute("char")?, 16).ok()?;
    char::from_u32(code).filter(|_| !(0xe000..0xf900).contains(&code))
}
