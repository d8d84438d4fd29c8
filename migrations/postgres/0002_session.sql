-- Logins of a user, on one device each. A session is renewed by refresh tokens: the
-- family's hash is of what all of them have in common, the token's of the one that
-- is good.
CREATE TABLE sessions (
    tenant_id        uuid   NOT NULL,
    user_id          uuid   NOT NULL,
    id               uuid   NOT NULL,
    family_hash      bytea  NOT NULL,
    token_hash       bytea  NOT NULL,
    ip               text,
    user_agent       text,
    created_at       bigint NOT NULL,
    renewed_at       bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    expires_at       bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id, id),
    CONSTRAINT sessions_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
