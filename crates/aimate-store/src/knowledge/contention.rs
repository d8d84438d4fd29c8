//! Optimistic transactions: what to do when somebody else was faster.
//!
//! Whoever changes a collection's index reads segments, computes new ones without
//! holding a lock, and then puts them in their place in one short transaction. Each
//! of its statements says how many rows it has to touch; if one touches another
//! number, what was read is no longer true, nothing is stored, and the work is done
//! anew from what is there now.

use aimate_core::{Error, Result};

use crate::database::{DbError, Outcome};

/// How often work is begun anew before the caller is asked to try again. Within one
/// process index writers wait for each other (see `IndexCache::lock_writers`), so
/// only as many other processes as this could use all attempts up.
pub(super) const MAX_ATTEMPTS: usize = 8;

/// What a caller is told when every attempt was in vain.
pub(super) fn contention_error() -> Error {
    Error::unavailable("the collection changed again and again at the same moment; try again")
}

/// Whether a transaction was stored: `false` if a statement touched another number
/// of rows than it had to.
pub(crate) fn is_stored(result: Result<Vec<Outcome>, DbError>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(DbError::RowCount { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// [`is_stored`] for new rows that depend on rows read before: `false` too if one
/// of those went away meanwhile (a foreign key is violated) or somebody stored the
/// same (a unique key is), so that the rows can be made anew.
pub(super) fn is_stored_if_unchanged(result: Result<Vec<Outcome>, DbError>) -> Result<bool> {
    match result {
        Err(DbError::ForeignKey(_) | DbError::Unique(_)) => Ok(false),
        result => is_stored(result),
    }
}
