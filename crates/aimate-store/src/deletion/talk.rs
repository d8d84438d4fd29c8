//! Conversations with their messages, runs and event logs: of the first fifty at a
//! time.

use super::Going;
use crate::database::{Sql, Statement};

const RUN_EVENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM run_events WHERE rowid IN (SELECT e.rowid FROM (SELECT c.rowid AS place, c.id FROM \
        conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.is_hidden, c.updated_at DESC, c.id DESC LIMIT \
        50) b CROSS JOIN runs r CROSS JOIN run_events e WHERE r.tenant_id = $1 AND r.conversation_id = b.id AND \
        e.tenant_id = $1 AND e.run_id = r.id LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM run_events WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT e.ctid FROM \
        (SELECT c.ctid AS place, c.id FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN runs r CROSS JOIN run_events e WHERE r.tenant_id = \
        $1 AND r.conversation_id = b.id AND e.tenant_id = $1 AND e.run_id = r.id LIMIT 300)) RETURNING 1) UPDATE \
        deletions SET counts = jsonb_set(counts, '{run_events}', to_jsonb(COALESCE((counts ->> \
        'run_events')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// The deepest first: a message goes with or after those that follow it.
const MESSAGES: Sql = Sql::Each {
    sqlite: "DELETE FROM messages WHERE rowid IN (SELECT m.rowid FROM (SELECT c.rowid AS place, c.id FROM \
        conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.is_hidden, c.updated_at DESC, c.id DESC LIMIT \
        50) b CROSS JOIN messages m WHERE m.tenant_id = $1 AND m.conversation_id = b.id ORDER BY m.depth DESC \
        LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM messages WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT m.ctid FROM (SELECT \
        c.ctid AS place, c.id FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN messages m WHERE m.tenant_id = $1 AND \
        m.conversation_id = b.id ORDER BY m.depth DESC LIMIT 300)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{messages}', to_jsonb(COALESCE((counts ->> 'messages')::bigint, 0) + (SELECT count(*) \
        FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const RUNS: Sql = Sql::Each {
    sqlite: "DELETE FROM runs WHERE rowid IN (SELECT r.rowid FROM (SELECT c.rowid AS place, c.id FROM conversations c \
        WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN \
        runs r WHERE r.tenant_id = $1 AND r.conversation_id = b.id AND NOT EXISTS (SELECT 1 FROM run_events e \
        WHERE e.tenant_id = $1 AND e.run_id = r.id) LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM runs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT r.ctid FROM (SELECT \
        c.ctid AS place, c.id FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN runs r WHERE r.tenant_id = $1 AND r.conversation_id \
        = b.id AND NOT EXISTS (SELECT 1 FROM run_events e WHERE e.tenant_id = $1 AND e.run_id = r.id) LIMIT \
        200)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{runs}', to_jsonb(COALESCE((counts \
        ->> 'runs')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const CONVERSATIONS: Sql = Sql::Each {
    sqlite: "DELETE FROM conversations WHERE rowid IN (SELECT b.place FROM (SELECT c.rowid AS place, c.id FROM \
        conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.is_hidden, c.updated_at DESC, c.id DESC LIMIT \
        50) b WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.tenant_id = $1 AND m.conversation_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant_id = $1 AND r.conversation_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM tool_outputs o WHERE o.tenant_id = $1 AND o.conversation_id = b.id))",
    postgres: "WITH gone AS (DELETE FROM conversations WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT b.place FROM \
        (SELECT c.ctid AS place, c.id FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.tenant_id = \
        $1 AND m.conversation_id = b.id) AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant_id = $1 AND \
        r.conversation_id = b.id) AND NOT EXISTS (SELECT 1 FROM tool_outputs o WHERE o.tenant_id = $1 AND \
        o.conversation_id = b.id))) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, \
        '{conversations}', to_jsonb(COALESCE((counts ->> 'conversations')::bigint, 0) + (SELECT count(*) FROM \
        gone))) WHERE tenant_id = $1 AND user_id = $3",
};

/// Of those conversations; and what the user shared of others', in workspaces.
const SHARES: Sql = Sql::Each {
    sqlite: "DELETE FROM shares WHERE rowid IN (SELECT s.rowid FROM (SELECT c.rowid AS place, c.id FROM conversations c \
        WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN \
        shares s WHERE s.tenant_id = $1 AND s.conversation_id = b.id LIMIT 50)",
    postgres: "WITH gone AS (DELETE FROM shares WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM (SELECT \
        c.ctid AS place, c.id FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN shares s WHERE s.tenant_id = $1 AND s.conversation_id \
        = b.id LIMIT 50)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{shares}', \
        to_jsonb(COALESCE((counts ->> 'shares')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND \
        user_id = $3",
};
const SHARES_OF_OTHERS: Sql = Sql::Each {
    sqlite: "DELETE FROM shares WHERE rowid IN (SELECT s.rowid FROM shares s WHERE s.tenant_id = $1 AND s.user_id = $2 \
        LIMIT 50)",
    postgres: "WITH gone AS (DELETE FROM shares WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM shares s \
        WHERE s.tenant_id = $1 AND s.user_id = $2 LIMIT 50)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{shares}', to_jsonb(COALESCE((counts ->> 'shares')::bigint, 0) + (SELECT count(*) FROM \
        gone))) WHERE tenant_id = $1 AND user_id = $3",
};

const TOOL_OUTPUTS: Sql = Sql::Each {
    sqlite: "DELETE FROM tool_outputs WHERE rowid IN (SELECT o.rowid FROM (SELECT c.rowid AS place, c.id FROM \
        conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.is_hidden, c.updated_at DESC, c.id DESC LIMIT \
        50) b CROSS JOIN tool_outputs o WHERE o.tenant_id = $1 AND o.conversation_id = b.id LIMIT 50)",
    postgres: "WITH gone AS (DELETE FROM tool_outputs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT o.ctid FROM (SELECT \
        c.ctid AS place, c.id FROM conversations c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.is_hidden, c.updated_at DESC, c.id DESC LIMIT 50) b CROSS JOIN tool_outputs o WHERE o.tenant_id = $1 AND \
        o.conversation_id = b.id LIMIT 50)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, \
        '{tool_outputs}', to_jsonb(COALESCE((counts ->> 'tool_outputs')::bigint, 0) + (SELECT count(*) FROM \
        gone))) WHERE tenant_id = $1 AND user_id = $3",
};

/// The index of the user, and those of workspaces that go with them: few at a time, since each
/// has long lists. What is in none goes with its conversation.
const MESSAGE_SEGMENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM message_segments WHERE rowid IN (SELECT s.rowid FROM message_segments s WHERE s.tenant_id = $1 \
        AND s.owner_id IN (SELECT $2 UNION ALL SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2) \
        LIMIT 20)",
    postgres: "WITH gone AS (DELETE FROM message_segments WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM \
        message_segments s WHERE s.tenant_id = $1 AND s.owner_id = ANY(ARRAY(SELECT $2::uuid UNION ALL SELECT w.id FROM \
        workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)) LIMIT 20)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{message_segments}', to_jsonb(COALESCE((counts ->> 'message_segments')::bigint, 0) + \
        (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const MESSAGE_INDEX_JOBS: Sql = Sql::Each {
    sqlite: "DELETE FROM message_index_jobs WHERE rowid IN (SELECT j.rowid FROM message_index_jobs j WHERE \
        j.tenant_id = $1 AND j.owner_id IN (SELECT $2 UNION ALL SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 \
        AND w.user_id = $2) LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM message_index_jobs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT j.ctid FROM \
        message_index_jobs j WHERE j.tenant_id = $1 AND j.owner_id = ANY(ARRAY(SELECT $2::uuid UNION ALL SELECT w.id \
        FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)) LIMIT 300)) RETURNING 1) UPDATE deletions SET \
        counts = jsonb_set(counts, '{message_index_jobs}', to_jsonb(COALESCE((counts ->> \
        'message_index_jobs')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};

pub(super) fn statements(going: &Going<'_>) -> Vec<Statement> {
    let counted = [
        (SHARES, "shares"),
        (SHARES_OF_OTHERS, "shares"),
        (TOOL_OUTPUTS, "tool_outputs"),
        (RUN_EVENTS, "run_events"),
        (MESSAGES, "messages"),
        (RUNS, "runs"),
        (CONVERSATIONS, "conversations"),
        (MESSAGE_INDEX_JOBS, "message_index_jobs"),
        (MESSAGE_SEGMENTS, "message_segments"),
    ];
    counted.into_iter().flat_map(|(sql, noun)| going.counted(sql, noun)).collect()
}
