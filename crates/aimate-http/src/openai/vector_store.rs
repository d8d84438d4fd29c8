//! `/v1/vector_stores`: collections in OpenAI's form. What is in one are its documents,
//! however they came there.

pub(crate) mod batch;
pub(crate) mod file;
pub(crate) mod search;
mod strategy;

use std::collections::HashSet;
use std::time::Duration;

use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{
    AttachmentCounts, AttachmentFilter, AttachmentStatus, Collection, CollectionChange, CollectionConfig,
    FileBatch, NewAttachment, NewCollection,
};
use aimate_core::{CollectionId, DocumentId, Error, FileId, IdRange, Order, Scope, Timestamp};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::attribute;
use super::cursor_list::{CursorList, CursorQuery, CursorRules};
use super::file::{DeletedObject, file_id};
use super::wire_id::{self, about};
use crate::app::App;
use crate::error::Result;
use crate::json::{Json, OptionalJson};
use crate::path::{Path, Query};
use crate::scope::Caller;
use strategy::ChunkingStrategy;

/// What the ids of vector stores begin with.
pub(crate) const STORE: &str = "vs_";
/// How long an answer waits for attached files, most of which are read long before.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// Characters of a name at most.
const MAX_NAME: usize = 256;
/// Files that come with a new store at most.
const MAX_FILES: usize = 500;

const RULES: CursorRules = CursorRules { prefix: STORE, default_limit: 20, max_limit: 100 };

/// A vector store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VectorStore {
    /// `vs_…`.
    id: String,
    /// `vector_store`.
    object: &'static str,
    /// When it was made, in seconds since 1970.
    created_at: i64,
    /// Its name, which may be empty or another one's too.
    name: String,
    /// What is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Bytes of the files that can be found.
    usage_bytes: u64,
    /// How many files it has.
    file_counts: FileCounts,
    /// `in_progress` while a file is read, `expired`, or `completed`.
    status: &'static str,
    /// When it expires if nobody uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_after: Option<ExpiresAfter>,
    /// The moment, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// When it was last used, in seconds since 1970.
    last_active_at: i64,
    /// Free for the application.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// How many files there are, by status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileCounts {
    in_progress: u64,
    completed: u64,
    failed: u64,
    cancelled: u64,
    total: u64,
}

impl From<AttachmentCounts> for FileCounts {
    fn from(counts: AttachmentCounts) -> Self {
        Self {
            in_progress: counts.in_progress,
            completed: counts.completed,
            failed: counts.failed,
            cancelled: counts.cancelled,
            total: counts.total(),
        }
    }
}

/// When a vector store expires.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ExpiresAfter {
    /// `last_active_at`.
    anchor: Anchor,
    /// Days, 1 to 365.
    days: u32,
}

/// What days are counted from.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Anchor {
    /// When it was last used.
    LastActiveAt,
}

impl VectorStore {
    fn new(collection: Collection, counts: AttachmentCounts, now: Timestamp) -> Self {
        let has_expired = collection.has_expired(now);
        let status = match counts.in_progress {
            _ if has_expired => "expired",
            0 => "completed",
            _ => "in_progress",
        };
        Self {
            id: wire_id::write(STORE, collection.id.0),
            object: "vector_store",
            created_at: collection.created_at.unix_seconds(),
            expires_at: collection.expires_at().map(Timestamp::unix_seconds),
            expires_after: collection
                .expires_after_days
                .map(|days| ExpiresAfter { anchor: Anchor::LastActiveAt, days }),
            name: collection.label.unwrap_or(collection.name),
            description: Some(collection.description).filter(|text| !text.is_empty()),
            usage_bytes: counts.bytes,
            file_counts: counts.into(),
            status,
            last_active_at: collection.last_active_at.unix_seconds(),
            metadata: attribute::texts(&collection.metadata),
        }
    }
}

/// A new vector store.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct VectorStoreBody {
    /// A name, at most 256 characters; others may have it too.
    #[serde(default)]
    name: Option<String>,
    /// What is in it.
    #[serde(default)]
    description: Option<String>,
    /// Files to attach, at most 500.
    #[serde(default)]
    file_ids: Option<Vec<String>>,
    /// How those are split.
    #[serde(default)]
    chunking_strategy: Option<ChunkingStrategy>,
    /// When it expires if nobody uses it; default: never.
    #[serde(default)]
    expires_after: Option<ExpiresAfter>,
    /// At most 16 pairs of strings.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// What changes of a vector store.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct VectorStoreChangeBody {
    /// Another name.
    #[serde(default)]
    name: Option<String>,
    /// When it expires; `null`: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ExpiresAfter>)]
    expires_after: Option<Option<ExpiresAfter>>,
    /// All metadata, replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// A field that was sent, `null` too.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The id of a vector store that a client names.
