//! Deleting users and tenants through the engine: nothing is left, whatever dies in
//! between, and nobody else notices.
//!
//! `AIMATE_DELETION_KILLS` sets how often the process that deletes is killed (6).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "these are tests, which read their settings and the schema"
)]

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aimate_core::budget::{Amount, BudgetLimits, BudgetSubject, NewBudget};
use aimate_core::chat::Turn;
use aimate_core::conformance::{budget, tool_grant};
use aimate_core::connection::NewConnection;
use aimate_core::conversation::ConversationFilter;
use aimate_core::group::NewGroup;
use aimate_core::identity::Identity;
use aimate_core::knowledge::{BlobEntry, NewCollection, NewDocument};
use aimate_core::model::Prices;
use aimate_core::price::NewPrice;
use aimate_core::prompt::NewPrompt;
use aimate_core::rate_limit::{RateBucket, RateLimit, RequestClass};
use aimate_core::share::NewShare;
use aimate_core::testing::{HashEmbedder, ScriptedProvider, answer};
use aimate_core::tool::NewToolServer;
use aimate_core::workspace::NewWorkspace;
use aimate_core::{Engine, ErrorKind, PageRequest, Role, Scope, TenantId, UserId};
use aimate_store::{Kind, Options, Store};
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use uuid::Uuid;

/// Tables that have no tenant, or keep what outlives one.
const OTHERS: [(&str, &str); 4] = [
    ("aimate_migrations", "what the schema is"),
    ("workers", "processes, which serve all tenants"),
    ("deletions", "the receipt, for an hour"),
    ("login_attempts", "of no tenant: most addresses that are tried lead to none"),
];

/// Far more than anything takes: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a store is opened once more.
#[derive(Clone)]
struct Place {
    url: String,
    blobs: String,
}

impl Place {
    async fn open(&self) -> Store {
        let options = Options { blobs: Some(self.blobs.clone().into()), ..Options::default() };
        aimate_store::connect_with(&self.url, options).await.unwrap()
    }
}

async fn engine(store: &Store) -> Engine {
    Engine::builder()
        .store(store.clone())
        .provider("scripted", ScriptedProvider::new((0..500).map(|_| answer("a whole answer"))))
        .connection(NewConnection::new("lab", "scripted").url("http://127.0.0.1:9/v1"))
        .embedder(Arc::new(HashEmbedder::new("hash", 16)))
        .build()
        .await
        .unwrap()
}

/// Something of everything that a user has, through the engine.
async fn fill(engine: &Engine, scope: &Scope, size: usize) {
    let workspace = engine
        .workspaces(scope)
        .create(NewWorkspace { name: "w".into(), ..NewWorkspace::default() })
        .await
        .unwrap();
    if scope.role == Role::Admin {
        let group = engine.groups(scope).create(NewGroup::new("g")).await.unwrap();
        engine.groups(scope).add_member(group.id, scope.user).await.unwrap();
    }
    let prompt = NewPrompt { workspace_id: Some(workspace.id), ..NewPrompt::new("t", "c") };
    engine.prompts(scope).create(prompt).await.unwrap();
    let own = NewConnection::new("own", "scripted").url("http://127.0.0.1:9/v1");
    let own = engine.connections(scope).create(own).await.unwrap();
    engine.models(scope).refresh(own.id).await.unwrap();
    let server = NewToolServer::new("tools", "https://tools.example.org/mcp");
    engine.tool_servers(scope).create(server.clone()).await.unwrap();
    if scope.role == Role::Admin {
        engine.tool_servers(scope).create(server.shared()).await.unwrap();
    }
    let knowledge = engine.knowledge(scope);
    let collection = knowledge.create_collection(NewCollection::new("manuals")).await.unwrap();
    let mut documents = Vec::new();
    for n in 0..size {
        let text = format!("# Boiler {n}\n\nThe boiler number {n} is serviced in May.\n\n").repeat(5);
        documents.push(
            knowledge.add_text_to(collection.id, NewDocument::new(format!("{n}.md")), text).await.unwrap(),
        );
    }
    for n in 0..size {
        let turn = Turn::new(format!("question {n}")).workspace(workspace.id).model("lab/test");
        let first = engine.chat(scope, turn).await.unwrap().message().await.unwrap();
        let turn = Turn::new("and then?").conversation(first.conversation_id);
        engine.chat(scope, turn).await.unwrap().message().await.unwrap();
        engine.shares(scope).create(first.conversation_id, NewShare::new()).await.unwrap();
    }
    for document in documents {
        knowledge.wait(document.id).await.unwrap();
    }
}

