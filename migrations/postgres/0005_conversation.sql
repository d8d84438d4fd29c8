-- Trees of messages. `user_id` made it; in a workspace its members share it.
CREATE TABLE conversations (
    tenant_id      uuid    NOT NULL,
    id             uuid    NOT NULL,
    user_id        uuid    NOT NULL,
    workspace_id   uuid,
    title          text    NOT NULL,
    -- The title in lower case, for searches that ignore case in every script.
    title_folded   text    NOT NULL,
    system_prompt  text,
    is_pinned      boolean NOT NULL,
    is_archived    boolean NOT NULL,
    tags           jsonb   NOT NULL,
    metadata       jsonb   NOT NULL,
    active_leaf_id uuid,
    message_count  bigint  NOT NULL,
    created_at     bigint  NOT NULL,
    updated_at     bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT conversations_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT conversations_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id)
);

CREATE INDEX conversations_by_change ON conversations (tenant_id, user_id, updated_at DESC, id DESC);
CREATE INDEX conversations_of_workspace
    ON conversations (tenant_id, workspace_id, updated_at DESC, id DESC)
    WHERE workspace_id IS NOT NULL;

-- The parent's key has no cascade: messages go with their conversation, and a
-- cascade along a path of thousands would nest as deep.
CREATE TABLE messages (
    tenant_id       uuid   NOT NULL,
    conversation_id uuid   NOT NULL,
    id              uuid   NOT NULL,
    parent_id       uuid,
    role            text   NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    content         jsonb  NOT NULL,
    status          text   NOT NULL
        CHECK (status IN ('complete', 'streaming', 'interrupted', 'cancelled', 'failed')),
    model           text,
    usage           jsonb,
    cost            bigint,
    metadata        jsonb  NOT NULL,
    depth           bigint NOT NULL,
    tokens          bigint NOT NULL,
    path_tokens     bigint NOT NULL,
    created_at      bigint NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, id),
    CONSTRAINT messages_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT messages_parent FOREIGN KEY (tenant_id, conversation_id, parent_id)
        REFERENCES messages (tenant_id, conversation_id, id)
);

-- Two partial indexes instead of one, so that a message is looked up by the
-- primary key alone: a planner that knows nothing of the table yet would take
-- any other index that begins with the conversation for as good.
CREATE INDEX messages_of_parent ON messages (tenant_id, conversation_id, parent_id)
    WHERE parent_id IS NOT NULL;
CREATE INDEX messages_at_root ON messages (tenant_id, conversation_id, parent_id, id)
    WHERE parent_id IS NULL;
