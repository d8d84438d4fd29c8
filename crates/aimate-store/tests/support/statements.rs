//! Which statements the store runs, as sqlx logs them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Begins to listen, for the rest of the process.
pub(crate) fn listen() {
    tracing::subscriber::set_global_default(Listener).unwrap();
}

/// The statements since the last call.
pub(crate) fn take() -> BTreeSet<String> {
    std::mem::take(&mut SEEN.lock().unwrap())
}

/// Whether a statement with `part` has run since.
pub(crate) fn has_run(part: &str) -> bool {
    SEEN.lock().unwrap().iter().any(|statement| statement.contains(part))
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Statement);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Statement;

impl Visit for Statement {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "db.statement" && !value.is_empty() {
            SEEN.lock().unwrap().insert(value.trim().to_owned());
        }
    }
}
