-- The index by which conversations are found: the words of their titles and messages.
-- A segment never changes: it is replaced by another one.
CREATE TABLE message_segments (
    tenant_id       BLOB    NOT NULL,
    id              BLOB    NOT NULL,
    -- Whose conversations are in it: a workspace's, or those of a user that are in none.
    owner_id        BLOB    NOT NULL,
    -- Of what was written at once: its conversation, with which it goes.
    conversation_id BLOB,
    message_count   INTEGER NOT NULL,
    header          BLOB    NOT NULL,
    -- Its terms; those of a merged segment are in blocks of their own.
    block           BLOB,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT message_segments_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX message_segments_of_owner ON message_segments (tenant_id, owner_id, id);
CREATE INDEX message_segments_of_one ON message_segments (tenant_id, conversation_id)
    WHERE conversation_id IS NOT NULL;

CREATE TABLE message_segment_blocks (
    tenant_id  BLOB NOT NULL,
    segment_id BLOB NOT NULL,
    -- The UTF-8 bytes of the block's first term.
    first_term BLOB NOT NULL,
    block      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, segment_id, first_term),
    CONSTRAINT message_segment_blocks_segment FOREIGN KEY (tenant_id, segment_id)
        REFERENCES message_segments (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- What is to be done on the index of an owner. No key leads to a conversation: of one
-- that is gone, the index has words that are to go too.
CREATE TABLE message_index_jobs (
    tenant_id       BLOB    NOT NULL,
    owner_id        BLOB    NOT NULL,
    -- The owner's own id asks for nothing but merging.
    conversation_id BLOB    NOT NULL,
    -- Whether what the index has of the conversation goes first.
    is_purge        INTEGER NOT NULL,
    -- Messages up to this one are indexed.
    after_id        BLOB    NOT NULL,
    -- Grows with each request, so that none gets lost while another is worked on.
    version         INTEGER NOT NULL,
    tries           INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, owner_id, conversation_id)
) STRICT;
CREATE INDEX message_index_jobs_waiting ON message_index_jobs (tries, tenant_id, owner_id, conversation_id);

-- What is there already is indexed bit by bit while the server runs.
INSERT INTO message_index_jobs (tenant_id, owner_id, conversation_id, is_purge, after_id, version, tries)
SELECT tenant_id, COALESCE(workspace_id, user_id), id, false, zeroblob(16), 1, 0
FROM conversations;
