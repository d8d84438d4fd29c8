use futures_util::future::join_all;

use super::api_token::token;
use super::file::file;
use super::invite::invite;
use super::knowledge_world::{Fixture, LONG};
use super::tool_grant::grant;
use super::world::{
    World, at, connection, finish, id, missing, model, observed, prompt, refused, session, text_events,
    tool_server,
};
use crate::connection::Connection;
use crate::deletion::{Deletion, DeletionStep, DeletionTarget};
use crate::error::ErrorKind;
use crate::identity::Identity;
use crate::invite::Invite;
use crate::knowledge::StorageQuotas;
use crate::login::Login;
use crate::tool::ToolServer;
use crate::usage::{UsageFilter, UsageGroup};
use crate::user::EnsuredUser;
use crate::{EmailAddress, PageRequest, Role, Scope, Stores, TenantId, Timestamp, UserId, WorkerId};

/// After any wait for answers that run.
const LATER: i64 = 1_000;

fn user(scope: &Scope) -> DeletionTarget {
    DeletionTarget { tenant: scope.tenant, user: Some(scope.user) }
}

fn tenant(scope: &Scope) -> DeletionTarget {
    DeletionTarget { tenant: scope.tenant, user: None }
}

/// Something of every noun that a user owns.
pub async fn fill(stores: &Stores, fixture: &Fixture<'_>) {
    let w = &fixture.world;
    let workspace = w.workspace("w").await;
    stores.prompts.create(&w.me, &prompt(Some(workspace.id), "p")).await.unwrap();
    let begin = w.begun().await;
    stores.runs.finish(&w.me, &finish(&begin, "x", text_events(1, &["x"]))).await.unwrap();
    let mine = w.connection("mine").await;
    stores.models.replace(&w.me, mine.id, &[model(&mine, "m")], at(1)).await.unwrap();
    let server = w.tool_server("mine").await;
    stores.tool_servers.observe(&w.me, &server, &observed(&["a", "b"], 1)).await.unwrap();
    stores.tool_servers.put_grant(&w.me, &grant(&server, "https://login.example")).await.unwrap();
    let session = session();
    stores.sessions.create(&w.me, &session).await.unwrap();
    stores.api_tokens.create(&w.me, &token("prefix")).await.unwrap();
    let identity = Identity::new("https://login.example.org", "ada").unwrap();
    stores.identities.link(w.me.tenant, w.me.user, &identity, at(0)).await.unwrap();
    let invite = Invite { user_id: Some(w.me.user), ..invite(1) };
    stores.invites.create(&w.me, &invite).await.unwrap();
    let email: EmailAddress = format!("{}@example.org", w.me.user).parse().unwrap();
    let login = Login {
        email,
        tenant: w.me.tenant,
        user: w.me.user,
        password_hash: None,
        created_at: at(0),
        password_changed_at: at(0),
    };
    stores.logins.attach(&login).await.unwrap();
    let file = file("a.txt");
    stores.files.begin_upload(&w.me, file.blob_id, w.worker).await.unwrap();
    stores.files.create(&w.me, &file, &StorageQuotas::default()).await.unwrap();
    fixture.ready("one", &["apple", "pear"]).await;
    fixture.add("two").await;
}

/// Carries a deletion out as the engine does; `None` at its end for one of a tenant
/// whose bytes nobody removed.
async fn deleted(stores: &Stores, target: &DeletionTarget, worker: WorkerId) -> Deletion {
    stores.deletions.begin(target, worker, at(0)).await.unwrap();
    while stores.deletions.step(target, at(LATER)).await.unwrap() != DeletionStep::Empty {}
    let loose = stores.queue.blobs_to_remove(worker, at(LATER), LONG, 100).await.unwrap();
    stores.queue.forget_removed(&loose).await.unwrap();
    stores.deletions.finish(target, at(LATER)).await.unwrap()
}

pub async fn deleted_user_leaves_nothing(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let w = &fixture.world;
    fill(stores, &fixture).await;
    let shared = Connection { is_shared: true, ..connection("shared") };
    stores.connections.create(&w.admin, &shared).await.unwrap();
    let theirs = super::world::conversation("theirs");
    stores.conversations.create(&w.other, &theirs).await.unwrap();

    let deletion = deleted(stores, &user(&w.me), w.worker).await;
    assert_eq!((deletion.target, deletion.started_at), (user(&w.me), at(0)));
    assert_eq!(deletion.finished_at, Some(at(LATER)));
    let counts = deletion.counts;
    assert_eq!(
        (counts.users, counts.sessions, counts.files, counts.workspaces, counts.prompts),
        (1, 1, 1, 1, 1)
    );
    assert_eq!((counts.conversations, counts.messages, counts.runs, counts.run_events), (1, 2, 1, 1));
    assert_eq!((counts.connections, counts.models), (1, 1));
    assert_eq!((counts.tool_servers, counts.tool_grants), (1, 1));
    assert_eq!((counts.collections, counts.documents, counts.chunks, counts.vectors), (1, 2, 2, 2));
    assert_eq!((counts.segments, counts.bytes), (1, 10 + 5_000_000_000));
    assert_eq!((counts.usage_records, counts.anonymised_usage_records), (0, 1));

    missing(stores.users.get(&w.admin, w.me.user).await);
    missing(stores.collections.get(&w.me, fixture.collection).await);
    fixture.is_tidy().await;
    // The tenant's accounts stay whole, and name nobody.
    let filter = UsageFilter::new().group_by([UsageGroup::User]);
    let sums = stores.usage.summarize(&w.admin, &filter).await.unwrap();
    assert_eq!((sums.len(), sums[0].calls), (1, 1));
    assert_eq!(sums[0].user_id, Some(UserId::SHARED));
    // Nobody else lost anything.
    stores.conversations.get(&w.other, theirs.id).await.unwrap();
    stores.connections.get(&w.other, shared.id).await.unwrap();
    stores.users.get(&w.stranger, w.me.user).await.unwrap();
}

