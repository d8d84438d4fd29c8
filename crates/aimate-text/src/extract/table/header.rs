//! Which rows of a table name its columns.
//!
//! A false name on each value is worse than none, so a row counts as a header only
//! where something speaks for it: its looks, the kinds or shapes of the values under
//! it, or the words it is made of.

use std::collections::HashSet;

use super::cell::{Cell, CellKind, Hint, Origin, is_period, year};
use super::names::is_usual_name;

/// The names of a table's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) labels: Vec<String>,
    /// The columns that hold numbers and dates.
    values: Vec<usize>,
}

/// Where the header stands in the rows of a table.
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) height: usize,
    pub(super) header: Header,
}

/// Maximum rows above the header.
const MAX_CAPTION: usize = 5;
/// Rows by which a table is judged.
const SAMPLE: usize = 200;

impl Header {
    /// Finds the header of a table in its first rows.
    pub(super) fn find(rows: &[Vec<Cell>]) -> Option<Place> {
        let rows = rows.get(..SAMPLE).unwrap_or(rows);
        let columns = columns(rows);
        if columns.len() < 2 {
            return None;
        }
        for at in 0..rows.len().min(MAX_CAPTION + 1) {
            let found = two_rows(rows, at, &columns).or_else(|| one_row(rows, at, &columns));
            if found.is_some() {
                return found;
            }
            let own = rows.get(at).map_or(0, |row| row.iter().filter(|cell| cell.is_own()).count());
            // Title and remarks are above a header; a full row without names is data.
            if own > 1 && own * 2 > columns.len() {
                return None;
            }
        }
        None
    }

    /// Whether rows after a gap are of the same table: they have their numbers where
    /// it has them.
    pub(super) fn goes_on(&self, rows: &[Vec<Cell>]) -> bool {
        let rows = rows.get(..SAMPLE).unwrap_or(rows);
        let (mut values, mut others) = (0, 0);
        for row in rows {
            for (column, cell) in row.iter().enumerate().filter(|(_, cell)| cell.is_filled()) {
                let is_named = self.labels.get(column).is_some_and(|label| !label.is_empty());
                match (self.values.contains(&column), cell.is_value()) {
                    _ if !is_named => return false,
                    (true, true) => values += 1,
                    (true, false) => others += 1,
                    _ => {}
                }
            }
        }
        values > 0 && others * 4 <= values
    }
}

fn cell(row: &[Cell], column: usize) -> Option<&Cell> {
    row.get(column).filter(|cell| cell.is_filled())
}

/// The columns that hold anything.
fn columns(rows: &[Vec<Cell>]) -> Vec<usize> {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut is_used = vec![false; width];
    for row in rows {
        for (is_used, cell) in is_used.iter_mut().zip(row) {
            *is_used |= cell.is_filled();
        }
    }
    (0..width).zip(is_used).filter(|(_, is_used)| *is_used).map(|(column, _)| column).collect()
}

fn one_row(rows: &[Vec<Cell>], at: usize, columns: &[usize]) -> Option<Place> {
    let row = rows.get(at)?;
    let body = rows.get(at + 1..).filter(|body| !body.is_empty())?;
    let names: Vec<&Cell> = row.iter().filter(|cell| cell.is_own()).collect();
    let is_declared = names.iter().all(|cell| cell.hint == Hint::Header) && !names.is_empty();
    if !is_declared {
        let corner = usize::from(columns.first().is_some_and(|first| cell(row, *first).is_none()));
        let filled = row.iter().filter(|cell| cell.is_filled()).count();
        if names.len() < 2 || (filled + corner) * 4 < columns.len() * 3 || !are_names(&names, row, body) {
            return None;
        }
        let labels: Vec<Option<&Cell>> = (0..row.len()).map(|column| cell(row, column)).collect();
        let evidence = Evidence { names: &labels, body, columns };
        if !evidence.is_enough() {
            return None;
        }
    }
    let labels = row.iter().map(|cell| cell.text.clone()).collect();
    Some(Place { at, height: 1, header: Header { labels, values: values(body) } })
}

