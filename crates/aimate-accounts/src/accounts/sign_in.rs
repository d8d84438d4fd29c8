//! Registering, signing in and out, and passwords.

use std::time::Duration;

use aimate_core::identity::Identity;
use aimate_core::login::{Admission, Attempt, AttemptLimit, Login, NewAccount};
use aimate_core::session::{Renewal, Renewed, Session};
use aimate_core::user::{User, UserChange};
use aimate_core::{
    EmailAddress, Error, ErrorKind, ErrorReason, Result, Role, Scope, Secret, SessionId, TenantId, Timestamp,
    UserId,
};

use super::authenticate::{not_good, or_not_good};
use super::{Accounts, Client, Credential, Principal, Registration, SignedIn};
use crate::access_token::AccessTokenOf;
use crate::event::AccountEvent;
use crate::lockout;
use crate::password::{self, Verified};
use crate::settings::RegistrationRule;
use crate::token::{self, RefreshToken};

/// A refresh token that was good this long ago is a retry, and no theft.
const GRACE: Duration = Duration::from_secs(10);
/// When somebody whose address is locked may ask again.
const LOCKED_RETRY: Duration = Duration::from_secs(60 * 60);

impl Accounts {
    /// Makes an account and signs it in. The first one of the server becomes an admin,
    /// exactly once, unless only invites let in.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `Forbidden` if registration is closed or the invite
    /// is not good; `Conflict` if the address cannot be registered, which is told only
    /// to those who may register.
    pub async fn register(&self, new: Registration, client: &Client) -> Result<SignedIn> {
        let email = EmailAddress::parse("email", &new.email)?;
        password::check("password", &new.password)?;
        let name = name_of(new.name, &email)?;
        let admission = self.admission(self.0.settings.registration, new.invite.as_ref()).await?;
        let user = self.make(email, name, Role::User, Some(&new.password), admission).await?;
        self.begin_session(user, client).await
    }

