//! Writes the paragraphs and tables of RTF as Markdown.

use super::super::error::ExtractError;
use super::super::line::clean_line;
use super::super::markdown;
use super::super::output::Output;

/// Maximum columns of a table.
const MAX_COLUMNS: usize = 1_000;
/// Maximum headers and footers that are kept.
const MAX_EDGES: usize = 200;

/// How a cell is merged: with the cell on its left, with the one above.
#[derive(Clone, Copy, Default)]
struct Merged {
    left: bool,
    above: bool,
}

pub(super) struct RtfWriter<'a> {
    output: &'a mut Output,
    line: String,
    heading: Option<u8>,
    is_in_table: bool,
    /// The cells of the open row, and the rows of the open table.
    cells: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How the cells of the open row are merged, and the one being defined.
    merged: Vec<Merged>,
    next: Merged,
    /// The text that a note or header interrupts, with its row.
    interrupted: Vec<(String, bool)>,
    notes: Vec<String>,
    author: String,
    comments: Vec<String>,
    edges: Vec<String>,
    was_item: bool,
}

impl<'a> RtfWriter<'a> {
    pub(super) fn new(output: &'a mut Output) -> Self {
        Self {
            output,
            line: String::new(),
            heading: None,
            is_in_table: false,
            cells: Vec::new(),
            rows: Vec::new(),
            merged: Vec::new(),
            next: Merged::default(),
            interrupted: Vec::new(),
            notes: Vec::new(),
            author: String::new(),
            comments: Vec::new(),
            edges: Vec::new(),
            was_item: false,
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.line.push_str(text);
    }

    pub(super) fn warn(&mut self, warning: &str) {
        self.output.warn(warning);
    }

    pub(super) fn title(&mut self, title: &str) {
        self.output.title(title);
    }

    pub(super) fn author(&mut self, author: &str) {
        self.author = clean_line(author);
    }

    /// Sets the level of the paragraph as a heading.
    pub(super) fn heading(&mut self, level: Option<u8>) {
        self.heading = level;
    }

    pub(super) fn in_table(&mut self, is_in: bool) {
        self.is_in_table = is_in;
    }

    /// `\pard`: the paragraph has no properties of the one before.
    pub(super) fn begin_paragraph(&mut self) {
        if self.interrupted.is_empty() {
            self.heading = None;
            self.is_in_table = false;
        }
    }

    pub(super) fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        // Within a cell or a note it is a break.
        if self.is_in_table || !self.interrupted.is_empty() {
            if !self.line.is_empty() {
                self.line.push('\n');
            }
            return Ok(());
        }
        self.end_table()?;
        let line = std::mem::take(&mut self.line);
        let text = line.trim();
        if !text.is_empty() {
            self.write(text)?;
        }
        self.write_comments()
    }

    fn write(&mut self, text: &str) -> Result<(), ExtractError> {
        let was_item = std::mem::take(&mut self.was_item);
        if let Some(level) = self.heading {
            let marks = "#".repeat(usize::from(level.min(6)));
            return self.output.paragraph(&format!("{marks} {}", clean_line(text)));
        }
        let bullet = ["•", "·", "\u{b7}", "◦", "▪", "o", "§", "-", "–"];
        if let Some((mark, item)) = text.split_once('\t')
            && mark.chars().count() <= 12
            && !item.trim().is_empty()
            && (bullet.contains(&mark.trim()) || is_number(mark.trim()))
        {
            if !was_item {
                self.output.end_paragraph();
            }
            self.was_item = true;
            let mark = if is_number(mark.trim()) { mark.trim() } else { "-" };
            self.output.end_line();
            self.output.push(&format!("{mark} {}", item.trim().replace('\n', " ")))?;
            self.output.end_line();
            return Ok(());
        }
        self.output.paragraph(&markdown::escape(text))
    }

    pub(super) fn begin_row(&mut self) {
        self.merged.clear();
        self.next = Merged::default();
    }

    pub(super) fn merge(&mut self, is_left: bool) {
        if is_left {
            self.next.left = true;
        } else {
            self.next.above = true;
        }
    }

    pub(super) fn define_cell(&mut self) {
        let merged = std::mem::take(&mut self.next);
        if self.merged.len() < MAX_COLUMNS {
            self.merged.push(merged);
        }
    }

