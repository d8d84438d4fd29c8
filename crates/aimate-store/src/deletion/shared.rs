//! What a tenant has beside its users.

use super::Going;
use crate::database::{Sql, Statement};

const MODELS: Sql = Sql::Each {
    sqlite: "DELETE FROM models WHERE rowid IN (SELECT m.rowid FROM (SELECT c.rowid AS place, c.id FROM connections c \
        WHERE c.tenant_id = $1 AND c.user_id IS NULL ORDER BY c.name LIMIT 50) b CROSS JOIN models m WHERE \
        m.tenant_id = $1 AND m.connection_id = b.id AND $2 IS NOT NULL LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM models WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT m.ctid FROM (SELECT \
        c.ctid AS place, c.id FROM connections c WHERE c.tenant_id = $1 AND c.user_id IS NULL ORDER BY c.name \
        LIMIT 50) b CROSS JOIN models m WHERE m.tenant_id = $1 AND m.connection_id = b.id AND $2::uuid IS NOT NULL \
        LIMIT 300)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{models}', \
        to_jsonb(COALESCE((counts ->> 'models')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 \
        AND user_id = $3",
};
const CONNECTIONS: Sql = Sql::Each {
    sqlite: "DELETE FROM connections WHERE rowid IN (SELECT b.place FROM (SELECT c.rowid AS place, c.id FROM \
        connections c WHERE c.tenant_id = $1 AND c.user_id IS NULL ORDER BY c.name LIMIT 50) b WHERE $2 IS NOT \
        NULL AND NOT EXISTS (SELECT 1 FROM models m WHERE m.tenant_id = $1 AND m.connection_id = b.id))",
    postgres: "WITH gone AS (DELETE FROM connections WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT b.place FROM \
        (SELECT c.ctid AS place, c.id FROM connections c WHERE c.tenant_id = $1 AND c.user_id IS NULL ORDER BY \
        c.name LIMIT 50) b WHERE $2::uuid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM models m WHERE m.tenant_id = $1 \
        AND m.connection_id = b.id))) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, \
        '{connections}', to_jsonb(COALESCE((counts ->> 'connections')::bigint, 0) + (SELECT count(*) FROM \
        gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// With who is in them.
const GROUPS: Sql = Sql::Each {
    sqlite: "DELETE FROM groups WHERE rowid IN (SELECT g.rowid FROM groups g WHERE g.tenant_id = $1 AND $2 IS NOT NULL \
        ORDER BY g.id LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM groups WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT g.ctid FROM groups g \
        WHERE g.tenant_id = $1 AND $2::uuid IS NOT NULL ORDER BY g.id LIMIT 200)) RETURNING 1) UPDATE deletions SET \
        counts = jsonb_set(counts, '{groups}', to_jsonb(COALESCE((counts ->> 'groups')::bigint, 0) + (SELECT count(*) \
        FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const USAGE: Sql = Sql::Each {
    sqlite: "DELETE FROM usage_records WHERE rowid IN (SELECT r.rowid FROM usage_records r WHERE r.tenant_id = $1 AND \
        $2 IS NOT NULL ORDER BY r.created_at LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM usage_records WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT r.ctid FROM \
        usage_records r WHERE r.tenant_id = $1 AND $2::uuid IS NOT NULL ORDER BY r.created_at LIMIT 300)) RETURNING 1) \
        UPDATE deletions SET counts = jsonb_set(counts, '{usage_records}', to_jsonb(COALESCE((counts ->> \
        'usage_records')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};

const AUDIT: Sql = Sql::Each {
    sqlite: "DELETE FROM audit_records WHERE rowid IN (SELECT a.rowid FROM audit_records a WHERE a.tenant_id = $1 AND \
        $2 IS NOT NULL ORDER BY a.sequence LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM audit_records WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT a.ctid FROM \
        audit_records a WHERE a.tenant_id = $1 AND $2::uuid IS NOT NULL ORDER BY a.sequence LIMIT 300)) RETURNING 1) \
        UPDATE deletions SET counts = jsonb_set(counts, '{audit_records}', \
        to_jsonb(COALESCE((counts ->> 'audit_records')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = \
        $1 AND user_id = $3",
};

const TOOL_SERVERS: Sql = Sql::Each {
    sqlite: "DELETE FROM tool_servers WHERE rowid IN (SELECT s.rowid FROM tool_servers s WHERE s.tenant_id = $1 AND \
        s.user_id IS NULL AND $2 IS NOT NULL ORDER BY s.name LIMIT 20)",
    postgres: "WITH gone AS (DELETE FROM tool_servers WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM \
        tool_servers s WHERE s.tenant_id = $1 AND s.user_id IS NULL AND $2::uuid IS NOT NULL ORDER BY s.name LIMIT 20)) \
        RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{tool_servers}', \
        to_jsonb(COALESCE((counts ->> 'tool_servers')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = \
        $1 AND user_id = $3",
};

/// What work on it that was under way has left of somebody who is gone.
const MESSAGE_SEGMENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM message_segments WHERE rowid IN (SELECT s.rowid FROM message_segments s WHERE s.tenant_id = $1 \
        AND $2 IS NOT NULL ORDER BY s.owner_id, s.id LIMIT 20)",
    postgres: "WITH gone AS (DELETE FROM message_segments WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM \
        message_segments s WHERE s.tenant_id = $1 AND $2::uuid IS NOT NULL ORDER BY s.owner_id, s.id LIMIT 20)) \
        RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{message_segments}', \
        to_jsonb(COALESCE((counts ->> 'message_segments')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE \
        tenant_id = $1 AND user_id = $3",
};
const MESSAGE_INDEX_JOBS: Sql = Sql::Each {
    sqlite: "DELETE FROM message_index_jobs WHERE rowid IN (SELECT j.rowid FROM message_index_jobs j WHERE \
        j.tenant_id = $1 AND $2 IS NOT NULL ORDER BY j.owner_id, j.conversation_id LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM message_index_jobs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT j.ctid FROM \
        message_index_jobs j WHERE j.tenant_id = $1 AND $2::uuid IS NOT NULL ORDER BY j.owner_id, j.conversation_id \
        LIMIT 300)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{message_index_jobs}', \
        to_jsonb(COALESCE((counts ->> 'message_index_jobs')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE \
        tenant_id = $1 AND user_id = $3",
};

pub(super) fn statements(going: &Going<'_>) -> Vec<Statement> {
    let counted = [
        (MODELS, "models"),
        (CONNECTIONS, "connections"),
        (TOOL_SERVERS, "tool_servers"),
        (GROUPS, "groups"),
        (USAGE, "usage_records"),
        (AUDIT, "audit_records"),
        (MESSAGE_INDEX_JOBS, "message_index_jobs"),
        (MESSAGE_SEGMENTS, "message_segments"),
    ];
    counted.into_iter().flat_map(|(sql, noun)| going.counted(sql, noun)).collect()
}
