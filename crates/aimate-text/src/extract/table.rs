//! Tables as text: one line per row, with the name of each column.

mod cell;
mod header;
mod names;
mod rows;
#[cfg(test)]
mod tests;

use csv::{ReaderBuilder, StringRecord};

pub(super) use cell::Cell;
#[cfg(feature = "extract-office")]
pub(super) use cell::{CellKind, Hint, Origin, kind_of, one_line};
pub(super) use rows::Rows;

use super::document::{Extracted, TextKind};
use super::error::{ExtractError, ExtractErrorKind};
use super::limits::Limits;
use super::output::Output;
use super::{decode, error, media};

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RowStyle {
    /// `header: value; header: value`, so that a row is understood alone.
    Labelled,
    /// Values between tabs, for a table whose labels would not fit.
    Bare,
}

/// Writes with labels, or without them if the text gets too long.
pub(super) fn shortest(
    output: &mut Output,
    mut write: impl FnMut(&mut Output, RowStyle) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let start = output.len();
    match write(output, RowStyle::Labelled) {
        Err(failure) if failure.kind == ExtractErrorKind::TooLarge => {
            output.truncate(start);
            output.warn("the table is long; its rows are written without the names of the columns");
            let outcome = write(output, RowStyle::Bare);
            output.keep(outcome)
        }
        // Without labels it would take as long.
        outcome => output.keep(outcome),
    }
}

/// Reads a table of text.
///
/// `is_cut`: the file has more of it.
pub(super) fn read_csv(
    bytes: &[u8],
    media_type: &str,
    is_cut: bool,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let (text, warning) = decode::decode(bytes, None)?;
    let mut output = Output::new(limits);
    if let Some(warning) = warning {
        output.warn(warning);
    }
    if is_cut {
        output.cut_short();
    }
    let delimiter = if media_type == media::TSV { b'\t' } else { delimiter(&text) };
    shortest(&mut output, |output, style| {
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut rows = Rows::new(output, style);
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(|failure| error::damaged("table", failure))? {
            if record.position().is_some_and(|position| is_after_blank(text.as_bytes(), position.byte())) {
                rows.end_table()?;
            }
            rows.row(record.iter().map(Cell::of_text).collect())?;
        }
        rows.end()
    })?;
    output.finish(media_type, TextKind::Plain)
}

/// Whether blank lines, which the reader leaves out, begin at a record's position:
/// they end a table.
fn is_after_blank(text: &[u8], position: u64) -> bool {
    let at = usize::try_from(position).unwrap_or(usize::MAX);
    let rest = text.get(at..).unwrap_or_default();
    let is_after_return = at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\r');
    let rest = rest.strip_prefix(b"\n").filter(|_| is_after_return).unwrap_or(rest);
    matches!(rest.first(), Some(b'\n' | b'\r'))
}

/// The character that splits the first lines into the most columns, the same
/// number in each.
fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(20).collect();
    let score = |delimiter: u8| {
        let counts: Vec<usize> = lines.iter().map(|line| unquoted(line, delimiter)).collect();
        let first = counts.first().copied().unwrap_or(0);
        let same = counts.iter().filter(|count| **count == first).count();
        (if first == 0 { 0 } else { same }, first)
    };
    // The last of equal ones wins: the comma.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}

fn unquoted(line: &str, delimiter: u8) -> usize {
    let mut is_quoted = false;
    let mut count = 0;
    for byte in line.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            other if other == delimiter && !is_quoted => count += 1,
            _ => {}
        }
    }
    count
}
