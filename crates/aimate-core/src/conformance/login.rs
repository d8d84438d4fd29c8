use std::time::Duration;

use futures_util::future::join_all;

use super::invite::invite;
use super::world::{World, all, at, conversation, id, missing, refused, session, user};
use crate::deletion::DeletionTarget;
use crate::error::ErrorKind;
use crate::invite::Invite;
use crate::login::{Admission, Attempt, AttemptLimit, Login, NewAccount};
use crate::user::User;
use crate::{PageRequest, Role, Scope, Secret, Stores, TenantId, UserId};

pub(super) fn account(tenant: TenantId, email: &str, admission: Admission) -> NewAccount {
    NewAccount {
        tenant,
        user: user(Some(email), Role::User),
        email: email.parse().unwrap(),
        password_hash: Some(Secret::new("$argon2id$first")),
        identity: None,
        admission,
    }
}

async fn registered(stores: &Stores, tenant: TenantId, email: &str) -> User {
    stores.logins.register(&account(tenant, email, Admission::Anyone)).await.unwrap()
}

async fn hash_of(stores: &Stores, email: &str) -> String {
    let login = stores.logins.find(&email.parse().unwrap()).await.unwrap().unwrap();
    let hash = login.password_hash.unwrap();
    hash.expose().to_owned()
}

fn scope_of(tenant: TenantId, user: &User) -> Scope {
    Scope { tenant, user: user.id, role: user.role }
}

pub async fn registered_account_is_found(stores: &Stores) {
    let tenant: TenantId = id();
    assert!(!stores.logins.has_accounts(tenant).await.unwrap());
    let ada = registered(stores, tenant, "ada@example.org").await;
    assert_eq!((ada.email.as_deref(), ada.role, ada.is_active), (Some("ada@example.org"), Role::Admin, true));
    let found = stores.logins.find(&"ada@example.org".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.tenant, found.user, found.created_at), (tenant, ada.id, at(0)));
    assert_eq!(found.password_hash.unwrap().expose(), "$argon2id$first");
    let by_user = stores.logins.find_by_user(tenant, ada.id).await.unwrap().unwrap();
    assert_eq!(by_user.email.as_str(), "ada@example.org");
    assert_eq!(stores.users.get(&scope_of(tenant, &ada), ada.id).await.unwrap(), ada);
    assert!(stores.logins.has_accounts(tenant).await.unwrap());
    assert!(stores.logins.find(&"eve@example.org".parse().unwrap()).await.unwrap().is_none());
    assert!(stores.logins.find_by_user(id(), ada.id).await.unwrap().is_none());
}

pub async fn taken_address_conflicts_in_any_tenant(stores: &Stores) {
    let (tenant, elsewhere): (TenantId, TenantId) = (id(), id());
    let ada = registered(stores, tenant, "ada@example.org").await;
    for other in [tenant, elsewhere] {
        let again = account(other, "ada@example.org", Admission::Anyone);
        refused(stores.logins.register(&again).await, ErrorKind::Conflict);
    }
    // Nothing of the second try is left.
    let scope = scope_of(tenant, &ada);
    assert_eq!(all(|page| stores.users.list(&scope, page)).await.len(), 1);
    assert!(!stores.logins.has_accounts(elsewhere).await.unwrap());
}

pub async fn first_account_becomes_admin_and_no_other(stores: &Stores) {
    let tenant: TenantId = id();
    let calls = (0..50).map(|n| async move {
        let new = account(tenant, &format!("u{n}@example.org"), Admission::Anyone);
        let user = stores.logins.register(&new).await.unwrap();
        user.role
    });
    let roles: Vec<_> = join_all(calls).await;
    assert_eq!(roles.iter().filter(|role| **role == Role::Admin).count(), 1);
    assert_eq!(roles.len(), 50);
    // Nor after all of them are gone.
    let scope = Scope { tenant, user: UserId::SHARED, role: Role::Admin };
    for user in all(|page| stores.users.list(&scope, page)).await {
        stores.users.delete(&scope, user.id).await.unwrap();
    }
    assert_eq!(registered(stores, tenant, "late@example.org").await.role, Role::User);
}

