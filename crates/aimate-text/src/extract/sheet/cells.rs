//! The cells of a worksheet of Excel.

use std::collections::{BTreeMap, HashMap};

use super::super::archive::Archive;
use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::line::clean_line;
use super::super::ooxml::Relations;
use super::super::table::{Cell, CellKind, Hint, Origin, Rows, kind_of, one_line};
use super::super::xml::{Element, Node, Walker};
use super::escape::unescaped;
use super::hidden::Met;
use super::merges::{Area, MAX_COLUMNS, MAX_MERGES, Merges};
use super::styles::Shared;

/// What stands around the cells of a sheet.
#[derive(Default)]
pub(super) struct Surroundings {
    pub(super) notes: Notes,
    merges: Vec<Area>,
    /// The rows that are headers by what the file says: a table's, a filter's.
    headers: Vec<Area>,
}

/// The area of a reference such as `A2:B3`.
fn area(reference: &str) -> Option<Area> {
    let (first, last) = reference.split_once(':').unwrap_or((reference, reference));
    let (first, last) = (position(first)?, position(last)?);
    (first.0 <= last.0 && first.1 <= last.1).then_some(Area { first, last })
}

impl Surroundings {
    /// Reads what follows the cells of a sheet.
    pub(super) fn read(text: &str, what: &'static str, limits: &Limits) -> Result<Self, ExtractError> {
        let mut surroundings = Self::default();
        for name in ["mergeCells", "autoFilter"] {
            let Some(element) = element_behind(text, name) else { continue };
            let mut walker = Walker::new(element, what, limits);
            while let Some(node) = walker.next()? {
                let Node::Start(element) = node else { continue };
                let area = element.attribute("ref").and_then(|reference| area(&reference));
                match (element.name(), area) {
                    ("mergeCell", Some(area)) if surroundings.merges.len() < MAX_MERGES => {
                        surroundings.merges.push(area);
                    }
                    ("autoFilter", Some(area)) => surroundings.headers.push(area),
                    _ => {}
                }
            }
        }
        Ok(surroundings)
    }

    /// Adds what a table part says of its header.
    pub(super) fn add_table(
        &mut self,
        text: &str,
        what: &'static str,
        limits: &Limits,
    ) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, what, limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            if element.name() == "table" {
                let has_header = element.attribute("headerRowCount").is_none_or(|rows| rows != "0");
                let area = element.attribute("ref").and_then(|reference| area(&reference));
                self.headers.extend(area.filter(|_| has_header));
            }
        }
        Ok(())
    }

    fn is_header(&self, row: u32, column: u32) -> bool {
        self.headers.iter().any(|area| area.first.0 == row && (area.first.1..=area.last.1).contains(&column))
    }
}

/// The last element of a name in a part, with what is in it.
fn element_behind<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let tail = text.get(text.rfind("sheetData")?..)?;
    let at = tail.find(name)?;
    let start = tail.get(..at)?.rfind('<')?;
    let tag_end = at + tail.get(at..)?.find('>')? + 1;
    let tag = tail.get(start..tag_end)?;
    if tag.ends_with("/>") {
        return Some(tag);
    }
    let close = format!("{name}>");
    let end = tag_end + tail.get(tag_end..)?.find(&close)? + close.len();
    tail.get(start..end)
}

/// The comments of a sheet, by row and column.
#[derive(Default)]
pub(super) struct Notes(BTreeMap<(u32, u32), String>);

