//! Files.

use aimate_core::file::{File, FileStore};
use aimate_core::{Error, ErrorKind, FileId, Page, PageRequest, Result, Scope};
use async_trait::async_trait;

use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{before, found, page_by_id, rows_of, scoped};
use crate::value::{count, text};

macro_rules! columns {
    () => {
        "id, name, media_type, size, content_hash, created_at"
    };
}

const CREATE: &str = concat!(
    "INSERT INTO files (tenant_id, user_id, ",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);
const GET: &str =
    concat!("SELECT ", columns!(), " FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM files WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
);
const DELETE: &str = "DELETE FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

fn file(row: &impl Columns) -> Result<File> {
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
        on!(self, |db| {
            let query = scoped(CREATE, scope)
                .bind(file.id.0)
                .bind(text(&file.name))
                .bind(text(&file.media_type))
                .bind(count(file.size))
                .bind(text(&file.content_hash))
                .bind(file.created_at.0);
            db.execute(query).await
        })
        .map(drop)
        .map_err(|error| explain(error, ErrorKind::NotFound, || Error::missing("user", scope.user)))
    }

    async fn get(&self, scope: &Scope, id: FileId) -> Result<File> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            file(&found(row, || Error::missing("file", id))?)
        })
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<File>> {
        let rows: Vec<File> = on!(self, |db| {
            let rows = db.read(scoped(LIST, scope).bind(before(page)).bind(rows_of(page))).await?;
            rows.iter().map(file).collect::<Result<_>>()?
        });
        Ok(page_by_id(rows, page, |file| file.id.0))
    }

    async fn delete(&self, scope: &Scope, id: FileId) -> Result<()> {
        let deleted = on!(self, |db| db.execute(scoped(DELETE, scope).bind(id.0)).await?);
        found((deleted > 0).then_some(()), || Error::missing("file", id))
    }
}