pub async fn deleted_tenant_leaves_nothing(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let w = &fixture.world;
    fill(stores, &fixture).await;
    let shared = Connection { is_shared: true, ..connection("shared") };
    stores.connections.create(&w.admin, &shared).await.unwrap();
    stores.models.replace(&w.admin, shared.id, &[model(&shared, "m")], at(1)).await.unwrap();
    let shared = ToolServer { is_shared: true, ..tool_server("shared") };
    stores.tool_servers.create(&w.admin, &shared).await.unwrap();

    stores.deletions.begin(&tenant(&w.me), w.worker, at(0)).await.unwrap();
    while stores.deletions.step(&tenant(&w.me), at(LATER)).await.unwrap() != DeletionStep::Empty {}
    // Not over before the bytes are gone.
    assert_eq!(stores.deletions.finish(&tenant(&w.me), at(LATER)).await.unwrap().finished_at, None);
    let counts = deleted(stores, &tenant(&w.me), w.worker).await.counts;
    assert_eq!((counts.users, counts.connections, counts.models), (3, 2, 2));
    assert_eq!((counts.tool_servers, counts.tool_grants), (2, 1));
    assert_eq!((counts.usage_records, counts.anonymised_usage_records), (1, 0));
    assert_eq!((counts.conversations, counts.documents, counts.bytes), (1, 2, 10 + 5_000_000_000));
    missing(stores.tenants.get(w.me.tenant).await);
    for scope in [w.me, w.other, w.admin] {
        assert_eq!(stores.users.standing(&scope).await.unwrap(), None);
    }
    assert!(stores.usage.summarize(&w.admin, &UsageFilter::default()).await.unwrap().is_empty());
    stores.tenants.get(w.stranger.tenant).await.unwrap();
    stores.users.get(&w.stranger, w.me.user).await.unwrap();
}

pub async fn what_is_being_deleted_takes_no_new_work(stores: &Stores) {
    let w = World::new(stores).await;
    let begin = w.begun().await;
    stores.deletions.begin(&user(&w.other), w.worker, at(0)).await.unwrap();
    assert!(stores.users.standing(&w.other).await.unwrap().unwrap().is_being_deleted);
    assert!(!stores.users.standing(&w.me).await.unwrap().unwrap().is_being_deleted);
    assert!(stores.workers.beat(w.worker, at(0)).await.unwrap().is_empty());

    stores.deletions.begin(&tenant(&w.me), w.worker, at(0)).await.unwrap();
    for scope in [w.me, w.other, w.admin] {
        assert!(stores.users.standing(&scope).await.unwrap().unwrap().is_being_deleted);
    }
    assert!(!stores.users.standing(&w.stranger).await.unwrap().unwrap().is_being_deleted);
    assert_eq!(stores.workers.beat(w.worker, at(0)).await.unwrap(), [begin.run.id]);
    let new = super::world::user(None, Role::User);
    refused(stores.users.create(&w.me, &new).await, ErrorKind::Conflict);
    let ensured = EnsuredUser { tenant_key: "t".into(), user_key: "u".into(), name: None, role: None };
    for scope in [w.me, Scope { user: id(), ..w.me }] {
        refused(stores.users.ensure(&scope, &ensured, at(1)).await, ErrorKind::Conflict);
    }
    // The answer that runs is given a moment to end.
    assert_eq!(stores.deletions.step(&tenant(&w.me), at(1)).await.unwrap(), DeletionStep::Waiting);
    stores.runs.finish(&w.me, &finish(&begin, "x", text_events(1, &["x"]))).await.unwrap();
    assert_eq!(stores.deletions.step(&tenant(&w.me), at(1)).await.unwrap(), DeletionStep::Deleted);
}

