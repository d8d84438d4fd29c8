//! What else a user owns, and at last the user.

use aimate_core::UserId;

use super::Going;
use crate::budget;
use crate::database::{Sql, Statement};
use crate::user;
use crate::workspace::lock_tenant;

const IDENTITIES: Sql = Sql::Each {
    sqlite: "DELETE FROM identities WHERE rowid IN (SELECT i.rowid FROM identities i WHERE i.tenant_id = $1 AND \
        i.user_id = $2 LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM identities WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT i.ctid FROM \
        identities i WHERE i.tenant_id = $1 AND i.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts \
        = jsonb_set(counts, '{identities}', to_jsonb(COALESCE((counts ->> 'identities')::bigint, 0) + (SELECT \
        count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const SESSIONS: Sql = Sql::Each {
    sqlite: "DELETE FROM sessions WHERE rowid IN (SELECT s.rowid FROM sessions s WHERE s.tenant_id = $1 AND s.user_id \
        = $2 LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM sessions WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM sessions \
        s WHERE s.tenant_id = $1 AND s.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{sessions}', to_jsonb(COALESCE((counts ->> 'sessions')::bigint, 0) + (SELECT count(*) \
        FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const LOGINS: Sql = Sql::Each {
    sqlite: "DELETE FROM logins WHERE rowid IN (SELECT l.rowid FROM logins l WHERE l.tenant_id = $1 AND l.user_id = $2 \
        LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM logins WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT l.ctid FROM logins l \
        WHERE l.tenant_id = $1 AND l.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{logins}', to_jsonb(COALESCE((counts ->> 'logins')::bigint, 0) + (SELECT count(*) FROM \
        gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const API_TOKENS: Sql = Sql::Each {
    sqlite: "DELETE FROM api_tokens WHERE rowid IN (SELECT a.rowid FROM api_tokens a WHERE a.tenant_id = $1 AND \
        a.user_id = $2 LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM api_tokens WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT a.ctid FROM \
        api_tokens a WHERE a.tenant_id = $1 AND a.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts \
        = jsonb_set(counts, '{api_tokens}', to_jsonb(COALESCE((counts ->> 'api_tokens')::bigint, 0) + (SELECT \
        count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const INVITES: Sql = Sql::Each {
    sqlite: "DELETE FROM invites WHERE rowid IN (SELECT i.rowid FROM invites i WHERE i.tenant_id = $1 AND i.user_id = \
        $2 LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM invites WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT i.ctid FROM invites i \
        WHERE i.tenant_id = $1 AND i.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{invites}', to_jsonb(COALESCE((counts ->> 'invites')::bigint, 0) + (SELECT count(*) \
        FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// The bytes of what [`FILES`] deletes; PostgreSQL does all of it in one statement.
const LOOSEN_FILES: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM files WHERE tenant_id = $1 \
     AND $3 IS NOT NULL AND rowid IN (SELECT f.rowid FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 \
     ORDER BY f.id LIMIT 200) ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// Those that are attached to others' collections, where they stay.
const FILES_OF_OTHERS: Sql = Sql::Each {
    sqlite: "UPDATE files SET user_id = (SELECT d.user_id FROM documents d WHERE d.tenant_id = $1 \
        AND d.file_id = files.id AND d.user_id <> $2 ORDER BY d.user_id DESC LIMIT 1) WHERE rowid IN (SELECT f.rowid \
        FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 AND EXISTS (SELECT 1 FROM documents d \
        WHERE d.tenant_id = $1 AND d.file_id = f.id AND d.user_id <> $2) LIMIT 200)",
    postgres: "WITH gone AS (UPDATE files SET user_id = (SELECT d.user_id FROM documents d WHERE d.tenant_id = $1 \
        AND d.file_id = files.id AND d.user_id <> $2 ORDER BY d.user_id DESC LIMIT 1) WHERE tenant_id = $1 AND ctid = \
        ANY(ARRAY(SELECT f.ctid FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 AND EXISTS (SELECT 1 \
        FROM documents d WHERE d.tenant_id = $1 AND d.file_id = f.id AND d.user_id <> $2) LIMIT 200)) RETURNING 1) \
        UPDATE deletions SET counts = jsonb_set(counts, '{handed_over_files}', to_jsonb(COALESCE((counts \
        ->> 'handed_over_files')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const COUNT_BYTES: Sql = Sql::Sqlite(
    "UPDATE deletions SET counts = json_set(counts, '$.bytes', COALESCE(counts ->> 'bytes', 0) + (SELECT \
     COALESCE(sum(b.size), 0) FROM (SELECT f.size FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 \
     ORDER BY f.id LIMIT 200) b)) WHERE tenant_id = $1 AND user_id = $3",
);
const FILES: Sql = Sql::Each {
    sqlite: "DELETE FROM files WHERE rowid IN (SELECT f.rowid FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 \
        ORDER BY f.id LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM files WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT f.ctid FROM files f \
        WHERE f.tenant_id = $1 AND f.user_id = $2 LIMIT 200)) RETURNING tenant_id, blob_id, size), loose AS (INSERT \
        INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM gone ON CONFLICT (tenant_id, id) \
        DO UPDATE SET worker_id = NULL) UPDATE deletions SET counts = \
        jsonb_set(jsonb_set(counts, '{files}', to_jsonb(COALESCE((counts ->> 'files')::bigint, 0) + (SELECT count(*) \
        FROM gone))), '{bytes}', to_jsonb(COALESCE((counts ->> 'bytes')::bigint, 0) + (SELECT COALESCE(sum(size), \
        0)::bigint FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// The same of a user who goes alone: what others' documents read stays, to be handed over by the
/// next step.
const LOOSEN_OWN_FILES: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM files WHERE tenant_id = $1 \
     AND $3 IS NOT NULL AND rowid IN (SELECT f.rowid FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 \
     AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.file_id = f.id AND d.user_id <> $2) \
     ORDER BY f.id LIMIT 200) ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
const COUNT_OWN_BYTES: Sql = Sql::Sqlite(
    "UPDATE deletions SET counts = json_set(counts, '$.bytes', COALESCE(counts ->> 'bytes', 0) + (SELECT \
     COALESCE(sum(b.size), 0) FROM (SELECT f.size FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 \
     AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.file_id = f.id AND d.user_id <> $2) \
     ORDER BY f.id LIMIT 200) b)) WHERE tenant_id = $1 AND user_id = $3",
);
const OWN_FILES: Sql = Sql::Each {
    sqlite: "DELETE FROM files WHERE rowid IN (SELECT f.rowid FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2 \
        AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.file_id = f.id AND d.user_id <> $2) \
        ORDER BY f.id LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM files WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT f.ctid FROM files f \
        WHERE f.tenant_id = $1 AND f.user_id = $2 AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 \
        AND d.file_id = f.id AND d.user_id <> $2) LIMIT 200)) RETURNING tenant_id, blob_id, size), loose AS (INSERT \
        INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM gone ON CONFLICT (tenant_id, id) \
        DO UPDATE SET worker_id = NULL) UPDATE deletions SET counts = \
        jsonb_set(jsonb_set(counts, '{files}', to_jsonb(COALESCE((counts ->> 'files')::bigint, 0) + (SELECT count(*) \
        FROM gone))), '{bytes}', to_jsonb(COALESCE((counts ->> 'bytes')::bigint, 0) + (SELECT COALESCE(sum(size), \
        0)::bigint FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// Nobody adds a part meanwhile, whose bytes nobody would know of.
const LOCK_UPLOADS: Sql = Sql::Postgres(
    "SELECT id FROM uploads WHERE tenant_id = $1 AND user_id = $2 AND $3::uuid IS NOT NULL ORDER BY id LIMIT 20 \
     FOR UPDATE",
);
/// The bytes of the parts of what [`UPLOADS`] deletes.
const LOOSEN_PARTS: Sql = Sql::Each {
    sqlite: "INSERT INTO loose_blobs (tenant_id, id) SELECT p.tenant_id, p.blob_id FROM (SELECT u.id FROM uploads u \
        WHERE u.tenant_id = $1 AND u.user_id = $2 AND $3 IS NOT NULL ORDER BY u.id LIMIT 20) b \
        CROSS JOIN upload_parts p WHERE p.tenant_id = $1 AND p.upload_id = b.id \
        ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
    postgres: "INSERT INTO loose_blobs (tenant_id, id) SELECT p.tenant_id, p.blob_id FROM (SELECT u.id FROM uploads u \
        WHERE u.tenant_id = $1 AND u.user_id = $2 AND $3::uuid IS NOT NULL ORDER BY u.id LIMIT 20) b \
        CROSS JOIN upload_parts p WHERE p.tenant_id = $1 AND p.upload_id = b.id \
        ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
};
/// With their parts.
const UPLOADS: Sql = Sql::Each {
    sqlite: "DELETE FROM uploads WHERE rowid IN (SELECT u.rowid FROM uploads u WHERE u.tenant_id = $1 AND u.user_id = $2 \
        ORDER BY u.id LIMIT 20)",
    postgres: "WITH gone AS (DELETE FROM uploads WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT u.ctid FROM uploads u \
        WHERE u.tenant_id = $1 AND u.user_id = $2 ORDER BY u.id LIMIT 20)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{uploads}', to_jsonb(COALESCE((counts ->> 'uploads')::bigint, 0) + (SELECT count(*) FROM \
        gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const PROMPTS: Sql = Sql::Each {
    sqlite: "DELETE FROM prompts WHERE rowid IN (SELECT p.rowid FROM prompts p WHERE p.tenant_id = $1 AND p.user_id = \
        $2 LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM prompts WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT p.ctid FROM prompts p \
        WHERE p.tenant_id = $1 AND p.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{prompts}', to_jsonb(COALESCE((counts ->> 'prompts')::bigint, 0) + (SELECT count(*) \
        FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const WORKSPACES: Sql = Sql::Each {
    sqlite: "DELETE FROM workspaces WHERE rowid IN (SELECT w.rowid FROM workspaces w WHERE w.tenant_id = $1 AND \
        w.user_id = $2 AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.tenant_id = $1 \
        AND c.workspace_id = w.id) AND NOT EXISTS (SELECT 1 FROM collections c WHERE c.tenant_id = $1 \
        AND c.workspace_id = w.id) AND NOT EXISTS (SELECT 1 FROM message_segments s WHERE s.tenant_id = $1 \
        AND s.owner_id = w.id) AND NOT EXISTS (SELECT 1 FROM message_index_jobs j WHERE j.tenant_id = $1 \
        AND j.owner_id = w.id) LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM workspaces WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT w.ctid FROM \
        workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2 AND NOT EXISTS (SELECT 1 FROM conversations c \
        WHERE c.tenant_id = $1 AND c.workspace_id = w.id) AND NOT EXISTS (SELECT 1 FROM collections c \
        WHERE c.tenant_id = $1 AND c.workspace_id = w.id) AND NOT EXISTS (SELECT 1 FROM message_segments s \
        WHERE s.tenant_id = $1 AND s.owner_id = w.id) AND NOT EXISTS (SELECT 1 FROM message_index_jobs j \
        WHERE j.tenant_id = $1 AND j.owner_id = w.id) LIMIT 200)) RETURNING 1) UPDATE \
        deletions SET counts = jsonb_set(counts, '{workspaces}', to_jsonb(COALESCE((counts ->> \
        'workspaces')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const MODELS: Sql = Sql::Each {
    sqlite: "DELETE FROM models WHERE rowid IN (SELECT m.rowid FROM (SELECT c.rowid AS place, c.id FROM connections c \
        WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.name LIMIT 50) b CROSS JOIN models m WHERE \
        m.tenant_id = $1 AND m.connection_id = b.id LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM models WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT m.ctid FROM (SELECT \
        c.ctid AS place, c.id FROM connections c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.name LIMIT \
        50) b CROSS JOIN models m WHERE m.tenant_id = $1 AND m.connection_id = b.id LIMIT 300)) RETURNING 1) \
        UPDATE deletions SET counts = jsonb_set(counts, '{models}', to_jsonb(COALESCE((counts ->> \
        'models')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const CONNECTIONS: Sql = Sql::Each {
    sqlite: "DELETE FROM connections WHERE rowid IN (SELECT b.place FROM (SELECT c.rowid AS place, c.id FROM \
        connections c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.name LIMIT 50) b WHERE NOT EXISTS \
        (SELECT 1 FROM models m WHERE m.tenant_id = $1 AND m.connection_id = b.id))",
    postgres: "WITH gone AS (DELETE FROM connections WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT b.place FROM \
        (SELECT c.ctid AS place, c.id FROM connections c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY \
        c.name LIMIT 50) b WHERE NOT EXISTS (SELECT 1 FROM models m WHERE m.tenant_id = $1 AND m.connection_id = \
        b.id))) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{connections}', \
        to_jsonb(COALESCE((counts ->> 'connections')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id \
        = $1 AND user_id = $3",
};
const TOOL_GRANTS: Sql = Sql::Each {
    sqlite: "DELETE FROM tool_grants WHERE rowid IN (SELECT g.rowid FROM tool_grants g WHERE g.tenant_id = $1 AND \
        g.user_id = $2 LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM tool_grants WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT g.ctid FROM \
        tool_grants g WHERE g.tenant_id = $1 AND g.user_id = $2 LIMIT 200)) RETURNING 1) UPDATE deletions SET counts \
        = jsonb_set(counts, '{tool_grants}', to_jsonb(COALESCE((counts ->> 'tool_grants')::bigint, 0) + (SELECT \
        count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// Few at a time: each has a long list.
const TOOL_SERVERS: Sql = Sql::Each {
    sqlite: "DELETE FROM tool_servers WHERE rowid IN (SELECT s.rowid FROM tool_servers s WHERE s.tenant_id = $1 AND \
        s.user_id = $2 LIMIT 20)",
    postgres: "WITH gone AS (DELETE FROM tool_servers WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT s.ctid FROM \
        tool_servers s WHERE s.tenant_id = $1 AND s.user_id = $2 LIMIT 20)) RETURNING 1) UPDATE deletions SET counts \
        = jsonb_set(counts, '{tool_servers}', to_jsonb(COALESCE((counts ->> 'tool_servers')::bigint, 0) + (SELECT \
        count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// The tenant's accounts stay whole, and name nobody.
const ANONYMISE_USAGE: Sql = Sql::Each {
    sqlite: "UPDATE usage_records SET user_id = zeroblob(16), run_id = NULL, conversation_id = NULL WHERE rowid IN \
        (SELECT r.rowid FROM usage_records r WHERE r.tenant_id = $1 AND r.user_id = $2 LIMIT 300)",
    postgres: "WITH gone AS (UPDATE usage_records SET user_id = '00000000-0000-0000-0000-000000000000', run_id = NULL, \
        conversation_id = NULL WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT r.ctid FROM usage_records r \
        WHERE r.tenant_id = $1 AND r.user_id = $2 LIMIT 300)) RETURNING 1) UPDATE deletions SET counts = \
        jsonb_set(counts, '{anonymised_usage_records}', to_jsonb(COALESCE((counts ->> \
        'anonymised_usage_records')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id \
        = $3",
};
/// What was done by or to the user stays in the tenant's log; where from goes.
const REDACT_AUDIT: Sql = Sql::Each {
    sqlite: "UPDATE audit_records SET detail = NULL, salt = NULL WHERE rowid IN (SELECT a.rowid FROM audit_records a \
        WHERE a.tenant_id = $1 AND a.actor_id = $2 AND a.detail IS NOT NULL LIMIT 300)",
    postgres: "WITH gone AS (UPDATE audit_records SET detail = NULL, salt = NULL WHERE tenant_id = $1 AND ctid = \
        ANY(ARRAY(SELECT a.ctid FROM audit_records a WHERE a.tenant_id = $1 AND a.actor_id = $2 AND a.detail IS NOT \
        NULL LIMIT 300)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{redacted_audit_records}', \
        to_jsonb(COALESCE((counts ->> 'redacted_audit_records')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE \
        tenant_id = $1 AND user_id = $3",
};
const REDACT_AUDIT_OF_TARGET: Sql = Sql::Each {
    sqlite: "UPDATE audit_records SET detail = NULL, salt = NULL WHERE rowid IN (SELECT a.rowid FROM audit_records a \
        WHERE a.tenant_id = $1 AND a.target_id = $2 AND a.detail IS NOT NULL LIMIT 300)",
    postgres: "WITH gone AS (UPDATE audit_records SET detail = NULL, salt = NULL WHERE tenant_id = $1 AND ctid = \
        ANY(ARRAY(SELECT a.ctid FROM audit_records a WHERE a.tenant_id = $1 AND a.target_id = $2 AND a.detail IS NOT \
        NULL LIMIT 300)) RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{redacted_audit_records}', \
        to_jsonb(COALESCE((counts ->> 'redacted_audit_records')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE \
        tenant_id = $1 AND user_id = $3",
};
/// What they asked in conversations that stay, because they are others': it is of who has the
/// conversation. By then all runs of theirs are such; those in flight have another index.
const RUNS_OF_OTHERS: Sql = Sql::Each {
    sqlite: "UPDATE runs SET user_id = (SELECT c.user_id FROM conversations c WHERE c.tenant_id = $1 AND c.id = \
        runs.conversation_id), client_id = NULL, client_hash = NULL WHERE rowid IN (SELECT r.rowid FROM runs r \
        CROSS JOIN conversations c WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.finished_at IS NOT NULL AND \
        c.tenant_id = $1 AND c.id = r.conversation_id AND c.user_id <> $2 UNION ALL SELECT r.rowid FROM runs r \
        CROSS JOIN conversations c WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.finished_at IS NULL AND \
        c.tenant_id = $1 AND c.id = r.conversation_id AND c.user_id <> $2 LIMIT 300)",
    postgres: "WITH gone AS (UPDATE runs SET user_id = (SELECT c.user_id FROM conversations c WHERE c.tenant_id = $1 AND \
        c.id = runs.conversation_id), client_id = NULL, client_hash = NULL WHERE tenant_id = $1 AND ctid = \
        ANY(ARRAY(SELECT r.ctid FROM runs r CROSS JOIN conversations c WHERE r.tenant_id = $1 AND r.user_id = $2 AND \
        r.finished_at IS NOT NULL AND c.tenant_id = $1 AND c.id = r.conversation_id AND c.user_id <> $2 UNION ALL \
        SELECT r.ctid FROM runs r CROSS JOIN conversations c WHERE r.tenant_id = $1 AND r.user_id = $2 AND \
        r.finished_at IS NULL AND c.tenant_id = $1 AND c.id = r.conversation_id AND c.user_id <> $2 LIMIT 300)) \
        RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{handed_over_runs}', to_jsonb(COALESCE((counts \
        ->> 'handed_over_runs')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const COUNT_USER: Sql = Sql::Each {
    sqlite: "UPDATE deletions SET counts = json_set(counts, '$.users', COALESCE(counts ->> 'users', 0) + 1) WHERE \
        tenant_id = $1 AND user_id = $3 AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2)",
    postgres: "UPDATE deletions SET counts = jsonb_set(counts, '{users}', to_jsonb(COALESCE((counts ->> \
        'users')::bigint, 0) + 1)) WHERE tenant_id = $1 AND user_id = $3 AND EXISTS (SELECT 1 FROM users u WHERE \
        u.tenant_id = $1 AND u.id = $2)",
};

pub(super) fn statements(going: &Going<'_>) -> Vec<Statement> {
    // While it can be told which those are.
    let mut statements = vec![budget::deletion_of_workspaces(going.target.tenant, going.user)];
    if going.target.user.is_some() {
        statements.extend(going.counted(FILES_OF_OTHERS, "handed_over_files"));
        statements.extend([going.uncounted(LOOSEN_OWN_FILES), going.uncounted(COUNT_OWN_BYTES)]);
        statements.extend(going.counted(OWN_FILES, "files"));
    } else {
        statements.extend([going.uncounted(LOOSEN_FILES), going.uncounted(COUNT_BYTES)]);
        statements.extend(going.counted(FILES, "files"));
    }
    statements.extend([going.uncounted(LOCK_UPLOADS), going.uncounted(LOOSEN_PARTS)]);
    statements.extend(going.counted(UPLOADS, "uploads"));
    for (sql, noun) in [
        (LOGINS, "logins"),
        (IDENTITIES, "identities"),
        (SESSIONS, "sessions"),
        (API_TOKENS, "api_tokens"),
        (INVITES, "invites"),
        (PROMPTS, "prompts"),
        // Before the workspaces, which would take theirs along.
        (MODELS, "models"),
        (CONNECTIONS, "connections"),
        (TOOL_GRANTS, "tool_grants"),
        (TOOL_SERVERS, "tool_servers"),
        (WORKSPACES, "workspaces"),
    ] {
        statements.extend(going.counted(sql, noun));
    }
    // Those of a tenant go as a whole, in the end.
    if going.target.user.is_some() {
        statements.extend(going.counted(RUNS_OF_OTHERS, "handed_over_runs"));
        statements.extend(going.counted(ANONYMISE_USAGE, "anonymised_usage_records"));
        statements.extend(going.counted(REDACT_AUDIT, "redacted_audit_records"));
        statements.extend(going.counted(REDACT_AUDIT_OF_TARGET, "redacted_audit_records"));
    }
    statements
}

/// The user, and whatever came in between: no more than a few rows.
pub(super) fn last(going: &Going<'_>) -> Vec<Statement> {
    // Before the deletion's own row, as whoever begins one does it.
    let mut statements = vec![lock_tenant(going.target.tenant)];
    if going.user != UserId::SHARED {
        statements.push(going.uncounted(COUNT_USER));
    }
    statements.extend(user::deletion(going.target.tenant, going.user));
    statements
}
