-- Configured tool servers: of one user, of a workspace (where `user_id` made it), or (no
-- user) shared by the tenant. `listing` is what the server said last, `pins` what of it
-- somebody approved.
CREATE TABLE tool_servers (
    tenant_id        BLOB    NOT NULL,
    id               BLOB    NOT NULL,
    user_id          BLOB,
    workspace_id     BLOB,
    name             TEXT    NOT NULL,
    url              TEXT,
    auth_type        TEXT    NOT NULL CHECK (auth_type IN ('none', 'bearer', 'headers', 'oauth')),
    sealed_auth      BLOB,
    key_id           INTEGER CHECK ((key_id IS NULL) = (sealed_auth IS NULL)),
    is_enabled       INTEGER NOT NULL,
    is_configured    INTEGER NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('unknown', 'ok', 'unreachable', 'needs_auth')),
    error            TEXT,
    server_info      TEXT,
    listing          TEXT    NOT NULL,
    problems         TEXT    NOT NULL,
    pins             TEXT    NOT NULL,
    tool_count       INTEGER NOT NULL,
    revision         INTEGER NOT NULL,
    tools_fetched_at INTEGER,
    tools_expire_at  INTEGER,
    stale_since      INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT tool_servers_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT tool_servers_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- An index for each kind of owner, because NULL never equals NULL in a unique one.
CREATE UNIQUE INDEX tool_servers_own_name ON tool_servers (tenant_id, user_id, name)
    WHERE user_id IS NOT NULL AND workspace_id IS NULL;
CREATE UNIQUE INDEX tool_servers_workspace_name ON tool_servers (tenant_id, workspace_id, name)
    WHERE workspace_id IS NOT NULL;
CREATE UNIQUE INDEX tool_servers_shared_name ON tool_servers (tenant_id, name) WHERE user_id IS NULL;
CREATE INDEX tool_servers_of_user ON tool_servers (tenant_id, user_id, id);
-- The operator's, over all tenants: what is sealed with which key.
CREATE INDEX tool_servers_key ON tool_servers (key_id, tenant_id, id) WHERE key_id IS NOT NULL;

-- What a user's login at a tool server gave them, by issuer.
CREATE TABLE tool_grants (
    tenant_id     BLOB    NOT NULL,
    id            BLOB    NOT NULL,
    user_id       BLOB    NOT NULL,
    server_id     BLOB    NOT NULL,
    issuer        TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    sealed_tokens BLOB    NOT NULL,
    key_id        INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT tool_grants_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT tool_grants_server FOREIGN KEY (tenant_id, server_id)
        REFERENCES tool_servers (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX tool_grants_issuer ON tool_grants (tenant_id, user_id, server_id, issuer);
CREATE INDEX tool_grants_of_server ON tool_grants (tenant_id, server_id);
CREATE INDEX tool_grants_key ON tool_grants (key_id, tenant_id, id);
