//! Prompts.

use aimate_core::prompt::{Prompt, PromptChange, PromptStore};
use aimate_core::workspace::WorkspaceRole;
use aimate_core::{Error, Page, PageRequest, PromptId, Result, Scope, Timestamp, UserId, WorkspaceId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, each};
use crate::page::{after, merged_page, or_not_found, page_by_id, rows_of};
use crate::user::{create_shared, owners};
use crate::value::{maybe_text, text};

/// In no workspace, or in one that the user may add to.
const CREATE: Sql = Sql::Same(
    "INSERT INTO prompts (tenant_id, user_id, id, workspace_id, title, content, is_active, created_at, \
     updated_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 \
     WHERE (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $4) <> 'viewer' OR $4 IS NULL",
);
const GET: Sql = Sql::Same(
    "SELECT id, user_id, workspace_id, title, content, is_active, created_at, updated_at \
     FROM prompts WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id IN ($2, $4) \
     OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = prompts.workspace_id) IS NOT NULL)",
);
const LIST: Sql = Sql::Same(
    "SELECT id, user_id, workspace_id, title, content, is_active, created_at, updated_at \
     FROM prompts WHERE tenant_id = $1 AND user_id = $2 AND id > $3 \
     AND (workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = $2 AND a.workspace_id = prompts.workspace_id) IS NOT NULL) ORDER BY id LIMIT $4",
);
const LIST_OF_WORKSPACE: Sql = Sql::Same(
    "SELECT id, user_id, workspace_id, title, content, is_active, created_at, updated_at \
     FROM prompts WHERE tenant_id = $1 AND workspace_id = $3 AND id > $4 \
     AND (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = $3) IS NOT NULL ORDER BY id LIMIT $5",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE prompts SET title = COALESCE($4, title), content = COALESCE($5, content), \
     is_active = COALESCE($6, is_active), updated_at = $7 \
     WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id = $2 \
     OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = prompts.workspace_id) <> 'viewer') \
     RETURNING id, user_id, workspace_id, title, content, is_active, created_at, updated_at",
);
const DELETE: Sql = Sql::Same(
    "DELETE FROM prompts WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id = $2 \
     OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = prompts.workspace_id) <> 'viewer')",
);

fn prompt(row: &Row) -> Result<Prompt> {
    Ok(Prompt {
        id: row.get("id")?,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("title")?,
        content: row.get("content")?,
        is_active: row.get("is_active")?,
        is_shared: row.get::<UserId>("user_id")? == UserId::SHARED,
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
        let missing = || Error::missing("user", scope.user);
        let create = create.expect_touched(1);
        let statements = create_shared(scope, prompt.created_at).into_iter().chain([create]).collect();
        match (self.database.transaction_of(statements).await, prompt.workspace_id) {
            (Ok(_), _) => Ok(()),
            (Err(DbError::RowCount { .. }), Some(workspace)) => {
                Err(self.not_their_workspace(scope, workspace, WorkspaceRole::Editor).await)
            }
            (Err(error), _) => Err(error.on_foreign_key(missing).into()),
        }
    }

    async fn get(&self, scope: &Scope, id: PromptId) -> Result<Prompt> {
        let row = self.database.read_first(GET.scoped(scope).bind(id).bind(UserId::SHARED)).await?;
        prompt(&or_not_found(row, || Error::missing("prompt", id))?)
    }

    async fn list(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        page: PageRequest,
    ) -> Result<Page<Prompt>> {
        if let Some(workspace) = workspace {
            let list = LIST_OF_WORKSPACE.scoped(scope).bind(workspace).bind(after(page)).bind(rows_of(page));
            let prompts = each(&self.database.read(list).await?, prompt)?;
            return Ok(page_by_id(prompts, page, |prompt| prompt.id.0));
        }
        let lists = owners(scope).map(|owner| LIST.scoped(&owner).bind(after(page)).bind(rows_of(page)));
        let mut prompts = Vec::new();
        for rows in &self.database.read_each(lists).await? {
            prompts.extend(each(rows, prompt)?);
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
        match rows.first() {
            Some(row) => prompt(row),
            None => Err(self.not_their_prompt(scope, id).await),
        }
    }

    async fn delete(&self, scope: &Scope, id: PromptId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id)).await?;
        if deleted > 0 { Ok(()) } else { Err(self.not_their_prompt(scope, id).await) }
    }
}

impl SqlStore {
    /// Why a prompt was not changed.
    async fn not_their_prompt(&self, scope: &Scope, id: PromptId) -> Error {
        match PromptStore::get(self, scope, id).await {
            Ok(Prompt { workspace_id: Some(workspace), .. }) => {
                self.not_their_workspace(scope, workspace, WorkspaceRole::Editor).await
            }
            Ok(_) => Error::missing("prompt", id),
            Err(error) => error,
        }
    }
}
