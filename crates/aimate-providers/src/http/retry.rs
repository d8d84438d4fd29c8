//! Which failures are worth another try, and after how long.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, UNIX_EPOCH};

use aimate_core::{Clock, Error, SystemClock};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::Answer;

/// The longest wait that a server may ask for; beyond it the call fails at once.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The longest wait between tries that aiMate chooses itself.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// A failed try.
pub(crate) struct Failure {
    /// What the caller is told if there is no other try.
    pub(crate) error: Error,
    is_worth_a_retry: bool,
}

impl Failure {
    /// Another try would fail too.
    pub(super) fn last(error: Error) -> Self {
        Self { error, is_worth_a_retry: false }
    }

    /// Another try may succeed.
    pub(super) fn again(error: Error) -> Self {
        Self { error, is_worth_a_retry: true }
    }

    /// The server answered with a status that is not a success.
    pub(super) fn refused(answer: &Answer, path: &str, body: &[u8]) -> Self {
        let (status, headers) = (answer.status(), answer.headers());
        let wait = retry_after(headers);
        let refusal = answer.peer.refusal(status.as_u16(), path, body);
        let error = match wait {
            Some(wait) if refusal.error.kind().retryable() => refusal.error.with_retry_after(wait),
            _ => refusal.error,
        };
        let is_worth_a_retry = !refusal.is_final
            && match headers.get("x-should-retry").map(|value| value.as_bytes()) {
                Some(b"false") => false,
                Some(b"true") => status.is_server_error() || is_passing(status),
                _ => is_passing(status),
            };
        Self { error, is_worth_a_retry }
    }

    /// How long to wait before try `attempt + 1`; `None` to give up.
    pub(super) fn wait(&self, attempt: u32, retries: u32, backoff: Duration) -> Option<Duration> {
        if !self.is_worth_a_retry || attempt >= retries {
            return None;
        }
        match self.error.retry_after() {
            Some(asked) => (asked <= MAX_WAIT).then_some(asked),
            None => {
                let max = backoff.saturating_mul(1 << attempt.min(10)).min(MAX_BACKOFF);
                Some(max.mul_f64(random()))
            }
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 529)
}

/// What the server asks for: `retry-after-ms`, then `Retry-After` in seconds,
/// then as a date.
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

/// Any number from 0 to 1: good enough to spread retries.
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
        let failure = Failure::again(Error::upstream("x"));
        let backoff = Duration::from_millis(250);
        for attempt in 0..40 {
            let max = backoff.saturating_mul(1 << attempt.min(10)).min(MAX_BACKOFF);
            assert!(failure.wait(attempt, 99, backoff).unwrap() <= max);
        }
        assert_eq!(failure.wait(2, 2, backoff), None);
    }

    #[test]
    fn too_long_a_wait_is_not_waited() {
        let asked = |seconds| {
            let error = Error::rate_limited("x").with_retry_after(Duration::from_secs(seconds));
            Failure::again(error).wait(0, 2, BACKOFF)
        };
        const BACKOFF: Duration = Duration::from_millis(1);
        assert_eq!(asked(30), Some(Duration::from_secs(30)));
        assert_eq!(asked(31), None);
    }
}
