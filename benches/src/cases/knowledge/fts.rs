//! The same on SQLite by hand: prepared statements, FTS5 and its bm25.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::data::{Data, KEPT, bucket};
use crate::Result;

/// A database file of its own, as durable as aiMate's: WAL, synchronous=FULL.
pub(super) struct Fts {
    connection: Connection,
}

impl Fts {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
        Ok(Self { connection })
    }

    /// The limit of an ingest: one statement, prepared, in one transaction.
    pub(super) fn insert(&mut self, texts: &[String], vectors: Option<&[Vec<f32>]>) -> Result<Duration> {
        self.connection.execute_batch(
            "DROP TABLE IF EXISTS bare; CREATE TABLE bare (id BLOB, content TEXT, vector BLOB)",
        )?;
        let begun = Instant::now();
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare("INSERT INTO bare VALUES (?, ?, ?)")?;
            for (place, text) in texts.iter().enumerate() {
                let vector = vectors.map(|vectors| super::half::Half::new(&vectors[place % vectors.len()]));
                let vector = vector.as_ref().map(super::half::Half::bytes);
                insert.execute(params![(place as u128).to_be_bytes(), text, vector])?;
            }
        }
        transaction.commit()?;
        Ok(begun.elapsed())
    }

    /// Fills the table that is searched.
    pub(super) fn fill(&mut self, data: &Data) -> Result<Duration> {
        self.connection.execute_batch(
            "CREATE VIRTUAL TABLE pieces USING
                fts5(content, bucket UNINDEXED, tokenize = 'porter unicode61')",
        )?;
        let begun = Instant::now();
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare("INSERT INTO pieces (rowid, content, bucket) VALUES (?, ?, ?)")?;
            for (place, text) in data.texts.iter().enumerate() {
                insert.execute(params![place as i64, text, bucket(place) as i64])?;
            }
        }
        transaction.commit()?;
        let time = begun.elapsed();
        self.connection.execute_batch("INSERT INTO pieces (pieces) VALUES ('optimize'); ANALYZE")?;
        Ok(time)
    }

    /// The places of the best 20.
    pub(super) fn search(&self, words: &[String], filtered: bool) -> Result<Vec<usize>> {
        let filter = if filtered { format!("AND bucket = {KEPT}") } else { String::new() };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT rowid, content FROM pieces WHERE pieces MATCH ? {filter} ORDER BY rank LIMIT 20"
        ))?;
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let rows = statement.query_map([quoted.join(" OR ")], |row| {
            // As PostgreSQL sends it, the text is read too.
            row.get::<_, String>(1)?;
            row.get::<_, i64>(0)
        })?;
        let mut places = Vec::new();
        for row in rows {
            places.push(usize::try_from(row?)?);
        }
        Ok(places)
    }
}
