-- One row for each call of a model server. It refers to nothing: usage stays
-- when the conversation, the run or the user it belonged to is deleted.
CREATE TABLE usage_records (
    tenant_id        uuid    NOT NULL,
    id               uuid    NOT NULL,
    user_id          uuid    NOT NULL,
    run_id           uuid,
    conversation_id  uuid,
    model            text    COLLATE "C" NOT NULL,
    outcome          text    NOT NULL CHECK (outcome IN ('completed', 'cancelled', 'failed', 'interrupted')),
    input_tokens     bigint  NOT NULL,
    output_tokens    bigint  NOT NULL,
    cached_tokens    bigint  NOT NULL,
    reasoning_tokens bigint  NOT NULL,
    cost             bigint,
    is_estimated     boolean NOT NULL,
    created_at       bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX usage_records_of_user ON usage_records (tenant_id, user_id, created_at);
CREATE INDEX usage_records_by_time ON usage_records (tenant_id, created_at);
