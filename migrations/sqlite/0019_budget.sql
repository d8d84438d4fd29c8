-- What models cost, as an admin says; each price from a moment on.
CREATE TABLE model_prices (
    tenant_id  BLOB    NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id         BLOB    NOT NULL,
    -- `CONNECTION/MODEL`, or with a `*` at the end.
    model      TEXT    NOT NULL,
    input      REAL    NOT NULL,
    output     REAL    NOT NULL,
    cached     REAL,
    valid_from INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX model_prices_of_model ON model_prices (tenant_id, model, valid_from);

-- What calls may cost in a day or a month, and what they have cost in the period that
-- began last.
CREATE TABLE budgets (
    tenant_id       BLOB    NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id              BLOB    NOT NULL,
    -- Whose calls: `tenant:`, `user:ID`, `group:ID`, `workspace:ID`, `model:NAME`, `tag:TAG`.
    subject         TEXT    NOT NULL,
    period          TEXT    NOT NULL CHECK (period IN ('day', 'month')),
    max_cost        INTEGER,
    max_tokens      INTEGER,
    begins_at       INTEGER NOT NULL,
    cost_spent      INTEGER NOT NULL,
    tokens_spent    INTEGER NOT NULL,
    -- The sums of its reservations.
    cost_reserved   INTEGER NOT NULL,
    tokens_reserved INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX budgets_of_subject ON budgets (tenant_id, subject, period);

-- What is set aside for a call under way, which has the id of its usage record.
CREATE TABLE budget_reservations (
    tenant_id  BLOB    NOT NULL,
    call_id    BLOB    NOT NULL,
    budget_id  BLOB    NOT NULL,
    -- A long answer reserves several times.
    step       INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, call_id, budget_id, step),
    CONSTRAINT budget_reservations_budget FOREIGN KEY (tenant_id, budget_id)
        REFERENCES budgets (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX budget_reservations_of_budget ON budget_reservations (tenant_id, budget_id, expires_at);
CREATE INDEX budget_reservations_expiry ON budget_reservations (tenant_id, expires_at);

-- The workspace that a call is counted for, whatever becomes of its conversation.
ALTER TABLE runs ADD COLUMN workspace_id BLOB;
ALTER TABLE usage_records ADD COLUMN workspace_id BLOB;
