//! What stands around the values of a workbook of before 2007: how each cell looks,
//! and what is hidden. The values are read by `calamine`.

use std::collections::HashMap;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::number::Format;
use super::super::ole::{OleFile, size_at, u16_at, wide};
use super::super::source::Source;
use super::super::table::Hint;
use super::hidden::Hidden;
use super::styles::CellStyles;

const WHAT: &str = "Excel workbook";

/// Kinds of records, by their numbers in the file.
mod kind {
    pub(super) const FORMULA: u16 = 0x0006;
    pub(super) const END: u16 = 0x000a;
    pub(super) const FONT: u16 = 0x0031;
    pub(super) const COLUMNS: u16 = 0x007d;
    pub(super) const SHEET: u16 = 0x0085;
    pub(super) const NUMBERS: u16 = 0x00bd;
    pub(super) const RICH_TEXT: u16 = 0x00d6;
    pub(super) const STYLE: u16 = 0x00e0;
    pub(super) const SHARED_TEXT: u16 = 0x00fd;
    pub(super) const NUMBER: u16 = 0x0203;
    pub(super) const TEXT: u16 = 0x0204;
    pub(super) const TRUTH: u16 = 0x0205;
    pub(super) const ROW: u16 = 0x0208;
    pub(super) const SHORT_NUMBER: u16 = 0x027e;
    pub(super) const FORMAT: u16 = 0x041e;
    pub(super) const BEGIN: u16 = 0x0809;
}

/// The version of the records since Excel 97.
const BIFF8: u16 = 0x0600;
/// The weight from which a font is bold.
const BOLD: u16 = 600;

/// How the cells of a workbook look.
pub(super) struct Looks {
    stream: Vec<u8>,
    /// Where each sheet begins in the stream.
    sheets: Vec<usize>,
    pub(super) styles: CellStyles,
}

impl Looks {
    pub(super) fn read(source: &Source, limits: &Limits) -> Result<Self, ExtractError> {
        let mut file = OleFile::open(source, WHAT, limits)?;
        let stream = match file.stream("Workbook")? {
            Some(stream) => stream,
            None => file.need("Book")?,
        };
        let mut globals = Globals::default();
        for (number, data) in BiffRecords::new(&stream) {
            match number {
                kind::END => break,
                _ => globals.record(number, data),
            }
        }
        let Globals { sheets, fonts, formats, styles, .. } = globals;
        let is_bold = |font: u16| {
            // There is no font of the number 4.
            let index = usize::from(if font > 4 { font - 1 } else { font });
            fonts.get(index).copied().unwrap_or(false)
        };
        let styles = styles.into_iter().map(|style| {
            let hint = if style.is_filled || is_bold(style.font) { Hint::Marked } else { Hint::None };
            (u32::from(style.format), hint)
        });
        Ok(Self { sheets, styles: CellStyles::of(styles.collect(), formats), stream })
    }

    /// The sheet of a number, from 0.
    pub(super) fn sheet(&self, number: usize) -> SheetLooks {
        let mut looks = SheetLooks::default();
        let Some(start) = self.sheets.get(number) else { return looks };
        let mut depth = 0_usize;
        for (number, data) in BiffRecords::new(self.stream.get(*start..).unwrap_or_default()) {
            match number {
                kind::BEGIN => depth += 1,
                kind::END if depth <= 1 => break,
                kind::END => depth -= 1,
                // A chart in a sheet has cells of its own.
                _ if depth > 1 => {}
                _ => looks.record(number, data),
            }
        }
        looks.cells.sort_unstable();
        looks
    }
}

/// How the cells of a sheet look.
#[derive(Default)]
pub(super) struct SheetLooks {
    /// Row, column and style.
    cells: Vec<(u16, u16, u16)>,
    hidden_rows: Vec<u16>,
    pub(super) hidden: Hidden,
}

impl SheetLooks {
    /// The number of a cell's style.
    pub(super) fn style(&self, row: u32, column: u32) -> Option<usize> {
        let place = (u16::try_from(row).ok()?, u16::try_from(column).ok()?);
        let at = self.cells.partition_point(|(row, column, _)| (*row, *column) < place);
        let (row, column, style) = self.cells.get(at)?;
        ((*row, *column) == place).then_some(usize::from(*style))
    }

    pub(super) fn is_hidden(&self, row: u32) -> bool {
        u16::try_from(row).is_ok_and(|row| self.hidden_rows.binary_search(&row).is_ok())
    }

    fn record(&mut self, number: u16, data: &[u8]) {
        self.take(number, data);
    }

