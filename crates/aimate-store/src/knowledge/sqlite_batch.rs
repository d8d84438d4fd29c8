//! Many rows into SQLite with few statements.
//!
//! Each value is bound: taken out of JSON, it would cost several times as much. A
//! statement of its own for each row would too, because each costs a hop to sqlx's
//! thread.

use aimate_core::Result;

use crate::Kind;
use crate::database::{Sql, Statement};

/// Rows of one statement. There is one text for each of these numbers, so that
/// each is prepared once and then taken from the cache of statements.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// The texts that insert 64, 16, 4 or 1 rows into a table.
pub(super) struct SqliteBatch {
    texts: [String; SIZES.len()],
}

impl SqliteBatch {
    /// `insert` is the whole statement for one row: `INSERT INTO … VALUES (…) …`.
    /// Its parameters up to `$shared` have the same value in all rows, those after
    /// it are each row's own.
    pub(super) fn new(insert: Sql, shared: usize) -> Self {
        let text = insert.text(Kind::Sqlite).unwrap_or_default();
        let (head, rest) = text.split_once("VALUES (").unwrap_or((text, ""));
        let (row, tail) = rest.split_once(')').unwrap_or((rest, ""));
        let places: Vec<usize> = row.split(", ").filter_map(|place| place.get(1..)?.parse().ok()).collect();
        let own = places.iter().filter(|place| **place > shared).count();
        let texts = SIZES.map(|size| {
            let rows = (0..size).map(|n| {
                let of_row = |place: &usize| if *place > shared { place + own * n } else { *place };
                let places: Vec<String> = places.iter().map(|place| format!("${}", of_row(place))).collect();
                format!("({})", places.join(", "))
            });
            format!("{head}VALUES {}{tail}", rows.collect::<Vec<_>>().join(", "))
        });
        Self { texts }
    }

    /// The statements that insert `rows`: `shared` binds the parameters that they
    /// share, `own` those of one row.
    pub(super) fn statements<T>(
        &'static self,
        mut rows: &[T],
        shared: impl Fn(Sql) -> Statement,
        own: impl Fn(Statement, &T) -> Result<Statement>,
    ) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        for (size, text) in SIZES.iter().zip(&self.texts) {
            while let Some((batch, rest)) = rows.split_at_checked(*size) {
                statements.push(batch.iter().try_fold(shared(Sql::Sqlite(text)), &own)?);
                rows = rest;
            }
        }
        Ok(statements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_some_parameters_and_have_others_of_their_own() {
        let batch = SqliteBatch::new(
            Sql::Sqlite(
                "INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) \
                 VALUES ($1, $3, $4, $5) ON CONFLICT DO NOTHING",
            ),
            3,
        );
        let [.., four, one] = &batch.texts;
        assert_eq!(
            one,
            "INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) \
             VALUES ($1, $3, $4, $5) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            four,
            "INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) \
             VALUES ($1, $3, $4, $5), ($1, $3, $6, $7), ($1, $3, $8, $9), ($1, $3, $10, $11) \
             ON CONFLICT DO NOTHING"
        );
    }
}
