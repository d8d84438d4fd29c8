//! Workbooks: each sheet a page, each row a line.

use std::fmt::Display;

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Xls, XlsError, Xlsb, Xlsx};

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::output::Output;
use super::source::{Opened, Source};
use super::table::{RowStyle, Rows, shortest};
use super::{error, media, ooxml};

/// Maximum columns of a row, as in Excel.
const MAX_COLUMNS: usize = 16_384;

pub(super) fn read(
    source: &Source,
    media_type: &'static str,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let what = media::noun(media_type);
    let mut output = Output::new(limits);
    if media_type != media::XLS {
        let mut archive = Archive::open(source, what, limits)?;
        archive.check_all()?;
        if let Some(title) = ooxml::title(&mut archive, what, limits) {
            output.title(&title);
        }
    }
    let failed = |failure: &dyn Display| failed(what, failure);
    let file = source.open()?;
    match media_type {
        media::XLSX => {
            let mut book = Xlsx::new(file).map_err(|failure| failed(&failure))?;
            write_sheets(&mut output, &book.sheet_names(), |name, row| {
                let mut cells = book.worksheet_cells_reader(name).map_err(|failure| failed(&failure))?;
                let mut lines = Lines::default();
                while let Some(cell) = cells.next_cell().map_err(|failure| failed(&failure))? {
                    lines.cell(cell.get_position(), shared_text(cell.get_value()), row)?;
                }
                lines.end(row)
            })?;
        }
        media::XLSB => {
            let mut book = Xlsb::new(file).map_err(|failure| failed(&failure))?;
            write_sheets(&mut output, &book.sheet_names(), |name, row| {
                let mut cells = book.worksheet_cells_reader(name).map_err(|failure| failed(&failure))?;
                let mut lines = Lines::default();
                while let Some(cell) = cells.next_cell().map_err(|failure| failed(&failure))? {
                    lines.cell(cell.get_position(), shared_text(cell.get_value()), row)?;
                }
                lines.end(row)
            })?;
        }
        media::ODS => {
            let mut book = Ods::new(file).map_err(|failure| failed(&failure))?;
            write_ranges(&mut output, &mut book, what)?;
        }
        _ => {
            let mut book = Xls::new(file).map_err(|failure| match failure {
                XlsError::Password => error::encrypted(what),
                other => failed(&other),
            })?;
            write_ranges(&mut output, &mut book, what)?;
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

/// Takes the cells of a row.
type Row<'a> = dyn FnMut(&[String]) -> Result<(), ExtractError> + 'a;

fn write_sheets(
    output: &mut Output,
    names: &[String],
    mut read: impl FnMut(&str, &mut Row<'_>) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    for (number, name) in (1..).zip(names) {
        output.page(number, Some(name));
        shortest(output, |output, style: RowStyle| {
            let mut rows = Rows::new(output, style);
            read(name, &mut |cells| rows.row(cells))?;
            rows.end()
        })?;
    }
    Ok(())
}

fn write_ranges<R>(output: &mut Output, book: &mut R, what: &'static str) -> Result<(), ExtractError>
where
    R: Reader<Opened>,
    R::Error: Display,
{
    let names = book.sheet_names();
    write_sheets(output, &names, |name, row| {
        let range = book.worksheet_range(name).map_err(|failure| failed(what, &failure))?;
        range.rows().try_for_each(|cells| row(&cells.iter().map(text).collect::<Vec<_>>()))
    })
}

/// Gathers cells into rows; the rows and columns between them are not held.
#[derive(Default)]
struct Lines {
    row: u32,
    cells: Vec<String>,
}

impl Lines {
    fn cell(
        &mut self,
        (row, column): (u32, u32),
        text: String,
        take: &mut Row<'_>,
    ) -> Result<(), ExtractError> {
        if row != self.row {
            self.end(take)?;
            self.row = row;
        }
        let column = usize::try_from(column).unwrap_or(MAX_COLUMNS);
        if text.is_empty() || column >= MAX_COLUMNS {
            return Ok(());
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        if let Some(cell) = self.cells.get_mut(column) {
            *cell = text;
        }
        Ok(())
    }

    fn end(&mut self, take: &mut Row<'_>) -> Result<(), ExtractError> {
        let cells = std::mem::take(&mut self.cells);
        take(&cells)
    }
}

fn shared_text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::SharedString(text) => (*text).to_owned(),
        other => text(&Data::from(other.clone())),
    }
}

fn text(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::Float(number) => plain(*number),
        Data::DateTime(moment) => date(moment),
        other => other.to_string(),
    }
}

/// A number without the noise of its binary form: 0.1 + 0.2 is 0.3.
fn plain(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

fn date(moment: &ExcelDateTime) -> String {
    if moment.is_duration() {
        // Invariant: a float becomes the nearest whole number of its range.
        let seconds = (moment.as_f64() * 86_400.0).round() as i64;
        let (hours, rest) = (seconds / 3_600, (seconds % 3_600).abs());
        return format!("{hours}:{:02}:{:02}", rest / 60, rest % 60);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let is_time_only = moment.as_f64() < 1.0;
    let time = if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    };
    if is_time_only {
        time
    } else if (hour, minute, second) == (0, 0, 0) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {time}")
    }
}