    /// Takes a record; one that is cut off says nothing.
    fn take(&mut self, number: u16, data: &[u8]) -> Option<()> {
        match number {
            kind::FORMULA
            | kind::RICH_TEXT
            | kind::SHARED_TEXT
            | kind::NUMBER
            | kind::TEXT
            | kind::TRUTH
            | kind::SHORT_NUMBER => {
                self.cells.push((u16_at(data, 0)?, u16_at(data, 2)?, u16_at(data, 4)?));
            }
            kind::NUMBERS => {
                let (row, first) = (u16_at(data, 0)?, u16_at(data, 2)?);
                let numbers = data.get(4..data.len().checked_sub(2)?)?;
                for (column, number) in (first..).zip(numbers.chunks_exact(6)) {
                    self.cells.push((row, column, u16_at(number, 0)?));
                }
            }
            kind::ROW => {
                let row = u16_at(data, 0)?;
                let is_after = self.hidden_rows.last().is_none_or(|last| *last < row);
                if u16_at(data, 12)? & 0x20 != 0 && is_after {
                    self.hidden_rows.push(row);
                }
            }
            kind::COLUMNS if u16_at(data, 8)? & 1 != 0 => {
                self.hidden.add_columns(u16_at(data, 0)?.into(), u16_at(data, 2)?.into());
            }
            _ => {}
        }
        Some(())
    }
}

/// What all sheets share.
#[derive(Default)]
struct Globals {
    version: u16,
    sheets: Vec<usize>,
    /// Whether each font is bold.
    fonts: Vec<bool>,
    formats: HashMap<u32, Format>,
    styles: Vec<StyleRecord>,
}

struct StyleRecord {
    font: u16,
    format: u16,
    is_filled: bool,
}

impl Globals {
    fn record(&mut self, number: u16, data: &[u8]) {
        self.take(number, data);
    }

    /// Takes a record; one that is cut off says nothing.
    fn take(&mut self, number: u16, data: &[u8]) -> Option<()> {
        match number {
            kind::BEGIN => self.version = u16_at(data, 0)?,
            kind::SHEET => self.sheets.push(size_at(data, 0)?),
            kind::FONT => self.fonts.push(u16_at(data, 6)? >= BOLD),
            kind::FORMAT => {
                let format = Format::new(&self.code(data.get(2..)?)?);
                self.formats.insert(u16_at(data, 0)?.into(), format);
            }
            kind::STYLE => {
                // Before Excel 97 the background stands elsewhere.
                let background =
                    if self.version == BIFF8 { data.get(17).map_or(0, |bits| bits >> 2) } else { 0 };
                let (font, format) = (u16_at(data, 0)?, u16_at(data, 2)?);
                self.styles.push(StyleRecord { font, format, is_filled: background != 0 });
            }
            _ => {}
        }
        Some(())
    }

    /// The text of a format: of Excel 97 in one byte or two for each character, of
    /// older ones in the bytes of a system, whose ASCII is what counts.
    fn code(&self, data: &[u8]) -> Option<String> {
        let narrow = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
        if self.version != BIFF8 {
            let length = usize::from(*data.first()?);
            return data.get(1..1 + length).map(narrow);
        }
        let (length, is_wide) = (usize::from(u16_at(data, 0)?), data.get(2)? & 1 != 0);
        if is_wide { data.get(3..3 + 2 * length).map(wide) } else { data.get(3..3 + length).map(narrow) }
    }
}

/// The records of a stream: a number, a length, and so many bytes.
struct BiffRecords<'a> {
    rest: &'a [u8],
}

impl<'a> BiffRecords<'a> {
    fn new(stream: &'a [u8]) -> Self {
        Self { rest: stream }
    }
}

impl<'a> Iterator for BiffRecords<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let number = u16_at(self.rest, 0)?;
        let length = usize::from(u16_at(self.rest, 2)?);
        let (record, rest) = self.rest.split_at_checked(4 + length)?;
        self.rest = rest;
        Some((number, record.get(4..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_cut_off_say_nothing() {
        let mut looks = SheetLooks::default();
        for length in 0..13 {
            for number in [kind::FORMULA, kind::NUMBERS, kind::ROW, kind::COLUMNS] {
                looks.record(number, &vec![0; length]);
            }
        }
        assert!(looks.hidden_rows.is_empty());
        assert!(BiffRecords::new(&[9, 8, 200, 0, 1]).next().is_none());
    }

    #[test]
    fn each_cell_has_its_style() {
        let mut looks = SheetLooks::default();
        looks.record(kind::NUMBER, &[3, 0, 2, 0, 7, 0]);
        // Three numbers in a row, from the second column.
        let numbers = [1, 0, 1, 0, 5, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 3, 0];
        looks.record(kind::NUMBERS, &numbers);
        looks.cells.sort_unstable();
        assert_eq!(looks.style(3, 2), Some(7));
        assert_eq!([1, 2, 3].map(|column| looks.style(1, column)), [Some(5), Some(6), Some(7)]);
        assert_eq!([looks.style(1, 4), looks.style(0, 0), looks.style(70_000, 0)], [None; 3]);
    }
}
