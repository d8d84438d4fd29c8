//! Accounts as an application uses them, with a clock that the tests turn.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aimate_accounts::{
    AccountSettings, Accounts, ApiTokenRequest, Client, InviteRequest, Registration, RegistrationRule,
    SignedIn, SigningSecret,
};
use aimate_core::api_token::TokenScope;
use aimate_core::audit::{AuditFilter, AuditOrigin, action};
use aimate_core::conversation::NewConversation;
use aimate_core::file::NewFile;
use aimate_core::testing::FixedClock;
use aimate_core::user::UserChange;
use aimate_core::{
    ClockAndIds, EmailAddress, Engine, Error, ErrorKind, PageRequest, RandomIds, Result, Role, Scope, Secret,
    Stores, TenantId,
};

const PASSWORD: &str = "correct horse battery";

struct House {
    accounts: Accounts,
    engine: Engine,
    stores: Stores,
    clock: Arc<FixedClock>,
}

impl House {
    async fn new(rule: RegistrationRule) -> Self {
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        let clock = Arc::new(FixedClock::at(1_767_225_600_000_000));
        let sources = ClockAndIds { clock: clock.clone(), ids: Arc::new(RandomIds) };
        let engine = Engine::builder().store(store.clone()).sources(sources).build().await.unwrap();
        let settings = AccountSettings::new(SigningSecret::generate().unwrap()).registration(rule);
        let accounts = Accounts::new(engine.clone(), store.clone(), settings);
        Self { accounts, engine, stores: store.into(), clock }
    }

    async fn open() -> Self {
        Self::new(RegistrationRule::Open).await
    }

    async fn register(&self, email: &str) -> SignedIn {
        self.accounts.register(Registration::new(email, secret(PASSWORD)), &Client::default()).await.unwrap()
    }

