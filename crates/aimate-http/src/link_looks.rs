//! How often links are looked at, for which nobody has to be known.

use std::sync::{Mutex, PoisonError};

use aimate_core::{Error, ErrorKind, Result};
use tokio::time::{Duration, Instant};

/// Looks at links that this process answers in a second, whoever asks: nobody has to be
/// known for one, and a snapshot may be large.
const LOOKS_PER_SECOND: f64 = 100.0;
/// Looks that may come at once after a quiet time.
const LOOKS_AT_ONCE: f64 = 200.0;

/// A token bucket for looks at links.
pub(crate) struct LinkLooks(Mutex<(f64, Instant)>);

impl Default for LinkLooks {
    fn default() -> Self {
        Self(Mutex::new((LOOKS_AT_ONCE, Instant::now())))
    }
}

impl LinkLooks {
    /// # Errors
    /// `RateLimited` if there are too many.
    pub(crate) fn take(&self) -> Result<()> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *bucket;
        let now = Instant::now();
        let left = (left + now.duration_since(since).as_secs_f64() * LOOKS_PER_SECOND).min(LOOKS_AT_ONCE);
        if left < 1.0 {
            *bucket = (left, now);
            let error = Error::new(
                ErrorKind::RateLimited,
                "too many shared conversations are looked at; try again in a second",
            );
            return Err(error.with_retry_after(Duration::from_secs(1)));
        }
        *bucket = (left - 1.0, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_are_bounded() {
        let looks = LinkLooks::default();
        let taken = (0..500).filter(|_| looks.take().is_ok()).count();
        assert_eq!(taken, 200);
        let refused = looks.take().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..500).filter(|_| looks.take().is_ok()).count(), 100);
    }
}
