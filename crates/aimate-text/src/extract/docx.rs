//! Converts Word documents to Markdown.

mod lists;
mod notes;
mod numbers;
mod paragraph;
mod styles;

use std::collections::BTreeMap;

use lists::Lists;
use numbers::NoteNumbers;
use paragraph::{Paragraph, SKIPPED};
use styles::Styles;

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::drawing::{self, ChartData};
use super::error::ExtractError;
use super::grid::{self, GridCell};
use super::limits::Limits;
use super::ooxml::{self, Relations};
use super::output::Output;
use super::source::Source;
use super::xml::{Element, Node, Walker};
use super::{markdown, media};

const WHAT: &str = "Word document";

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let archive = Archive::open(source, WHAT, limits)?;
    let mut output = Output::new(limits);
    Body::open(archive, &mut output, limits)?.write()?;
    output.finish(media::DOCX, TextKind::Markdown)
}

struct Body<'a> {
    archive: Archive,
    part: String,
    relations: Relations,
    styles: Styles,
    lists: Lists,
    comments: BTreeMap<String, Vec<String>>,
    numbers: NoteNumbers,
    output: &'a mut Output,
    limits: &'a Limits,
    was_item: bool,
    pictures: usize,
    objects: usize,
    /// Documents in the document that are not read.
    chunks: usize,
}

impl<'a> Body<'a> {
    fn open(mut archive: Archive, output: &'a mut Output, limits: &'a Limits) -> Result<Self, ExtractError> {
        let part = ooxml::main_part(&mut archive, "word/document.xml", WHAT, limits)?;
        let relations = Relations::of(&mut archive, &part, WHAT, limits)?;
        let mut linked = |kind: &str| match relations.of_type(kind) {
            Some(name) => archive.text(name),
            None => Ok(None),
        };
        let styles = Styles::read(linked("styles")?.as_deref(), limits)?;
        let lists = Lists::read(linked("numbering")?.as_deref(), limits)?;
        let comments = match linked("comments")? {
            Some(text) => notes::comments(&text, limits)?,
            None => BTreeMap::new(),
        };
        if let Some(title) = ooxml::title(&mut archive, WHAT, limits) {
            output.title(&title);
        }
        Ok(Self {
            archive,
            part,
            relations,
            styles,
            lists,
            comments,
            numbers: NoteNumbers::default(),
            output,
            limits,
            was_item: false,
            pictures: 0,
            objects: 0,
            chunks: 0,
        })
    }

    fn write(mut self) -> Result<(), ExtractError> {
        let outcome = self.stories();
        self.output.keep(outcome)?;
        let warnings = [
            (self.pictures, "pictures", "were not read; text in them needs OCR (text recognition)"),
            (self.objects, "embedded objects", "were not read; upload the files that they were made of"),
            (self.chunks, "documents in the document", "were not read; upload them by themselves"),
        ];
        for (count, what, left) in warnings {
            if count > 0 {
                self.output.warn(format!("{count} {what} {left}"));
            }
        }
        Ok(())
    }

    /// The body, and what stands beside it.
    fn stories(&mut self) -> Result<(), ExtractError> {
        let text = self.archive.need(&self.part)?;
        self.body(&text)?;
        for kind in ["footnotes", "endnotes"] {
            let outcome = self.notes(kind);
            self.output.spare(format_args!("the part of the {kind}"), outcome)?;
        }
        // Comments on what was deleted.
        for comment in std::mem::take(&mut self.comments).into_values().flatten() {
            self.output.paragraph(&comment)?;
        }
        let outcome = self.edges();
        self.output.spare("a header or footer", outcome)
    }

    fn notes(&mut self, kind: &str) -> Result<(), ExtractError> {
        let Some(name) = self.relations.of_type(kind).map(str::to_owned) else { return Ok(()) };
        let Some(text) = self.archive.text(&name)? else { return Ok(()) };
        let notes = notes::notes(&text, &mut self.numbers, self.limits)?;
        notes.iter().try_for_each(|note| self.output.paragraph(note))
    }

    /// The headers and footers, each different line once.
    fn edges(&mut self) -> Result<(), ExtractError> {
        let mut seen: Vec<String> = Vec::new();
        for (kind, name) in [("header", "Header"), ("footer", "Footer")] {
            for part in self.relations.all_of_type(kind) {
                let Some(text) = self.archive.text(&part)? else { continue };
                for line in notes::edge(&text, self.limits)? {
                    if !seen.contains(&line) && seen.len() < 200 {
                        self.output.paragraph(&format!("{name}: {line}"))?;
                        seen.push(line);
                    }
                }
            }
        }
        Ok(())
    }