pub async fn first_account_closes_the_door(stores: &Stores) {
    let tenant: TenantId = id();
    let calls = (0..20).map(|n| async move {
        let new = account(tenant, &format!("u{n}@example.org"), Admission::First);
        stores.logins.register(&new).await
    });
    let mut made = 0;
    for outcome in join_all(calls).await {
        match outcome {
            Ok(user) => {
                assert_eq!(user.role, Role::Admin);
                made += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Forbidden),
        }
    }
    assert_eq!(made, 1);
    // The operator lets in whom they want, as what they want.
    let bob = stores.logins.register(&account(tenant, "bob@example.org", Admission::Operator)).await.unwrap();
    assert_eq!(bob.role, Role::User);
}

pub async fn invite_lets_one_in(stores: &Stores) {
    let w = World::new(stores).await;
    let invited = |byte, email: &str| account(w.me.tenant, email, Admission::Invited(vec![byte; 32]));
    let for_ada = Invite { email: Some("ada@example.org".parse().unwrap()), role: Role::Admin, ..invite(1) };
    let for_anybody = invite(2);
    for invite in [for_ada, for_anybody, Invite { created_at: at(-1_000), expires_at: at(0), ..invite(3) }] {
        stores.invites.create(&w.admin, &Invite { created_at: at(-2_000), ..invite }).await.unwrap();
    }
    for (byte, email) in [(1, "eve@example.org"), (3, "eve@example.org"), (4, "eve@example.org")] {
        refused(stores.logins.register(&invited(byte, email)).await, ErrorKind::Forbidden);
    }
    assert_eq!(stores.logins.register(&invited(1, "ada@example.org")).await.unwrap().role, Role::Admin);
    let tries = ["b@example.org", "c@example.org", "d@example.org"].map(|email| invited(2, email));
    let outcomes = join_all(tries.iter().map(|account| stores.logins.register(account))).await;
    let made: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
    assert_eq!(made.iter().map(|user| user.role).collect::<Vec<_>>(), [Role::User]);
    // Of another tenant it is none.
    stores.invites.create(&w.admin, &invite(5)).await.unwrap();
    let foreign = account(w.stranger.tenant, "f@example.org", Admission::Invited(vec![5; 32]));
    refused(stores.logins.register(&foreign).await, ErrorKind::Forbidden);
    // One whose address is taken keeps its invite.
    refused(stores.logins.register(&invited(5, "ada@example.org")).await, ErrorKind::Conflict);
    stores.logins.register(&invited(5, "g@example.org")).await.unwrap();
}

pub async fn nobody_registers_in_a_tenant_that_goes(stores: &Stores) {
    let w = World::new(stores).await;
    let target = DeletionTarget { tenant: w.me.tenant, user: None };
    stores.deletions.begin(&target, w.worker, at(0)).await.unwrap();
    let new = account(w.me.tenant, "ada@example.org", Admission::Operator);
    refused(stores.logins.register(&new).await, ErrorKind::Forbidden);
}

fn login(scope: &Scope, email: &str) -> Login {
    Login {
        email: email.parse().unwrap(),
        tenant: scope.tenant,
        user: scope.user,
        password_hash: None,
        created_at: at(0),
        password_changed_at: at(0),
    }
}

pub async fn login_is_attached_to_a_user_who_is_there(stores: &Stores) {
    let w = World::new(stores).await;
    stores.logins.attach(&login(&w.me, "ada@example.org")).await.unwrap();
    let found = stores.logins.find(&"ada@example.org".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.user, found.password_hash.is_none()), (w.me.user, true));
    assert_eq!(stores.users.get(&w.me, w.me.user).await.unwrap().email.as_deref(), Some("ada@example.org"));
    assert!(stores.logins.has_accounts(w.me.tenant).await.unwrap());
    refused(stores.logins.attach(&login(&w.me, "eve@example.org")).await, ErrorKind::Conflict);
    refused(stores.logins.attach(&login(&w.stranger, "ada@example.org")).await, ErrorKind::Conflict);
    let nobody = Scope { user: id(), ..w.me };
    missing(stores.logins.attach(&login(&nobody, "eve@example.org")).await);
    assert!(stores.logins.find(&"eve@example.org".parse().unwrap()).await.unwrap().is_none());
}