impl Notes {
    pub(super) fn read(
        archive: &mut Archive,
        relations: &Relations,
        what: &'static str,
        limits: &Limits,
    ) -> Result<Self, ExtractError> {
        let mut notes = Self::default();
        for part in relations.all_of_type("comments") {
            if let Some(text) = archive.text(&part)? {
                notes.comments(&text, what, limits)?;
            }
        }
        let mut threads: HashMap<(u32, u32), Vec<String>> = HashMap::new();
        for part in relations.all_of_type("threadedComment") {
            let Some(text) = archive.text(&part)? else { continue };
            let mut walker = Walker::new(&text, what, limits);
            let mut place = None;
            while let Some(node) = walker.next()? {
                let Node::Start(element) = node else { continue };
                match element.name() {
                    "threadedComment" => {
                        place = element.attribute("ref").and_then(|reference| position(&reference));
                    }
                    "text" => {
                        let text = clean(&walker.inner_text()?);
                        if let Some(place) = place {
                            threads.entry(place).or_default().push(text);
                        }
                    }
                    _ => {}
                }
            }
        }
        // The comment of such a cell is a copy for old readers.
        for (place, texts) in threads {
            notes.0.insert(place, format!("[Comment: {}]", texts.join(" / ")));
        }
        Ok(notes)
    }

    fn comments(&mut self, text: &str, what: &'static str, limits: &Limits) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, what, limits);
        let mut authors: Vec<String> = Vec::new();
        let mut current: Option<((u32, u32), String)> = None;
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "author" => authors.push(clean_line(&walker.inner_text()?)),
                "comment" => {
                    let author = element.attribute("authorId").and_then(|id| id.parse::<usize>().ok());
                    let author = author.and_then(|id| authors.get(id)).cloned().unwrap_or_default();
                    let place = element.attribute("ref").and_then(|reference| position(&reference));
                    current = place.map(|place| (place, author));
                }
                "text" => {
                    let text = clean(&rich_text(&mut walker)?);
                    let Some((place, author)) = current.take() else { continue };
                    // Excel writes the author before the text too.
                    let text = text.strip_prefix(&format!("{author}:")).map_or(text.as_str(), str::trim);
                    if !text.is_empty() {
                        let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
                        self.0.insert(place, format!("[Comment{by}: {text}]"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn clean(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of runs, without phonetic guides.
fn rich_text(walker: &mut Walker<'_>) -> Result<String, ExtractError> {
    let inside = walker.depth();
    let mut text = String::new();
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "t" => text.push_str(&unescaped(walker.inner_text()?)),
            "rPh" => walker.skip()?,
            _ => {}
        }
    }
    Ok(text)
}

/// Writes the rows of a sheet.
pub(super) fn write(
    text: &str,
    shared: &Shared,
    surroundings: &Surroundings,
    rows: &mut Rows<'_>,
    what: &'static str,
    limits: &Limits,
) -> Result<Met, ExtractError> {
    let mut walker = Walker::new(text, what, limits);
    let mut sheet = Sheet {
        shared,
        surroundings,
        merges: Merges::new(surroundings.merges.clone()),
        notes: surroundings.notes.0.iter().peekable(),
        row: 0,
        cells: Vec::new(),
        next: 0,
        is_hidden: false,
        met: Met::default(),
    };
    let mut row = 0;
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "row" => {
                let number = element.attribute("r").and_then(|number| number.parse::<u32>().ok());
                row = number.and_then(|number| number.checked_sub(1)).unwrap_or(row);
                sheet.go_to(row, rows)?;
                sheet.is_hidden = is_on(&element, "hidden");
                row = row.saturating_add(1);
            }
            "col" if is_on(&element, "hidden") => {
                let number =
                    |name: &str| element.attribute(name).and_then(|number| number.parse::<u32>().ok());
                if let (Some(first), Some(last)) = (number("min"), number("max")) {
                    sheet.met.hidden.add_columns(first.saturating_sub(1), last.saturating_sub(1));
                }
            }
            "c" => {
                let start = CellStart::of(&element);
                sheet.cell(&start, &mut walker, rows)?;
            }
            // What follows is not of cells; the walker need not see it.
            "sheetPr" | "sheetViews" | "mergeCells" | "conditionalFormatting" | "extLst" => {
                walker.skip()?;
            }
            _ => {}
        }
    }
    sheet.go_to(u32::MAX, rows)?;
    Ok(sheet.met)
}

fn is_on(element: &Element<'_>, name: &str) -> bool {
    element.attribute(name).is_some_and(|on| on == "1" || on == "true")
}

struct Sheet<'a> {
    shared: &'a Shared,
    surroundings: &'a Surroundings,
    merges: Merges,
    notes: std::iter::Peekable<std::collections::btree_map::Iter<'a, (u32, u32), String>>,
    /// The row that is being gathered, from 0, and the column of its next cell.
    row: u32,
    cells: Vec<Cell>,
    next: u32,
    /// Whether that row is hidden.
    is_hidden: bool,
    met: Met,
}

/// The attributes of a cell.
struct CellStart {
    place: Option<(u32, u32)>,
    kind: Stored,
    style: usize,
}

/// How the value of a cell is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// The number of a shared text.
    Shared,
    Truth,
    Error,
    Date,
    /// The result of a formula.
    Result,
    Text,
    Number,
}

impl CellStart {
    fn of(element: &Element<'_>) -> Self {
        let mut start = Self { place: None, kind: Stored::Number, style: 0 };
        element.each(|name, value| match name {
            "r" => start.place = position(value),
            "t" => start.kind = Stored::of(value),
            "s" => start.style = value.parse().unwrap_or(0),
            _ => {}
        });
        start
    }
}

impl Stored {
    fn of(name: &str) -> Self {
        match name {
            "s" => Self::Shared,
            "b" => Self::Truth,
            "e" => Self::Error,
            "d" => Self::Date,
            "str" => Self::Result,
            "inlineStr" => Self::Text,
            _ => Self::Number,
        }
    }
}

impl Sheet<'_> {
    /// Ends the row that is being gathered and goes on to another.
    fn go_to(&mut self, row: u32, rows: &mut Rows<'_>) -> Result<(), ExtractError> {
        if row == self.row {
            return Ok(());
        }
        self.end_row(rows)?;
        // Comments on rows without cells.
        while let Some(((at, _), _)) = self.notes.peek().filter(|((at, _), _)| *at < row && row > self.row) {
            let at = *at;
            self.begin_row(at, rows)?;
            self.end_row(rows)?;
        }
        self.begin_row(row, rows)
    }

