//! Runs and their event logs.

mod begin;

use aimate_core::run::{BeginRun, Begun, EventBatch, FinishRun, Run, RunStatus, RunStore};
use aimate_core::{Error, Result, RunId, Scope};
use async_trait::async_trait;

use crate::row::Columns;
use crate::statement::{found, scoped};
use crate::value::{count, json, maybe_json, text};
use crate::{Database, SqlStore};

/// The columns of a run.
macro_rules! columns {
    () => {
        "id, conversation_id, user_message_id, message_id, status, model, error, finish_reason, usage, context, \
         worker_id, attempt, client_id, client_hash, created_at, finished_at"
    };
}
pub(crate) use columns;

const GET: &str =
    concat!("SELECT ", columns!(), " FROM runs WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const GET_BY_CLIENT: &str =
    concat!("SELECT ", columns!(), " FROM runs WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3");
const CANCEL: &str = "UPDATE runs SET is_cancel_requested = true \
    WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND finished_at IS NULL RETURNING status";

/// Events that begin at or before `$4` and go on after it, and all that begin
/// within the `$5` after it.
const EVENTS: &str = "SELECT e.first_seq, e.events FROM runs r LEFT JOIN run_events e \
    ON e.tenant_id = r.tenant_id AND e.run_id = r.id AND e.last_seq > $4 AND e.first_seq <= $4 + $5 \
    AND e.first_seq >= COALESCE((SELECT max(b.first_seq) FROM run_events b WHERE b.tenant_id = $1 \
        AND b.run_id = $3 AND b.first_seq <= $4 + 1), 0) \
    WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.id = $3 ORDER BY e.first_seq";

/// Stores events while `$4` is the attempt that owns the run. A batch that grew
/// since it was first sent replaces its former self.
macro_rules! checkpoint {
    ($lock:literal) => {
        concat!(
            "INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) \
             SELECT tenant_id, id, $5, $6, $7 FROM runs \
             WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL ",
            $lock,
            " ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
             SET last_seq = excluded.last_seq, events = excluded.events \
             WHERE excluded.last_seq > run_events.last_seq"
        )
    };
}

/// The lock makes a take-over wait for the checkpoint, or the checkpoint see
/// the take-over.
const POSTGRES_CHECKPOINT: &str = checkpoint!("FOR SHARE");
const SQLITE_CHECKPOINT: &str = checkpoint!("");

/// The parts of `finish`, which share their values: `$1` to `$4` find the run,
/// `$5` to `$8` end it, `$9` to `$13` are the answer's, `$14` to `$23` the usage
/// record's and `$24` to `$26` the events'.
macro_rules! finish {
    (run) => {
        "UPDATE runs SET status = $5, error = $6, finish_reason = $27, usage = $7, finished_at = $8 \
         WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL"
    };
    (message) => {
        "UPDATE messages SET content = $9, status = $10, tokens = $11, model = $12, usage = $7, cost = $13, \
         path_tokens = $11 + COALESCE((SELECT p.path_tokens FROM messages p WHERE p.tenant_id = $1 \
         AND p.conversation_id = messages.conversation_id AND p.id = messages.parent_id), 0)"
    };
    (usage) => {
        "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
         input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at) \
         SELECT $1, $2, $14, $15, $16, $12, $17, $18, $19, $20, $21, $13, $22, $23"
    };
    (events) => {
        "INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) SELECT $1, $3, $24, $25, $26"
    };
    (replace) => {
        "ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
         SET last_seq = excluded.last_seq, events = excluded.events"
    };
    (conversation) => {
        "UPDATE conversations SET updated_at = $8"
    };
}

const POSTGRES_FINISH: &str = concat!(
    "WITH ended AS (",
    finish!(run),
    " RETURNING conversation_id, message_id), \
     answered AS (",
    finish!(message),
    " FROM ended WHERE messages.tenant_id = $1 \
        AND messages.conversation_id = ended.conversation_id AND messages.id = ended.message_id), \
     used AS (",
    finish!(usage),
    " FROM ended), \
     logged AS (",
    finish!(events),
    " FROM ended WHERE $26::jsonb IS NOT NULL ",
    finish!(replace),
    "), \
     touched AS (",
    finish!(conversation),
    " FROM ended WHERE conversations.tenant_id = $1 \
        AND conversations.id = ended.conversation_id) \
     SELECT 1 AS done FROM ended"
);

/// Undone as a whole unless each statement touches the row it should.
const SQLITE_FINISH: &str = concat!(
    finish!(run),
    "; ",
    finish!(message),
    " WHERE tenant_id = $1 AND (conversation_id, id) = \
        (SELECT r.conversation_id, r.message_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $3); ",
    finish!(usage),
    "; ",
    finish!(events),
    " WHERE $26 IS NOT NULL ",
    finish!(replace),
    "; ",
    finish!(conversation),
    " WHERE tenant_id = $1 AND id = \
        (SELECT r.conversation_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $3)"
);

/// The run of a row.
pub(crate) fn run(row: &impl Columns) -> Result<Run> {
    Ok(Run {
        id: row.get("id")?,
        conversation_id: row.get("conversation_id")?,
        user_message_id: row.maybe("user_message_id")?,
        message_id: row.get("message_id")?,
        status: row.name("status")?,
        model: row.get("model")?,
        error: row.maybe_json("error")?,
        finish_reason: row.maybe::<String>("finish_reason")?.map(Into::into),
        usage: row.maybe_json("usage")?,
        context: row.json("context")?,
        worker_id: row.get("worker_id")?,
        attempt: row.get("attempt")?,
        client_id: row.maybe("client_id")?,
        client_hash: row.maybe("client_hash")?,
        created_at: row.get("created_at")?,
        finished_at: row.maybe("finished_at")?,
    })
}

