-- Configured model servers: of one user, or (no user) shared by the tenant.
CREATE TABLE connections (
    tenant_id         BLOB    NOT NULL,
    id                BLOB    NOT NULL,
    user_id           BLOB,
    name              TEXT    NOT NULL,
    provider          TEXT    NOT NULL,
    url               TEXT,
    key_hint          TEXT,
    sealed_key        BLOB,
    is_enabled        INTEGER NOT NULL,
    settings          TEXT    NOT NULL,
    status            TEXT    NOT NULL CHECK (status IN ('unknown', 'ok', 'unreachable', 'needs_key')),
    models_fetched_at INTEGER,
    stale_since       INTEGER,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT connections_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- Two indexes, because NULL never equals NULL in a unique one.
CREATE UNIQUE INDEX connections_own_name ON connections (tenant_id, user_id, name) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX connections_shared_name ON connections (tenant_id, name) WHERE user_id IS NULL;
