//! The log of the engine in Python's `logging`.
//!
//! What is logged goes into a bounded queue; a thread of the package (`aimate._log`) takes it
//! from there, so that nothing here waits for Python.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Records that wait for Python; further ones are counted.
const MAX_WAITING: usize = 10_000;
/// Bytes of one record.
const MAX_BYTES: usize = 16 << 10;

static QUEUE: Mutex<Queue> = Mutex::new(Queue { records: VecDeque::new(), is_over: false });
static CHANGED: Condvar = Condvar::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Python's level of the logger `aimate`.
static LEVEL: AtomicU8 = AtomicU8::new(30);
static INSTALL: Once = Once::new();

struct Queue {
    records: VecDeque<Record>,
    is_over: bool,
}

struct Record {
    level: u8,
    logger: String,
    message: String,
}

/// Logs from now on what has this level of Python's, or a higher one.
#[pyfunction]
pub(crate) fn set_log_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
    // The command of the package has a log of its own, which stays.
    INSTALL.call_once(|| drop(tracing_subscriber::registry().with(PythonLayer).try_init()));
}

/// Waits up to a second for records: `(level, logger, message)` of each; `None` once the log
/// is stopped.
#[pyfunction]
pub(crate) fn next_records(py: Python<'_>) -> Option<Vec<(u8, String, String)>> {
    py.detach(|| {
        let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.records.is_empty() && !queue.is_over {
            queue =
                CHANGED.wait_timeout(queue, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
        }
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        let mut records: Vec<_> =
            queue.records.drain(..).map(|record| (record.level, record.logger, record.message)).collect();
        if dropped > 0 {
            records.push((30, "aimate".to_owned(), format!("{dropped} records of the log were dropped")));
        }
        if records.is_empty() && queue.is_over { None } else { Some(records) }
    })
}

/// Ends the log.
#[pyfunction]
pub(crate) fn stop_log() {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
    CHANGED.notify_all();
}

struct PythonLayer;

fn python_level(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

/// Whether it is aiMate's own; of others warnings count alone.
fn is_own(target: &str) -> bool {
    target.starts_with("aimate")
}

impl<S: Subscriber> Layer<S> for PythonLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && (is_own(metadata.target()) || *metadata.level() <= Level::WARN) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && python_level(*metadata.level()) >= LEVEL.load(Ordering::Relaxed)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let Text { mut message, fields } = text;
        message.push_str(&fields);
        if message.len() > MAX_BYTES {
            message.truncate(message.floor_char_boundary(MAX_BYTES));
        }
        let logger = metadata.target().replace("::", ".");
        let logger = match logger.split_once('_') {
            // `aimate_core::chat` is `aimate.core.chat`: a child of the package's logger.
            Some(("aimate", rest)) => format!("aimate.{rest}"),
            _ if is_own(&logger) => logger,
            _ => format!("aimate.{logger}"),
        };
        let record = Record { level: python_level(*metadata.level()), logger, message };
        let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_over || queue.records.len() >= MAX_WAITING {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.records.push_back(record);
        drop(queue);
        CHANGED.notify_one();
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}
