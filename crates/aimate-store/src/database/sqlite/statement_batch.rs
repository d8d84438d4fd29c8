//! Several statements in one text.
//!
//! sqlx runs SQLite in a thread of its own. Each text that goes there and comes
//! back costs two task switches, which is more than many a statement costs: so a
//! unit of few statements goes as one text.

use std::fmt::Write as _;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Either, Executor as _, SqlSafeStr as _, SqlStr, query_with};

use crate::Kind;
use crate::database::{DbError, DialectText, Expected, Outcome, Row, Statement};

/// Statements in one text, with the values of all.
pub(super) struct StatementBatch {
    sql: SqlStr,
    values: SqliteArguments,
    /// Statements at the beginning whose outcome nobody asks for.
    opening: usize,
    /// What is expected of each of the others; `None` if it is not in the text.
    expected: Vec<Option<Expected>>,
}

impl StatementBatch {
    /// The text of `statements`, behind the statements of `opening`.
    #[expect(clippy::disallowed_methods, reason = "all parts are the store's own text; values are bound")]
    pub(super) fn new(opening: (&'static str, usize), statements: Vec<Statement>) -> Result<Self, DbError> {
        let (mut sql, opening) = (Joined::of(opening.0), opening.1);
        let mut values = SqliteArguments::default();
        let mut bound = 0;
        let mut expected = Vec::with_capacity(statements.len());
        for statement in statements {
            match statement.text(Kind::Sqlite) {
                None => {
                    expected.push(None);
                    continue;
                }
                Some(DialectText::Literal(text) | DialectText::Copy(text)) => sql.push(text, bound),
                Some(DialectText::Built(text) | DialectText::BuiltCopy(text)) => sql.push_built(&text, bound),
            }
            bound += statement.values.len();
            for value in statement.values {
                value.add_to_sqlite(&mut values).map_err(sqlx::Error::Encode)?;
            }
            expected.push(Some(statement.expected));
        }
        let sql = match sql {
            Joined::One(text) => SqlStr::from_static(text),
            Joined::Several(text) => AssertSqlSafe(text).into_sql_str(),
        };
        Ok(Self { sql, values, opening, expected })
    }

    /// Runs the statements; stops at the first that fails or does something else
    /// than expected.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<Outcome>, DbError> {
        let mut skipped = self.opening;
        let mut expected = self.expected.into_iter();
        let mut outcomes = Vec::with_capacity(expected.len());
        let mut rows = Vec::new();
        let mut results = connection.fetch_many(query_with(self.sql, self.values));
        while let Some(result) = results.try_next().await? {
            match result {
                Either::Right(row) => rows.push(Row::Sqlite(row)),
                // `BEGIN` touches nothing and so reports what the statement
                // before it touched.
                Either::Left(_) if skipped > 0 => skipped -= 1,
                Either::Left(done) => {
                    let outcome = Outcome { rows: std::mem::take(&mut rows), touched: done.rows_affected() };
                    for expected in expected.by_ref() {
                        match expected {
                            None => outcomes.push(Outcome::default()),
                            Some(expected) => {
                                expected.check(&outcome)?;
                                break;
                            }
                        }
                    }
                    outcomes.push(outcome);
                }
            }
        }
        outcomes.extend(expected.map(|_| Outcome::default()));
        Ok(outcomes)
    }
}

/// A text as long as it is a literal, and then one that is put together.
enum Joined {
    One(&'static str),
    Several(String),
}

impl Joined {
    fn of(opening: &'static str) -> Self {
        Self::One(opening)
    }

    /// Adds a statement whose `$1` follows after `bound` values.
    fn push(&mut self, text: &'static str, bound: usize) {
        match self {
            Self::One("") => *self = Self::One(text),
            Self::One(_) | Self::Several(_) => self.push_built(text, bound),
        }
    }

    fn push_built(&mut self, text: &str, bound: usize) {
        let mut joined = match self {
            Self::One(first) => (*first).to_owned(),
            Self::Several(joined) => std::mem::take(joined),
        };
        if !joined.is_empty() && !joined.trim_end().ends_with(';') {
            joined.push_str("; ");
        }
        push_renumbered(&mut joined, text, bound);
        *self = Self::Several(joined);
    }
}

/// Appends `text` with its parameters' numbers greater by `bound`. In quotes a
/// dollar sign is one, as in the path `'$.name'`.
fn push_renumbered(joined: &mut String, text: &str, bound: usize) {
    for (n, part) in text.split('\'').enumerate() {
        let is_quoted = n % 2 == 1;
        joined.push_str(if n > 0 { "'" } else { "" });
        if is_quoted || bound == 0 {
            joined.push_str(part);
            continue;
        }
        for (n, piece) in part.split('$').enumerate() {
            let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            match piece.split_at_checked(digits) {
                Some((number, rest)) if n > 0 => {
                    let number = number.parse::<usize>().unwrap_or_default() + bound;
                    // Writing to a string does not fail.
                    let _ = write!(joined, "${number}{rest}");
                }
                _ => joined.push_str(piece),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_after_those_before() {
        let mut joined = Joined::of("BEGIN IMMEDIATE; ");
        joined.push("DELETE FROM a WHERE b = $1 AND c = $2", 0);
        joined.push("UPDATE a SET b = $2 -> '$.x' WHERE c = $1 AND d = $10 AND e = '$1'", 2);
        let Joined::Several(text) = joined else { unreachable!() };
        assert_eq!(
            text,
            "BEGIN IMMEDIATE; DELETE FROM a WHERE b = $1 AND c = $2; \
             UPDATE a SET b = $4 -> '$.x' WHERE c = $3 AND d = $12 AND e = '$1'"
        );
    }

    #[test]
    fn one_statement_stays_a_literal() {
        let mut joined = Joined::of("");
        joined.push("SELECT $1", 0);
        assert!(matches!(joined, Joined::One("SELECT $1")));
    }
}
