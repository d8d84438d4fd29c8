-- Generations of one answer each.
CREATE TABLE runs (
    tenant_id           BLOB    NOT NULL,
    id                  BLOB    NOT NULL,
    user_id             BLOB    NOT NULL,
    conversation_id     BLOB    NOT NULL,
    user_message_id     BLOB,
    message_id          BLOB    NOT NULL,
    status              TEXT    NOT NULL CHECK (status IN
        ('queued', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'interrupted')),
    model               TEXT    NOT NULL,
    error               TEXT,
    finish_reason       TEXT,
    usage               TEXT,
    context             TEXT    NOT NULL,
    worker_id           BLOB    NOT NULL,
    attempt             INTEGER NOT NULL,
    is_cancel_requested INTEGER NOT NULL,
    client_id           TEXT,
    client_hash         BLOB,
    created_at          INTEGER NOT NULL,
    finished_at         INTEGER,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT runs_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    -- "Unfinished" is one thing, whichever column asks.
    CHECK ((finished_at IS NULL) = (status IN ('queued', 'running', 'waiting')))
) STRICT;

CREATE UNIQUE INDEX runs_client ON runs (tenant_id, user_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX runs_of_conversation ON runs (tenant_id, conversation_id, id);
-- Not of what is in flight, for which there is a smaller one.
CREATE INDEX runs_of_user ON runs (tenant_id, user_id, id) WHERE finished_at IS NOT NULL;
-- Holds what is in flight only, so that workers may read all of it.
CREATE INDEX runs_unfinished ON runs (tenant_id, worker_id, id) WHERE finished_at IS NULL;

-- The event log of a run, some events a row.
CREATE TABLE run_events (
    tenant_id BLOB    NOT NULL,
    run_id    BLOB    NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    events    TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, run_id, first_seq),
    CONSTRAINT run_events_run FOREIGN KEY (tenant_id, run_id)
        REFERENCES runs (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- Processes that own runs, of all tenants. A worker of a file also holds a lock
-- on a file beside the database.
CREATE TABLE workers (
    id          BLOB    NOT NULL PRIMARY KEY,
    beat_at     INTEGER NOT NULL,
    -- Whether it copies the bytes of documents: none are removed meanwhile.
    keeps_blobs INTEGER NOT NULL DEFAULT 0
) STRICT;
