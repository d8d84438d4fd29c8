-- How much a user and a tenant keep is summed up where a quota limits it.
CREATE INDEX documents_size ON documents (tenant_id, user_id, size);
