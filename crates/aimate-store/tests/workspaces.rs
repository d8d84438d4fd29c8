//! A thousand workspaces in a tenant, of which a user is in two: what lists and searches
//! read follows from what they show.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;

use aimate_core::conformance::knowledge_world::{EAST, Fixture, chunk_id};
use aimate_core::conformance::world::{self, at};
use aimate_core::connection::Connection;
use aimate_core::conversation::{Conversation, ConversationFilter, ConversationSearch};
use aimate_core::knowledge::{CollectionChange, DocumentFilter};
use aimate_core::tool::ToolServer;
use aimate_core::workspace::{NewWorkspaceMember, WorkspaceRole};
use aimate_core::{CollectionId, PageRequest, Scope, SpaceId, Stores, WorkspaceId};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use support::statements;

/// Two workspaces that a user is in, one with everything in it, and the owner of both.
struct Office {
    viewer: Scope,
    owner: Scope,
    workspace: WorkspaceId,
    conversation: Conversation,
    collection: CollectionId,
    space: SpaceId,
    chunk: aimate_core::ChunkId,
}

async fn office(stores: &Stores) -> Office {
    let fixture = Fixture::with_space(stores).await;
    let document = fixture.ready("mine", &["apple mine"]).await;
    let w = &fixture.world;
    let (workspace, second) = (w.workspace("one").await, w.workspace("two").await);
    for of in [workspace.id, second.id] {
        let member = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Editor);
        stores.workspaces.put_member(&w.me, of, &member, at(1)).await.unwrap();
    }
    let change = CollectionChange { workspace_id: Some(Some(workspace.id)), ..CollectionChange::default() };
    stores.collections.update(&w.me, fixture.collection, &change, at(1)).await.unwrap();
    let conversation = Conversation { workspace_id: Some(workspace.id), ..world::conversation("talk") };
    stores.conversations.create(&w.me, &conversation).await.unwrap();
    stores.prompts.create(&w.me, &world::prompt(Some(workspace.id), "p")).await.unwrap();
    let connection = Connection { workspace_id: Some(workspace.id), ..world::connection("ours") };
    stores.connections.create(&w.me, &connection).await.unwrap();
    stores.models.replace(&w.me, connection.id, &[world::model(&connection, "m")], at(1)).await.unwrap();
    let server = ToolServer { workspace_id: Some(workspace.id), ..world::tool_server("ours") };
    stores.tool_servers.create(&w.me, &server).await.unwrap();
    Office {
        viewer: w.other,
        owner: w.me,
        workspace: workspace.id,
        conversation,
        collection: fixture.collection,
        space: fixture.space.unwrap(),
        chunk: chunk_id(document.id, "apple mine"),
    }
}

/// Every list and search by which the user sees what is in their workspaces. Returns how
/// much they showed.
async fn look(stores: &Stores, office: &Office) -> usize {
    let (me, page, workspace) = (&office.viewer, PageRequest::default(), office.workspace);
    let mut shown = 0;
    shown += stores.workspaces.list(me, page).await.unwrap().data.len();
    stores.workspaces.get(me, workspace).await.unwrap();
    shown += stores.workspaces.members(me, workspace, page).await.unwrap().data.len();
    let c = &stores.conversations;
    shown += c.list(me, &ConversationFilter::new(), page).await.unwrap().data.len();
    let within = ConversationFilter::new().workspace_id(workspace);
    shown += c.list(me, &within, page).await.unwrap().data.len();
    shown += c.search(me, &ConversationSearch::new("talk"), page).await.unwrap().data.len();
    let within = ConversationSearch::new("talk").workspace_id(workspace);
    shown += c.search(me, &within, page).await.unwrap().data.len();
    c.get(me, office.conversation.id).await.unwrap();
    shown += c.messages(me, office.conversation.id, None, page).await.unwrap().data.len();
    shown += stores.shares.list(me, office.conversation.id, page).await.unwrap().data.len();
    shown += stores.prompts.list(me, None, page).await.unwrap().data.len();
    shown += stores.prompts.list(me, Some(workspace), page).await.unwrap().data.len();
    shown += stores.connections.list(me, page).await.unwrap().data.len();
    shown += stores.tool_servers.list(me, page).await.unwrap().data.len();
    shown += stores.models.list(me).await.unwrap().len();
    shown += stores.groups.list(me, page).await.unwrap().data.len();
    shown += stores.collections.list(me, None, page).await.unwrap().data.len();
    shown += stores.collections.list(me, Some(workspace), page).await.unwrap().data.len();
    shown += stores.collections.newest_configs(me).await.unwrap().len();
    shown += stores.collections.configs(me, &[office.collection.to_string()]).await.unwrap().len();
    let filter = DocumentFilter { collection: Some(office.collection), ..DocumentFilter::default() };
    for filter in [&filter, &DocumentFilter::default()] {
        shown += stores.documents.list(me, filter, page).await.unwrap().data.len();
    }
    let target = aimate_core::knowledge::SearchScope { collections: vec![office.collection], filter: None };
    let terms = aimate_index::analysis::analyze_query("apple");
    shown += stores.index.find_text(me, &target, &terms, 10).await.unwrap().best.len();
    shown += stores.index.find_vector(me, &target, &[office.space], &EAST, 10).await.unwrap().best.len();
    shown += stores.index.passages(me, &[office.chunk]).await.unwrap().len();
    shown
}

