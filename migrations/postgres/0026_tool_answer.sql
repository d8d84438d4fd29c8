-- What people answered to questions of tools, until the process that makes the calls takes it:
-- a list of {"call", "answer"}.
ALTER TABLE runs ADD COLUMN tool_answers jsonb;
