//! API tokens of a principal.

use aimate_core::api_token::{ApiToken, TokenScope};
use aimate_core::{ApiTokenId, Error, Page, PageRequest, Result, Role, Scope};

use super::{Accounts, ApiTokenRequest, Credential, MadeApiToken, Principal};
use crate::event::AccountEvent;
use crate::token::ApiTokenText;

/// Characters of a token's name at most.
const MAX_NAME: usize = 200;

impl Accounts {
    /// The principal's API tokens, newest first.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn tokens(&self, principal: &Principal, page: PageRequest) -> Result<Page<ApiToken>> {
        self.0.stores.api_tokens.list(&principal.scope, page).await
    }

    /// Makes an API token for the principal's user. A session may make any that its user
    /// could use; an API token makes none, so that one that leaked does not live on in
    /// others.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `Forbidden` for an API token, and for `admin` where
    /// the user is none; `Conflict` if they have too many.
    pub async fn create_token(&self, principal: &Principal, new: ApiTokenRequest) -> Result<MadeApiToken> {
        if matches!(principal.credential, Credential::ApiToken { .. }) {
            return Err(Error::forbidden("an API token makes no other one; sign in"));
        }
        self.make_token(&principal.scope, new).await
    }

    pub(super) async fn make_token(&self, scope: &Scope, new: ApiTokenRequest) -> Result<MadeApiToken> {
        let now = self.now();
        let length = new.name.chars().count();
        if new.name.trim().is_empty() || length > MAX_NAME {
            let why = format!("has {length} characters; it needs 1 to {MAX_NAME} that are not blank");
            return Err(Error::field("name", why));
        }
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(Error::field("scopes", "is empty; it needs one or more of `read`, `write`, `admin`"));
        }
        if scopes.contains(&TokenScope::Admin) && scope.role != Role::Admin {
            return Err(Error::forbidden("only an admin makes a token for administration"));
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::field("expires_at", "is over already; it must be in the future"));
        }
        let (text, secret) = ApiTokenText::generate()?;
        let token = ApiToken {
            id: self.0.engine.sources().id(),
            name: new.name,
            prefix: text.prefix,
            secret_hash: text.secret_hash,
            scopes,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        self.0.stores.api_tokens.create(scope, &token).await?;
        self.record(AccountEvent::ApiTokenMade(scope.user, token.id)).await;
        Ok(MadeApiToken { token, secret })
    }

    /// Deletes an API token of the principal's user; it is good for nothing from now on.
    ///
    /// # Errors
    /// `NotFound` if they have none of this id.
    pub async fn revoke_token(&self, principal: &Principal, id: ApiTokenId) -> Result<()> {
        self.delete_token(&principal.scope, id).await
    }

    pub(super) async fn delete_token(&self, scope: &Scope, id: ApiTokenId) -> Result<()> {
        let deleted = self.0.stores.api_tokens.delete(scope, id).await;
        self.0.api_tokens.forget(|_, known| known.0.token.id == id);
        deleted?;
        self.record(AccountEvent::ApiTokenDeleted(scope.user, id)).await;
        Ok(())
    }
}
