//! Signing in with an OpenID provider that runs within the test and can be made to lie.
#![cfg(feature = "oidc")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

#[path = "oidc/provider.rs"]
mod provider;

use std::sync::Arc;
use std::time::Duration;

use aimate_accounts::{
    AccountSettings, Accounts, ApiTokenRequest, Client, Oidc, OidcAnswer, OidcSettings, OidcSignedIn,
    Registration, RegistrationRule, SigningSecret,
};
use aimate_core::api_token::TokenScope;
use aimate_core::audit::AuditFilter;
use aimate_core::testing::FixedClock;
use aimate_core::user::UserChange;
use aimate_core::{
    ClockAndIds, Engine, Error, ErrorKind, KeyRing, PageRequest, RandomIds, Result, Role, Secret,
};
use aimate_store::Store;
use provider::{Lie, Provider};

const BACK: &str = "https://chat.example.org/api/v1/auth/oidc/acme/callback";

struct House {
    clock: Arc<FixedClock>,
    store: Store,
    keys: Secret,
    accounts: Accounts,
    engine: Engine,
    oidc: Oidc,
    provider: Arc<Provider>,
}

impl House {
    /// The same server in another process.
    fn twin(&self) -> Oidc {
        let accounts =
            Accounts::new(self.engine.clone(), self.store.clone(), self.accounts.settings().clone());
        let ring = KeyRing::parse(self.keys.expose()).unwrap();
        Oidc::new(accounts, ring, self.provider.clone(), [acme("acme")]).unwrap()
    }
}

fn acme(name: &str) -> OidcSettings {
    OidcSettings::new(name, "https://login.example.org", "aimate", BACK)
        .client_secret(Some(Secret::new("cs-Hd7KxQz2")))
}

/// A browser that was sent to the provider and came back.
struct Visit {
    cookie: Secret,
    answer: OidcAnswer,
}

impl House {
    async fn with(rule: RegistrationRule, settings: impl FnOnce(OidcSettings) -> OidcSettings) -> Self {
        let clock = Arc::new(FixedClock::at(1_767_225_600_000_000));
        let sources = ClockAndIds { clock: clock.clone(), ids: Arc::new(RandomIds) };
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        let engine = Engine::builder().sources(sources).store(store.clone()).build().await.unwrap();
        let account_settings = AccountSettings::new(SigningSecret::generate().unwrap()).registration(rule);
        let accounts = Accounts::new(engine.clone(), store.clone(), account_settings);
        let provider = Provider::new("https://login.example.org", clock.clone());
        let keys = KeyRing::generate().unwrap();
        let ring = KeyRing::parse(keys.expose()).unwrap();
        let both = [settings(acme("acme")), acme("other")];
        let oidc = Oidc::new(accounts.clone(), ring, provider.clone(), both).unwrap();
        Self { clock, store, keys, accounts, engine, oidc, provider }
    }

    async fn open() -> Self {
        Self::with(RegistrationRule::Open, |settings| settings).await
    }

    /// Signs in at the provider as this person.
    async fn visit(&self, subject: &str, email: &str) -> Visit {
        let started = self.oidc.start("acme", Some("/chat")).await.unwrap();
        let answer = self.provider.signed_in(&started.location, subject, email);
        Visit { cookie: started.cookie, answer }
    }

    async fn finish(&self, visit: &Visit) -> Result<OidcSignedIn> {
        self.oidc.finish("acme", visit.cookie.expose(), &visit.answer, &Client::default()).await
    }

