//! Files.

use aimate_core::file::{File, FileStore};
use aimate_core::{Error, FileId, Page, PageRequest, Result, Scope};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{before, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::value::{count, text};

const CREATE: Sql = Sql::Same(
    "INSERT INTO files (tenant_id, user_id, id, name, media_type, size, content_hash, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const GET: Sql = Sql::Same(
    "SELECT id, name, media_type, size, content_hash, created_at \
     FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT id, name, media_type, size, content_hash, created_at \
     FROM files WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
);
const DELETE: Sql = Sql::Same("DELETE FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn file(row: &Row) -> Result<File> {
    Ok(File {
        id: row.get("id")?,
        name: row.get("name")?,
        media_type: row.get("media_type")?,
        size: row.get("size")?,
        content_hash: row.get("content_hash")?,
        created_at: row.get("created_at")?,
    })
}

#[async_trait]
impl FileStore for SqlStore {
    async fn create(&self, scope: &Scope, file: &File) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(file.id)
            .bind(text(&file.name))
            .bind(text(&file.media_type))
            .bind(count(file.size))
            .bind(text(&file.content_hash))
            .bind(file.created_at);
        let missing = || Error::missing("user", scope.user);
        self.database.execute(create).await.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: FileId) -> Result<File> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        file(&or_not_found(row, || Error::missing("file", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<File>> {
        let list = LIST.scoped(scope).bind(before(page)).bind(rows_of(page));
        let files = each(&self.database.read(list).await?, file)?;
        Ok(page_by_id(files, page, |file| file.id.0))
    }

    async fn delete(&self, scope: &Scope, id: FileId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id)).await?;
        touched_or_not_found(deleted, || Error::missing("file", id))
    }
}
