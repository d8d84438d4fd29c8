//! Whose a credential is.

use std::time::Duration;

use aimate_core::api_token::{FoundToken, TokenScope};
use aimate_core::session::Session;
use aimate_core::{Error, ErrorKind, ErrorReason, Result, Role, Scope, TenantId, Timestamp};

use super::{Accounts, Credential, Principal};
use crate::access_token::AccessTokenOf;
use crate::token::{self, ApiTokenText};

/// How exactly it is known when something was last used.
const ACTIVITY: Duration = Duration::from_secs(60);
/// Bytes of a credential at most.
const MAX_BYTES: usize = 4_096;

/// What is known of a session.
#[derive(Clone, Copy)]
pub(super) struct KnownSession {
    expires_at: Timestamp,
    used_at: Timestamp,
}

impl From<&Session> for KnownSession {
    fn from(session: &Session) -> Self {
        Self { expires_at: session.expires_at, used_at: session.last_activity_at }
    }
}

/// What is known of an API token.
#[derive(Clone)]
pub(super) struct KnownApiToken(pub(super) FoundToken);

impl Accounts {
    /// Whose a credential is: an access token or an API token. Costs nothing but the
    /// check of its signature for one that was shown within the last 5 s.
    ///
    /// Whoever signed out, was disabled or deleted, or whose token was revoked, is
    /// nobody at once (in other processes within 5 s), and the role is the one of that
    /// moment.
    ///
    /// # Errors
    /// `Unauthenticated` for whatever is not good, without saying why; what the stores
    /// say.
    pub async fn authenticate(&self, credential: &str) -> Result<Principal> {
        if credential.len() > MAX_BYTES {
            return Err(not_good());
        }
        if credential.starts_with(token::API_TOKEN) {
            return self.by_api_token(credential).await;
        }
        let of = self.0.access_tokens.verify(credential, self.now()).ok_or_else(not_good)?;
        self.by_session(of).await
    }

    /// Whether a credential that is not good was: an access token that this server signed, whose
    /// time or session is over. Whoever shows another one may be guessing.
    pub fn was_good(&self, credential: &str) -> bool {
        credential.len() <= MAX_BYTES && self.0.access_tokens.has_signed(credential)
    }

    /// Whether a principal is still good, and as what: for what goes on for long, such as
    /// a stream of events.
    ///
    /// # Errors
    /// See [`Accounts::authenticate`].
    pub async fn check(&self, principal: &Principal) -> Result<Principal> {
        let Scope { tenant, user, .. } = principal.scope;
        match &principal.credential {
            Credential::Session(session) => {
                self.by_session(AccessTokenOf { tenant, user, session: *session }).await
            }
            Credential::ApiToken { id, prefix, .. } => {
                let found = self.found(prefix, |found| found.token.id == *id).await?;
                self.of_token(found).await
            }
        }
    }

    async fn by_session(&self, of: AccessTokenOf) -> Result<Principal> {
        self.check_tenant(of.tenant)?;
        let (sessions, now) = (&self.0.sessions, self.now());
        let scope = self.scope_of(of).await?;
        let known = match sessions.get(&of, now) {
            Some(known) => known,
            None => {
                let moment = sessions.moment();
                let session = self.0.stores.sessions.get(&scope, of.session).await.map_err(or_not_good)?;
                let known = KnownSession::from(&session);
                sessions.keep(of, known, now, moment);
                known
            }
        };
        if known.expires_at <= now {
            return Err(not_good());
        }
        if now.since(known.used_at) >= ACTIVITY {
            let moment = sessions.moment();
            let touched = self.0.stores.sessions.touch(&scope, of.session, now).await;
            if touched.is_ok() {
                sessions.keep(of, KnownSession { used_at: now, ..known }, now, moment);
            }
            unless_unavailable(touched)?;
        }
        Ok(Principal { scope, credential: Credential::Session(of.session) })
    }

    async fn by_api_token(&self, text: &str) -> Result<Principal> {
        let ApiTokenText { prefix, secret_hash } = ApiTokenText::parse(text).ok_or_else(not_good)?;
        let found =
            self.found(&prefix, |found| token::is_same(&found.token.secret_hash, &secret_hash)).await?;
        self.of_token(found).await
    }

    /// The token of this public part that `is_it`.
    async fn found(&self, prefix: &str, is_it: impl Fn(&FoundToken) -> bool) -> Result<FoundToken> {
        let (tokens, now) = (&self.0.api_tokens, self.now());
        if let Some(KnownApiToken(known)) = tokens.get(prefix, now)
            && is_it(&known)
        {
            return Ok(known);
        }
        let moment = tokens.moment();
        let found = self.0.stores.api_tokens.find(prefix).await?.into_iter().find(is_it);
        let found = found.ok_or_else(not_good)?;
        tokens.keep(prefix.to_owned(), KnownApiToken(found.clone()), now, moment);
        Ok(found)
    }

    async fn of_token(&self, found: FoundToken) -> Result<Principal> {
        let FoundToken { tenant, user, token } = found;
        self.check_tenant(tenant)?;
        let now = self.now();
        if token.expires_at.is_some_and(|at| at <= now) {
            return Err(not_good());
        }
        let scope = self.0.engine.scope_of(tenant, user).await.map_err(or_not_good)?;
        if token.last_used_at.is_none_or(|at| now.since(at) >= ACTIVITY) {
            let moment = self.0.api_tokens.moment();
            let touched = self.0.stores.api_tokens.touch(&scope, token.id, now).await;
            if touched.is_ok() {
                let mut used = token.clone();
                used.last_used_at = Some(now);
                let known = KnownApiToken(FoundToken { tenant, user, token: used });
                self.0.api_tokens.keep(token.prefix.clone(), known, now, moment);
            }
            unless_unavailable(touched)?;
        }
        // Much of what an admin alone may do is behind routes that need `write` or `read`: a token
        // that is not for administration acts as any user's there.
        let scope = match token.scopes.contains(&TokenScope::Admin) {
            true => scope,
            false => Scope { role: Role::User, ..scope },
        };
        let credential = Credential::ApiToken { id: token.id, prefix: token.prefix, scopes: token.scopes };
        Ok(Principal { scope, credential })
    }

    /// Whoever is of another tenant is nobody here, though the secret is the same.
    pub(super) fn check_tenant(&self, tenant: TenantId) -> Result<()> {
        if tenant == self.0.settings.tenant { Ok(()) } else { Err(not_good()) }
    }

    /// The scope of a token's user, as they are now.
    async fn scope_of(&self, of: AccessTokenOf) -> Result<Scope> {
        self.0.engine.scope_of(of.tenant, of.user).await.map_err(or_not_good)
    }
}

/// What marks the use of something may fail, unless it is gone.
fn unless_unavailable(touched: Result<()>) -> Result<()> {
    match touched {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_good()),
        Err(error) => {
            tracing::debug!(%error, "the use of a credential was not marked");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Whoever is not there, or may not act, is nobody.
pub(super) fn or_not_good(error: Error) -> Error {
    let is_inactive = error.reason() == Some(ErrorReason::UserInactive);
    if is_inactive || error.kind() == ErrorKind::NotFound { not_good().with_source(error) } else { error }
}

/// The one sentence for every credential that is not good.
pub(super) fn not_good() -> Error {
    Error::unauthenticated(
        "the credential is not, or no longer, good; sign in again and send what that gives",
    )
}
