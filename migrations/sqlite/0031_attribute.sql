-- Segments have the values that their documents are filtered by. `attributes_version` grows with each
-- change of them; `indexed_version` is the one that the document's segment has, -1 if it has none.
ALTER TABLE documents ADD COLUMN attributes_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN indexed_version INTEGER NOT NULL DEFAULT -1;
CREATE INDEX documents_changed ON documents (tenant_id, collection_id, segment_id, id)
    WHERE segment_id IS NOT NULL AND attributes_version <> indexed_version;
