//! A login: the person is sent to the authorization server, and comes back with a code.

use std::sync::{Arc, Mutex, PoisonError};

use aimate_core::tool::ToolEndpoint;
use aimate_core::{Error, Result, Secret};
use aimate_providers::Redirects;
use async_trait::async_trait;
use rmcp::transport::auth::{
    AuthError, AuthorizationCallback, AuthorizationMetadata, OAuthClientConfig, StateStore,
    StoredAuthorizationState, WWWAuthenticateParams,
};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::access::Discovered;
use super::record::{KeeperStore, Record};
use super::{Logins, probe};
use crate::client::errors::Errors;

/// What is kept of a login until the person comes back.
#[derive(Serialize, Deserialize)]
struct PendingLogin {
    /// The tool server.
    url: String,
    issuer: String,
    /// What the server said that it wants.
    challenge: Option<String>,
    metadata: AuthorizationMetadata,
    client_id: String,
    client_secret: Option<String>,
    redirect_url: String,
    /// The `state` of the login.
    csrf: String,
    /// What belongs to it: the verifier, and the issuer that is expected.
    state: StoredAuthorizationState,
}

impl Logins {
    /// Begins a login: where the person goes, and what is kept until they come back.
    pub(in crate::client) async fn begin(
        &self,
        endpoint: &ToolEndpoint,
        redirect_url: &str,
    ) -> Result<(String, Secret)> {
        let errors = Errors(endpoint);
        let failed = |error: AuthError| errors.login(&error).with_source(error);
        let access = self.access(endpoint).ok_or_else(|| errors.without("login: none is set up for it"))?;
        let challenge = match access.challenge() {
            Some(challenge) => Some(challenge),
            None => {
                let client =
                    self.transport.raw_client(&access.url, access.source, Redirects::SameOrigin).await?;
                probe(&client, endpoint).await?.challenge
            }
        };
        let mut found = access.discover(challenge.as_deref()).await.map_err(failed)?;
        if !found.is_published && challenge.is_none() {
            return Err(errors.without("login"));
        }
        let earlier = access.earlier(&found.issuer).await.map_err(failed)?;
        let scopes = scopes(&found, challenge.as_deref(), &access.url, earlier.as_ref()).await;
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let client = self.client(endpoint, &mut found, earlier.as_ref(), redirect_url, &scopes).await;
        let client = client.map_err(failed)?;
        found.manager.configure_client(client.clone()).map_err(failed)?;
        let states = States::default();
        found.manager.set_state_store(states.clone());
        let address = found.manager.get_authorization_url(&scopes).await.map_err(failed)?;
        let Some((csrf, state)) = states.take() else {
            return Err(Error::internal("the login was not put down"));
        };
        let attempt = PendingLogin {
            url: access.url.clone(),
            challenge,
            issuer: found.issuer,
            metadata: found.metadata,
            client_id: client.client_id,
            client_secret: client.client_secret,
            redirect_url: redirect_url.to_owned(),
            csrf,
            state,
        };
        let kept = serde_json::to_string(&attempt)
            .map_err(|error| Error::internal("the login cannot be written down").with_source(error))?;
        Ok((address, Secret::new(kept)))
    }

    /// Who the application is: as set for the server, by its metadata document, as registered
    /// before, or as it registers itself now.
    async fn client(
        &self,
        endpoint: &ToolEndpoint,
        found: &mut Discovered,
        earlier: Option<&Record>,
        redirect_url: &str,
        scopes: &[&str],
    ) -> Result<OAuthClientConfig, AuthError> {
        if let Some(own) = &endpoint.oauth_client {
            let client = OAuthClientConfig::new(own.id.clone(), redirect_url);
            return Ok(match &own.secret {
                Some(secret) => client.with_client_secret(secret.expose()),
                None => client,
            });
        }
        let reads_documents = found.metadata.additional_fields.get("client_id_metadata_document_supported");
        if let Some(url) = &self.client_metadata_url
            && reads_documents.and_then(serde_json::Value::as_bool) == Some(true)
        {
            return Ok(OAuthClientConfig::new(url.clone(), redirect_url));
        }
        if let Some(earlier) = earlier.map(Record::client).filter(|one| one.redirect_uri == redirect_url) {
            return Ok(earlier);
        }
        // What kind of application registers is taken from the last one that was set.
        let kind = if is_local(redirect_url) { "native" } else { "web" };
        let stand_in = OAuthClientConfig::new("", redirect_url).with_application_type(kind);
        found.manager.configure_client(stand_in)?;
        found.manager.register_client("aiMate", redirect_url, scopes).await
    }

