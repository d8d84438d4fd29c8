//! Storing the end of a run: the answer, the usage and the last events.

use aimate_core::conversation::searchable_parts;
use aimate_core::message::MessageRole;
use aimate_core::run::{EventBatch, FinishRun};
use aimate_core::{Error, Result, Scope};

use crate::budget::{Settled, settled};
use crate::database::{DbError, Sql, Statement};
use crate::message_index::NewTexts;
use crate::value::{JsonText, count, json, maybe_json, text};
use crate::{Kind, SqlStore};

/// All of it in one statement, for one round trip; it returns a row if the run
/// was ended. `$1` to `$4` find the run, `$5` to `$9` end it, `$10` to `$14` are
/// the answer's, `$15` to `$24`, `$28` and `$29` the usage record's, `$25` to `$27` the
/// events'; `$30` to `$34` say what the call adds to which budgets, `$35` to `$38` by what the
/// answer is found.
const POSTGRES_FINISH: Sql = Sql::Postgres(
    "WITH ended AS ( \
        UPDATE runs SET status = $5, error = $6, finish_reason = $7, usage = $8, finished_at = $9 \
        WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL \
        RETURNING conversation_id, message_id), \
     answered AS ( \
        UPDATE messages SET content = $10, status = $11, tokens = $12, model = $13, usage = $8, cost = $14, \
        path_tokens = $12 + COALESCE((SELECT p.path_tokens FROM messages p WHERE p.tenant_id = $1 \
            AND p.conversation_id = messages.conversation_id AND p.id = messages.parent_id), 0) \
        FROM ended WHERE messages.tenant_id = $1 AND messages.conversation_id = ended.conversation_id \
        AND messages.id = ended.message_id), \
     used AS ( \
        INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
        input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at, tags, \
        workspace_id) \
        SELECT $1, $2, $15, $16, $17, $13, $18, $19, $20, $21, $22, $14, $23, $24, $28, $29 FROM ended), \
     gone AS (DELETE FROM budget_reservations WHERE tenant_id = $1 AND call_id = $15 \
        AND EXISTS (SELECT 1 FROM ended) RETURNING budget_id, cost, tokens), \
     back AS (SELECT o.budget_id, sum(o.cost)::bigint AS cost, sum(o.tokens)::bigint AS tokens FROM gone o \
        GROUP BY o.budget_id), \
     counted AS (SELECT s.id FROM budgets s WHERE s.tenant_id = $1 \
        AND s.subject = ANY(ARRAY(SELECT jsonb_array_elements_text($30::jsonb) \
            UNION ALL SELECT 'group:' || replace(m.group_id::text, '-', '') FROM group_members m \
            WHERE m.tenant_id = $1 AND m.user_id = $2))), \
     locked AS (SELECT b.id FROM budgets b WHERE b.tenant_id = $1 AND EXISTS (SELECT 1 FROM ended) \
        AND b.id IN (SELECT s.id FROM counted s UNION SELECT k.budget_id FROM back k) \
        ORDER BY b.id FOR UPDATE), \
     settled AS ( \
        UPDATE budgets SET \
        cost_spent = CASE WHEN s.id IS NULL THEN budgets.cost_spent \
            WHEN budgets.begins_at < CASE budgets.period WHEN 'day' THEN $32::bigint ELSE $33::bigint END \
            THEN $34::bigint \
            WHEN budgets.begins_at = CASE budgets.period WHEN 'day' THEN $32::bigint ELSE $33::bigint END \
            THEN budgets.cost_spent + $34::bigint ELSE budgets.cost_spent END, \
        tokens_spent = CASE WHEN s.id IS NULL THEN budgets.tokens_spent \
            WHEN budgets.begins_at < CASE budgets.period WHEN 'day' THEN $32::bigint ELSE $33::bigint END \
            THEN $31::bigint \
            WHEN budgets.begins_at = CASE budgets.period WHEN 'day' THEN $32::bigint ELSE $33::bigint END \
            THEN budgets.tokens_spent + $31::bigint ELSE budgets.tokens_spent END, \
        begins_at = CASE WHEN s.id IS NULL THEN budgets.begins_at ELSE GREATEST(budgets.begins_at, \
            CASE budgets.period WHEN 'day' THEN $32::bigint ELSE $33::bigint END) END, \
        cost_reserved = budgets.cost_reserved - COALESCE(k.cost, 0), \
        tokens_reserved = budgets.tokens_reserved - COALESCE(k.tokens, 0) \
        FROM locked l LEFT JOIN counted s ON s.id = l.id LEFT JOIN back k ON k.budget_id = l.id \
        WHERE budgets.tenant_id = $1 AND budgets.id = l.id), \
     logged AS ( \
        INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) \
        SELECT $1, $3, $25, $26, $27 FROM ended WHERE $27::jsonb IS NOT NULL \
        ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
        SET last_seq = excluded.last_seq, events = excluded.events), \
     touched AS ( \
        UPDATE conversations SET updated_at = $9 FROM ended \
        WHERE conversations.tenant_id = $1 AND conversations.id = ended.conversation_id), \
     indexed AS ( \
        INSERT INTO message_segments (tenant_id, id, owner_id, conversation_id, message_count, header, block) \
        SELECT $1, $35, COALESCE(c.workspace_id, c.user_id), c.id, $36, $37, $38 FROM ended CROSS JOIN conversations c \
        WHERE c.tenant_id = $1 AND c.id = ended.conversation_id AND NOT c.is_hidden AND $35::uuid IS NOT NULL) \
     SELECT 1 AS done FROM ended",
);

