//! How observers are asked and told: each within a deadline, and from a queue of its
//! own, so that none can hold up the work or another observer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Observer, TurnSummary};
use crate::caught::{caught, caught_now};
use crate::error::{Error, ErrorKind, Result};
use crate::knowledge::{Document, DocumentStatus};
use crate::run::{FinishRun, Run};
use crate::scope::Scope;
use crate::usage::UsageRecord;

/// Notices that may wait for one observer.
const QUEUE: usize = 1_024;
/// How long an observer may take for one notice.
const PATIENCE: Duration = Duration::from_secs(30);

/// What observers are told.
#[derive(Clone)]
enum Notice {
    RunFinished(Scope, Arc<Run>),
    UsageRecorded(Scope, Arc<UsageRecord>),
    DocumentEnded(Scope, Arc<Document>),
}

/// What waits in the queue of an observer.
enum QueuedNotice {
    Tell(Notice),
    Flush(oneshot::Sender<()>),
}

/// The way to the observers' queues. Cloning gives the same queues.
#[derive(Clone, Default)]
pub(crate) struct Notices {
    queues: Arc<[mpsc::Sender<QueuedNotice>]>,
    dropped: Arc<AtomicU64>,
}

impl Notices {
    /// Whether nobody is to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// How many notices observers did not get.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The end of a run is stored, and with it the usage of its call.
    pub(crate) fn run_finished(&self, scope: Scope, run: &Run, finish: &FinishRun) {
        if !self.is_empty() {
            self.tell(&Notice::RunFinished(scope, Arc::new(finish.ended(run.clone()))));
            self.usage_recorded(scope, &finish.usage);
        }
    }

    /// A record is stored.
    pub(crate) fn usage_recorded(&self, scope: Scope, record: &UsageRecord) {
        if !self.is_empty() {
            self.tell(&Notice::UsageRecorded(scope, Arc::new(record.clone())));
        }
    }

    /// The work on a document is over: it is ready, or has failed.
    pub(crate) fn document_ended(&self, scope: Scope, document: Document) {
        self.tell(&Notice::DocumentEnded(scope, Arc::new(document)));
    }

    /// Waits until every observer has been told what came before.
    pub(crate) async fn flush(&self) {
        join_all(self.queues.iter().map(|queue| async {
            let (done, wait) = oneshot::channel();
            if queue.send(QueuedNotice::Flush(done)).await.is_ok() {
                // The task answers or has ended; both mean there is nothing to wait for.
                let _ = wait.await;
            }
        }))
        .await;
    }

    fn tell(&self, notice: &Notice) {
        for queue in self.queues.iter() {
            if queue.try_send(QueuedNotice::Tell(notice.clone())).is_err() {
                self.drop_one();
            }
        }
    }

    /// Counts a notice that is lost; the log has the first of many.
    fn drop_one(&self) {
        let before = self.dropped.fetch_add(1, Ordering::Relaxed);
        if before.is_power_of_two() || before == 0 {
            tracing::warn!(dropped = before + 1, "an observer is too slow; notices are dropped");
        }
    }
}

/// An observer and what it said of itself when the engine was built.
struct AskedObserver {
    observer: Arc<dyn Observer>,
    fails_closed: bool,
}

/// The observers of an engine.
#[derive(Default)]
pub(crate) struct Observers {
    all: Vec<AskedObserver>,
    timeout: Duration,
    pub(crate) notices: Notices,
}

impl Observers {
    /// Starts a task for each observer, which ends when the last of the
    /// [`Notices`] is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "they are told of what the engine's tasks do when they end"
    )]
    pub(crate) fn start(observers: Vec<Arc<dyn Observer>>, timeout: Duration) -> Self {
        let dropped = Arc::new(AtomicU64::new(0));
        let mut queues = Vec::new();
        for observer in &observers {
            let (queue, entries) = mpsc::channel(QUEUE);
            tokio::spawn(tell(observer.clone(), entries, dropped.clone()));
            queues.push(queue);
        }
        let all = observers.into_iter().map(|observer| {
            let fails_closed = observer.fail_closed();
            AskedObserver { observer, fails_closed }
        });
        Self { all: all.collect(), timeout, notices: Notices { queues: queues.into(), dropped } }
    }

    /// Asks every observer whether a turn may be answered.
    ///
    /// # Errors
    /// `Forbidden` or `RateLimited` as one of them says; `Unavailable` where one that
    /// fails closed has failed.
    pub(crate) async fn before_turn(&self, scope: &Scope, turn: impl FnOnce() -> TurnSummary) -> Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let turn = turn();
        let asked = self.all.iter().map(|one| one.ask(scope, &turn, self.timeout));
        join_all(asked).await.into_iter().collect()
    }
}

impl AskedObserver {
    async fn ask(&self, scope: &Scope, turn: &TurnSummary, patience: Duration) -> Result<()> {
        let asked = caught(async { self.observer.before_turn(scope, turn).await });
        let error = match timeout(patience, asked).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(error))) if is_refusal(&error) => return Err(error),
            Ok(Ok(Err(error))) => error,
            Ok(Err(panic)) => Error::internal("it panicked").with_source(panic),
            Err(_) => Error::timeout(format!("it took longer than {} s", patience.as_secs_f64())),
        };
        let (cause, fails_closed) = (&error, self.fails_closed);
        tracing::warn!(%error, ?cause, fails_closed, "an observer could not say whether a turn is allowed");
        if fails_closed {
            let why = "whether this turn is allowed could not be found out; try again in a moment";
            return Err(Error::unavailable(why).with_source(error));
        }
        Ok(())
    }
}

/// Whether an observer's error is meant for the caller.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::RateLimited)
}

/// Tells one observer what comes, one notice after the other.
async fn tell(
    observer: Arc<dyn Observer>,
    mut entries: mpsc::Receiver<QueuedNotice>,
    dropped: Arc<AtomicU64>,
) {
    while let Some(entry) = entries.recv().await {
        match entry {
            QueuedNotice::Tell(notice) => {
                let told = caught(async { notice.tell(observer.as_ref()).await });
                match timeout(PATIENCE, told).await {
                    Ok(Ok(())) => {}
                    Ok(Err(panic)) => tracing::error!(%panic, "an observer broke down"),
                    Err(_) => {
                        dropped.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(
                            seconds = PATIENCE.as_secs(),
                            "an observer took too long for a notice"
                        );
                    }
                }
            }
            QueuedNotice::Flush(done) => drop(done.send(())),
        }
    }
    // Its own end may panic too.
    if let Err(panic) = caught_now(|| drop(observer)) {
        tracing::error!(%panic, "an observer broke down at its end");
    }
}

impl Notice {
    async fn tell(&self, observer: &dyn Observer) {
        match self {
            Self::RunFinished(scope, run) => observer.run_finished(scope, run).await,
            Self::UsageRecorded(scope, record) => observer.usage_recorded(scope, record).await,
            Self::DocumentEnded(scope, document) => match document.status {
                DocumentStatus::Ready => observer.document_ready(scope, document).await,
                DocumentStatus::Failed => observer.document_failed(scope, document).await,
                _ => {}
            },
        }
    }
}
