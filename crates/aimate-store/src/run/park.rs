//! Runs that wait for a person.

use aimate_core::run::{ChangeParked, ParkRun, Run};
use aimate_core::{Error, Result, RunId, Scope};
use serde_json::Value;

use super::finish::{SQLITE_LOG, last_events};
use super::run;
use crate::database::{DbError, Row, Sql, Statement};
use crate::page::or_not_found;
use crate::value::{count, json};
use crate::{Kind, SqlStore};

/// In one statement, for one round trip; it returns a row if the run was parked.
const POSTGRES_PARK: Sql = Sql::Postgres(
    "WITH waiting AS ( \
        UPDATE runs SET status = 'waiting', parked = $5 \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL \
        RETURNING conversation_id, message_id), \
     answered AS ( \
        UPDATE messages SET content = $6 FROM waiting WHERE messages.tenant_id = $1 \
        AND messages.conversation_id = waiting.conversation_id AND messages.id = waiting.message_id), \
     logged AS ( \
        INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) \
        SELECT $1, $3, $7, $8, $9 FROM waiting WHERE $9::jsonb IS NOT NULL \
        ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
        SET last_seq = excluded.last_seq, events = excluded.events) \
     SELECT 1 AS done FROM waiting",
);
const SQLITE_PARK: Sql = Sql::Sqlite(
    "UPDATE runs SET status = 'waiting', parked = $5 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL",
);
const SQLITE_ANSWER: Sql = Sql::Sqlite(
    "UPDATE messages SET content = $3 WHERE tenant_id = $1 AND (conversation_id, id) = \
        (SELECT r.conversation_id, r.message_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $2)",
);
const PARKED: Sql = Sql::Same(
    "SELECT id, conversation_id, user_message_id, message_id, status, model, error, finish_reason, usage, \
     context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at, parked \
     FROM runs WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
/// `$6` is the worker that goes on with it; without one it waits on.
const CHANGE: Sql = Sql::Each {
    sqlite: "UPDATE runs SET parked = $5, attempt = attempt + 1, \
        status = CASE WHEN $6 IS NULL THEN 'waiting' ELSE 'running' END, worker_id = COALESCE($6, worker_id), \
        resumed_at = $7 \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND status = 'waiting' \
        RETURNING id, conversation_id, user_message_id, message_id, status, model, error, finish_reason, usage, \
        context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at",
    postgres: "UPDATE runs SET parked = $5, attempt = attempt + 1, \
        status = CASE WHEN $6::uuid IS NULL THEN 'waiting' ELSE 'running' END, worker_id = COALESCE($6, worker_id), \
        resumed_at = $7 \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND status = 'waiting' \
        RETURNING id, conversation_id, user_message_id, message_id, status, model, error, finish_reason, usage, \
        context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at",
};

impl SqlStore {
    /// See [`RunStore::park`](aimate_core::run::RunStore::park).
    pub(super) async fn park_run(&self, scope: &Scope, park: &ParkRun) -> Result<()> {
        let statements = match self.kind() {
            Kind::Sqlite => sqlite(scope, park)?,
            Kind::Postgres => vec![postgres(scope, park)?],
        };
        match self.database.transaction_of(statements).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => {
                self.check_owner(scope, park.id, park.attempt).await?;
                Err(Error::unavailable("the run changed at the same moment; try again"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// See [`RunStore::parked`](aimate_core::run::RunStore::parked).
    pub(super) async fn parked_run(&self, scope: &Scope, id: RunId) -> Result<(Run, Option<Value>)> {
        let row = self.database.read_first(PARKED.scoped(scope).bind(id)).await?;
        let row: Row = or_not_found(row, || Error::missing("run", id))?;
        Ok((run(&row)?, row.maybe_json("parked")?))
    }

    /// See [`RunStore::change_parked`](aimate_core::run::RunStore::change_parked).
    pub(super) async fn change_parked_run(&self, scope: &Scope, change: &ChangeParked) -> Result<Run> {
        let update = CHANGE
            .scoped(scope)
            .bind(change.id)
            .bind(change.attempt)
            .bind(json(&change.parked)?)
            .bind(change.resumed_by)
            .bind(change.now);
        if let Some(row) = self.database.write(update).await?.first() {
            return run(row);
        }
        self.parked_run(scope, change.id).await?;
        Err(Error::conflict("the run has changed since it was read; read it again"))
    }
}

fn postgres(scope: &Scope, park: &ParkRun) -> Result<Statement> {
    Ok(POSTGRES_PARK
        .scoped(scope)
        .bind(park.id)
        .bind(park.attempt)
        .bind(json(&park.parked)?)
        .bind(json(&park.content)?)
        .bind(count(park.events.first))
        .bind(count(park.events.last()))
        .bind(last_events(&park.events)?)
        .expect_returned())
}

fn sqlite(scope: &Scope, park: &ParkRun) -> Result<Vec<Statement>> {
    let waiting = SQLITE_PARK.scoped(scope).bind(park.id).bind(park.attempt).bind(json(&park.parked)?);
    let answer = SQLITE_ANSWER.bind(scope.tenant).bind(park.id).bind(json(&park.content)?);
    let logged = last_events(&park.events)?.map(|events| {
        let log = SQLITE_LOG.bind(scope.tenant).bind(park.id);
        log.bind(count(park.events.first)).bind(count(park.events.last())).bind(events)
    });
    let statements = [Some(waiting), Some(answer), logged].into_iter().flatten();
    Ok(statements.map(|statement| statement.expect_touched(1)).collect())
}
