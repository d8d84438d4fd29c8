//! Workbooks: each sheet a page under its name, each row a line.

mod cells;
mod escape;
mod hidden;
mod merges;
mod ods;
mod styles;
mod xls;
mod xlsx;

use std::fmt::Display;

use calamine::{Data, DataRef, ExcelDateTime, Reader, Sheet, SheetType, SheetVisible, Xls, XlsError, Xlsb};

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::number::{Format, plain};
use super::output::Output;
use super::source::{Opened, Source};
use super::table::{Cell, CellKind, Hint, Origin, RowStyle, Rows, kind_of, one_line, shortest};
use super::{error, media, odf, ooxml, progress};
use merges::{Area, MAX_COLUMNS, Merges, column};
use styles::CellStyles;
use xls::Looks;

pub(super) fn read(
    source: &Source,
    media_type: &'static str,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let what = media::noun(media_type);
    let mut output = Output::new(limits);
    let mut archive = match media_type {
        media::XLS => None,
        _ => Some(Archive::open(source, what, limits)?),
    };
    if let Some(archive) = &mut archive {
        if media_type == media::XLSB {
            archive.check_all()?;
        }
        let title = match media_type {
            media::ODS => odf::title(archive, what, limits),
            _ => ooxml::title(archive, what, limits),
        };
        if let Some(title) = title {
            output.title(&title);
        }
    }
    let failed = |failure: &dyn Display| failed(what, failure);
    match (media_type, &mut archive) {
        (media::XLSX, Some(archive)) => xlsx::read(archive, &mut output, limits)?,
        (media::XLSB, _) => {
            let mut book = Xlsb::new(source.open()?).map_err(|failure| failed(&failure))?;
            let sheets = book.sheets_metadata().to_vec();
            write_sheets(&mut output, &sheets, |name, rows| {
                let mut cells = book.worksheet_cells_reader(name).map_err(|failure| failed(&failure))?;
                let mut lines = Lines::default();
                while let Some(cell) = cells.next_cell().map_err(|failure| failed(&failure))? {
                    lines.cell(cell.get_position(), shared_cell(cell.get_value()), rows)?;
                }
                lines.end(rows)
            })?;
        }
        (media::ODS, Some(archive)) => {
            odf::check_open(archive, what)?;
            let text = archive.need("content.xml")?;
            let formulas = ods::write(&text, &mut output, what, limits)?;
            warn_of_formulas(&mut output, formulas);
        }
        _ => {
            let mut book = Xls::new(source.open()?).map_err(|failure| match failure {
                XlsError::Password => error::encrypted(what),
                other => failed(&other),
            })?;
            let looks = Looks::read(source, limits)?;
            write_ranges(&mut output, &mut book, &looks, what)?;
        }
    }
    output.finish(media_type, TextKind::Plain)
}

fn failed(what: &'static str, failure: &dyn Display) -> ExtractError {
    let detail = failure.to_string();
    if detail.contains("limit exceeded") {
        let message = format!(
            "a sheet of the {what} spans too many cells ({detail}); delete its empty rows and columns"
        );
        return error::too_large(message);
    }
    error::damaged(what, detail)
}

/// The beginning of a sheet: its page and its name as a heading.
struct SheetHead<'a> {
    number: u32,
    name: &'a str,
    is_hidden: bool,
    /// The name says nothing.
    is_silent: bool,
}

impl SheetHead<'_> {
    /// Writes the sheet, and nothing where nothing is in it.
    fn write<T>(
        &self,
        output: &mut Output,
        content: impl FnOnce(&mut Output) -> Result<T, ExtractError>,
    ) -> Result<T, ExtractError> {
        output.page(self.number, Some(self.name));
        let start = output.len();
        if self.is_hidden {
            output.heading(1, &format!("{} (hidden sheet)", self.name))?;
        } else if !self.is_silent {
            output.heading(1, self.name)?;
        }
        let begin = output.len();
        let outcome = content(output)?;
        if output.len() == begin {
            output.truncate(start);
        } else if self.is_hidden {
            output.warn(format!("the sheet \"{}\" is hidden in its program; it was read", self.name));
        }
        Ok(outcome)
    }
}

/// Whether a sheet has the name that its program gives to each.
fn has_usual_name(name: &str) -> bool {
    const USUAL: [&str; 14] = [
        "sheet",
        "tabelle",
        "feuil",
        "feuille",
        "hoja",
        "foglio",
        "blad",
        "ark",
        "arkusz",
        "list",
        "planilha",
        "munka1",
        "лист",
        "シート",
    ];
    let word = name.trim_end_matches(|character: char| character.is_ascii_digit() || character == ' ');
    USUAL.contains(&word.to_lowercase().as_str())
}

fn warn_of_formulas(output: &mut Output, count: usize) {
    if count > 0 {
        output.warn(format!(
            "{count} formulas have no stored value and are written as they are; open the file in its program, \
             which works them out, and save it"
        ));
    }
}

