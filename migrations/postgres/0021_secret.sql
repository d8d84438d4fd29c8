-- Which encryption key a connection's key is sealed with, as the envelope itself says, so
-- that rotating finds what is left.
ALTER TABLE connections ADD COLUMN key_id bigint CHECK ((key_id IS NULL) = (sealed_key IS NULL));

-- The operator's, over all tenants.
CREATE INDEX connections_key ON connections (key_id, tenant_id, id) WHERE key_id IS NOT NULL;
