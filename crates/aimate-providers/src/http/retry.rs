//! The retry policy: which errors are retried, and after how long.
//!
//! Retried are failed connections and the statuses that pass by themselves (408,
//! 429, 5xx), never a response that has begun: its tokens have been seen. A
//! server that asks for a long wait fails the call at once instead, since a user
//! waits for it.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, UNIX_EPOCH};

use aimate_core::{Clock, Error, SystemClock};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::response::ResponseBody;

/// Maximum wait that a server may ask for; beyond it the call fails at once.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Maximum wait between attempts without such a wish of the server.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// The error of one attempt.
pub(crate) struct AttemptError {
    /// The error of the call if there is no other attempt.
    pub(crate) error: Error,
    is_retryable: bool,
    /// The server is loading the model.
    pub(super) is_loading: bool,
    /// What the server said where it refused the request, in lower case.
    pub(super) said: String,
}

impl AttemptError {
    /// An error that another attempt would repeat.
    pub(super) fn permanent(error: Error) -> Self {
        Self { error, is_retryable: false, is_loading: false, said: String::new() }
    }

    /// An error that another attempt may not have.
    pub(super) fn transient(error: Error) -> Self {
        Self { is_retryable: true, ..Self::permanent(error) }
    }

    /// The error of a response that is not a success.
    pub(super) fn from_response(response: &ResponseBody, path: &str, body: &[u8]) -> Self {
        let (status, headers) = (response.status(), response.headers());
        let wait = retry_after(headers);
        let is_page = response.is("text/html");
        let refusal = response.errors.status_error(status.as_u16(), path, body, is_page);
        let error = match wait {
            Some(wait) if refusal.error.kind().retryable() => refusal.error.with_retry_after(wait),
            _ => refusal.error,
        };
        let is_retryable = refusal.is_loading
            || !refusal.is_permanent
                && match headers.get("x-should-retry").map(|value| value.as_bytes()) {
                    Some(b"false") => false,
                    Some(b"true") => status.is_server_error() || is_transient(status),
                    _ => is_transient(status),
                };
        let is_refused = matches!(status.as_u16(), 400 | 404 | 405 | 415 | 422 | 500 | 501);
        let said = if is_refused { String::from_utf8_lossy(body).to_lowercase() } else { String::new() };
        Self { error, is_retryable, is_loading: refusal.is_loading, said }
    }

    /// Returns how long to wait before attempt `attempt + 1`; `None` to give up.
    pub(super) fn wait(&self, attempt: u32, retries: u32, backoff: Duration) -> Option<Duration> {
        if !self.is_retryable || attempt >= retries {
            return None;
        }
        match self.error.retry_after() {
            Some(wait) => (wait <= MAX_RETRY_AFTER).then_some(wait),
            None => {
                let max = backoff.saturating_mul(1 << attempt.min(10)).min(MAX_BACKOFF);
                // Full jitter: callers that failed together do not retry together.
                Some(max.mul_f64(random()))
            }
        }
    }
}

fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 529)
}

/// Returns the wait that the server asks for: `retry-after-ms`, else
/// `Retry-After` in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse().ok().filter(|number: &f64| *number >= 0.0);
    if let Some(ms) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(ms / 1_000.0).ok();
    }
    let asked = text(RETRY_AFTER.as_str())?;
    if let Some(seconds) = number(asked) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let server_now = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
    let now = server_now.or_else(|| {
        let micros = u64::try_from(SystemClock.now().0).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_micros(micros))
    })?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Returns a number from 0 to 1, random enough to spread retries.
#[allow(clippy::cast_precision_loss, reason = "53 bits are plenty")]
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn wait(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        retry_after(&headers(pairs))
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(
            wait(&[("retry-after-ms", "1500"), ("retry-after", "9")]),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(wait(&[("retry-after", "7")]), seconds(7));
        let date =
            [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")];
        assert_eq!(wait(&date), seconds(30));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), seconds(0));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "-1")]), None);
    }

    #[test]
    fn wait_grows_within_its_bounds() {
        let failure = AttemptError::transient(Error::upstream("x"));
        let backoff = Duration::from_millis(250);
        for attempt in 0..40 {
            let max = backoff.saturating_mul(1 << attempt.min(10)).min(MAX_BACKOFF);
            assert!(failure.wait(attempt, 99, backoff).unwrap() <= max);
        }
        assert_eq!(failure.wait(2, 2, backoff), None);
    }

    #[test]
    fn too_long_a_wait_is_given_up() {
        let asked = |seconds| {
            let error = Error::rate_limited("x").with_retry_after(Duration::from_secs(seconds));
            AttemptError::transient(error).wait(0, 2, BACKOFF)
        };
        const BACKOFF: Duration = Duration::from_millis(1);
        assert_eq!(asked(30), Some(Duration::from_secs(30)));
        assert_eq!(asked(31), None);
    }
}
