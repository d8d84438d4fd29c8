//! Storing a turn: the conversation if it is new, the messages and the run.

use aimate_core::MessageId;
use aimate_core::conversation::{Conversation, DEFAULT_TITLE};
use aimate_core::message::Message;
use aimate_core::run::{BeginRun, Begun, Run, RunStore};
use aimate_core::{Error, Result, Scope};

use crate::conversation::create;
use crate::database::{DbError, Sql, Statement};
use crate::message::{bind_arrays, sqlite_insert};
use crate::message_index::NewTexts;
use crate::value::{count, json, maybe_json, maybe_text, text};
use crate::{Kind, SqlStore};

/// All of it in one statement, for one round trip. The run is stored unless there
/// is one with its `client_id`, and the rest only if the run is; so a row comes
/// back if all of it is stored. Foreign keys are checked at the end of the
/// statement, so the run may come before what it refers to.
///
/// `$4` to `$14` are the run's, `$15` to `$27` the messages', `$28` to `$30` the
/// new title, the same folded, and the one that it replaces, `$31` the run's tags, `$32` its workspace,
/// `$33` what it keeps for its caller, `$34` to `$37` what the messages are found by.
const POSTGRES_BEGIN: Sql = Sql::Postgres(
    "WITH run AS ( \
        INSERT INTO runs (tenant_id, user_id, conversation_id, id, user_message_id, message_id, status, model, \
        context, worker_id, attempt, client_id, client_hash, created_at, is_cancel_requested, tags, workspace_id, request) \
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, false, $31, $32, $33 \
        FROM conversations WHERE tenant_id = $1 AND id = $3 \
        AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer') \
        ON CONFLICT (tenant_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING RETURNING id), \
     said AS ( \
        INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, usage, \
        cost, metadata, depth, tokens, path_tokens, created_at) \
        SELECT $1, $3, m.* FROM unnest($15::uuid[], $16::uuid[], $17::text[], $18::jsonb[], $19::text[], \
        $20::text[], $21::jsonb[], $22::bigint[], $23::jsonb[], $24::bigint[], $25::bigint[], $26::bigint[], \
        $27::bigint[]) AS m WHERE EXISTS (SELECT 1 FROM run)), \
     touched AS ( \
        UPDATE conversations SET active_leaf_id = $6, updated_at = $14, \
        message_count = message_count + cardinality($15::uuid[]), \
        title = CASE WHEN $28::text IS NOT NULL AND title = $30 THEN $28 ELSE title END, \
        title_folded = CASE WHEN $28::text IS NOT NULL AND title = $30 THEN $29 ELSE title_folded END \
        WHERE tenant_id = $1 AND id = $3 AND EXISTS (SELECT 1 FROM run)), \
     indexed AS ( \
        INSERT INTO message_segments (tenant_id, id, owner_id, conversation_id, message_count, header, block) \
        SELECT $1, $34, COALESCE(c.workspace_id, c.user_id), c.id, $35, $36, $37 FROM conversations c \
        WHERE c.tenant_id = $1 AND c.id = $3 AND NOT c.is_hidden AND $34::uuid IS NOT NULL AND EXISTS (SELECT 1 FROM run)) \
     SELECT id FROM run",
);

/// The same with a new conversation, whose are `$28` to `$38`; `$39` are the run's tags, `$40`
/// what it keeps for its caller, and `$41` to `$44` what it is found by.
const POSTGRES_BEGIN_NEW: Sql = Sql::Postgres(
    "WITH run AS ( \
        INSERT INTO runs (tenant_id, user_id, conversation_id, id, user_message_id, message_id, status, model, \
        context, worker_id, attempt, client_id, client_hash, created_at, is_cancel_requested, tags, workspace_id, request) \
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, false, $39, $28, $40 \
        WHERE (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
            AND a.workspace_id = $28) <> 'viewer' OR $28 IS NULL \
        ON CONFLICT (tenant_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING RETURNING id), \
     said AS ( \
        INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, usage, \
        cost, metadata, depth, tokens, path_tokens, created_at) \
        SELECT $1, $3, m.* FROM unnest($15::uuid[], $16::uuid[], $17::text[], $18::jsonb[], $19::text[], \
        $20::text[], $21::jsonb[], $22::bigint[], $23::jsonb[], $24::bigint[], $25::bigint[], $26::bigint[], \
        $27::bigint[]) AS m WHERE EXISTS (SELECT 1 FROM run)), \
     fresh AS ( \
        INSERT INTO conversations (tenant_id, user_id, id, active_leaf_id, message_count, workspace_id, title, \
        title_folded, system_prompt, is_pinned, is_archived, tags, metadata, created_at, updated_at, is_hidden) \
        SELECT $1, $2, $3, $6, cardinality($15::uuid[]), $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38 \
        WHERE EXISTS (SELECT 1 FROM run)), \
     indexed AS ( \
        INSERT INTO message_segments (tenant_id, id, owner_id, conversation_id, message_count, header, block) \
        SELECT $1, $41, COALESCE($28, $2), $3, $42, $43, $44 FROM run WHERE $41::uuid IS NOT NULL) \
     SELECT id FROM run",
);

