//! Workspaces.

use aimate_core::workspace::{Workspace, WorkspaceChange, WorkspaceStore};
use aimate_core::{Error, ErrorKind, Page, PageRequest, Result, Scope, Timestamp, WorkspaceId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{before, found, page_by_id, rows_of, scoped};
use crate::value::{json, maybe_json, maybe_text, text};

macro_rules! columns {
    () => {
        "id, name, description, is_archived, metadata, created_at, updated_at, \
         (SELECT count(*) FROM conversations c WHERE c.tenant_id = workspaces.tenant_id \
          AND c.user_id = workspaces.user_id AND c.workspace_id = workspaces.id) AS conversation_count"
    };
}

const CREATE: &str = "INSERT INTO workspaces \
    (tenant_id, user_id, id, name, description, is_archived, metadata, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const GET: &str =
    concat!("SELECT ", columns!(), " FROM workspaces WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM workspaces WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
);
const UPDATE: &str = concat!(
    "UPDATE workspaces SET name = COALESCE($4, name), description = COALESCE($5, description), \
     is_archived = COALESCE($6, is_archived), metadata = COALESCE($7, metadata), updated_at = $8 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 RETURNING ",
    columns!()
);
const FREE: &str = "UPDATE conversations SET workspace_id = NULL \
    WHERE tenant_id = $1 AND user_id = $2 AND workspace_id = $3";
const DELETE: &str = "DELETE FROM workspaces WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

fn workspace(row: &impl Columns) -> Result<Workspace> {
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
        let metadata = json(&workspace.metadata)?;
        on!(self, |db| {
            let query = scoped(CREATE, scope)
                .bind(workspace.id.0)
                .bind(text(&workspace.name))
                .bind(text(&workspace.description))
                .bind(workspace.is_archived)
                .bind(metadata)
                .bind(workspace.created_at.0)
                .bind(workspace.updated_at.0);
            db.execute(query).await
        })
        .map(drop)
        .map_err(|error| explain(error, ErrorKind::NotFound, || Error::missing("user", scope.user)))
    }

    async fn get(&self, scope: &Scope, id: WorkspaceId) -> Result<Workspace> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            workspace(&found(row, || Error::missing("workspace", id))?)
        })
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Workspace>> {
        let rows: Vec<Workspace> = on!(self, |db| {
            let rows = db.read(scoped(LIST, scope).bind(before(page)).bind(rows_of(page))).await?;
            rows.iter().map(workspace).collect::<Result<_>>()?
        });
        Ok(page_by_id(rows, page, |workspace| workspace.id.0))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        change: &WorkspaceChange,
        now: Timestamp,
    ) -> Result<Workspace> {
        let metadata = maybe_json(change.metadata.as_ref())?;
        on!(self, |db| {
            let query = scoped(UPDATE, scope)
                .bind(id.0)
                .bind(maybe_text(change.name.as_ref()))
                .bind(maybe_text(change.description.as_ref()))
                .bind(change.is_archived)
                .bind(metadata)
                .bind(now.0);
            let rows = db.write(query).await?;
            workspace(found(rows.first(), || Error::missing("workspace", id))?)
        })
    }

    async fn delete(&self, scope: &Scope, id: WorkspaceId) -> Result<()> {
        on!(self, |db| {
            let queries = vec![scoped(FREE, scope).bind(id.0), scoped(DELETE, scope).bind(id.0)];
            db.all(queries, move |touched| {
                found((touched.last() > Some(&0)).then_some(()), || Error::missing("workspace", id))
            })
            .await
        })
        .map_err(|error| {
            // A conversation came into it between the two statements.
            let came = error.kind() == ErrorKind::NotFound && std::error::Error::source(&error).is_some();
            match came {
                true => Error::unavailable("the workspace changed at the same moment; try again")
                    .with_source(error),
                false => error,
            }
        })
    }
}
