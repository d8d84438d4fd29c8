//! When work that failed is tried again: one policy for documents and spaces.

use std::time::Duration;

use crate::error::Error;

/// Tries that may fail before it counts as failed for good.
pub(super) const MAX_TRIES: u32 = 5;
/// The longest wait is two to this power, in seconds.
const MAX_EXPONENT: u32 = 6;

/// How long to wait before the next try after `tries` (from 1) that failed, the
/// last of them with `error`; `None` if it is not worth it.
///
/// Doubles each time, so that a model server that restarts within a minute costs
/// no document, and an overloaded one is left in peace. A server that says how
/// long to wait knows better.
pub(in super::super) fn retry_delay(error: &Error, tries: u32) -> Option<Duration> {
    let is_worth_it = error.kind().retryable() && tries < MAX_TRIES;
    let doubled = Duration::from_secs(1 << tries.min(MAX_EXPONENT));
    is_worth_it.then(|| error.retry_after().unwrap_or(doubled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_it_is_given_up() {
        let error = Error::unavailable("away");
        let waits: Vec<_> = (1..=MAX_TRIES).map(|tries| retry_delay(&error, tries)).collect();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(waits, [seconds(2), seconds(4), seconds(8), seconds(16), None]);
    }

    #[test]
    fn server_says_how_long_to_wait() {
        let error = Error::unavailable("busy").with_retry_after(Duration::from_secs(77));
        assert_eq!(retry_delay(&error, 1), Some(Duration::from_secs(77)));
        assert_eq!(retry_delay(&error, MAX_TRIES), None);
    }

    #[test]
    fn what_fails_again_is_not_tried_again() {
        assert_eq!(retry_delay(&Error::invalid("no"), 1), None);
    }
}
