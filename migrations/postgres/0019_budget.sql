-- What models cost, as an admin says; each price from a moment on.
CREATE TABLE model_prices (
    tenant_id  uuid    NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id         uuid    NOT NULL,
    -- `CONNECTION/MODEL`, or with a `*` at the end.
    model      text    COLLATE "C" NOT NULL,
    input      double precision NOT NULL,
    output     double precision NOT NULL,
    cached     double precision,
    valid_from bigint  NOT NULL,
    created_at bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX model_prices_of_model ON model_prices (tenant_id, model, valid_from);

-- What calls may cost in a day or a month, and what they have cost in the period that
-- began last.
CREATE TABLE budgets (
    tenant_id       uuid    NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id              uuid    NOT NULL,
    -- Whose calls: `tenant:`, `user:ID`, `group:ID`, `workspace:ID`, `model:NAME`, `tag:TAG`.
    subject         text    COLLATE "C" NOT NULL,
    period          text    NOT NULL CHECK (period IN ('day', 'month')),
    max_cost        bigint,
    max_tokens      bigint,
    begins_at       bigint  NOT NULL,
    cost_spent      bigint  NOT NULL,
    tokens_spent    bigint  NOT NULL,
    -- The sums of its reservations.
    cost_reserved   bigint  NOT NULL,
    tokens_reserved bigint  NOT NULL,
    created_at      bigint  NOT NULL,
    updated_at      bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX budgets_of_subject ON budgets (tenant_id, subject, period);

-- What is set aside for a call under way, which has the id of its usage record.
CREATE TABLE budget_reservations (
    tenant_id  uuid    NOT NULL,
    call_id    uuid    NOT NULL,
    budget_id  uuid    NOT NULL,
    -- A long answer reserves several times.
    step       bigint  NOT NULL,
    cost       bigint  NOT NULL,
    tokens     bigint  NOT NULL,
    expires_at bigint  NOT NULL,
    PRIMARY KEY (tenant_id, call_id, budget_id, step),
    CONSTRAINT budget_reservations_budget FOREIGN KEY (tenant_id, budget_id)
        REFERENCES budgets (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX budget_reservations_of_budget ON budget_reservations (tenant_id, budget_id, expires_at);
CREATE INDEX budget_reservations_expiry ON budget_reservations (tenant_id, expires_at);

-- The workspace that a call is counted for, whatever becomes of its conversation.
ALTER TABLE runs ADD COLUMN workspace_id uuid;
ALTER TABLE usage_records ADD COLUMN workspace_id uuid;
