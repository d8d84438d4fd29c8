//! Answers of people to questions of tools, on their way to the process that makes the calls.

use aimate_core::run::{RunStatus, ToolAnswer};
use aimate_core::{Error, Result, RunId, Scope, WorkerId};

use crate::SqlStore;
use crate::database::{Sql, each};
use crate::value::json;
use crate::worker::by_tenant;

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
/// Runs of worker `$1` for which answers are there.
const ANSWERED: Sql = Sql::Same(
    "SELECT tenant_id, id FROM runs WHERE worker_id = $1 AND finished_at IS NULL AND tool_answers IS NOT NULL \
     LIMIT $2",
);
const ANSWERS: Sql = Sql::Each {
    sqlite: "SELECT id, tool_answers FROM runs WHERE tenant_id = $1 AND worker_id = $2 \
        AND id IN (SELECT unhex(value) FROM json_each($3)) AND finished_at IS NULL AND tool_answers IS NOT NULL",
    postgres: "WITH answered AS (SELECT r.id, r.tool_answers FROM runs r WHERE r.tenant_id = $1 AND r.worker_id = $2 \
            AND r.id = ANY($3) AND r.finished_at IS NULL AND r.tool_answers IS NOT NULL ORDER BY r.id FOR UPDATE) \
        UPDATE runs SET tool_answers = NULL FROM answered a WHERE runs.tenant_id = $1 AND runs.id = a.id \
        RETURNING a.id, a.tool_answers",
};
/// After [`ANSWERS`], whose rows nobody else writes meanwhile; PostgreSQL does both in one.
const TAKE: Sql = Sql::Sqlite(
    "UPDATE runs SET tool_answers = NULL WHERE tenant_id = $1 AND worker_id = $2 \
     AND id IN (SELECT unhex(value) FROM json_each($3)) AND finished_at IS NULL AND tool_answers IS NOT NULL",
);
/// Runs whose answers are taken at once.
const RUNS: u32 = 1_000;

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
        let answered = self.database.read(ANSWERED.bind(worker).bind(RUNS)).await?;
        let mut rows = Vec::new();
        for of in by_tenant(&answered)? {
            let statements = [ANSWERS, TAKE].map(|sql| sql.bind(of.tenant).bind(worker).bind(of.ids.clone()));
            match self.database.transaction(statements).await {
                Ok([answers, _]) => rows.extend(answers.rows),
                // What is taken stands nowhere else.
                Err(error) if !rows.is_empty() => {
                    tracing::warn!(?error, "not all answers to tools were taken; they are at the next beat");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        each(&rows, |row| Ok((row.get("id")?, row.json("tool_answers")?)))
    }
}
