//! Values of statements.

use std::borrow::Cow;

use aimate_core::{
    ApiTokenId, BlobId, BudgetId, ChunkId, CollectionId, ConnectionId, ConversationId, DocumentId,
    FileBatchId, FileId, GroupId, InviteId, MemberId, MessageId, PriceId, PromptId, RunId, SessionId,
    ShareId, SpaceId, TenantId, Timestamp, ToolOutputId, ToolServerId, UploadId, UploadPartId, UsageId,
    UserId, WorkerId, WorkspaceId,
};
use sqlx::error::BoxDynError;
use uuid::Uuid;

use crate::value::JsonText;

/// One value of a statement; `None` is NULL, of that type.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Uuid(Option<Uuid>),
    /// For `= ANY($n)` on PostgreSQL, `IN (SELECT unhex(value) FROM
    /// json_each($n))` on SQLite.
    Uuids(Vec<Uuid>),
    Int(Option<i64>),
    Real(Option<f64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// `jsonb` on PostgreSQL, text on SQLite.
    Json(Option<JsonText>),
    /// PostgreSQL alone.
    Array(Array),
}

/// One column of many rows, for `unnest`.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "PostgreSQL alone reads them"))]
pub(crate) enum Array {
    Uuids(Vec<Option<Uuid>>),
    Ints(Vec<Option<i64>>),
    Reals(Vec<f32>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<Option<String>>),
    Jsons(Vec<Option<JsonText>>),
}

impl Array {
    pub(crate) fn uuids<T: Into<Option<Uuid>>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Uuids(values.into_iter().map(Into::into).collect())
    }

    pub(crate) fn ints<T: Into<Option<i64>>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Ints(values.into_iter().map(Into::into).collect())
    }

    pub(crate) fn texts<T: Into<Option<String>>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Texts(values.into_iter().map(Into::into).collect())
    }
}

/// What a statement takes as a value.
pub(crate) trait Bind: Sized {
    /// NULL of this type.
    const NULL: Value;
    /// The value.
    fn into_value(self) -> Value;
    /// The tenant, if the value is one.
    fn tenant(&self) -> Option<TenantId> {
        None
    }
}

impl Bind for TenantId {
    const NULL: Value = Value::Uuid(None);
    fn into_value(self) -> Value {
        Value::Uuid(Some(self.uuid()))
    }
    fn tenant(&self) -> Option<TenantId> {
        Some(*self)
    }
}

impl<T: Bind> Bind for Option<T> {
    const NULL: Value = T::NULL;
    fn into_value(self) -> Value {
        self.map_or(T::NULL, T::into_value)
    }
}

macro_rules! binds {
    ($($type:ty: $variant:ident, $from:expr;)*) => {$(
        impl Bind for $type {
            const NULL: Value = Value::$variant(None);
            fn into_value(self) -> Value {
                Value::$variant(Some($from(self)))
            }
        }
    )*};
}

