//! Storing a turn: the conversation if it is new, the messages and the run.

use aimate_core::conversation::{Conversation, DEFAULT_TITLE};
use aimate_core::message::Message;
use aimate_core::run::{BeginRun, Begun, Run, RunStore};
use aimate_core::{Error, ErrorKind, Result, Scope};
use sqlx::{QueryBuilder, Sqlite};

use crate::conversation::refused;
use crate::message::{bind, insert, push};
use crate::postgres::PgQuery;
use crate::sqlite::SqliteQuery;
use crate::statement::{built, scoped};
use crate::value::{count, json, maybe_text, text};
use crate::{Database, SqlStore};

/// Stores the run unless there is one with its `client_id`; the rest of the
/// statement happens only if it does. Foreign keys are checked at the end of a
/// statement, so the run may come before what it refers to.
macro_rules! run_first {
    ($conversation:literal) => {
        concat!(
            "WITH run AS (INSERT INTO runs (tenant_id, user_id, conversation_id, id, user_message_id, \
             message_id, status, model, context, worker_id, attempt, client_id, client_hash, created_at, \
             is_cancel_requested) SELECT $1, $2, $3, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, \
             false ",
            $conversation,
            " ON CONFLICT (tenant_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING \
             RETURNING id), said AS (",
            insert!("WHERE EXISTS (SELECT 1 FROM run)"),
            "), "
        )
    };
}

const POSTGRES_BEGIN: &str = concat!(
    run_first!("FROM conversations WHERE tenant_id = $1 AND user_id = $2 AND id = $3"),
    "touched AS (UPDATE conversations SET active_leaf_id = $19, updated_at = $27, \
     message_count = message_count + cardinality($4::uuid[]), \
     title = CASE WHEN $28::text IS NOT NULL AND title = $30 THEN $28 ELSE title END, \
     title_folded = CASE WHEN $28::text IS NOT NULL AND title = $30 THEN $29 ELSE title_folded END \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND EXISTS (SELECT 1 FROM run)) SELECT id FROM run"
);

const POSTGRES_BEGIN_NEW: &str = concat!(
    run_first!(""),
    "fresh AS (INSERT INTO conversations (tenant_id, user_id, id, active_leaf_id, message_count, \
     workspace_id, title, title_folded, system_prompt, is_pinned, is_archived, tags, metadata, created_at, \
     updated_at) SELECT $1, $2, $3, $19, cardinality($4::uuid[]), $28, $29, $30, $31, $32, $33, $34, $35, \
     $36, $37 \
     WHERE EXISTS (SELECT 1 FROM run)) SELECT id FROM run"
);

impl SqlStore {
    /// See [`RunStore::begin`](aimate_core::run::RunStore::begin).
    pub(super) async fn begin_run(&self, scope: &Scope, begin: &BeginRun) -> Result<Begun> {
        let messages: Vec<&Message> = begin.messages.iter().chain([&begin.answer]).collect();
        let stored = match &self.database {
            Database::Sqlite(db) => {
                let (query, expected) = sqlite_begin(scope, begin, &messages)?;
                db.unit(query, expected).await
            }
            Database::Postgres(db) => {
                db.write(postgres_begin(scope, begin, &messages)?).await.map(|rows| !rows.is_empty())
            }
        };
        match stored {
            Ok(true) => Ok(Begun::New),
            Ok(false) => match self.run_of_client(scope, &begin.run).await? {
                Some(run) => Ok(Begun::Existing(Box::new(run))),
                None => Err(Error::missing("conversation", begin.run.conversation_id)),
            },
            Err(error) if error.kind() == ErrorKind::Conflict => {
                match self.run_of_client(scope, &begin.run).await? {
                    Some(run) => Ok(Begun::Existing(Box::new(run))),
                    None => Err(error),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.missing_of_begin(scope, begin, error).await)
            }
            Err(error) => Err(error),
        }
    }

    async fn run_of_client(&self, scope: &Scope, new: &Run) -> Result<Option<Run>> {
        match &new.client_id {
            Some(client) => self.of_client(scope, client).await,
            None => Ok(None),
        }
    }

    /// What a foreign key refused, in words.
    async fn missing_of_begin(&self, scope: &Scope, begin: &BeginRun, error: Error) -> Error {
        let first = begin.messages.first().unwrap_or(&begin.answer);
        match (&begin.create, first.parent_id) {
            (Some(_), Some(parent)) => Error::missing("message", parent),
            (Some(conversation), None) => refused(error, scope, conversation),
            (None, _) => {
                let all: Vec<Message> = begin.messages.iter().chain([&begin.answer]).cloned().collect();
                self.missing_parent(scope, begin.run.conversation_id, &all, error).await
            }
        }
    }
}

