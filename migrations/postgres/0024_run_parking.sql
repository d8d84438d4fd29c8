-- What a run that waits for a person needs to go on.
ALTER TABLE runs ADD COLUMN parked jsonb;
-- When it went on, the last time.
ALTER TABLE runs ADD COLUMN resumed_at bigint;

-- Results of tools that are kept whole, a piece a row.
CREATE TABLE tool_outputs (
    tenant_id       uuid    NOT NULL,
    id              uuid    NOT NULL,
    -- The byte at which the piece begins.
    first_byte      bigint  NOT NULL,
    conversation_id uuid    NOT NULL,
    -- Bytes of the whole.
    total           bigint  NOT NULL,
    piece           text    NOT NULL,
    PRIMARY KEY (tenant_id, id, first_byte),
    CONSTRAINT tool_outputs_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX tool_outputs_of_conversation ON tool_outputs (tenant_id, conversation_id, id);
