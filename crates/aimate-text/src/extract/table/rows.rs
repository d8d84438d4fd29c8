//! Writes the rows of a sheet, each with the names of its columns.

use super::super::error::ExtractError;
use super::super::output::Output;
use super::RowStyle;
use super::cell::{Cell, Origin};
use super::header::{Header, Place};

/// Rows that are held until their header is known.
const MAX_HELD: usize = 500;
/// Maximum bytes of a merged value that is repeated on each of its rows.
const MAX_REPEATED: usize = 200;

/// Writes the rows of one sheet. A blank row ends a table; each table can have a
/// header of its own, and a caption above it.
pub(in super::super) struct Rows<'a> {
    output: &'a mut Output,
    style: RowStyle,
    held: Vec<Vec<Cell>>,
    header: Option<Header>,
    /// Whether the header of the table is known, so that no row need be held.
    is_open: bool,
}

impl<'a> Rows<'a> {
    pub(in super::super) fn new(output: &'a mut Output, style: RowStyle) -> Self {
        Self { output, style, held: Vec::new(), header: None, is_open: false }
    }

    /// Writes a row; one without text ends the table.
    pub(in super::super) fn row(&mut self, cells: Vec<Cell>) -> Result<(), ExtractError> {
        if !cells.iter().any(Cell::is_filled) {
            return self.end_table();
        }
        if self.is_open {
            return self.write(&cells);
        }
        self.held.push(cells);
        if self.held.len() >= MAX_HELD {
            self.open_table()?;
        }
        Ok(())
    }

    pub(in super::super) fn end(mut self) -> Result<(), ExtractError> {
        self.end_table()
    }

    pub(in super::super) fn end_table(&mut self) -> Result<(), ExtractError> {
        self.open_table()?;
        self.is_open = false;
        Ok(())
    }

    fn open_table(&mut self) -> Result<(), ExtractError> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        self.is_open = true;
        for part in beside(held) {
            self.write_table(&part)?;
        }
        Ok(())
    }

    fn write_table(&mut self, rows: &[Vec<Cell>]) -> Result<(), ExtractError> {
        let found = Header::find(rows);
        let (caption, body) = match &found {
            Some(Place { at, height, .. }) => (*at, at + height),
            None => (0, 0),
        };
        let before = self.header.take();
        for row in rows.get(..caption).unwrap_or_default() {
            self.write(row)?;
        }
        if self.style == RowStyle::Bare {
            for row in rows.get(caption..body).unwrap_or_default() {
                self.write(row)?;
            }
        }
        self.header = match found {
            Some(place) => Some(place.header),
            None => before.filter(|header| header.goes_on(rows)),
        };
        rows.get(body..).unwrap_or_default().iter().try_for_each(|row| self.write(row))
    }

    fn write(&mut self, cells: &[Cell]) -> Result<(), ExtractError> {
        let header = self.header.as_ref().filter(|_| self.style == RowStyle::Labelled);
        let is_title = cells.iter().filter(|cell| cell.is_own()).count() == 1
            && cells.iter().any(|cell| cell.origin == Origin::Left);
        let line = match header {
            Some(header) if !is_title => labelled(&header.labels, cells),
            _ => bare(cells),
        };
        self.output.push(line.trim_end())?;
        self.output.end_line();
        Ok(())
    }
}

fn labelled(labels: &[String], cells: &[Cell]) -> String {
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let shown = shown(cell);
        if shown.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str("; ");
        }
        if let Some(name) = labels.get(column).filter(|name| !name.is_empty()) {
            line.push_str(name);
            line.push_str(": ");
        }
        line.push_str(shown);
    }
    line
}

fn bare(cells: &[Cell]) -> String {
    cells.iter().map(shown).collect::<Vec<_>>().join("\t")
}

/// What a cell adds to its row: a merged value once in a row, but on each row.
fn shown(cell: &Cell) -> &str {
    match cell.origin {
        Origin::Own => &cell.text,
        Origin::Above if cell.text.len() <= MAX_REPEATED => &cell.text,
        Origin::Above | Origin::Left => "",
    }
}

/// The tables that stand beside each other with an empty column between them: each
/// has a header of its own, and they have different lengths or the same names.
fn beside(rows: Vec<Vec<Cell>>) -> Vec<Vec<Vec<Cell>>> {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let is_empty =
        |column: &usize| rows.iter().all(|row| row.get(*column).is_none_or(|cell| !cell.is_filled()));
    let Some(first) = (0..width).find(|column| !is_empty(column)) else { return vec![rows] };
    let gaps: Vec<usize> = (first..width).filter(is_empty).take(50).collect();
    for gap in gaps {
        let part = |wanted: &dyn Fn(usize) -> bool| {
            let keep = |row: &Vec<Cell>| {
                let cells = row.iter().enumerate();
                cells.map(|(at, cell)| if wanted(at) { cell.clone() } else { Cell::default() }).collect()
            };
            let rows = rows.iter().map(keep).filter(|row: &Vec<Cell>| row.iter().any(Cell::is_filled));
            rows.collect::<Vec<_>>()
        };
        let (left, right) = (part(&|column| column < gap), part(&|column| column > gap));
        let (Some(of_left), Some(of_right)) = (Header::find(&left), Header::find(&right)) else { continue };
        let named = |label: &&String| !label.is_empty();
        let has_same =
            of_left.header.labels.iter().filter(named).any(|label| of_right.header.labels.contains(label));
        if left.len() != right.len() || has_same || of_left.at != of_right.at {
            let mut tables = beside(left);
            tables.extend(beside(right));
            return tables;
        }
    }
    vec![rows]
}
