-- What an application wants its usage summed by, such as `ticket:42`: kept with the
-- run, so that a crash does not lose it, and with the record of each call.
ALTER TABLE runs ADD COLUMN tags jsonb NOT NULL DEFAULT '[]';
ALTER TABLE usage_records ADD COLUMN tags jsonb NOT NULL DEFAULT '[]';

-- For the operator's sums over all tenants.
CREATE INDEX usage_records_of_all ON usage_records (created_at);