    fn begin_row(&mut self, row: u32, rows: &mut Rows<'_>) -> Result<(), ExtractError> {
        if row != self.row.saturating_add(1) && !self.merges.covers(self.row.saturating_add(1)) {
            rows.end_table()?;
        }
        (self.row, self.next, self.is_hidden) = (row, 0, false);
        Ok(())
    }

    fn end_row(&mut self, rows: &mut Rows<'_>) -> Result<(), ExtractError> {
        while let Some(((_, column), note)) = self.notes.next_if(|((at, _), _)| *at <= self.row) {
            let Some(cell) = place(&mut self.cells, *column) else { continue };
            if !cell.text.is_empty() {
                cell.text.push(' ');
            }
            cell.text.push_str(note);
            if cell.kind == CellKind::Empty {
                cell.kind = CellKind::Text;
            }
        }
        let mut cells = std::mem::take(&mut self.cells);
        let has_own = cells.iter().any(|cell| cell.kind != CellKind::Empty);
        self.met.hidden.rows(u32::from(has_own && self.is_hidden));
        self.merges.fill(self.row, &mut cells);
        if has_own || !cells.iter().any(|cell| cell.origin != Origin::Own) {
            rows.row(cells)?;
        }
        Ok(())
    }

    fn cell(
        &mut self,
        start: &CellStart,
        walker: &mut Walker<'_>,
        rows: &mut Rows<'_>,
    ) -> Result<(), ExtractError> {
        let (row, column) = start.place.unwrap_or((self.row, self.next));
        if row != self.row {
            self.go_to(row, rows)?;
        }
        self.next = column.saturating_add(1);
        let inside = walker.depth();
        let (mut value, mut formula) = (String::new(), None);
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "v" => value = walker.inner_text()?,
                "f" => formula = Some(walker.inner_text()?),
                "is" => value = rich_text(walker)?,
                _ => {}
            }
        }
        let (text, kind) = match formula {
            Some(formula) if value.trim().is_empty() && start.kind != Stored::Result => {
                self.met.formulas += 1;
                let formula = one_line(&formula);
                // Of formulas that are copied along cells only the first is spelled out.
                (
                    if formula.is_empty() { "(formula)".to_owned() } else { format!("={formula}") },
                    CellKind::Number,
                )
            }
            _ => self.value(start, value),
        };
        if text.is_empty() {
            return Ok(());
        }
        self.met.hidden.cell(column);
        let is_header = self.surroundings.is_header(row, column);
        let hint = if is_header { Hint::Header } else { self.shared.styles.hint(start.style) };
        if let Some(cell) = place(&mut self.cells, column) {
            *cell = Cell { text, kind, origin: Origin::Own, hint };
        }
        Ok(())
    }

    fn value(&self, start: &CellStart, value: String) -> (String, CellKind) {
        match start.kind {
            Stored::Shared => {
                let index = value.trim().parse::<usize>().ok();
                let text = index.and_then(|index| self.shared.strings.get(index));
                let text = text.map(|text| one_line(text)).unwrap_or_default();
                let kind = kind_of(&text);
                (text, kind)
            }
            Stored::Truth => match value.trim() {
                "1" | "true" => ("TRUE".to_owned(), CellKind::Number),
                "0" | "false" => ("FALSE".to_owned(), CellKind::Number),
                _ => (String::new(), CellKind::Empty),
            },
            Stored::Error => (value, CellKind::Number),
            Stored::Date => {
                let date = value.trim();
                (date.strip_suffix("T00:00:00").unwrap_or(date).replace('T', " "), CellKind::Date)
            }
            Stored::Result | Stored::Text => {
                let text = one_line(&unescaped(value));
                let kind = kind_of(&text);
                (text, kind)
            }
            Stored::Number => match value.trim().parse::<f64>() {
                Ok(number) => self.shared.styles.format(start.style).show(number, self.shared.is_1904),
                Err(_) => {
                    let text = one_line(&value);
                    let kind = kind_of(&text);
                    (text, kind)
                }
            },
        }
    }
}