    /// Whether anybody may register at this moment without an invite.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn is_open(&self) -> Result<bool> {
        self.is_open_by(self.0.settings.registration).await
    }

    /// Whether anybody has an account.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn has_accounts(&self) -> Result<bool> {
        self.0.stores.logins.has_accounts(self.0.settings.tenant).await
    }

    async fn is_open_by(&self, rule: RegistrationRule) -> Result<bool> {
        match rule {
            RegistrationRule::Open => Ok(true),
            RegistrationRule::First => Ok(!self.has_accounts().await?),
            RegistrationRule::Invite | RegistrationRule::Closed => Ok(false),
        }
    }

    /// By what somebody may register.
    pub(crate) async fn admission(
        &self,
        rule: RegistrationRule,
        invite: Option<&Secret>,
    ) -> Result<Admission> {
        let closed = "registration is closed; an administrator can invite you";
        match (rule, invite) {
            (RegistrationRule::Closed, _) => {
                Err(Error::forbidden("registration is closed; an administrator makes accounts"))
            }
            (_, Some(invite)) => {
                let hash = token::invite_hash(invite.expose()).ok_or_else(|| {
                    Error::field("invite", "is no invite; it begins with `aii_` and is 47 characters long")
                })?;
                Ok(Admission::Invited(hash))
            }
            (RegistrationRule::Open, None) => Ok(Admission::Anyone),
            (RegistrationRule::First, None) if self.is_open_by(rule).await? => Ok(Admission::First),
            (RegistrationRule::First | RegistrationRule::Invite, None) => Err(Error::forbidden(closed)),
        }
    }

    /// Makes an account.
    pub(super) async fn make(
        &self,
        email: EmailAddress,
        name: String,
        role: Role,
        password: Option<&Secret>,
        admission: Admission,
    ) -> Result<User> {
        self.make_identified(email, name, role, password, None, admission).await
    }

    /// Makes an account, with the identity by which it signs in, if it has one.
    pub(crate) async fn make_identified(
        &self,
        email: EmailAddress,
        name: String,
        role: Role,
        password: Option<&Secret>,
        identity: Option<Identity>,
        admission: Admission,
    ) -> Result<User> {
        let password_hash = match password {
            Some(password) => Some(self.0.passwords.hash(password).await?),
            None => None,
        };
        let now = self.now();
        let user = User {
            id: self.0.engine.sources().id(),
            key: None,
            email: Some(email.as_str().to_owned()),
            name,
            role,
            is_active: true,
            settings: serde_json::json!({}),
            created_at: now,
            updated_at: now,
        };
        let tenant = self.0.settings.tenant;
        let subject = lockout::of_address(&email);
        let account = NewAccount { tenant, user, email, password_hash, identity, admission };
        let made = self.0.stores.logins.register(&account).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => {
                let what = "`email`: cannot be registered; if it is yours, sign in, else use another one";
                Error::conflict(what).with_source(error)
            }
            _ => error,
        })?;
        // Whoever tried to sign in before it was there.
        self.0.stores.logins.succeeded(&[subject], &[]).await?;
        // Who signs in with an identity came by themselves, whatever let them in.
        let by_operator = account.admission == Admission::Operator && account.identity.is_none();
        self.record(AccountEvent::Registered { user: made.id, by_operator }).await;
        Ok(made)
    }

    /// Signs somebody in. Whether there is such an account, and what is wrong, is not
    /// told, nor to be seen from how long it takes; but an imported bcrypt hash takes another
    /// time until its owner signs in for the first time, which replaces it.
    ///
    /// # Errors
    /// `Invalid` for what is no address; `Unauthenticated` if address or password are
    /// wrong; `Forbidden`, to who knows the password, if the account is disabled;
    /// `RateLimited` after too many failures.
    pub async fn login(&self, email: &str, password: &Secret, client: &Client) -> Result<SignedIn> {
        let email = EmailAddress::parse("email", email)?;
        if !password::may_be_one(password) {
            return Err(wrong());
        }
        let login = self.verified(&email, password, client).await?;
        let scope = self.active_scope(login.tenant, login.user).await?;
        let user = self.0.stores.users.get(&scope, login.user).await?;
        self.begin_session(user, client).await
    }

    /// The scope of a user who has shown who they are, if the account is not disabled.
    pub(super) async fn active_scope(&self, tenant: TenantId, user: UserId) -> Result<Scope> {
        self.0.engine.scope_of(tenant, user).await.map_err(|error| match error.reason() {
            Some(ErrorReason::UserInactive) => {
                Error::forbidden("the account is disabled; an administrator can enable it")
                    .with_reason(ErrorReason::UserInactive)
                    .with_source(error)
            }
            _ => error,
        })
    }

    /// The login of this address, whose password this is.
    async fn verified(&self, email: &EmailAddress, password: &Secret, client: &Client) -> Result<Login> {
        let now = self.now();
        self.clear_old_attempts(now).await;
        let network = client.ip.map(lockout::network_limit);
        let limits: Vec<AttemptLimit> = [lockout::address_limit(email)].into_iter().chain(network).collect();
        let attempt = self.0.stores.logins.attempt(&limits, now).await?;
        allowed(attempt, now)?;
        let found = self.0.stores.logins.find(email).await?;
        let found = found.filter(|login| login.tenant == self.0.settings.tenant);
        let hash = found.as_ref().and_then(|login| login.password_hash.clone());
        let verified = self.0.passwords.verify(password, hash.as_ref()).await?;
        let (Some(login), Some(hash), true) = (&found, hash, verified != Verified::No) else {
            let user = found.map(|login| login.user);
            self.record(AccountEvent::SignInFailed(user)).await;
            if attempt == Attempt::Last {
                self.record(AccountEvent::Locked(user)).await;
            }
            return Err(wrong());
        };
        let subjects = limits.into_iter().map(|limit| limit.subject).collect::<Vec<_>>();
        let (address, networks) = subjects.split_at(1);
        self.0.stores.logins.succeeded(address, networks).await?;
        if verified == Verified::Outdated {
            let new = self.0.passwords.hash(password).await?;
            self.0.stores.logins.rehash(email, &hash, &new).await?;
        }
        Ok(login.clone())
    }

    /// A new session of a user, with its tokens.
    pub(crate) async fn begin_session(&self, user: User, client: &Client) -> Result<SignedIn> {
        let now = self.now();
        let scope = Scope { tenant: self.0.settings.tenant, user: user.id, role: user.role };
        let id: SessionId = self.0.engine.sources().id();
        let refresh = RefreshToken::generate(scope.tenant, user.id, id)?;
        let session = Session {
            id,
            family_hash: refresh.family_hash(),
            token_hash: refresh.token_hash(),
            ip: client.ip.map(|ip| ip.to_string()),
            user_agent: client.user_agent.clone(),
            created_at: now,
            renewed_at: now,
            last_activity_at: now,
            expires_at: now.plus(self.0.settings.refresh_ttl.min(self.0.settings.max_session)),
        };
        self.0.stores.sessions.create(&scope, &session).await?;
        self.record(AccountEvent::SignedIn(user.id, id)).await;
        self.signed_in(user, session, &refresh, now)
    }

    fn signed_in(
        &self,
        user: User,
        session: Session,
        refresh: &RefreshToken,
        now: Timestamp,
    ) -> Result<SignedIn> {
        let of = AccessTokenOf { tenant: refresh.tenant, user: refresh.user, session: refresh.session };
        let tokens = &self.0.access_tokens;
        let failed = || Error::internal("an access token could not be written");
        Ok(SignedIn {
            user,
            session,
            access_token: tokens.sign(of, now).ok_or_else(failed)?,
            refresh_token: refresh.text(),
            expires_in: tokens.ttl(),
        })
    }

    /// Gives the next tokens of a session for its refresh token, which is good once. An
    /// old one has been copied: its session ends. Of two requests at once, as two tabs of a
    /// browser send them, one gets them.
    ///
    /// # Errors
    /// `Conflict` for the other one, for ten seconds: nobody is signed out by it.
    /// `Unauthenticated` for whatever is not good; what the stores say.
    pub async fn refresh(&self, refresh_token: &str, client: &Client) -> Result<SignedIn> {
        let token = RefreshToken::parse(refresh_token.trim()).ok_or_else(not_good)?;
        self.check_tenant(token.tenant)?;
        let scope = self.0.engine.scope_of(token.tenant, token.user).await.map_err(or_not_good)?;
        let (now, next) = (self.now(), token.next()?);
        let renewal = Renewal {
            id: token.session,
            family_hash: token.family_hash(),
            token_hash: token.token_hash(),
            next_hash: next.token_hash(),
            ip: client.ip.map(|ip| ip.to_string()),
            user_agent: client.user_agent.clone(),
            now,
            lifetime: self.0.settings.refresh_ttl,
            max_age: self.0.settings.max_session,
            grace: GRACE,
        };
        match self.0.stores.sessions.renew(&scope, &renewal).await? {
            Renewed::Session(session) => {
                let user = self.0.stores.users.get(&scope, token.user).await?;
                self.signed_in(user, *session, &next, now)
            }
            Renewed::Reused => {
                self.forget_session(token.user, token.session);
                self.record(AccountEvent::RefreshTokenReused(token.user, token.session)).await;
                Err(not_good())
            }
            Renewed::JustRenewed => Err(Error::conflict(
                "another request renewed this session a moment ago; go on with the tokens that it was given",
            )),
            Renewed::Refused => Err(not_good()),
        }
    }

    /// Signs out: ends the session of a principal. That of an API token has none and
    /// stays as it is.
    ///
    /// # Errors
    /// `Invalid` for an API token; what the stores say.
    pub async fn logout(&self, principal: &Principal) -> Result<()> {
        let Credential::Session(session) = principal.credential else {
            return Err(Error::invalid(
                "an API token has no session to sign out of; delete the token instead",
            ));
        };
        self.end_session(&principal.scope, session).await
    }

    /// Signs out by a refresh token, for who has no access token any more that is good: ends
    /// its session. An old one of the session does so too.
    ///
    /// # Errors
    /// `Unauthenticated` for whatever is no refresh token of a session; what the stores say.
    pub async fn logout_by_refresh_token(&self, refresh_token: &str) -> Result<()> {
        let token = RefreshToken::parse(refresh_token.trim()).ok_or_else(not_good)?;
        self.check_tenant(token.tenant)?;
        let scope = self.0.engine.scope_of(token.tenant, token.user).await.map_err(or_not_good)?;
        let session = self.0.stores.sessions.get(&scope, token.session).await.map_err(or_not_good)?;
        if !token::is_same(&session.family_hash, &token.family_hash()) {
            return Err(not_good());
        }
        self.end_session(&scope, token.session).await.map_err(or_not_good)
    }

    /// The user of a principal.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn me(&self, principal: &Principal) -> Result<User> {
        self.0.engine.users(&principal.scope).get(principal.scope.user).await
    }

    /// Changes the name or the settings of a principal's own user.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub async fn change_me(
        &self,
        principal: &Principal,
        name: Option<String>,
        settings: Option<serde_json::Value>,
    ) -> Result<User> {
        let change = UserChange { name, settings, ..UserChange::default() };
        change.check()?;
        let scope = &principal.scope;
        self.0.stores.users.update(scope, scope.user, &change, self.now()).await
    }

    /// Changes the password of who knows the current one, and ends all their other
    /// sessions. API tokens stay.
    ///
    /// # Errors
    /// `Forbidden` for an API token; `Invalid` on a field: `current_password` if it is
    /// wrong; `RateLimited` after too many failures.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: &Secret,
        new: &Secret,
        client: &Client,
    ) -> Result<()> {
        let Credential::Session(session) = principal.credential else {
            return Err(Error::forbidden("an API token changes no password; sign in"));
        };
        password::check("new_password", new)?;
        let Scope { tenant, user, .. } = principal.scope;
        let login = self.0.stores.logins.find_by_user(tenant, user).await?;
        let login = login.ok_or_else(|| Error::forbidden("the account has no password"))?;
        if !password::may_be_one(current) {
            return Err(wrong_current());
        }
        let verified = self.verified(&login.email, current, client).await;
        verified.map_err(|error| match error.kind() {
            ErrorKind::Unauthenticated => wrong_current(),
            _ => error,
        })?;
        self.put_password(user, new, Some(session)).await?;
        self.record(AccountEvent::PasswordChanged(user)).await;
        Ok(())
    }

    /// Sets a password, whatever it was, for the operator: ends all sessions of the user
    /// but `keep`.
    pub(super) async fn put_password(
        &self,
        user: UserId,
        new: &Secret,
        keep: Option<SessionId>,
    ) -> Result<()> {
        let hash = self.0.passwords.hash(new).await?;
        let tenant = self.0.settings.tenant;
        self.0.stores.logins.set_password(tenant, user, &hash, keep, self.now()).await?;
        self.0.sessions.forget(|of, _| of.user == user && Some(of.session) != keep);
        Ok(())
    }
}