    async fn login(&self, email: &str, password: &str) -> Result<SignedIn> {
        self.accounts.login(email, &secret(password), &Client::default()).await
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn is_good(&self, credential: &Secret) -> bool {
        match self.accounts.authenticate(credential.expose()).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
                false
            }
        }
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn email(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn account_is_made_and_signs_in() {
    let house = House::open().await;
    let ada = house.register("Ada@Example.org").await;
    assert_eq!((ada.user.email.as_deref(), ada.user.name.as_str()), (Some("ada@example.org"), "ada"));
    let principal = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    assert_eq!((principal.scope.user, principal.scope.role), (ada.user.id, Role::Admin));
    assert_eq!(house.accounts.me(&principal).await.unwrap(), ada.user);
    let again = house.login(" ADA@example.ORG ", PASSWORD).await.unwrap();
    assert_eq!(again.user.id, ada.user.id);
    assert_ne!(again.session.id, ada.session.id);
    let sessions = house.accounts.sessions(&principal, PageRequest::default()).await.unwrap().data;
    assert_eq!(sessions.len(), 2);
    assert_eq!(house.register("bob@example.org").await.user.role, Role::User);
}

#[tokio::test]
async fn addresses_that_differ_in_case_alone_are_one() {
    let house = House::open().await;
    house.register("ada@example.org").await;
    for same in ["ADA@EXAMPLE.ORG", "ａda@example.org", " ada@example.org"] {
        let again = Registration::new(same, secret(PASSWORD));
        assert_eq!(kind(house.accounts.register(again, &Client::default()).await), ErrorKind::Conflict);
    }
    let look_alike = Registration::new("\u{430}da@example.org", secret(PASSWORD));
    let error = house.accounts.register(look_alike, &Client::default()).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "email");
}

#[tokio::test]
async fn sec_t23_one_of_fifty_first_registrations_becomes_admin() {
    for rule in [RegistrationRule::Open, RegistrationRule::First] {
        let house = House::new(rule).await;
        let house = &house;
        let tries = (0..50).map(|n| async move {
            let new = Registration::new(format!("u{n}@example.org"), secret(PASSWORD));
            house.accounts.register(new, &Client::default()).await
        });
        let made: Vec<_> =
            futures_util::future::join_all(tries).await.into_iter().filter_map(Result::ok).collect();
        let admins = made.iter().filter(|signed_in| signed_in.user.role == Role::Admin).count();
        assert_eq!(admins, 1);
        assert_eq!(made.len(), if rule == RegistrationRule::Open { 50 } else { 1 });
    }
}

#[tokio::test]
async fn registration_is_what_the_operator_says() {
    let client = Client::default();
    let try_it = async |house: &House, invite: Option<Secret>| {
        let new = Registration::new("bob@example.org", secret(PASSWORD)).invite(invite);
        house.accounts.register(new, &client).await
    };
    let house = House::new(RegistrationRule::Closed).await;
    assert_eq!(kind(try_it(&house, None).await), ErrorKind::Forbidden);
    house.accounts.add_user(email("ada@example.org"), None, Role::Admin, &secret(PASSWORD)).await.unwrap();
    let invite = house.accounts.invite_user(InviteRequest::default()).await.unwrap();
    assert_eq!(kind(try_it(&house, Some(invite.token)).await), ErrorKind::Forbidden);

    for rule in [RegistrationRule::First, RegistrationRule::Invite] {
        let house = House::new(rule).await;
        let is_open = rule == RegistrationRule::First;
        assert_eq!(house.accounts.is_open().await.unwrap(), is_open);
        house
            .accounts
            .add_user(email("ada@example.org"), None, Role::Admin, &secret(PASSWORD))
            .await
            .unwrap();
        assert!(!house.accounts.is_open().await.unwrap());
        assert_eq!(kind(try_it(&house, None).await), ErrorKind::Forbidden);
        assert_eq!(kind(try_it(&house, Some(secret("aii_x"))).await), ErrorKind::Invalid);
        let ada = house.login("ada@example.org", PASSWORD).await.unwrap();
        let ada = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
        let other = InviteRequest::new(Some(email("eve@example.org")), Role::User);
        let others = house.accounts.invite(&ada, other).await.unwrap();
        assert_eq!(kind(try_it(&house, Some(others.token)).await), ErrorKind::Forbidden);
        let invite = house.accounts.invite(&ada, InviteRequest::default()).await.unwrap();
        let bob = try_it(&house, Some(invite.token.clone())).await.unwrap();
        assert_eq!(bob.user.role, Role::User);
        assert_eq!(kind(try_it(&house, Some(invite.token)).await), ErrorKind::Forbidden);
        let bob = house.accounts.authenticate(bob.access_token.expose()).await.unwrap();
        assert_eq!(kind(house.accounts.invite(&bob, InviteRequest::default()).await), ErrorKind::Forbidden);
        assert_eq!(house.accounts.invites(&ada, PageRequest::default()).await.unwrap().data.len(), 1);
    }
}

#[tokio::test]
async fn sec_t24_empty_or_wrong_passwords_are_refused_alike() {
    let house = House::open().await;
    house.register("ada@example.org").await;
    let mut sentences = std::collections::BTreeSet::new();
    for (address, password) in [
        ("ada@example.org", ""),
        ("ada@example.org", " "),
        ("ada@example.org", "wrong"),
        ("eve@example.org", ""),
        ("eve@example.org", PASSWORD),
        ("ada@example.org", &"x".repeat(1_000_000)),
    ] {
        let error = house.login(address, password).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{address} {}", password.len());
        sentences.insert(error.message().to_owned());
    }
    assert_eq!(sentences.len(), 1, "{sentences:?}");
    for password in ["", "short", "        ", &"x".repeat(1_000_000)] {
        let new = Registration::new("bob@example.org", secret(password));
        let error = house.accounts.register(new, &Client::default()).await.unwrap_err();
        assert_eq!(error.fields()[0].path, "password");
    }
    for address in ["", "ada", "ada@@example.org"] {
        assert_eq!(house.login(address, PASSWORD).await.unwrap_err().fields()[0].path, "email");
    }
    for credential in ["", " ", "Bearer", "aim_", "aim_abcdefgh_", "a.b.c", &"x".repeat(100_000)] {
        assert!(!house.is_good(&secret(credential)).await, "{credential}");
        assert_eq!(
            kind(house.accounts.refresh(credential, &Client::default()).await),
            ErrorKind::Unauthenticated
        );
    }
}

#[tokio::test]
async fn guessing_gets_slower_whether_there_is_an_account_or_not() {
    let house = House::open().await;
    house.register("ada@example.org").await;
    for address in ["ada@example.org", "nobody@example.org"] {
        for _ in 0..5 {
            assert_eq!(kind(house.login(address, "wrong password").await), ErrorKind::Unauthenticated);
        }
        for wait in [1_u64, 2, 4] {
            let error = house.login(address, PASSWORD).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.retry_after()),
                (ErrorKind::RateLimited, Some(Duration::from_secs(wait)))
            );
            house.pass(wait);
            assert_eq!(kind(house.login(address, "wrong password").await), ErrorKind::Unauthenticated);
        }
        house.pass(8);
    }
    // The right password resets it.
    house.login("ada@example.org", PASSWORD).await.unwrap();
    assert_eq!(kind(house.login("ada@example.org", "wrong password").await), ErrorKind::Unauthenticated);
    house.login("ada@example.org", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn network_that_guesses_many_addresses_waits() {
    let house = House::open().await;
    house.register("ada@example.org").await;
    let from = |ip: &str| Client::new(Some(ip.parse::<IpAddr>().unwrap()), Some("curl\n"));
    for n in 0..5 {
        let address = format!("u{n}@example.org");
        let tried = house.accounts.login(&address, &secret("wrong password"), &from("192.0.2.7")).await;
        assert_eq!(kind(tried), ErrorKind::Unauthenticated);
    }
    let right = secret(PASSWORD);
    let neighbour = house.accounts.login("ada@example.org", &right, &from("192.0.2.99")).await;
    assert_eq!(kind(neighbour), ErrorKind::RateLimited);
    let signed_in = house.accounts.login("ada@example.org", &right, &from("198.51.100.1")).await.unwrap();
    assert_eq!(signed_in.session.ip.as_deref(), Some("198.51.100.1"));
    assert_eq!(signed_in.session.user_agent.as_deref(), Some("curl"));
}

#[tokio::test]
async fn locked_address_is_unlocked_by_an_admin() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let bob = house.register("bob@example.org").await;
    // The hundred failures, without the time that they would take.
    let mut limit = aimate_core::login::AttemptLimit {
        subject: Vec::new(),
        free: u32::MAX,
        max_wait: Duration::ZERO,
        lock_after: None,
        forget_after: Duration::from_secs(1_000_000),
    };
    limit.subject = {
        use sha2::{Digest, Sha256};
        Sha256::new()
            .chain_update("address")
            .chain_update([0])
            .chain_update("bob@example.org")
            .finalize()
            .to_vec()
    };
    for _ in 0..99 {
        house
            .stores
            .logins
            .attempt(std::slice::from_ref(&limit), house.engine.sources().now())
            .await
            .unwrap();
    }
    house.pass(100_000);
    assert_eq!(kind(house.login("bob@example.org", "wrong password").await), ErrorKind::Unauthenticated);
    for _ in 0..3 {
        house.pass(100_000);
        assert_eq!(kind(house.login("bob@example.org", PASSWORD).await), ErrorKind::RateLimited);
    }
    let bob_himself = house.accounts.authenticate(bob.access_token.expose()).await;
    assert!(bob_himself.is_err(), "his token is over");
    let ada = house.login("ada@example.org", PASSWORD).await.map(|again| (again, ada)).unwrap().0;
    let ada = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    house.accounts.unlock_user(&ada, bob.user.id).await.unwrap();
    house.login("bob@example.org", PASSWORD).await.unwrap();
    let mut filter = AuditFilter::default();
    filter.action = Some(action::LOGIN_LOCKED.to_owned());
    let locks = house.engine.audit(&ada.scope, &filter, PageRequest::default()).await.unwrap().data;
    let whose: Vec<_> = locks.iter().map(|record| record.target.as_ref().map(|target| target.id)).collect();
    assert_eq!(whose, [Some(bob.user.id.0)], "a lock is told once, however often it refuses");
}

