//! Answers of people to questions of tools, on their way to the process that makes the calls.

use aimate_core::run::{RunStatus, ToolAnswer};
use aimate_core::{Error, Result, RunId, Scope, WorkerId};

use crate::database::{Sql, each};
use crate::value::json;
use crate::{Kind, SqlStore};

/// Bytes of answers that wait for one run's process, before one more.
const MAX_WAITING: u32 = 256 * 1024;

/// Of a run of the user's own that is under way.
const LEAVE_ANSWER: Sql = Sql::Each {
    sqlite: "UPDATE runs SET tool_answers = json_insert(COALESCE(tool_answers, '[]'), '$[#]', json($4)) \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND finished_at IS NULL AND status = 'running' \
        AND length(COALESCE(tool_answers, '')) < $5",
    postgres: "UPDATE runs SET tool_answers = COALESCE(tool_answers, '[]'::jsonb) || $4::jsonb \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND finished_at IS NULL AND status = 'running' \
        AND length(COALESCE(tool_answers::text, '')) < $5",
};
const POSTGRES_TAKE: Sql = Sql::Postgres(
    "WITH waiting AS ( \
        SELECT tenant_id, id, tool_answers FROM runs \
        WHERE worker_id = $1 AND finished_at IS NULL AND tool_answers IS NOT NULL FOR UPDATE) \
     UPDATE runs SET tool_answers = NULL FROM waiting \
     WHERE runs.tenant_id = waiting.tenant_id AND runs.id = waiting.id \
     RETURNING runs.id, waiting.tool_answers",
);
const SQLITE_WAITING: Sql = Sql::Sqlite(
    "SELECT id, tool_answers FROM runs WHERE worker_id = $1 AND finished_at IS NULL AND tool_answers IS NOT NULL",
);
const SQLITE_TAKE: Sql = Sql::Sqlite(
    "UPDATE runs SET tool_answers = NULL WHERE worker_id = $1 AND finished_at IS NULL AND tool_answers IS NOT NULL",
);

impl SqlStore {
    /// See [`RunStore::leave_answer`](aimate_core::run::RunStore::leave_answer).
    pub(super) async fn leave_tool_answer(
        &self,
        scope: &Scope,
        id: RunId,
        answer: &ToolAnswer,
    ) -> Result<()> {
        let leave = LEAVE_ANSWER.scoped(scope).bind(id).bind(json(answer)?).bind(MAX_WAITING);
        if self.database.execute(leave).await? > 0 {
            return Ok(());
        }
        let (run, _) = self.parked_run(scope, id).await?;
        match run.status {
            RunStatus::Running => Err(Error::conflict("too many answers wait for this run already")),
            _ => Err(Error::not_found("no tool asks anything in this run any more")),
        }
    }

    /// See [`WorkerStore::take_answers`](aimate_core::run::WorkerStore::take_answers).
    pub(crate) async fn take_tool_answers(&self, worker: WorkerId) -> Result<Vec<(RunId, Vec<ToolAnswer>)>> {
        let statements = match self.kind() {
            Kind::Postgres => vec![POSTGRES_TAKE.bind(worker)],
            Kind::Sqlite => vec![SQLITE_WAITING.bind(worker), SQLITE_TAKE.bind(worker)],
        };
        let outcomes = self.database.transaction_of(statements).await?;
        let rows: Vec<_> = outcomes.into_iter().flat_map(|outcome| outcome.rows).collect();
        each(&rows, |row| Ok((row.get("id")?, row.json("tool_answers")?)))
    }
}