/// A price, a budget and what is set aside in it.
async fn spend(store: &Store, engine: &Engine, admin: &Scope) {
    engine.prices(admin).create(NewPrice::new("lab/*", Prices::default())).await.unwrap();
    let new = NewBudget::daily(BudgetSubject::Tenant, BudgetLimits::tokens(1_000_000));
    engine.budgets(admin).create(new).await.unwrap();
    let wanted = Amount { tokens: 1, ..Amount::default() };
    let reserve = budget::reserve(admin, wanted, engine.sources().now());
    store.stores().budgets.reserve(admin, &reserve).await.unwrap();
    let (limit, bucket) = (RateLimit::per_minute(1), RateBucket::of_user(admin, RequestClass::Chat));
    store.stores().limits.take(&bucket, limit, 1, engine.sources().now()).await.unwrap();
}

/// How many rows each table has of a tenant, or of a user.
async fn rows(place: &Place, kind: Kind, tenant: TenantId, user: Option<UserId>) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    let (tables, columns) = match kind {
        Kind::Sqlite => (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            "SELECT name FROM pragma_table_info($1)",
        ),
        Kind::Postgres => (
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = current_schema()",
            "SELECT column_name::text AS name FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1",
        ),
    };
    macro_rules! look {
        ($session:expr) => {{
            let mut session = $session;
            for table in sqlx::query(tables).fetch_all(&mut session).await.unwrap() {
                let table: String = table.get("name");
                let columns = sqlx::query(columns).bind(&table).fetch_all(&mut session).await.unwrap();
                let columns: Vec<String> = columns.iter().map(|column| column.get("name")).collect();
                if OTHERS.iter().any(|(other, _)| *other == table) {
                    continue;
                }
                assert!(columns.iter().any(|column| column == "tenant_id"), "{table} has no tenant: name it");
                let by_user = user.is_some() && columns.iter().any(|column| column == "user_id");
                if user.is_some() && !by_user && table != "users" {
                    continue;
                }
                let condition = match (user, table.as_str()) {
                    (Some(_), "users") => "tenant_id = $1 AND id = $2",
                    (Some(_), _) => "tenant_id = $1 AND user_id = $2",
                    (None, _) => "tenant_id = $1",
                };
                let count = AssertSqlSafe(format!("SELECT count(*) AS n FROM {table} WHERE {condition}"));
                let mut count = sqlx::query(count).bind(tenant.0);
                if let Some(user) = user {
                    count = count.bind(user.0);
                }
                let row = count.fetch_one(&mut session).await.unwrap();
                found.insert(table, row.get::<i64, _>("n"));
            }
        }};
    }
    match kind {
        Kind::Sqlite => look!(SqliteConnection::connect(&place.url).await.unwrap()),
        Kind::Postgres => look!(PgConnection::connect(&place.url).await.unwrap()),
    }
    found
}

/// Without the parts of the index of conversations, which the engine merges in its own time.
fn stable(mut rows: BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    rows.retain(|table, _| !table.starts_with("message_"));
    rows
}

fn left(rows: &BTreeMap<String, i64>) -> Vec<String> {
    rows.iter().filter(|(_, n)| **n > 0).map(|(table, n)| format!("{n} in {table}")).collect()
}

async fn blobs_of(store: &Store, tenant: TenantId) -> usize {
    let entries: Vec<BlobEntry> = store.stores().blobs.list().try_collect().await.unwrap();
    entries.iter().filter(|entry| matches!(entry, BlobEntry::Blob(blob) if blob.tenant == tenant)).count()
}

