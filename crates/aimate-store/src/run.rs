//! Runs and their event logs.

mod answer;
mod begin;
mod finish;
mod park;
mod request;

use aimate_core::run::{
    BeginRun, Begun, ChangeParked, EventBatch, FinishRun, ParkRun, Run, RunStatus, RunStore, ToolAnswer,
};
use aimate_core::{Error, Result, RunId, Scope};
use async_trait::async_trait;
use serde_json::Value;

use crate::SqlStore;
use crate::database::{Row, Sql};
use crate::page::or_not_found;
use crate::value::{count, json, text};

const GET: Sql = Sql::Same(
    "SELECT r.id, r.conversation_id, r.user_message_id, r.message_id, r.status, r.model, r.error, \
     r.finish_reason, r.usage, r.context, r.worker_id, r.attempt, r.client_id, r.client_hash, r.tags, r.workspace_id, \
     r.created_at, r.finished_at \
     FROM runs r JOIN conversations c ON c.tenant_id = r.tenant_id AND c.id = r.conversation_id \
     WHERE r.tenant_id = $1 AND r.id = $3 \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
);
/// The same of who asked for it, which may have no way to its conversation any more.
const GET_OWN: Sql = Sql::Same(
    "SELECT id, conversation_id, user_message_id, message_id, status, model, error, finish_reason, usage, \
     context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at \
     FROM runs WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
const GET_BY_CLIENT: Sql = Sql::Same(
    "SELECT r.id, r.conversation_id, r.user_message_id, r.message_id, r.status, r.model, r.error, \
     r.finish_reason, r.usage, r.context, r.worker_id, r.attempt, r.client_id, r.client_hash, r.tags, r.workspace_id, \
     r.created_at, r.finished_at \
     FROM runs r JOIN conversations c ON c.tenant_id = r.tenant_id AND c.id = r.conversation_id \
     WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.client_id = $3 \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
);
const REQUEST_CANCEL: Sql = Sql::Same(
    "UPDATE runs SET is_cancel_requested = true \
     WHERE tenant_id = $1 AND id = $3 AND finished_at IS NULL AND EXISTS (SELECT 1 FROM conversations c \
        WHERE c.tenant_id = $1 AND c.id = runs.conversation_id \
        AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer')) \
     RETURNING status",
);

/// Events that begin at or before `$4` and go on after it, and all that begin
/// within the `$5` after it.
const EVENTS: Sql = Sql::Same(
    "SELECT e.first_seq, e.events FROM runs r \
     JOIN conversations c ON c.tenant_id = r.tenant_id AND c.id = r.conversation_id LEFT JOIN run_events e \
     ON e.tenant_id = r.tenant_id AND e.run_id = r.id AND e.last_seq > $4 AND e.first_seq <= $4 + $5 \
     AND e.first_seq >= COALESCE((SELECT max(b.first_seq) FROM run_events b WHERE b.tenant_id = $1 \
        AND b.run_id = $3 AND b.first_seq <= $4 + 1), 0) \
     WHERE r.tenant_id = $1 AND r.id = $3 \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY e.first_seq",
);

/// Stores events while `$4` is the attempt that owns the run. A batch that grew
/// since it was first sent replaces its former self. PostgreSQL's lock makes a
/// take-over wait for the checkpoint, or the checkpoint see the take-over.
const CHECKPOINT: Sql = Sql::Each {
    sqlite: "INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) \
        SELECT tenant_id, id, $5, $6, $7 FROM runs \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL \
        ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
        SET last_seq = excluded.last_seq, events = excluded.events WHERE excluded.last_seq > run_events.last_seq",
    postgres: "INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) \
        SELECT tenant_id, id, $5, $6, $7 FROM runs \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL FOR SHARE \
        ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
        SET last_seq = excluded.last_seq, events = excluded.events WHERE excluded.last_seq > run_events.last_seq",
};

/// The run of a row.
pub(crate) fn run(row: &Row) -> Result<Run> {
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
        tags: row.json("tags")?,
        workspace_id: row.maybe("workspace_id")?,
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
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        run(&or_not_found(row, || Error::missing("run", id))?)
    }

    async fn of_client(&self, scope: &Scope, client_id: &str) -> Result<Option<Run>> {
        let row = self.database.read_first(GET_BY_CLIENT.scoped(scope).bind(text(client_id))).await?;
        row.as_ref().map(run).transpose()
    }

    async fn checkpoint(&self, scope: &Scope, id: RunId, attempt: u32, batch: &EventBatch) -> Result<()> {
        if batch.events.is_empty() {
            return self.check_owner(scope, id, attempt).await;
        }
        let checkpoint = CHECKPOINT
            .scoped(scope)
            .bind(id)
            .bind(attempt)
            .bind(count(batch.first))
            .bind(count(batch.last()))
            .bind(json(&batch.events)?);
        let stored = self.database.execute(checkpoint).await?;
        if stored > 0 { Ok(()) } else { self.check_owner(scope, id, attempt).await }
    }

    async fn park(&self, scope: &Scope, park: &ParkRun) -> Result<()> {
        self.park_run(scope, park).await
    }

    async fn parked(&self, scope: &Scope, id: RunId) -> Result<(Run, Option<Value>)> {
        self.parked_run(scope, id).await
    }

    async fn change_parked(&self, scope: &Scope, change: &ChangeParked) -> Result<Run> {
        self.change_parked_run(scope, change).await
    }

    async fn finish(&self, scope: &Scope, finish: &FinishRun) -> Result<()> {
        self.finish_run(scope, finish).await
    }

    async fn events(&self, scope: &Scope, id: RunId, after: u64, limit: u32) -> Result<Vec<EventBatch>> {
        let events = EVENTS.scoped(scope).bind(id).bind(count(after)).bind(limit);
        let rows = self.database.read(events).await?;
        or_not_found(rows.first(), || Error::missing("run", id))?;
        rows.iter().filter_map(|row| batch(row, after).transpose()).collect()
    }

    async fn request_cancel(&self, scope: &Scope, id: RunId) -> Result<RunStatus> {
        let rows = self.database.write(REQUEST_CANCEL.scoped(scope).bind(id)).await?;
        match rows.first() {
            Some(row) => row.name("status"),
            None => match RunStore::get(self, scope, id).await? {
                run if run.status.is_final() => Ok(run.status),
                run => Err(self.not_their_conversation(scope, run.conversation_id).await),
            },
        }
    }

    async fn leave_answer(&self, scope: &Scope, id: RunId, answer: &ToolAnswer) -> Result<()> {
        self.leave_tool_answer(scope, id, answer).await
    }
}

impl SqlStore {
    /// `Conflict` unless `attempt` owns the run and it is not over.
    async fn check_owner(&self, scope: &Scope, id: RunId, attempt: u32) -> Result<()> {
        let row = self.database.read_first(GET_OWN.scoped(scope).bind(id)).await?;
        let run = run(&or_not_found(row, || Error::missing("run", id))?)?;
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
fn batch(row: &Row, after: u64) -> Result<Option<EventBatch>> {
    let Some(first) = row.maybe::<u64>("first_seq")? else { return Ok(None) };
    let mut batch = EventBatch { first, events: row.json("events")? };
    let known = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(0);
    batch.events.drain(..known.min(batch.events.len()));
    batch.first += known as u64;
    Ok(Some(batch).filter(|batch| !batch.events.is_empty()))
}
