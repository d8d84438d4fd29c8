//! Reading the columns of a row of either database into the domain's types.

use aimate_core::usage::Cost;
use aimate_core::{
    ApiTokenId, BlobId, BudgetId, ChunkId, CollectionId, ConnectionId, ConversationId, DocumentId,
    EmailAddress, Error, FileBatchId, FileId, GroupId, InviteId, MemberId, MessageId, PriceId, PromptId,
    Result, RunId, SessionId, ShareId, SpaceId, TenantId, Timestamp, ToolOutputId, ToolServerId, UploadId,
    UploadPartId, UsageId, UserId, WorkerId, WorkspaceId,
};
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{Decode, Row as _, Type};
use uuid::Uuid;

/// A row of either database.
pub(crate) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// The column's value.
    pub(crate) fn get<T: Cell>(&self, column: &str) -> Result<T> {
        self.maybe(column)?.ok_or_else(|| null(column))
    }

    /// The column's value, `None` if it is NULL.
    pub(crate) fn maybe<T: Cell>(&self, column: &str) -> Result<Option<T>> {
        T::read(self, column).map_err(unreadable)
    }

    /// The column's JSON as a `T`.
    pub(crate) fn json<T: DeserializeOwned + 'static>(&self, column: &str) -> Result<T> {
        self.maybe_json(column)?.ok_or_else(|| null(column))
    }

    /// The column's JSON as a `T`, `None` if it is NULL.
    pub(crate) fn maybe_json<T: DeserializeOwned + 'static>(&self, column: &str) -> Result<Option<T>> {
        Ok(self.decode::<Json<T>>(column).map_err(unreadable)?.map(|json| json.0))
    }

    /// The column's text as the enum it names.
    pub(crate) fn name<T: std::str::FromStr<Err = Error>>(&self, column: &str) -> Result<T> {
        let name: String = self.get(column)?;
        name.parse().map_err(|error| Error::internal("a stored row cannot be read").with_source(error))
    }

    fn decode<T: OnSqlite + OnPostgres>(&self, column: &str) -> sqlx::Result<Option<T>> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => row.try_get(column),
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// What `read` makes of each row.
pub(crate) fn each<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}

fn null(column: &str) -> Error {
    Error::internal("a stored row cannot be read").with_source(format!("`{column}` is NULL"))
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::internal("a stored row cannot be read").with_source(error)
}

/// What SQLite's driver decodes.
#[cfg(feature = "sqlite")]
trait OnSqlite: Type<sqlx::Sqlite> + for<'r> Decode<'r, sqlx::Sqlite> {}
#[cfg(feature = "sqlite")]
impl<T: Type<sqlx::Sqlite> + for<'r> Decode<'r, sqlx::Sqlite>> OnSqlite for T {}
#[cfg(not(feature = "sqlite"))]
trait OnSqlite {}
#[cfg(not(feature = "sqlite"))]
impl<T> OnSqlite for T {}

/// What PostgreSQL's driver decodes.
#[cfg(feature = "postgres")]
trait OnPostgres: Type<sqlx::Postgres> + for<'r> Decode<'r, sqlx::Postgres> {}
#[cfg(feature = "postgres")]
impl<T: Type<sqlx::Postgres> + for<'r> Decode<'r, sqlx::Postgres>> OnPostgres for T {}
#[cfg(not(feature = "postgres"))]
trait OnPostgres {}
#[cfg(not(feature = "postgres"))]
impl<T> OnPostgres for T {}

/// What a column can be read as.
pub(crate) trait Cell: Sized {
    fn read(row: &Row, column: &str) -> sqlx::Result<Option<Self>>;
}

macro_rules! cells {
    ($($type:ty: $stored:ty, $from:expr;)*) => {$(
        impl Cell for $type {
            fn read(row: &Row, column: &str) -> sqlx::Result<Option<Self>> {
                Ok(row.decode::<$stored>(column)?.map($from))
            }
        }
    )*};
}

cells! {
    Uuid: Uuid, |id| id;
    TenantId: Uuid, TenantId;
    UserId: Uuid, UserId;
    SessionId: Uuid, SessionId;
    ApiTokenId: Uuid, ApiTokenId;
    InviteId: Uuid, InviteId;
    WorkspaceId: Uuid, WorkspaceId;
    GroupId: Uuid, GroupId;
    MemberId: Uuid, MemberId;
    PromptId: Uuid, PromptId;
    ConversationId: Uuid, ConversationId;
    MessageId: Uuid, MessageId;
    ShareId: Uuid, ShareId;
    RunId: Uuid, RunId;
    ToolOutputId: Uuid, ToolOutputId;
    UsageId: Uuid, UsageId;
    BudgetId: Uuid, BudgetId;
    PriceId: Uuid, PriceId;
    FileId: Uuid, FileId;
    FileBatchId: Uuid, FileBatchId;
    UploadId: Uuid, UploadId;
    UploadPartId: Uuid, UploadPartId;
    CollectionId: Uuid, CollectionId;
    DocumentId: Uuid, DocumentId;
    BlobId: Uuid, BlobId;
    ChunkId: Uuid, ChunkId;
    SpaceId: Uuid, SpaceId;
    ConnectionId: Uuid, ConnectionId;
    ToolServerId: Uuid, ToolServerId;
    WorkerId: Uuid, WorkerId;
    i64: i64, |n| n;
    u64: i64, |n| n.try_into().unwrap_or(0);
    u32: i64, |n| n.clamp(0, u32::MAX.into()).try_into().unwrap_or(0);
    f32: f64, |n| n as f32;
    f64: f64, |n| n;
    Timestamp: i64, Timestamp;
    Cost: i64, Cost;
    bool: bool, |flag| flag;
    String: String, |text| text;
    Vec<u8>: Vec<u8>, |bytes| bytes;
}

impl Cell for EmailAddress {
    fn read(row: &Row, column: &str) -> sqlx::Result<Option<Self>> {
        let text = row.decode::<String>(column)?;
        text.map(|text| text.parse()).transpose().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
}
