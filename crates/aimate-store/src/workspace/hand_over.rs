//! What somebody made in a workspace that they are in no more: it stays there, and is
//! the first owner's from then on. So what is in a workspace is of one of its members, but
//! for what somebody adds at the very moment when they are put out: whoever lists what a
//! user made looks at whether they are in its workspace.

use aimate_core::{Scope, TenantId, UserId, WorkspaceId};
use uuid::Uuid;

use crate::database::{Sql, Statement};
use crate::message_index::of_workspace_users;

// `$2` is a workspace, a group, or a user who is being deleted; the rows are those of all
// workspaces that it is or is in, which are of that user or of nobody who is in it. What a
// user added at the moment when they were put out is theirs in a workspace that they are
// not in: those workspaces too.

const HAND_OVER_CONVERSATIONS: Sql = Sql::Same(
    "UPDATE conversations SET user_id = COALESCE((SELECT m.member_id FROM workspace_members m WHERE m.tenant_id = $1 \
        AND m.workspace_id = conversations.workspace_id AND m.kind = 'user' AND m.role = 'owner' AND m.member_id <> $2 \
        ORDER BY m.created_at, m.member_id LIMIT 1), user_id) \
     WHERE tenant_id = $1 AND workspace_id IN (SELECT p.workspace_id FROM workspace_members p WHERE p.tenant_id = $1 AND p.member_id = $2 \
        UNION ALL SELECT p.workspace_id FROM group_members i CROSS JOIN workspace_members p \
            WHERE i.tenant_id = $1 AND i.user_id = $2 AND p.tenant_id = $1 AND p.member_id = i.group_id \
        UNION ALL SELECT o.workspace_id FROM conversations o WHERE o.tenant_id = $1 AND o.user_id = $2 \
            AND o.workspace_id IS NOT NULL \
        UNION ALL SELECT $2) \
     AND (user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = conversations.user_id AND a.workspace_id = conversations.workspace_id) IS NULL)",
);
const HAND_OVER_PROMPTS: Sql = Sql::Same(
    "UPDATE prompts SET user_id = COALESCE((SELECT m.member_id FROM workspace_members m WHERE m.tenant_id = $1 \
        AND m.workspace_id = prompts.workspace_id AND m.kind = 'user' AND m.role = 'owner' AND m.member_id <> $2 \
        ORDER BY m.created_at, m.member_id LIMIT 1), user_id) \
     WHERE tenant_id = $1 AND workspace_id IN (SELECT p.workspace_id FROM workspace_members p WHERE p.tenant_id = $1 AND p.member_id = $2 \
        UNION ALL SELECT p.workspace_id FROM group_members i CROSS JOIN workspace_members p \
            WHERE i.tenant_id = $1 AND i.user_id = $2 AND p.tenant_id = $1 AND p.member_id = i.group_id \
        UNION ALL SELECT o.workspace_id FROM prompts o WHERE o.tenant_id = $1 AND o.user_id = $2 \
            AND o.workspace_id IS NOT NULL \
        UNION ALL SELECT $2) \
     AND (user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = prompts.user_id AND a.workspace_id = prompts.workspace_id) IS NULL)",
);
const HAND_OVER_CONNECTIONS: Sql = Sql::Same(
    "UPDATE connections SET user_id = COALESCE((SELECT m.member_id FROM workspace_members m WHERE m.tenant_id = $1 \
        AND m.workspace_id = connections.workspace_id AND m.kind = 'user' AND m.role = 'owner' AND m.member_id <> $2 \
        ORDER BY m.created_at, m.member_id LIMIT 1), user_id) \
     WHERE tenant_id = $1 AND workspace_id IN (SELECT p.workspace_id FROM workspace_members p WHERE p.tenant_id = $1 AND p.member_id = $2 \
        UNION ALL SELECT p.workspace_id FROM group_members i CROSS JOIN workspace_members p \
            WHERE i.tenant_id = $1 AND i.user_id = $2 AND p.tenant_id = $1 AND p.member_id = i.group_id \
        UNION ALL SELECT o.workspace_id FROM connections o WHERE o.tenant_id = $1 AND o.user_id = $2 \
            AND o.workspace_id IS NOT NULL \
        UNION ALL SELECT $2) \
     AND (user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = connections.user_id AND a.workspace_id = connections.workspace_id) IS NULL)",
);
const HAND_OVER_TOOL_SERVERS: Sql = Sql::Same(
    "UPDATE tool_servers SET user_id = COALESCE((SELECT m.member_id FROM workspace_members m WHERE m.tenant_id = $1 \
        AND m.workspace_id = tool_servers.workspace_id AND m.kind = 'user' AND m.role = 'owner' AND m.member_id <> $2 \
        ORDER BY m.created_at, m.member_id LIMIT 1), user_id) \
     WHERE tenant_id = $1 AND workspace_id IN (SELECT p.workspace_id FROM workspace_members p WHERE p.tenant_id = $1 AND p.member_id = $2 \
        UNION ALL SELECT p.workspace_id FROM group_members i CROSS JOIN workspace_members p \
            WHERE i.tenant_id = $1 AND i.user_id = $2 AND p.tenant_id = $1 AND p.member_id = i.group_id \
        UNION ALL SELECT o.workspace_id FROM tool_servers o WHERE o.tenant_id = $1 AND o.user_id = $2 \
            AND o.workspace_id IS NOT NULL \
        UNION ALL SELECT $2) \
     AND (user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = tool_servers.user_id AND a.workspace_id = tool_servers.workspace_id) IS NULL)",
);
const HAND_OVER_COLLECTIONS: Sql = Sql::Same(
    "UPDATE collections SET user_id = COALESCE((SELECT m.member_id FROM workspace_members m WHERE m.tenant_id = $1 \
        AND m.workspace_id = collections.workspace_id AND m.kind = 'user' AND m.role = 'owner' AND m.member_id <> $2 \
        ORDER BY m.created_at, m.member_id LIMIT 1), user_id) \
     WHERE tenant_id = $1 AND workspace_id IN (SELECT p.workspace_id FROM workspace_members p WHERE p.tenant_id = $1 AND p.member_id = $2 \
        UNION ALL SELECT p.workspace_id FROM group_members i CROSS JOIN workspace_members p \
            WHERE i.tenant_id = $1 AND i.user_id = $2 AND p.tenant_id = $1 AND p.member_id = i.group_id \
        UNION ALL SELECT o.workspace_id FROM collections o WHERE o.tenant_id = $1 AND o.user_id = $2 \
            AND o.workspace_id IS NOT NULL \
        UNION ALL SELECT $2) \
     AND (user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = collections.user_id AND a.workspace_id = collections.workspace_id) IS NULL)",
);
/// Those of the collections that have changed hands.
const HAND_OVER_DOCUMENTS: Sql = Sql::Same(
    "UPDATE documents SET user_id = (SELECT c.user_id FROM collections c \
        WHERE c.tenant_id = $1 AND c.id = documents.collection_id) \
     WHERE tenant_id = $1 AND collection_id IN (SELECT c.id FROM collections c WHERE c.tenant_id = $1 \
        AND c.workspace_id IN (SELECT p.workspace_id FROM workspace_members p WHERE p.tenant_id = $1 AND p.member_id = $2 \
            UNION ALL SELECT p.workspace_id FROM group_members i CROSS JOIN workspace_members p \
                WHERE i.tenant_id = $1 AND i.user_id = $2 AND p.tenant_id = $1 AND p.member_id = i.group_id \
            UNION ALL SELECT $2) \
        UNION ALL SELECT o.collection_id FROM documents o WHERE o.tenant_id = $1 AND o.user_id = $2) \
     AND user_id <> (SELECT c.user_id FROM collections c \
        WHERE c.tenant_id = $1 AND c.id = documents.collection_id)",
);
/// Also of one that somebody else made, if `$2` is the last owner: it goes with them.
const HAND_OVER_WORKSPACES: Sql = Sql::Same(
    "UPDATE workspaces SET user_id = COALESCE((SELECT m.member_id FROM workspace_members m \
        WHERE m.tenant_id = $1 AND m.workspace_id = workspaces.id AND m.kind = 'user' AND m.role = 'owner' \
        AND m.member_id <> $2 ORDER BY m.created_at, m.member_id LIMIT 1), $2) \
     WHERE tenant_id = $1 AND id IN (SELECT p.workspace_id FROM workspace_members p \
            WHERE p.tenant_id = $1 AND p.member_id = $2 AND p.kind = 'user' AND p.role = 'owner' \
        UNION ALL SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)",
);
/// What others made in the workspaces of user `$2`, which go with them, is theirs alone.
const RETURN_CONVERSATIONS: Sql = Sql::Same(
    "UPDATE conversations SET workspace_id = NULL WHERE tenant_id = $1 AND user_id <> $2 AND workspace_id IN ( \
        SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)",
);
/// One whose name its maker has for another gets its id for a second name, wherever the other is: that may
/// be returned by the same statement, from another workspace, which PostgreSQL does not see.
const RETURN_COLLECTIONS: Sql = Sql::Each {
    sqlite: "UPDATE collections SET workspace_id = NULL, name = CASE WHEN EXISTS (SELECT 1 FROM collections o \
        WHERE o.tenant_id = $1 AND o.user_id = collections.user_id AND o.name = collections.name \
        AND o.id <> collections.id) THEN name || ' (' || lower(hex(id)) || ')' ELSE name END \
        WHERE tenant_id = $1 AND user_id <> $2 AND workspace_id IN ( \
        SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)",
    postgres: "UPDATE collections SET workspace_id = NULL, name = CASE WHEN EXISTS (SELECT 1 FROM collections o \
        WHERE o.tenant_id = $1 AND o.user_id = collections.user_id AND o.name = collections.name \
        AND o.id <> collections.id) THEN name || ' (' || replace(id::text, '-', '') || ')' ELSE name END \
        WHERE tenant_id = $1 AND user_id <> $2 AND workspace_id IN ( \
        SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)",
};
/// The user is in no workspace any more, but for those that go with them.
const LEAVE: Sql = Sql::Same(
    "DELETE FROM workspace_members WHERE tenant_id = $1 AND member_id = $2 \
     AND (SELECT w.user_id FROM workspaces w WHERE w.tenant_id = $1 \
        AND w.id = workspace_members.workspace_id) <> $2",
);
const LOSE: Sql = Sql::Same(
    "DELETE FROM workspace_access WHERE tenant_id = $1 AND user_id = $2 \
     AND (SELECT w.user_id FROM workspaces w WHERE w.tenant_id = $1 \
        AND w.id = workspace_access.workspace_id) <> $2",
);