pub async fn large_conversation_goes_in_small_steps(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let mut last = None;
    for _ in 0..5 {
        let texts = vec!["word"; 250];
        last = w.thread(&talk, last.as_ref(), &texts).await.pop();
    }
    let target = user(&w.me);
    let mut before = stores.deletions.begin(&target, w.worker, at(0)).await.unwrap().counts;
    let mut steps = 0;
    while stores.deletions.step(&target, at(LATER)).await.unwrap() != DeletionStep::Empty {
        let after = stores.deletions.find(&target).await.unwrap().unwrap().counts;
        assert!(after.messages - before.messages <= 500, "{before:?} {after:?}");
        (before, steps) = (after, steps + 1);
    }
    assert!(steps >= 3, "{steps}");
    assert_eq!((before.messages, before.conversations, before.users), (1_250, 1, 1));
}

pub async fn key_starts_afresh_after_its_deletion(stores: &Stores) {
    let tenant_id = TenantId::of_key("acme");
    let scope = Scope { tenant: tenant_id, user: UserId::of_key(tenant_id, "u"), role: Role::User };
    let ensured =
        EnsuredUser { tenant_key: "acme".into(), user_key: "u".into(), name: Some("Ann".into()), role: None };
    let worker = id();
    stores.workers.join(worker, at(0)).await.unwrap();
    stores.users.ensure(&scope, &ensured, at(0)).await.unwrap();
    for target in [user(&scope), tenant(&scope), user(&scope)] {
        if target.user.is_some() {
            stores.users.ensure(&scope, &ensured, at(0)).await.unwrap();
        }
        let receipt = deleted(stores, &target, worker).await;
        assert_eq!(receipt.finished_at, Some(at(LATER)));
        // Its receipt is given again, until it is cleared or the deletion begins anew.
        assert_eq!(stores.deletions.begin(&target, worker, at(LATER + 1)).await.unwrap(), receipt);
        assert_eq!(stores.users.standing(&scope).await.unwrap(), None);
    }
    stores.users.ensure(&scope, &EnsuredUser { name: None, ..ensured }, at(LATER)).await.unwrap();
    assert_eq!(stores.users.get(&scope, scope.user).await.unwrap().name, "u");
    assert_eq!(stores.users.list(&scope, PageRequest::default()).await.unwrap().data.len(), 1);
}

pub async fn deletion_of_a_dead_worker_is_taken_over(stores: &Stores) {
    let w = World::new(stores).await;
    let (first, heir): (WorkerId, WorkerId) = (id(), id());
    for worker in [first, heir] {
        stores.workers.join(worker, at(0)).await.unwrap();
    }
    let take = |worker: WorkerId, now: Timestamp| stores.deletions.take_over(worker, now, LONG);
    assert!(take(first, at(0)).await.unwrap().is_empty());
    stores.deletions.begin(&user(&w.me), first, at(0)).await.unwrap();
    // Somebody else who asks for it takes it from nobody who lives.
    stores.deletions.begin(&user(&w.me), heir, at(1)).await.unwrap();
    assert!(take(heir, at(1)).await.unwrap().is_empty());
    assert_eq!(take(first, at(1)).await.unwrap(), [user(&w.me)]);
    stores.deletions.begin(&tenant(&w.stranger), first, at(1)).await.unwrap();
    stores.workers.leave(first).await.unwrap();
    let mut taken = take(heir, at(2)).await.unwrap();
    taken.sort_by_key(|target| target.user);
    assert_eq!(taken, [tenant(&w.stranger), user(&w.me)]);
    deleted(stores, &user(&w.me), heir).await;
    assert_eq!(take(heir, at(3)).await.unwrap(), [tenant(&w.stranger)]);
}

pub async fn absent_target_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let absent = DeletionTarget { user: Some(id()), ..user(&w.me) };
    let nowhere = DeletionTarget { tenant: id(), user: None };
    let nobody = DeletionTarget { user: Some(UserId::SHARED), ..user(&w.me) };
    for target in [absent, nowhere, nobody] {
        missing(stores.deletions.begin(&target, w.worker, at(0)).await);
        missing(stores.deletions.step(&target, at(0)).await);
        assert_eq!(stores.deletions.find(&target).await.unwrap(), None);
    }
    let all = join_all([w.me, w.other, w.admin].iter().map(|scope| stores.users.standing(scope))).await;
    assert!(all.into_iter().all(|standing| !standing.unwrap().unwrap().is_being_deleted));
}

pub async fn receipts_are_cleared(stores: &Stores) {
    let w = World::new(stores).await;
    deleted(stores, &user(&w.me), w.worker).await;
    stores.deletions.begin(&user(&w.other), w.worker, at(0)).await.unwrap();
    stores.deletions.clear(at(LATER)).await.unwrap();
    assert!(stores.deletions.find(&user(&w.me)).await.unwrap().is_some());
    stores.deletions.clear(at(LATER + 1)).await.unwrap();
    assert_eq!(stores.deletions.find(&user(&w.me)).await.unwrap(), None);
    // One that is not over stays.
    assert!(stores.deletions.find(&user(&w.other)).await.unwrap().is_some());
    missing(stores.deletions.begin(&user(&w.me), w.worker, at(0)).await);
}
