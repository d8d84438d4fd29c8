//! What an operator decides about accounts.

use std::time::Duration;

use aimate_core::TenantId;

use crate::signing_secret::SigningSecret;

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationRule {
    /// The first account, which becomes an admin; afterwards those with an invite.
    #[default]
    First,
    /// Anybody; the first account becomes an admin.
    Open,
    /// Those with an invite.
    Invite,
    /// Nobody: the operator makes accounts.
    Closed,
}

/// What an operator decides about accounts; every field has a default but the secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccountSettings {
    /// What access tokens are signed with.
    pub secret: SigningSecret,
    /// The secret before it, whose tokens are good until they end. Default: none.
    pub previous_secret: Option<SigningSecret>,
    /// Who may register. Default: the first account.
    pub registration: RegistrationRule,
    /// How long an access token is good: at most 15 minutes. Default: 15 minutes.
    pub access_ttl: Duration,
    /// How long a session lasts without being renewed. Default: 30 days.
    pub refresh_ttl: Duration,
    /// How long a session lasts at most. Default: 180 days.
    pub max_session: Duration,
    /// How long an invite is good. Default: 7 days.
    pub invite_ttl: Duration,
    /// Who issues access tokens (`iss`). Default: `aimate`.
    pub issuer: String,
    /// Whom they are for (`aud`). Default: `aimate`.
    pub audience: String,
    /// The tenant of all accounts. Default: that of local mode.
    pub tenant: TenantId,
}

/// How long an access token is good at most.
pub(crate) const MAX_ACCESS_TTL: Duration = Duration::from_secs(15 * 60);

impl AccountSettings {
    /// The defaults, with this secret.
    pub fn new(secret: SigningSecret) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            secret,
            previous_secret: None,
            registration: RegistrationRule::default(),
            access_ttl: MAX_ACCESS_TTL,
            refresh_ttl: 30 * DAY,
            max_session: 180 * DAY,
            invite_ttl: 7 * DAY,
            issuer: "aimate".to_owned(),
            audience: "aimate".to_owned(),
            tenant: TenantId::LOCAL,
        }
    }

    /// Sets [`AccountSettings::previous_secret`].
    #[must_use]
    pub fn previous_secret(self, secret: SigningSecret) -> Self {
        Self { previous_secret: Some(secret), ..self }
    }

    /// Sets [`AccountSettings::registration`].
    #[must_use]
    pub fn registration(self, registration: RegistrationRule) -> Self {
        Self { registration, ..self }
    }

    /// Sets [`AccountSettings::issuer`] and [`AccountSettings::audience`].
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), ..self }
    }

    /// Sets [`AccountSettings::access_ttl`]; more than 15 minutes are 15 minutes.
    #[must_use]
    pub fn access_ttl(self, access_ttl: Duration) -> Self {
        Self { access_ttl: access_ttl.min(MAX_ACCESS_TTL), ..self }
    }

    /// Sets [`AccountSettings::refresh_ttl`].
    #[must_use]
    pub fn refresh_ttl(self, refresh_ttl: Duration) -> Self {
        Self { refresh_ttl, ..self }
    }

    /// Sets [`AccountSettings::max_session`].
    #[must_use]
    pub fn max_session(self, max_session: Duration) -> Self {
        Self { max_session, ..self }
    }

    /// Sets [`AccountSettings::invite_ttl`].
    #[must_use]
    pub fn invite_ttl(self, invite_ttl: Duration) -> Self {
        Self { invite_ttl, ..self }
    }

    /// Sets [`AccountSettings::tenant`].
    #[must_use]
    pub fn tenant(self, tenant: TenantId) -> Self {
        Self { tenant, ..self }
    }
}
