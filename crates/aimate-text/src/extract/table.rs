//! Tables as text: one line per row, with the name of each column.

use std::collections::HashSet;

use csv::{ReaderBuilder, StringRecord};

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

/// Writes the rows of one table. The first row that looks like names of columns
/// is the header; rows above it are a caption.
pub(super) struct Rows<'a> {
    output: &'a mut Output,
    style: RowStyle,
    header: Option<Vec<String>>,
    seen: usize,
}

/// Maximum rows above the header.
const MAX_CAPTION: usize = 5;

impl<'a> Rows<'a> {
    pub(super) fn new(output: &'a mut Output, style: RowStyle) -> Self {
        Self { output, style, header: None, seen: 0 }
    }

    pub(super) fn row(&mut self, cells: &[String]) -> Result<(), ExtractError> {
        let filled = cells.iter().filter(|cell| !cell.trim().is_empty()).count();
        if filled == 0 {
            return Ok(());
        }
        self.seen += 1;
        if self.header.is_none() && self.seen <= MAX_CAPTION && is_header(cells, filled) {
            self.header = Some(cells.iter().map(|cell| one_line(cell)).collect());
            if self.style == RowStyle::Labelled {
                return Ok(());
            }
        }
        let header = self.header.as_deref().filter(|_| self.style == RowStyle::Labelled);
        let line = match header {
            Some(header) => labelled(header, cells),
            None => cells.iter().map(|cell| one_line(cell)).collect::<Vec<_>>().join("\t"),
        };
        self.output.push(line.trim_end())?;
        self.output.end_line();
        Ok(())
    }

    /// Ends the table; a header without rows is a line.
    pub(super) fn end(self) -> Result<(), ExtractError> {
        match self.header {
            Some(header) if self.seen == 1 && self.style == RowStyle::Labelled => {
                self.output.push(&header.join("\t"))
            }
            _ => Ok(()),
        }
    }
}

fn labelled(header: &[String], cells: &[String]) -> String {
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let cell = one_line(cell);
        if cell.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str("; ");
        }
        if let Some(name) = header.get(column).filter(|name| !name.is_empty()) {
            line.push_str(name);
            line.push_str(": ");
        }
        line.push_str(&cell);
    }
    line
}

/// Whether a row names columns: two or more different words, no numbers, hardly
/// a gap, none of them long.
fn is_header(cells: &[String], filled: usize) -> bool {
    let names: Vec<&str> = cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect();
    let distinct: HashSet<&str> = names.iter().copied().collect();
    filled >= 2
        && filled * 4 >= cells.len() * 3
        && distinct.len() == names.len()
        && names.iter().all(|name| name.len() <= 100 && name.contains(char::is_alphabetic) && !is_value(name))
}

/// Numbers and dates with a unit or a month's name count as values.
fn is_value(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let characters = cell.chars().filter(|character| !character.is_whitespace()).count();
    digits * 2 > characters
}

fn one_line(cell: &str) -> String {
    let cell = cell.trim();
    if cell.contains(['\n', '\r', '\t']) {
        cell.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        cell.to_owned()
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
            let cells: Vec<String> = record.iter().map(str::to_owned).collect();
            rows.row(&cells)?;
        }
        rows.end()
    })?;
    output.finish(media_type, TextKind::Plain)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        read_csv(text.as_bytes(), media::CSV, false, &Limits::default()).unwrap().text
    }

    #[test]
    fn rows_name_their_values() {
        let text = "name;city\n\"Ada; Countess\";London\nAlan;\n";
        assert_eq!(read(text), "name: Ada; Countess; city: London\nname: Alan");
    }

    #[test]
    fn numbers_are_not_a_header() {
        assert_eq!(read("1,2\n3,4\n"), "1\t2\n3\t4");
    }

    #[test]
    fn long_table_is_written_without_labels() {
        let mut text = "a long name of a column,another long name\n".to_owned();
        text.push_str(&"1,2\n".repeat(100));
        let limits = Limits { output: 1_000, ..Limits::default() };
        let document = read_csv(text.as_bytes(), media::CSV, false, &limits).unwrap();
        assert!(document.text.starts_with("a long name of a column\tanother long name\n1\t2\n"));
        assert_eq!(document.warnings.len(), 1);
    }
}
