//! Deadlines of responses.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A deadline that can be moved.
pub(super) type Deadline = Pin<Box<Sleep>>;

/// Returns the time `wait` from now, or a year from now if that overflows.
pub(super) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365))
}
