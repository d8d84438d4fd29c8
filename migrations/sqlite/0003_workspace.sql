-- Named groups of conversations and prompts. The key begins with the owner, so
-- that what refers to a workspace can only refer to one of the same user.
CREATE TABLE workspaces (
    tenant_id   BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    id          BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    is_archived INTEGER NOT NULL,
    metadata    TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, id),
    CONSTRAINT workspaces_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
