//! Spreadsheets of OpenDocument: cells are written as their program shows them.

use std::collections::HashSet;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::line::clean_line;
use super::super::output::Output;
use super::super::table::{Cell, CellKind, Rows, kind_of, one_line, shortest};
use super::super::xml::{Element, Node, Walker};
use super::hidden::Met;
use super::merges::{Area, MAX_COLUMNS, Merges, column};
use super::{SheetHead, has_usual_name};

/// Maximum copies of a row with values.
const MAX_ROWS: u32 = 10_000;
/// Maximum copies of a cell with a value.
const MAX_COPIES: u32 = 1_000;

/// Writes the sheets and returns how many formulas have no stored value.
pub(super) fn write(
    text: &str,
    output: &mut Output,
    what: &'static str,
    limits: &Limits,
) -> Result<usize, ExtractError> {
    let sheets = SheetSource::all(text, what, limits)?;
    let mut formulas = 0;
    for (number, sheet) in (1..).zip(&sheets) {
        let head = SheetHead {
            number,
            name: &sheet.name,
            is_hidden: sheet.is_hidden,
            is_silent: sheets.len() == 1 && has_usual_name(&sheet.name),
        };
        if output.is_cut() {
            break;
        }
        let outcome = head.write(output, |output| {
            let mut met = Met::default();
            shortest(output, |output, style| {
                let mut rows = Rows::new(output, style);
                met = write_rows(sheet.text, &mut rows, what, limits)?;
                rows.end()
            })?;
            met.hidden.warn(&sheet.name, output);
            formulas += met.formulas;
            Ok(())
        });
        output.keep(outcome)?;
    }
    Ok(formulas)
}

/// A sheet and its part of the file.
struct SheetSource<'a> {
    name: String,
    is_hidden: bool,
    text: &'a str,
}

impl<'a> SheetSource<'a> {
    fn all(text: &'a str, what: &'static str, limits: &Limits) -> Result<Vec<Self>, ExtractError> {
        let mut walker = Walker::new(text, what, limits);
        let mut hidden: HashSet<String> = HashSet::new();
        let mut style = String::new();
        let mut sheets = Vec::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "style" => style = element.attribute("name").unwrap_or_default(),
                "table-properties" if element.attribute("display").is_some_and(|shown| shown == "false") => {
                    hidden.insert(style.clone());
                }
                "table" => {
                    let name = element.prefixed("table:name").unwrap_or_default();
                    let style = element.prefixed("table:style-name").unwrap_or_default();
                    let start = walker.position();
                    walker.skip()?;
                    let inside = text.get(start..walker.position()).unwrap_or_default();
                    let inside = inside.rfind("</").and_then(|end| inside.get(..end)).unwrap_or_default();
                    sheets.push(Self { name, is_hidden: hidden.contains(&style), text: inside });
                }
                "tracked-changes" | "dde-links" => walker.skip()?,
                _ => {}
            }
        }
        Ok(sheets)
    }
}

fn write_rows(
    text: &str,
    rows: &mut Rows<'_>,
    what: &'static str,
    limits: &Limits,
) -> Result<Met, ExtractError> {
    let mut walker = Walker::new(text, what, limits);
    let mut merges = Merges::new(Vec::new());
    let (mut row, mut next_column, mut met) = (0_u32, 0_u32, Met::default());
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "table-row" => {
                let copies = number(&element, "number-rows-repeated");
                let is_hidden = is_hidden(&element);
                let mut line = OdsRow { row, merges: &mut merges, cells: Vec::new(), next: 0, formulas: 0 };
                line.read(&mut walker)?;
                met.formulas += line.formulas;
                let cells = line.cells;
                if cells.iter().any(|cell| cell.kind != CellKind::Empty) {
                    met.hidden.rows(if is_hidden { copies } else { 0 });
                    for (column, _) in (0..).zip(&cells).filter(|(_, cell)| cell.kind != CellKind::Empty) {
                        met.hidden.cell(column);
                    }
                    for copy in 0..copies.min(MAX_ROWS) {
                        let mut cells = cells.clone();
                        merges.fill(row.saturating_add(copy), &mut cells);
                        rows.row(cells)?;
                    }
                } else if !merges.covers(row) {
                    rows.end_table()?;
                }
                row = row.saturating_add(copies);
            }
            "table-column" => {
                let first = next_column;
                next_column = first.saturating_add(number(&element, "number-columns-repeated"));
                if is_hidden(&element) {
                    met.hidden.add_columns(first, next_column.saturating_sub(1));
                }
            }
            // Pictures and forms of the sheet.
            "shapes" | "forms" | "named-expressions" => walker.skip()?,
            _ => {}
        }
    }
    Ok(met)
}

