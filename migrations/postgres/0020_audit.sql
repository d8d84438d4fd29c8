-- What happened that matters for a tenant's security: a chain, in which each record
-- has the hash of itself and of the one before it.
CREATE TABLE audit_records (
    tenant_id   uuid   NOT NULL,
    sequence    bigint NOT NULL,
    action      text   NOT NULL,
    actor_id    uuid,
    target_kind text,
    target_id   uuid,
    -- A JSON object as it was hashed, with the salt; none once a user whom it names is
    -- deleted.
    detail      text,
    salt        bytea,
    detail_hash bytea  NOT NULL,
    hash        bytea  NOT NULL,
    created_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

CREATE INDEX audit_records_of_actor ON audit_records (tenant_id, actor_id, sequence) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_records_of_target ON audit_records (tenant_id, target_id, sequence) WHERE target_id IS NOT NULL;
CREATE INDEX audit_records_of_action ON audit_records (tenant_id, action, sequence);
