-- Named groups of conversations and prompts. The key begins with the owner, so
-- that what refers to a workspace can only refer to one of the same user.
CREATE TABLE workspaces (
    tenant_id   uuid    NOT NULL,
    user_id     uuid    NOT NULL,
    id          uuid    NOT NULL,
    name        text    NOT NULL,
    description text    NOT NULL,
    is_archived boolean NOT NULL,
    metadata    jsonb   NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL,
    PRIMARY KEY (tenant_id, user_id, id),
    CONSTRAINT workspaces_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