fn store_id(text: &str) -> Result<CollectionId> {
    Ok(CollectionId(wire_id::of(STORE, "vector store", text)?))
}

/// The store as it is now.
async fn described(app: &App, knowledge: &Knowledge, collection: Collection) -> Result<VectorStore> {
    let counts = knowledge.attachment_counts(&[collection.id]).await?;
    let now = app.engine.sources().now();
    Ok(VectorStore::new(collection, counts.first().copied().unwrap_or_default(), now))
}

/// The store that the client means by `id`.
async fn found(knowledge: &Knowledge, id: &str) -> Result<CollectionConfig> {
    let collection = knowledge.collection_config(store_id(id)?).await;
    collection.map_err(|error| about(error, "vector store", id))
}

/// The same, of one that is to be used.
pub(super) async fn usable(app: &App, knowledge: &Knowledge, id: &str) -> Result<CollectionConfig> {
    let collection = found(knowledge, id).await?;
    if collection.has_expired(app.engine.sources().now()) {
        let id = wire_id::shown(id);
        let message =
            format!("the vector store `{id}` has expired, since nobody used it; change it to use it again");
        return Err(Error::not_found(message).into());
    }
    Ok(collection)
}

/// Makes a vector store.
#[utoipa::path(post, path = "/v1/vector_stores", tag = "vector stores", operation_id = "create_vector_store",
    request_body = Option<VectorStoreBody>, responses((status = 200, body = VectorStore)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    OptionalJson(body): OptionalJson<VectorStoreBody>,
) -> Result<Json<VectorStore>> {
    let knowledge = app.engine.knowledge(&scope);
    let ids = body.file_ids.unwrap_or_default();
    if ids.len() > MAX_FILES {
        let message = format!("has {} files; the most is {MAX_FILES}", ids.len());
        return Err(Error::field("file_ids", message).into());
    }
    check(body.name.as_ref(), body.expires_after)?;
    let chunking = body.chunking_strategy.unwrap_or_default().chunking()?;
    let attachments = ids.iter().map(|id| Ok(NewAttachment { chunking, ..NewAttachment::new(file_id(id)?) }));
    let attachments = attachments.collect::<Result<Vec<_>>>()?;
    // Before anything is made: nothing is stored by half.
    files_are_there(&app, &scope, ids.iter().map(String::as_str), &attachments).await?;
    let new = NewCollection {
        description: body.description.unwrap_or_default(),
        expires_after_days: body.expires_after.map(|after| after.days),
        metadata: attribute::metadata(body.metadata.unwrap_or_default())?,
        ..NewCollection::default()
    };
    let mut collection = knowledge.create_labelled(&body.name.unwrap_or_default(), new).await?;
    if !attachments.is_empty() {
        let batch = match knowledge.attach_batch(collection.id, attachments).await {
            Ok(batch) => batch,
            Err(error) => {
                // Nothing stays half made.
                knowledge.delete_collection(collection.id).await?;
                return Err(error.into());
            }
        };
        wait(&app, &scope, &batch).await?;
        collection = knowledge.collection(&collection.id.to_string()).await?;
    }
    Ok(Json(described(&app, &knowledge, collection).await?))
}

/// Looks whether the files of `attachments` are there, which the client names as `named`, in one
/// query.
async fn files_are_there<'n>(
    app: &App,
    scope: &Scope,
    named: impl Iterator<Item = &'n str>,
    attachments: &[NewAttachment],
) -> Result<()> {
    let ids: Vec<FileId> = attachments.iter().map(|new| new.file).collect();
    let found = app.engine.files(scope).find(&ids).await?;
    let found: HashSet<FileId> = found.iter().map(|file| file.id).collect();
    match ids.iter().zip(named).find(|(id, _)| !found.contains(id)) {
        Some((_, name)) => Err(wire_id::missing("file", name).into()),
        None => Ok(()),
    }
}