fn write_sheets(
    output: &mut Output,
    sheets: &[Sheet],
    mut read: impl FnMut(&str, &mut Rows<'_>) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let is_of_cells = |sheet: &Sheet| !matches!(sheet.typ, SheetType::ChartSheet | SheetType::Vba);
    let is_alone = sheets.iter().filter(|sheet| is_of_cells(sheet)).count() == 1;
    for (number, sheet) in (1_u32..).zip(sheets) {
        if output.is_cut() {
            break;
        }
        progress::reached(number as usize - 1, sheets.len());
        let head = SheetHead {
            number,
            name: &sheet.name,
            is_hidden: sheet.visible != SheetVisible::Visible,
            is_silent: is_alone && has_usual_name(&sheet.name),
        };
        if !is_of_cells(sheet) {
            continue;
        }
        let outcome = head.write(output, |output| {
            shortest(output, |output, style: RowStyle| {
                let mut rows = Rows::new(output, style);
                read(&sheet.name, &mut rows)?;
                rows.end()
            })
        });
        output.keep(outcome)?;
    }
    Ok(())
}

fn write_ranges(
    output: &mut Output,
    book: &mut Xls<Opened>,
    looks: &Looks,
    what: &'static str,
) -> Result<(), ExtractError> {
    let sheets = book.sheets_metadata().to_vec();
    let is_1904 = book.has_1904_epoch();
    let mut hidden = Vec::new();
    write_sheets(output, &sheets, |name, rows| {
        let range = book.worksheet_range(name).map_err(|failure| failed(what, &failure))?;
        let areas = book.merge_cells_by_sheet_name(name).unwrap_or_default().into_iter();
        let mut merges = Merges::new(areas.map(|area| Area { first: area.start, last: area.end }).collect());
        let mut sheet = looks.sheet(sheets.iter().position(|sheet| sheet.name == name).unwrap_or(usize::MAX));
        let (top, left) = range.start().unwrap_or_default();
        for (row, values) in (top..).zip(range.rows()) {
            let mut cells = vec![Cell::default(); usize::try_from(left).unwrap_or(0).min(MAX_COLUMNS)];
            for (column, value) in (left..).zip(values) {
                let cell = looked(value, sheet.style(row, column), &looks.styles, is_1904);
                if cell.kind != CellKind::Empty {
                    sheet.hidden.cell(column);
                }
                cells.push(cell);
            }
            let has_own = cells.iter().any(|cell| cell.kind != CellKind::Empty);
            sheet.hidden.rows(u32::from(has_own && sheet.is_hidden(row)));
            merges.fill(row, &mut cells);
            if has_own || !cells.iter().any(|cell| cell.origin != Origin::Own) {
                rows.row(cells)?;
            }
        }
        // A table that is too long with its names is read a second time.
        hidden.retain(|(of, _)| of != name);
        hidden.push((name.to_owned(), sheet.hidden));
        Ok(())
    })?;
    for (name, hidden) in hidden {
        hidden.warn(&name, output);
    }
    Ok(())
}

/// A value of a sheet of before 2007 as its style shows it.
fn looked(value: &Data, style: Option<usize>, styles: &CellStyles, is_1904: bool) -> Cell {
    let Some(style) = style else { return cell(value) };
    let number = match value {
        Data::Float(number) => Some(*number),
        // Invariant: they were kept in thirty bits.
        Data::Int(number) => Some(*number as f64),
        Data::DateTime(moment) => Some(moment.as_f64()),
        _ => None,
    };
    let mut shown = cell(value);
    if let Some(number) = number {
        (shown.text, shown.kind) = styles.format(style).show(number, is_1904);
    }
    shown.hint = if shown.kind == CellKind::Empty { Hint::None } else { styles.hint(style) };
    shown
}

/// Gathers cells into rows; the rows and columns between them are not held.
#[derive(Default)]
struct Lines {
    row: u32,
    cells: Vec<Cell>,
}

impl Lines {
    fn cell(&mut self, (row, at): (u32, u32), cell: Cell, rows: &mut Rows<'_>) -> Result<(), ExtractError> {
        if row != self.row {
            self.end(rows)?;
            if row != self.row.saturating_add(1) {
                rows.end_table()?;
            }
            self.row = row;
        }
        let Some(at) = column(at).filter(|_| cell.kind != CellKind::Empty) else { return Ok(()) };
        if self.cells.len() <= at {
            self.cells.resize(at + 1, Cell::default());
        }
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
        Ok(())
    }

    fn end(&mut self, rows: &mut Rows<'_>) -> Result<(), ExtractError> {
        rows.row(std::mem::take(&mut self.cells))
    }
}

fn shared_cell(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::SharedString(text) => Cell::of_text(text),
        other => cell(&Data::from(other.clone())),
    }
}

fn cell(value: &Data) -> Cell {
    let (text, kind) = match value {
        Data::Empty => return Cell::default(),
        Data::Float(number) => (plain(*number), CellKind::Number),
        Data::Int(number) => (number.to_string(), CellKind::Number),
        Data::Bool(is_true) => ((if *is_true { "TRUE" } else { "FALSE" }).to_owned(), CellKind::Number),
        Data::DateTime(moment) => (date(moment), CellKind::Date),
        Data::Error(failure) => (failure.to_string(), CellKind::Number),
        other => {
            let text = one_line(&other.to_string());
            let kind = kind_of(&text);
            (text, kind)
        }
    };
    Cell { text, kind, origin: Origin::Own, hint: Hint::None }
}

fn date(moment: &ExcelDateTime) -> String {
    if moment.is_duration() {
        return Format::new("[h]:mm").show(moment.as_f64(), false).0;
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let time = if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    };
    if moment.as_f64() < 1.0 {
        time
    } else if (hour, minute, second) == (0, 0, 0) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {time}")
    }
}
