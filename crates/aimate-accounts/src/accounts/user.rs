//! Accounts of others: for admins, and for the operator, who needs no credential.

use aimate_core::api_token::ApiToken;
#[cfg(feature = "oidc")]
use aimate_core::api_token::MAX_TOKENS;
use aimate_core::conversation::ConversationFilter;
use aimate_core::engine::Deleted;
use aimate_core::login::{Admission, Login};
use aimate_core::user::{User, UserChange};
use aimate_core::{
    ApiTokenId, EmailAddress, Error, ErrorKind, IdRange, Order, Page, PageRequest, Result, Role, Scope,
    Secret, TenantId, UserId,
};

#[cfg(feature = "oidc")]
use base64::Engine as _;
#[cfg(feature = "oidc")]
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::invite::admin;
use super::sign_in::name_of;
use super::{Accounts, ApiTokenRequest, InviteRequest, MadeApiToken, MadeInvite, Principal};
use crate::event::AccountEvent;
use crate::lockout;
use crate::password;
#[cfg(feature = "oidc")]
use crate::token;

impl Accounts {
    /// All users, for an admin.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin.
    pub async fn users(&self, principal: &Principal, page: PageRequest) -> Result<Page<User>> {
        self.0.engine.users(&principal.scope).list(page).await
    }

    /// One user, for an admin.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin; `NotFound`.
    pub async fn user(&self, principal: &Principal, id: UserId) -> Result<User> {
        admin(&principal.scope, "reads other users")?;
        self.0.engine.users(&principal.scope).get(id).await
    }

    /// Changes a user, for an admin. One who is disabled is signed out everywhere. No
    /// admin takes their own rights away, so that there is always one.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin; `Conflict` if it is about themself;
    /// `Invalid`; `NotFound`.
    pub async fn update_user(&self, principal: &Principal, id: UserId, change: UserChange) -> Result<User> {
        let scope = &principal.scope;
        admin(scope, "changes other users")?;
        let takes_rights = change.is_active == Some(false) || change.role == Some(Role::User);
        if id == scope.user && takes_rights {
            return Err(Error::conflict("you cannot take your own rights away; another admin can"));
        }
        let user = self.0.engine.users(scope).update(id, change).await?;
        if !user.is_active {
            self.sign_out_everywhere(id).await?;
        }
        Ok(user)
    }

    async fn sign_out_everywhere(&self, id: UserId) -> Result<()> {
        let scope = self.of(id);
        self.0.stores.sessions.delete_all(&scope, None).await?;
        self.0.sessions.forget(|of, _| of.user == id);
        Ok(())
    }

    /// Deletes a user with all they have, for an admin; waits for the end and gives the
    /// receipt.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin; `Conflict` if it is about themself;
    /// `NotFound`.
    pub async fn delete_user(&self, principal: &Principal, id: UserId) -> Result<Deleted> {
        admin(&principal.scope, "deletes other users")?;
        if id == principal.scope.user {
            return Err(Error::conflict("you cannot delete yourself; another admin can"));
        }
        let deleted = self.0.engine.users(&principal.scope).delete(id).await;
        self.0.sessions.forget(|of, _| of.user == id);
        self.0.api_tokens.forget(|_, known| known.0.user == id);
        deleted
    }

    /// Forgives a user's failed attempts to sign in, for an admin.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin; `NotFound` if the user has no login.
    pub async fn unlock_user(&self, principal: &Principal, id: UserId) -> Result<()> {
        admin(&principal.scope, "unlocks other users")?;
        self.unlock(Some(principal.scope.user), id).await
    }

    async fn unlock(&self, by: Option<UserId>, id: UserId) -> Result<()> {
        let login = self.0.stores.logins.find_by_user(self.0.settings.tenant, id).await?;
        let login = login.ok_or_else(|| Error::missing("login of user", id))?;
        self.0.stores.logins.succeeded(&[lockout::of_address(&login.email)], &[]).await?;
        self.record(AccountEvent::Unlocked(by, id)).await;
        Ok(())
    }

    fn of(&self, user: UserId) -> Scope {
        Scope { user, ..self.of_tenant() }
    }
}

