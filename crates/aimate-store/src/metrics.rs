//! What the store measures; `aimate_core::metrics` has the table of all.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::Kind;

/// A unit of work on a database took so long, with the time that it waited.
pub(crate) fn worked(database: Kind, work: &'static str, took: Duration) {
    histogram!("aimate_database_seconds", "database" => name(database), "work" => work).record(took);
}

/// A unit of work waited so long for a connection.
pub(crate) fn waited(database: Kind, waited: Duration) {
    histogram!("aimate_database_wait_seconds", "database" => name(database)).record(waited);
}

/// A part of the index was looked for in memory.
pub(crate) fn looked_up(is_hit: bool) {
    counter!("aimate_index_cache_total", "outcome" => if is_hit { "hit" } else { "miss" }).increment(1);
}

fn name(database: Kind) -> &'static str {
    match database {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    }
}
