//! What is kept of a login, under its issuer.

use std::sync::{Arc, Mutex, PoisonError};

use aimate_core::Secret;
use aimate_core::tool::TokenKeeper;
use async_trait::async_trait;
use rmcp::transport::auth::{
    AuthError, CredentialRefreshGuard, CredentialStore, OAuthClientConfig, StoredCredentials,
};
use serde::{Deserialize, Serialize};

/// The application at an authorization server, and the user's tokens from it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    credentials: StoredCredentials,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    redirect_url: String,
}

impl Record {
    /// Of an application that is registered, without tokens.
    pub(super) fn of_client(client: &OAuthClientConfig, issuer: &str) -> Self {
        let credentials = StoredCredentials::new(client.client_id.clone(), None, Vec::new(), None);
        Self {
            credentials: credentials.with_issuer(Some(issuer.to_owned())),
            client_secret: client.client_secret.clone(),
            redirect_url: client.redirect_uri.clone(),
        }
    }

    pub(super) fn has_tokens(&self) -> bool {
        self.credentials.token_response.is_some()
    }

    /// The permissions that the user gave.
    pub(super) fn scopes(&self) -> &[String] {
        &self.credentials.granted_scopes
    }

    /// The application as it is registered.
    pub(super) fn client(&self) -> OAuthClientConfig {
        let client = OAuthClientConfig::new(self.credentials.client_id.clone(), self.redirect_url.clone());
        match &self.client_secret {
            Some(secret) => client.with_client_secret(secret.clone()),
            None => client,
        }
    }
}

/// The tokens of one issuer, over the application's keeper of them.
#[derive(Clone)]
pub(super) struct KeeperStore {
    keeper: Arc<dyn TokenKeeper>,
    issuer: Arc<str>,
    /// What was read or written last.
    memory: Arc<Mutex<Option<Record>>>,
}

impl KeeperStore {
    pub(super) fn new(keeper: Arc<dyn TokenKeeper>, issuer: String) -> Self {
        Self { keeper, issuer: issuer.into(), memory: Arc::default() }
    }

    /// What is kept.
    pub(super) async fn read(&self) -> Result<Option<Record>, AuthError> {
        if let Some(record) = self.remembered() {
            return Ok(Some(record));
        }
        let kept = self.keeper.load(&self.issuer).await.map_err(|error| broken(&error))?;
        // What another version wrote and this one cannot read is as good as nothing.
        let record: Option<Record> = kept.and_then(|kept| serde_json::from_str(kept.expose()).ok());
        self.remember(record.clone());
        Ok(record)
    }

    /// Keeps `record`.
    pub(super) async fn write(&self, record: Record) -> Result<(), AuthError> {
        let text = serde_json::to_string(&record).map_err(|error| broken(&error))?;
        self.keeper.save(&self.issuer, Some(Secret::new(text))).await.map_err(|error| broken(&error))?;
        self.remember(Some(record));
        Ok(())
    }

    /// Reads anew next time.
    pub(super) fn forget_memory(&self) {
        self.remember(None);
    }

    fn remembered(&self) -> Option<Record> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, record: Option<Record>) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }
}

#[async_trait]
impl CredentialStore for KeeperStore {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        Ok(self.read().await?.map(|record| record.credentials))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let Some(kept) = self.read().await? else {
            return Err(AuthError::CredentialStoreError("there is no application to log in with".to_owned()));
        };
        self.write(Record { credentials, ..kept }).await
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.keeper.save(&self.issuer, None).await.map_err(|error| broken(&error))?;
        self.remember(None);
        Ok(())
    }

    /// The application stays registered; its tokens go, unless others came meanwhile.
    async fn on_refresh_token_rejected(&self, refused: &StoredCredentials) -> Result<(), AuthError> {
        self.forget_memory();
        let Some(mut kept) = self.read().await? else { return Ok(()) };
        if kept.credentials.token_received_at != refused.token_received_at {
            return Ok(());
        }
        kept.credentials.token_response = None;
        self.write(kept).await
    }

    /// Callers hold the lock of the login; what is read within is what is kept now.
    async fn acquire_refresh_guard(&self) -> Result<Option<CredentialRefreshGuard>, AuthError> {
        self.forget_memory();
        Ok(None)
    }
}

fn broken(error: &dyn std::error::Error) -> AuthError {
    AuthError::CredentialStoreError(error.to_string())
}
