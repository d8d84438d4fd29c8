-- People and services of a tenant. Everything a user owns hangs on this row.
CREATE TABLE users (
    tenant_id  uuid    NOT NULL,
    id         uuid    NOT NULL,
    email      text,
    name       text    NOT NULL,
    role       text    NOT NULL CHECK (role IN ('user', 'admin')),
    is_active  boolean NOT NULL,
    settings   jsonb   NOT NULL,
    created_at bigint  NOT NULL,
    updated_at bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX users_email ON users (tenant_id, email);
