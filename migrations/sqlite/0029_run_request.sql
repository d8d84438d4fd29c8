-- What a turn asked to be kept for its caller, until the caller has it forgotten.
ALTER TABLE runs ADD COLUMN request TEXT;
-- Found by their id alone: chains of answers that nobody opened a conversation for. There may
-- be many of them, so lists and counts of the others pass them over by the index.
ALTER TABLE conversations ADD COLUMN is_hidden INTEGER NOT NULL DEFAULT 0;
DROP INDEX conversations_by_change;
CREATE INDEX conversations_by_change
    ON conversations (tenant_id, user_id, is_hidden, updated_at DESC, id DESC);
DROP INDEX conversations_of_workspace;
CREATE INDEX conversations_of_workspace
    ON conversations (tenant_id, workspace_id, is_hidden, updated_at DESC, id DESC)
    WHERE workspace_id IS NOT NULL;
-- Those that nobody goes on with end.
CREATE INDEX conversations_hidden ON conversations (updated_at) WHERE is_hidden = true;
-- Items are named by their messages alone.
CREATE INDEX messages_by_id ON messages (tenant_id, id);
