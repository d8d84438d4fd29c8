-- Logins of a user, on one device each. A session is renewed by refresh tokens: the
-- family's hash is of what all of them have in common, the token's of the one that
-- is good.
CREATE TABLE sessions (
    tenant_id        BLOB    NOT NULL,
    user_id          BLOB    NOT NULL,
    id               BLOB    NOT NULL,
    family_hash      BLOB    NOT NULL,
    token_hash       BLOB    NOT NULL,
    ip               TEXT,
    user_agent       TEXT,
    created_at       INTEGER NOT NULL,
    renewed_at       INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, id),
    CONSTRAINT sessions_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
