-- Files that come in parts. A part's bytes are its own until the upload is completed, cancelled or over.
CREATE TABLE uploads (
    tenant_id         BLOB    NOT NULL,
    id                BLOB    NOT NULL,
    user_id           BLOB    NOT NULL,
    name              TEXT    NOT NULL,
    media_type        TEXT    NOT NULL,
    purpose           TEXT    NOT NULL,
    -- What all parts come to.
    size              INTEGER NOT NULL,
    -- Microseconds that its file is kept, if it expires.
    file_life         INTEGER,
    status            TEXT    NOT NULL CHECK (status IN ('pending', 'completed', 'cancelled')),
    -- What it came to; the file may be deleted since.
    file_id           BLOB,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT uploads_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX uploads_of_user ON uploads (tenant_id, user_id, id);
CREATE INDEX uploads_expiring ON uploads (expires_at);

CREATE TABLE upload_parts (
    tenant_id    BLOB    NOT NULL,
    id           BLOB    NOT NULL,
    upload_id    BLOB    NOT NULL,
    user_id      BLOB    NOT NULL,
    size         INTEGER NOT NULL,
    content_hash TEXT    NOT NULL,
    blob_id      BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT upload_parts_upload FOREIGN KEY (tenant_id, upload_id)
        REFERENCES uploads (tenant_id, id) ON DELETE CASCADE,
    -- So that nobody adds one while the user is deleted.
    CONSTRAINT upload_parts_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX upload_parts_of_upload ON upload_parts (tenant_id, upload_id, id, size);
CREATE INDEX upload_parts_of_user ON upload_parts (tenant_id, user_id, size);
CREATE INDEX upload_parts_blob ON upload_parts (tenant_id, blob_id);