#[tokio::test]
async fn sec_t20_signed_out_token_is_nobodys() {
    let house = House::open().await;
    let (first, second) =
        (house.register("ada@example.org").await, house.login("ada@example.org", PASSWORD).await);
    let second = second.unwrap();
    let principal = house.accounts.authenticate(first.access_token.expose()).await.unwrap();
    house.accounts.logout(&principal).await.unwrap();
    assert!(!house.is_good(&first.access_token).await);
    assert_eq!(kind(house.accounts.check(&principal).await), ErrorKind::Unauthenticated);
    let refreshed = house.accounts.refresh(first.refresh_token.expose(), &Client::default()).await;
    assert_eq!(kind(refreshed), ErrorKind::Unauthenticated);
    assert!(house.is_good(&second.access_token).await);
    let other = house.accounts.authenticate(second.access_token.expose()).await.unwrap();
    assert_eq!(kind(house.accounts.revoke_session(&other, first.session.id).await), ErrorKind::NotFound);
    assert_eq!(house.accounts.revoke_sessions(&other, None).await.unwrap(), 1);
    assert!(!house.is_good(&second.access_token).await);
}

#[tokio::test]
async fn tokens_end_and_are_renewed() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    house.pass(904);
    assert!(house.is_good(&ada.access_token).await);
    house.pass(1);
    assert!(!house.is_good(&ada.access_token).await);
    let next = house.accounts.refresh(ada.refresh_token.expose(), &Client::default()).await.unwrap();
    assert_eq!(next.session.id, ada.session.id);
    assert!(house.is_good(&next.access_token).await);
    // Another tab that asked at the same moment signs nobody out.
    let second = house.accounts.refresh(ada.refresh_token.expose(), &Client::default()).await;
    assert_eq!(kind(second), ErrorKind::Conflict);
    assert!(house.is_good(&next.access_token).await);
    // A copy that is used after it: the family ends.
    house.pass(11);
    let copied = house.accounts.refresh(ada.refresh_token.expose(), &Client::default()).await;
    assert_eq!(kind(copied), ErrorKind::Unauthenticated);
    assert!(!house.is_good(&next.access_token).await);
    let robbed = house.accounts.refresh(next.refresh_token.expose(), &Client::default()).await;
    assert_eq!(kind(robbed), ErrorKind::Unauthenticated);
    // A session that is not renewed ends by itself.
    let late = house.login("ada@example.org", PASSWORD).await.unwrap();
    house.pass(30 * 24 * 3_600);
    let late = house.accounts.refresh(late.refresh_token.expose(), &Client::default()).await;
    assert_eq!(kind(late), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn refresh_token_signs_out_when_the_access_token_is_over() {
    let house = House::open().await;
    let (ada, bob) = (house.register("ada@example.org").await, house.register("bob@example.org").await);
    house.pass(1_000);
    assert!(!house.is_good(&ada.access_token).await);
    assert!(house.accounts.was_good(ada.access_token.expose()));
    let next = house.accounts.refresh(ada.refresh_token.expose(), &Client::default()).await.unwrap();
    // An old one of the session signs out too.
    house.accounts.logout_by_refresh_token(ada.refresh_token.expose()).await.unwrap();
    assert!(!house.is_good(&next.access_token).await);
    for token in
        [ada.refresh_token.expose(), next.refresh_token.expose(), ada.access_token.expose(), "", "air_"]
    {
        let out = house.accounts.logout_by_refresh_token(token).await;
        assert_eq!(kind(out), ErrorKind::Unauthenticated);
    }
    // The place of a session alone, which is no secret, does not end it.
    let (place, _) = bob.refresh_token.expose().split_at(69);
    let (_, secret) = ada.refresh_token.expose().split_at(69);
    let out = house.accounts.logout_by_refresh_token(&format!("{place}{secret}")).await;
    assert_eq!(kind(out), ErrorKind::Unauthenticated);
    house.accounts.refresh(bob.refresh_token.expose(), &Client::default()).await.unwrap();
    assert!(!house.accounts.was_good("a.b.c") && !house.accounts.was_good(&"x".repeat(100_000)));
}

#[tokio::test]
async fn sec_t19_role_and_standing_are_those_of_the_moment() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let bob = house.register("bob@example.org").await;
    let admin = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    let change = |role, is_active| UserChange { role, is_active, ..UserChange::default() };
    house.accounts.update_user(&admin, bob.user.id, change(Some(Role::Admin), None)).await.unwrap();
    let as_admin = house.accounts.authenticate(bob.access_token.expose()).await.unwrap();
    assert_eq!(as_admin.scope.role, Role::Admin);
    let new = ApiTokenRequest::new("all", [TokenScope::Read, TokenScope::Admin]);
    let token = house.accounts.create_token(&as_admin, new).await.unwrap().secret;
    let by_token = house.accounts.authenticate(token.expose()).await.unwrap();
    assert!(
        by_token.may(TokenScope::Admin) && by_token.may(TokenScope::Read) && !by_token.may(TokenScope::Write)
    );
    // Demoted: the same token administers nothing.
    house.accounts.update_user(&admin, bob.user.id, change(Some(Role::User), None)).await.unwrap();
    let demoted = house.accounts.authenticate(bob.access_token.expose()).await.unwrap();
    assert!(demoted.scope.role == Role::User && !demoted.may(TokenScope::Admin));
    assert!(!house.accounts.check(&by_token).await.unwrap().may(TokenScope::Admin));
    // Disabled: every credential dies.
    house.accounts.update_user(&admin, bob.user.id, change(None, Some(false))).await.unwrap();
    assert!(!house.is_good(&bob.access_token).await && !house.is_good(&token).await);
    assert_eq!(kind(house.accounts.check(&by_token).await), ErrorKind::Unauthenticated);
    assert_eq!(
        kind(house.accounts.refresh(bob.refresh_token.expose(), &Client::default()).await),
        ErrorKind::Unauthenticated
    );
    assert_eq!(kind(house.login("bob@example.org", PASSWORD).await), ErrorKind::Forbidden);
    assert_eq!(kind(house.login("bob@example.org", "wrong password").await), ErrorKind::Unauthenticated);
    // Enabled: tokens are good again, sessions are not.
    house.accounts.update_user(&admin, bob.user.id, change(None, Some(true))).await.unwrap();
    assert!(house.is_good(&token).await && !house.is_good(&bob.access_token).await);
    // Deleted.
    house.accounts.delete_user(&admin, bob.user.id).await.unwrap();
    assert!(!house.is_good(&token).await);
    assert_eq!(kind(house.login("bob@example.org", PASSWORD).await), ErrorKind::Unauthenticated);
    // An admin keeps their own rights.
    for change in [change(Some(Role::User), None), change(None, Some(false))] {
        assert_eq!(kind(house.accounts.update_user(&admin, ada.user.id, change).await), ErrorKind::Conflict);
    }
    assert_eq!(kind(house.accounts.delete_user(&admin, ada.user.id).await), ErrorKind::Conflict);
}