    async fn sign_in(&self, subject: &str, email: &str) -> Result<OidcSignedIn> {
        let visit = self.visit(subject, email).await;
        self.finish(&visit).await
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn first_visit_makes_an_account_and_the_next_finds_it() {
    let house = House::open().await;
    let first = house.sign_in("ada", "Ada@Example.org").await.unwrap();
    assert_eq!(first.return_to, "/chat");
    let user = &first.signed_in.user;
    assert_eq!((user.email.as_deref(), user.role), (Some("ada@example.org"), Role::Admin));
    assert_eq!(user.name, "Ada Lovelace");
    let principal = house.accounts.authenticate(first.signed_in.access_token.expose()).await.unwrap();
    assert_eq!(principal.scope.user, user.id);
    // The subject is who it is, whatever the address says now.
    let again = house.sign_in("ada", "countess@example.org").await.unwrap();
    assert_eq!(again.signed_in.user.id, user.id);
    let other = house.sign_in("bob", "bob@example.org").await.unwrap();
    assert_ne!(other.signed_in.user.id, user.id);
    assert_eq!(other.signed_in.user.role, Role::User);
    // Nobody has its password.
    let by_password = house.accounts.login("ada@example.org", &Secret::new(""), &Client::default()).await;
    assert_eq!(kind(by_password), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn request_is_a_code_flow_with_pkce() {
    let house = House::open().await;
    let started = house.oidc.start("acme", None).await.unwrap();
    let query: std::collections::HashMap<_, _> = started.location.query_pairs().into_owned().collect();
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!((query["client_id"].as_str(), query["redirect_uri"].as_str()), ("aimate", BACK));
    assert_eq!(query["scope"], "openid email profile");
    for name in ["state", "nonce", "code_challenge"] {
        assert!(query[name].len() >= 22, "{name}");
    }
    // What the browser keeps gives none of it away.
    for secret in ["state", "nonce"] {
        assert!(!started.cookie.expose().contains(&query[secret]));
    }
    assert_eq!(kind(house.oidc.start("nobody", None).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn sec_t38_answer_of_another_browser_or_attempt_is_refused() {
    let house = House::open().await;
    let (mine, theirs) =
        (house.visit("ada", "ada@example.org").await, house.visit("eve", "eve@example.org").await);
    // Login CSRF: Eve's answer in Ada's browser.
    let mixed = Visit { cookie: mine.cookie.clone(), answer: theirs.answer.clone() };
    assert_eq!(kind(house.finish(&mixed).await), ErrorKind::Unauthenticated);
    // Eve's code with Ada's state: the verifier is not the code's.
    let answer = OidcAnswer::new(mine.answer.state.clone(), theirs.answer.code.clone(), None);
    let injected = Visit { cookie: mine.cookie.clone(), answer };
    assert_eq!(kind(house.finish(&injected).await), ErrorKind::Unauthenticated);
    for cookie in ["", "x", "AAAA", &mine.cookie.expose()[1..], &"A".repeat(20_000)] {
        let visit = Visit { cookie: Secret::new(cookie), answer: mine.answer.clone() };
        assert_eq!(kind(house.finish(&visit).await), ErrorKind::Unauthenticated);
    }
    // The cookie of one provider is none of another.
    let elsewhere = house.oidc.finish("other", mine.cookie.expose(), &mine.answer, &Client::default()).await;
    assert_eq!(kind(elsewhere), ErrorKind::Unauthenticated);
    // None of these got so far as to use the attempt up, but the code that was not its own.
    let mine = house.visit("ada", "ada@example.org").await;
    house.finish(&mine).await.unwrap();
    // A code is good once.
    assert_eq!(kind(house.finish(&mine).await), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn sec_t38_attempt_is_good_once_and_for_ten_minutes() {
    let house = House::open().await;
    let visit = house.visit("ada", "ada@example.org").await;
    house.finish(&visit).await.unwrap();
    let asked = house.provider.asked().len();
    // Another code in the same attempt: the provider is not even asked.
    let started = house.oidc.start("acme", None).await.unwrap();
    let other = house.provider.signed_in(&started.location, "eve", "eve@example.org");
    let again = OidcAnswer::new(visit.answer.state.clone(), other.code.clone(), None);
    assert_eq!(kind(house.finish(&Visit { answer: again, ..visit }).await), ErrorKind::Unauthenticated);
    assert_eq!(house.provider.asked().len(), asked);
    // Another process with the same database knows that too.
    let visit = house.visit("ada", "ada@example.org").await;
    let twin = house.twin();
    twin.finish("acme", visit.cookie.expose(), &visit.answer, &Client::default()).await.unwrap();
    assert_eq!(kind(house.finish(&visit).await), ErrorKind::Unauthenticated);

    let visit = house.visit("ada", "ada@example.org").await;
    house.clock.advance(Duration::from_secs(601));
    assert_eq!(kind(house.finish(&visit).await), ErrorKind::Unauthenticated);
    let visit = house.visit("ada", "ada@example.org").await;
    house.clock.advance(Duration::from_secs(599));
    house.finish(&visit).await.unwrap();
}

#[tokio::test]
async fn network_that_fails_often_has_to_wait() {
    let house = House::open().await;
    let client = Client::new(Some("192.0.2.7".parse().unwrap()), None);
    house.provider.lie(Lie::Nonce);
    let mut kinds = Vec::new();
    for _ in 0..7 {
        let visit = house.visit("ada", "ada@example.org").await;
        kinds.push(kind(house.oidc.finish("acme", visit.cookie.expose(), &visit.answer, &client).await));
    }
    assert_eq!(kinds[..5], [ErrorKind::Unauthenticated; 5]);
    assert_eq!(kinds[5..], [ErrorKind::RateLimited; 2]);
    // An attempt that had to wait is not used up by it.
    let visit = house.visit("ada", "ada@example.org").await;
    let finish =
        async || kind(house.oidc.finish("acme", visit.cookie.expose(), &visit.answer, &client).await);
    let asked = house.provider.asked().len();
    assert_eq!(finish().await, ErrorKind::RateLimited);
    assert_eq!(house.provider.asked().len(), asked);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(finish().await, ErrorKind::Unauthenticated);
    assert!(house.provider.asked().len() > asked);
}

#[tokio::test]
async fn provider_that_cannot_be_asked_is_no_failure_of_a_network() {
    let house = House::open().await;
    let client = Client::new(Some("192.0.2.7".parse().unwrap()), None);
    let mut visits = Vec::new();
    for _ in 0..8 {
        visits.push(house.visit("ada", "ada@example.org").await);
    }
    house.provider.say("token_endpoint", "http://login.example.org/token");
    // It has yet to ask the provider what it says of itself.
    let twin = house.twin();
    for visit in &visits {
        let come = twin.finish("acme", visit.cookie.expose(), &visit.answer, &client).await;
        assert_eq!(kind(come), ErrorKind::Upstream);
    }
}

#[tokio::test]
async fn strangers_do_not_fill_the_audit_log() {
    let house = House::open().await;
    let admin = house.sign_in("ada", "ada@example.org").await.unwrap().signed_in;
    let scope = house.accounts.authenticate(admin.access_token.expose()).await.unwrap().scope;
    let failures = async || {
        let filter = AuditFilter::default();
        let log = house.engine.audit(&scope, &filter, PageRequest::first(200)).await.unwrap();
        log.data.iter().filter(|record| record.action.as_str() == "user.login_failed").count()
    };
    let mine = house.visit("ada", "ada@example.org").await;
    let (cookie, state) = (mine.cookie.expose(), mine.answer.state.as_str());
    let other = "A".repeat(state.len());
    for (cookie, state) in [("", state), ("x", state), (cookie, ""), (cookie, "x"), (cookie, other.as_str())]
    {
        let answer = OidcAnswer::new(state, mine.answer.code.clone(), None);
        let visit = Visit { cookie: Secret::new(cookie), answer };
        assert_eq!(kind(house.finish(&visit).await), ErrorKind::Unauthenticated);
    }
    house.finish(&mine).await.unwrap();
    assert_eq!(kind(house.finish(&mine).await), ErrorKind::Unauthenticated);
    assert_eq!(failures().await, 0);
    house.provider.lie(Lie::Nonce);
    assert_eq!(kind(house.sign_in("ada", "ada@example.org").await), ErrorKind::Unauthenticated);
    assert_eq!(failures().await, 1);
}

#[tokio::test]
async fn sec_t38_answer_of_another_issuer_is_refused() {
    let house = House::open().await;
    let mut visit = house.visit("ada", "ada@example.org").await;
    visit.answer.issuer = Some("https://login.evil.example".into());
    assert_eq!(kind(house.finish(&visit).await), ErrorKind::Unauthenticated);
    visit.answer.issuer = Some("https://login.example.org".into());
    house.finish(&visit).await.unwrap();
    let mut refused = house.visit("ada", "ada@example.org").await;
    refused.answer.code = None;
    assert_eq!(kind(house.finish(&refused).await), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn sec_t38_no_lie_of_a_token_signs_anybody_in() {
    for lie in Lie::ALL {
        let house = House::open().await;
        house.provider.lie(lie);
        let visit = house.visit("ada", "ada@example.org").await;
        let refused = house.finish(&visit).await.map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unauthenticated, "{lie:?}: {refused:?}");
        // Neither code nor token is in what is said or logged.
        let said = format!("{refused} {refused:?}");
        for secret in house.provider.secrets() {
            assert!(!said.contains(&secret), "{lie:?}: {said}");
        }
        assert!(house.accounts.is_open().await.unwrap());
    }
}

#[tokio::test]
async fn address_is_linked_only_if_that_is_wanted() {
    for links in [false, true] {
        let house = House::with(RegistrationRule::Open, |settings| settings.links_by_email(links)).await;
        let ada = Registration::new("ada@example.org", Secret::new("correct horse battery"));
        let there = house.accounts.register(ada, &Client::default()).await.unwrap();
        let principal = house.accounts.authenticate(there.access_token.expose()).await.unwrap();
        let request = ApiTokenRequest::new("laptop", [TokenScope::Read]);
        let token = house.accounts.create_token(&principal, request).await.unwrap().secret;
        house.provider.verifies_addresses(false);
        assert_eq!(kind(house.sign_in("ada", "ada@example.org").await), ErrorKind::Forbidden);
        house.accounts.authenticate(token.expose()).await.unwrap();
        house.provider.verifies_addresses(true);
        let come = house.sign_in("ada", "ada@example.org").await;
        let by_password = Secret::new("correct horse battery");
        let old = house.accounts.login("ada@example.org", &by_password, &Client::default()).await;
        assert_eq!(house.accounts.authenticate(token.expose()).await.is_ok(), !links);
        assert_eq!(house.accounts.authenticate(there.access_token.expose()).await.is_ok(), !links);
        assert_eq!(old.is_ok(), !links);
        if links {
            assert_eq!(come.unwrap().signed_in.user.id, there.user.id);
            let later = house.sign_in("ada", "new@example.org").await.unwrap();
            assert_eq!(later.signed_in.user.id, there.user.id);
        } else {
            assert_eq!(kind(come), ErrorKind::Forbidden);
        }
    }
}

#[tokio::test]
async fn registration_rule_and_domains_hold() {
    let house = House::with(RegistrationRule::First, |settings| settings).await;
    let first = house.sign_in("ada", "ada@example.org").await.unwrap();
    assert_eq!(first.signed_in.user.role, Role::Admin);
    assert_eq!(kind(house.sign_in("bob", "bob@example.org").await), ErrorKind::Forbidden);
    house.sign_in("ada", "ada@example.org").await.unwrap();
    for rule in [RegistrationRule::Invite, RegistrationRule::Closed] {
        let house = House::with(rule, |settings| settings).await;
        assert_eq!(kind(house.sign_in("ada", "ada@example.org").await), ErrorKind::Forbidden);
        // The provider's own rule goes before.
        let open = |settings: OidcSettings| settings.registration(Some(RegistrationRule::Open));
        let house = House::with(rule, open).await;
        // It lets in all of its people: the first of them is no admin by that.
        let first = house.sign_in("ada", "ada@example.org").await.unwrap();
        assert_eq!(first.signed_in.user.role, Role::User);
        let first = |settings: OidcSettings| settings.registration(Some(RegistrationRule::First));
        let house = House::with(rule, first).await;
        let ada = house.sign_in("ada", "ada@example.org").await.unwrap();
        assert_eq!(ada.signed_in.user.role, Role::User);
        assert_eq!(kind(house.sign_in("bob", "bob@example.org").await), ErrorKind::Forbidden);
        let house = House::with(RegistrationRule::Open, |settings| settings.registration(Some(rule))).await;
        assert_eq!(kind(house.sign_in("ada", "ada@example.org").await), ErrorKind::Forbidden);
    }
    let house = House::with(RegistrationRule::Open, |settings| settings.allowed_domains(["corp.com"])).await;
    for email in ["ada@evilcorp.com", "ada@mail.corp.com", "ada@example.org"] {
        assert_eq!(kind(house.sign_in("ada", email).await), ErrorKind::Forbidden, "{email}");
    }
    house.provider.verifies_addresses(false);
    assert_eq!(kind(house.sign_in("ada", "ada@corp.com").await), ErrorKind::Forbidden);
    house.provider.verifies_addresses(true);
    house.sign_in("ada", "ada@corp.com").await.unwrap();
    // Whoever leaves the domain is out.
    assert_eq!(kind(house.sign_in("ada", "ada@example.org").await), ErrorKind::Forbidden);
}

/// Some issuers end in a slash; it is part of the name.
#[tokio::test]
async fn issuer_is_taken_as_it_is_written() {
    let slash = "https://login.example.org/";
    let house = House::open().await;
    let provider = Provider::new(slash, house.clock.clone());
    let ring = || KeyRing::parse(house.keys.expose()).unwrap();
    let of = |issuer: &str| {
        let settings = OidcSettings::new("acme", issuer, "aimate", BACK);
        let settings = settings.client_secret(Some(Secret::new("cs-Hd7KxQz2")));
        Oidc::new(house.accounts.clone(), ring(), provider.clone(), [settings]).unwrap()
    };
    let oidc = of(slash);
    let started = oidc.start("acme", None).await.unwrap();
    let answer = provider.signed_in(&started.location, "ada", "ada@example.org");
    oidc.finish("acme", started.cookie.expose(), &answer, &Client::default()).await.unwrap();
    assert_eq!(kind(of("https://login.example.org").start("acme", None).await), ErrorKind::Upstream);
}

#[tokio::test]
async fn address_is_asked_for_where_the_token_has_none() {
    let house = House::open().await;
    house.provider.shows_addresses(false);
    let ada = house.sign_in("ada", "ada@example.org").await.unwrap();
    assert_eq!(ada.signed_in.user.email.as_deref(), Some("ada@example.org"));
    assert_eq!(house.provider.asked().last().unwrap().0, "https://login.example.org/userinfo");
    house.provider.verifies_addresses(false);
    assert_eq!(kind(house.sign_in("bob", "bob@example.org").await), ErrorKind::Forbidden);
}

#[tokio::test]
async fn disabled_user_does_not_come_in() {
    let house = House::open().await;
    let admin = house.sign_in("ada", "ada@example.org").await.unwrap().signed_in;
    let bob = house.sign_in("bob", "bob@example.org").await.unwrap().signed_in;
    let scope = house.accounts.authenticate(admin.access_token.expose()).await.unwrap().scope;
    let off = UserChange { is_active: Some(false), ..UserChange::default() };
    house.engine.users(&scope).update(bob.user.id, off).await.unwrap();
    assert_eq!(kind(house.sign_in("bob", "bob@example.org").await), ErrorKind::Forbidden);
}

#[tokio::test]
async fn new_key_of_the_provider_is_fetched() {
    let house = House::open().await;
    house.sign_in("ada", "ada@example.org").await.unwrap();
    house.provider.next_key();
    // Not twice a minute, so that wrong tokens cannot make it a flood.
    assert_eq!(kind(house.sign_in("ada", "ada@example.org").await), ErrorKind::Unauthenticated);
    house.clock.advance(Duration::from_secs(61));
    house.sign_in("ada", "ada@example.org").await.unwrap();
}

#[tokio::test]
async fn unsafe_or_foreign_metadata_is_not_used() {
    for (field, value) in [
        ("issuer", "https://login.evil.example"),
        ("token_endpoint", "http://login.example.org/token"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", "http://login.example.org/authorize"),
        ("jwks_uri", "http://169.254.169.254/jwks"),
        ("jwks_uri", "file:///etc/passwd"),
    ] {
        let house = House::open().await;
        house.provider.say(field, value);
        assert_eq!(kind(house.oidc.start("acme", None).await), ErrorKind::Upstream, "{field} {value}");
    }
    // Its own host is the operator's word; any other one is the provider's.
    let house = House::open().await;
    house.sign_in("ada", "ada@example.org").await.unwrap();
    assert!(house.provider.asked().iter().all(|(_, is_operators)| *is_operators));
    let house = House::open().await;
    house.provider.say("jwks_uri", "https://keys.example.com/jwks");
    house.sign_in("ada", "ada@example.org").await.unwrap();
    let asked = house.provider.asked();
    assert!(asked.contains(&("https://keys.example.com/jwks".into(), false)), "{asked:?}");
}
