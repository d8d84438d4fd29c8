//! Whose account it is that a provider vouches for.

use aimate_core::identity::Identity;
use aimate_core::login::Admission;
use aimate_core::user::User;
use aimate_core::{EmailAddress, Error, ErrorKind, Result, Role};

use super::not_fitting;
use super::settings::OidcSettings;
use super::verification::Claims;
use crate::accounts::{Accounts, name_of};
use crate::event::AccountEvent;
use crate::settings::RegistrationRule;

/// The user who signs in: known, linked by address if the settings say so, or new.
pub(super) async fn of(accounts: &Accounts, settings: &OidcSettings, claims: &Claims) -> Result<User> {
    let (stores, tenant) = (accounts.stores(), accounts.settings().tenant);
    let identity = Identity::new(settings.issuer.clone(), claims.subject.clone())
        .map_err(|error| not_fitting("the subject is none").with_source(error))?;
    let verified = claims.email.as_deref().filter(|_| claims.is_email_verified);
    let email = verified.and_then(|email| EmailAddress::parse("email", email).ok());
    if !settings.allows(email.as_ref()) {
        return Err(Error::forbidden(
            "this server lets in addresses of certain domains alone, which the provider has verified",
        ));
    }
    if let Some(user) = stores.identities.find(tenant, &identity).await? {
        return accounts.active_user(user).await;
    }
    let Some(email) = email else {
        return Err(Error::forbidden(
            "the provider gives no e-mail address that it has verified, and without one no account is made",
        ));
    };
    if let Some(login) = stores.logins.find(&email).await? {
        if !settings.links_by_email || login.tenant != tenant {
            return Err(Error::forbidden(
                "there is an account that this provider does not sign in to; sign in as before",
            ));
        }
        return linked(accounts, accounts.active_user(login.user).await?, &identity).await;
    }
    let made = created(accounts, settings, email, claims.name.clone(), &identity).await;
    match made {
        // The same person twice at once: the other one made it.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let user = stores.identities.find(tenant, &identity).await?.ok_or(error)?;
            accounts.active_user(user).await
        }
        made => made,
    }
}

/// Gives an account that is there to whom its address is. Who made it may be another, who never
/// had the address: what it was signed in with ends first.
async fn linked(accounts: &Accounts, user: User, identity: &Identity) -> Result<User> {
    let (stores, tenant) = (accounts.stores(), accounts.settings().tenant);
    accounts.end_credentials(user.id).await?;
    stores.identities.link(tenant, user.id, identity, accounts.now()).await?;
    accounts.record(AccountEvent::IdentityLinked(user.id)).await;
    Ok(user)
}

async fn created(
    accounts: &Accounts,
    settings: &OidcSettings,
    email: EmailAddress,
    name: Option<String>,
    identity: &Identity,
) -> Result<User> {
    let rule = settings.registration.unwrap_or(accounts.settings().registration);
    let admission = match accounts.admission(rule, None).await? {
        // Where nobody registers by themselves, nobody becomes the admin by it: whoever first
        // comes from a provider that lets in all of its people is one of them.
        Admission::Anyone | Admission::First if !makes_an_admin(accounts.settings().registration) => {
            Admission::Operator
        }
        admission => admission,
    };
    let name = name_of(name, &email).or_else(|_| name_of(None, &email))?;
    accounts.make_identified(email, name, Role::User, None, Some(identity.clone()), admission).await
}

/// Whether the first account of a server with this rule is an admin's.
fn makes_an_admin(rule: RegistrationRule) -> bool {
    match rule {
        RegistrationRule::Open | RegistrationRule::First => true,
        RegistrationRule::Invite | RegistrationRule::Closed => false,
    }
}