pub async fn adopted_account_is_the_other_user(stores: &Stores) {
    let w = World::new(stores).await;
    let tenant = w.me.tenant;
    let kept = w.conversation("talk").await;
    let ada = registered(stores, tenant, "ada@example.org").await;
    stores.sessions.create(&scope_of(tenant, &ada), &session()).await.unwrap();
    stores.logins.adopt(tenant, ada.id, w.me.user, at(9)).await.unwrap();
    let found = stores.logins.find(&"ada@example.org".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.user, w.me.user);
    let me = stores.users.get(&w.me, w.me.user).await.unwrap();
    assert_eq!((me.email.as_deref(), me.updated_at), (Some("ada@example.org"), at(9)));
    missing(stores.users.get(&w.me, ada.id).await);
    stores.conversations.get(&w.me, kept.id).await.unwrap();
    // Who has a login adopts no other, and who is not there none.
    let bob = registered(stores, tenant, "bob@example.org").await;
    let own = conversation("bob's");
    stores.conversations.create(&scope_of(tenant, &bob), &own).await.unwrap();
    refused(stores.logins.adopt(tenant, bob.id, w.me.user, at(9)).await, ErrorKind::Conflict);
    missing(stores.logins.adopt(tenant, bob.id, id(), at(9)).await);
    missing(stores.logins.adopt(tenant, w.other.user, w.admin.user, at(9)).await);
    missing(stores.logins.adopt(w.stranger.tenant, bob.id, w.stranger.user, at(9)).await);
    stores.conversations.get(&scope_of(tenant, &bob), own.id).await.unwrap();
}

pub async fn new_password_ends_other_sessions(stores: &Stores) {
    let tenant: TenantId = id();
    let ada = registered(stores, tenant, "ada@example.org").await;
    let scope = scope_of(tenant, &ada);
    let (kept, other) = (session(), session());
    for session in [&kept, &other] {
        stores.sessions.create(&scope, session).await.unwrap();
    }
    let new = Secret::new("$argon2id$second");
    stores.logins.set_password(tenant, ada.id, &new, Some(kept.id), at(5)).await.unwrap();
    assert_eq!(hash_of(stores, "ada@example.org").await, "$argon2id$second");
    let left = stores.sessions.list(&scope, at(0), PageRequest::default()).await.unwrap().data;
    assert_eq!(left, [kept]);
    stores.logins.set_password(tenant, ada.id, &new, None, at(6)).await.unwrap();
    assert_eq!(stores.sessions.list(&scope, at(0), PageRequest::default()).await.unwrap().data, []);
    missing(stores.logins.set_password(tenant, id(), &new, None, at(7)).await);
    missing(stores.logins.set_password(id(), ada.id, &new, None, at(7)).await);
}

pub async fn rehash_keeps_a_password_that_changed(stores: &Stores) {
    let tenant: TenantId = id();
    let ada = registered(stores, tenant, "ada@example.org").await;
    let email = "ada@example.org".parse().unwrap();
    let (first, second) = (Secret::new("$argon2id$first"), Secret::new("$argon2id$second"));
    assert!(stores.logins.rehash(&email, &first, &second).await.unwrap());
    assert!(!stores.logins.rehash(&email, &first, &Secret::new("$argon2id$third")).await.unwrap());
    assert_eq!(hash_of(stores, "ada@example.org").await, "$argon2id$second");
    let login = stores.logins.find_by_user(tenant, ada.id).await.unwrap().unwrap();
    assert_eq!(login.password_changed_at, at(0));
}

/// Three free attempts, then a second, two, four and so on up to ten.
fn limit(byte: u8) -> AttemptLimit {
    AttemptLimit {
        subject: vec![byte; 32],
        free: 3,
        max_wait: Duration::from_secs(10),
        lock_after: Some(8),
        forget_after: Duration::from_secs(1_000),
    }
}