/// Waits a moment for the files of a batch.
async fn wait(app: &App, scope: &Scope, batch: &FileBatch) -> Result<()> {
    let knowledge = app.engine.knowledge(scope);
    let filter = AttachmentFilter { batch: Some(batch.id), status: Some(AttachmentStatus::InProgress) };
    let range = IdRange::first(IdRange::MAX_LIMIT, Order::Asc);
    let open = knowledge.attached_files(batch.collection, filter, range).await?;
    let open: Vec<_> = open.data.iter().map(|document| document.id).collect();
    wait_for(app, scope, &open).await
}

/// Waits a moment until documents are read, in no place of work: not at all if the user waits for as
/// much already as one may.
async fn wait_for(app: &App, scope: &Scope, documents: &[DocumentId]) -> Result<()> {
    let Ok(_seat) = app.seat(scope) else { return Ok(()) };
    Ok(app.engine.knowledge(scope).wait_at_most(documents, MAX_WAIT).await?)
}

/// Checks what the engine knows by other names.
///
/// # Errors
/// `Invalid`, naming the field as it was sent.
fn check(name: Option<&String>, expires_after: Option<ExpiresAfter>) -> aimate_core::Result<()> {
    let length = name.map_or(0, |name| name.chars().count());
    if length > MAX_NAME {
        return Err(Error::field("name", format!("has {length} characters; the most is {MAX_NAME}")));
    }
    match expires_after {
        Some(ExpiresAfter { days, .. }) if !(1..=Collection::MAX_DAYS).contains(&days) => {
            let message = format!("is {days}; it must be 1 to {}", Collection::MAX_DAYS);
            Err(Error::field("expires_after.days", message))
        }
        _ => Ok(()),
    }
}

/// Lists the vector stores.
#[utoipa::path(get, path = "/v1/vector_stores", tag = "vector stores", operation_id = "list_vector_stores",
    params(CursorQuery), responses((status = 200, body = CursorList<VectorStore>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<CursorQuery>,
) -> Result<Json<CursorList<VectorStore>>> {
    let knowledge = app.engine.knowledge(&scope);
    let slice = knowledge.collections_in(query.range(RULES)?).await?;
    let ids: Vec<_> = slice.data.iter().map(|collection| collection.id).collect();
    let mut counts = knowledge.attachment_counts(&ids).await?.into_iter();
    let now = app.engine.sources().now();
    let stores = slice.map(|collection| VectorStore::new(collection, counts.next().unwrap_or_default(), now));
    Ok(Json(CursorList::new(stores, |store| &store.id)))
}

/// Returns a vector store.
#[utoipa::path(get, path = "/v1/vector_stores/{vector_store_id}", tag = "vector stores",
    operation_id = "retrieve_vector_store",
    params(("vector_store_id" = String, Path)), responses((status = 200, body = VectorStore)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<VectorStore>> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = knowledge.collection(&store_id(&id)?.to_string()).await;
    let collection = collection.map_err(|error| about(error, "vector store", &id))?;
    Ok(Json(described(&app, &knowledge, collection).await?))
}

/// Changes a vector store, which counts as using it: one that has expired is there again.
#[utoipa::path(post, path = "/v1/vector_stores/{vector_store_id}", tag = "vector stores",
    operation_id = "modify_vector_store", request_body = VectorStoreChangeBody,
    params(("vector_store_id" = String, Path)), responses((status = 200, body = VectorStore)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    Json(body): Json<VectorStoreChangeBody>,
) -> Result<Json<VectorStore>> {
    let knowledge = app.engine.knowledge(&scope);
    check(body.name.as_ref(), body.expires_after.flatten())?;
    let change = CollectionChange {
        label: body.name,
        expires_after_days: body.expires_after.map(|after| after.map(|after| after.days)),
        metadata: body.metadata.map(attribute::metadata).transpose()?,
        ..CollectionChange::default()
    };
    let changed = knowledge.update_collection(store_id(&id)?, change).await;
    let collection = changed.map_err(|error| about(error, "vector store", &id))?;
    Ok(Json(described(&app, &knowledge, collection).await?))
}

/// Deletes a vector store. Its files stay.
#[utoipa::path(delete, path = "/v1/vector_stores/{vector_store_id}", tag = "vector stores",
    operation_id = "delete_vector_store",
    params(("vector_store_id" = String, Path)), responses((status = 200, body = DeletedObject)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<DeletedObject>> {
    let store = store_id(&id)?;
    let deleted = app.engine.knowledge(&scope).delete_collection(store).await;
    deleted.map_err(|error| about(error, "vector store", &id))?;
    Ok(Json(DeletedObject::new("vector_store.deleted", wire_id::write(STORE, store.0))))
}
