//! Rows of the knowledge tables as the domain's types.

use aimate_core::knowledge::{Blob, Chunk, Document, EmbeddingModel, EmbeddingSpace, Passage, TokenChunking};
use aimate_core::{Result, TenantId};

use crate::database::Row;

/// The document of a row.
pub(super) fn document(row: &Row) -> Result<Document> {
    Ok(Document {
        id: row.get("id")?,
        collection_id: row.get("collection_id")?,
        name: row.get("name")?,
        title: row.get("title")?,
        source: row.maybe("source")?,
        media_type: row.get("media_type")?,
        size: row.get("size")?,
        content_hash: row.get("content_hash")?,
        blob_id: row.get("blob_id")?,
        status: row.name("status")?,
        error: row.maybe_json("error")?,
        progress: row.get("progress")?,
        chunk_count: row.get("chunk_count")?,
        warnings: row.json("warnings")?,
        metadata: row.json("metadata")?,
        file_id: row.maybe("file_id")?,
        token_chunking: token_chunking(row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// How the document in a row is split, where it does not follow its collection.
fn token_chunking(row: &Row) -> Result<Option<TokenChunking>> {
    let (max, overlap) = (row.maybe("max_chunk_tokens")?, row.maybe("chunk_overlap_tokens")?);
    Ok(max.zip(overlap).map(|(max_tokens, overlap)| TokenChunking { max_tokens, overlap }))
}

/// The bytes of the document in a row.
pub(super) fn blob(tenant: TenantId, row: &Row) -> Result<Blob> {
    Ok(Blob { tenant, id: row.get("blob_id")? })
}

/// The chunk of a row.
pub(super) fn chunk(row: &Row) -> Result<Chunk> {
    Ok(Chunk {
        id: row.get("id")?,
        document_id: row.get("document_id")?,
        index: row.get("position")?,
        text: row.get("content")?,
        headings: row.json("headings")?,
        page: row.maybe("page")?,
        start: row.get("starts_at")?,
        end: row.get("ends_at")?,
    })
}

/// The chunk of a row with what is shown of its document.
pub(super) fn passage(row: &Row) -> Result<Passage> {
    Ok(Passage {
        chunk: chunk(row)?,
        collection: row.get("collection_id")?,
        title: row.get("title")?,
        name: row.get("name")?,
        file_id: row.maybe("file_id")?,
    })
}

/// The embedding space of a row.
pub(super) fn space(row: &Row) -> Result<EmbeddingSpace> {
    Ok(EmbeddingSpace {
        id: row.get("id")?,
        collection_id: row.get("collection_id")?,
        model: model(row)?,
        status: row.name("status")?,
        chunk_count: row.get("chunk_count")?,
        error: row.maybe("error")?,
        created_at: row.get("created_at")?,
    })
}

/// The model of the space in a row.
pub(super) fn model(row: &Row) -> Result<EmbeddingModel> {
    Ok(EmbeddingModel {
        name: row.get("model")?,
        dimensions: row.get("dimensions")?,
        version: row.get("version")?,
    })
}