    fn body(&mut self, text: &str) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, WHAT, self.limits);
        let outcome = self.blocks(&mut walker);
        if outcome.is_err() && self.output.is_cut() {
            self.output.read_until(walker.position() as f64 / text.len().max(1) as f64);
        }
        outcome
    }

    fn blocks(&mut self, walker: &mut Walker<'_>) -> Result<(), ExtractError> {
        while let Some(node) = walker.next()? {
            self.output.check_time()?;
            let Node::Start(element) = node else { continue };
            match element.name() {
                "p" => {
                    let paragraph = Paragraph::read(walker, &mut self.numbers)?;
                    self.write_paragraph(&paragraph)?;
                    self.write_beside(&paragraph)?;
                }
                "tbl" => {
                    let mut beside = Paragraph::default();
                    let rows = self.table(walker, &mut beside)?;
                    self.was_item = false;
                    self.write_table(&rows)?;
                    self.write_beside(&beside)?;
                }
                // A formula between paragraphs.
                "oMath" => {
                    let text = super::equation::read(walker)?;
                    self.output.paragraph(&text)?;
                }
                "altChunk" => self.chunk(&element)?,
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A document of another format within this one.
    fn chunk(&mut self, element: &Element<'_>) -> Result<(), ExtractError> {
        let id = element.attribute("id").unwrap_or_default();
        let part = self.relations.target(&id).map(str::to_owned).unwrap_or_default();
        self.was_item = false;
        let is_read = match self.archive.read(&part)? {
            Some(bytes) => write_chunk(&part, &bytes, self.output, self.limits)?,
            None => false,
        };
        self.chunks += usize::from(!is_read);
        Ok(())
    }

    /// The rows of a table, each cell's paragraphs in one line. What stands beside its
    /// text goes to `beside`.
    fn table(
        &mut self,
        walker: &mut Walker<'_>,
        beside: &mut Paragraph,
    ) -> Result<Vec<Vec<String>>, ExtractError> {
        let inside = walker.depth();
        let mut rows: Vec<Vec<WordCell>> = Vec::new();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            let number = || element.attribute("val").and_then(|number| number.parse::<usize>().ok());
            let last = rows.last_mut();
            match element.name() {
                "tr" => rows.push(Vec::new()),
                "gridBefore" | "gridAfter" => {
                    if let Some(row) = last {
                        let columns = number().unwrap_or(0).min(64);
                        row.push(WordCell { columns, ..WordCell::default() });
                    }
                }
                "tc" => {
                    if let Some(row) = last {
                        row.push(WordCell { columns: 1, ..WordCell::default() });
                    }
                }
                "gridSpan" => {
                    if let Some(cell) = last.and_then(|row| row.last_mut()) {
                        cell.columns = number().unwrap_or(1).clamp(1, 64);
                    }
                }
                "vMerge" => {
                    let goes_on = element.attribute("val").is_none_or(|kind| kind != "restart");
                    if let Some(cell) = last.and_then(|row| row.last_mut()) {
                        cell.goes_on = goes_on;
                    }
                }
                "p" => {
                    let mut paragraph = Paragraph::read(walker, &mut self.numbers)?;
                    let text = self.cell_text(&paragraph);
                    beside.comments.append(&mut paragraph.comments);
                    beside.drawings.append(&mut paragraph.drawings);
                    beside.described.append(&mut paragraph.described);
                    beside.pictures += paragraph.pictures;
                    beside.objects += paragraph.objects;
                    if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                        cell.text.push(' ');
                        cell.text.push_str(&text);
                    }
                }
                // A table in a cell gives its cells to that cell.
                "tbl" => {
                    let inner = self.table(walker, beside)?;
                    let lines: Vec<String> = inner.iter().map(|row| row.join(" ")).collect();
                    if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                        cell.text.push(' ');
                        cell.text.push_str(&lines.join(" "));
                    }
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        Ok(grid::lay_out(spanned(rows)))
    }

    fn cell_text(&mut self, paragraph: &Paragraph) -> String {
        let mut text = String::new();
        for paragraph in std::iter::once(paragraph).chain(&paragraph.boxed) {
            if paragraph.text.trim().is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            if let Some((list, level)) = self.list_of(paragraph) {
                let mark = self.lists.mark(&list, level);
                if !mark.is_empty() {
                    text.push_str(&mark);
                    text.push(' ');
                }
            }
            text.push_str(paragraph.text.trim());
        }
        text
    }

    fn write_table(&mut self, rows: &[Vec<String>]) -> Result<(), ExtractError> {
        // A table of one cell is a frame around text.
        match rows {
            [row] if row.len() == 1 => self.output.paragraph(&row.concat()),
            _ => self.output.paragraph(&markdown::table(rows)),
        }
    }

    /// What stands in a paragraph beside its text: boxes, charts, comments.
    fn write_beside(&mut self, paragraph: &Paragraph) -> Result<(), ExtractError> {
        paragraph.boxed.iter().try_for_each(|boxed| self.write_paragraph(boxed))?;
        for picture in &paragraph.described {
            self.was_item = false;
            self.output.paragraph(picture)?;
        }
        if !paragraph.drawings.is_empty() {
            let ids = &paragraph.drawings;
            let texts = drawing::of_part(
                &mut self.archive,
                &self.relations,
                ids,
                ChartData::Read,
                WHAT,
                self.limits,
            )?;
            for text in texts {
                self.was_item = false;
                self.output.paragraph(&markdown::escape(&text))?;
            }
        }
        for comment in paragraph.comments.iter().filter_map(|id| self.comments.remove(id)).flatten() {
            self.was_item = false;
            self.output.paragraph(&comment)?;
        }
        self.pictures += paragraph.pictures;
        self.objects += paragraph.objects;
        Ok(())
    }

    /// The list and level of a paragraph.
    fn list_of(&self, paragraph: &Paragraph) -> Option<(String, usize)> {
        let style = paragraph.style.as_deref();
        let own = paragraph.list.as_ref();
        let number = own.map(|(number, _)| number.clone()).filter(|number| !number.is_empty());
        // A list numbered 0 takes a paragraph out of the list of its style.
        if number.as_deref() == Some("0") {
            return None;
        }
        let of_style = self.styles.list(style);
        let list = number.or_else(|| of_style.as_ref().map(|(list, _)| list.clone()))?;
        let level = own
            .and_then(|(_, level)| *level)
            .or_else(|| self.styles.up(style?, |id, _| self.lists.level_of_style(&list, id)))
            .or_else(|| of_style.map(|(_, level)| level));
        (list != "0").then_some((list, level.unwrap_or(0)))
    }

    fn write_paragraph(&mut self, paragraph: &Paragraph) -> Result<(), ExtractError> {
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
        let list = self.list_of(paragraph);
        let mark = list.as_ref().map(|(list, level)| self.lists.mark(list, *level));
        if let Some(level) = paragraph.outline.or_else(|| self.styles.heading(style)) {
            self.was_item = false;
            let marks = "#".repeat(usize::from(level.min(6)));
            let number = mark.filter(|mark| !mark.is_empty() && mark != "-").map(|mark| format!("{mark} "));
            let number = number.unwrap_or_default();
            return self.output.paragraph(&format!("{marks} {number}{}", text.replace('\n', " ")));
        }
        let (Some((_, level)), Some(mark)) = (&list, mark.filter(|mark| !mark.is_empty())) else {
            self.was_item = false;
            return self.output.paragraph(&markdown::escape(text));
        };
        if !self.was_item {
            self.output.end_paragraph();
        }
        self.was_item = true;
        self.output.end_line();
        self.output.push(&format!("{}{mark} {}", "  ".repeat((*level).min(8)), text.replace('\n', " ")))?;
        self.output.end_line();
        Ok(())
    }
}

/// A cell as Word keeps it.
#[derive(Default)]
struct WordCell {
    text: String,
    columns: usize,
    /// It is merged with the cell above.
    goes_on: bool,
}

/// Cells with the number of rows that each spans.
fn spanned(rows: Vec<Vec<WordCell>>) -> Vec<Vec<GridCell>> {
    let mut below: BTreeMap<usize, usize> = BTreeMap::new();
    let mut spanned: Vec<Vec<GridCell>> = Vec::new();
    // From the last row to the first: how many cells go on below each column.
    for row in rows.into_iter().rev() {
        let (mut column, mut cells, mut open) = (0, Vec::new(), BTreeMap::new());
        for cell in row {
            let rows = below.get(&column).copied().unwrap_or(0) + 1;
            if cell.goes_on {
                open.insert(column, rows);
            } else if cell.columns > 0 {
                cells.push(GridCell { text: cell.text, columns: cell.columns, rows });
            }
            column += cell.columns;
        }
        below = open;
        spanned.push(cells);
    }
    spanned.reverse();
    spanned
}

/// Writes a document of another format; whether it is one that is read.
fn write_chunk(part: &str, bytes: &[u8], output: &mut Output, limits: &Limits) -> Result<bool, ExtractError> {
    let media_type = media::media_type(part, bytes);
    match media_type {
        #[cfg(feature = "extract-html")]
        media::HTML | media::XHTML => {
            let (text, _) = super::decode::decode(bytes, None)?;
            let is_xml = media_type == media::XHTML;
            let page = super::html::HtmlPage::read(&text, super::html::ContentScope::Whole, is_xml, limits);
            output.end_paragraph();
            page.write(output)?;
            output.end_line();
            Ok(true)
        }
        media::RTF => {
            output.end_paragraph();
            super::rtf::write(bytes, output, limits)?;
            output.end_line();
            Ok(true)
        }
        media::PLAIN | media::MARKDOWN => {
            let (text, _) = super::decode::decode(bytes, None)?;
            output.paragraph(&markdown::escape(&text))?;
            Ok(true)
        }
        media::DOCX => {
            let archive = Archive::open(&Source::Memory(bytes.into()), WHAT, limits)?;
            // A document in a document in a document is not looked for.
            let mut inner = Body::open(archive, output, limits)?;
            let text = inner.archive.need(&inner.part.clone())?;
            if text.contains("altChunk") {
                return Ok(false);
            }
            inner.body(&text)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
