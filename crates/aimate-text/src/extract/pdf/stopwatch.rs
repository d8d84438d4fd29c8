//! How long reading may take.

use std::time::{Duration, Instant};

use crate::extract::output::thread_time;

/// Measures the time of reading a document against a limit.
///
/// The time that the processor spends on the reading thread counts where it is
/// known, since a busy machine must not shorten what is read; else the time that
/// passes.
pub(super) struct Stopwatch {
    start: Duration,
    since: Instant,
    processor: Duration,
    passing: Duration,
}

impl Stopwatch {
    /// Starts measuring. Four fifths of each limit are for reading, the rest for
    /// making the text of what was read.
    pub(super) fn new(processor: Duration, passing: Duration) -> Self {
        Self {
            start: processor_time(),
            since: Instant::now(),
            processor: processor.mul_f64(0.8),
            passing: passing.mul_f64(0.8),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() > self.passing || processor_time().saturating_sub(self.start) > self.processor
    }
}

fn processor_time() -> Duration {
    thread_time().unwrap_or_default()
}
