//! The service: accounts over an engine and its stores.

mod api_token;
mod authenticate;
mod invite;
mod session;
mod sign_in;
mod user;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aimate_core::api_token::{ApiToken, TokenScope};
use aimate_core::invite::Invite;
use aimate_core::session::Session;
use aimate_core::user::User;
use aimate_core::{ApiTokenId, EmailAddress, Engine, Role, Scope, Secret, SessionId, Stores, Timestamp};

use crate::access_token::{AccessTokenOf, AccessTokens};
use crate::event::AccountEvent;
use crate::fresh::Fresh;
use crate::lockout;
use crate::password::Passwords;
use crate::settings::AccountSettings;
use authenticate::{KnownApiToken, KnownSession};
#[cfg(feature = "oidc")]
pub(crate) use sign_in::{allowed, name_of};

/// How often old attempts to sign in are cleared.
const CLEAR_EVERY: Duration = Duration::from_secs(60 * 60);

/// Makes accounts, signs people in and out, and says of each credential whose it is.
///
/// Cloning is cheap and gives the same service. What it keeps in memory is at most five
/// seconds older than the database.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    engine: Engine,
    stores: Stores,
    settings: AccountSettings,
    access_tokens: AccessTokens,
    passwords: Passwords,
    sessions: Fresh<AccessTokenOf, KnownSession>,
    api_tokens: Fresh<String, KnownApiToken>,
    /// When old attempts were last cleared, in microseconds.
    cleared_at: AtomicI64,
}

/// Where a request comes from, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The client's name for itself; what is too long is cut.
    pub user_agent: Option<String>,
}

impl Client {
    /// A client at this address, if it is known, that names itself so.
    pub fn new(ip: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let user_agent = user_agent.map(|name| name.chars().filter(|c| !c.is_control()).take(300).collect());
        Self { ip, user_agent }
    }
}

/// Who asks, and by which credential.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Principal {
    /// Their scope; the role is the one that is stored, but that of an API token without the
    /// scope `admin`, which is a user's.
    pub scope: Scope,
    /// What they showed.
    pub credential: Credential,
}

/// What somebody showed to be known.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// The access token of a session.
    Session(SessionId),
    /// An API token, which may do at most what its scopes say.
    ApiToken {
        /// The token.
        id: ApiTokenId,
        /// Its public part.
        prefix: String,
        /// What its bearer may do.
        scopes: Vec<TokenScope>,
    },
}

impl Principal {
    /// Whether the credential is good for what needs `scope`. Every session is; an API
    /// token says, and is good for `admin` only while its user is one.
    pub fn may(&self, scope: TokenScope) -> bool {
        let by_token = match &self.credential {
            Credential::Session(_) => true,
            Credential::ApiToken { scopes, .. } => scopes.contains(&scope),
        };
        by_token && (scope != TokenScope::Admin || self.scope.role == Role::Admin)
    }
}

/// Somebody who registers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registration {
    /// The address.
    pub email: String,
    /// The password, 8 to 1,024 bytes.
    pub password: Secret,
    /// The name to show, 1 to 200 characters. Default: what stands before the `@`.
    pub name: Option<String>,
    /// The token of an invite, where it needs one.
    pub invite: Option<Secret>,
}

impl Registration {
    /// With an address and a password.
    pub fn new(email: impl Into<String>, password: Secret) -> Self {
        Self { email: email.into(), password, name: None, invite: None }
    }

    /// With a name, if there is one.
    #[must_use]
    pub fn name(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// With an invite, if there is one.
    #[must_use]
    pub fn invite(self, invite: Option<Secret>) -> Self {
        Self { invite, ..self }
    }
}

/// Somebody who is signed in from now on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The session.
    pub session: Session,
    /// The credential of requests.
    pub access_token: Secret,
    /// What is given for the next access token; good once.
    pub refresh_token: Secret,
    /// How long the access token is good.
    pub expires_in: Duration,
}

/// An API token that is to be made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiTokenRequest {
    /// What it is for, 1 to 200 characters.
    pub name: String,
    /// What its bearer may do: at least one.
    pub scopes: Vec<TokenScope>,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
}

impl ApiTokenRequest {
    /// One that never ends.
    pub fn new(name: impl Into<String>, scopes: impl IntoIterator<Item = TokenScope>) -> Self {
        Self { name: name.into(), scopes: scopes.into_iter().collect(), expires_at: None }
    }

    /// That ends then, if ever.
    #[must_use]
    pub fn expires_at(self, expires_at: Option<Timestamp>) -> Self {
        Self { expires_at, ..self }
    }
}

/// An API token that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MadeApiToken {
    /// The token, without its secret.
    pub token: ApiToken,
    /// The whole text, which nobody can show again.
    pub secret: Secret,
}

/// An invite that is to be made.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InviteRequest {
    /// The one address that may use it; `None` for any.
    pub email: Option<EmailAddress>,
    /// What the new user may do.
    pub role: Role,
}

impl InviteRequest {
    /// For a user of this role, at this address, if it is given.
    pub fn new(email: Option<EmailAddress>, role: Role) -> Self {
        Self { email, role }
    }
}

/// An invite that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MadeInvite {
    /// The invite, without its token.
    pub invite: Invite,
    /// The token, which nobody can show again.
    pub token: Secret,
}

impl Accounts {
    /// The accounts of an engine, whose stores these are.
    pub fn new(engine: Engine, stores: impl Into<Stores>, settings: AccountSettings) -> Self {
        Self(Arc::new(Inner {
            engine,
            stores: stores.into(),
            access_tokens: AccessTokens::new(&settings),
            settings,
            passwords: Passwords::default(),
            sessions: Fresh::default(),
            api_tokens: Fresh::default(),
            cleared_at: AtomicI64::new(0),
        }))
    }

    /// What the operator decided.
    pub fn settings(&self) -> &AccountSettings {
        &self.0.settings
    }

    /// Its stores.
    #[cfg(feature = "oidc")]
    pub(crate) fn stores(&self) -> &Stores {
        &self.0.stores
    }

    pub(crate) async fn record(&self, event: AccountEvent) {
        self.0.engine.record_audit(self.0.settings.tenant, event.record()).await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.engine.sources().now()
    }

    /// Clears old attempts to sign in, now and then.
    pub(crate) async fn clear_old_attempts(&self, now: Timestamp) {
        let before = self.0.cleared_at.load(Ordering::Relaxed);
        if now.since(Timestamp(before)) < CLEAR_EVERY
            || self
                .0
                .cleared_at
                .compare_exchange(before, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let old = now.minus(lockout::FORGET);
        if let Err(error) = self.0.stores.logins.clear_attempts(old, lockout::LOCK_AFTER).await {
            tracing::warn!(%error, cause = ?error, "old attempts to sign in were not cleared");
        }
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