/// Runs a test on SQLite and on each server.
async fn on_both(test: impl AsyncFn(Place, Kind)) {
    let folder = support::Folder::new();
    let blobs = folder.file().with_extension("bytes").display().to_string();
    test(Place { url: folder.url(), blobs }, Kind::Sqlite).await;
    support::on_each_server(async |schema| {
        let folder = support::Folder::new();
        let blobs = folder.file().with_extension("bytes").display().to_string();
        test(Place { url: schema.url(), blobs }, Kind::Postgres).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_tenant_leaves_no_row_and_no_byte() {
    on_both(async |place, kind| {
        let store = place.open().await;
        let engine = engine(&store).await;
        let ann = engine.scope("acme", "ann").role(Role::Admin).ensure().await.unwrap();
        let bob = engine.scope("acme", "bob").ensure().await.unwrap();
        let eve = engine.scope("other", "eve").role(Role::Admin).ensure().await.unwrap();
        for scope in [&ann, &bob, &eve] {
            fill(&engine, scope, 5).await;
        }
        for scope in [&ann, &bob, &eve] {
            let identity = Identity::new("https://login.example.org", scope.user.to_string()).unwrap();
            let identities = &store.stores().identities;
            identities.link(scope.tenant, scope.user, &identity, engine.sources().now()).await.unwrap();
            let servers = engine.tool_servers(scope).list(PageRequest::default()).await.unwrap().data;
            for server in &servers {
                let grant = tool_grant::grant(server, "https://login.example.org");
                store.stores().tool_servers.put_grant(scope, &grant).await.unwrap();
            }
        }
        for scope in [&ann, &eve] {
            spend(&store, &engine, scope).await;
        }
        let others = stable(rows(&place, kind, eve.tenant, None).await);
        let before = rows(&place, kind, ann.tenant, None).await;
        // Of what nobody has through the engine yet, nothing is there.
        let empty = [
            "api_tokens",
            "file_batches",
            "files",
            "invites",
            "logins",
            "loose_blobs",
            "sessions",
            "tool_outputs",
            "upload_parts",
            "uploads",
        ];
        // Of what the engine does in its own time, there may be some.
        let passing = ["message_segment_blocks", "message_index_jobs"];
        for (table, n) in before.iter().filter(|(table, _)| !passing.contains(&table.as_str())) {
            assert_eq!(*n > 0, !empty.contains(&table.as_str()), "{table}: {n}");
        }
        assert_eq!(blobs_of(&store, ann.tenant).await, 10);

        let deleted = engine.tenants().delete("acme").await.unwrap();
        let counts = deleted.counts;
        assert_eq!((counts.users, counts.conversations, counts.messages, counts.runs), (2, 10, 40, 20));
        assert_eq!((counts.collections, counts.documents, counts.usage_records), (2, 10, 20));
        assert!(counts.vectors >= 10 && counts.chunks >= 10 && counts.bytes > 1_000, "{counts:?}");
        assert!(deleted.finished_at > deleted.started_at);
        assert_eq!(left(&rows(&place, kind, ann.tenant, None).await), [""; 0]);
        assert_eq!(blobs_of(&store, ann.tenant).await, 0);

        assert_eq!(stable(rows(&place, kind, eve.tenant, None).await), others);
        assert_eq!(blobs_of(&store, eve.tenant).await, 5);
        for scope in [&ann, &bob] {
            let error = engine.chat(scope, Turn::new("hi")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden);
        }
        // The same call again gives the receipt, and the key starts afresh.
        assert_eq!(engine.tenants().delete("acme").await.unwrap(), deleted);
        let anew = engine.scope("acme", "ann").ensure().await.unwrap();
        assert_eq!((anew.user, anew.role), (ann.user, Role::User));
        let talks = engine.conversations(&anew);
        assert!(
            talks.list(&ConversationFilter::default(), PageRequest::default()).await.unwrap().data.is_empty()
        );
        drop(engine);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_user_leaves_what_is_the_tenants() {
    on_both(async |place, kind| {
        let store = place.open().await;
        let engine = engine(&store).await;
        let ann = engine.scope("acme", "ann").role(Role::Admin).ensure().await.unwrap();
        let bob = engine.scope("acme", "bob").ensure().await.unwrap();
        for scope in [&ann, &bob] {
            fill(&engine, scope, 4).await;
        }
        let of_ann = rows(&place, kind, ann.tenant, Some(ann.user)).await;
        let forbidden = engine.users(&bob).delete(bob.user).await.unwrap_err();
        assert_eq!(forbidden.kind(), ErrorKind::Forbidden);
        let counts = engine.users(&ann).delete(bob.user).await.unwrap().counts;
        assert_eq!((counts.users, counts.conversations, counts.documents), (1, 4, 4));
        assert_eq!((counts.usage_records, counts.anonymised_usage_records), (0, 8));
        assert_eq!(left(&rows(&place, kind, bob.tenant, Some(bob.user)).await), [""; 0]);
        assert_eq!(rows(&place, kind, ann.tenant, Some(ann.user)).await, of_ann);
        assert_eq!(blobs_of(&store, ann.tenant).await, 4);
        let nobody = UserId(Uuid::from_u128(7));
        assert_eq!(engine.users(&ann).delete(nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
        drop(engine);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_who_goes_away_stops_no_deletion() {
    on_both(async |place, kind| {
        let store = place.open().await;
        let engine = engine(&store).await;
        let ann = engine.scope("acme", "ann").ensure().await.unwrap();
        fill(&engine, &ann, 5).await;
        let tenants = engine.tenants();
        let gone = tokio::time::timeout(Duration::from_millis(1), tenants.delete("acme")).await;
        assert!(gone.is_err(), "it was over before anybody could go away");
        // Whoever asks again, waits for the same one.
        let [one, two] = [tenants.delete("acme").await, tenants.delete("acme").await].map(Result::unwrap);
        assert_eq!((one, one.counts.conversations), (two, 5));
        assert_eq!(left(&rows(&place, kind, ann.tenant, None).await), [""; 0]);
        drop((tenants, engine));
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeping_ends_what_a_process_left() {
    on_both(async |place, kind| {
        let store = place.open().await;
        let first = engine(&store).await;
        let ann = first.scope("acme", "ann").ensure().await.unwrap();
        fill(&first, &ann, 3).await;
        first.drain(Duration::ZERO).await;
        // A process that began it and died at once.
        let (stores, dead) = (store.stores(), Uuid::from_u128(9).into());
        let target = aimate_core::deletion::DeletionTarget { tenant: ann.tenant, user: None };
        stores.deletions.begin(&target, dead, aimate_core::Timestamp(0)).await.unwrap();
        let engine = engine(&store).await;
        engine.sweep().await.unwrap();
        assert_eq!(left(&rows(&place, kind, ann.tenant, None).await), [""; 0]);
        assert_eq!(blobs_of(&store, ann.tenant).await, 0);
        let again = engine.sweep().await.unwrap();
        assert_eq!((again.deletions, again.blobs, again.orphans.len()), (0, 0, 0));
        drop(engine);
        store.close().await;
    })
    .await;
}

/// The process that is killed: another run of this test's binary.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by kill_between_steps_loses_nothing in a process of its own"]
async fn child_that_deletes() {
    let [url, blobs] =
        ["AIMATE_DELETION_URL", "AIMATE_DELETION_BLOBS"].map(|name| std::env::var(name).unwrap());
    let engine = engine(&Place { url, blobs }.open().await).await;
    println!("deleting");
    engine.tenants().delete("acme").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_between_steps_loses_nothing() {
    let kills: u64 = std::env::var("AIMATE_DELETION_KILLS").map_or(6, |kills| kills.parse().unwrap());
    on_both(async |place, kind| {
        let store = place.open().await;
        let first = engine(&store).await;
        let (ann, eve) = (
            first.scope("acme", "ann").ensure().await.unwrap(),
            first.scope("other", "eve").ensure().await.unwrap(),
        );
        fill(&first, &ann, 40).await;
        fill(&first, &eve, 3).await;
        let others = stable(rows(&place, kind, eve.tenant, None).await);
        first.drain(Duration::ZERO).await;
        let target = aimate_core::deletion::DeletionTarget { tenant: ann.tenant, user: None };
        let stores = store.stores();
        let deletion = async || stores.deletions.find(&target).await.unwrap();
        let mut met = 0;
        for kill in 0..kills {
            let before = deletion().await;
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_that_deletes", "--ignored", "--nocapture"])
                .env("AIMATE_DELETION_URL", &place.url)
                .env("AIMATE_DELETION_BLOBS", &place.blobs)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Killed as soon as something more is gone, or a little later.
            let begun = Instant::now();
            while deletion().await == before {
                assert!(begun.elapsed() < PATIENCE, "it deletes nothing");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(5 * (kill % 3))).await;
            let is_over = deletion().await.unwrap().finished_at.is_some();
            met += u64::from(!is_over);
            child.kill().unwrap();
            child.wait().unwrap();
            if is_over {
                break;
            }
        }
        assert!(met > 0, "no kill met a deletion: the test tests nothing");
        let at_last = deletion().await.unwrap().counts;
        let last = engine(&store).await;
        let deleted = tokio::time::timeout(PATIENCE, last.tenants().delete("acme")).await.unwrap().unwrap();
        println!("{kind:?}: {met} kills, {} messages were gone at the last one", at_last.messages);
        // Each row was counted once, whoever deleted it.
        let counts = deleted.counts;
        assert_eq!((counts.users, counts.conversations, counts.messages, counts.documents), (1, 40, 160, 40));
        assert_eq!(left(&rows(&place, kind, ann.tenant, None).await), [""; 0]);
        assert_eq!(blobs_of(&store, ann.tenant).await, 0);
        assert_eq!(stable(rows(&place, kind, eve.tenant, None).await), others);
        assert_eq!(blobs_of(&store, eve.tenant).await, 3);
        drop((last, stores));
        store.close().await;
    })
    .await;
}
