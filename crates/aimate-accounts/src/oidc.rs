//! Signing in with an OpenID provider: Authorization Code with PKCE.
//!
//! [`Oidc::start`] sends the browser to the provider and gives it a cookie, in which what
//! the answer has to fit is sealed: the state, the nonce, the verifier of the code.
//! [`Oidc::finish`] takes the answer of that same browser, exchanges the code and checks the
//! ID token; its issuer and subject are who signed in.

mod account;
mod attempt;
mod settings;
mod verification;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aimate_core::login::Attempt;
use aimate_core::provider::AddressSource;
use aimate_core::sealing::Sealer;
use aimate_core::{Error, ErrorKind, Result, Secret, Timestamp};
use async_trait::async_trait;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreProviderMetadata, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SubjectIdentifier, UserInfoError,
};
use subtle::ConstantTimeEq;
use url::Url;

use crate::accounts::{Accounts, Client, SignedIn, allowed};
use crate::event::AccountEvent;
use crate::lockout;
use attempt::OidcAttempt;
pub use settings::OidcSettings;
use verification::{Claims, Unverified};

/// A request to a provider.
pub type OidcRequest = openidconnect::HttpRequest;
/// A provider's answer.
pub type OidcResponse = openidconnect::HttpResponse;

/// How long what a provider says of itself is taken for true.
const FRESH: Duration = Duration::from_secs(3_600);
/// How old it must be at least before it is asked again for a key that it did not list.
const AGAIN: Duration = Duration::from_secs(60);

/// What asks providers: the application's own HTTP client, with its rules for addresses.
#[async_trait]
pub trait OidcClient: Send + Sync {
    /// Sends one request and reads the whole answer, of whatever status; follows no
    /// redirection. `source` says whether the operator gave the address, or the provider.
    async fn send(&self, request: OidcRequest, source: AddressSource) -> Result<OidcResponse>;
}

/// Where to send the browser.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OidcStart {
    /// The provider's page.
    pub location: Url,
    /// What the browser keeps for [`Oidc::finish`], for ten minutes: to be set as a cookie
    /// that only this server sees (`HttpOnly`, `SameSite=Lax`).
    pub cookie: Secret,
}

/// What the browser came back with: the query of the address it was sent to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OidcAnswer {
    /// `state`.
    pub state: String,
    /// `code`, if the provider gives one.
    pub code: Option<Secret>,
    /// `iss`, if it says who it is (RFC 9207).
    pub issuer: Option<String>,
}

impl OidcAnswer {
    /// The answer of these.
    pub fn new(state: impl Into<String>, code: Option<Secret>, issuer: Option<String>) -> Self {
        Self { state: state.into(), code, issuer }
    }
}

/// Who came back, and to where.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OidcSignedIn {
    /// Who is signed in now.
    pub signed_in: SignedIn,
    /// The path of this server that was asked for at the start.
    pub return_to: String,
}

/// Signs people in with OpenID providers. Clones share what they keep in memory.
#[derive(Clone)]
pub struct Oidc(Arc<KnownProviders>);

struct KnownProviders {
    accounts: Accounts,
    sealer: Sealer,
    client: Arc<dyn OidcClient>,
    providers: BTreeMap<String, Provider>,
}

struct Provider {
    settings: OidcSettings,
    known: Mutex<Option<(Timestamp, Arc<CoreProviderMetadata>)>>,
}

type ReadyClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl Oidc {
    /// Signs in to `accounts` with these providers; `sealer` seals what browsers keep.
    ///
    /// # Errors
    /// `Invalid` if a provider's settings are wrong or a name occurs twice.
    pub fn new(
        accounts: Accounts,
        sealer: impl Into<Sealer>,
        client: Arc<dyn OidcClient>,
        providers: impl IntoIterator<Item = OidcSettings>,
    ) -> Result<Self> {
        let mut known = BTreeMap::new();
        for settings in providers {
            settings.check()?;
            let name = settings.name.clone();
            if known.insert(name.clone(), Provider { settings, known: Mutex::default() }).is_some() {
                return Err(Error::invalid(format!("there are two OpenID providers of the name `{name}`")));
            }
        }
        Ok(Self(Arc::new(KnownProviders { accounts, sealer: sealer.into(), client, providers: known })))
    }

    /// The names of the providers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.providers.keys().map(String::as_str)
    }

    /// Begins to sign in with a provider. `return_to` is the path of this server that the
    /// browser goes to afterwards; what is none is `/`.
    ///
    /// # Errors
    /// `NotFound` if there is no such provider; `Unavailable` or `Upstream` if it cannot be
    /// asked.
    pub async fn start(&self, provider: &str, return_to: Option<&str>) -> Result<OidcStart> {
        let of = self.provider(provider)?;
        let metadata = self.metadata(of, false).await?;
        let client = of.client(&metadata)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in &of.settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (location, state, nonce) = request.url();
        let attempt = OidcAttempt {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            return_to: settings::own_path(return_to).to_owned(),
            begun_at: self.0.accounts.now().0,
        };
        let cookie = attempt.seal(&self.0.sealer, &of.settings).await?;
        Ok(OidcStart { location, cookie })
    }

    /// Ends to sign in: takes what the provider's page sent the browser back with, and the
    /// cookie that the browser kept.
    ///
    /// # Errors
    /// `NotFound` if there is no such provider; `Unauthenticated` if anything of the answer
    /// does not fit; `Forbidden` if nobody may come in by it: the account is disabled, there is
    /// none and registration is closed, the address is of another domain or not verified, or
    /// belongs to an account that is not to be linked.
    pub async fn finish(
        &self,
        provider: &str,
        cookie: &str,
        answer: &OidcAnswer,
        client: &Client,
    ) -> Result<OidcSignedIn> {
        let of = self.provider(provider)?;
        let (attempt, code) = self.begun(of, cookie, answer).await?;
        let network = self.use_up(&attempt, client).await?;
        let claims = self.verified(of, &attempt, code).await;
        // A provider that cannot be asked is no failure of who asks.
        let is_no_failure = claims.as_ref().map_or_else(is_outage, |_| true);
        if is_no_failure && !network.is_empty() {
            self.0.accounts.stores().logins.succeeded(&[], &network).await?;
        }
        let signed_in = match claims {
            Ok(claims) => self.come(of, &claims, client).await,
            Err(error) => Err(error),
        };
        // Of attempts that were begun here alone, and once of each: strangers do not fill the log.
        if signed_in.as_ref().is_err_and(is_refusal) {
            self.0.accounts.record(AccountEvent::SignInFailed(None)).await;
        }
        Ok(OidcSignedIn { signed_in: signed_in?, return_to: attempt.return_to })
    }

    /// The session of whom a provider vouches for.
    async fn come(&self, of: &Provider, claims: &Claims, client: &Client) -> Result<SignedIn> {
        let accounts = &self.0.accounts;
        let user = account::of(accounts, &of.settings, claims).await?;
        accounts.begin_session(user, client).await
    }

    fn provider(&self, name: &str) -> Result<&Provider> {
        self.0.providers.get(name).ok_or_else(|| Error::missing("OpenID provider", name))
    }

    /// The attempt that this answer ends, and the code, if it fits what was begun.
    async fn begun<'a>(
        &self,
        of: &Provider,
        cookie: &str,
        answer: &'a OidcAnswer,
    ) -> Result<(OidcAttempt, &'a Secret)> {
        if !attempt::may_be_one(cookie, &answer.state) {
            return Err(not_fitting("there is no cookie, or no state"));
        }
        let now = self.0.accounts.now();
        let attempt = OidcAttempt::open(cookie, &self.0.sealer, &of.settings, now).await?;
        if !bool::from(attempt.state.as_bytes().ct_eq(answer.state.as_bytes())) {
            return Err(not_fitting("the state is not the one of this browser"));
        }
        // Another provider's answer must not be taken for this one's (mix-up).
        if answer.issuer.as_ref().is_some_and(|issuer| *issuer != of.settings.issuer) {
            return Err(not_fitting("the answer is of another issuer"));
        }
        let code = answer.code.as_ref().ok_or_else(|| not_fitting("the provider gave no code"))?;
        Ok((attempt, code))
    }

    /// What the ID token says that the provider gives for the code.
    async fn verified(&self, of: &Provider, attempt: &OidcAttempt, code: &Secret) -> Result<Claims> {
        let now = self.0.accounts.now();
        let metadata = self.metadata(of, false).await?;
        let token = self.exchanged(of, &metadata, code, attempt).await?;
        let nonce = Nonce::new(attempt.nonce.clone());
        let claims = match verification::claims(&of.client(&metadata)?, &token, &nonce, now) {
            // The provider signs with a new key.
            Err(Unverified::UnknownKey) => {
                let metadata = self.metadata(of, true).await?;
                verification::claims(&of.client(&metadata)?, &token, &nonce, now)
            }
            outcome => outcome,
        };
        let mut claims = claims.map_err(|why| not_fitting(why.as_str()))?;
        if claims.email.is_none() && metadata.userinfo_endpoint().is_some() {
            let asked = self.user_info(of, &metadata, &token, &claims.subject).await?;
            claims = Claims::of_user_info(claims.subject, &asked);
        }
        Ok(claims)
    }

    /// Takes an attempt once, in whatever process, and counts it for the client's network, in one
    /// commit: while the network has to wait, the attempt stays good. Returns what it was counted
    /// for.
    async fn use_up(&self, attempt: &OidcAttempt, client: &Client) -> Result<Vec<Vec<u8>>> {
        let (accounts, now) = (&self.0.accounts, self.0.accounts.now());
        accounts.clear_old_attempts(now).await;
        let once = lockout::once(attempt.state.as_bytes(), attempt::LASTS);
        let network = client.ip.map(lockout::network_limit);
        let limits: Vec<_> = [once].into_iter().chain(network).collect();
        match accounts.stores().logins.attempt(&limits, now).await? {
            // Networks are never locked.
            Attempt::Locked => return Err(not_fitting("the attempt was ended before")),
            outcome => allowed(outcome, now)?,
        }
        Ok(limits.into_iter().skip(1).map(|limit| limit.subject).collect())
    }

    async fn exchanged(
        &self,
        of: &Provider,
        metadata: &CoreProviderMetadata,
        code: &Secret,
        attempt: &OidcAttempt,
    ) -> Result<CoreTokenResponse> {
        let client = of.client(metadata)?;
        let exchange = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .map_err(|_| of.unusable("it has no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let asking = self.asking(of);
        exchange.request_async(&asking).await.map_err(|error| match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(_) => not_fitting("the provider refused the code"),
            // What was sent may have tokens in it: no word of it goes anywhere.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                of.unusable("its answer to the code is none")
            }
        })
    }

    /// What the provider says of a person outside of the ID token, where most put the address.
    async fn user_info(
        &self,
        of: &Provider,
        metadata: &CoreProviderMetadata,
        token: &CoreTokenResponse,
        subject: &str,
    ) -> Result<CoreUserInfoClaims> {
        let client = of.client(metadata)?;
        let subject = SubjectIdentifier::new(subject.to_owned());
        let request = client
            .user_info(token.access_token().clone(), Some(subject))
            .map_err(|_| of.unusable("it has no endpoint for user info"))?;
        let asking = self.asking(of);
        request.request_async(&asking).await.map_err(|error| match error {
            UserInfoError::Request(error) => error,
            UserInfoError::ClaimsVerification(_) => not_fitting("the user info is of somebody else"),
            // It may quote what came, which is personal.
            _ => of.unusable("its user info is none"),
        })
    }

    /// What the provider says of itself and its keys: known, or asked for, if it is old or, with
    /// `anew`, not of this minute.
    async fn metadata(&self, of: &Provider, anew: bool) -> Result<Arc<CoreProviderMetadata>> {
        let now = self.0.accounts.now();
        let known = of.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fresh = if anew { AGAIN } else { FRESH };
        if let Some((since, metadata)) = known
            && now.since(since) < fresh
        {
            return Ok(metadata);
        }
        let issuer = IssuerUrl::new(of.settings.issuer.clone()).map_err(|_| of.unusable("it is no URL"))?;
        let asking = self.asking(of);
        let found = CoreProviderMetadata::discover_async(issuer, &asking).await;
        let metadata = Arc::new(found.map_err(|error| match error {
            openidconnect::DiscoveryError::Request(error) => error,
            other => of.unusable("what it says of itself is not usable").with_source(other.to_string()),
        })?);
        for (what, url) in [
            ("authorization endpoint", Some(metadata.authorization_endpoint().url())),
            ("token endpoint", metadata.token_endpoint().map(|endpoint| endpoint.url())),
        ] {
            if !url.is_some_and(settings::is_safe) {
                return Err(of.unusable(&format!("its {what} is missing or not `https:`")));
            }
        }
        let known = Some((now, metadata.clone()));
        *of.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(metadata)
    }

    /// What asks the provider.
    fn asking(&self, of: &Provider) -> Asking {
        Asking { client: self.0.client.clone(), settings: of.settings.clone() }
    }
}

