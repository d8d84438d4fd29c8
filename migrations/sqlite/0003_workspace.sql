-- Named groups of conversations, prompts, collections and connections, which
-- their members share. `user_id` made it, or owns it since that user was deleted.
CREATE TABLE workspaces (
    tenant_id   BLOB    NOT NULL,
    id          BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    is_archived INTEGER NOT NULL,
    metadata    TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workspaces_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX workspaces_of_user ON workspaces (tenant_id, user_id, id);

-- Who was let into a workspace: users, and groups with all who are in them.
CREATE TABLE workspace_members (
    tenant_id    BLOB    NOT NULL,
    workspace_id BLOB    NOT NULL,
    member_id    BLOB    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('user', 'group')),
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, workspace_id, member_id),
    CONSTRAINT workspace_members_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX workspace_members_of_member ON workspace_members (tenant_id, member_id, workspace_id);

-- What each user may do in a workspace: the highest of their own role and those of
-- their groups. It follows from the members, and is written by the commits that
-- change them, so that whether somebody may is one row to look at.
CREATE TABLE workspace_access (
    tenant_id    BLOB    NOT NULL,
    user_id      BLOB    NOT NULL,
    workspace_id BLOB    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    PRIMARY KEY (tenant_id, user_id, workspace_id),
    CONSTRAINT workspace_access_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT workspace_access_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX workspace_access_of_workspace ON workspace_access (tenant_id, workspace_id, user_id);
