-- What PostgreSQL's planner knows of tables that nobody has analyzed: that an id
-- is unique, that a user has many conversations and a conversation many
-- messages. Without it the planner takes any index that begins with the tenant
-- for as good as the key, until autovacuum comes by. The rows below are seen by
-- nobody: they go in the transaction that makes them, and their statistics stay.
BEGIN;
INSERT INTO users SELECT md5('t' || n % 2)::uuid, md5('u' || n)::uuid, NULL, '', 'user', true, '{}', 0, 0
    FROM generate_series(1, 20) n;
INSERT INTO workspaces SELECT tenant_id, md5(id::text || n)::uuid, id, '', '', false, '{}', 0, 0
    FROM users, generate_series(1, 3) n;
INSERT INTO groups SELECT tenant_id, id, id::text, '', 0, 0 FROM users;
INSERT INTO group_members SELECT tenant_id, id, id, 0 FROM users;
INSERT INTO workspace_members SELECT tenant_id, id, user_id, 'user', 'owner', 0 FROM workspaces;
INSERT INTO workspace_access SELECT tenant_id, user_id, id, 'owner' FROM workspaces;
INSERT INTO prompts SELECT tenant_id, md5(id::text || n)::uuid, user_id, id, '', '', true, 0, 0
    FROM workspaces, generate_series(1, 2) n;
INSERT INTO conversations SELECT tenant_id, md5(id::text || n)::uuid, id, NULL, '', '', NULL, false, false,
    '[]', '{}', NULL, 0, 0, n FROM users, generate_series(1, 10) n;
INSERT INTO messages SELECT tenant_id, id, md5(id::text || n)::uuid,
    CASE WHEN n > 1 THEN md5(id::text || n - 1)::uuid END, 'user', '[]', 'complete', NULL, NULL, NULL, '{}',
    n, 1, n, 0 FROM conversations, generate_series(1, 8) n;
INSERT INTO runs SELECT tenant_id, md5(id::text || n)::uuid, user_id, id, NULL, md5(id::text || n)::uuid,
    'completed', '', NULL, NULL, NULL, '{}', md5('w')::uuid, 1, false, n::text || id, NULL, 0, n
    FROM conversations, generate_series(1, 4) n;
INSERT INTO run_events SELECT tenant_id, id, n, n, '[]' FROM runs, generate_series(1, 2) n;
INSERT INTO usage_records SELECT tenant_id, id, user_id, id, conversation_id, model, 'completed', 0, 0, 0, 0,
    NULL, false, finished_at FROM runs;
INSERT INTO collections SELECT tenant_id, md5(id::text || n)::uuid, id, NULL, n::text, '', 0, 0, '{}', 0, 0
    FROM users, generate_series(1, 2) n;
INSERT INTO spaces SELECT tenant_id, md5(id::text || n)::uuid, id, '', 4, '', CASE n WHEN 1 THEN 'active'
    ELSE 'retired' END, NULL, NULL, 0 FROM collections, generate_series(1, 2) n;
INSERT INTO segments SELECT tenant_id, md5(id::text || n)::uuid, id, 1, 0, 0, ''
    FROM collections, generate_series(1, 2) n;
INSERT INTO segment_blocks SELECT tenant_id, id, decode(md5(n::text), 'hex'), ''
    FROM segments, generate_series(1, 4) n;
INSERT INTO segment_codes SELECT g.tenant_id, g.id, s.id, '' FROM segments g JOIN spaces s
    ON s.tenant_id = g.tenant_id AND s.collection_id = g.collection_id;
INSERT INTO documents (tenant_id, id, collection_id, user_id, name, title, media_type, size, content_hash, blob_id, status,
    progress, chunk_count, warnings, metadata, segment_id, attempt, tries, not_before, created_at, updated_at,
    source, source_hash, indexed_version) SELECT g.tenant_id, md5(g.id::text || n)::uuid, c.id, c.user_id, '', '', '', 0, '',
    g.id, 'ready', 1, 0, '[]', '{}', g.id, 1, 1, 0, 0, n, '', n || g.id::text, 0
    FROM segments g JOIN collections c ON c.tenant_id = g.tenant_id AND c.id = g.collection_id,
    generate_series(1, 4) n;
INSERT INTO chunks SELECT tenant_id, md5(id::text || n)::uuid, id, n, '', '[]', NULL, 0, 0
    FROM documents, generate_series(1, 4) n;
INSERT INTO vectors SELECT k.tenant_id, s.id, k.id, k.document_id, '[1,0,0,0]' FROM chunks k
    JOIN documents d ON d.tenant_id = k.tenant_id AND d.id = k.document_id
    JOIN spaces s ON s.tenant_id = d.tenant_id AND s.collection_id = d.collection_id;
ANALYZE users, groups, group_members, workspaces, workspace_members, workspace_access, prompts, conversations, messages, runs, run_events, usage_records, collections, spaces,
    segments, segment_blocks, segment_codes, documents, chunks, vectors;
-- Only these: another process may have begun to work on the new schema.
DELETE FROM usage_records WHERE user_id IN (SELECT md5('u' || n)::uuid FROM generate_series(1, 20) n);
DELETE FROM groups WHERE id IN (SELECT md5('u' || n)::uuid FROM generate_series(1, 20) n);
DELETE FROM users WHERE id IN (SELECT md5('u' || n)::uuid FROM generate_series(1, 20) n);
COMMIT;