/// Takes `client_id` `$4` from run `$3`, which is over, so that another may have it.
const RELEASE: Sql = Sql::Same(
    "UPDATE runs SET client_id = NULL, client_hash = NULL \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND client_id = $4 AND finished_at IS NOT NULL",
);

const SQLITE_RUN: Sql = Sql::Sqlite(
    "INSERT INTO runs (tenant_id, user_id, conversation_id, id, user_message_id, message_id, status, model, \
     context, worker_id, attempt, client_id, client_hash, created_at, is_cancel_requested, tags, workspace_id, \
     request) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, false, $15, $16, $17)",
);
const SQLITE_TOUCH: Sql = Sql::Sqlite(
    "UPDATE conversations SET active_leaf_id = $4, updated_at = $5, message_count = message_count + $6, \
     title = CASE WHEN $7 IS NOT NULL AND title = $9 THEN $7 ELSE title END, \
     title_folded = CASE WHEN $7 IS NOT NULL AND title = $9 THEN $8 ELSE title_folded END \
     WHERE tenant_id = $1 AND id = $3 \
     AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer')",
);

impl SqlStore {
    /// See [`RunStore::begin`](aimate_core::run::RunStore::begin).
    pub(super) async fn begin_run(&self, scope: &Scope, begin: &BeginRun) -> Result<Begun> {
        let messages: Vec<&Message> = begin.messages.iter().chain([&begin.answer]).collect();
        let title = begin.create.as_ref().map(|new| &new.title).or(begin.title.as_ref());
        let texts = if begin.create.as_ref().is_some_and(|new| new.is_hidden) {
            NewTexts::of(begin.run.conversation_id, [])
        } else {
            let texts = NewTexts::of(begin.run.conversation_id, messages.iter().copied());
            texts.titled(title.map(String::as_str))
        };
        let written = texts.analyzed(self).await?;
        let mut statements = match self.kind() {
            Kind::Sqlite => sqlite(scope, begin, &messages)?,
            Kind::Postgres => vec![written.bind(postgres(scope, begin, &messages)?)],
        };
        if self.kind() == Kind::Sqlite {
            statements.extend(written.statement(scope.tenant));
        }
        if let Some(replaced) = begin.replaces {
            let release = RELEASE.scoped(scope).bind(replaced).bind(maybe_text(begin.run.client_id.as_ref()));
            statements.insert(0, release.expect_touched(1));
        }
        let error = match self.database.transaction_of(statements).await {
            Ok(_) => {
                written.ask_for_merging(self, scope.tenant).await;
                return Ok(Begun::New);
            }
            Err(error) => error,
        };
        match error {
            DbError::RowCount { .. } => match self.run_of_client(scope, &begin.run).await? {
                Some(run) => Ok(Begun::Existing(Box::new(run))),
                None if begin.replaces.is_some() => Err(Error::conflict(
                    "the answer that is to be tried again is not there any more, or belongs to another turn",
                )),
                None => Err(match &begin.create {
                    Some(new) => self.not_created(scope, new, error).await,
                    None => self.not_their_conversation(scope, begin.run.conversation_id).await,
                }),
            },
            DbError::Unique(_) => match self.run_of_client(scope, &begin.run).await? {
                Some(run) => Ok(Begun::Existing(Box::new(run))),
                None => Err(error.into()),
            },
            DbError::ForeignKey(_) => Err(self.missing_of_begin(scope, begin, error).await),
            DbError::Db(_) | DbError::Other(_) => Err(error.into()),
        }
    }