#[async_trait]
impl RunStore for SqlStore {
    async fn begin(&self, scope: &Scope, begin: &BeginRun) -> Result<Begun> {
        self.begin_run(scope, begin).await
    }

    async fn get(&self, scope: &Scope, id: RunId) -> Result<Run> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            run(&found(row, || Error::missing("run", id))?)
        })
    }

    async fn of_client(&self, scope: &Scope, client_id: &str) -> Result<Option<Run>> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET_BY_CLIENT, scope).bind(text(client_id))).await?;
            row.as_ref().map(run).transpose()
        })
    }

    async fn checkpoint(&self, scope: &Scope, id: RunId, attempt: u32, batch: &EventBatch) -> Result<()> {
        if batch.events.is_empty() {
            return self.check_owner(scope, id, attempt).await;
        }
        let events = json(&batch.events)?;
        macro_rules! store {
            ($db:expr, $statement:expr) => {{
                let query = scoped($statement, scope)
                    .bind(id.0)
                    .bind(i64::from(attempt))
                    .bind(count(batch.first))
                    .bind(count(batch.last()))
                    .bind(events);
                $db.execute(query).await?
            }};
        }
        let stored = match &self.database {
            Database::Sqlite(db) => store!(db, SQLITE_CHECKPOINT),
            Database::Postgres(db) => store!(db, POSTGRES_CHECKPOINT),
        };
        if stored > 0 { Ok(()) } else { self.check_owner(scope, id, attempt).await }
    }

    async fn finish(&self, scope: &Scope, finish: &FinishRun) -> Result<()> {
        let usage = &finish.usage.usage;
        let events = (!finish.events.events.is_empty()).then(|| json(&finish.events.events)).transpose()?;
        let expected = 4 + u64::from(events.is_some());
        macro_rules! query {
            ($statement:expr) => {
                scoped($statement, scope)
                    .bind(finish.id.0)
                    .bind(i64::from(finish.attempt))
                    .bind(finish.status.as_str())
                    .bind(maybe_json(finish.error.as_ref())?)
                    .bind(json(usage)?)
                    .bind(finish.now.0)
                    .bind(json(&finish.content)?)
                    .bind(finish.status.message_status().as_str())
                    .bind(i64::from(finish.tokens))
                    .bind(text(&finish.usage.model))
                    .bind(usage.cost.map(|cost| cost.0))
                    .bind(finish.usage.id.0)
                    .bind(finish.usage.run_id.map(|id| id.0))
                    .bind(finish.usage.conversation_id.map(|id| id.0))
                    .bind(finish.usage.outcome.as_str())
                    .bind(count(usage.input_tokens))
                    .bind(count(usage.output_tokens))
                    .bind(count(usage.cached_tokens))
                    .bind(count(usage.reasoning_tokens))
                    .bind(usage.estimated)
                    .bind(finish.usage.created_at.0)
                    .bind(count(finish.events.first))
                    .bind(count(finish.events.last()))
                    .bind(events)
                    .bind(finish.finish_reason.as_ref().map(|reason| text(reason.as_str())))
            };
        }
        let is_done = match &self.database {
            Database::Sqlite(db) => db.unit(query!(SQLITE_FINISH), expected).await?,
            Database::Postgres(db) => !db.write(query!(POSTGRES_FINISH)).await?.is_empty(),
        };
        if is_done {
            return Ok(());
        }
        self.check_owner(scope, finish.id, finish.attempt).await?;
        Err(Error::unavailable("the run changed at the same moment; try again"))
    }

    async fn events(&self, scope: &Scope, id: RunId, after: u64, limit: u32) -> Result<Vec<EventBatch>> {
        on!(self, |db| {
            let query = scoped(EVENTS, scope).bind(id.0).bind(count(after)).bind(i64::from(limit));
            let rows = db.read(query).await?;
            found(rows.first(), || Error::missing("run", id))?;
            rows.iter().filter_map(|row| batch(row, after).transpose()).collect()
        })
    }

    async fn request_cancel(&self, scope: &Scope, id: RunId) -> Result<RunStatus> {
        let asked: Option<RunStatus> = on!(self, |db| {
            let rows = db.write(scoped(CANCEL, scope).bind(id.0)).await?;
            rows.first().map(|row| row.name("status")).transpose()?
        });
        match asked {
            Some(status) => Ok(status),
            None => RunStore::get(self, scope, id).await.map(|run| run.status),
        }
    }
}

impl SqlStore {
    /// `Conflict` unless `attempt` owns the run and it is not over.
    async fn check_owner(&self, scope: &Scope, id: RunId, attempt: u32) -> Result<()> {
        let run = RunStore::get(self, scope, id).await?;
        if run.status.is_final() {
            return Err(Error::conflict(format!("the run is over: it is {}", run.status)));
        }
        if run.attempt != attempt {
            return Err(Error::conflict(format!("attempt {} has taken over the run", run.attempt)));
        }
        Ok(())
    }
}

/// The events of a row that come after `after`.
fn batch(row: &impl Columns, after: u64) -> Result<Option<EventBatch>> {
    let Some(first) = row.maybe::<u64>("first_seq")? else { return Ok(None) };
    let mut batch = EventBatch { first, events: row.json("events")? };
    let known = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(0);
    batch.events.drain(..known.min(batch.events.len()));
    batch.first += known as u64;
    Ok(Some(batch).filter(|batch| !batch.events.is_empty()))
}