/// What [`look`] shows: two workspaces with two members, and one of everything in them.
const SHOWN: usize = 2 + 2 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1;

/// 998 more workspaces of a tenant, each of a user of its own, with everything that
/// [`look`] lists. `md5` makes ids of numbers; SQLite has it as a blob of sixteen bytes.
fn others(kind: &str, owner: &Scope) -> Vec<String> {
    let (numbers, key): (&str, fn(&str) -> String) = match kind {
        "postgres" => ("generate_series(1, 998) n", |prefix| format!("md5('{prefix}' || n)::uuid")),
        _ => (
            "(WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 998) SELECT n FROM c)",
            |prefix| format!("CAST('{prefix}' || printf('%015d', n) AS BLOB)"),
        ),
    };
    let id = |uuid: uuid::Uuid| match kind {
        "postgres" => format!("'{uuid}'::uuid"),
        _ => format!("x'{}'", uuid.simple()),
    };
    let (tenant, user) = (id(owner.tenant.0), key("u"));
    let no = if kind == "postgres" { "false" } else { "0" };
    let yes = if kind == "postgres" { "true" } else { "1" };
    let (w, c) = (key("w"), key("c"));
    let insert = |into: &str, values: String| format!("INSERT INTO {into} SELECT {values} FROM {numbers}");
    let no_bytes = if kind == "postgres" { "''" } else { "x''" };
    vec![
        insert(
            "users (tenant_id, id, name, role, is_active, settings, created_at, updated_at)",
            format!("{tenant}, {user}, 'u', 'user', {yes}, '{{}}', 0, 0"),
        ),
        insert(
            "workspaces (tenant_id, id, user_id, name, description, is_archived, metadata, created_at, updated_at)",
            format!("{tenant}, {w}, {user}, 'w', '', {no}, '{{}}', 0, 0"),
        ),
        insert(
            "workspace_members (tenant_id, workspace_id, member_id, kind, role, created_at)",
            format!("{tenant}, {w}, {user}, 'user', 'owner', 0"),
        ),
        insert(
            "workspace_access (tenant_id, user_id, workspace_id, role)",
            format!("{tenant}, {user}, {w}, 'owner'"),
        ),
        insert(
            "groups (tenant_id, id, name, description, created_at, updated_at)",
            format!("{tenant}, {w}, 'g' || n, '', 0, 0"),
        ),
        insert(
            "prompts (tenant_id, id, user_id, workspace_id, title, content, is_active, created_at, updated_at)",
            format!("{tenant}, {}, {user}, {w}, 'p', 'p', {yes}, 0, 0", key("p")),
        ),
        insert(
            "conversations (tenant_id, id, user_id, workspace_id, title, title_folded, is_pinned, is_archived, tags, \
             metadata, message_count, created_at, updated_at)",
            format!("{tenant}, {}, {user}, {w}, 't', 't', {no}, {no}, '[]', '{{}}', 0, 0, n", key("t")),
        ),
        insert(
            "connections (tenant_id, id, user_id, workspace_id, name, provider, is_enabled, settings, status, \
             created_at, updated_at)",
            format!("{tenant}, {}, {user}, {w}, 'c', 'openai', {yes}, '{{}}', 'ok', 0, 0", key("n")),
        ),
        insert(
            "tool_servers (tenant_id, id, user_id, workspace_id, name, auth_type, is_enabled, is_configured, status, \
             listing, problems, pins, tool_count, revision, created_at, updated_at)",
            format!(
                "{tenant}, {}, {user}, {w}, 's', 'none', {yes}, {no}, 'ok', '[]', '[]', '{{}}', 0, 0, 0, 0",
                key("v")
            ),
        ),
        insert(
            "models (tenant_id, connection_id, model_id, name, capabilities, is_active)",
            format!("{tenant}, {}, 'm', 'm', '[]', {yes}", key("n")),
        ),
        insert(
            "collections (tenant_id, id, user_id, workspace_id, name, description, chunk_size, chunk_overlap, \
             metadata, created_at, updated_at)",
            format!("{tenant}, {c}, {user}, {w}, 'c', '', 500, 50, '{{}}', 0, 0"),
        ),
        insert(
            "spaces (tenant_id, id, collection_id, model, dimensions, version, status, created_at)",
            format!("{tenant}, {}, {c}, 'm', 4, '', 'active', 0", key("s")),
        ),
        insert(
            "segments (tenant_id, id, collection_id, analysis, chunk_count, total_length, header)",
            format!("{tenant}, {}, {c}, 1, 1, 1, {no_bytes}", key("g")),
        ),
        insert(
            "documents (tenant_id, id, collection_id, user_id, name, title, media_type, size, content_hash, blob_id, \
             status, progress, chunk_count, warnings, metadata, segment_id, attempt, tries, not_before, created_at, \
             updated_at)",
            format!(
                "{tenant}, {}, {c}, {user}, 'd', 'd', 'm', 1, 'h', {}, 'ready', 1, 1, '[]', '{{}}', {}, 1, 1, 0, 0, 0",
                key("d"),
                key("b"),
                key("g"),
            ),
        ),
    ]
}

