//! Prompts.

use aimate_core::prompt::{Prompt, PromptChange, PromptStore};
use aimate_core::{Error, Page, PageRequest, PromptId, Result, Scope, Timestamp, UserId, WorkspaceId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{after, merged_page, or_not_found, rows_of, touched_or_not_found};
use crate::user::{create_shared, owners};
use crate::value::{maybe_text, text};

const CREATE: Sql = Sql::Same(
    "INSERT INTO prompts (tenant_id, user_id, id, workspace_id, title, content, is_active, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const GET: Sql = Sql::Same(
    "SELECT id, workspace_id, title, content, is_active, created_at, updated_at \
     FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT id, workspace_id, title, content, is_active, created_at, updated_at \
     FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id > $3 ORDER BY id LIMIT $4",
);
const LIST_OF_WORKSPACE: Sql = Sql::Same(
    "SELECT id, workspace_id, title, content, is_active, created_at, updated_at \
     FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND workspace_id = $3 AND id > $4 \
     ORDER BY id LIMIT $5",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE prompts SET title = COALESCE($4, title), content = COALESCE($5, content), \
     is_active = COALESCE($6, is_active), updated_at = $7 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     RETURNING id, workspace_id, title, content, is_active, created_at, updated_at",
);
const DELETE: Sql = Sql::Same("DELETE FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn prompt(owner: &Scope, row: &Row) -> Result<Prompt> {
    Ok(Prompt {
        id: row.get("id")?,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("title")?,
        content: row.get("content")?,
        is_active: row.get("is_active")?,
        is_shared: owner.user == UserId::SHARED,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl PromptStore for SqlStore {
    async fn create(&self, scope: &Scope, prompt: &Prompt) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(prompt.id)
            .bind(prompt.workspace_id)
            .bind(text(&prompt.title))
            .bind(text(&prompt.content))
            .bind(prompt.is_active)
            .bind(prompt.created_at)
            .bind(prompt.updated_at);
        let missing = || match prompt.workspace_id {
            Some(id) => Error::missing("workspace", id),
            None => Error::missing("user", scope.user),
        };
        let statements = create_shared(scope, prompt.created_at).into_iter().chain([create]).collect();
        self.database.transaction_of(statements).await.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: PromptId) -> Result<Prompt> {
        let owners = owners(scope);
        let found = self.database.read_each(owners.map(|owner| GET.scoped(&owner).bind(id))).await?;
        let found = owners.iter().zip(&found).find_map(|(owner, rows)| Some((owner, rows.first()?)));
        let (owner, row) = or_not_found(found, || Error::missing("prompt", id))?;
        prompt(owner, row)
    }

    async fn list(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        page: PageRequest,
    ) -> Result<Page<Prompt>> {
        let owners = owners(scope);
        let lists = owners.map(|owner| {
            let list = match workspace {
                None => LIST.scoped(&owner),
                Some(workspace) => LIST_OF_WORKSPACE.scoped(&owner).bind(workspace),
            };
            list.bind(after(page)).bind(rows_of(page))
        });
        let mut prompts = Vec::new();
        for (owner, rows) in owners.iter().zip(&self.database.read_each(lists).await?) {
            prompts.extend(each(rows, |row| prompt(owner, row))?);
        }
        Ok(merged_page(prompts, page, false, |prompt| prompt.id.0))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: PromptId,
        change: &PromptChange,
        now: Timestamp,
    ) -> Result<Prompt> {
        let update = UPDATE
            .scoped(scope)
            .bind(id)
            .bind(maybe_text(change.title.as_ref()))
            .bind(maybe_text(change.content.as_ref()))
            .bind(change.is_active)
            .bind(now);
        let rows = self.database.write(update).await?;
        prompt(scope, or_not_found(rows.first(), || Error::missing("prompt", id))?)
    }

    async fn delete(&self, scope: &Scope, id: PromptId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id)).await?;
        touched_or_not_found(deleted, || Error::missing("prompt", id))
    }
}
