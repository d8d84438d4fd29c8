-- Configured tool servers: of one user, of a workspace (where `user_id` made it), or (no
-- user) shared by the tenant. `listing` is what the server said last, `pins` what of it
-- somebody approved.
CREATE TABLE tool_servers (
    tenant_id        uuid    NOT NULL,
    id               uuid    NOT NULL,
    user_id          uuid,
    workspace_id     uuid,
    name             text    COLLATE "C" NOT NULL,
    url              text,
    auth_type        text    NOT NULL CHECK (auth_type IN ('none', 'bearer', 'headers', 'oauth')),
    sealed_auth      bytea,
    key_id           bigint  CHECK ((key_id IS NULL) = (sealed_auth IS NULL)),
    is_enabled       boolean NOT NULL,
    is_configured    boolean NOT NULL,
    status           text    NOT NULL CHECK (status IN ('unknown', 'ok', 'unreachable', 'needs_auth')),
    error            text,
    server_info      jsonb,
    listing          jsonb   NOT NULL,
    problems         jsonb   NOT NULL,
    pins             jsonb   NOT NULL,
    tool_count       bigint  NOT NULL,
    revision         bigint  NOT NULL,
    tools_fetched_at bigint,
    tools_expire_at  bigint,
    stale_since      bigint,
    created_at       bigint  NOT NULL,
    updated_at       bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT tool_servers_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT tool_servers_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
);

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
    tenant_id     uuid    NOT NULL,
    id            uuid    NOT NULL,
    user_id       uuid    NOT NULL,
    server_id     uuid    NOT NULL,
    issuer        text    NOT NULL,
    url           text    NOT NULL,
    sealed_tokens bytea   NOT NULL,
    key_id        bigint  NOT NULL,
    updated_at    bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT tool_grants_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT tool_grants_server FOREIGN KEY (tenant_id, server_id)
        REFERENCES tool_servers (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX tool_grants_issuer ON tool_grants (tenant_id, user_id, server_id, issuer);
CREATE INDEX tool_grants_of_server ON tool_grants (tenant_id, server_id);
CREATE INDEX tool_grants_key ON tool_grants (key_id, tenant_id, id);