#[tokio::test]
async fn user_administers_nobody() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let bob = house.register("bob@example.org").await;
    let bob = house.accounts.authenticate(bob.access_token.expose()).await.unwrap();
    let (accounts, id) = (&house.accounts, ada.user.id);
    assert_eq!(kind(accounts.users(&bob, PageRequest::default()).await), ErrorKind::Forbidden);
    assert_eq!(kind(accounts.user(&bob, id).await), ErrorKind::Forbidden);
    assert_eq!(kind(accounts.update_user(&bob, id, UserChange::default()).await), ErrorKind::Forbidden);
    assert_eq!(kind(accounts.delete_user(&bob, id).await), ErrorKind::Forbidden);
    assert_eq!(kind(accounts.unlock_user(&bob, id).await), ErrorKind::Forbidden);
    assert_eq!(kind(accounts.invites(&bob, PageRequest::default()).await), ErrorKind::Forbidden);
    let admin = ApiTokenRequest::new("a", [TokenScope::Admin]);
    assert_eq!(kind(accounts.create_token(&bob, admin).await), ErrorKind::Forbidden);
}

#[tokio::test]
async fn api_token_is_good_until_it_ends_or_is_deleted() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let principal = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    let now = house.engine.sources().now();
    for wrong in [
        ApiTokenRequest::new("", [TokenScope::Read]),
        ApiTokenRequest::new("x".repeat(201), [TokenScope::Read]),
        ApiTokenRequest::new("ci", []),
        ApiTokenRequest::new("ci", [TokenScope::Read]).expires_at(Some(now)),
    ] {
        assert_eq!(kind(house.accounts.create_token(&principal, wrong).await), ErrorKind::Invalid);
    }
    let new = ApiTokenRequest::new("ci", [TokenScope::Write, TokenScope::Read, TokenScope::Read]);
    let made = house.accounts.create_token(&principal, new.clone()).await.unwrap();
    assert_eq!(made.token.scopes, [TokenScope::Read, TokenScope::Write]);
    assert!(made.secret.expose().starts_with(&format!("aim_{}_", made.token.prefix)));
    let by_token = house.accounts.authenticate(made.secret.expose()).await.unwrap();
    // The admin's token is no admin: it has not that scope.
    assert_eq!(by_token.scope, Scope { role: Role::User, ..principal.scope });
    let listed = house.accounts.tokens(&principal, PageRequest::default()).await.unwrap().data;
    assert_eq!((listed.len(), listed[0].last_used_at), (1, Some(now)));
    // A token makes no other one, and changes no password.
    assert_eq!(kind(house.accounts.create_token(&by_token, new.clone()).await), ErrorKind::Forbidden);
    let (old, fresh) = (secret(PASSWORD), secret("another password"));
    let changed = house.accounts.change_password(&by_token, &old, &fresh, &Client::default()).await;
    assert_eq!(kind(changed), ErrorKind::Forbidden);
    assert_eq!(kind(house.accounts.logout(&by_token).await), ErrorKind::Invalid);
    // Somebody who knows the public part alone, or the hash.
    let mut guessed = made.secret.expose().to_owned();
    guessed.pop();
    guessed.push(if made.secret.expose().ends_with('A') { 'E' } else { 'A' });
    assert!(!house.is_good(&secret(&guessed)).await);
    house.accounts.revoke_token(&principal, made.token.id).await.unwrap();
    assert!(!house.is_good(&made.secret).await);
    let short = new.expires_at(Some(now.plus(Duration::from_secs(60))));
    let short = house.accounts.create_token(&principal, short).await.unwrap();
    assert!(house.is_good(&short.secret).await);
    house.pass(60);
    assert!(!house.is_good(&short.secret).await);
}

