//! What tests of aiMate and of applications on it need: a provider that plays
//! a script, an embedder without a model, a clock that stands still, ids that
//! count.

mod embedder;
pub mod property;
mod provider;
mod tool_server;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{Clock, ClockAndIds, Ids, Timestamp};

pub use embedder::HashEmbedder;
pub use provider::{ScriptedProvider, Step, answer};
pub use tool_server::{SCRIPTED_ISSUER, ScriptedToolServer, ToolCallMade, ToolStep};

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that stands at `microseconds` since 1970.
    pub fn at(microseconds: i64) -> Self {
        Self(AtomicI64::new(microseconds))
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Ids 1, 2, 3, …, in the form of UUIDv7.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | n)
    }
}

/// A fixed clock at 2026-01-01T00:00:00Z and counting ids.
pub fn fixed_sources() -> ClockAndIds {
    let clock = Arc::new(FixedClock::at(1_767_225_600_000_000));
    ClockAndIds { clock, ids: Arc::new(CountingIds::default()) }
}