/// Whether a row or column is folded up, or taken out by a filter.
fn is_hidden(element: &Element<'_>) -> bool {
    element.attribute("visibility").is_some_and(|shown| shown != "visible")
}

fn number(element: &Element<'_>, name: &str) -> u32 {
    element.attribute(name).and_then(|number| number.parse().ok()).unwrap_or(1).max(1)
}

struct OdsRow<'a> {
    row: u32,
    merges: &'a mut Merges,
    cells: Vec<Cell>,
    next: u32,
    formulas: usize,
}

impl OdsRow<'_> {
    fn read(&mut self, walker: &mut Walker<'_>) -> Result<(), ExtractError> {
        let inside = walker.depth();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "table-cell" => self.cell(&element, walker)?,
                "covered-table-cell" => {
                    self.next = self.next.saturating_add(number(&element, "number-columns-repeated"));
                    walker.skip()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn cell(&mut self, element: &Element<'_>, walker: &mut Walker<'_>) -> Result<(), ExtractError> {
        let copies = number(element, "number-columns-repeated");
        let (columns, spanned) =
            (number(element, "number-columns-spanned"), number(element, "number-rows-spanned"));
        let kind = element.prefixed("office:value-type").unwrap_or_default();
        let value = element.prefixed("office:value").or_else(|| element.prefixed("office:date-value"));
        let formula = element.prefixed("table:formula");
        let (mut text, notes) = cell_text(walker)?;
        if text.is_empty()
            && let Some(value) = value
        {
            text = value;
        }
        if text.is_empty()
            && let Some(formula) = formula.filter(|_| kind.is_empty())
        {
            // What kind of formula stands before a colon.
            text = one_line(formula.split_once(":=").map_or(formula.as_str(), |(_, formula)| formula));
            text = format!("={}", text.trim_start_matches('='));
            self.formulas += 1;
        }
        let kind = match kind.as_str() {
            _ if text.is_empty() => CellKind::Empty,
            "float" | "percentage" | "currency" | "boolean" => CellKind::Number,
            "date" | "time" => CellKind::Date,
            _ => kind_of(&text),
        };
        for note in notes {
            text = if text.is_empty() { note } else { format!("{text} {note}") };
        }
        let kind = if kind == CellKind::Empty && !text.is_empty() { CellKind::Text } else { kind };
        let first = self.next;
        self.next = first.saturating_add(copies);
        if text.is_empty() {
            return Ok(());
        }
        if columns > 1 || spanned > 1 {
            let last = (self.row.saturating_add(spanned - 1), first.saturating_add(columns - 1));
            self.merges.add(Area { first: (self.row, first), last });
        }
        for at in (first..first.saturating_add(copies.min(MAX_COPIES))).map_while(column) {
            if self.cells.len() <= at {
                self.cells.resize(at + 1, Cell::default());
            }
            if let Some(place) = self.cells.get_mut(at) {
                *place = Cell { text: text.clone(), kind, ..Cell::default() };
            }
        }
        debug_assert!(self.cells.len() <= MAX_COLUMNS);
        Ok(())
    }
}

/// The text of a cell and its comments.
fn cell_text(walker: &mut Walker<'_>) -> Result<(String, Vec<String>), ExtractError> {
    let inside = walker.depth();
    let (mut text, mut notes) = (String::new(), Vec::new());
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "p" => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&paragraph(walker)?);
            }
            "annotation" => notes.extend(note(walker)?),
            _ => {}
        }
    }
    Ok((one_line(&text), notes))
}

fn paragraph(walker: &mut Walker<'_>) -> Result<String, ExtractError> {
    let inside = walker.depth();
    let mut text = String::new();
    while walker.depth() >= inside {
        match walker.next()? {
            Some(Node::Text(piece)) => text.push_str(&piece),
            Some(Node::Start(element)) if matches!(element.name(), "s" | "tab" | "line-break") => {
                text.push(' ');
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(text)
}

fn note(walker: &mut Walker<'_>) -> Result<Option<String>, ExtractError> {
    let inside = walker.depth();
    let (mut author, mut text) = (String::new(), String::new());
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "creator" => author = clean_line(&walker.inner_text()?),
            "date" | "date-string" => walker.skip()?,
            "p" => {
                text.push(' ');
                text.push_str(&paragraph(walker)?);
            }
            _ => {}
        }
    }
    let text = one_line(&text);
    let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
    Ok((!text.is_empty()).then(|| format!("[Comment{by}: {text}]")))
}
