//! Invites, which admins make.

use aimate_core::invite::Invite;
use aimate_core::{Error, InviteId, Page, PageRequest, Result, Role, Scope, UserId};

use super::{Accounts, InviteRequest, MadeInvite, Principal};
use crate::event::AccountEvent;
use crate::token;

impl Accounts {
    /// Makes an invite, with which one person may register.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin.
    pub async fn invite(&self, principal: &Principal, new: InviteRequest) -> Result<MadeInvite> {
        admin(&principal.scope, "invites others")?;
        self.make_invite(Some(principal.scope.user), new).await
    }

    pub(super) async fn make_invite(&self, by: Option<UserId>, new: InviteRequest) -> Result<MadeInvite> {
        let (now, (token, token_hash)) = (self.now(), token::invite()?);
        let invite = Invite {
            id: self.0.engine.sources().id(),
            token_hash,
            email: new.email,
            role: new.role,
            user_id: by,
            created_at: now,
            expires_at: now.plus(self.0.settings.invite_ttl),
        };
        self.0.stores.invites.create(&self.of_tenant(), &invite).await?;
        self.record(AccountEvent::InviteMade(by, invite.id)).await;
        Ok(MadeInvite { invite, token })
    }

    /// The invites that nobody has used, newest first.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin.
    pub async fn invites(&self, principal: &Principal, page: PageRequest) -> Result<Page<Invite>> {
        admin(&principal.scope, "sees invites")?;
        self.0.stores.invites.list(&principal.scope, page).await
    }

    /// Deletes an invite; nobody registers with it any more.
    ///
    /// # Errors
    /// `Forbidden` if the principal is no admin; `NotFound`.
    pub async fn delete_invite(&self, principal: &Principal, id: InviteId) -> Result<()> {
        admin(&principal.scope, "deletes invites")?;
        self.0.stores.invites.delete(&principal.scope, id).await?;
        self.record(AccountEvent::InviteDeleted(principal.scope.user, id)).await;
        Ok(())
    }

    /// The scope of the operator, in the tenant of all accounts.
    pub(super) fn of_tenant(&self) -> Scope {
        Scope { tenant: self.0.settings.tenant, user: UserId::SHARED, role: Role::Admin }
    }
}

pub(super) fn admin(scope: &Scope, what: &str) -> Result<()> {
    match scope.role {
        Role::Admin => Ok(()),
        Role::User => Err(Error::forbidden(format!("only an admin {what}"))),
    }
}
