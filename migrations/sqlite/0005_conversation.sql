-- Trees of messages. `user_id` made it; in a workspace its members share it.
CREATE TABLE conversations (
    tenant_id      BLOB    NOT NULL,
    id             BLOB    NOT NULL,
    user_id        BLOB    NOT NULL,
    workspace_id   BLOB,
    title          TEXT    NOT NULL,
    -- The title in lower case, for searches that ignore case in every script.
    title_folded   TEXT    NOT NULL,
    system_prompt  TEXT,
    is_pinned      INTEGER NOT NULL,
    is_archived    INTEGER NOT NULL,
    tags           TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    active_leaf_id BLOB,
    message_count  INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT conversations_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT conversations_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id)
) STRICT;

CREATE INDEX conversations_by_change ON conversations (tenant_id, user_id, updated_at DESC, id DESC);
CREATE INDEX conversations_of_workspace
    ON conversations (tenant_id, workspace_id, updated_at DESC, id DESC)
    WHERE workspace_id IS NOT NULL;

-- The parent's key has no cascade: messages go with their conversation, and a
-- cascade along a path of thousands would nest as deep.
CREATE TABLE messages (
    tenant_id       BLOB    NOT NULL,
    conversation_id BLOB    NOT NULL,
    id              BLOB    NOT NULL,
    parent_id       BLOB,
    role            TEXT    NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    content         TEXT    NOT NULL,
    status          TEXT    NOT NULL
        CHECK (status IN ('complete', 'streaming', 'interrupted', 'cancelled', 'failed')),
    model           TEXT,
    usage           TEXT,
    cost            INTEGER,
    metadata        TEXT    NOT NULL,
    depth           INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    path_tokens     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, id),
    CONSTRAINT messages_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT messages_parent FOREIGN KEY (tenant_id, conversation_id, parent_id)
        REFERENCES messages (tenant_id, conversation_id, id)
) STRICT;

-- Two partial indexes instead of one, so that a message is looked up by the
-- primary key alone: a planner that knows nothing of the table yet would take
-- any other index that begins with the conversation for as good.
CREATE INDEX messages_of_parent ON messages (tenant_id, conversation_id, parent_id)
    WHERE parent_id IS NOT NULL;
CREATE INDEX messages_at_root ON messages (tenant_id, conversation_id, parent_id, id)
    WHERE parent_id IS NULL;
