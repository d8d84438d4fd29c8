//! Merged cells of sheets.

use super::super::table::{Cell, CellKind, Origin};

/// Maximum columns of a row, as in Excel.
pub(super) const MAX_COLUMNS: usize = 16_384;
/// Maximum merged areas of a sheet that are looked at.
pub(super) const MAX_MERGES: usize = 100_000;
/// Maximum merged areas that one row can be in, and maximum columns of one.
const MAX_OPEN_MERGES: usize = 1_000;

/// A rectangle of cells, by row and column from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) first: (u32, u32),
    pub(super) last: (u32, u32),
}

/// Merged areas of a sheet, as its rows come.
pub(super) struct Merges {
    /// By their first rows, the last ones first.
    ahead: Vec<Area>,
    /// Those that the row before was in, with their values.
    open: Vec<(Area, Cell)>,
}

impl Merges {
    pub(super) fn new(mut areas: Vec<Area>) -> Self {
        areas.truncate(MAX_MERGES);
        areas.sort_by_key(|area| std::cmp::Reverse(area.first));
        Self { ahead: areas, open: Vec::new() }
    }

    /// Adds an area that begins in the row that comes next.
    pub(super) fn add(&mut self, area: Area) {
        if self.ahead.len() < MAX_MERGES {
            self.ahead.push(area);
        }
    }

    /// Whether an area goes on into a row.
    pub(super) fn covers(&self, row: u32) -> bool {
        self.open.iter().any(|(area, _)| area.last.0 >= row)
    }

    /// Fills the cells of a row that are merged with others.
    pub(super) fn fill(&mut self, row: u32, cells: &mut Vec<Cell>) {
        self.open.retain(|(area, _)| area.last.0 >= row);
        while let Some(area) = self.ahead.pop_if(|area| area.first.0 <= row) {
            let value = column(area.first.1).and_then(|column| cells.get(column)).cloned();
            if let Some(value) = value.filter(|value| value.kind != CellKind::Empty)
                && area.first.0 == row
                && self.open.len() < MAX_OPEN_MERGES
            {
                self.open.push((area, value));
            }
        }
        for (area, value) in &self.open {
            let columns = area.last.1.min(area.first.1.saturating_add(MAX_OPEN_MERGES as u32));
            for at in area.first.1..=columns {
                let origin = match (area.first.0 == row, at == area.first.1) {
                    (true, true) => continue,
                    (false, true) => Origin::Above,
                    (_, false) => Origin::Left,
                };
                let Some(at) = column(at) else { break };
                if cells.len() <= at {
                    cells.resize(at + 1, Cell::default());
                }
                if let Some(cell) = cells.get_mut(at).filter(|cell| cell.kind == CellKind::Empty) {
                    *cell = Cell { origin, ..value.clone() };
                }
            }
        }
    }
}

/// The place of a column, if a row can have it.
pub(super) fn column(number: u32) -> Option<usize> {
    usize::try_from(number).ok().filter(|column| *column < MAX_COLUMNS)
}
