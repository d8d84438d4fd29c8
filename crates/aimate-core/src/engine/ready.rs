//! Whether the engine can do its work at this moment.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Engine;
use crate::error::{Error, Result};

/// How long the database may take to answer.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// How long an answer is good for: whoever asks more often costs nothing.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// What was last seen.
#[derive(Default)]
pub(super) struct Readiness {
    /// When the database was asked, and its answer. Held while it is asked, so that
    /// it is asked once.
    asked: tokio::sync::Mutex<Option<(Instant, Option<String>)>>,
    /// Why the last write of the housekeeping failed.
    trouble: Mutex<Option<String>>,
}

impl Readiness {
    /// Notes how the last write of the housekeeping went.
    pub(super) fn note(&self, outcome: &Result<()>) {
        let trouble = outcome.as_ref().err().map(|error| error.message().to_owned());
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Whether that failed.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Engine {
    /// Whether the engine takes turns and the database stores what it is given: it
    /// answers (within two seconds), and the last of the small writes that are made
    /// every few seconds was stored. Cheap enough to be asked at any rate.
    ///
    /// # Errors
    /// `Unavailable`, with the reason.
    pub async fn ready(&self) -> Result<()> {
        self.accepting()?;
        let readiness = &self.inner.readiness;
        let mut asked = readiness.asked.lock().await;
        let trouble = match &*asked {
            Some((at, trouble)) if at.elapsed() < GOOD_FOR => trouble.clone(),
            _ => {
                let trouble = match timeout(MAX_WAIT, self.ping()).await {
                    Ok(answer) => answer.err().map(|error| error.message().to_owned()),
                    Err(_) => Some(format!("the database does not answer within {} s", MAX_WAIT.as_secs())),
                };
                *asked = Some((Instant::now(), trouble.clone()));
                trouble
            }
        };
        drop(asked);
        let failed = || readiness.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match trouble.or_else(failed) {
            Some(trouble) => Err(Error::unavailable(trouble)),
            None => Ok(()),
        }
    }
}
