//! What aiMate itself records, as [`AuditEvent::new`](super::AuditEvent::new) takes it.
//! Applications may record actions of their own.

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
        /// All of these.
        pub const ALL: &[&str] = &[$($text),*];
    };
}

actions! {
    /// Somebody signed in.
    LOGIN = "user.login";
    /// Somebody failed to sign in.
    LOGIN_FAILED = "user.login_failed";
    /// Too many failures: an address is locked until somebody unlocks it. Told once for each lock.
    LOGIN_LOCKED = "user.locked";
    /// The lock of an account was taken away.
    LOGIN_UNLOCKED = "user.unlocked";
    /// A session was ended: by its user, by an admin, or because its refresh token was used twice.
    SESSION_ENDED = "session.ended";
    /// A refresh token came a second time: somebody may have stolen it.
    REFRESH_REUSED = "session.refresh_reused";
    /// An account that was there got an identity: an OpenID provider signs it in from now on.
    IDENTITY_LINKED = "user.identity_linked";
    /// A user was made.
    USER_CREATED = "user.created";
    /// A user's password was changed.
    PASSWORD_CHANGED = "user.password_changed";
    /// A user got another role.
    ROLE_CHANGED = "user.role_changed";
    /// A user may not act any more.
    USER_DISABLED = "user.disabled";
    /// A user may act again.
    USER_ENABLED = "user.enabled";
    /// A user was deleted with all that was theirs.
    USER_DELETED = "user.deleted";
    /// The user of local mode, with all they had, became that of an account.
    USER_ADOPTED = "user.adopted";
    /// An API token was made.
    TOKEN_CREATED = "token.created";
    /// An API token was revoked.
    TOKEN_REVOKED = "token.revoked";
    /// An invitation was made.
    INVITE_CREATED = "invite.created";
    /// An invitation was taken back.
    INVITE_DELETED = "invite.deleted";
    /// A connection got a key, or another one.
    KEY_SET = "connection.key_set";
    /// A connection lost its key.
    KEY_REMOVED = "connection.key_removed";
    /// A connection was made.
    CONNECTION_CREATED = "connection.created";
    /// A connection was deleted.
    CONNECTION_DELETED = "connection.deleted";
    /// A tool server was made.
    TOOL_SERVER_CREATED = "tool_server.created";
    /// A tool server's settings or authorization changed.
    TOOL_SERVER_CHANGED = "tool_server.changed";
    /// A tool server was deleted.
    TOOL_SERVER_DELETED = "tool_server.deleted";
    /// A user signed in at a tool server.
    TOOL_LOGIN = "tool_server.login";
    /// Whether a tool's calls are made was set.
    TOOL_POLICY_CHANGED = "tool.policy_changed";
    /// A tool that was new, or that its server changed, was approved.
    TOOL_DEFINITION_APPROVED = "tool.approved";
    /// Sealed keys were sealed anew with another encryption key.
    KEYS_ROTATED = "keys.rotated";
    /// Somebody became a member of a workspace, or got another role in it.
    MEMBER_SET = "workspace.member_set";
    /// Somebody is no member of a workspace any more.
    MEMBER_REMOVED = "workspace.member_removed";
    /// A workspace was deleted.
    WORKSPACE_DELETED = "workspace.deleted";
    /// The members of a group changed.
    GROUP_CHANGED = "group.changed";
    /// A conversation was shared by a link.
    SHARE_CREATED = "share.created";
    /// Such a link was revoked.
    SHARE_REVOKED = "share.revoked";
    /// A budget was made or changed.
    BUDGET_SET = "budget.set";
    /// A budget was deleted.
    BUDGET_DELETED = "budget.deleted";
    /// A price was set.
    PRICE_SET = "price.set";
    /// A price was deleted.
    PRICE_DELETED = "price.deleted";
    /// A person let a tool be called that waited for them.
    TOOL_APPROVED = "tool.call_approved";
    /// A person did not let a tool be called.
    TOOL_REJECTED = "tool.call_rejected";
    /// The tenant was disabled.
    TENANT_DISABLED = "tenant.disabled";
    /// The tenant may act again.
    TENANT_ENABLED = "tenant.enabled";
}