/// The cell of a column, which is made if it is not there.
fn place(cells: &mut Vec<Cell>, column: u32) -> Option<&mut Cell> {
    let column = usize::try_from(column).ok().filter(|column| *column < MAX_COLUMNS)?;
    if cells.len() <= column {
        cells.resize(column + 1, Cell::default());
    }
    cells.get_mut(column)
}

/// The row and column of a reference such as `$B$7`, from 0.
fn position(reference: &str) -> Option<(u32, u32)> {
    let (mut row, mut column) = (0_u32, 0_u32);
    for byte in reference.bytes() {
        match byte {
            b'$' => {}
            b'A'..=b'Z' | b'a'..=b'z' => {
                let letter = u32::from(byte.to_ascii_uppercase() - b'A' + 1);
                column = column.checked_mul(26)?.checked_add(letter)?;
            }
            b'0'..=b'9' => row = row.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?,
            _ => return None,
        }
    }
    Some((row.checked_sub(1)?, column.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_rows_and_columns() {
        assert_eq!(position("A1"), Some((0, 0)));
        assert_eq!(position("$XFD$1048576"), Some((1_048_575, 16_383)));
        for wrong in ["", "A", "1", "A0", "A99999999999", "é1", "ZZZZZZZZZZ1"] {
            assert_eq!(position(wrong), None, "{wrong}");
        }
        assert_eq!(area("B2:A1"), None);
    }
}
