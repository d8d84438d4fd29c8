-- One row for each call of a model server. It refers to nothing: usage stays
-- when the conversation, the run or the user it belonged to is deleted.
CREATE TABLE usage_records (
    tenant_id        BLOB    NOT NULL,
    id               BLOB    NOT NULL,
    user_id          BLOB    NOT NULL,
    run_id           BLOB,
    conversation_id  BLOB,
    model            TEXT    NOT NULL,
    outcome          TEXT    NOT NULL CHECK (outcome IN ('completed', 'cancelled', 'failed', 'interrupted')),
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost             INTEGER,
    is_estimated     INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE INDEX usage_records_of_user ON usage_records (tenant_id, user_id, created_at);
CREATE INDEX usage_records_by_time ON usage_records (tenant_id, created_at);