/// Asks a provider, over TLS alone. What the operator did not name itself is asked like any
/// address of a stranger. It borrows nothing, so that futures that hold it can go to another thread.
struct Asking {
    client: Arc<dyn OidcClient>,
    settings: OidcSettings,
}

impl Asking {
    async fn send(&self, request: OidcRequest) -> Result<OidcResponse> {
        let unusable = |why| unusable(&self.settings, why);
        let url = Url::parse(&request.uri().to_string()).map_err(|_| unusable("an address is no URL"))?;
        if !settings::is_safe(&url) {
            return Err(unusable("an address of it is not `https:`"));
        }
        let is_own = self.settings.host() == url.host_str().map(str::to_owned);
        let source = if is_own { AddressSource::Operator } else { AddressSource::Untrusted };
        self.client.send(request, source).await
    }
}

impl<'c> AsyncHttpClient<'c> for Asking {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<OidcResponse>> + Send + 'c>>;

    fn call(&'c self, request: OidcRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Provider {
    fn client(&self, metadata: &CoreProviderMetadata) -> Result<ReadyClient> {
        let settings = &self.settings;
        let redirect = RedirectUrl::new(settings.redirect_url.clone())
            .map_err(|_| self.unusable("the address to come back to is no URL"))?;
        let secret = settings.client_secret.as_ref();
        Ok(CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(settings.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.expose().to_owned())),
        )
        .set_redirect_uri(redirect)
        .set_auth_type(secret_goes(metadata)))
    }

    fn unusable(&self, why: &str) -> Error {
        unusable(&self.settings, why)
    }
}

fn unusable(settings: &OidcSettings, why: &str) -> Error {
    Error::upstream(format!("the OpenID provider `{}` cannot be used: {why}", settings.name))
}

/// Where the client's secret goes: into a header, unless the provider takes it in the form alone.
fn secret_goes(metadata: &CoreProviderMetadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
    if takes(CoreClientAuthMethod::ClientSecretPost) && !takes(CoreClientAuthMethod::ClientSecretBasic) {
        return AuthType::RequestBody;
    }
    AuthType::BasicAuth
}

/// Whether nobody is let in by this.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden)
}

/// Whether the provider could not be asked.
fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Upstream | ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// The one sentence for whatever does not fit; why is for the log.
fn not_fitting(why: &str) -> Error {
    Error::unauthenticated("signing in did not succeed; begin again").with_source(why.to_owned())
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