/// Refuses what was not allowed to be attempted.
pub(crate) fn allowed(outcome: Attempt, now: Timestamp) -> Result<()> {
    let refused = |what: &str, wait: Duration| {
        tracing::warn!("an attempt to sign in was refused after too many failures");
        Err(Error::new(ErrorKind::RateLimited, format!("too many failed attempts; {what}"))
            .with_retry_after(wait))
    };
    match outcome {
        Attempt::Allowed | Attempt::Last => Ok(()),
        Attempt::Wait(until) => {
            let wait = until.since(now).max(Duration::from_secs(1));
            refused(&format!("try again in {} s", wait.as_secs().max(1)), wait)
        }
        Attempt::Locked => refused("an administrator can unlock the address", LOCKED_RETRY),
    }
}

/// The name to show.
pub(crate) fn name_of(name: Option<String>, email: &EmailAddress) -> Result<String> {
    let name = name.unwrap_or_else(|| email.as_str().split('@').next().unwrap_or_default().to_owned());
    UserChange { name: Some(name.clone()), ..UserChange::default() }.check()?;
    Ok(name)
}

fn wrong() -> Error {
    Error::unauthenticated("the e-mail address or the password is wrong")
}

fn wrong_current() -> Error {
    Error::field("current_password", "is not the current password")
}

#[cfg(test)]
mod tests {
    use aimate_core::ErrorKind;

    use super::*;
    use crate::settings::{AccountSettings, RegistrationRule};
    use crate::signing_secret::SigningSecret;

    #[tokio::test]
    async fn unknown_user_takes_as_long() {
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        let engine = aimate_core::Engine::builder().store(store.clone()).build().await.unwrap();
        let settings =
            AccountSettings::new(SigningSecret::generate().unwrap()).registration(RegistrationRule::Open);
        let accounts = Accounts::new(engine, store, settings);
        let (client, password) = (Client::default(), Secret::new("correct horse battery"));
        accounts.register(Registration::new("ada@example.org", password.clone()), &client).await.unwrap();
        // Whoever signs in has a password compared, which takes a place; there is none left.
        let places = accounts.0.passwords.fill();
        for address in ["ada@example.org", "eve@example.org"] {
            let error = accounts.login(address, &password, &client).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{address}");
        }
        drop(places);
        accounts.login("ada@example.org", &password, &client).await.unwrap();
        let error = accounts.login("eve@example.org", &password, &client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }
}
