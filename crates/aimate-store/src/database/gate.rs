//! Whether the schema is the one that the statements are for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use aimate_core::{Error, Result};

/// Lets nothing through to a database whose schema is not up to date.
#[derive(Default)]
pub(crate) struct SchemaGate {
    is_shut: AtomicBool,
    missing: Mutex<String>,
}

impl SchemaGate {
    /// Says which migrations the database lacks; none opens the gate.
    pub(crate) fn set_missing(&self, missing: &[String]) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing.join(", ");
        self.is_shut.store(!missing.is_empty(), Ordering::Release);
    }

    /// # Errors
    /// `Unavailable` while migrations are missing.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.is_shut.load(Ordering::Acquire) {
            return Ok(());
        }
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        Err(Error::unavailable(format!(
            "the database's schema is not up to date: it lacks {missing}; run the migrations first \
             (`Store::migrate` or `aimate migrate`)"
        )))
    }
}
