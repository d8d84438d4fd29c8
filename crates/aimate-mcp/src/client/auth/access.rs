//! The tokens of one user at one server.

use std::sync::{Arc, Mutex, PoisonError};

use aimate_core::provider::AddressSource;
use aimate_core::tool::{TokenKeeper, ToolEndpoint};
use aimate_providers::Transport;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataSource,
};

use super::oauth_http::OAuthHttp;
use super::record::{KeeperStore, Record};

/// What one user has at one server. One refresh is made for all requests that need it: they
/// wait for each other.
pub(in crate::client) struct Access {
    pub(super) transport: Transport,
    pub(super) endpoint: Arc<ToolEndpoint>,
    pub(super) url: String,
    pub(super) source: AddressSource,
    pub(super) keeper: Arc<dyn TokenKeeper>,
    login: tokio::sync::Mutex<Option<KnownLogin>>,
    /// What the server said last that it wants.
    challenge: Mutex<Option<String>>,
}

/// A login that was found or made.
struct KnownLogin {
    manager: AuthorizationManager,
    store: KeeperStore,
}

/// What is known of a server's authorization server.
pub(super) struct Discovered {
    pub(super) manager: AuthorizationManager,
    pub(super) metadata: AuthorizationMetadata,
    /// Under which tokens are kept.
    pub(super) issuer: String,
    /// Whether the server published it; else its addresses are guessed.
    pub(super) is_published: bool,
}

impl Access {
    pub(super) fn new(
        transport: &Transport,
        endpoint: &ToolEndpoint,
        url: &str,
        source: AddressSource,
        keeper: Arc<dyn TokenKeeper>,
    ) -> Self {
        Self {
            transport: transport.clone(),
            endpoint: Arc::new(endpoint.clone()),
            url: url.to_owned(),
            source,
            keeper,
            login: Default::default(),
            challenge: Mutex::default(),
        }
    }

    /// Whether it is that of these settings.
    pub(super) fn is_for(&self, version: u64, url: &str, source: AddressSource) -> bool {
        self.endpoint.version == version && self.url == url && self.source == source
    }

    /// The token to send, renewed if it is about to expire; `None` if there is none.
    pub(in crate::client) async fn token(&self) -> Result<Option<String>, AuthError> {
        let mut login = self.login.lock().await;
        let Some(known) = login.as_ref() else { return Ok(None) };
        match known.manager.get_access_token().await {
            Ok(token) => Ok(Some(token)),
            Err(AuthError::AuthorizationRequired) => {
                *login = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A token other than `refused`: one that was got meanwhile, here or elsewhere, or a
    /// renewed one. `None` if the user has to log in.
    pub(in crate::client) async fn renew(
        &self,
        refused: Option<&str>,
        challenge: &str,
    ) -> Result<Option<String>, AuthError> {
        let mut login = self.login.lock().await;
        if let Some(known) = login.as_ref() {
            if let Some(token) = known.renew(refused).await? {
                return Ok(Some(token));
            }
            *login = None;
        }
        self.challenged(challenge);
        let Some(found) = self.stored(challenge).await? else { return Ok(None) };
        let token = found.renew(refused).await?;
        if token.is_some() {
            *login = Some(found);
        }
        Ok(token)
    }

    /// Remembers what the server wants, for the next login.
    pub(in crate::client) fn challenged(&self, challenge: &str) {
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge.to_owned());
    }

    pub(super) fn challenge(&self) -> Option<String> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what is in memory: a new login was made.
    pub(super) async fn reset(&self) {
        *self.login.lock().await = None;
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Looks for the server's authorization server.
    pub(super) async fn discover(&self, challenge: Option<&str>) -> Result<Discovered, AuthError> {
        let http = Arc::new(OAuthHttp::new(&self.transport, &self.url, self.source));
        let made = AuthorizationManager::new_with_oauth_http_client(self.url.as_str(), http.clone()).await;
        let mut manager = made?;
        let found = manager.resolve_metadata_from_challenge(challenge).await?;
        let is_published = found.source != AuthorizationMetadataSource::LegacyEndpointFallback;
        let metadata = found.metadata;
        let mut addresses = vec![metadata.authorization_endpoint.clone(), metadata.token_endpoint.clone()];
        addresses.extend(metadata.registration_endpoint.clone());
        for address in addresses {
            http.vet(&address).await.map_err(|why| AuthError::MetadataError(why.to_string()))?;
        }
        let issuer = metadata.issuer.clone().unwrap_or_else(|| origin(&metadata.token_endpoint));
        manager.set_metadata(metadata.clone());
        Ok(Discovered { manager, metadata, issuer, is_published })
    }

    /// The login that is kept for the authorization server that the server names now.
    async fn stored(&self, challenge: &str) -> Result<Option<KnownLogin>, AuthError> {
        let Discovered { mut manager, issuer, .. } = self.discover(Some(challenge)).await?;
        let store = KeeperStore::new(self.keeper.clone(), issuer);
        let Some(record) = store.read().await? else { return Ok(None) };
        if !record.has_tokens() {
            return Ok(None);
        }
        manager.configure_client(record.client())?;
        manager.set_credential_store(store.clone());
        Ok(Some(KnownLogin { manager, store }))
    }

    /// What is kept of an earlier login at `issuer`.
    pub(super) async fn earlier(&self, issuer: &str) -> Result<Option<Record>, AuthError> {
        KeeperStore::new(self.keeper.clone(), issuer.to_owned()).read().await
    }
}

impl KnownLogin {
    async fn renew(&self, refused: Option<&str>) -> Result<Option<String>, AuthError> {
        // Another process may have renewed it, and refresh tokens work once.
        self.store.forget_memory();
        let get = || self.manager.get_access_token();
        let known = |error: AuthError| match error {
            AuthError::AuthorizationRequired | AuthError::TokenRefreshRejected(_) => Ok(None),
            error => Err(error),
        };
        match get().await {
            Ok(token) if refused != Some(token.as_str()) => return Ok(Some(token)),
            Ok(_) => {}
            Err(error) => return known(error),
        }
        match self.manager.refresh_token().await {
            Ok(_) => get().await.map(Some).or_else(known),
            Err(error) => known(error),
        }
    }
}

/// The origin of `url`.
fn origin(url: &str) -> String {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_else(|_| url.to_owned())
}
