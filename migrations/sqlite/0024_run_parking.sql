-- What a run that waits for a person needs to go on.
ALTER TABLE runs ADD COLUMN parked TEXT;
-- When it went on, the last time.
ALTER TABLE runs ADD COLUMN resumed_at INTEGER;

-- Results of tools that are kept whole, a piece a row.
CREATE TABLE tool_outputs (
    tenant_id       BLOB    NOT NULL,
    id              BLOB    NOT NULL,
    -- The byte at which the piece begins.
    first_byte      INTEGER NOT NULL,
    conversation_id BLOB    NOT NULL,
    -- Bytes of the whole.
    total           INTEGER NOT NULL,
    piece           TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, id, first_byte),
    CONSTRAINT tool_outputs_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX tool_outputs_of_conversation ON tool_outputs (tenant_id, conversation_id, id);