    /// Ends a login: `callback` is where the person came back to.
    pub(in crate::client) async fn end(
        &self,
        endpoint: &ToolEndpoint,
        attempt: &Secret,
        callback: &str,
    ) -> Result<()> {
        let errors = Errors(endpoint);
        let failed = |error: AuthError| errors.login(&error).with_source(error);
        let access = self.access(endpoint).ok_or_else(|| errors.without("login: none is set up for it"))?;
        let attempt: PendingLogin = serde_json::from_str(attempt.expose())
            .map_err(|error| Error::invalid("this is no login that was begun here").with_source(error))?;
        if attempt.url != access.url {
            return Err(Error::invalid("the address of the tool server changed since the login was begun"));
        }
        let answer = read_callback(callback, &attempt)?;
        // The server may have another authorization server by now, which must not be given this code.
        let found = access.discover(attempt.challenge.as_deref()).await.map_err(failed)?;
        if found.issuer != attempt.issuer {
            return Err(errors.nonsense("has another authorization server than when the login was begun"));
        }
        let mut manager = found.manager;
        manager.set_metadata(attempt.metadata.clone());
        let states = States::default();
        states.put(attempt.csrf.clone(), attempt.state.clone());
        manager.set_state_store(states);
        let client = attempt.client();
        let store = KeeperStore::new(access.keeper.clone(), attempt.issuer.clone());
        let earlier = store.read().await.map_err(failed)?;
        let is_known = earlier.is_some_and(|earlier| {
            let earlier = earlier.client();
            earlier.client_id == client.client_id
                && earlier.client_secret == client.client_secret
                && earlier.redirect_uri == client.redirect_uri
        });
        if !is_known {
            store.write(Record::of_client(&client, &attempt.issuer)).await.map_err(failed)?;
        }
        manager.configure_client(client).map_err(failed)?;
        manager.set_credential_store(store);
        let issuer = answer.issuer.as_deref();
        let exchange = manager.exchange_code_for_token_with_issuer(&answer.code, &answer.csrf_token, issuer);
        exchange.await.map_err(failed)?;
        access.reset().await;
        Ok(())
    }
}

impl PendingLogin {
    fn client(&self) -> OAuthClientConfig {
        let client = OAuthClientConfig::new(self.client_id.clone(), self.redirect_url.clone());
        match &self.client_secret {
            Some(secret) => client.with_client_secret(secret.clone()),
            None => client,
        }
    }
}

/// Which permissions to ask for: what the server wants now, beside what the user gave before
/// where that is too little.
async fn scopes(
    found: &Discovered,
    challenge: Option<&str>,
    url: &str,
    earlier: Option<&Record>,
) -> Vec<String> {
    let mut scopes = found.manager.select_initial_scopes(&[]).await;
    let wants_more = challenge.zip(Url::parse(url).ok()).is_some_and(|(challenge, url)| {
        WWWAuthenticateParams::parse(challenge, &url).is_insufficient_scope()
    });
    if wants_more {
        for scope in earlier.map(Record::scopes).unwrap_or_default() {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
    }
    scopes
}

/// What the authorization server told by the person's browser.
fn read_callback(callback: &str, attempt: &PendingLogin) -> Result<AuthorizationCallback> {
    let invalid = |why: &'static str| Error::invalid(why);
    let url =
        Url::parse(callback).map_err(|_| invalid("the address that the browser came back to is no URL"))?;
    let value =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if value("state").as_deref() != Some(attempt.csrf.as_str()) {
        return Err(invalid("the browser came back from another login than the one that was begun"));
    }
    if value("error").is_some_and(|error| !error.is_empty()) {
        return Err(invalid("the authorization server refused the login, or the person did"));
    }
    AuthorizationCallback::from_redirect_url(callback)
        .map_err(|error| invalid("the browser came back without a code").with_source(error))
}

fn is_local(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The state of one login.
#[derive(Clone, Default)]
struct States(Arc<Mutex<Option<(String, StoredAuthorizationState)>>>);

impl States {
    fn put(&self, csrf: String, state: StoredAuthorizationState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((csrf, state));
    }

    fn take(&self) -> Option<(String, StoredAuthorizationState)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl StateStore for States {
    async fn save(&self, csrf: &str, state: StoredAuthorizationState) -> Result<(), AuthError> {
        self.put(csrf.to_owned(), state);
        Ok(())
    }

    async fn load(&self, csrf: &str) -> Result<Option<StoredAuthorizationState>, AuthError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(kept.filter(|(known, _)| known == csrf).map(|(_, state)| state))
    }

    async fn delete(&self, _: &str) -> Result<(), AuthError> {
        drop(self.take());
        Ok(())
    }
}
