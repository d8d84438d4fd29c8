-- Whether somebody of the tenant has, or once had, a login: only the first becomes an
-- admin by it.
ALTER TABLE tenants ADD COLUMN has_accounts INTEGER NOT NULL DEFAULT 0;

-- How users sign in. The one table whose key has no tenant: an address leads to one.
CREATE TABLE logins (
    email               TEXT    NOT NULL PRIMARY KEY,
    tenant_id           BLOB    NOT NULL,
    user_id             BLOB    NOT NULL,
    password_hash       TEXT,
    is_first            INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL,
    CONSTRAINT logins_of FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX logins_user ON logins (tenant_id, user_id);
-- Whatever happens, one admin at most is made by coming first.
CREATE UNIQUE INDEX logins_first ON logins (tenant_id) WHERE is_first;

-- Attempts to sign in since the last one that succeeded, by the hash of an address or
-- a network; of no tenant, since most of them lead to none.
CREATE TABLE login_attempts (
    subject         BLOB    NOT NULL PRIMARY KEY,
    failures        INTEGER NOT NULL,
    last_attempt_at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_attempts_old ON login_attempts (last_attempt_at);

-- Credentials of users for programs. Each is found by its prefix, which a few may share.
CREATE TABLE api_tokens (
    tenant_id    BLOB    NOT NULL,
    user_id      BLOB    NOT NULL,
    id           BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    secret_hash  BLOB    NOT NULL,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, user_id, id),
    CONSTRAINT api_tokens_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX api_tokens_prefix ON api_tokens (prefix);

-- Who may register; the user who made it, or none for the operator.
CREATE TABLE invites (
    tenant_id  BLOB    NOT NULL,
    id         BLOB    NOT NULL,
    user_id    BLOB,
    token_hash BLOB    NOT NULL,
    email      TEXT,
    role       TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT invites_tenant FOREIGN KEY (tenant_id)
        REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    CONSTRAINT invites_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX invites_token ON invites (tenant_id, token_hash);
CREATE INDEX invites_user_id ON invites (tenant_id, user_id);
CREATE INDEX invites_expiry ON invites (tenant_id, expires_at);
