-- Stored system prompts: of a workspace, or of the user's library. `user_id` made it.
CREATE TABLE prompts (
    tenant_id    uuid    NOT NULL,
    id           uuid    NOT NULL,
    user_id      uuid    NOT NULL,
    workspace_id uuid,
    title        text    NOT NULL,
    content      text    NOT NULL,
    is_active    boolean NOT NULL,
    created_at   bigint  NOT NULL,
    updated_at   bigint  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT prompts_user FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT prompts_workspace FOREIGN KEY (tenant_id, workspace_id)
        REFERENCES workspaces (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX prompts_of_user ON prompts (tenant_id, user_id, id);
CREATE INDEX prompts_of_workspace ON prompts (tenant_id, workspace_id, id) WHERE workspace_id IS NOT NULL;