fn of(tenant: TenantId, id: Uuid, all: &[Sql]) -> Vec<Statement> {
    all.iter().map(|sql| sql.bind(tenant).bind(id)).collect()
}

const HAND_OVER: [Sql; 6] = [
    HAND_OVER_CONVERSATIONS,
    HAND_OVER_PROMPTS,
    HAND_OVER_CONNECTIONS,
    HAND_OVER_TOOL_SERVERS,
    HAND_OVER_COLLECTIONS,
    HAND_OVER_DOCUMENTS,
];

/// After it is written anew who may do what in a workspace.
pub(crate) fn of_workspace(scope: &Scope, workspace: WorkspaceId) -> Vec<Statement> {
    of(scope.tenant, workspace.0, &HAND_OVER)
}

/// After it is written anew what the users of a group may do, and before it goes.
pub(crate) fn of_group(scope: &Scope, group: Uuid) -> Vec<Statement> {
    of(scope.tenant, group, &HAND_OVER)
}

/// Puts a user who is being deleted out of all workspaces that have another owner.
pub(crate) fn of_deleted(tenant: TenantId, user: UserId) -> Vec<Statement> {
    let mut statements = of(tenant, user.0, &HAND_OVER);
    statements.extend(of(tenant, user.0, &[HAND_OVER_WORKSPACES]));
    // Their makers find them from then on.
    statements.push(of_workspace_users(tenant, user.0));
    statements.extend(of(tenant, user.0, &[RETURN_CONVERSATIONS, RETURN_COLLECTIONS, LEAVE, LOSE]));
    statements
}
