//! Tenants and users of an application, by its own names for them; and who may act.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::{Duration, Instant};

use aimate::conversation::{ConversationFilter, NewConversation};
use aimate::engine::{Completion, EmbeddingRequest};
use aimate::knowledge::{DocumentFilter, NewCollection, NewDocument, SearchRequest};
use aimate::message::Part;
use aimate::prompt::NewPrompt;
use aimate::run::RunStatus;
use aimate::tenant::TenantChange;
use aimate::testing::{ScriptedProvider, Step, answer};
use aimate::usage::UsageFilter;
use aimate::user::UserChange;
use aimate::workspace::NewWorkspace;
use aimate::{
    Engine, Error, ErrorKind, ErrorReason, Ids as _, PageRequest, RandomIds, Result, Role, Scope, Stores,
    TenantId, Turn, TurnInput, UserId,
};
use common::{bench, builder, events, say};

fn inactive(is_active: bool) -> UserChange {
    UserChange { is_active: Some(is_active), ..UserChange::default() }
}

#[track_caller]
fn refused<T>(result: Result<T>) -> Error {
    let error = result.err().expect("it is refused");
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Forbidden, Some(ErrorReason::UserInactive)));
    error
}

#[tokio::test]
async fn keys_of_the_application_make_a_scope() {
    let bench = bench([answer("hello")]).await;
    let ann = bench.engine.scope("acme", "u-17").role(Role::Admin).name("Ann").ensure().await.unwrap();
    let tenant = TenantId::of_key("acme");
    assert_eq!(ann, Scope { tenant, user: UserId::of_key(tenant, "u-17"), role: Role::Admin });
    // Nothing given keeps what is stored.
    assert_eq!(bench.engine.scope("acme", "u-17").ensure().await.unwrap(), ann);
    let stored = bench.engine.users(&ann).get(ann.user).await.unwrap();
    assert_eq!(
        (stored.name.as_str(), stored.key.as_deref(), stored.role),
        ("Ann", Some("u-17"), Role::Admin)
    );
    let bob = bench.engine.scope("acme", "u-18").ensure().await.unwrap();
    assert_eq!((bob.role, bob.tenant), (Role::User, tenant));
    assert_eq!(bench.engine.users(&bob).get(bob.user).await.unwrap().name, "u-18");
    // What looks alike is another one.
    for (tenant, user) in [("Acme", "u-17"), ("acme", "U-17"), ("acme ", "u-17"), ("аcme", "u-17")] {
        assert_ne!(bench.engine.scope(tenant, user).ensure().await.unwrap().user, ann.user);
    }
    events(bench.engine.chat(&ann, Turn::new("hi")).await.unwrap()).await;
    assert_eq!(
        bench
            .engine
            .conversations(&ann)
            .list(&ConversationFilter::default(), PageRequest::default())
            .await
            .unwrap()
            .data
            .len(),
        1
    );
    assert!(
        bench
            .engine
            .conversations(&bob)
            .list(&ConversationFilter::default(), PageRequest::default())
            .await
            .unwrap()
            .data
            .is_empty()
    );
}

#[tokio::test]
async fn wrong_key_is_named() {
    let bench = bench([]).await;
    let long = "x".repeat(10_000);
    for wrong in ["", &long, "a\0b"] {
        let error = bench.engine.scope(wrong, "u").ensure().await.unwrap_err();
        assert_eq!(error.fields()[0].path, "tenant");
        let error = bench.engine.scope("t", wrong).ensure().await.unwrap_err();
        assert_eq!(error.fields()[0].path, "user");
    }
    let error = bench.engine.scope("t", "u").name("  ").ensure().await.unwrap_err();
    assert_eq!(error.fields()[0].path, "name");
    assert_eq!(bench.engine.tenants().list(PageRequest::default()).await.unwrap().data.len(), 1);
}

#[tokio::test]
async fn given_role_and_name_are_stored_at_once() {
    let bench = bench([]).await;
    let of = |role| bench.engine.scope("acme", "u").role(role).ensure();
    for role in [Role::User, Role::Admin, Role::Admin, Role::User] {
        let scope = of(role).await.unwrap();
        assert_eq!(scope.role, role);
        assert_eq!(bench.engine.users(&scope).get(scope.user).await.unwrap().role, role);
    }
    let ann = bench.engine.scope("acme", "u").name("Ann").ensure().await.unwrap();
    bench.engine.scope("acme", "u").name("Anne").ensure().await.unwrap();
    assert_eq!(bench.engine.users(&ann).get(ann.user).await.unwrap().name, "Anne");
}

#[tokio::test]
async fn ensuring_again_asks_nobody() {
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let engine = builder(&ScriptedProvider::new([])).store(store.clone()).build().await.unwrap();
    engine.scope("acme", "u").name("Ann").ensure().await.unwrap();
    // Each is ready without waiting for anything, so none asked the database.
    for _ in 0..1_000 {
        let ensured = engine.scope("acme", "u").name("Ann").ensure();
        futures_util::FutureExt::now_or_never(ensured).expect("it need not wait").unwrap();
    }
}

