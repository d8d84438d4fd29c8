//! Prompts.

use aimate_core::prompt::{Prompt, PromptChange, PromptStore};
use aimate_core::{Error, ErrorKind, Page, PageRequest, PromptId, Result, Scope, Timestamp, WorkspaceId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{after, found, page_by_id, rows_of, scoped};
use crate::value::{maybe_text, text};

macro_rules! columns {
    () => {
        "id, workspace_id, title, content, is_active, created_at, updated_at"
    };
}

const CREATE: &str = concat!(
    "INSERT INTO prompts (tenant_id, user_id, ",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
const GET: &str =
    concat!("SELECT ", columns!(), " FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id > $3 ORDER BY id LIMIT $4"
);
const LIST_OF_WORKSPACE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id > $3 AND workspace_id = $5 \
     ORDER BY id LIMIT $4"
);
const UPDATE: &str = concat!(
    "UPDATE prompts SET title = COALESCE($4, title), content = COALESCE($5, content), \
     is_active = COALESCE($6, is_active), updated_at = $7 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 RETURNING ",
    columns!()
);
const DELETE: &str = "DELETE FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

fn prompt(row: &impl Columns) -> Result<Prompt> {
    Ok(Prompt {
        id: row.get("id")?,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("title")?,
        content: row.get("content")?,
        is_active: row.get("is_active")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl PromptStore for SqlStore {
    async fn create(&self, scope: &Scope, prompt: &Prompt) -> Result<()> {
        on!(self, |db| {
            let query = scoped(CREATE, scope)
                .bind(prompt.id.0)
                .bind(prompt.workspace_id.map(|id| id.0))
                .bind(text(&prompt.title))
                .bind(text(&prompt.content))
                .bind(prompt.is_active)
                .bind(prompt.created_at.0)
                .bind(prompt.updated_at.0);
            db.execute(query).await
        })
        .map(drop)
        .map_err(|error| {
            explain(error, ErrorKind::NotFound, || match prompt.workspace_id {
                Some(id) => Error::missing("workspace", id),
                None => Error::missing("user", scope.user),
            })
        })
    }

    async fn get(&self, scope: &Scope, id: PromptId) -> Result<Prompt> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            prompt(&found(row, || Error::missing("prompt", id))?)
        })
    }

    async fn list(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        page: PageRequest,
    ) -> Result<Page<Prompt>> {
        let rows: Vec<Prompt> = on!(self, |db| {
            let rows = match workspace {
                None => db.read(scoped(LIST, scope).bind(after(page)).bind(rows_of(page))).await?,
                Some(id) => {
                    let query =
                        scoped(LIST_OF_WORKSPACE, scope).bind(after(page)).bind(rows_of(page)).bind(id.0);
                    db.read(query).await?
                }
            };
            rows.iter().map(prompt).collect::<Result<_>>()?
        });
        Ok(page_by_id(rows, page, |prompt| prompt.id.0))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: PromptId,
        change: &PromptChange,
        now: Timestamp,
    ) -> Result<Prompt> {
        on!(self, |db| {
            let query = scoped(UPDATE, scope)
                .bind(id.0)
                .bind(maybe_text(change.title.as_ref()))
                .bind(maybe_text(change.content.as_ref()))
                .bind(change.is_active)
                .bind(now.0);
            let rows = db.write(query).await?;
            prompt(found(rows.first(), || Error::missing("prompt", id))?)
        })
    }

    async fn delete(&self, scope: &Scope, id: PromptId) -> Result<()> {
        let deleted = on!(self, |db| db.execute(scoped(DELETE, scope).bind(id.0)).await?);
        found((deleted > 0).then_some(()), || Error::missing("prompt", id))
    }
}
