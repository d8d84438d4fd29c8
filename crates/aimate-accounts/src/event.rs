//! What happens to accounts, as the audit log of their tenant has it.

use aimate_core::audit::{AuditEvent, action};
use aimate_core::{ApiTokenId, InviteId, SessionId, UserId};

/// Something that happened to an account. None has a secret or an address. What admins
/// do with users, the engine records itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AccountEvent {
    /// An account was made: by its user, or by the operator.
    Registered { user: UserId, by_operator: bool },
    /// Somebody signed in.
    SignedIn(UserId, SessionId),
    /// An account that was there got an identity of a provider.
    #[cfg(feature = "oidc")]
    IdentityLinked(UserId),
    /// Somebody failed to sign in, to the account of this user or to none.
    SignInFailed(Option<UserId>),
    /// An address is locked from now on, that of this user or of nobody: once for each lock.
    Locked(Option<UserId>),
    /// A session was ended.
    SessionEnded(UserId, SessionId),
    /// So many sessions of a user were ended at once, by themself.
    SessionsEnded(UserId, u64),
    /// An old refresh token was presented: its session was ended.
    RefreshTokenReused(UserId, SessionId),
    /// A user set another password.
    PasswordChanged(UserId),
    /// The operator set another password.
    PasswordReset(UserId),
    /// An API token was made.
    ApiTokenMade(UserId, ApiTokenId),
    /// An API token was deleted.
    ApiTokenDeleted(UserId, ApiTokenId),
    /// An invite was made, by an admin or the operator.
    InviteMade(Option<UserId>, InviteId),
    /// An admin took an invite back.
    InviteDeleted(UserId, InviteId),
    /// The operator disabled or enabled a user.
    SetActive(UserId, bool),
    /// The operator deleted a user with all they had.
    UserDeleted(UserId),
    /// The operator made the user of local mode that of an account.
    Adopted(UserId),
    /// The failed attempts for a user were forgiven, by an admin or the operator.
    Unlocked(Option<UserId>, UserId),
}

impl AccountEvent {
    /// The record of it.
    pub(crate) fn record(self) -> AuditEvent {
        let of = AuditEvent::new;
        match self {
            Self::Registered { user, by_operator: false } => {
                of(action::USER_CREATED).actor(user).target("user", user.0)
            }
            Self::Registered { user, by_operator: true } => of(action::USER_CREATED).target("user", user.0),
            Self::SignedIn(user, session) => of(action::LOGIN).actor(user).target("session", session.0),
            #[cfg(feature = "oidc")]
            Self::IdentityLinked(user) => of(action::IDENTITY_LINKED).target("user", user.0),
            Self::SignInFailed(Some(user)) => of(action::LOGIN_FAILED).target("user", user.0),
            Self::SignInFailed(None) => of(action::LOGIN_FAILED),
            Self::Locked(Some(user)) => of(action::LOGIN_LOCKED).target("user", user.0),
            Self::Locked(None) => of(action::LOGIN_LOCKED),
            Self::SessionEnded(user, session) => {
                of(action::SESSION_ENDED).actor(user).target("session", session.0)
            }
            Self::SessionsEnded(user, count) => {
                of(action::SESSION_ENDED).actor(user).target("user", user.0).detail("count", count)
            }
            Self::RefreshTokenReused(user, session) => {
                // Of the user, so that the address it came from goes with them.
                of(action::REFRESH_REUSED).target("user", user.0).detail("session_id", session.to_string())
            }
            Self::PasswordChanged(user) => of(action::PASSWORD_CHANGED).actor(user).target("user", user.0),
            Self::PasswordReset(user) => of(action::PASSWORD_CHANGED).target("user", user.0),
            Self::ApiTokenMade(user, token) => {
                of(action::TOKEN_CREATED).actor(user).target("api_token", token.0)
            }
            Self::ApiTokenDeleted(user, token) => {
                of(action::TOKEN_REVOKED).actor(user).target("api_token", token.0)
            }
            Self::InviteMade(Some(by), invite) => {
                of(action::INVITE_CREATED).actor(by).target("invite", invite.0)
            }
            Self::InviteDeleted(by, invite) => {
                of(action::INVITE_DELETED).actor(by).target("invite", invite.0)
            }
            Self::InviteMade(None, invite) => of(action::INVITE_CREATED).target("invite", invite.0),
            Self::SetActive(user, true) => of(action::USER_ENABLED).target("user", user.0),
            Self::SetActive(user, false) => of(action::USER_DISABLED).target("user", user.0),
            Self::UserDeleted(user) => of(action::USER_DELETED).target("user", user.0),
            Self::Adopted(user) => of(action::USER_ADOPTED).target("user", user.0),
            Self::Unlocked(Some(by), user) => of(action::LOGIN_UNLOCKED).actor(by).target("user", user.0),
            Self::Unlocked(None, user) => of(action::LOGIN_UNLOCKED).target("user", user.0),
        }
    }
}