#[tokio::test]
async fn parallel_requests_of_a_new_user_make_one() {
    let bench = bench([]).await;
    let requests = (0..50).map(|_| bench.engine.scope("acme", "u").name("Ann").ensure());
    let scopes: Vec<Scope> =
        futures_util::future::join_all(requests).await.into_iter().map(Result::unwrap).collect();
    assert!(scopes.iter().all(|scope| *scope == scopes[0]));
    let admin = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    assert_eq!(bench.engine.users(&admin).list(PageRequest::default()).await.unwrap().data.len(), 2);
}

#[tokio::test]
async fn admins_manage_users_and_others_read_themselves() {
    let bench = bench([]).await;
    let admin = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    let bob = bench.engine.scope("acme", "bob").ensure().await.unwrap();
    let eve = bench.engine.scope("other", "eve").role(Role::Admin).ensure().await.unwrap();
    let users = bench.engine.users(&bob);
    assert_eq!(users.get(bob.user).await.unwrap().key.as_deref(), Some("bob"));
    let forbidden = |error: Error| {
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Forbidden, None), "{error}");
    };
    forbidden(users.get(admin.user).await.unwrap_err());
    forbidden(users.list(PageRequest::default()).await.unwrap_err());
    forbidden(
        users
            .update(bob.user, UserChange { role: Some(Role::Admin), ..UserChange::default() })
            .await
            .unwrap_err(),
    );
    let change = UserChange { name: Some("Bob".into()), role: Some(Role::Admin), ..UserChange::default() };
    let changed = bench.engine.users(&admin).update(bob.user, change).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.role), ("Bob", Role::Admin));
    // The next request of the user has the new role at once.
    assert_eq!(bench.engine.scope("acme", "bob").ensure().await.unwrap().role, Role::Admin);
    let foreign = bench.engine.users(&eve).update(bob.user, inactive(false)).await.unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::NotFound);
    let wrong = UserChange { name: Some("x".repeat(201)), ..UserChange::default() };
    assert_eq!(
        bench.engine.users(&admin).update(bob.user, wrong).await.unwrap_err().fields()[0].path,
        "name"
    );
}

#[tokio::test]
async fn tenants_are_managed_by_the_operator() {
    let bench = bench([]).await;
    let ann = bench.engine.scope("acme", "ann").ensure().await.unwrap();
    let tenants = bench.engine.tenants();
    let acme = tenants.get("acme").await.unwrap();
    assert_eq!((acme.id, acme.key.as_deref(), acme.name.as_str()), (ann.tenant, Some("acme"), "acme"));
    assert_eq!(tenants.get(ann.tenant).await.unwrap(), acme);
    assert_eq!(tenants.get("Acme").await.unwrap_err().kind(), ErrorKind::NotFound);
    let all = tenants.list(PageRequest::default()).await.unwrap().data;
    assert!(all.contains(&acme) && all.len() == 2, "{all:?}");

    let closed = TenantChange { name: Some("Acme Inc.".into()), is_active: Some(false) };
    assert_eq!(tenants.update("acme", closed).await.unwrap().name, "Acme Inc.");
    assert!(
        refused(bench.engine.conversations(&ann).create(NewConversation::default()).await)
            .message()
            .contains("tenant")
    );
    refused(bench.engine.scope("acme", "ann").ensure().await);
    refused(bench.engine.scope("acme", "somebody-new").ensure().await);
    tenants.update("acme", TenantChange { name: None, is_active: Some(true) }).await.unwrap();
    bench.engine.conversations(&ann).create(NewConversation::default()).await.unwrap();
}

/// Each call of a user.
async fn calls(engine: &Engine, scope: &Scope) -> Vec<(&'static str, Option<Error>)> {
    let id = || RandomIds.next();
    let page = PageRequest::default();
    let mut outcomes = Vec::new();
    macro_rules! calls {
        ($($call:expr;)*) => {$(
            outcomes.push((stringify!($call), $call.await.err()));
        )*};
    }
    let (talks, runs, prompts) = (engine.conversations(scope), engine.runs(scope), engine.prompts(scope));
    let (connections, models) = (engine.connections(scope), engine.models(scope));
    let (workspaces, knowledge, users) =
        (engine.workspaces(scope), engine.knowledge(scope), engine.users(scope));
    let prompt = NewPrompt::new("t", "c");
    let workspace = NewWorkspace { name: "w".into(), ..NewWorkspace::default() };
    let connection = aimate::connection::NewConnection::new("c", "scripted").url("http://127.0.0.1:9/v1");
    calls! {
        engine.chat(scope, Turn::new("hi"));
        engine.edit(scope, Turn::of(TurnInput::Edit(id().into(), vec![Part::text("x")])).conversation(id().into()));
        engine.complete(scope, Completion::default());
        engine.embed(scope, EmbeddingRequest::new(["x"]));
        engine.usage(scope, &UsageFilter::default());
        talks.create(NewConversation::default());
        talks.list(&ConversationFilter::default(), page);
        talks.get(id().into());
        talks.delete(id().into());
        talks.fork(id().into(), id().into());
        runs.get(id().into());
        runs.attach(id().into(), 0);
        runs.cancel(id().into());
        prompts.create(prompt);
        prompts.list(None, page);
        workspaces.create(workspace);
        workspaces.list(page);
        connections.create(connection);
        connections.list(page);
        models.list();
        models.get("lab/test");
        knowledge.create_collection(NewCollection::new("c"));
        knowledge.collections(page);
        knowledge.collection("c");
        knowledge.add_text("n", "text");
        knowledge.add_text_to(id().into(), NewDocument::new("n"), "text".into());
        knowledge.documents(&DocumentFilter::default(), page);
        knowledge.wait(id().into());
        knowledge.content(id().into());
        knowledge.search(&SearchRequest::new("q"));
        users.get(scope.user);
        users.list(page);
    }
    outcomes
}