const SQLITE_END: Sql = Sql::Sqlite(
    "UPDATE runs SET status = $5, error = $6, finish_reason = $7, usage = $8, finished_at = $9 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND finished_at IS NULL",
);
const SQLITE_ANSWER: Sql = Sql::Sqlite(
    "UPDATE messages SET content = $3, status = $4, tokens = $5, model = $6, usage = $7, cost = $8, \
     path_tokens = $5 + COALESCE((SELECT p.path_tokens FROM messages p WHERE p.tenant_id = $1 \
        AND p.conversation_id = messages.conversation_id AND p.id = messages.parent_id), 0) \
     WHERE tenant_id = $1 AND (conversation_id, id) = \
        (SELECT r.conversation_id, r.message_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $2)",
);
const SQLITE_USE: Sql = Sql::Sqlite(
    "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
     input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at, tags, \
     workspace_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
);
pub(super) const SQLITE_LOG: Sql = Sql::Sqlite(
    "INSERT INTO run_events (tenant_id, run_id, first_seq, last_seq, events) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant_id, run_id, first_seq) DO UPDATE \
     SET last_seq = excluded.last_seq, events = excluded.events",
);
const SQLITE_TOUCH: Sql = Sql::Sqlite(
    "UPDATE conversations SET updated_at = $3 WHERE tenant_id = $1 AND id = \
        (SELECT r.conversation_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $2)",
);

