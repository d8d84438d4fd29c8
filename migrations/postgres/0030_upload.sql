-- Files that come in parts. A part's bytes are its own until the upload is completed, cancelled or over.
CREATE TABLE uploads (
    tenant_id         uuid    NOT NULL,
    id                uuid    NOT NULL,
    user_id           uuid    NOT NULL,
    name              text    NOT NULL,
    media_type        text    NOT NULL,
    purpose           text    NOT NULL,
    -- What all parts come to.
    size              bigint  NOT NULL,
    -- Microseconds that its file is kept, if it expires.
    file_life         bigint,
    status            text    NOT NULL CHECK (status IN ('pending', 'completed', 'cancelled')),
    -- What it came to; the file may be deleted since.
    file_id           uuid,
    created_at        bigint  NOT NULL,
    expires_at        bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT uploads_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX uploads_of_user ON uploads (tenant_id, user_id, id);
CREATE INDEX uploads_expiring ON uploads (expires_at);

CREATE TABLE upload_parts (
    tenant_id    uuid    NOT NULL,
    id           uuid    NOT NULL,
    upload_id    uuid    NOT NULL,
    user_id      uuid    NOT NULL,
    size         bigint  NOT NULL,
    content_hash text    NOT NULL,
    blob_id      uuid    NOT NULL,
    created_at   bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT upload_parts_upload FOREIGN KEY (tenant_id, upload_id)
        REFERENCES uploads (tenant_id, id) ON DELETE CASCADE,
    -- So that nobody adds one while the user is deleted.
    CONSTRAINT upload_parts_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX upload_parts_of_upload ON upload_parts (tenant_id, upload_id, id, size);
CREATE INDEX upload_parts_of_user ON upload_parts (tenant_id, user_id, size);
CREATE INDEX upload_parts_blob ON upload_parts (tenant_id, blob_id);
