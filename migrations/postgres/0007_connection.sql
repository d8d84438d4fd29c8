-- Configured model servers: of one user, of a workspace (where `user_id` made it),
-- or (no user) shared by the tenant.
CREATE TABLE connections (
    tenant_id         uuid    NOT NULL,
    id                uuid    NOT NULL,
    user_id           uuid,
    workspace_id      uuid,
    name              text    COLLATE "C" NOT NULL,
    provider          text    NOT NULL,
    url               text,
    key_hint          text,
    sealed_key        bytea,
    is_enabled        boolean NOT NULL,
    settings          jsonb   NOT NULL,
    status            text    NOT NULL CHECK (status IN ('unknown', 'ok', 'unreachable', 'needs_key')),
    models_fetched_at bigint,
    stale_since       bigint,
    created_at        bigint  NOT NULL,
    updated_at        bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT connections_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT connections_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
);

-- An index for each kind of owner, because NULL never equals NULL in a unique one.
CREATE UNIQUE INDEX connections_own_name ON connections (tenant_id, user_id, name)
    WHERE user_id IS NOT NULL AND workspace_id IS NULL;
CREATE UNIQUE INDEX connections_workspace_name ON connections (tenant_id, workspace_id, name)
    WHERE workspace_id IS NOT NULL;
CREATE UNIQUE INDEX connections_shared_name ON connections (tenant_id, name) WHERE user_id IS NULL;
CREATE INDEX connections_of_user ON connections (tenant_id, user_id, id);