impl SqlStore {
    /// See [`RunStore::finish`](aimate_core::run::RunStore::finish).
    pub(super) async fn finish_run(&self, scope: &Scope, finish: &FinishRun) -> Result<()> {
        let text = searchable_parts(MessageRole::Assistant, &finish.content);
        let texts = NewTexts::answer(finish.conversation_id, finish.message_id, text);
        let written = texts.analyzed(self).await?;
        let statements = match self.kind() {
            Kind::Sqlite => {
                let indexed = written.statement(scope.tenant);
                sqlite(scope, finish)?.into_iter().chain(indexed).collect()
            }
            Kind::Postgres => vec![written.bind(postgres(scope, finish)?)],
        };
        match self.database.transaction_of(statements).await {
            Ok(_) => {
                written.ask_for_merging(self, scope.tenant).await;
                Ok(())
            }
            Err(DbError::RowCount { .. }) => {
                self.check_owner(scope, finish.id, finish.attempt).await?;
                Err(Error::unavailable("the run changed at the same moment; try again"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn postgres(scope: &Scope, finish: &FinishRun) -> Result<Statement> {
    let usage = &finish.usage.usage;
    let settled = Settled::of(scope, &finish.usage)?;
    Ok(end(POSTGRES_FINISH, scope, finish)?
        .bind(json(&finish.content)?)
        .bind(finish.status.message_status().as_str())
        .bind(finish.tokens)
        .bind(text(&finish.usage.model))
        .bind(usage.cost.map(|cost| cost.0))
        .bind(finish.usage.id)
        .bind(finish.usage.run_id)
        .bind(finish.usage.conversation_id)
        .bind(finish.usage.outcome.as_str())
        .bind(count(usage.input_tokens))
        .bind(count(usage.output_tokens))
        .bind(count(usage.cached_tokens))
        .bind(count(usage.reasoning_tokens))
        .bind(usage.estimated)
        .bind(finish.usage.created_at)
        .bind(count(finish.events.first))
        .bind(count(finish.events.last()))
        .bind(last_events(&finish.events)?)
        .bind(json(&finish.usage.tags)?)
        .bind(finish.usage.workspace_id)
        .bind(settled.subjects)
        .bind(settled.tokens)
        .bind(settled.day)
        .bind(settled.month)
        .bind(settled.cost)
        .expect_returned())
}

fn sqlite(scope: &Scope, finish: &FinishRun) -> Result<Vec<Statement>> {
    let record = &finish.usage;
    let usage = &record.usage;
    let answer = SQLITE_ANSWER
        .bind(scope.tenant)
        .bind(finish.id)
        .bind(json(&finish.content)?)
        .bind(finish.status.message_status().as_str())
        .bind(finish.tokens)
        .bind(text(&record.model))
        .bind(json(usage)?)
        .bind(usage.cost.map(|cost| cost.0));
    let used = SQLITE_USE
        .scoped(scope)
        .bind(record.id)
        .bind(record.run_id)
        .bind(record.conversation_id)
        .bind(text(&record.model))
        .bind(record.outcome.as_str())
        .bind(count(usage.input_tokens))
        .bind(count(usage.output_tokens))
        .bind(count(usage.cached_tokens))
        .bind(count(usage.reasoning_tokens))
        .bind(usage.cost.map(|cost| cost.0))
        .bind(usage.estimated)
        .bind(record.created_at)
        .bind(json(&record.tags)?)
        .bind(record.workspace_id);
    let logged = last_events(&finish.events)?.map(|events| {
        let log = SQLITE_LOG.bind(scope.tenant).bind(finish.id);
        log.bind(count(finish.events.first)).bind(count(finish.events.last())).bind(events)
    });
    let touch = SQLITE_TOUCH.bind(scope.tenant).bind(finish.id).bind(finish.now);
    let expected = |statement: Statement| statement.expect_touched(1);
    let mut statements = vec![expected(end(SQLITE_END, scope, finish)?), expected(answer)];
    // Before the record is there.
    statements.extend(settled([(scope, record)])?);
    statements.extend([Some(used), logged, Some(touch)].into_iter().flatten().map(expected));
    Ok(statements)
}

/// Binds what finds and ends the run.
fn end(sql: Sql, scope: &Scope, finish: &FinishRun) -> Result<Statement> {
    Ok(sql
        .scoped(scope)
        .bind(finish.id)
        .bind(finish.attempt)
        .bind(finish.status.as_str())
        .bind(maybe_json(finish.error.as_ref())?)
        .bind(finish.finish_reason.as_ref().map(|reason| text(reason.as_str())))
        .bind(json(&finish.usage.usage)?)
        .bind(finish.now))
}

/// The last events; `None` if there are none.
pub(super) fn last_events(batch: &EventBatch) -> Result<Option<JsonText>> {
    (!batch.events.is_empty()).then(|| json(&batch.events)).transpose()
}