#[tokio::test]
async fn who_may_not_act_is_refused_by_every_call() {
    let bench = bench([]).await;
    let admin = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    let bob = bench.engine.scope("acme", "bob").role(Role::Admin).ensure().await.unwrap();
    let unknown = Scope { user: UserId::of_key(bob.tenant, "nobody"), ..bob };
    bench.engine.users(&admin).update(bob.user, inactive(false)).await.unwrap();
    for scope in [bob, unknown] {
        for (call, error) in calls(&bench.engine, &scope).await {
            let error = error.unwrap_or_else(|| panic!("{call} lets in who may not act"));
            assert_eq!(
                (error.kind(), error.reason()),
                (ErrorKind::Forbidden, Some(ErrorReason::UserInactive)),
                "{call}: {error}"
            );
        }
    }
    assert!(bench.provider.requests().is_empty());
    // Nobody else is.
    for (call, error) in calls(&bench.engine, &admin).await {
        assert!(
            error.as_ref().is_none_or(|error| error.reason() != Some(ErrorReason::UserInactive)),
            "{call}"
        );
    }
    bench.engine.users(&admin).update(bob.user, inactive(true)).await.unwrap();
    bench.engine.conversations(&bob).create(NewConversation::default()).await.unwrap();
}

#[tokio::test]
async fn disabling_a_user_cancels_their_running_answer() {
    let bench = bench([vec![say("begun"), Step::Hang]]).await;
    let admin = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    let bob = bench.engine.scope("acme", "bob").ensure().await.unwrap();
    let running = bench.engine.chat(&bob, Turn::new("hi")).await.unwrap();
    let run = running.run_id();
    bench.engine.users(&admin).update(bob.user, inactive(false)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), events(running)).await.expect("it ends");
    bench.engine.users(&admin).update(bob.user, inactive(true)).await.unwrap();
    assert_eq!(bench.engine.runs(&bob).get(run).await.unwrap().status, RunStatus::Cancelled);
}

#[tokio::test]
async fn disabling_reaches_other_processes() {
    let folder = std::env::temp_dir().join(format!("aimate-tenants-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}", folder.join("two.db").display());
    let stores: [Stores; 2] = [
        aimate::store::connect(&url).await.unwrap().into(),
        aimate::store::connect(&url).await.unwrap().into(),
    ];
    let [one, two] = stores;
    let scripts = || ScriptedProvider::new([vec![say("begun"), Step::Hang], answer("again")]);
    let one = builder(&scripts()).store(one).build().await.unwrap();
    let two = builder(&scripts()).store(two).build().await.unwrap();
    let bob = one.scope("acme", "bob").ensure().await.unwrap();
    let running = one.chat(&bob, Turn::new("hi")).await.unwrap();
    two.tenants().update("acme", TenantChange { name: None, is_active: Some(false) }).await.unwrap();
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(5), events(running)).await.expect("it ends");
    let refusal = async {
        while one.conversations(&bob).create(NewConversation::default()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), refusal).await.expect("the other process refuses them");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    drop((one, two));
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn scopes_of_ids_work_as_before() {
    let bench = bench([answer("hello")]).await;
    let stores_user = aimate::user::User {
        id: RandomIds.next().into(),
        key: None,
        email: None,
        name: "Eve".into(),
        role: Role::User,
        is_active: true,
        settings: serde_json::json!({}),
        created_at: aimate::Timestamp(0),
        updated_at: aimate::Timestamp(0),
    };
    let store: Stores = aimate::store::connect("sqlite::memory:").await.unwrap().into();
    let engine = builder(&bench.provider).store(store.clone()).build().await.unwrap();
    let eve = Scope { tenant: RandomIds.next().into(), user: stores_user.id, role: Role::User };
    refused(engine.chat(&eve, Turn::new("hi")).await);
    store.users.create(&eve, &stores_user).await.unwrap();
    events(engine.chat(&eve, Turn::new("hi")).await.unwrap()).await;
    assert_eq!(engine.tenants().get(eve.tenant).await.unwrap().key, None);
}