/// For logins by other means than a password.
#[cfg(feature = "oidc")]
impl Accounts {
    /// A user who may act.
    pub(crate) async fn active_user(&self, user: UserId) -> Result<User> {
        let scope = self.active_scope(self.0.settings.tenant, user).await?;
        self.0.stores.users.get(&scope, user).await
    }

    /// Ends whatever a user signs in with: sessions and API tokens go, and the password becomes
    /// one that nobody knows.
    pub(crate) async fn end_credentials(&self, user: UserId) -> Result<()> {
        let random = token::random::<32>()?;
        let unknown = Secret::new(URL_SAFE_NO_PAD.encode(random));
        self.put_password(user, &unknown, None).await?;
        let scope = self.of(user);
        // A page holds as many as a user may have.
        const _: () = assert!(PageRequest::MAX_LIMIT >= MAX_TOKENS);
        let tokens = self.0.stores.api_tokens.list(&scope, PageRequest::first(MAX_TOKENS)).await?;
        for token in tokens.data {
            match self.delete_token(&scope, token.id).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the operator does, who may do everything: there is no principal.
impl Accounts {
    /// Makes an account with a password.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `Conflict` if the address has an account.
    pub async fn add_user(
        &self,
        email: EmailAddress,
        name: Option<String>,
        role: Role,
        password: &Secret,
    ) -> Result<User> {
        password::check("password", password)?;
        let name = name_of(name, &email)?;
        self.make(email, name, role, Some(password), Admission::Operator).await
    }

    /// Makes an invite.
    ///
    /// # Errors
    /// `NotFound` if the tenant has nobody yet; what the stores say.
    pub async fn invite_user(&self, new: InviteRequest) -> Result<MadeInvite> {
        self.make_invite(None, new).await
    }

    /// The user whose account this is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_user(&self, email: &EmailAddress) -> Result<User> {
        let login = self.login_of(email).await?;
        self.0.stores.users.get(&self.of(login.user), login.user).await
    }

    async fn login_of(&self, email: &EmailAddress) -> Result<Login> {
        let login = self.0.stores.logins.find(email).await?;
        login
            .filter(|login| login.tenant == self.0.settings.tenant)
            .ok_or_else(|| Error::not_found(format!("there is no account {email}")))
    }

    /// All users.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn list_users(&self, page: PageRequest) -> Result<Page<User>> {
        self.0.stores.users.list(&self.of_tenant(), page).await
    }

    /// Disables or enables an account.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_active(&self, email: &EmailAddress, is_active: bool) -> Result<User> {
        let id = self.login_of(email).await?.user;
        let change = UserChange { is_active: Some(is_active), ..UserChange::default() };
        let user = self.0.stores.users.update(&self.of_tenant(), id, &change, self.now()).await?;
        self.record(AccountEvent::SetActive(id, is_active)).await;
        if !is_active {
            self.sign_out_everywhere(id).await?;
        }
        Ok(user)
    }

