-- Uploaded files; their bytes are kept by their hash, outside the database.
CREATE TABLE files (
    tenant_id    uuid   NOT NULL,
    user_id      uuid   NOT NULL,
    id           uuid   NOT NULL,
    name         text   NOT NULL,
    media_type   text   NOT NULL,
    size         bigint NOT NULL,
    content_hash text   NOT NULL,
    created_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id, id),
    CONSTRAINT files_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
