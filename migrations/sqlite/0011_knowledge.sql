-- Knowledge: collections of documents, their chunks and vectors, and the index
-- in which chunks are found.

-- A set of documents that is searched together. `user_id` made it; in a workspace its
-- members share it.
CREATE TABLE collections (
    tenant_id     BLOB   NOT NULL,
    id            BLOB   NOT NULL,
    user_id       BLOB   NOT NULL,
    workspace_id  BLOB,
    name          TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    chunk_size    INTEGER NOT NULL,
    chunk_overlap INTEGER NOT NULL,
    metadata      TEXT   NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT collections_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT collections_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX collections_name ON collections (tenant_id, user_id, name) WHERE workspace_id IS NULL;
CREATE UNIQUE INDEX collections_workspace_name ON collections (tenant_id, workspace_id, name)
    WHERE workspace_id IS NOT NULL;
CREATE INDEX collections_user_id ON collections (tenant_id, user_id, id);

-- Vectors of one model over one collection.
CREATE TABLE spaces (
    tenant_id     BLOB   NOT NULL,
    id            BLOB   NOT NULL,
    collection_id BLOB   NOT NULL,
    model         TEXT   NOT NULL,
    dimensions    INTEGER NOT NULL,
    version       TEXT   NOT NULL,
    status        TEXT   NOT NULL CHECK (status IN ('active', 'building', 'retired', 'failed')),
    error         TEXT,
    -- The worker that builds it.
    worker_id     BLOB,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT spaces_collection FOREIGN KEY (tenant_id, collection_id)
        REFERENCES collections (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX spaces_collection_id ON spaces (tenant_id, collection_id, id);
CREATE UNIQUE INDEX spaces_active ON spaces (tenant_id, collection_id) WHERE status = 'active';
CREATE INDEX spaces_building ON spaces (id) WHERE status = 'building';

-- A part of a collection's index: the terms and codes of some of its documents.
-- A segment never changes: it is replaced by another one.
CREATE TABLE segments (
    tenant_id     BLOB   NOT NULL,
    id            BLOB   NOT NULL,
    collection_id BLOB   NOT NULL,
    -- The version of the analysis that made its terms.
    analysis      INTEGER NOT NULL,
    chunk_count   INTEGER NOT NULL,
    -- Terms of all its chunks together.
    total_length  INTEGER NOT NULL,
    header        BLOB  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT segments_collection FOREIGN KEY (tenant_id, collection_id)
        REFERENCES collections (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX segments_collection_id ON segments (tenant_id, collection_id, id);

-- The postings of a segment's terms, in blocks of consecutive terms.
CREATE TABLE segment_blocks (
    tenant_id  BLOB  NOT NULL,
    segment_id BLOB  NOT NULL,
    -- The UTF-8 bytes of the block's first term.
    first_term BLOB NOT NULL,
    block      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, segment_id, first_term),
    CONSTRAINT segment_blocks_segment FOREIGN KEY (tenant_id, segment_id)
        REFERENCES segments (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- The binary codes of a segment's vectors in one space, in the order of the
-- segment's chunks.
CREATE TABLE segment_codes (
    tenant_id  BLOB  NOT NULL,
    segment_id BLOB  NOT NULL,
    space_id   BLOB  NOT NULL,
    codes      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, segment_id, space_id),
    CONSTRAINT segment_codes_segment FOREIGN KEY (tenant_id, segment_id)
        REFERENCES segments (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT segment_codes_space FOREIGN KEY (tenant_id, space_id)
        REFERENCES spaces (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX segment_codes_space_id ON segment_codes (tenant_id, space_id);

-- Documents; one that is pending or processing is also the job of reading it.
CREATE TABLE documents (
    tenant_id     BLOB   NOT NULL,
    id            BLOB   NOT NULL,
    collection_id BLOB   NOT NULL,
    user_id       BLOB   NOT NULL,
    name          TEXT   NOT NULL,
    title         TEXT   NOT NULL,
    source        TEXT,
    -- SHA-256 of the source, which may be longer than an index takes.
    source_hash   TEXT,
    media_type    TEXT   NOT NULL,
    size          INTEGER NOT NULL,
    content_hash  TEXT   NOT NULL,
    -- The upload that its bytes are of, and the one before it was last added.
    blob_id       BLOB   NOT NULL,
    former_blob_id BLOB,
    status        TEXT   NOT NULL CHECK (status IN ('pending', 'processing', 'ready', 'failed')),
    error         TEXT,
    progress      REAL NOT NULL,
    chunk_count   INTEGER NOT NULL,
    warnings      TEXT   NOT NULL,
    metadata      TEXT   NOT NULL,
    -- The segment that its findable chunks are in.
    segment_id    BLOB,
    -- The fencing token: grows whenever somebody takes the work on it.
    attempt       INTEGER NOT NULL,
    -- Attempts since it was last added.
    tries         INTEGER NOT NULL,
    worker_id     BLOB,
    not_before    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT documents_collection FOREIGN KEY (tenant_id, collection_id)
        REFERENCES collections (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT documents_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX documents_user_id ON documents (tenant_id, user_id, id);
-- Ends with what is summed over a collection.
CREATE INDEX documents_collection_id ON documents (tenant_id, collection_id, id, chunk_count);
CREATE UNIQUE INDEX documents_source ON documents (tenant_id, collection_id, source_hash)
    WHERE source_hash IS NOT NULL;
CREATE INDEX documents_blob ON documents (tenant_id, blob_id);
CREATE INDEX documents_segment ON documents (tenant_id, segment_id) WHERE segment_id IS NOT NULL;
CREATE INDEX documents_waiting ON documents (id) WHERE status IN ('pending', 'processing');
CREATE INDEX documents_processing ON documents (worker_id) WHERE status = 'processing';

-- Bytes that no document has: being uploaded by a worker, or to be removed.
CREATE TABLE loose_blobs (
    tenant_id BLOB NOT NULL,
    id        BLOB NOT NULL,
    -- Who uploads them; none if they are to be removed.
    worker_id BLOB,
    PRIMARY KEY (tenant_id, id)
) STRICT;

-- The findable chunks of documents.
CREATE TABLE chunks (
    tenant_id   BLOB   NOT NULL,
    id          BLOB   NOT NULL,
    document_id BLOB   NOT NULL,
    -- Its place among the document's chunks, from 0.
    position    INTEGER NOT NULL,
    content     TEXT   NOT NULL,
    headings    TEXT   NOT NULL,
    page        INTEGER,
    -- In Unicode code points of the document's text.
    starts_at   INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT chunks_document FOREIGN KEY (tenant_id, document_id)
        REFERENCES documents (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX chunks_document_position ON chunks (tenant_id, document_id, position);

-- Vectors of chunks, of length 1. A vector may be there before its chunk is:
-- work on a document that goes on after a crash finds what was embedded.
CREATE TABLE vectors (
    tenant_id   BLOB    NOT NULL,
    space_id    BLOB    NOT NULL,
    chunk_id    BLOB    NOT NULL,
    document_id BLOB    NOT NULL,
    -- IEEE 754 half floats, little-endian.
    vector      BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, space_id, chunk_id),
    CONSTRAINT vectors_space FOREIGN KEY (tenant_id, space_id)
        REFERENCES spaces (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT vectors_document FOREIGN KEY (tenant_id, document_id)
        REFERENCES documents (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX vectors_document_id ON vectors (tenant_id, document_id);

