//! Reading the columns of a row of either database into the domain's types.

use aimate_core::usage::Cost;
use aimate_core::{
    ChunkId, CollectionId, ConnectionId, ConversationId, DocumentId, Error, FileId, MessageId, PromptId,
    Result, RunId, SessionId, SpaceId, TenantId, Timestamp, UserId, WorkerId, WorkspaceId,
};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use uuid::Uuid;

/// A row, by the few kinds of columns there are; `None` for NULL.
pub(crate) trait Columns {
    fn uuid(&self, column: &str) -> sqlx::Result<Option<Uuid>>;
    fn int(&self, column: &str) -> sqlx::Result<Option<i64>>;
    fn real(&self, column: &str) -> sqlx::Result<Option<f64>>;
    fn flag(&self, column: &str) -> sqlx::Result<Option<bool>>;
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>>;
    fn json_value<T: DeserializeOwned>(&self, column: &str) -> sqlx::Result<Option<T>>;

    /// Whether the row has the column.
    fn has(&self, column: &str) -> bool;

    /// The column's value.
    fn get<T: Cell>(&self, column: &str) -> Result<T> {
        self.maybe(column)?.ok_or_else(|| null(column))
    }

    /// The column's value, `None` if it is NULL.
    fn maybe<T: Cell>(&self, column: &str) -> Result<Option<T>> {
        T::read(self, column).map_err(unreadable)
    }

    /// The column's JSON as a `T`.
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        self.maybe_json(column)?.ok_or_else(|| null(column))
    }

    /// The column's JSON as a `T`, `None` if it is NULL.
    fn maybe_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>> {
        self.json_value(column).map_err(unreadable)
    }

    /// The column's text as the enum it names.
    fn name<T: std::str::FromStr<Err = Error>>(&self, column: &str) -> Result<T> {
        let name: String = self.get(column)?;
        name.parse().map_err(|error| Error::internal("a stored row cannot be read").with_source(error))
    }
}

fn null(column: &str) -> Error {
    Error::internal("a stored row cannot be read").with_source(format!("`{column}` is NULL"))
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::internal("a stored row cannot be read").with_source(error)
}

macro_rules! columns {
    ($($row:ty),*) => {$(
        impl Columns for $row {
            fn uuid(&self, column: &str) -> sqlx::Result<Option<Uuid>> {
                self.try_get(column)
            }
            fn int(&self, column: &str) -> sqlx::Result<Option<i64>> {
                self.try_get(column)
            }
            fn real(&self, column: &str) -> sqlx::Result<Option<f64>> {
                self.try_get(column)
            }
            fn flag(&self, column: &str) -> sqlx::Result<Option<bool>> {
                self.try_get(column)
            }
            fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
                self.try_get(column)
            }
            fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>> {
                self.try_get(column)
            }
            fn has(&self, column: &str) -> bool {
                self.try_column(column).is_ok()
            }
            fn json_value<T: DeserializeOwned>(&self, column: &str) -> sqlx::Result<Option<T>> {
                Ok(self.try_get::<Option<Json<T>>, _>(column)?.map(|json| json.0))
            }
        }
    )*};
}

columns!(SqliteRow, PgRow);

/// What one column can be read as.
pub(crate) trait Cell: Sized {
    fn read(row: &(impl Columns + ?Sized), column: &str) -> sqlx::Result<Option<Self>>;
}

macro_rules! cells {
    ($($type:ty: $read:ident, $from:expr;)*) => {$(
        impl Cell for $type {
            fn read(row: &(impl Columns + ?Sized), column: &str) -> sqlx::Result<Option<Self>> {
                Ok(row.$read(column)?.map($from))
            }
        }
    )*};
}

cells! {
    Uuid: uuid, |id| id;
    TenantId: uuid, TenantId;
    UserId: uuid, UserId;
    SessionId: uuid, SessionId;
    WorkspaceId: uuid, WorkspaceId;
    PromptId: uuid, PromptId;
    ConversationId: uuid, ConversationId;
    MessageId: uuid, MessageId;
    RunId: uuid, RunId;
    FileId: uuid, FileId;
    CollectionId: uuid, CollectionId;
    DocumentId: uuid, DocumentId;
    ChunkId: uuid, ChunkId;
    SpaceId: uuid, SpaceId;
    ConnectionId: uuid, ConnectionId;
    WorkerId: uuid, WorkerId;
    i64: int, |n| n;
    u64: int, |n| n.try_into().unwrap_or(0);
    u32: int, |n| n.clamp(0, u32::MAX.into()).try_into().unwrap_or(0);
    f32: real, |n| n as f32;
    Timestamp: int, Timestamp;
    Cost: int, Cost;
    bool: flag, |flag| flag;
    String: text, |text| text;
    Vec<u8>: bytes, |bytes| bytes;
}
