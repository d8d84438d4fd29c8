-- The last good model list of each connection.
CREATE TABLE models (
    tenant_id      BLOB    NOT NULL,
    connection_id  BLOB    NOT NULL,
    model_id       TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    context_window INTEGER,
    capabilities   TEXT    NOT NULL,
    is_active      INTEGER NOT NULL,
    prices         TEXT,
    PRIMARY KEY (tenant_id, connection_id, model_id),
    CONSTRAINT models_connection FOREIGN KEY (tenant_id, connection_id)
        REFERENCES connections (tenant_id, id) ON DELETE CASCADE
) STRICT;