    async fn run_of_client(&self, scope: &Scope, new: &Run) -> Result<Option<Run>> {
        match &new.client_id {
            Some(client) => self.of_client(scope, client).await,
            None => Ok(None),
        }
    }

    /// What a foreign key refused, in words.
    async fn missing_of_begin(&self, scope: &Scope, begin: &BeginRun, error: DbError) -> Error {
        let first = begin.messages.first().unwrap_or(&begin.answer);
        match (&begin.create, first.parent_id) {
            (Some(_), Some(parent)) => Error::missing("message", parent),
            (Some(conversation), None) => self.not_created(scope, conversation, error).await,
            (None, _) => {
                let new: Vec<&Message> = begin.messages.iter().chain([&begin.answer]).collect();
                self.missing_parent(scope, begin.run.conversation_id, &new, error).await
            }
        }
    }
}

fn postgres(scope: &Scope, begin: &BeginRun, messages: &[&Message]) -> Result<Statement> {
    let sql = if begin.create.is_some() { POSTGRES_BEGIN_NEW } else { POSTGRES_BEGIN };
    let statement = bind_arrays(run(sql, scope, &begin.run)?, messages)?.expect_returned();
    let Some(new) = &begin.create else {
        let titled = statement.bind(maybe_text(begin.title.as_ref())).bind(folded(begin)).bind(DEFAULT_TITLE);
        let tagged = titled.bind(json(&begin.run.tags)?).bind(begin.run.workspace_id);
        return Ok(tagged.bind(maybe_json(begin.request.as_ref())?));
    };
    Ok(statement
        .bind(new.workspace_id)
        .bind(text(&new.title))
        .bind(text(&new.title).to_lowercase())
        .bind(maybe_text(new.system_prompt.as_ref()))
        .bind(new.is_pinned)
        .bind(new.is_archived)
        .bind(json(&new.tags)?)
        .bind(json(&new.metadata)?)
        .bind(new.created_at)
        .bind(new.updated_at)
        .bind(new.is_hidden)
        .bind(json(&begin.run.tags)?)
        .bind(maybe_json(begin.request.as_ref())?))
}

fn sqlite(scope: &Scope, begin: &BeginRun, messages: &[&Message]) -> Result<Vec<Statement>> {
    let leaf: MessageId = begin.run.message_id;
    let mut statements = Vec::with_capacity(messages.len() + 2);
    if let Some(new) = &begin.create {
        let new = Conversation {
            id: begin.run.conversation_id,
            active_leaf_id: Some(leaf),
            message_count: messages.len() as u64,
            ..new.clone()
        };
        statements.push(create(scope, &new)?);
    }
    for message in messages {
        statements.push(sqlite_insert(scope.tenant, begin.run.conversation_id, message)?);
    }
    let stored =
        run(SQLITE_RUN, scope, &begin.run)?.bind(json(&begin.run.tags)?).bind(begin.run.workspace_id);
    statements.push(stored.bind(maybe_json(begin.request.as_ref())?));
    if begin.create.is_none() {
        let touch = SQLITE_TOUCH
            .scoped(scope)
            .bind(begin.run.conversation_id)
            .bind(leaf)
            .bind(begin.run.created_at)
            .bind(count(messages.len()))
            .bind(maybe_text(begin.title.as_ref()))
            .bind(folded(begin))
            .bind(DEFAULT_TITLE);
        statements.push(touch.expect_touched(1));
    }
    Ok(statements)
}

/// Binds what all the statements that store a run begin with.
fn run(sql: Sql, scope: &Scope, run: &Run) -> Result<Statement> {
    Ok(sql
        .scoped(scope)
        .bind(run.conversation_id)
        .bind(run.id)
        .bind(run.user_message_id)
        .bind(run.message_id)
        .bind(run.status.as_str())
        .bind(text(&run.model))
        .bind(json(&run.context)?)
        .bind(run.worker_id)
        .bind(run.attempt)
        .bind(maybe_text(run.client_id.as_ref()))
        .bind(run.client_hash.as_deref())
        .bind(run.created_at))
}

fn folded(begin: &BeginRun) -> Option<String> {
    begin.title.as_ref().map(|title| text(title).to_lowercase())
}