binds! {
    Uuid: Uuid, std::convert::identity;
    UserId: Uuid, UserId::uuid;
    SessionId: Uuid, SessionId::uuid;
    ApiTokenId: Uuid, ApiTokenId::uuid;
    InviteId: Uuid, InviteId::uuid;
    WorkspaceId: Uuid, WorkspaceId::uuid;
    GroupId: Uuid, GroupId::uuid;
    MemberId: Uuid, MemberId::uuid;
    PromptId: Uuid, PromptId::uuid;
    ConversationId: Uuid, ConversationId::uuid;
    MessageId: Uuid, MessageId::uuid;
    ShareId: Uuid, ShareId::uuid;
    RunId: Uuid, RunId::uuid;
    ToolOutputId: Uuid, ToolOutputId::uuid;
    UsageId: Uuid, UsageId::uuid;
    BudgetId: Uuid, BudgetId::uuid;
    PriceId: Uuid, PriceId::uuid;
    FileId: Uuid, FileId::uuid;
    FileBatchId: Uuid, FileBatchId::uuid;
    UploadId: Uuid, UploadId::uuid;
    UploadPartId: Uuid, UploadPartId::uuid;
    CollectionId: Uuid, CollectionId::uuid;
    DocumentId: Uuid, DocumentId::uuid;
    BlobId: Uuid, BlobId::uuid;
    ChunkId: Uuid, ChunkId::uuid;
    SpaceId: Uuid, SpaceId::uuid;
    ConnectionId: Uuid, ConnectionId::uuid;
    ToolServerId: Uuid, ToolServerId::uuid;
    WorkerId: Uuid, WorkerId::uuid;
    i64: Int, std::convert::identity;
    u32: Int, i64::from;
    Timestamp: Int, |at: Timestamp| at.0;
    f64: Real, std::convert::identity;
    bool: Bool, std::convert::identity;
    &str: Text, str::to_owned;
    String: Text, std::convert::identity;
    Cow<'_, str>: Text, Cow::into_owned;
    &[u8]: Bytes, <[u8]>::to_vec;
    Vec<u8>: Bytes, std::convert::identity;
    JsonText: Json, std::convert::identity;
}

impl Bind for Vec<Uuid> {
    const NULL: Value = Value::Uuids(Vec::new());
    fn into_value(self) -> Value {
        Value::Uuids(self)
    }
}

impl Bind for Array {
    const NULL: Value = Value::Array(Self::Ints(Vec::new()));
    fn into_value(self) -> Value {
        Value::Array(self)
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use sqlx::Arguments as _;
    use sqlx::sqlite::SqliteArguments;

    use super::{BoxDynError, Value};

    impl Value {
        /// Adds the value to those of a text; large ones are moved, not copied.
        pub(crate) fn add_to_sqlite(self, values: &mut SqliteArguments) -> Result<(), BoxDynError> {
            match self {
                Self::Uuid(id) => values.add(id),
                Self::Uuids(ids) => values.add(super::hex_list(ids)),
                Self::Int(value) => values.add(value),
                Self::Real(value) => values.add(value),
                Self::Bool(value) => values.add(value),
                Self::Text(text) => values.add(text),
                Self::Bytes(bytes) => values.add(bytes),
                Self::Json(json) => values.add(json.map(|json| String::from(Box::<str>::from(json.0)))),
                Self::Array(_) => Err("SQLite takes no arrays".into()),
            }
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::Arguments as _;
    use sqlx::postgres::PgArguments;

    use super::{Array, BoxDynError, Value};

    impl Value {
        /// Writes the value after those before it.
        pub(crate) fn add_to_postgres(&self, values: &mut PgArguments) -> Result<(), BoxDynError> {
            match self {
                Self::Uuid(id) => values.add(id),
                Self::Uuids(ids) => values.add(ids),
                Self::Int(value) => values.add(value),
                Self::Real(value) => values.add(value),
                Self::Bool(value) => values.add(value),
                Self::Text(text) => values.add(text.as_deref()),
                Self::Bytes(bytes) => values.add(bytes.as_deref()),
                Self::Json(json) => values.add(json.as_ref()),
                Self::Array(Array::Uuids(ids)) => values.add(ids),
                Self::Array(Array::Ints(ints)) => values.add(ints),
                Self::Array(Array::Reals(reals)) => values.add(reals),
                Self::Array(Array::Doubles(doubles)) => values.add(doubles),
                Self::Array(Array::Bools(bools)) => values.add(bools),
                Self::Array(Array::Texts(texts)) => values.add(texts),
                Self::Array(Array::Jsons(jsons)) => values.add(jsons),
            }
        }
    }
}

/// Bytes in hexadecimal digits, as SQLite's `unhex` and PostgreSQL's `decode` read them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON array of the ids in hexadecimal digits, as SQLite's `unhex` reads them.
pub(crate) fn hex_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}