/// A row of groups above the row of names: `2023` above `Plan` and `Actual`.
fn two_rows(rows: &[Vec<Cell>], at: usize, columns: &[usize]) -> Option<Place> {
    let (above, below) = (rows.get(at)?, rows.get(at + 1)?);
    let body = rows.get(at + 2..).filter(|body| !body.is_empty())?;
    let spans = |row: &[Cell]| row.iter().filter(|cell| cell.origin == Origin::Left).count();
    let own_above: Vec<&Cell> = above.iter().filter(|cell| cell.is_own()).collect();
    let own_below: Vec<&Cell> = below.iter().filter(|cell| cell.is_own()).collect();
    let is_joined = below.iter().any(|cell| cell.origin == Origin::Above);
    let is_title = own_above.len() < 2 && !is_joined;
    let is_merged = (spans(above) > 0 || is_joined) && !is_title;
    let repeats = distinct(&own_below) < own_below.len();
    let is_sparse = own_above.len() < own_below.len() && repeats && !own_above.is_empty();
    if (!is_merged && !is_sparse) || own_below.len() < 2 {
        return None;
    }
    let covered = columns.iter().filter(|column| cell(below, **column).is_some()).count();
    if covered * 4 < columns.len() * 3 && (covered + 1) < columns.len() {
        return None;
    }
    if !own_above.iter().chain(&own_below).all(|cell| is_name(cell) || is_period(cell)) {
        return None;
    }
    let labels = joined_labels(above, below, is_merged);
    let named: Vec<&String> = labels.iter().filter(|label| !label.is_empty()).collect();
    let is_distinct = named.iter().collect::<HashSet<_>>().len() == named.len();
    if !is_distinct || recurs(below, body) {
        return None;
    }
    let values = values(body);
    // Text under text: a row of data can repeat its values too.
    if values.is_empty() && !is_merged {
        return None;
    }
    Some(Place { at, height: 2, header: Header { labels, values } })
}

fn joined_labels(above: &[Cell], below: &[Cell], is_merged: bool) -> Vec<String> {
    let mut group = "";
    let mut labels = Vec::new();
    for column in 0..above.len().max(below.len()) {
        let (top, under) = (cell(above, column), cell(below, column));
        match top {
            Some(top) => group = &top.text,
            None if is_merged => group = "",
            None => {}
        }
        labels.push(match under {
            Some(under) if under.origin == Origin::Above || group == under.text => under.text.clone(),
            Some(under) if group.is_empty() => under.text.clone(),
            Some(under) => format!("{group} {}", under.text),
            None => top.map_or_else(String::new, |top| top.text.clone()),
        });
    }
    labels
}

/// Whether the cells of a row can be names of columns: different words or periods,
/// none of them long.
fn are_names(names: &[&Cell], row: &[Cell], body: &[Vec<Cell>]) -> bool {
    if distinct(names) < names.len() {
        return false;
    }
    let others: Vec<&&Cell> = names.iter().filter(|cell| !is_name(cell)).collect();
    if others.is_empty() {
        return !recurs(row, body);
    }
    let is_time = others.iter().all(|cell| is_period(cell)) && is_ascending(&others);
    let is_count = others.len() >= 3
        && (0..2).any(|first: usize| {
            others.iter().zip(first..).all(|(cell, number)| cell.text == number.to_string())
        });
    // Years above years are data.
    let is_other = |column: usize| row.get(column).is_some_and(|cell| cell.is_own() && !is_name(cell));
    let mut under =
        body.iter().flat_map(|row| row.iter().enumerate()).filter(|(column, _)| is_other(*column));
    let is_data = is_time && under.clone().all(|(_, cell)| !cell.is_filled() || is_period(cell));
    let is_under_values = under.any(|(_, cell)| cell.is_value());
    (is_time && others.len() >= 2 || is_count) && !is_data && is_under_values
}

fn distinct(cells: &[&Cell]) -> usize {
    cells.iter().map(|cell| cell.text.as_str()).collect::<HashSet<_>>().len()
}

/// Whether years grow, or fall, from cell to cell; other periods only differ.
fn is_ascending(cells: &[&&Cell]) -> bool {
    let years: Vec<u32> = cells.iter().filter_map(|cell| year(&cell.text)).collect();
    years.len() < cells.len() || years.is_sorted_by(|a, b| a < b) || years.is_sorted_by(|a, b| a > b)
}

fn is_name(cell: &Cell) -> bool {
    cell.kind == CellKind::Text && cell.text.len() <= 100 && cell.text.contains(char::is_alphabetic)
}

/// Whether a name is a value of its own column too.
fn recurs(row: &[Cell], body: &[Vec<Cell>]) -> bool {
    row.iter().enumerate().filter(|(_, name)| name.is_own()).any(|(column, name)| {
        body.iter().filter(|values| !is_same(values, row)).any(|values| {
            cell(values, column).is_some_and(|value| value.origin == Origin::Own && value.text == name.text)
        })
    })
}

/// A header that is repeated in the middle of its table.
fn is_same(a: &[Cell], b: &[Cell]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.text == b.text)
}

/// The columns that hold numbers and dates, a few words among them allowed.
fn values(body: &[Vec<Cell>]) -> Vec<usize> {
    let body = body.get(..SAMPLE).unwrap_or(body);
    let width = body.iter().map(Vec::len).max().unwrap_or(0);
    (0..width).filter(|column| is_of_values(body, *column)).collect()
}

fn is_of_values(body: &[Vec<Cell>], column: usize) -> bool {
    let filled = body.iter().filter_map(|row| cell(row, column));
    let (values, others) =
        filled.fold(
            (0, 0),
            |(values, others), cell| {
                if cell.is_value() { (values + 1, others) } else { (values, others + 1) }
            },
        );
    values > 0 && others * 4 <= values
}

