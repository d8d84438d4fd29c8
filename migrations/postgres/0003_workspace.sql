-- Named groups of conversations, prompts, collections and connections, which
-- their members share. `user_id` made it, or owns it since that user was deleted.
CREATE TABLE workspaces (
    tenant_id   uuid    NOT NULL,
    id          uuid    NOT NULL,
    user_id     uuid    NOT NULL,
    name        text    NOT NULL,
    description text    NOT NULL,
    is_archived boolean NOT NULL,
    metadata    jsonb   NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workspaces_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX workspaces_of_user ON workspaces (tenant_id, user_id, id);

-- Who was let into a workspace: users, and groups with all who are in them.
CREATE TABLE workspace_members (
    tenant_id    uuid    NOT NULL,
    workspace_id uuid    NOT NULL,
    member_id    uuid    NOT NULL,
    kind         text    NOT NULL CHECK (kind IN ('user', 'group')),
    role         text    NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at   bigint  NOT NULL,
    PRIMARY KEY (tenant_id, workspace_id, member_id),
    CONSTRAINT workspace_members_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX workspace_members_of_member ON workspace_members (tenant_id, member_id, workspace_id);

-- What each user may do in a workspace: the highest of their own role and those of
-- their groups. It follows from the members, and is written by the commits that
-- change them, so that whether somebody may is one row to look at.
CREATE TABLE workspace_access (
    tenant_id    uuid    NOT NULL,
    user_id      uuid    NOT NULL,
    workspace_id uuid    NOT NULL,
    role         text    NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    PRIMARY KEY (tenant_id, user_id, workspace_id),
    CONSTRAINT workspace_access_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT workspace_access_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX workspace_access_of_workspace ON workspace_access (tenant_id, workspace_id, user_id);
