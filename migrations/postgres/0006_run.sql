-- Generations of one answer each.
CREATE TABLE runs (
    tenant_id           uuid    NOT NULL,
    id                  uuid    NOT NULL,
    user_id             uuid    NOT NULL,
    conversation_id     uuid    NOT NULL,
    user_message_id     uuid,
    message_id          uuid    NOT NULL,
    status              text    NOT NULL CHECK (status IN
        ('queued', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'interrupted')),
    model               text    NOT NULL,
    error               jsonb,
    finish_reason       text,
    usage               jsonb,
    context             jsonb   NOT NULL,
    worker_id           uuid    NOT NULL,
    attempt             bigint  NOT NULL,
    is_cancel_requested boolean NOT NULL,
    client_id           text,
    client_hash         bytea,
    created_at          bigint  NOT NULL,
    finished_at         bigint,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT runs_conversation FOREIGN KEY (tenant_id, conversation_id)
        REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    -- "Unfinished" is one thing, whichever column asks.
    CHECK ((finished_at IS NULL) = (status IN ('queued', 'running', 'waiting')))
);

CREATE UNIQUE INDEX runs_client ON runs (tenant_id, user_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX runs_of_conversation ON runs (tenant_id, conversation_id, id);
-- Not of what is in flight, for which there is a smaller one.
CREATE INDEX runs_of_user ON runs (tenant_id, user_id, id) WHERE finished_at IS NOT NULL;
-- Holds what is in flight only, so that workers may read all of it.
CREATE INDEX runs_unfinished ON runs (tenant_id, worker_id, id) WHERE finished_at IS NULL;

-- The event log of a run, some events a row.
CREATE TABLE run_events (
    tenant_id uuid   NOT NULL,
    run_id    uuid   NOT NULL,
    first_seq bigint NOT NULL,
    last_seq  bigint NOT NULL,
    events    jsonb  NOT NULL,
    PRIMARY KEY (tenant_id, run_id, first_seq),
    CONSTRAINT run_events_run FOREIGN KEY (tenant_id, run_id)
        REFERENCES runs (tenant_id, id) ON DELETE CASCADE
);

-- Processes that own runs, of all tenants. A worker holds the session lock
-- `lock_key`; `session_at` is the server's time when it took it.
CREATE TABLE workers (
    id          uuid    NOT NULL PRIMARY KEY,
    lock_key    bigint  NOT NULL,
    session_at  bigint  NOT NULL,
    beat_at     bigint  NOT NULL,
    -- Whether it copies the bytes of documents: none are removed meanwhile.
    keeps_blobs boolean NOT NULL DEFAULT false
);
