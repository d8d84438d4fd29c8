-- Files that are uploaded by themselves, and attached to collections. Until now nothing made any.
DROP TABLE files;
CREATE TABLE files (
    tenant_id    BLOB    NOT NULL,
    id           BLOB    NOT NULL,
    user_id      BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    media_type   TEXT    NOT NULL,
    purpose      TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    content_hash TEXT    NOT NULL,
    -- The upload that its bytes are of.
    blob_id      BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT files_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX files_of_user ON files (tenant_id, user_id, id);
CREATE INDEX files_of_blob ON files (tenant_id, blob_id);
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;
-- Those that are the tenant's, which nobody deletes.
CREATE INDEX files_of_nobody ON files (user_id, tenant_id, id) WHERE user_id = X'00000000000000000000000000000000';

-- The name for clients of OpenAI's API; none for that of the collection.
ALTER TABLE collections ADD COLUMN label TEXT;
ALTER TABLE collections ADD COLUMN expires_after_days INTEGER;
ALTER TABLE collections ADD COLUMN last_active_at INTEGER NOT NULL DEFAULT 0;
UPDATE collections SET last_active_at = updated_at;

-- Files that were attached together.
CREATE TABLE file_batches (
    tenant_id     BLOB    NOT NULL,
    id            BLOB    NOT NULL,
    collection_id BLOB    NOT NULL,
    is_cancelled  INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT file_batches_collection FOREIGN KEY (tenant_id, collection_id)
        REFERENCES collections (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX file_batches_of_collection ON file_batches (tenant_id, collection_id);
CREATE INDEX file_batches_age ON file_batches (created_at);

-- The file whose bytes a document reads, which are not its own then; the batch that attached it; and
-- how it is split, where it does not follow its collection.
ALTER TABLE documents ADD COLUMN file_id BLOB;
ALTER TABLE documents ADD COLUMN batch_id BLOB;
ALTER TABLE documents ADD COLUMN max_chunk_tokens INTEGER;
ALTER TABLE documents ADD COLUMN chunk_overlap_tokens INTEGER;
CREATE UNIQUE INDEX documents_key ON documents (tenant_id, collection_id, (COALESCE(file_id, id)));
CREATE INDEX documents_of_file ON documents (tenant_id, file_id, user_id) WHERE file_id IS NOT NULL;
CREATE INDEX documents_of_batch ON documents (tenant_id, batch_id, (COALESCE(file_id, id))) WHERE batch_id IS NOT NULL;
-- What is attached has no bytes of its own.
DROP INDEX documents_size;
CREATE INDEX documents_size ON documents (tenant_id, user_id, size, file_id) WHERE file_id IS NULL;
-- Ends with what is counted and summed over a collection: no row is read for it, but of what was cancelled.
DROP INDEX documents_collection_id;
CREATE INDEX documents_collection_id ON documents (tenant_id, collection_id, id, chunk_count, status, size);
CREATE INDEX documents_cancelled ON documents (tenant_id, collection_id)
    WHERE status = 'failed' AND error ->> 'code' = 'cancelled';