/// Spaces that the collections of others had before, and more segments of them: of a
/// thousand rows, PostgreSQL reads the whole table in place of the ten lookups that it
/// takes an array of ids for, whosever they are.
const GROWN: [&str; 2] = [
    "INSERT INTO spaces (tenant_id, id, collection_id, model, dimensions, version, status, created_at) \
     SELECT s.tenant_id, md5(s.id::text || k)::uuid, s.collection_id, 'm', 4, '', 'retired', 0 \
     FROM spaces s, generate_series(1, 20) k WHERE s.model = 'm'",
    "INSERT INTO segments (tenant_id, id, collection_id, analysis, chunk_count, total_length, header) \
     SELECT g.tenant_id, md5(g.id::text || k)::uuid, g.collection_id, 1, 1, 1, '' \
     FROM segments g, generate_series(1, 20) k WHERE g.header = ''",
];

/// Rows that statements have read of each of the schema's tables so far, once all of them
/// are counted: a session counts what it read when it ends.
async fn read_rows(session: &mut PgConnection) -> BTreeMap<String, i64> {
    let mut last = BTreeMap::new();
    let mut same = 0;
    while same < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let counts = "SELECT relname::text, seq_tup_read + COALESCE(idx_tup_fetch, 0) \
            FROM pg_stat_user_tables WHERE schemaname = current_schema()";
        let rows = sqlx::query(counts).fetch_all(&mut *session).await.unwrap();
        let now: BTreeMap<_, _> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are made above")]
async fn workspaces_of_others_cost_nothing_on_postgres() {
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        let office = office(&store.stores()).await;
        store.close().await;
        let mut costs = Vec::new();
        for more in [Vec::new(), others("postgres", &office.owner)] {
            let mut session = schema.session().await;
            let is_more = !more.is_empty();
            for statement in more {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut session).await.unwrap();
            }
            if is_more {
                for statement in GROWN {
                    sqlx::query(statement).execute(&mut session).await.unwrap();
                }
            }
            sqlx::query("ANALYZE").execute(&mut session).await.unwrap();
            // What its foreign keys read counts before, too.
            session.close().await.unwrap();
            let mut session = schema.session().await;
            let store = support::connected(schema).await;
            let begin = read_rows(&mut session).await;
            assert_eq!(look(&store.stores(), &office).await, SHOWN);
            store.close().await;
            let end = read_rows(&mut session).await;
            costs.push(end.into_iter().map(|(table, n)| (n - begin[&table], table)).collect::<Vec<_>>());
            session.close().await.unwrap();
        }
        let sum = |of: &[(i64, String)]| of.iter().map(|(n, _)| n).sum::<i64>();
        let (alone, among) = (sum(&costs[0]), sum(&costs[1]));
        println!("rows read with 2 workspaces: {alone}, with 1,000: {among}");
        assert!(alone > 0);
        // One statement that reads a row of each of the others would read 998 more.
        costs[1].sort();
        assert!(among <= alone + 200, "{alone}, {among}: {:?}", costs[1]);
    })
    .await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own, and made above")]
async fn workspaces_of_others_cost_nothing_on_sqlite() {
    statements::listen();
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    let stores = store.stores();
    let office = office(&stores).await;
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    for statement in others("sqlite", &office.owner) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut session).await.unwrap();
    }
    statements::take();
    assert_eq!(look(&stores, &office).await, SHOWN);
    // What each of them would walk: none reads all rows of a tenant, or of a table, to find
    // those that it shows.
    let ran = statements::take();
    assert!(ran.len() > 15, "{}", ran.len());
    let mut bad = Vec::new();
    // Several may stand in one text.
    let texts = ran.iter().flat_map(|text| text.split("; ")).map(str::trim);
    for text in texts.filter(|text| text.starts_with("SELECT") || text.starts_with("WITH")) {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
        for row in plan.fetch_all(&mut session).await.unwrap() {
            let step: String = row.get("detail");
            let of_values =
                ["VIRTUAL TABLE", "json_each", "CONSTANT ROW", "(subquery", "SCAN path", "SCAN w "];
            let scans = step.starts_with("SCAN") && !of_values.iter().any(|of| step.contains(of));
            // Shared connections and tool servers are few, and all of them are listed.
            let few = ["connections_shared_name", "tool_servers_shared_name"];
            let whole = step.contains("(tenant_id=?)") && !few.iter().any(|few| step.contains(few));
            if scans || whole {
                bad.push(format!("{step}\n    in {text}"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