    pub(super) fn end_cell(&mut self) {
        let cell = clean_cell(&std::mem::take(&mut self.line));
        if self.cells.len() < MAX_COLUMNS {
            self.cells.push(cell);
        } else if let Some(last) = self.cells.last_mut() {
            last.push(' ');
            last.push_str(&cell);
        }
    }

    pub(super) fn end_row(&mut self) -> Result<(), ExtractError> {
        if !clean_cell(&self.line).is_empty() {
            self.end_cell();
        }
        let mut cells = std::mem::take(&mut self.cells);
        if !cells.iter().any(|cell| !cell.is_empty()) {
            return Ok(());
        }
        let above = self.rows.last();
        for (column, (cell, merged)) in cells.iter_mut().zip(&self.merged).enumerate() {
            if merged.above
                && cell.is_empty()
                && let Some(text) = above.and_then(|row| row.get(column)).filter(|text| text.len() <= 200)
            {
                cell.clone_from(text);
            }
            if merged.left {
                cell.clear();
            }
        }
        self.rows.push(cells);
        Ok(())
    }

    fn end_table(&mut self) -> Result<(), ExtractError> {
        if !self.cells.is_empty() {
            self.end_row()?;
        }
        let rows = std::mem::take(&mut self.rows);
        match rows.as_slice() {
            [] => return Ok(()),
            [row] if row.len() == 1 => self.output.paragraph(&row.concat())?,
            rows => self.output.paragraph(&markdown::table(rows))?,
        }
        self.was_item = false;
        self.write_comments()
    }

    fn write_comments(&mut self) -> Result<(), ExtractError> {
        let comments = std::mem::take(&mut self.comments);
        comments.iter().try_for_each(|comment| self.output.paragraph(comment))
    }

    /// The mark of the note that comes next, unless the mark is in the note itself.
    pub(super) fn note_mark(&mut self) {
        if self.interrupted.is_empty() {
            let mark = format!("[^{}]", self.notes.len() + 1);
            self.line.push_str(&mark);
        }
    }

    /// Begins a note, comment or header, which stands in the middle of a paragraph.
    pub(super) fn begin_aside(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.interrupted.push((line, self.is_in_table));
        self.is_in_table = false;
    }

    fn end_aside(&mut self) -> String {
        let aside = clean_cell(&std::mem::take(&mut self.line));
        if let Some((line, is_in_table)) = self.interrupted.pop() {
            self.line = line;
            self.is_in_table = is_in_table;
        }
        aside
    }

    pub(super) fn end_note(&mut self) -> Result<(), ExtractError> {
        let note = self.end_aside();
        let number = self.notes.len() + 1;
        let mark = format!("[^{number}]");
        if !self.line.ends_with(&mark) {
            self.line.push_str(&mark);
        }
        self.notes.push(format!("{mark}: {note}"));
        Ok(())
    }

    pub(super) fn end_comment(&mut self) -> Result<(), ExtractError> {
        let comment = self.end_aside();
        let author = std::mem::take(&mut self.author);
        let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
        if !comment.is_empty() {
            self.comments.push(format!("Comment{by}: {comment}"));
        }
        Ok(())
    }

    pub(super) fn end_edge(&mut self, name: &str) {
        let edge = self.end_aside();
        // Page numbers and the words around them are not text.
        let letters = edge.chars().filter(|character| character.is_alphabetic()).count();
        let edge = format!("{name}: {edge}");
        if letters > 8 && !self.edges.contains(&edge) && self.edges.len() < MAX_EDGES {
            self.edges.push(edge);
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), ExtractError> {
        while !self.interrupted.is_empty() {
            self.end_note()?;
        }
        self.is_in_table = false;
        self.end_table()?;
        self.end_paragraph()?;
        self.write_comments()?;
        for paragraph in std::mem::take(&mut self.notes).iter().chain(&std::mem::take(&mut self.edges)) {
            self.output.paragraph(paragraph)?;
        }
        Ok(())
    }
}

fn clean_cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a mark is the number of a list item: `1.`, `(a)`, `2.1`, `iv)`.
fn is_number(mark: &str) -> bool {
    let inner = mark.trim_matches(['(', ')', '.', ':']);
    let has_sign = inner.len() < mark.len() || inner.contains('.');
    has_sign
        && !inner.is_empty()
        && inner.split('.').all(|part| {
            part.bytes().all(|byte| byte.is_ascii_digit())
                || (part.len() <= 5 && part.chars().all(|letter| "ivxlcIVXLC".contains(letter)))
                || (part.chars().count() == 1 && part.chars().all(char::is_alphabetic))
        })
}