    /// Deletes an account with all it has; waits for the end and gives the receipt.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_user(&self, email: &EmailAddress) -> Result<Deleted> {
        let id = self.login_of(email).await?.user;
        let deleted = self.0.engine.tenants().delete_user(self.0.settings.tenant, id).await?;
        self.record(AccountEvent::UserDeleted(id)).await;
        Ok(deleted)
    }

    /// Sets the password of an account, forgives its failed attempts and signs it out
    /// everywhere.
    ///
    /// # Errors
    /// `Invalid` on the field `password`; `NotFound`.
    pub async fn reset_password(&self, email: &EmailAddress, password: &Secret) -> Result<()> {
        password::check("password", password)?;
        let id = self.login_of(email).await?.user;
        self.put_password(id, password, None).await?;
        self.record(AccountEvent::PasswordReset(id)).await;
        self.unlock(None, id).await
    }

    /// Forgives the failed attempts of an account.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn unlock_account(&self, email: &EmailAddress) -> Result<()> {
        let id = self.login_of(email).await?.user;
        self.unlock(None, id).await
    }

    /// Makes the user of local mode this account's user, with all they have. Where the
    /// address has an account already, that one must have nothing of its own yet; else
    /// `password` is the new account's.
    ///
    /// # Errors
    /// `NotFound` if nobody has used local mode; `Conflict` if its user has an account
    /// already, or the account has something of its own.
    pub async fn adopt(&self, email: &EmailAddress, password: Option<&Secret>) -> Result<User> {
        let local = self.local_user().await?;
        let (tenant, now) = (self.0.settings.tenant, self.now());
        match self.0.stores.logins.find(email).await? {
            Some(login) if login.user == local => return self.find_user(email).await,
            Some(login) if login.tenant == tenant => {
                self.has_nothing(&self.of(login.user)).await?;
                self.0.stores.logins.adopt(tenant, login.user, local, now).await?;
                self.0.sessions.forget(|of, _| of.user == login.user);
            }
            Some(_) => return Err(Error::conflict(format!("the account {email} is of another tenant"))),
            None => {
                let password = password.ok_or_else(|| Error::field("password", "is missing"))?;
                password::check("password", password)?;
                let login = Login {
                    email: email.clone(),
                    tenant,
                    user: local,
                    password_hash: Some(self.0.passwords.hash(password).await?),
                    created_at: now,
                    password_changed_at: now,
                };
                self.0.stores.logins.attach(&login).await?;
            }
        }
        self.record(AccountEvent::Adopted(local)).await;
        self.find_user(email).await
    }

    async fn local_user(&self) -> Result<UserId> {
        let nobody =
            || Error::not_found("nobody has used local mode on this database: there is nothing to adopt");
        if self.0.settings.tenant != TenantId::LOCAL {
            return Err(nobody());
        }
        let local = self.of(UserId::LOCAL);
        let found = self.0.stores.users.get(&local, UserId::LOCAL).await;
        found.map(|user| user.id).map_err(|error| match error.kind() {
            ErrorKind::NotFound => nobody(),
            _ => error,
        })
    }

    /// Whether a user has nothing that would be lost.
    async fn has_nothing(&self, scope: &Scope) -> Result<()> {
        let (stores, some) = (&self.0.stores, PageRequest::first(PageRequest::MAX_LIMIT));
        let conversations = stores.conversations.list(scope, &ConversationFilter::default(), some).await?;
        let collections = stores.collections.list(scope, None, some).await?;
        let connections = stores.connections.list(scope, some).await?;
        let prompts = stores.prompts.list(scope, None, some).await?;
        let workspaces = stores.workspaces.list(scope, some).await?;
        let files = stores.files.list(scope, None, IdRange::first(1, Order::Asc), self.now()).await?;
        // Responses that nobody put into a conversation.
        let hidden = ConversationFilter { is_hidden: true, ..ConversationFilter::default() };
        let hidden = stores.conversations.list(scope, &hidden, some).await?;
        let is_empty = conversations.data.is_empty()
            && hidden.data.is_empty()
            && files.data.is_empty()
            && collections.data.iter().all(|collection| collection.is_shared)
            && connections.data.iter().all(|connection| connection.is_shared)
            && prompts.data.iter().all(|prompt| prompt.is_shared)
            && workspaces.data.is_empty();
        if is_empty {
            return Ok(());
        }
        Err(Error::conflict(
            "the account has conversations, collections or other things of its own, which would be lost; adopt with \
             another address, or delete the account first",
        ))
    }

    /// Makes an API token for an account.
    ///
    /// # Errors
    /// `NotFound`; see [`Accounts::create_token`].
    pub async fn create_token_for(&self, email: &EmailAddress, new: ApiTokenRequest) -> Result<MadeApiToken> {
        let user = self.find_user(email).await?;
        self.make_token(&Scope { role: user.role, ..self.of(user.id) }, new).await
    }

    /// The API tokens of an account, newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn tokens_of(&self, email: &EmailAddress, page: PageRequest) -> Result<Page<ApiToken>> {
        let id = self.login_of(email).await?.user;
        self.0.stores.api_tokens.list(&self.of(id), page).await
    }

    /// Deletes an API token of an account.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_token_of(&self, email: &EmailAddress, token: ApiTokenId) -> Result<()> {
        let id = self.login_of(email).await?.user;
        self.delete_token(&self.of(id), token).await
    }
}
