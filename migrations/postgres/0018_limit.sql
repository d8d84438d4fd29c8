-- How many requests may still come. A bucket is of a user and a class of requests, or,
-- with a tenant and a user of zeros, of the address of a machine.
CREATE TABLE rate_limits (
    tenant_id uuid    NOT NULL,
    user_id   uuid    NOT NULL,
    address   text    NOT NULL,
    class     text    NOT NULL,
    -- When the bucket is full again. A later time means that it holds less.
    full_at   bigint  NOT NULL,
    -- What the last taking got.
    granted   bigint  NOT NULL,
    PRIMARY KEY (tenant_id, user_id, address, class)
);
CREATE INDEX rate_limits_full ON rate_limits (full_at);

-- How much a user and a tenant keep is summed up where a quota limits it.
CREATE INDEX documents_size ON documents (tenant_id, user_id, size);