fn postgres_begin(scope: &Scope, begin: &BeginRun, messages: &[&Message]) -> Result<PgQuery> {
    let statement = if begin.create.is_some() { POSTGRES_BEGIN_NEW } else { POSTGRES_BEGIN };
    let run = &begin.run;
    let query = bind(scoped(statement, scope).bind(run.conversation_id.0), messages)?
        .bind(run.id.0)
        .bind(run.user_message_id.map(|id| id.0))
        .bind(run.message_id.0)
        .bind(run.status.as_str())
        .bind(text(&run.model))
        .bind(json(&run.context)?)
        .bind(run.worker_id.0)
        .bind(i64::from(run.attempt))
        .bind(maybe_text(run.client_id.as_ref()))
        .bind(run.client_hash.as_deref())
        .bind(run.created_at.0);
    let Some(new) = &begin.create else {
        return Ok(query.bind(maybe_text(begin.title.as_ref())).bind(folded(begin)).bind(DEFAULT_TITLE));
    };
    Ok(query
        .bind(new.workspace_id.map(|id| id.0))
        .bind(text(&new.title))
        .bind(text(&new.title).to_lowercase())
        .bind(maybe_text(new.system_prompt.as_ref()))
        .bind(new.is_pinned)
        .bind(new.is_archived)
        .bind(json(&new.tags)?)
        .bind(json(&new.metadata)?)
        .bind(new.created_at.0)
        .bind(new.updated_at.0))
}

fn folded(begin: &BeginRun) -> Option<String> {
    begin.title.as_ref().map(|title| text(title).to_lowercase())
}

/// All statements in one text, and how many rows they touch together if
/// everything they refer to is there.
fn sqlite_begin(scope: &Scope, begin: &BeginRun, messages: &[&Message]) -> Result<(SqliteQuery, u64)> {
    let mut query = QueryBuilder::new("");
    if let Some(new) = &begin.create {
        push_conversation(&mut query, scope, new, begin, messages.len())?;
    }
    push(&mut query, scope.tenant, begin.run.conversation_id, messages)?;
    push_run(&mut query, scope, &begin.run)?;
    if begin.create.is_none() {
        push_touch(&mut query, scope, begin, messages.len());
    }
    Ok((built(query), messages.len() as u64 + 2))
}

fn push_conversation(
    query: &mut QueryBuilder<Sqlite>,
    scope: &Scope,
    new: &Conversation,
    begin: &BeginRun,
    messages: usize,
) -> Result<()> {
    query.push(
        "INSERT INTO conversations (tenant_id, user_id, id, active_leaf_id, message_count, workspace_id, \
         title, title_folded, system_prompt, is_pinned, is_archived, tags, metadata, created_at, updated_at) \
         VALUES (",
    );
    let (tags, metadata) = (json(&new.tags)?, json(&new.metadata)?);
    let mut values = query.separated(", ");
    values.push_bind(scope.tenant.0);
    values.push_bind(scope.user.0);
    values.push_bind(begin.run.conversation_id.0);
    values.push_bind(begin.run.message_id.0);
    values.push_bind(count(messages));
    values.push_bind(new.workspace_id.map(|id| id.0));
    values.push_bind(text(&new.title));
    values.push_bind(text(&new.title).to_lowercase());
    values.push_bind(maybe_text(new.system_prompt.as_ref()));
    values.push_bind(new.is_pinned);
    values.push_bind(new.is_archived);
    values.push_bind(tags);
    values.push_bind(metadata);
    values.push_bind(new.created_at.0);
    values.push_bind(new.updated_at.0);
    query.push("); ");
    Ok(())
}

fn push_run(query: &mut QueryBuilder<Sqlite>, scope: &Scope, run: &Run) -> Result<()> {
    query.push(
        "INSERT INTO runs (tenant_id, user_id, conversation_id, id, user_message_id, message_id, status, \
         model, context, worker_id, attempt, client_id, client_hash, created_at, is_cancel_requested) VALUES (",
    );
    let context = json(&run.context)?;
    let mut values = query.separated(", ");
    values.push_bind(scope.tenant.0);
    values.push_bind(scope.user.0);
    values.push_bind(run.conversation_id.0);
    values.push_bind(run.id.0);
    values.push_bind(run.user_message_id.map(|id| id.0));
    values.push_bind(run.message_id.0);
    values.push_bind(run.status.as_str());
    values.push_bind(text(&run.model));
    values.push_bind(context);
    values.push_bind(run.worker_id.0);
    values.push_bind(i64::from(run.attempt));
    values.push_bind(maybe_text(run.client_id.as_ref()));
    values.push_bind(run.client_hash.as_deref());
    values.push_bind(run.created_at.0);
    query.push(", false); ");
    Ok(())
}

fn push_touch(query: &mut QueryBuilder<Sqlite>, scope: &Scope, begin: &BeginRun, messages: usize) {
    query.push("UPDATE conversations SET active_leaf_id = ").push_bind(begin.run.message_id.0);
    query.push(", updated_at = ").push_bind(begin.run.created_at.0);
    query.push(", message_count = message_count + ").push_bind(count(messages));
    if let Some(title) = &begin.title {
        query.push(", title = CASE title WHEN ").push_bind(DEFAULT_TITLE);
        query.push(" THEN ").push_bind(text(title)).push(" ELSE title END");
        query.push(", title_folded = CASE title WHEN ").push_bind(DEFAULT_TITLE);
        query.push(" THEN ").push_bind(folded(begin)).push(" ELSE title_folded END");
    }
    query.push(" WHERE tenant_id = ").push_bind(scope.tenant.0);
    query.push(" AND user_id = ").push_bind(scope.user.0);
    query.push(" AND id = ").push_bind(begin.run.conversation_id.0);
}
