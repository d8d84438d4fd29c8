//! Rows and columns that a program does not show.

use std::collections::BTreeSet;

use super::super::output::Output;
use super::merges::MAX_COLUMNS;

/// Maximum ranges of hidden columns of a sheet that are looked at.
const MAX_RANGES: usize = 1_000;

/// What was met in the cells of a sheet.
#[derive(Default)]
pub(super) struct Met {
    /// How many formulas have no stored value.
    pub(super) formulas: usize,
    pub(super) hidden: Hidden,
}

/// What of a sheet is hidden and holds something.
#[derive(Clone, Default)]
pub(super) struct Hidden {
    /// The first and the last of each range, from 0.
    ranges: Vec<(u32, u32)>,
    rows: usize,
    columns: BTreeSet<u32>,
}

impl Hidden {
    /// Columns that are hidden, whether something is in them or not.
    pub(super) fn add_columns(&mut self, first: u32, last: u32) {
        if self.ranges.len() < MAX_RANGES {
            self.ranges.push((first, last));
        }
    }

    /// Rows with a value that are hidden.
    pub(super) fn rows(&mut self, count: u32) {
        self.rows = self.rows.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
    }

    /// A cell with a value.
    pub(super) fn cell(&mut self, column: u32) {
        if self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&column))
            && self.columns.len() < MAX_COLUMNS
        {
            self.columns.insert(column);
        }
    }

    /// Says of a sheet what of it is hidden: a reader who looks for it in the program
    /// would not find it.
    pub(super) fn warn(&self, sheet: &str, output: &mut Output) {
        let count = |number: usize, noun: &str| match number {
            0 => None,
            1 => Some(format!("1 {noun}")),
            _ => Some(format!("{number} {noun}s")),
        };
        let parts: Vec<String> =
            [count(self.rows, "row"), count(self.columns.len(), "column")].into_iter().flatten().collect();
        if parts.is_empty() {
            return;
        }
        let (are, they) =
            if self.rows + self.columns.len() == 1 { ("is", "it was") } else { ("are", "they were") };
        output.warn(format!(
            "{} of the sheet \"{sheet}\" {are} hidden in its program; {they} read",
            parts.join(" and ")
        ));
    }
}
