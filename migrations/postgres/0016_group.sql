-- Users of a tenant under one name, who are let into workspaces together.
CREATE TABLE groups (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX groups_name ON groups (tenant_id, name);

CREATE TABLE group_members (
    tenant_id  uuid NOT NULL,
    group_id   uuid NOT NULL,
    user_id    uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, group_id, user_id),
    CONSTRAINT group_members_group FOREIGN KEY (tenant_id, group_id)
        REFERENCES groups (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT group_members_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX group_members_of_user ON group_members (tenant_id, user_id, group_id);
