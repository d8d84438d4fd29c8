//! The paragraphs, lists, tables and slides of OpenDocument.

use super::super::archive::Archive;
use super::super::error::ExtractError;
use super::super::grid::{self, GridCell};
use super::super::limits::Limits;
use super::super::line::clean_line;
use super::super::markdown;
use super::super::output::Output;
use super::super::picture;
use super::super::xml::{Element, Node, Walker};
use super::lists::ListStyles;

/// Maximum spaces that one element can stand for.
const MAX_SPACES: usize = 200;
/// Maximum copies of a repeated cell or row.
const MAX_REPEATED: usize = 1_000;

/// Elements whose text is not the document's.
const SKIPPED: [&str; 13] = [
    "tracked-changes",
    "forms",
    "page-number",
    "page-count",
    "ruby-text",
    "index-title-template",
    "table-of-content-source",
    "note-citation",
    "event-listeners",
    "variable-decls",
    "sequence-decls",
    "settings",
    "date-time-decl",
];

pub(super) struct OdfBody<'a> {
    archive: &'a mut Archive,
    output: &'a mut Output,
    lists: ListStyles,
    what: &'static str,
    limits: &'a Limits,
    notes: Vec<String>,
    /// The comments on the paragraph that is read.
    comments: Vec<String>,
    slides: u32,
    was_item: bool,
    pictures: usize,
    objects: usize,
}

/// The list that a paragraph is in.
#[derive(Clone, Default)]
struct ListPlace {
    style: String,
    level: usize,
    start: Option<u32>,
    /// The item has no mark yet.
    is_first: bool,
}

impl<'a> OdfBody<'a> {
    pub(super) fn new(
        archive: &'a mut Archive,
        output: &'a mut Output,
        lists: ListStyles,
        what: &'static str,
        limits: &'a Limits,
    ) -> Self {
        Self {
            archive,
            output,
            lists,
            what,
            limits,
            notes: Vec::new(),
            comments: Vec::new(),
            slides: 0,
            was_item: false,
            pictures: 0,
            objects: 0,
        }
    }

