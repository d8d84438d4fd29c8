-- The run of an answer is listed with it. What asked for the runs of a conversation alone is
-- served by the same index.
CREATE INDEX runs_of_answer ON runs (tenant_id, conversation_id, message_id);
DROP INDEX runs_of_conversation;
