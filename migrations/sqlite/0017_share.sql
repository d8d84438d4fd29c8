-- Links by which anybody reads a conversation as it was when it was shared. Found by the
-- hash of their secret, over all tenants.
CREATE TABLE shares (
    tenant_id         BLOB    NOT NULL,
    id                BLOB    NOT NULL,
    user_id           BLOB    NOT NULL,
    conversation_id   BLOB    NOT NULL,
    -- The last message that is shown; it may be gone.
    message_id        BLOB    NOT NULL,
    title             TEXT    NOT NULL,
    message_count     INTEGER NOT NULL,
    has_system_prompt INTEGER NOT NULL,
    secret_hash       BLOB    NOT NULL,
    -- What is shown.
    shown             TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT shares_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT shares_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX shares_of_conversation ON shares (tenant_id, conversation_id, id);
CREATE INDEX shares_of_user ON shares (tenant_id, user_id, id);
CREATE INDEX shares_secret ON shares (secret_hash);
CREATE INDEX shares_expiry ON shares (expires_at);