/// What speaks for a row as header.
struct Evidence<'a> {
    names: &'a [Option<&'a Cell>],
    body: &'a [Vec<Cell>],
    columns: &'a [usize],
}

impl Evidence<'_> {
    fn is_enough(&self) -> bool {
        let named: Vec<(usize, &Cell)> = (0..)
            .zip(self.names)
            .filter_map(|(column, name)| name.filter(|cell| cell.is_own()).map(|name| (column, name)))
            .collect();
        if named.iter().all(|(_, name)| name.hint >= Hint::Marked) && !self.is_body_marked() {
            return true;
        }
        // Figures of some years beside their names.
        let periods = named.iter().filter(|(_, name)| is_period(name)).count();
        if periods >= 2 || named.iter().filter(|(_, name)| name.kind == CellKind::Number).count() >= 3 {
            return true;
        }
        let usual = named.iter().filter(|(column, name)| self.is_usual(*column, name)).count();
        if self.is_of_keys() {
            return false;
        }
        if usual * 3 >= named.len() {
            return true;
        }
        let typed = named.iter().filter(|(column, _)| is_of_values(self.body, *column)).count();
        if self.columns.len() == 2 && self.body.len() < 8 && self.has_corner().is_none() {
            // Two columns may be names and their values.
            return typed > 0 && usual > 0 || self.body.len() == 1 && self.differs(&named);
        }
        typed > 0 || self.has_corner().is_some() || self.differs(&named) || self.has_classes(&named)
    }

    fn is_body_marked(&self) -> bool {
        let cells = || self.body.iter().take(20).flatten().filter(|cell| cell.is_own());
        let marked = cells().filter(|cell| cell.hint >= Hint::Marked).count();
        marked * 2 > cells().count()
    }

    fn is_usual(&self, column: usize, name: &Cell) -> bool {
        let under = || self.body.iter().filter_map(|row| cell(row, column)).take(50);
        let usual = under().filter(|value| is_usual_name(&value.text)).count();
        is_usual_name(&name.text) && usual * 4 <= under().count()
    }

    /// Whether the first of two columns names what stands in the second.
    fn is_of_keys(&self) -> bool {
        let [first, _] = self.columns else { return false };
        let keys: Vec<&Cell> = self.body.iter().filter_map(|row| cell(row, *first)).collect();
        let named = keys.iter().filter(|key| is_usual_name(&key.text) || key.text.ends_with(':')).count();
        named > 0 && named * 2 >= keys.len()
    }

    /// A table of two dimensions: nothing stands in its corner.
    fn has_corner(&self) -> Option<()> {
        let first = self.columns.first()?;
        let is_empty = self.names.get(*first).is_none_or(Option::is_none);
        let filled = self.body.iter().filter(|row| cell(row, *first).is_some()).count();
        (is_empty && filled * 4 >= self.body.len() * 3).then_some(())
    }

    /// Whether the name of a column is written unlike all that stands under it.
    fn differs(&self, named: &[(usize, &Cell)]) -> bool {
        named.iter().any(|(column, name)| {
            let under: Vec<&str> = self
                .body
                .iter()
                .filter_map(|row| cell(row, *column))
                .map(|cell| cell.text.as_str())
                .collect();
            if under.is_empty() {
                return false;
            }
            let has = |sign: fn(&str) -> bool| !sign(&name.text) && under.iter().all(|text| sign(text));
            if has(has_digits) || has(is_address) {
                return true;
            }
            let is_cased = has(begins_upper) || has(is_upper) || has(|text| !is_upper(text));
            under.len() >= 2 && (is_cased || is_long(&name.text, &under))
        })
    }

    /// Whether a column holds few different values again and again, but never its
    /// name.
    fn has_classes(&self, named: &[(usize, &Cell)]) -> bool {
        named.iter().any(|(column, _)| {
            let under: Vec<&Cell> = self.body.iter().filter_map(|row| cell(row, *column)).collect();
            under.len() >= 6 && distinct(&under) * 3 <= under.len()
        })
    }
}

fn has_digits(text: &str) -> bool {
    text.contains(|character: char| character.is_ascii_digit())
}

fn is_address(text: &str) -> bool {
    text.contains('@') || text.contains("://")
}

fn begins_upper(text: &str) -> bool {
    text.chars().next().is_some_and(|first| !first.is_lowercase())
}

fn is_upper(text: &str) -> bool {
    text.chars().filter(|letter| letter.is_alphabetic()).count() >= 2 && !text.contains(char::is_lowercase)
}

/// Sentences under a word.
fn is_long(name: &str, under: &[&str]) -> bool {
    let all: usize = under.iter().map(|text| text.len()).sum();
    name.len() <= 30 && all >= under.len() * 60
}