pub async fn attempts_wait_longer_and_longer(stores: &Stores) {
    let (me, other) = ([limit(1)], [limit(2)]);
    let attempt = async |seconds| stores.logins.attempt(&me, at(seconds)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(attempt(0).await, Attempt::Allowed);
    }
    let mut now = 0;
    for wait in [1, 2, 4, 8, 10] {
        assert_eq!(attempt(now).await, Attempt::Wait(at(now + wait)), "{wait}");
        assert_eq!(attempt(now + wait - 1).await, Attempt::Wait(at(now + wait)), "{wait}");
        now += wait;
        let allowed = if now == 25 { Attempt::Last } else { Attempt::Allowed };
        assert_eq!(attempt(now).await, allowed, "{wait}");
    }
    assert_eq!(attempt(now + 100_000).await, Attempt::Locked);
    assert_eq!(stores.logins.attempt(&other, at(0)).await.unwrap(), Attempt::Allowed);
    stores.logins.succeeded(&[vec![1; 32]], &[]).await.unwrap();
    assert_eq!(attempt(now).await, Attempt::Allowed);
}

pub async fn attempts_at_once_are_no_more_than_allowed(stores: &Stores) {
    let limits = [limit(1)];
    let attempts = join_all((0..50).map(|_| stores.logins.attempt(&limits, at(0)))).await;
    let allowed = attempts.into_iter().filter(|attempt| *attempt.as_ref().unwrap() == Attempt::Allowed);
    assert_eq!(allowed.count(), 3);
}

pub async fn refused_attempt_counts_nowhere(stores: &Stores) {
    let (account, network) = (limit(1), AttemptLimit { lock_after: None, ..limit(2) });
    for _ in 0..3 {
        stores.logins.attempt(std::slice::from_ref(&network), at(0)).await.unwrap();
    }
    let both = [account.clone(), network.clone()];
    for _ in 0..10 {
        assert_eq!(stores.logins.attempt(&both, at(0)).await.unwrap(), Attempt::Wait(at(1)));
    }
    // Those of the account are all left.
    for _ in 0..3 {
        let attempt = stores.logins.attempt(std::slice::from_ref(&account), at(0)).await.unwrap();
        assert_eq!(attempt, Attempt::Allowed);
    }
    // A success gives one attempt back, and the next one does not wait for it; a failure counts as
    // it would have before.
    let tried = async |seconds| stores.logins.attempt(std::slice::from_ref(&network), at(seconds)).await;
    for _ in 0..5 {
        assert_eq!(tried(1).await.unwrap(), Attempt::Allowed);
        stores.logins.succeeded(&[], &[vec![2; 32]]).await.unwrap();
    }
    assert_eq!(tried(1).await.unwrap(), Attempt::Allowed);
    assert_eq!(tried(1).await.unwrap(), Attempt::Wait(at(3)));
    assert_eq!(tried(2).await.unwrap(), Attempt::Wait(at(3)));
    // Each minute takes one failure of a network off, though there are attempts all the time.
    for seconds in (30..=300).step_by(30) {
        assert_eq!(tried(seconds).await.unwrap(), Attempt::Allowed, "{seconds}");
        stores.logins.succeeded(&[], &[vec![2; 32]]).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(tried(301).await.unwrap(), Attempt::Allowed);
    }
    assert_eq!(tried(301).await.unwrap(), Attempt::Wait(at(302)));
    // Those in a row, which lock in the end, stay.
    for _ in 0..3 {
        stores.logins.attempt(&[limit(3)], at(0)).await.unwrap();
    }
    assert_eq!(stores.logins.attempt(&[limit(3)], at(600)).await.unwrap(), Attempt::Allowed);
    assert_eq!(stores.logins.attempt(&[limit(3)], at(600)).await.unwrap(), Attempt::Wait(at(602)));
}

pub async fn old_attempts_are_forgotten(stores: &Stores) {
    let limits = [limit(1)];
    for _ in 0..3 {
        stores.logins.attempt(&limits, at(0)).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(stores.logins.attempt(&limits, at(2_000)).await.unwrap(), Attempt::Allowed);
    }
    assert_eq!(stores.logins.attempt(&limits, at(2_000)).await.unwrap(), Attempt::Wait(at(2_001)));
    stores.logins.attempt(&[limit(2)], at(0)).await.unwrap();
    assert_eq!(stores.logins.clear_attempts(at(1), 8).await.unwrap(), 1);
    // One that is locked stays locked.
    assert_eq!(stores.logins.clear_attempts(at(3_000), 3).await.unwrap(), 0);
    assert_eq!(stores.logins.clear_attempts(at(3_000), 8).await.unwrap(), 1);
}
