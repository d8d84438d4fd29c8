-- The last good model list of each connection.
CREATE TABLE models (
    tenant_id      uuid    NOT NULL,
    connection_id  uuid    NOT NULL,
    model_id       text    COLLATE "C" NOT NULL,
    name           text    NOT NULL,
    context_window bigint,
    capabilities   jsonb   NOT NULL,
    is_active      boolean NOT NULL,
    prices         jsonb,
    PRIMARY KEY (tenant_id, connection_id, model_id),
    CONSTRAINT models_connection FOREIGN KEY (tenant_id, connection_id)
        REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);
