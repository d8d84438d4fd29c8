-- Links by which anybody reads a conversation as it was when it was shared. Found by the
-- hash of their secret, over all tenants.
CREATE TABLE shares (
    tenant_id         uuid    NOT NULL,
    id                uuid    NOT NULL,
    user_id           uuid    NOT NULL,
    conversation_id   uuid    NOT NULL,
    -- The last message that is shown; it may be gone.
    message_id        uuid    NOT NULL,
    title             text    NOT NULL,
    message_count     bigint  NOT NULL,
    has_system_prompt boolean NOT NULL,
    secret_hash       bytea   NOT NULL,
    -- What is shown.
    shown             jsonb   NOT NULL,
    created_at        bigint  NOT NULL,
    expires_at        bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT shares_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT shares_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX shares_of_conversation ON shares (tenant_id, conversation_id, id);
CREATE INDEX shares_of_user ON shares (tenant_id, user_id, id);
CREATE INDEX shares_secret ON shares (secret_hash);
CREATE INDEX shares_expiry ON shares (expires_at);
