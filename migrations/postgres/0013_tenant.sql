-- Tenants. One has a row from its first user on; the id of one that the
-- application names by a key of its own is made of that key.
CREATE TABLE tenants (
    tenant_id  uuid    NOT NULL PRIMARY KEY,
    key        text,
    name       text    NOT NULL,
    is_active  boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
INSERT INTO tenants SELECT tenant_id, NULL, '', true, min(created_at), min(created_at) FROM users GROUP BY tenant_id;

-- The application's own name for the user; the id is made of it.
ALTER TABLE users ADD COLUMN key text;

-- Deletions of a user, or (the user that is all zeros) of a whole tenant: the mark
-- that keeps new work away, how far it has come, and its receipt.
CREATE TABLE deletions (
    tenant_id   uuid    NOT NULL,
    user_id     uuid    NOT NULL,
    -- Who works on it.
    worker_id   uuid    NOT NULL,
    -- How many of each noun are gone so far.
    counts      jsonb   NOT NULL,
    started_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    finished_at bigint,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX deletions_unfinished ON deletions (worker_id) WHERE finished_at IS NULL;
CREATE INDEX deletions_finished ON deletions (finished_at) WHERE finished_at IS NOT NULL;