#[tokio::test]
async fn changed_password_ends_other_sessions() {
    let house = House::open().await;
    let here = house.register("ada@example.org").await;
    let there = house.login("ada@example.org", PASSWORD).await.unwrap();
    let principal = house.accounts.authenticate(here.access_token.expose()).await.unwrap();
    assert!(house.is_good(&there.access_token).await);
    let change = async |current: &str, new: &str| {
        house.accounts.change_password(&principal, &secret(current), &secret(new), &Client::default()).await
    };
    assert_eq!(
        change("wrong password", "another password").await.unwrap_err().fields()[0].path,
        "current_password"
    );
    assert_eq!(change("", "another password").await.unwrap_err().fields()[0].path, "current_password");
    assert_eq!(change(PASSWORD, "short").await.unwrap_err().fields()[0].path, "new_password");
    change(PASSWORD, "another password").await.unwrap();
    assert!(house.is_good(&here.access_token).await && !house.is_good(&there.access_token).await);
    assert_eq!(kind(house.login("ada@example.org", PASSWORD).await), ErrorKind::Unauthenticated);
    house.login("ada@example.org", "another password").await.unwrap();
}

#[tokio::test]
async fn bcrypt_hash_becomes_argon2_at_the_first_login() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let bcrypt = secret(&bcrypt::hash(PASSWORD, 4).unwrap());
    let (logins, tenant) = (&house.stores.logins, TenantId::LOCAL);
    logins.set_password(tenant, ada.user.id, &bcrypt, None, house.engine.sources().now()).await.unwrap();
    assert_eq!(kind(house.login("ada@example.org", "wrong password").await), ErrorKind::Unauthenticated);
    house.login("ada@example.org", PASSWORD).await.unwrap();
    let hash = logins.find(&email("ada@example.org")).await.unwrap().unwrap().password_hash.unwrap();
    assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    house.login("ada@example.org", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn local_user_becomes_an_account() {
    let house = House::new(RegistrationRule::First).await;
    let ada = email("ada@example.org");
    assert_eq!(kind(house.accounts.adopt(&ada, Some(&secret(PASSWORD))).await), ErrorKind::NotFound);
    let local = house.engine.local_scope().await.unwrap();
    let talk = house.engine.conversations(&local).create(NewConversation::default()).await.unwrap();
    assert_eq!(kind(house.accounts.adopt(&ada, None).await), ErrorKind::Invalid);
    let user = house.accounts.adopt(&ada, Some(&secret(PASSWORD))).await.unwrap();
    assert_eq!((user.id, user.role), (local.user, Role::Admin));
    let signed_in = house.login("ada@example.org", PASSWORD).await.unwrap();
    let principal = house.accounts.authenticate(signed_in.access_token.expose()).await.unwrap();
    house.engine.conversations(&principal.scope).get(talk.id).await.unwrap();
    // Again it is no news; with another address it is too late.
    house.accounts.adopt(&ada, None).await.unwrap();
    let bob = house.accounts.add_user(email("bob@example.org"), None, Role::User, &secret(PASSWORD)).await;
    bob.unwrap();
    assert_eq!(kind(house.accounts.adopt(&email("bob@example.org"), None).await), ErrorKind::Conflict);
    assert!(!house.accounts.is_open().await.unwrap());
}

#[tokio::test]
async fn account_with_things_of_its_own_adopts_nothing() {
    let house = House::open().await;
    let local = house.engine.local_scope().await.unwrap();
    let talk = house.engine.conversations(&local).create(NewConversation::default()).await.unwrap();
    let ada = house.register("ada@example.org").await;
    let principal = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    let own = house.engine.conversations(&principal.scope).create(NewConversation::default()).await.unwrap();
    let refused = house.accounts.adopt(&email("ada@example.org"), None).await;
    assert_eq!(kind(refused), ErrorKind::Conflict);
    house.engine.conversations(&principal.scope).delete(own.id).await.unwrap();
    // A file, too, which is in no collection.
    let files = house.engine.files(&principal.scope);
    let bytes = futures_util::stream::once(async { Ok("text".into()) });
    let file = files.create(NewFile::new("a.txt"), Box::pin(bytes)).await.unwrap();
    let refused = house.accounts.adopt(&email("ada@example.org"), None).await;
    assert_eq!(kind(refused), ErrorKind::Conflict);
    files.delete(file.id).await.unwrap();
    let adopted = house.accounts.adopt(&email("ada@example.org"), None).await.unwrap();
    assert_eq!((adopted.id, adopted.name.as_str()), (local.user, "ada"));
    // The password is the same, the sessions of before are over.
    assert!(!house.is_good(&ada.access_token).await);
    let again = house.login("ada@example.org", PASSWORD).await.unwrap();
    let again = house.accounts.authenticate(again.access_token.expose()).await.unwrap();
    house.engine.conversations(&again.scope).get(talk.id).await.unwrap();
}

#[tokio::test]
async fn operator_resets_disables_and_deletes() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let address = email("ada@example.org");
    house.accounts.reset_password(&address, &secret("another password")).await.unwrap();
    assert!(!house.is_good(&ada.access_token).await);
    let again = house.login("ada@example.org", "another password").await.unwrap();
    let new = ApiTokenRequest::new("ci", [TokenScope::Admin]);
    let token = house.accounts.create_token_for(&address, new).await.unwrap();
    assert!(house.is_good(&token.secret).await);
    assert_eq!(house.accounts.tokens_of(&address, PageRequest::default()).await.unwrap().data.len(), 1);
    house.accounts.set_active(&address, false).await.unwrap();
    house.pass(5);
    assert!(!house.is_good(&again.access_token).await && !house.is_good(&token.secret).await);
    house.accounts.set_active(&address, true).await.unwrap();
    assert!(house.is_good(&token.secret).await);
    house.accounts.revoke_token_of(&address, token.token.id).await.unwrap();
    assert!(!house.is_good(&token.secret).await);
    let receipt = house.accounts.remove_user(&address).await.unwrap();
    assert_eq!((receipt.counts.users, receipt.counts.logins, receipt.counts.api_tokens), (1, 1, 0));
    assert_eq!(kind(house.accounts.find_user(&address).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_happens_to_accounts_is_in_the_audit_log() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    house.login("ada@example.org", "wrong password").await.unwrap_err();
    let principal = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    let new = ApiTokenRequest::new("ci", [TokenScope::Read]);
    let made = house.accounts.create_token(&principal, new).await.unwrap();
    house.accounts.revoke_token(&principal, made.token.id).await.unwrap();
    house.accounts.invite(&principal, InviteRequest::default()).await.unwrap();
    house.pass(11);
    let next = house.accounts.refresh(ada.refresh_token.expose(), &Client::default()).await.unwrap();
    house.pass(11);
    house.accounts.refresh(ada.refresh_token.expose(), &Client::default()).await.unwrap_err();
    drop(next);
    let admin = house.login("ada@example.org", PASSWORD).await.unwrap();
    let admin = house.accounts.authenticate(admin.access_token.expose()).await.unwrap();
    let log =
        house.engine.audit(&admin.scope, &AuditFilter::default(), PageRequest::first(200)).await.unwrap();
    let mut actions: Vec<_> = log.data.iter().map(|record| record.action.as_str()).collect();
    actions.reverse();
    assert_eq!(
        actions,
        [
            "user.created",
            "user.login",
            "user.login_failed",
            "token.created",
            "token.revoked",
            "invite.created",
            "session.refresh_reused",
            "user.login"
        ]
    );
    let text = serde_json::to_string(&log.data).unwrap();
    for hidden in ["ada@example.org", "wrong password", "aim_", made.secret.expose()] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

/// Of a user who is gone their id alone is left: it names nobody any more, and the chain has it.
#[tokio::test]
async fn deleted_user_leaves_an_id_alone_in_the_audit_log() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let ada = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    let from = AuditOrigin::new(Some("192.0.2.77".to_owned()), Some("request of bob".to_owned()));
    let bob = from
        .of(async {
            let bob = house.register("bob@example.org").await;
            house.login("bob@example.org", "wrong password").await.unwrap_err();
            house.accounts.refresh(bob.refresh_token.expose(), &Client::default()).await.unwrap();
            house.pass(11);
            house.accounts.refresh(bob.refresh_token.expose(), &Client::default()).await.unwrap_err();
            bob.user.id
        })
        .await;
    let log = async || {
        let log = house.engine.audit(&ada.scope, &AuditFilter::default(), PageRequest::first(200)).await;
        serde_json::to_string(&log.unwrap().data).unwrap()
    };
    assert!(log().await.contains("192.0.2.77"));
    house.accounts.delete_user(&ada, bob).await.unwrap();
    let log = log().await;
    for gone in ["192.0.2.77", "bob"] {
        assert!(!log.contains(gone), "{gone}: {log}");
    }
    assert!(log.contains(&bob.to_string()));
    let report = house.engine.tenants().verify_audit(TenantId::LOCAL, None).await.unwrap();
    assert_eq!(report.fault, None);
}

#[tokio::test]
async fn sec_t09_no_credential_reaches_the_database_as_sql() {
    let house = House::open().await;
    let ada = house.register("ada@example.org").await;
    let principal = house.accounts.authenticate(ada.access_token.expose()).await.unwrap();
    let good = house.accounts.create_token(&principal, ApiTokenRequest::new("ci", [TokenScope::Read])).await;
    let good = good.unwrap().secret;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let pieces = [
        "'", "\"", "--", ";", " OR 1=1", "\0", "%", "$1", "aim_", "air_", ".", "eyJ", "\u{202e}", "x", "_",
        "0",
    ];
    let models = [good.expose(), ada.access_token.expose(), ada.refresh_token.expose(), "aim_abcdefgh_"];
    for _ in 0..10_000 {
        let model = models[random(models.len())];
        let mut text: Vec<char> = model.chars().collect();
        for _ in 0..=random(4) {
            let at = random(text.len() + 1);
            let piece = pieces[random(pieces.len())];
            match random(3) {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, piece.chars())),
                _ => drop(text.splice(at..(at + 1).min(text.len()), piece.chars())),
            }
        }
        let text: String = text.into_iter().collect();
        if models.contains(&text.as_str()) {
            continue;
        }
        let error = house.accounts.authenticate(&text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{text}: {error:?}");
        let refreshed = house.accounts.refresh(&text, &Client::default()).await;
        if let Err(error) = refreshed {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{text}: {error:?}");
        }
    }
    assert!(house.is_good(&good).await);
}
