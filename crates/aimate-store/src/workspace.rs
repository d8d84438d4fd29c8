//! Workspaces.

use aimate_core::workspace::{Workspace, WorkspaceChange, WorkspaceStore};
use aimate_core::{Error, Page, PageRequest, Result, Scope, Timestamp, WorkspaceId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{before, or_not_found, page_by_id, rows_of};
use crate::value::{json, maybe_json, maybe_text, text};

const CREATE: Sql = Sql::Same(
    "INSERT INTO workspaces (tenant_id, user_id, id, name, description, is_archived, metadata, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const GET: Sql = Sql::Same(
    "SELECT id, name, description, is_archived, metadata, created_at, updated_at, \
     (SELECT count(*) FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 \
      AND c.workspace_id = workspaces.id) AS conversation_count \
     FROM workspaces WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT id, name, description, is_archived, metadata, created_at, updated_at, \
     (SELECT count(*) FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 \
      AND c.workspace_id = workspaces.id) AS conversation_count \
     FROM workspaces WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE workspaces SET name = COALESCE($4, name), description = COALESCE($5, description), \
     is_archived = COALESCE($6, is_archived), metadata = COALESCE($7, metadata), updated_at = $8 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     RETURNING id, name, description, is_archived, metadata, created_at, updated_at, \
     (SELECT count(*) FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 \
      AND c.workspace_id = workspaces.id) AS conversation_count",
);
const LEAVE: Sql = Sql::Same(
    "UPDATE conversations SET workspace_id = NULL WHERE tenant_id = $1 AND user_id = $2 AND workspace_id = $3",
);
const DELETE: Sql = Sql::Same("DELETE FROM workspaces WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn workspace(row: &Row) -> Result<Workspace> {
    Ok(Workspace {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        is_archived: row.get("is_archived")?,
        metadata: row.json("metadata")?,
        conversation_count: row.get("conversation_count")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl WorkspaceStore for SqlStore {
    async fn create(&self, scope: &Scope, workspace: &Workspace) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(workspace.id)
            .bind(text(&workspace.name))
            .bind(text(&workspace.description))
            .bind(workspace.is_archived)
            .bind(json(&workspace.metadata)?)
            .bind(workspace.created_at)
            .bind(workspace.updated_at);
        let missing = || Error::missing("user", scope.user);
        self.database.execute(create).await.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: WorkspaceId) -> Result<Workspace> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        workspace(&or_not_found(row, || Error::missing("workspace", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Workspace>> {
        let list = LIST.scoped(scope).bind(before(page)).bind(rows_of(page));
        let workspaces = each(&self.database.read(list).await?, workspace)?;
        Ok(page_by_id(workspaces, page, |workspace| workspace.id.0))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        change: &WorkspaceChange,
        now: Timestamp,
    ) -> Result<Workspace> {
        let update = UPDATE
            .scoped(scope)
            .bind(id)
            .bind(maybe_text(change.name.as_ref()))
            .bind(maybe_text(change.description.as_ref()))
            .bind(change.is_archived)
            .bind(maybe_json(change.metadata.as_ref())?)
            .bind(now);
        let rows = self.database.write(update).await?;
        workspace(or_not_found(rows.first(), || Error::missing("workspace", id))?)
    }

    async fn delete(&self, scope: &Scope, id: WorkspaceId) -> Result<()> {
        let leave = LEAVE.scoped(scope).bind(id);
        let delete = DELETE.scoped(scope).bind(id).expect_touched(1);
        // The key is violated by a conversation that came into the workspace
        // between the two statements.
        let changed = || Error::unavailable("the workspace changed at the same moment; try again");
        self.database.transaction([leave, delete]).await.map_err(|error| {
            error.on_row_count(|| Error::missing("workspace", id)).on_foreign_key(changed)
        })?;
        Ok(())
    }
}