    pub(super) fn read(&mut self, text: &str) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, self.what, self.limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            if element.name() == "body" {
                self.blocks(&mut walker, None)?;
            }
        }
        for note in std::mem::take(&mut self.notes) {
            self.output.paragraph(&note)?;
        }
        Ok(())
    }

    /// The headers and footers of the pages, each different line once.
    pub(super) fn edges(&mut self, styles: &str) -> Result<(), ExtractError> {
        if styles.is_empty() {
            return Ok(());
        }
        let mut walker = Walker::new(styles, self.what, self.limits);
        let mut seen: Vec<String> = Vec::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            let name = match element.name() {
                "header" | "header-left" | "header-first" => "Header",
                "footer" | "footer-left" | "footer-first" => "Footer",
                _ => continue,
            };
            let inside = walker.depth();
            while walker.depth() >= inside {
                let Some(node) = walker.next()? else { break };
                let Node::Start(element) = node else { continue };
                if element.name() == "p" {
                    let line = clean_line(&self.paragraph(&mut walker)?.0);
                    let letters = line.chars().filter(|character| character.is_alphanumeric()).count();
                    let line = format!("{name}: {line}");
                    if letters > 8 && !seen.contains(&line) && seen.len() < 200 {
                        self.output.paragraph(&line)?;
                        seen.push(line);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) {
        for (count, what, left) in [
            (self.pictures, "pictures", "were not read; text in them needs OCR (text recognition)"),
            (self.objects, "embedded objects", "were not read; upload the files that they were made of"),
        ] {
            if count > 0 {
                self.output.warn(format!("{count} {what} {left}"));
            }
        }
    }

    /// Writes the blocks up to the end of the element whose start came last.
    fn blocks(&mut self, walker: &mut Walker<'_>, mut place: Option<ListPlace>) -> Result<(), ExtractError> {
        let inside = walker.depth();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "h" => {
                    let level =
                        element.attribute("outline-level").and_then(|level| level.parse::<usize>().ok());
                    let level = level.unwrap_or(1).clamp(1, 10);
                    let is_plain = element.attribute("is-list-header").is_some_and(|header| header == "true");
                    let (text, boxed) = self.paragraph(walker)?;
                    let mark = if is_plain { String::new() } else { self.lists.mark("", level - 1, None) };
                    self.was_item = false;
                    let text = clean_line(&format!("{mark} {text}"));
                    if !text.is_empty() {
                        self.output.paragraph(&format!("{} {text}", "#".repeat(level.min(6))))?;
                    }
                    self.beside(&boxed)?;
                }
                "p" => {
                    let style = element.prefixed("text:style-name").unwrap_or_default();
                    let (text, boxed) = self.paragraph(walker)?;
                    self.write(&text, &style, place.as_mut())?;
                    self.beside(&boxed)?;
                }
                "list" => self.list(&element, walker, place.as_ref())?,
                "table" => {
                    let rows = self.table(walker)?;
                    self.was_item = false;
                    match rows.as_slice() {
                        [row] if row.len() == 1 => self.output.paragraph(&row.concat())?,
                        rows => self.output.paragraph(&markdown::table(rows))?,
                    }
                    self.beside(&[])?;
                }
                "page" => self.slide(&element, walker)?,
                "notes" => self.speaker_notes(walker)?,
                "annotation" => self.annotation(walker)?,
                "table-of-content" | "alphabetical-index" => walker.skip()?,
                "frame" if is_title(&element) => {
                    let title = clean_line(&self.inner_text(walker)?);
                    if !title.is_empty() {
                        self.was_item = false;
                        self.output.title(&title);
                        self.output.paragraph(&format!("## {title}"))?;
                    }
                }
                "image" => {
                    self.pictures += 1;
                    walker.skip()?;
                }
                "object" | "object-ole" => self.object(&element)?,
                "title" | "desc" if element.is_of("svg") => {
                    let described = picture::described(&walker.inner_text()?);
                    self.beside(&Vec::from_iter(described))?;
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str, style: &str, place: Option<&mut ListPlace>) -> Result<(), ExtractError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if self.lists.titles.iter().any(|title| title == style) || style == "Title" {
            self.was_item = false;
            self.output.title(text);
            return self.output.paragraph(&format!("# {}", clean_line(text)));
        }
        let Some(place) = place else {
            self.was_item = false;
            return self.output.paragraph(&markdown::escape(text));
        };
        let indent = "  ".repeat(place.level.min(8));
        let mark = if std::mem::take(&mut place.is_first) {
            self.lists.mark(&place.style, place.level, place.start.take())
        } else {
            String::new()
        };
        if !self.was_item {
            self.output.end_paragraph();
        }
        self.was_item = true;
        self.output.end_line();
        let gap = if mark.is_empty() { "" } else { " " };
        self.output.push(&format!("{indent}{mark}{gap}{}", text.replace('\n', " ")))?;
        self.output.end_line();
        Ok(())
    }

    /// What stands beside a paragraph: boxes and comments.
    fn beside(&mut self, boxed: &[String]) -> Result<(), ExtractError> {
        for text in boxed.iter().chain(&std::mem::take(&mut self.comments)) {
            self.was_item = false;
            self.output.paragraph(&markdown::escape(text))?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        element: &Element<'_>,
        walker: &mut Walker<'_>,
        outer: Option<&ListPlace>,
    ) -> Result<(), ExtractError> {
        let named = element.prefixed("text:style-name");
        let style =
            named.or_else(|| outer.map(|outer| outer.style.clone())).unwrap_or_else(|| "-".to_owned());
        let level = outer.map_or(0, |outer| outer.level + 1);
        let goes_on = element.attribute("continue-numbering").is_some_and(|on| on == "true")
            || element.attribute("continue-list").is_some();
        if level == 0 && !goes_on {
            self.lists.restart(&style);
        }
        let inside = walker.depth();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "list-item" | "list-header" => {
                    let is_first = element.name() == "list-item";
                    let start = element.attribute("start-value").and_then(|start| start.parse().ok());
                    let place = ListPlace { style: style.clone(), level, start, is_first };
                    self.blocks(walker, Some(place))?;
                }
                _ => walker.skip()?,
            }
        }
        Ok(())
    }

    /// The text of a paragraph, and that of the boxes in it.
    fn paragraph(&mut self, walker: &mut Walker<'_>) -> Result<(String, Vec<String>), ExtractError> {
        let inside = walker.depth();
        let (mut text, mut boxed) = (String::new(), Vec::new());
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let element = match node {
                Node::Start(element) => element,
                Node::Text(piece) => {
                    // White space in the file is one space.
                    for (number, word) in piece.split([' ', '\t', '\n', '\r']).enumerate() {
                        if number > 0 && !text.ends_with([' ', '\n']) {
                            text.push(' ');
                        }
                        text.push_str(word);
                    }
                    continue;
                }
                Node::End => continue,
            };
            match element.name() {
                "s" => {
                    let count = element.attribute("c").and_then(|count| count.parse().ok()).unwrap_or(1);
                    text.push_str(&" ".repeat(usize::min(count, MAX_SPACES)));
                }
                "tab" => text.push('\t'),
                "line-break" => text.push('\n'),
                "note" => self.note(&element, walker, &mut text)?,
                "annotation" => self.annotation(walker)?,
                "text-box" => boxed.push(self.inner_text(walker)?),
                "image" => {
                    self.pictures += 1;
                    walker.skip()?;
                }
                "object" | "object-ole" => {
                    if let Some(formula) = self.formula(&element)? {
                        text.push_str(&formula);
                    } else {
                        self.objects += 1;
                    }
                }
                "title" | "desc" if element.is_of("svg") => {
                    boxed.extend(picture::described(&walker.inner_text()?));
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        Ok((text, boxed))
    }

    fn note(
        &mut self,
        element: &Element<'_>,
        walker: &mut Walker<'_>,
        text: &mut String,
    ) -> Result<(), ExtractError> {
        let is_end = element.attribute("note-class").is_some_and(|class| class == "endnote");
        let number = self.notes.len() + 1;
        let mark = if is_end { format!("[^e{number}]") } else { format!("[^{number}]") };
        text.push_str(&mark);
        // The place is taken before the note, which could have notes of its own.
        self.notes.push(String::new());
        let note = clean_line_of(&self.inner_text(walker)?);
        if let Some(place) = self.notes.get_mut(number - 1) {
            *place = format!("{mark}: {note}");
        }
        Ok(())
    }

    fn annotation(&mut self, walker: &mut Walker<'_>) -> Result<(), ExtractError> {
        let inside = walker.depth();
        let (mut author, mut text) = (String::new(), String::new());
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "creator" => author = clean_line(&walker.inner_text()?),
                "date" | "date-string" | "meta" | "creator-initials" => walker.skip()?,
                "p" => {
                    text.push(' ');
                    text.push_str(&self.paragraph(walker)?.0);
                }
                _ => {}
            }
        }
        let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
        if !text.trim().is_empty() {
            self.comments.push(format!("Comment{by}: {}", clean_line_of(&text)));
        }
        Ok(())
    }

    /// The paragraphs up to the end of the element whose start came last, one a line.
    fn inner_text(&mut self, walker: &mut Walker<'_>) -> Result<String, ExtractError> {
        let inside = walker.depth();
        let mut lines = Vec::new();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "p" | "h" => {
                    let (text, boxed) = self.paragraph(walker)?;
                    lines.push(text);
                    lines.extend(boxed);
                }
                "annotation" => self.annotation(walker)?,
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => {}
            }
        }
        lines.retain(|line| !line.trim().is_empty());
        Ok(lines.join("\n"))
    }

    /// The rows of a table; a table in a cell gives its text to that cell.
    fn table(&mut self, walker: &mut Walker<'_>) -> Result<Vec<Vec<String>>, ExtractError> {
        let inside = walker.depth();
        let mut rows: Vec<Vec<GridCell>> = Vec::new();
        let mut repeated = 1;
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            let number = |name: &str| {
                let number = element.attribute(name).and_then(|number| number.parse::<usize>().ok());
                number.unwrap_or(1).clamp(1, MAX_REPEATED)
            };
            match element.name() {
                "table-row" => {
                    repeat_last(&mut rows, repeated);
                    repeated = number("number-rows-repeated");
                    rows.push(Vec::new());
                }
                "table-cell" => {
                    let copies = number("number-columns-repeated");
                    let (columns, spanned) =
                        (number("number-columns-spanned"), number("number-rows-spanned"));
                    let text = clean_line_of(&self.inner_text(walker)?);
                    if let Some(row) = rows.last_mut() {
                        let copies = if text.is_empty() { copies.min(50) } else { copies };
                        let cell = GridCell { text, columns, rows: spanned };
                        row.extend(std::iter::repeat_n(cell, copies));
                    }
                }
                "covered-table-cell" => walker.skip()?,
                _ => {}
            }
        }
        repeat_last(&mut rows, repeated);
        Ok(grid::lay_out(rows))
    }

    fn slide(&mut self, element: &Element<'_>, walker: &mut Walker<'_>) -> Result<(), ExtractError> {
        self.slides += 1;
        let name = element.prefixed("draw:name").unwrap_or_default();
        self.was_item = false;
        self.output.page(self.slides, Some(&name));
        self.blocks(walker, None)?;
        self.beside(&[])
    }

    fn speaker_notes(&mut self, walker: &mut Walker<'_>) -> Result<(), ExtractError> {
        let notes = self.inner_text(walker)?;
        self.was_item = false;
        if notes.trim().is_empty() {
            Ok(())
        } else {
            self.output.paragraph(&format!("Notes: {}", notes.trim()))
        }
    }

    /// The text of an object of its own, such as a formula or chart.
    fn object(&mut self, element: &Element<'_>) -> Result<(), ExtractError> {
        match self.formula(element)? {
            Some(text) => {
                self.was_item = false;
                self.output.paragraph(&text)
            }
            None => {
                self.objects += 1;
                Ok(())
            }
        }
    }

    fn formula(&mut self, element: &Element<'_>) -> Result<Option<String>, ExtractError> {
        let Some(place) = element.attribute("href") else { return Ok(None) };
        let part = format!("{}/content.xml", place.trim_start_matches("./").trim_end_matches('/'));
        let Some(text) = self.archive.text(&part)? else { return Ok(None) };
        let mut walker = Walker::new(&text, self.what, self.limits);
        let mut pieces = Vec::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                // The formula as it was typed.
                "annotation" => return Ok(Some(clean_line(&walker.inner_text()?))),
                "p" | "mi" | "mn" | "mo" => pieces.push(walker.inner_text()?),
                "automatic-styles" => walker.skip()?,
                _ => {}
            }
        }
        let text = clean_line_of(&pieces.join(" "));
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

fn is_title(element: &Element<'_>) -> bool {
    element.prefixed("presentation:class").is_some_and(|class| class == "title")
}

fn repeat_last(rows: &mut Vec<Vec<GridCell>>, times: usize) {
    if let Some(row) =
        rows.last().filter(|row| times > 1 && row.iter().any(|cell| !cell.text.is_empty())).cloned()
    {
        rows.extend(std::iter::repeat_n(row, times - 1));
    }
}

/// A text in one line, however long it is.
fn clean_line_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
