-- The index by which conversations are found: the words of their titles and messages.
-- A segment never changes: it is replaced by another one.
CREATE TABLE message_segments (
    tenant_id       uuid   NOT NULL,
    id              uuid   NOT NULL,
    -- Whose conversations are in it: a workspace's, or those of a user that are in none.
    owner_id        uuid   NOT NULL,
    -- Of what was written at once: its conversation, with which it goes.
    conversation_id uuid,
    message_count   bigint NOT NULL,
    header          bytea  NOT NULL,
    -- Its terms; those of a merged segment are in blocks of their own.
    block           bytea,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT message_segments_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX message_segments_of_owner ON message_segments (tenant_id, owner_id, id);
CREATE INDEX message_segments_of_one ON message_segments (tenant_id, conversation_id)
    WHERE conversation_id IS NOT NULL;

CREATE TABLE message_segment_blocks (
    tenant_id  uuid  NOT NULL,
    segment_id uuid  NOT NULL,
    -- The UTF-8 bytes of the block's first term.
    first_term bytea NOT NULL,
    block      bytea NOT NULL,
    PRIMARY KEY (tenant_id, segment_id, first_term),
    CONSTRAINT message_segment_blocks_segment FOREIGN KEY (tenant_id, segment_id)
        REFERENCES message_segments (tenant_id, id) ON DELETE CASCADE
);

-- Postings are compact already.
ALTER TABLE message_segments ALTER COLUMN header SET STORAGE EXTERNAL;
ALTER TABLE message_segments ALTER COLUMN block SET STORAGE EXTERNAL;
ALTER TABLE message_segment_blocks ALTER COLUMN block SET STORAGE EXTERNAL;

-- What is to be done on the index of an owner. No key leads to a conversation: of one
-- that is gone, the index has words that are to go too.
CREATE TABLE message_index_jobs (
    tenant_id       uuid    NOT NULL,
    owner_id        uuid    NOT NULL,
    -- The owner's own id asks for nothing but merging.
    conversation_id uuid    NOT NULL,
    -- Whether what the index has of the conversation goes first.
    is_purge        boolean NOT NULL,
    -- Messages up to this one are indexed.
    after_id        uuid    NOT NULL,
    -- Grows with each request, so that none gets lost while another is worked on.
    version         bigint  NOT NULL,
    tries           bigint  NOT NULL,
    PRIMARY KEY (tenant_id, owner_id, conversation_id)
);
CREATE INDEX message_index_jobs_waiting ON message_index_jobs (tries, tenant_id, owner_id, conversation_id);

-- What is there already is indexed bit by bit while the server runs.
INSERT INTO message_index_jobs (tenant_id, owner_id, conversation_id, is_purge, after_id, version, tries)
SELECT tenant_id, COALESCE(workspace_id, user_id), id, false, '00000000-0000-0000-0000-000000000000', 1, 0
FROM conversations;
