//! Stores the usage of calls that belong to no run: beside the call, in batches,
//! so that a cheap call stays cheap.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::observer::Notices;
use crate::scope::Scope;
use crate::usage::{UsageRecord, UsageStore};

/// How long a record may wait for others to go with.
const LINGER: Duration = Duration::from_millis(100);
/// How many go at once.
const BATCH: usize = 500;
/// How often a batch is tried while the database is away.
const TRIES: u32 = 8;

enum Entry {
    Record(Scope, Box<UsageRecord>),
    Flush(oneshot::Sender<()>),
}

/// Takes records without waiting and stores them soon.
pub(super) struct UsageRecorder {
    entries: mpsc::UnboundedSender<Entry>,
}

impl UsageRecorder {
    /// Starts the task that stores what is recorded. It ends with the recorder,
    /// after everything else of the engine.
    #[expect(clippy::disallowed_methods, reason = "it takes records while the engine's task set ends")]
    pub(super) fn start(store: Arc<dyn UsageStore>, notices: Notices) -> Self {
        let (entries, queue) = mpsc::unbounded_channel();
        tokio::spawn(store_records(store, queue, notices));
        Self { entries }
    }

    /// Records one call.
    pub(super) fn record(&self, scope: Scope, record: UsageRecord) {
        if self.entries.send(Entry::Record(scope, Box::new(record))).is_err() {
            tracing::error!("a usage record came after the async runtime ended and is lost");
        }
    }

    /// Waits until everything recorded before is stored.
    pub(super) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.entries.send(Entry::Flush(done)).is_ok() {
            // The task answers or has ended; both mean there is nothing to wait for.
            let _ = wait.await;
        }
    }
}

async fn store_records(
    store: Arc<dyn UsageStore>,
    mut queue: mpsc::UnboundedReceiver<Entry>,
    notices: Notices,
) {
    let mut batch = Vec::new();
    // Of the first record of a batch: a steady stream of records must not put it off.
    let mut due = tokio::time::Instant::now();
    loop {
        let entry = tokio::select! {
            entry = queue.recv() => entry,
            () = tokio::time::sleep_until(due), if !batch.is_empty() => {
                store_batch(store.as_ref(), &mut batch, &notices).await;
                continue;
            }
        };
        let Some(entry) = entry else {
            return store_batch(store.as_ref(), &mut batch, &notices).await;
        };
        if batch.is_empty() {
            due = tokio::time::Instant::now() + LINGER;
        }
        let flush = take(entry, &mut batch);
        if flush.is_some() || batch.len() >= BATCH {
            store_batch(store.as_ref(), &mut batch, &notices).await;
        }
        if let Some(done) = flush {
            let _ = done.send(());
        }
    }
}

fn take(entry: Entry, batch: &mut Vec<(Scope, UsageRecord)>) -> Option<oneshot::Sender<()>> {
    match entry {
        Entry::Record(scope, record) => {
            batch.push((scope, *record));
            None
        }
        Entry::Flush(done) => Some(done),
    }
}

async fn store_batch(store: &dyn UsageStore, batch: &mut Vec<(Scope, UsageRecord)>, notices: &Notices) {
    if batch.is_empty() {
        return;
    }
    for attempt in 1..=TRIES {
        match store.record(batch).await {
            Ok(()) => {
                batch.iter().for_each(|(scope, record)| notices.usage_recorded(*scope, record));
                break;
            }
            Err(error) if attempt == TRIES || !error.kind().retryable() => {
                tracing::error!(%error, records = batch.len(), "usage records are lost");
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "storing usage failed; trying again");
                tokio::time::sleep(LINGER * 2_u32.pow(attempt)).await;
            }
        }
    }
    batch.clear();
}
