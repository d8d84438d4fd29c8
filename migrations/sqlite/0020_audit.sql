-- What happened that matters for a tenant's security: a chain, in which each record
-- has the hash of itself and of the one before it.
CREATE TABLE audit_records (
    tenant_id   BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    action      TEXT    NOT NULL,
    actor_id    BLOB,
    target_kind TEXT,
    target_id   BLOB,
    -- A JSON object as it was hashed, with the salt; none once a user whom it names is
    -- deleted.
    detail      TEXT,
    salt        BLOB,
    detail_hash BLOB    NOT NULL,
    hash        BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;

CREATE INDEX audit_records_of_actor ON audit_records (tenant_id, actor_id, sequence) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_records_of_target ON audit_records (tenant_id, target_id, sequence) WHERE target_id IS NOT NULL;
CREATE INDEX audit_records_of_action ON audit_records (tenant_id, action, sequence);
