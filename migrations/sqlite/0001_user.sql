-- People and services of a tenant. Everything a user owns hangs on this row.
CREATE TABLE users (
    tenant_id  BLOB    NOT NULL,
    id         BLOB    NOT NULL,
    email      TEXT,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    is_active  INTEGER NOT NULL,
    settings   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE UNIQUE INDEX users_email ON users (tenant_id, email);
