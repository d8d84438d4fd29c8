//! Many rows into SQLite. Each value is bound: taken out of JSON, it would cost
//! several times as much.

use aimate_core::{Result, Scope};

use super::step::{Pair, Step};

/// Rows of one statement; of each length there is one, which is prepared once.
const LENGTHS: [usize; 4] = [64, 16, 4, 1];

/// How rows come into a table.
pub(super) struct Insert {
    texts: [String; LENGTHS.len()],
}

impl Insert {
    /// `INSERT INTO table`: each row has the values `shared`, which begins with
    /// the scope's `$1` and has parameters up to `$last`, then `own` ones of its
    /// own. `end` follows after the rows.
    pub(super) fn new(table: &str, shared: &str, last: usize, own: usize, end: &str) -> Self {
        let texts = LENGTHS.map(|count| {
            let rows = (0..count).map(|row| {
                let first = last + 1 + own * row;
                let places: Vec<String> = (first..first + own).map(|place| format!("${place}")).collect();
                format!("({shared}, {})", places.join(", "))
            });
            format!("INSERT INTO {table} VALUES {} {end}", rows.collect::<Vec<_>>().join(", "))
        });
        Self { texts }
    }

    /// The steps that insert `rows`: `shared` binds what follows after the
    /// scope, `own` the values of a row.
    pub(super) fn steps<T>(
        &'static self,
        scope: &Scope,
        mut rows: &[T],
        shared: impl Fn(Step) -> Step,
        own: impl Fn(Step, &T) -> Result<Step>,
    ) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for (count, text) in LENGTHS.iter().zip(&self.texts) {
            while let Some((some, rest)) = rows.split_at_checked(*count) {
                let step = shared(Step::new(Pair { sqlite: text, postgres: "" }, scope));
                steps.push(some.iter().try_fold(step, &own)?);
                rows = rest;
            }
        }
        Ok(steps)
    }
}
