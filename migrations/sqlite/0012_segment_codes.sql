-- The segments that have codes in a space, out of the index alone.
DROP INDEX segment_codes_space_id;
CREATE INDEX segment_codes_space_id ON segment_codes (tenant_id, space_id, segment_id);
