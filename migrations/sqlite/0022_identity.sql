-- Whom an OpenID provider knows under a name of its own: how they sign in.
CREATE TABLE identities (
    tenant_id  BLOB    NOT NULL,
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    user_id    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject),
    CONSTRAINT identities_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX identities_user_id ON identities (tenant_id, user_id);
